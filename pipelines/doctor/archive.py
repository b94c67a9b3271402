"""The archive against itself and against `captures`: one pass over each WARC file."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from pipelines import sums, warc
from pipelines.doctor.findings import BACKUP, Finding
from pipelines.doctor.snapshot import Snapshot, Stray
from pipelines.errors import ArchiveError
from pipelines.schema import TABLES, Row
from pipelines.spool import pending_captures
from pipelines.sql import connect_offline, scan

_REMEDY = f"{BACKUP}; what was extracted from it stays in the lake"
_SUMS = "when nothing else is said of the WARC file, delete it: the next crawl writes it anew"
_ROWS_AT_ONCE = 10_000
_BUFFER = 1 << 20
_GZIP = zlib.MAX_WBITS + 16
_SAID = ("site", "kind", "run_id", "requested_url")


def check_archive(snapshot: Snapshot) -> Iterator[Finding]:
    """Hold each WARC file against its sum, its digests and the rows of its records."""
    left = {path for path in snapshot.files if path.startswith("warc/")}
    for path, rows in groupby(_captures(snapshot), key=lambda row: str(row["warc_path"])):
        expected = list(rows)
        if path in left:
            yield from _WarcFile(snapshot, path, expected).check()
        else:
            yield _error(path, f"is missing; {len(expected)} captures lie in it", _REMEDY)
        left.discard(path)
    for path in sorted(left, key=warc.place_in_time):
        yield from _WarcFile(snapshot, path, None).check()
        if "captures" not in snapshot.unreadable:
            yield _without_rows(path, snapshot.strays.get(path))


def _without_rows(path: str, why: Stray | None) -> Finding:
    what, remedy = {
        "copy": ("is a copy of a file that is in the lake", "delete it: nobody needs it"),
        "foreign": (
            "is a WARC file that no Sitrep wrote",
            "move it out of the lake, and `sitrep import` it",
        ),
        None: (
            "none of its records has a row in captures",
            "the next crawl takes it up; a crawl that runs now is about to",
        ),
    }[why]
    return Finding(check="archive", level="warning", where=path, what=what, remedy=remedy)


def check_spool(spool: Path) -> Iterator[Finding]:
    """Say what waits in the spool."""
    if pending := pending_captures(spool):
        yield Finding(
            check="spool",
            level="warning",
            where=str(spool),
            what=f"{pending} captures wait for their verdict",
            remedy="the next crawl takes them up; a crawl that runs now is about to",
        )


def _captures(snapshot: Snapshot) -> Iterator[Row]:
    with connect_offline(snapshot.storage) as connection:
        files = snapshot.parts.get("captures", ())
        scan(connection, files, TABLES["captures"]).create_view("captures")
        sql = "SELECT * FROM captures ORDER BY warc_path, warc_offset"
        result = connection.execute(sql)
        names = [one[0] for one in result.description]
        while rows := result.fetchmany(_ROWS_AT_ONCE):
            yield from (dict(zip(names, row, strict=True)) for row in rows)


class _WarcFile:
    """One file, with its rows by offset; None for a file that has none at all."""

    def __init__(self, snapshot: Snapshot, path: str, rows: Sequence[Row] | None):
        self._storage = snapshot.storage
        self._path = path
        self._has_rows = rows is not None
        self._rows = {int(row["warc_offset"]): row for row in rows or ()}

    def check(self) -> Iterator[Finding]:
        is_right = True
        for finding in self._records():
            is_right = False
            yield finding
        if is_right:
            for row in self._rows.values():
                yield self._at(int(row["warc_offset"]), "the record is missing")

    def _records(self) -> Iterator[Finding]:
        found = False
        with self._storage.open(self._path) as raw:
            hashing = _Hashing(raw)
            try:
                for finding in self._exchanges(io.BufferedReader(hashing, _BUFFER)):
                    found = True
                    yield finding
            except (ArchiveError, warc.CutError) as error:
                yield _unreadable(self._path, error)
                return
            if not found:
                yield from self._sum(hashing)

    def _exchanges(self, file: BinaryIO) -> Iterator[Finding]:
        waiting: warc.Record | None = None
        ours = False
        for record in warc.records(file, where=self._path):
            ours = ours or warc.is_ours(record)
            if waiting is not None and ours:
                yield from self._metadata(waiting, record)
            waiting = record if record.type in warc.CAPTURES else None
            for what in _wrong_of_record(record, ours=ours):
                yield self._at(record.offset, what, record=record)
            if record.type in warc.CAPTURES and self._has_rows:
                yield from self._row(record)
        if waiting is not None and ours:
            yield self._at(waiting.offset, "its metadata record is missing", record=waiting)

    def _row(self, record: warc.Record) -> Iterator[Finding]:
        row = self._rows.get(record.offset)
        if row is None:
            url = record.headers.get("warc-target-uri", "")
            yield _error(
                f"{self._path}, offset {record.offset}",
                f"record {record.id} has no row in captures",
                f"the bytes are there; `sitrep recrawl {url}` brings what it held",
            )
            return
        wrong = [name for name, value in _told(record).items() if row[name] != value]
        if wrong:
            what = f"differs from its row in captures: {', '.join(wrong)}"
            yield self._at(record.offset, what, record=record)

    def _metadata(self, record: warc.Record, following: warc.Record) -> Iterator[Finding]:
        """Hold a response against the record after it, and that against the response's row."""
        row = self._rows.pop(record.offset, None)
        same = ("warc-target-uri", "warc-date", "warc-warcinfo-id")
        headers = following.headers
        if following.type != "metadata" or headers.get("warc-concurrent-to") != record.id:
            yield self._at(record.offset, "its metadata record is missing", record=record)
        elif any(headers.get(name) != record.headers.get(name) for name in same):
            yield self._at(following.offset, "is not of its response", record=following)
        elif row is not None:
            said = _json_of(following.block)
            if wrong := [name for name in _SAID if said.get(name) != row[name]]:
                what = f"differs from its row in captures: {', '.join(wrong)}"
                yield self._at(following.offset, what, record=following)

    def _sum(self, hashing: _Hashing) -> Iterator[Finding]:
        """Hold the whole file against its sum: gzip has bytes that no digest covers."""
        name = self._path.removesuffix(".warc.gz")
        said = (sums.read(self._storage, name) or {}).get(self._path)
        if said is not None and said["sha256"] == hashing.digest:
            return
        if said is not None:
            yield self._at(self._odd_member(), "a byte was altered that its records do not need")
        elif self._storage.exists(sums.at(name)):
            yield _error(sums.at(name), "cannot be read as it was written", _SUMS)
        elif self._has_rows:
            yield Finding(
                check="archive",
                level="warning",
                where=self._path,
                what="nothing says what its content was",
                remedy="the next crawl writes its sum down",
            )

    def _odd_member(self) -> int | None:
        """Return where the one member lies that is not as we write it; None where that is many.

        Another zlib than the one that wrote the file may pack all of them otherwise.
        """
        odd = []
        with self._storage.open(self._path) as file, self._storage.open(self._path) as again:
            for record in warc.records(file, where=self._path):
                again.seek(record.offset)
                member = again.read(record.length)
                if _packed(zlib.decompress(member, _GZIP)) != member:
                    odd.append(record.offset)
        return odd[0] if len(odd) == 1 else None

    def _at(self, offset: int | None, what: str, *, record: warc.Record | None = None) -> Finding:
        where = self._path if offset is None else f"{self._path}, offset {offset}"
        named = f"{record.type} {record.id}: {what}" if record else what
        return _error(where, named, _REMEDY)


