"""The archive: what came over the wire, kept before anything is made of it.

Each exchange is a `response` (or `revisit`) record and, right after it, a `metadata` record with
what the crawler knew of it, so that an article can be extracted again from the archive alone.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from pipelines import warc
from pipelines.content_coding import decoded
from pipelines.errors import ArchiveError
from pipelines.model import NO_HINTS, Hints, Kind, Page, RecordLocation
from pipelines.spool import OPEN_SUFFIX, claim_dead, create, whole_length
from pipelines.storage import Storage

__all__ = [
    "Exchange",
    "RevisitOf",
    "WarcWriter",
    "claim_dead",
    "read_page",
    "read_pages",
    "warc_path_of",
    "whole_length",
]

logger = logging.getLogger(__name__)

_MOST_REVISITS = 8

Text = str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisitOf:
    """The capture whose bytes a new one repeats, as its row in `captures` has it.

    Without `payload_digest` only a 304 becomes a revisit: equal bytes are never taken on trust.
    """

    warc_record_id: str
    url: str
    fetched_at: datetime
    warc_path: str
    warc_offset: int
    payload_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One response as it came: `payload` is free of transfer coding, still content-encoded."""

    site: str
    kind: Kind
    run_id: str
    requested_url: str
    url: str
    status: int
    reason: str = ""
    http_version: str = "HTTP/1.1"
    headers: Sequence[tuple[Text, Text]] = ()
    payload: bytes = b""
    fetched_at: datetime
    ip: str | None = None
    redirected_from: tuple[str, ...] = ()
    hints: Hints = NO_HINTS
    revisit_of: RevisitOf | None = None


class WarcWriter:
    """One open file of the archive, in the spool; for one thread.

    The file is locked until `release`, or until the process ends, however it ends: that tells
    other processes whether someone still writes here or is about to move it.
    """

    def __init__(
        self,
        spool: Path,
        *,
        run_id: str,
        n: int,
        software: str,
        clock: Callable[[], datetime],
        robots: str = "obey",
    ):
        self.opened_at = clock()
        name = f"{run_id}-{n}.warc.gz"
        self.warc_path = f"warc/{self.opened_at:%Y/%m}/{name}"
        self.path = spool / f"{name}{OPEN_SUFFIX}"
        self.size = 0
        self._closed = False
        self._info_id = _new_id()
        self._file = create(self.path)
        self._append(self._warcinfo(name=name, run_id=run_id, software=software, robots=robots))

    def write(self, exchange: Exchange) -> RecordLocation:
        """Append the exchange, both records in one write. Raises ArchiveError, nothing written."""
        record_id = _new_id()
        response = _response(exchange, record_id=record_id, info_id=self._info_id)
        metadata = _metadata(exchange, record_id=record_id, info_id=self._info_id)
        location = RecordLocation(
            warc_path=self.warc_path,
            warc_offset=self.size,
            warc_length=len(response),
            warc_record_id=record_id,
        )
        self._append(response + metadata)
        return location

    def sync(self) -> None:
        """Have the disk hold what was written; only then may a page be acknowledged."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> Path:
        """Sync and write no more. The lock stays until `release`, so that nobody takes it up."""
        if not self._closed:
            self.sync()
            self._closed = True
        return self.path

    def release(self) -> None:
        """Let go of the file: it is in the lake, or others may take it up."""
        self._closed = True
        self._file.close()

    def _append(self, data: bytes) -> None:
        if self._closed:
            raise ArchiveError("is closed; nothing can be written", where=str(self.path))
        try:
            _write_whole(self._file, data)
        except OSError as error:
            self._file.truncate(self.size)
            self._file.seek(self.size)
            raise self._unwritable(error) from error
        self.size += len(data)

    def _warcinfo(self, *, name: str, run_id: str, software: str, robots: str) -> bytes:
        headers = [
            ("WARC-Type", "warcinfo"),
            ("WARC-Record-ID", self._info_id),
            ("WARC-Date", warc.warc_date(self.opened_at)),
            ("WARC-Filename", name),
            ("Content-Type", "application/warc-fields"),
        ]
        lines = [
            f"software: {warc.one_line(software)}",
            "format: WARC File Format 1.1",
            f"conformsTo: {warc.CONFORMS_TO}",
            f"robots: {warc.one_line(robots)}",
            f"isPartOf: {run_id}",
            warc.OUR_FORMAT,
        ]
        return warc.member(headers, "".join(f"{line}\r\n" for line in lines).encode())

    def _unwritable(self, error: OSError) -> ArchiveError:
        return ArchiveError(
            f"cannot be written ({error.strerror}); what was written before is whole",
            where=str(self.path),
            remedy="free space there, or set SITREP_SPOOL to another disk, and crawl again",
        )


def read_page(
    storage: Storage, location: RecordLocation | tuple[str, int], *, spool: Path | None = None
) -> Page:
    """Return the page at `location`, or at (path, offset), with the bytes of what it repeats.

    A file not yet moved to the lake is found in `spool`. Raises ArchiveError, which names file
    and offset. A payload that is not what its Content-Encoding says gives an empty body, with a
    warning, while `payload_bytes` is not 0.
    """
    path, offset = location if isinstance(location, tuple) else _at(location)
    files = _Files(storage=storage, spool=spool)
    with files.open(path, offset) as file:
        found = _whole(warc.records(file, where=path), where=path)
        record = next(found, None)
        if record is None or record.type not in warc.CAPTURES:
            raise ArchiveError("no response is there", where=f"{path}, offset {offset}")
        following = next(found, None)
    if isinstance(location, RecordLocation) and record.id != location.warc_record_id:
        raise ArchiveError("another record is there", where=f"{path}, offset {offset}")
    return _page(record, following, path=path, files=files)


def read_pages(
    source: Path | str, *, storage: Storage | None = None, warc_path: str | None = None
) -> Iterator[Page]:
    """Yield every page of a file: a local one (`Path`), or one of the lake (`str`).

    Stops with a warning where the end is cut off. A revisit whose original cannot be found is
    left out, with a warning. `warc_path` is where the file will lie in the lake, when the file
    does not say so itself.
    """
    files = _Files(storage=storage, spool=source.parent if isinstance(source, Path) else None)
    with _open_source(source, files) as file:
        path = warc_path or (_lake_path(file, source) if isinstance(source, Path) else source)
        files.own = (path, source if isinstance(source, Path) else None)
        for record, following in _exchanges(file, where=str(source)):
            try:
                yield _page(record, following, path=path, files=files)
            except ArchiveError as error:
                logger.warning("left out: %s", error)


def warc_path_of(spool_file: Path) -> str:
    """Return where a spool file will lie in the lake, by its name and its first record's date."""
    with spool_file.open("rb") as file:
        return _lake_path(file, spool_file)


