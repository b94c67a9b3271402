"""WARC 1.1 to the letter: one record as one gzip member, written and read back.

Reading is our own and not FastWARC's, though that is faster: of a file whose last member is cut,
FastWARC 2.0 gives the last record with an empty payload and no error, and it does not keep a
response's headers in their order (both tried). zlib tells a cut member from a wrong one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pipelines.errors import ArchiveError

GZIP_LEVEL = 6
# No record of ours comes near: a response is refused by its size long before.
MOST_BYTES = 1 << 30
_CHUNK = 1 << 17
_BREAKS = dict.fromkeys(map(ord, "\r\n\0"), " ")

NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
SAME_PAYLOAD = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
CONFORMS_TO = "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"

# Says in warcinfo that every response is followed by our metadata record.
OUR_FORMAT = "sitrep-format: 1"
CAPTURES = ("response", "revisit")

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record as it lies in a file. `headers` have lower-case names."""

    headers: dict[str, str]
    block: bytes
    offset: int
    length: int

    @property
    def type(self) -> str:
        return self.headers.get("warc-type", "")

    @property
    def id(self) -> str:
        return self.headers.get("warc-record-id", "")


class AnyRecord(Protocol):
    """What is asked of a record of ours in whatever file it lies. `block` is None if not read."""

    @property
    def type(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def block(self) -> bytes | None: ...


class CutError(Exception):
    """The file ends inside a member, which begins at `offset`."""

    def __init__(self, offset: int):
        super().__init__(offset)
        self.offset = offset


def place_in_time(path: Path | str) -> tuple[str, int]:
    """Return what sorts WARC files as they were written: by run, then by number, not by its text.

    >>> place_in_time("warc/2024/05/r1-2.warc.gz") < place_in_time("r1-10.warc.gz.open")
    True
    """
    run, _, n = Path(path).name.partition(".")[0].rpartition("-")
    return run, int(n) if n.isdigit() else 0


def begun_at(path: str) -> datetime | None:
    """Return when the run began that wrote a WARC file; None where its name does not say.

    >>> begun_at("warc/2024/05/20240501T101530Z-7adcb0-1.warc.gz")
    datetime.datetime(2024, 5, 1, 10, 15, 30, tzinfo=datetime.timezone.utc)
    """
    try:
        return datetime.strptime(Path(path).name.partition("-")[0], "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None


def is_ours(record: AnyRecord) -> bool:
    return record.type == "warcinfo" and OUR_FORMAT.encode() in (record.block or b"")


def said_of(record: AnyRecord, following: AnyRecord | None) -> dict[str, Any]:
    """Return what our metadata record, if `following` is that of `record`, says of it."""
    if following is None or following.type != "metadata":
        return {}
    if following.headers.get("warc-concurrent-to") != record.id:
        return {}
    try:
        said = json.loads(following.block or b"")
    except ValueError:
        return {}
    return said if isinstance(said, dict) and "kind" in said else {}


def first_capture(file: BinaryIO, *, where: str) -> str | None:
    """Return the id of a file's first response; None where there is none to be read."""
    with suppress(ArchiveError, CutError):
        for record in records(file, where=where):
            if record.type in CAPTURES:
                return record.id
    return None


def not_ours(where: str) -> ArchiveError:
    """Return the error of a file that others wrote, put where our own lie."""
    return ArchiveError(
        "is no archive of a Sitrep",
        where=where,
        remedy="take it away from there; `sitrep import` reads it from any other place",
    )


def sha1(data: bytes) -> str:
    """Return the digest as WARC tools write it.

    >>> sha1(b"")
    'sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ'
    """
    digest = hashlib.sha1(data, usedforsecurity=False).digest()
    return f"sha1:{base64.b32encode(digest).decode()}"


def member(headers: Headers, block: bytes) -> bytes:
    """Return the record as a gzip member; Content-Length and block digest are added."""
    lines = ["WARC/1.1"]
    lines += [f"{name}: {one_line(value)}" for name, value in headers]
    lines += [f"WARC-Block-Digest: {sha1(block)}", f"Content-Length: {len(block)}", "", ""]
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    parts = ("\r\n".join(lines).encode(), block, b"\r\n\r\n")
    return b"".join(compressor.compress(part) for part in parts) + compressor.flush()


def one_line(text: str) -> str:
    """Fold `text` into one line, so that nobody's header can begin another."""
    return text.translate(_BREAKS).strip()


def warc_date(when: datetime) -> str:
    """Write a time as WARC 1.1 has it, to the microsecond."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time_of(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def records(file: BinaryIO, *, where: str) -> Iterator[Record]:
    """Yield the records from where `file` stands.

    Raises CutError at a member that the end of the file cuts, ArchiveError at one that is wrong.
    """
    for offset, length, data in _members(file, where=where):
        yield parse(data, offset=offset, length=length, where=where)


def parse(data: bytes, *, offset: int, length: int, where: str) -> Record:
    head, parted, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("utf-8", "replace").split("\r\n")
    if not parted or not lines[0].startswith("WARC/"):
        raise _wrong("is not a WARC record", where=where, offset=offset)
    headers = header_map(lines[1:])
    size = headers.get("content-length", "")
    if not size.isdigit() or int(size) > len(rest):
        raise _wrong("a record's Content-Length is wrong", where=where, offset=offset)
    if len(rest) > int(size) + 4:
        raise _wrong(
            "has several records in one gzip member",
            where=where,
            offset=offset,
            remedy="rewrite it with a member a record (`warcio recompress`)",
        )
    return Record(headers=headers, block=rest[: int(size)], offset=offset, length=length)


def header_map(lines: Sequence[str]) -> dict[str, str]:
    """Return headers by lower-case name; what comes several times is joined by a comma."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _members(file: BinaryIO, *, where: str) -> Iterator[tuple[int, int, bytes]]:
    offset, waiting = file.tell(), b""
    while waiting := waiting or file.read(_CHUNK):
        data, length, waiting = _member(file, waiting, where=where, offset=offset)
        yield offset, length, data
        offset += length


def _member(file: BinaryIO, waiting: bytes, *, where: str, offset: int) -> tuple[bytes, int, bytes]:
    """Return what the member at `offset` holds, its length, and what was read beyond it."""
    inflate = zlib.decompressobj(zlib.MAX_WBITS + 16)
    parts, taken, size = [], 0, 0
    while not inflate.eof:
        if not waiting:
            raise CutError(offset)
        try:
            parts.append(inflate.decompress(waiting))
        except zlib.error as error:
            raise _wrong(f"is not gzip there ({error})", where=where, offset=offset) from error
        taken += len(waiting)
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise _wrong("a record is larger than a gigabyte", where=where, offset=offset)
        waiting = b"" if inflate.eof else file.read(_CHUNK)
    rest = inflate.unused_data
    return b"".join(parts), taken - len(rest), rest


def _wrong(message: str, *, where: str, offset: int, remedy: str | None = None) -> ArchiveError:
    return ArchiveError(message, where=f"{where}, offset {offset}", remedy=remedy)
