"""The archive, written: what came over the wire, kept before anything is made of it.

Each exchange is a `response` (or `revisit`) record and, right after it, a `metadata` record with
what the crawler knew of it, so that an article can be extracted again from the archive alone.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pipelines import warc
from pipelines.errors import ArchiveError
from pipelines.model import NO_HINTS, Hints, Kind, Origin, RecordLocation
from pipelines.spool import OPEN_SUFFIX, create

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
    imported_from: tuple[Origin, ...] = ()
    continues: str | None = None
    reserved: tuple[str, ...] = ()
    withheld: str | None = None


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
        *([("WARC-Truncated", "unspecified")] if exchange.withheld else []),
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
    said: dict[str, object] = {
        "site": exchange.site,
        "kind": str(exchange.kind),
        "run_id": exchange.run_id,
        "requested_url": exchange.requested_url,
        "redirected_from": exchange.redirected_from,
        "hints": {name: value for name, value in asdict(exchange.hints).items() if value},
    }
    if exchange.imported_from:
        said["imported_from"] = [asdict(origin) for origin in exchange.imported_from]
    if exchange.continues:
        said["continues"] = exchange.continues
    if exchange.reserved:
        said["reserved"] = exchange.reserved
    if exchange.withheld:
        said["withheld"] = exchange.withheld
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