# --- writing ---------------------------------------------------------------------------------


def _new_id() -> str:
    return f"<urn:uuid:{uuid4()}>"


def _write_whole(file: io.FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) or 0 :]


def _response(exchange: Exchange, *, record_id: str, info_id: str) -> bytes:
    payload = b"" if exchange.status == 304 else exchange.payload
    digest = warc.sha1(payload)
    revisit = _revisit_headers(exchange, digest=digest)
    headers = [
        ("WARC-Type", "revisit" if revisit else "response"),
        ("WARC-Record-ID", record_id),
        ("WARC-Warcinfo-ID", info_id),
        ("WARC-Target-URI", _header_url(exchange.url)),
        ("WARC-Date", warc.warc_date(exchange.fetched_at)),
        *([("WARC-IP-Address", exchange.ip)] if exchange.ip else []),
        *revisit,
        ("Content-Type", "application/http; msgtype=response"),
        ("WARC-Payload-Digest", digest),
    ]
    return warc.member(headers, _http_head(exchange) + (b"" if revisit else payload))


def _revisit_headers(exchange: Exchange, *, digest: str) -> list[tuple[str, str]]:
    original = exchange.revisit_of
    if original is None:
        return []
    if exchange.status != 304 and digest != original.payload_digest:
        return []
    return [
        ("WARC-Profile", warc.NOT_MODIFIED if exchange.status == 304 else warc.SAME_PAYLOAD),
        ("WARC-Refers-To", original.warc_record_id),
        ("WARC-Refers-To-Target-URI", _header_url(original.url)),
        ("WARC-Refers-To-Date", warc.warc_date(original.fetched_at)),
        ("WARC-Refers-To-Filename", original.warc_path),
        ("WARC-Refers-To-File-Offset", str(original.warc_offset)),
    ]