class _Hashing(io.RawIOBase):
    """A file whose content is summed up while it is read, from its beginning to its end."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        self._hash.update(data)
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._file.tell()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _packed(data: bytes) -> bytes:
    compressor = zlib.compressobj(warc.GZIP_LEVEL, zlib.DEFLATED, _GZIP)
    return compressor.compress(data) + compressor.flush()


def _wrong_of_record(record: warc.Record, *, ours: bool) -> Iterator[str]:
    said = record.headers.get("warc-block-digest")
    if (said or ours) and said != warc.sha1(record.block):
        yield "its block is not what its digest says"
    said = record.headers.get("warc-payload-digest")
    if ours and record.type == "response" and said != warc.sha1(_payload(record)):
        yield "its payload is not what its digest says"


def _told(record: warc.Record) -> Mapping[str, Any]:
    """Return what a record says of what its row says too."""
    head, _, payload = record.block.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    told: dict[str, Any] = {
        "warc_record_id": record.id,
        "warc_length": record.length,
        "url": record.headers.get("warc-target-uri", "").strip("<>"),
        "fetched_at": warc.time_of(record.headers.get("warc-date", "")),
        "status": int(lines[0].split(" ")[1]),
    }
    if digest := record.headers.get("warc-payload-digest"):
        told["payload_digest"] = digest
    if record.type == "response":
        # A revisit's row tells of what it repeats, too.
        headers = warc.header_map(lines[1:])
        told |= {
            "payload_bytes": len(payload),
            "content_type": headers.get("content-type"),
            "etag": headers.get("etag"),
            "last_modified": headers.get("last-modified"),
        }
    return told


def _payload(record: warc.Record) -> bytes:
    return record.block.partition(b"\r\n\r\n")[2]


def _json_of(block: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(block)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _unreadable(path: str, error: ArchiveError | warc.CutError) -> Finding:
    if isinstance(error, warc.CutError):
        return _error(f"{path}, offset {error.offset}", "the file ends inside a record", _REMEDY)
    return _error(error.where or path, error.message, _REMEDY)


def _error(where: str, what: str, remedy: str) -> Finding:
    return Finding(check="archive", level="error", where=where, what=what, remedy=remedy)
