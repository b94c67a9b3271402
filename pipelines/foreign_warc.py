"""WARC files as others write them: every record, and every fault with where it is.

The framing is our own, over zlib, since both libraries were tried on bad files. FastWARC 2.0 ends
without a word where a record's head or a gzip member's checksum is cut, and gives no place for a
record that does not begin its member; warcio 1.8 does the same of a cut head, refuses gzip of a
single member, and reads a record without Content-Length to the end of the file into memory.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import ArchiveError
from pipelines.warc import header_map

# A crawl refuses a response beyond 32 MiB; its head comes on top.
MOST_HELD_BYTES = 33 << 20
# What inflates to more is a bomb, or a film.
MOST_BYTES = 1 << 30
MOST_HEAD_BYTES = 1 << 20
_CHUNK = 1 << 17
# As much as one look into a member needs to see whether a record begins there.
_GLIMPSE = 4096

_GZIP = b"\x1f\x8b\x08"
_BEGINNING = b"WARC/"
_BLANK = re.compile(rb"[\r\n]*")
_FOLD = re.compile(r"\r?\n[ \t]+")
_NOT_WARC = (
    (b"", "holds no record", "copy it here again"),
    (
        b"filedesc://",
        "is an ARC file, which is not supported",
        "make it a WARC file with `warcio recompress FILE.arc.gz FILE.warc.gz`",
    ),
    (b"PK\x03\x04", "is a zip file", "if it is WACZ, unzip it and name the files in archive/"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd, which is not supported", "unpack it: `zstd -d`"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRecord:
    """One record. `headers` have lower-case names.

    `block` is None where it was not asked for; `is_too_large`, where it was and is beyond what is
    held. `offset` is where the record begins in the file, or the gzip member that holds its first
    byte: reading can begin there only when `is_at_offset`.
    """

    headers: Mapping[str, str]
    block: bytes | None
    is_too_large: bool
    offset: int
    is_at_offset: bool

    @property
    def type(self) -> str:
        return self.headers.get("warc-type", "").lower()

    @property
    def id(self) -> str:
        return self.headers.get("warc-record-id", "")

    @property
    def url(self) -> str:
        # wget 1.19 puts it in angle brackets.
        return self.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong at `offset`. Reading goes on behind it where another gzip member begins."""

    offset: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"offset {self.offset}: {self.what}; {self.remedy}"


Wants = Callable[[ForeignRecord], bool]


class _FaultError(Exception):
    def __init__(self, fault: Fault):
        super().__init__(str(fault))
        self.fault = fault


def open_foreign(path: Path) -> BinaryIO:
    """Open a WARC file. Raises ArchiveError, with a remedy, where it is none."""
    if path.is_dir():
        raise ArchiveError(
            "is a folder", where=str(path), remedy=f"name the files in it: {path}/*.warc.gz"
        )
    try:
        file = path.open("rb")
        if not file.seekable():
            raise ArchiveError("cannot be read twice", where=str(path), remedy="name a file")
    except OSError as error:
        raise ArchiveError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="name a file that can"
        ) from error
    try:
        _refuse_other(file, path)
    except BaseException:
        file.close()
        raise
    return file


def records(file: BinaryIO, *, wants: Wants, start: int = 0) -> Iterator[ForeignRecord | Fault]:
    """Yield the records from offset `start` on, and what is wrong between them.

    `wants` is shown each record without its block, and says whether it is to be held.
    """
    place: int | None = start
    while place is not None:
        stream = _Stream(file, place)
        try:
            yield from _whole_records(stream, wants)
        except _FaultError as error:
            yield error.fault
            place = _next_member(file, error.fault.offset + 1) if stream.is_gzip else None
        else:
            return


def record_at(file: BinaryIO, offset: int) -> ForeignRecord | Fault | None:
    """Return the record that begins at `offset`, with its block."""
    return next(records(file, wants=lambda _: True, start=offset), None)


def _refuse_other(file: BinaryIO, path: Path) -> None:
    beginning = file.read(_GLIMPSE)
    if beginning.startswith(_GZIP):
        beginning = _glimpse(beginning)
    for other, what, remedy in _NOT_WARC:
        if beginning.startswith(other) and (other or not beginning):
            raise ArchiveError(what, where=str(path), remedy=remedy)
    if not beginning.lstrip(b"\r\n").startswith(_BEGINNING):
        raise ArchiveError(
            "is no WARC file", where=str(path), remedy="name files that begin with a WARC record"
        )


def _glimpse(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS + 16).decompress(data, _GLIMPSE)
    except zlib.error:
        return b"?"


# --- records ----------------------------------------------------------------------------------


def _whole_records(stream: _Stream, wants: Wants) -> Iterator[ForeignRecord]:
    is_more = stream.skip_blank()
    while is_more:
        record = _record(stream, wants)
        try:
            # Only here is the end of its member read, with the checksum.
            is_more = stream.skip_blank()
        except _FaultError as error:
            if error.fault.offset != record.offset:
                yield record
            raise
        yield record


def _record(stream: _Stream, wants: Wants) -> ForeignRecord:
    offset, is_at_offset = stream.place()
    head = stream.read_head(offset)
    headers = header_map(_FOLD.sub(" ", head).split("\r\n")[1:])
    size = _size(headers, offset)
    if size > MOST_BYTES and stream.is_gzip:
        raise _fault(offset, "a record says that it is larger than a gigabyte")
    bare = ForeignRecord(
        headers=headers, block=None, is_too_large=False, offset=offset, is_at_offset=is_at_offset
    )
    is_wanted = wants(bare)
    is_held = is_wanted and size <= MOST_HELD_BYTES
    block = stream.read(size, offset, keep=is_held)
    return ForeignRecord(
        headers=headers,
        block=block if is_held else None,
        is_too_large=is_wanted and not is_held,
        offset=offset,
        is_at_offset=is_at_offset,
    )