def _metadata(exchange: Exchange, *, record_id: str, info_id: str) -> bytes:
    headers = [
        ("WARC-Type", "metadata"),
        ("WARC-Record-ID", _new_id()),
        ("WARC-Warcinfo-ID", info_id),
        ("WARC-Concurrent-To", record_id),
        ("WARC-Target-URI", _header_url(exchange.url)),
        ("WARC-Date", warc.warc_date(exchange.fetched_at)),
        ("Content-Type", "application/json"),
    ]
    said = {
        "site": exchange.site,
        "kind": str(exchange.kind),
        "run_id": exchange.run_id,
        "requested_url": exchange.requested_url,
        "redirected_from": exchange.redirected_from,
        "hints": {name: value for name, value in asdict(exchange.hints).items() if value},
    }
    # Escaped, since a hint may hold half a character, which UTF-8 cannot.
    return warc.member(headers, json.dumps(said).encode())


def _http_head(exchange: Exchange) -> bytes:
    """Return status line and headers, those of the transfer put right: it is undone already."""
    version = exchange.http_version if exchange.http_version.startswith("HTTP/") else "HTTP/1.1"
    lines = [f"{version} {exchange.status} {warc.one_line(exchange.reason)}"]
    for name, value in ((_text(name), _text(value)) for name, value in exchange.headers):
        if name.lower() == "transfer-encoding":
            lines.append(f"X-Archive-Orig-{name}: {value}")
        elif name and name.lower() != "content-length":
            lines.append(f"{name}: {value}")
    if exchange.status != 304:
        lines.append(f"Content-Length: {len(exchange.payload)}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")


def _text(value: Text) -> str:
    return warc.one_line(value.decode("latin-1") if isinstance(value, bytes) else value)


def _header_url(url: str) -> str:
    return warc.one_line(url).replace(" ", "%20")


