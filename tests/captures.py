"""WARC files as other crawlers write them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tests.living_site import LivingSite, Story, page

HTML = (("Content-Type", "text/html; charset=utf-8"),)


class Captures:
    """A WARC file as warcio, and so many tools, write it."""

    def __init__(self, *, gzip: bool = True, version: str = "WARC/1.0"):
        self.bytes = io.BytesIO()
        self.writer = WARCWriter(self.bytes, gzip=gzip, warc_version=version)

    def add(
        self,
        url: str,
        body: bytes,
        *,
        at: str = "2024-05-06T09:00:00Z",
        status: str = "200 OK",
        headers: Sequence[tuple[str, str]] = HTML,
        kind: str = "response",
        warc: dict[str, str] | None = None,
    ) -> str:
        http = StatusAndHeaders(status, list(headers), protocol="HTTP/1.1")
        record = self.writer.create_warc_record(
            url,
            kind,
            payload=io.BytesIO(body),
            http_headers=http if kind in {"response", "revisit"} else None,
            warc_headers_dict={"WARC-Date": at, **(warc or {})},
        )
        self.writer.write_record(record)
        record_id: str = record.rec_headers.get_header("WARC-Record-ID")
        return record_id

    def story(self, site: LivingSite, one: Story, *, at: str = "2024-05-06T09:00:00Z") -> str:
        return self.add(site.url(one.path), page(one, site.url()), at=at)

    def save(self, path: Path) -> Path:
        path.write_bytes(self.bytes.getvalue())
        return path
