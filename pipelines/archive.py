"""The archive, read: each page as it came, from its WARC records alone.

`pipelines.archive_writer` says what lies there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from pipelines import warc
from pipelines.content_coding import decoded
from pipelines.errors import ArchiveError
from pipelines.model import Hints, Kind, Origin, Page, RecordLocation
from pipelines.spool import OPEN_SUFFIX
from pipelines.storage import Storage

logger = logging.getLogger(__name__)

_MOST_REVISITS = 8


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


def refuse_foreign(source: Path | str, *, storage: Storage) -> None:
    """Raises ArchiveError for a file that no Sitrep wrote, put where our own lie."""
    with _open_source(source, _Files(storage=storage, spool=None)) as file:
        try:
            first = next(warc.records(file, where=str(source)), None)
        except warc.CutError:
            first = None
    if first is None or not warc.is_ours(first):
        raise warc.not_ours(str(source))


def warc_path_of(spool_file: Path) -> str:
    """Return where a spool file will lie in the lake, by its name and its first record's date."""
    with spool_file.open("rb") as file:
        return _lake_path(file, spool_file)


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
    return f"warc/{_date_of(first, where=str(source)):%Y/%m}/{name}"


def _date_of(record: warc.Record, *, where: str) -> datetime:
    try:
        return warc.time_of(record.headers.get("warc-date", ""))
    except (ValueError, OverflowError) as error:
        raise ArchiveError("a record's WARC-Date is no time", where=where) from error


def _page(record: warc.Record, following: warc.Record | None, *, path: str, files: _Files) -> Page:
    where = f"{path}, offset {record.offset}"
    said = warc.said_of(record, following)
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
        fetched_at=_date_of(record, where=where),
        hints=_hints(said.get("hints", {})),
        payload_digest=_payload_digest(record, http),
        payload_bytes=0 if http.status == 304 else len(http.payload),
        location=RecordLocation(
            warc_path=path,
            warc_offset=record.offset,
            warc_length=record.length,
            warc_record_id=record.id,
        ),
        imported_from=origins_of(said),
        continues=said.get("continues"),
        reserved=tuple(said.get("reserved", ())),
        withheld=said.get("withheld"),
    )


def _hints(said: Mapping[str, Any]) -> Hints:
    fields: dict[str, Any] = {}
    for name in Hints.__dataclass_fields__.keys() & said.keys():
        fields[name] = tuple(said[name]) if isinstance(said[name], list) else said[name]
    return Hints(**fields)


def origins_of(said: Mapping[str, Any]) -> tuple[Origin, ...]:
    """Return where a page was imported from, by its metadata record."""
    return tuple(Origin(**one) for one in said.get("imported_from", ()))


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