def _size(headers: Mapping[str, str], offset: int) -> int:
    text = headers.get("content-length")
    if text is None:
        raise _fault(offset, "a record has no Content-Length")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _fault(offset, "a record's Content-Length is no number of bytes")
    return int(text)


def _fault(offset: int, what: str, *, remedy: str | None = None) -> _FaultError:
    return _FaultError(
        Fault(
            offset=offset, what=what, remedy=remedy or "that record is left out; see `warcio check`"
        )
    )


def _cut(offset: int) -> _FaultError:
    return _fault(
        offset,
        "the file is cut in the middle of a record",
        remedy="what is whole before it is used; copy the file here again for the rest",
    )


# --- bytes ------------------------------------------------------------------------------------


class _Stream:
    """The bytes of a WARC file, inflated where they are gzip; knows where members begin."""

    def __init__(self, file: BinaryIO, start: int):
        file.seek(start)
        self.is_gzip = file.read(len(_GZIP)) == _GZIP
        file.seek(start)
        self._start = start
        self._chunks = _inflated(file, start) if self.is_gzip else _plain(file)
        self._buffer = b""
        self._at = 0  # how much of the buffer is read
        self._position = 0  # of the buffer in the stream
        self._members: deque[tuple[int, int]] = deque()  # (position, offset), the current one first

    def place(self) -> tuple[int, bool]:
        """Return the offset of what comes next, and whether one can begin to read there."""
        here = self._position + self._at
        if not self.is_gzip:
            return self._start + here, True
        while len(self._members) > 1 and self._members[1][0] <= here:
            self._members.popleft()
        position, offset = self._members[0]
        return offset, position == here

    def skip_blank(self) -> bool:
        """Go to what is no line's end; tell whether there is any."""
        while True:
            self._at = _BLANK.match(self._buffer, self._at).end()  # type: ignore[union-attr] # it matches nothing too
            if self._at < len(self._buffer):
                return True
            if not self._fill():
                return False

    def read_head(self, offset: int) -> str:
        """Return a record's first lines, without the blank one that ends them."""
        if not self._begins_record():
            raise _fault(offset, "no record begins where the one before ends")
        seek_from = self._at
        while (end := self._buffer.find(b"\r\n\r\n", seek_from)) < 0:
            if len(self._buffer) - self._at > MOST_HEAD_BYTES:
                raise _fault(offset, "the head of a record has no end")
            # The buffer loses its read part when it is filled.
            seek_from = max(0, len(self._buffer) - self._at - 3)
            if not self._fill():
                raise _cut(offset)
        head = self._buffer[self._at : end]
        self._at = end + 4
        return head.decode("utf-8", "replace")

    def read(self, size: int, offset: int, *, keep: bool) -> bytes:
        """Return the next `size` bytes; without `keep`, only go beyond them."""
        parts, left = [], size
        while left:
            part = self._buffer[self._at : self._at + left]
            if keep:
                parts.append(part)
            self._at += len(part)
            left -= len(part)
            if left and not self._fill():
                raise _cut(offset)
        return b"".join(parts)

    def _begins_record(self) -> bool:
        while len(self._buffer) - self._at < len(_BEGINNING) and self._fill():
            pass
        return self._buffer.startswith(_BEGINNING, self._at)

    def _fill(self) -> bool:
        begins, data = next(self._chunks, (None, b""))
        if not data:
            return False
        if begins is not None:
            self._members.append((self._position + len(self._buffer), begins))
        self._position += self._at
        self._buffer, self._at = self._buffer[self._at :] + data, 0
        return True


# What a chunk begins: the offset of a gzip member whose first bytes it holds, or None.
_Chunks = Iterator[tuple[int | None, bytes]]


def _plain(file: BinaryIO) -> _Chunks:
    while data := file.read(_CHUNK):
        yield None, data


def _inflated(file: BinaryIO, start: int) -> _Chunks:
    offset, waiting = start, file.read(_CHUNK)
    while waiting:
        inflate = zlib.decompressobj(zlib.MAX_WBITS + 16)
        begins: int | None = offset
        taken = 0
        while not inflate.eof:
            if not waiting:
                raise _cut(offset)
            try:
                data = inflate.decompress(waiting, _CHUNK)
            except zlib.error as error:
                raise _fault(offset, f"is not gzip, or damaged ({error})") from error
            rest = inflate.unconsumed_tail or inflate.unused_data
            taken += len(waiting) - len(rest)
            if data:
                yield begins, data
                begins = None
            waiting = rest if rest or inflate.eof else file.read(_CHUNK)
        offset += taken
        waiting = waiting or file.read(_CHUNK)


def _next_member(file: BinaryIO, start: int) -> int | None:
    """Return where, from `start` on, a gzip member begins that begins a record."""
    file.seek(start)
    buffer, at = file.read(_CHUNK), start
    while len(buffer) >= len(_GZIP):
        found = buffer.find(_GZIP)
        if found < 0:
            kept = buffer[-len(_GZIP) + 1 :]
        elif _begins_record(file, at + found):
            return at + found
        else:
            kept = buffer[found + 1 :]
        at += len(buffer) - len(kept)
        file.seek(at + len(kept))
        buffer = kept + (file.read(_CHUNK) if len(kept) < _CHUNK else b"")
    return None


def _begins_record(file: BinaryIO, offset: int) -> bool:
    file.seek(offset)
    return _glimpse(file.read(_GLIMPSE)).startswith(_BEGINNING)