# --- reading ---------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Files:
    """Where a file of the archive is found: the file being read, the lake, the spool."""

    storage: Storage | None
    spool: Path | None
    own: tuple[str, Path | None] = ("", None)

    def open(self, path: str, offset: int) -> BinaryIO:
        if path == self.own[0] and self.own[1]:
            return _open_at(self.own[1], offset)
        for name in _spool_names(path, self.spool):
            if name.exists():
                return _open_at(name, offset)
        if self.storage is None:
            raise ArchiveError("the file is not at hand", where=f"{path}, offset {offset}")
        try:
            return self.storage.open(path, offset=offset)
        except OSError as error:
            raise ArchiveError(
                f"cannot be read ({error.strerror})", where=f"{path}, offset {offset}"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Http:
    status: int
    headers: Mapping[str, str]
    payload: bytes


def _at(location: RecordLocation) -> tuple[str, int]:
    return location.warc_path, location.warc_offset


def _spool_names(path: str, spool: Path | None) -> list[Path]:
    name = path.rpartition("/")[2]
    return [spool / f"{name}{OPEN_SUFFIX}", spool / name] if spool else []


def _open_at(path: Path, offset: int) -> BinaryIO:
    file = path.open("rb")
    file.seek(offset)
    return file


def _open_source(source: Path | str, files: _Files) -> BinaryIO:
    if isinstance(source, str):
        return files.open(source, 0)
    try:
        return source.open("rb")
    except OSError as error:
        raise ArchiveError(f"cannot be read ({error.strerror})", where=str(source)) from error


def _whole(found: Iterator[warc.Record], *, where: str) -> Iterator[warc.Record]:
    try:
        yield from found
    except warc.CutError as cut:
        raise ArchiveError(
            "the file ends in the middle of a record", where=f"{where}, offset {cut.offset}"
        ) from cut


def _exchanges(file: BinaryIO, *, where: str) -> Iterator[tuple[warc.Record, warc.Record | None]]:
    """Yield each response with the record after it, if that is its metadata."""
    waiting: warc.Record | None = None
    ours = False
    try:
        for record in warc.records(file, where=where):
            ours = ours or warc.is_ours(record)
            if waiting is not None:
                yield waiting, record
            waiting = record if record.type in warc.CAPTURES else None
    except warc.CutError as cut:
        logger.warning("%s: cut at offset %d; the rest is lost", where, cut.offset)
    # One of ours without its metadata was cut there, and never acknowledged.
    if waiting is not None and not ours:
        yield waiting, None


def _lake_path(file: BinaryIO, source: Path) -> str:
    """Return `warc/YYYY/MM/name` by the file's first record; `file` is left at its beginning."""
    name = source.name.removesuffix(OPEN_SUFFIX)
    try:
        first = next(warc.records(file, where=str(source)), None)
    except warc.CutError:
        first = None
    file.seek(0)
    if first is None or "warc-date" not in first.headers:
        raise ArchiveError("is no WARC file", where=str(source))
    return f"warc/{warc.time_of(first.headers['warc-date']):%Y/%m}/{name}"


def _page(record: warc.Record, following: warc.Record | None, *, path: str, files: _Files) -> Page:
    where = f"{path}, offset {record.offset}"
    said = _said(record, following)
    http = _http(record, where=where, files=files, depth=0)
    url = record.headers.get("warc-target-uri", "").strip("<>")
    return Page(
        site=said.get("site", ""),
        kind=Kind(said.get("kind", Kind.ARTICLE)),
        run_id=said.get("run_id", ""),
        url=url,
        requested_url=said.get("requested_url", url),
        status=http.status,
        headers=http.headers,
        body=_body(http, where=where),
        fetched_at=warc.time_of(record.headers.get("warc-date", "")),
        hints=_hints(said.get("hints", {})),
        payload_digest=_payload_digest(record, http),
        payload_bytes=0 if http.status == 304 else len(http.payload),
        location=RecordLocation(
            warc_path=path,
            warc_offset=record.offset,
            warc_length=record.length,
            warc_record_id=record.id,
        ),
    )


def _said(record: warc.Record, following: warc.Record | None) -> dict[str, Any]:
    if following is None or following.type != "metadata":
        return {}
    if following.headers.get("warc-concurrent-to") != record.id:
        return {}
    try:
        said = json.loads(following.block)
    except ValueError:
        return {}
    return said if isinstance(said, dict) and "kind" in said else {}


def _hints(said: Mapping[str, Any]) -> Hints:
    fields: dict[str, Any] = {}
    for name in Hints.__dataclass_fields__.keys() & said.keys():
        fields[name] = tuple(said[name]) if isinstance(said[name], list) else said[name]
    return Hints(**fields)


def _payload_digest(record: warc.Record, http: _Http) -> str:
    payload = b"" if http.status == 304 else http.payload
    return record.headers.get("warc-payload-digest") or warc.sha1(payload)


def _http(record: warc.Record, *, where: str, files: _Files, depth: int) -> _Http:
    head, _, payload = record.block.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if not version.startswith("HTTP/") or not rest[:3].isdigit():
        raise ArchiveError("the record holds no HTTP response", where=where)
    headers = warc.header_map(lines[1:])
    if record.type != "revisit":
        return _Http(status=int(rest[:3]), headers=headers, payload=_joined(payload, headers))
    original = _original(record, where=where, files=files, depth=depth + 1)
    # A 304 speaks anew of the entity's validators and age, but not of how its bytes are coded.
    kept = {n: v for n, v in original.headers.items() if n.startswith("content-")}
    merged = {**original.headers, **headers, **kept}
    return _Http(status=int(rest[:3]), headers=merged, payload=original.payload)


def _original(record: warc.Record, *, where: str, files: _Files, depth: int) -> _Http:
    path = record.headers.get("warc-refers-to-filename", "")
    offset = record.headers.get("warc-refers-to-file-offset", "")
    if not path or not offset.isdigit() or depth > _MOST_REVISITS:
        raise ArchiveError("does not say where the bytes are that it repeats", where=where)
    there = f"{path}, offset {offset}"
    with files.open(path, int(offset)) as file:
        found = next(_whole(warc.records(file, where=path), where=path), None)
    if found is None or found.id != record.headers.get("warc-refers-to"):
        raise ArchiveError(f"the bytes that {where} repeats are not there", where=there)
    return _http(found, where=there, files=files, depth=depth)


def _joined(payload: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the payload without chunks, which other programs' archives keep."""
    if "chunked" not in headers.get("transfer-encoding", "").lower():
        return payload
    parts, rest = [], payload
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            return payload
        if size == 0:
            break
        parts.append(rest[:size])
        rest = rest[size + 2 :]
    return b"".join(parts)


def _body(http: _Http, *, where: str) -> bytes:
    body = http.payload
    codings = http.headers.get("content-encoding", "").lower().replace(",", " ").split()
    for coding in reversed(codings):
        try:
            body = decoded(body, coding)
        except ValueError as error:
            logger.warning("%s: the body cannot be read: %s", where, error)
            return b""
    return body
