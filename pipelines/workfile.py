"""Where a long work stands: chunks of it put aside in one file that outlives a kill.

Each chunk is framed with its length and a checksum, so that a cut or torn tail is dropped when the
file is opened again, and the chunks before it need not be made again.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pipelines.errors import StateError
from pipelines.model import Revision
from pipelines.schema import REVISIONS, Row, revision_of, revision_row

logger = logging.getLogger(__name__)

# Length of head and body, and a checksum over both.
_FRAME = struct.Struct(">III")
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")

Chunk = tuple[dict[str, Any], list[Revision]]


class WorkFile:
    """Chunks of revisions, each with a head of plain JSON.

    The first frame has no revisions, and its head says whose work it is: `identity`. `last` is the
    head of the last frame, `frames` how many there are.
    """

    def __init__(self, path: Path, *, identity: Mapping[str, Any]):
        self.path = path
        self.identity = dict(identity)
        self.last = self.identity
        self.frames = 1

    @classmethod
    def opened(cls, path: Path) -> WorkFile | None:
        """Return the work that was begun there, without its cut tail; None where there is none."""
        if not path.exists():
            return None
        work, end = None, 0
        with path.open("rb") as file:
            for head, _ in _frames(file):
                if work is None:
                    work = cls(path, identity=head)
                else:
                    work._count(head)
                end = file.tell()
        if work is not None and path.stat().st_size > end:
            logger.info("%s: a cut tail is dropped", path)
            os.truncate(path, end)
        return work

    @classmethod
    def begun(cls, path: Path, identity: Mapping[str, Any]) -> WorkFile:
        """Begin the work anew, whatever was there. Raises StateError: it cannot be written."""
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_frame(identity, b""))
        return cls(path, identity=identity)

    def append(self, head: Mapping[str, Any], revisions: Sequence[Revision] = ()) -> None:
        """Put a chunk down, and have the disk hold it. Raises StateError where it is full."""
        with _writing(self.path), self.path.open("ab") as file:
            file.write(_frame(head, _packed(revisions) if revisions else b""))
            file.flush()
            os.fsync(file.fileno())
        self._count(head)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the frames after the first, one in memory at a time."""
        with self.path.open("rb") as file:
            for head, body in islice(_frames(file), 1, None):
                yield head, _unpacked(body) if body else []

    def heads(self) -> Iterator[dict[str, Any]]:
        """Yield the heads of the frames after the first, without what is in them."""
        with self.path.open("rb") as file:
            for head, _ in islice(_frames(file), 1, None):
                yield head

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _count(self, head: Mapping[str, Any]) -> None:
        self.last = dict(head)
        self.frames += 1


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            f"work cannot be put aside ({error.strerror})",
            where=str(path),
            remedy="free space there; nothing was stored yet, and what was put aside is kept",
        ) from error


def _frame(head: Mapping[str, Any], body: bytes) -> bytes:
    packed = json.dumps(head).encode()
    check = zlib.crc32(body, zlib.crc32(packed))
    return _FRAME.pack(len(packed), len(body), check) + packed + body


def _frames(file: BinaryIO) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield head and body of each whole frame; what comes after the first that is not, is lost."""
    while len(sizes := file.read(_FRAME.size)) == _FRAME.size:
        head_bytes, body_bytes, check = _FRAME.unpack(sizes)
        head, body = file.read(head_bytes), file.read(body_bytes)
        if len(body) < body_bytes or zlib.crc32(body, zlib.crc32(head)) != check:
            return
        yield json.loads(head), body


def _packed(revisions: Sequence[Revision]) -> bytes:
    rows = [revision_row(one, recorded_at=one.fetched_at) for one in revisions]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, REVISIONS, options=_COMPRESSED) as stream:
        stream.write_table(pa.Table.from_pylist(rows, schema=REVISIONS))
    return sink.getvalue().to_pybytes()


def _unpacked(body: bytes) -> list[Revision]:
    rows: list[Row] = pa.ipc.open_stream(body).read_all().to_pylist()
    return [revision_of(row) for row in rows]
