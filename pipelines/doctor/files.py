"""Every file of the lake against its sum, its name or its place; WARC files apart (`archive`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import delta, generations, sums
from pipelines.doctor.findings import BACKUP, REBUILD, Finding
from pipelines.doctor.snapshot import Snapshot
from pipelines.generations import STORE, is_whole
from pipelines.lake import ABOUT, LOCK
from pipelines.schema import TABLES

_TABLES = "|".join(TABLES)
_OURS = re.compile(
    rf"""{re.escape(ABOUT)} | {LOCK} | {sums.STORE}/.+\.json | {delta.TORN}/.+
    | ({_TABLES})/part-[^/]+\.parquet
    | ({_TABLES})/{delta.LOG}/(\d{{20}}\.(json|checkpoint\.parquet)|{delta.HINT})
    | {STORE}/\d{{8}}(\.json|/published_month=[^/]+/part-[^/]+\.parquet)
    | warc/\d{{4}}/\d\d/[^/]+\.warc\.gz""",
    re.VERBOSE,
)
_WRONG = "its content is not what its sum says"
_LOST_LOG = f"{BACKUP}, with the whole folder of its table"
_AGAIN = "delete it, and _last_checkpoint beside it: the log says the same"
_SUMS = "when nothing is said of what it describes, delete it: the next crawl writes it anew"


def check_files(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield every file that is not as it was written, and those that nobody wrote."""
    yield from _about(snapshot)
    described = _Described()
    yield from described.read(snapshot)
    yield from _summed(snapshot, described)
    for table in TABLES:
        yield from _parts(snapshot, table, described)
    yield from _generations(snapshot)
    yield from _foreign(snapshot)


@dataclass(slots=True)
class _Described:
    """What all sums say, the later over the earlier."""

    files: dict[str, Any] = field(default_factory=dict)

    def read(self, snapshot: Snapshot) -> Iterator[Finding]:
        for name in sums.names(snapshot.storage):
            if name.startswith("warc/"):
                continue
            found = sums.read(snapshot.storage, name)
            if found is None:
                yield _error(sums.at(name), "cannot be read as it was written", _SUMS)
            else:
                self.files |= found


def _about(snapshot: Snapshot) -> Iterator[Finding]:
    try:
        sums.unsealed(snapshot.storage.read(ABOUT))
    except (OSError, ValueError) as error:
        yield _error(ABOUT, _reason(error), "restore it from a copy of the lake")


def _summed(snapshot: Snapshot, described: _Described) -> Iterator[Finding]:
    there, parts = set(snapshot.files), snapshot.part_paths()
    for path, said in sorted(described.files.items()):
        is_data = not path.partition("/")[2].startswith(delta.LOG)
        if path not in there:
            if _is_entry(path) and _is_needed(snapshot, path):
                yield _error(path, "is missing", _LOST_LOG)
        elif not is_data or path in parts:
            with snapshot.storage.open(path) as file:
                is_right = sums.digest_of(file) == said["sha256"]
            if not is_right:
                remedy = BACKUP if is_data else _LOST_LOG if _is_entry(path) else _AGAIN
                yield _error(path, _WRONG, remedy)
    for table in TABLES:
        for path in snapshot.logs(table):
            if path not in described.files:
                yield _unsummed(path)


def _is_entry(path: str) -> bool:
    return path.endswith(".json")


def _version(path: str) -> int:
    return int(path.rpartition("/")[2].partition(".")[0])


def _is_needed(snapshot: Snapshot, path: str) -> bool:
    """Tell whether an entry is still needed; what lies before a checkpoint may be cleared away."""
    prefix = path.rpartition("/")[0]
    checkpoints = [
        _version(one)
        for one in snapshot.files
        if one.startswith(prefix) and one.endswith(".checkpoint.parquet")
    ]
    return _version(path) > max(checkpoints, default=-1)


