"""The spool: WARC files that are written now, or were when their process died."""

from __future__ import annotations

import fcntl
import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pipelines import warc
from pipelines.errors import ArchiveError
from pipelines.storage import fsync, make_folder

logger = logging.getLogger(__name__)

OPEN_SUFFIX = ".open"


def create(path: Path) -> io.FileIO:
    """Make a spool file, locked until it is closed or its process ends, however it ends."""
    try:
        make_folder(path.parent)
        with _folder_lock(path.parent):
            file = io.FileIO(path, "xb")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fsync(path.parent)
    except OSError as error:
        raise ArchiveError(
            f"cannot be made ({error.strerror})",
            where=str(path),
            remedy="set SITREP_SPOOL to a folder that can be written",
        ) from error
    return file


def claim_dead(spool: Path) -> Iterator[Path]:
    """Yield the spool files that nobody writes any more, each locked while the caller has it.

    A cut end is truncated first; a file without an exchange is removed; one that is wrong in its
    midst is left where it is, with an error in the log.
    """
    for path in sorted(spool.glob(f"*.warc.gz{OPEN_SUFFIX}"), key=warc.place_in_time):
        file = _claim(path)
        if file is None:
            continue
        with file:
            if _mend(file, path):
                yield path


def pending_captures(spool: Path) -> int:
    """Count the exchanges that lie in the spool: not committed yet, or left by a dead run."""
    count = 0
    for path in spool.glob(f"*.warc.gz{OPEN_SUFFIX}"):
        with path.open("rb") as file:
            try:
                found = warc.records(file, where=str(path))
                count += sum(record.type in warc.CAPTURES for record in found)
            except (warc.CutError, ArchiveError):
                continue  # what is wrong with it is for the next run, or doctor, to say
    return count


def whole_length(path: Path) -> int:
    """Return where the last whole exchange ends: all behind it was never acknowledged."""
    with path.open("rb") as file:
        end, ours = 0, False
        try:
            for record in warc.records(file, where=str(path)):
                ours = ours or warc.is_ours(record)
                if not ours or record.type not in warc.CAPTURES:
                    end = record.offset + record.length
        except warc.CutError:
            pass
        except ArchiveError:
            if not _ends_in_zeros(file):
                raise
        return end


def _mend(file: io.FileIO, path: Path) -> bool:
    """Truncate a cut end, remove a file with nothing in it; tell whether the rest is of use."""
    try:
        _refuse_foreign(path)
        end = whole_length(path)
    except ArchiveError as error:
        logger.error("%s; it stays in the spool", error)  # noqa: TRY400 - told in one line
        return False
    if end < path.stat().st_size:
        logger.warning("%s: cut at %d, where its last whole exchange ends", path, end)
        file.truncate(end)
        os.fsync(file)
    if not _holds_exchange(path):
        path.unlink()
        return False
    return True


def _refuse_foreign(path: Path) -> None:
    """Raises ArchiveError for a file of others: its end is not ours to cut."""
    first = None
    # What is wrong with it otherwise is said when it is read as a whole.
    with path.open("rb") as file, suppress(warc.CutError, ArchiveError):
        first = next(warc.records(file, where=str(path)), None)
    if first is not None and not warc.is_ours(first):
        raise warc.not_ours(str(path))


def _holds_exchange(path: Path) -> bool:
    with path.open("rb") as file:
        found = warc.records(file, where=str(path))
        return any(record.type in warc.CAPTURES for record in found)


def _ends_in_zeros(file: BinaryIO) -> bool:
    # After a power cut a file may be as long as it was, with nothing in its last blocks. A gzip
    # member ends in its length, of which two bytes may be zero, not 64.
    file.seek(-min(64, file.seek(0, os.SEEK_END)), os.SEEK_END)
    return not file.read().strip(b"\0")


def _claim(path: Path) -> io.FileIO | None:
    with _folder_lock(path.parent):
        try:
            file = io.FileIO(path, "r+b")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            file.close()
            return None
    # Its writer may have moved it to the lake between our opening and our locking it.
    if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:
        file.close()
        return None
    return file


@contextmanager
def _folder_lock(spool: Path) -> Iterator[None]:
    # Between a file's making and its locking nobody may take it for a dead one.
    with (spool / ".lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