def _parts(snapshot: Snapshot, table: str, described: _Described) -> Iterator[Finding]:
    for part in map(Path, snapshot.parts.get(table, ())):
        where = part.relative_to(snapshot.storage.folder).as_posix()
        try:
            if where in described.files:
                part.stat()  # its content was looked at
            elif not sums.is_named_by_content(part):
                # Another program's: its pages have sums, where it gave them any.
                pq.read_table(part, partitioning=None, page_checksum_verification=True)
                yield _unsummed(where)
            elif not sums.is_what_its_name_says(part):
                yield _error(where, "its content is not what its name says", BACKUP)
        except (OSError, pa.ArrowException) as error:
            yield _error(where, _reason(error), BACKUP)


def _generations(snapshot: Snapshot) -> Iterator[Finding]:
    found = generations.current(snapshot.storage.folder)
    link = snapshot.storage.folder / generations.LINK
    now = found[0] if found else link.readlink().name if link.is_symlink() else ""
    for path in snapshot.files:
        if not path.startswith(f"{STORE}/"):
            continue
        what = _wrong_of_generation(snapshot, path)
        if what and now in path.split("/")[1]:
            yield _error(path, what, REBUILD)
        elif what and (snapshot.storage.folder / path).exists():
            yield Finding(
                check="files",
                level="warning",
                where=path,
                what=f"{what}; it is of a generation that is no more read",
                remedy="it goes by itself with one of the next publishes",
            )
    yield from _lost_parts(snapshot, now)


def _wrong_of_generation(snapshot: Snapshot, path: str) -> str | None:
    """Return what is wrong with a file of a generation; the name of one is in its path."""
    at = snapshot.storage.folder / path
    try:
        if path.endswith(".json"):
            generations.read_manifest(snapshot.storage.folder, at.stem)
        elif path.endswith(".parquet") and not is_whole(at):
            return "its content is not what its name says"
    except (OSError, ValueError, TypeError) as error:
        return _reason(error)
    return None


def _lost_parts(snapshot: Snapshot, now: str) -> Iterator[Finding]:
    if now and f"{STORE}/{now}.json" not in snapshot.files:
        yield _error(f"{STORE}/{now}.json", "is missing", REBUILD)
    try:
        manifest = generations.read_manifest(snapshot.storage.folder, now)
    except (OSError, ValueError, TypeError):
        return
    prefix = f"{STORE}/{now}/"
    there = {one.removeprefix(prefix) for one in snapshot.files if one.startswith(prefix)}
    for part in sorted(manifest.parts.keys() - there):
        yield _error(f"{prefix}{part}", "is missing", REBUILD)
    for part in sorted(there - manifest.parts.keys()):
        yield _error(f"{prefix}{part}", "is no part of what was published", REBUILD)


def _foreign(snapshot: Snapshot) -> Iterator[Finding]:
    named = snapshot.part_paths()
    for path in snapshot.files:
        if not _OURS.fullmatch(path):
            yield _warning(path, "is no file of Sitrep's", "move it elsewhere, if nobody needs it")
        elif _is_orphan(snapshot, path, named):
            yield _warning(
                path, "was written for a commit that never came", "the next crawl removes it"
            )


def _is_orphan(snapshot: Snapshot, path: str, named: set[str]) -> bool:
    table, _, name = path.partition("/")
    if table not in snapshot.parts or not name.startswith("part-") or path in named:
        return False
    folder = snapshot.storage.folder
    last = [folder / log for log in snapshot.logs(table)[-1:]]
    # What a later operation took out of the table is older than its last entry.
    written = (folder / path).stat().st_mtime
    return all(written > log.stat().st_mtime for log in last)


def _unsummed(path: str) -> Finding:
    return _warning(path, "nothing says what its content was", "the next crawl writes its sum down")


def _error(where: str, what: str, remedy: str) -> Finding:
    return Finding(check="files", level="error", where=where, what=what, remedy=remedy)


def _warning(where: str, what: str, remedy: str) -> Finding:
    return Finding(check="files", level="warning", where=where, what=what, remedy=remedy)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
