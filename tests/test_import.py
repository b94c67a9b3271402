"""Captures from elsewhere, imported: the same articles as if they had been fetched then."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipelines.archive import read_page
from pipelines.storage import LocalStorage
from tests.installation import Installation
from tests.living_site import LivingSite, Story, page, paragraphs, settle_in, story

HTML = (("Content-Type", "text/html; charset=utf-8"),)


@pytest.fixture
def site() -> Iterator[LivingSite]:
    with LivingSite() as running:
        yield running


@pytest.fixture
def installation(tmp_path: Path, site: LivingSite) -> Installation:
    return settle_in(tmp_path, site)


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


def edited(n: int) -> Story:
    return story(n, body=(*paragraphs(n), "A later paragraph tells what came of the crane."))


def test_versions_follow_each_other_by_time_of_capture_over_all_files(
    installation, site, tmp_path
):
    late, early = Captures(), Captures()
    late.story(site, edited(1), at="2024-06-01T00:00:00Z")
    late.story(site, story(2), at="2024-05-20T00:00:00Z")
    early.story(site, story(1), at="2024-05-10T00:00:00Z")
    files = [late.save(tmp_path / "late.warc.gz"), early.save(tmp_path / "early.warc.gz")]
    said = installation.json("import", *map(str, files))
    assert said["totals"]["new"] == 2
    assert said["totals"]["changed"] == 1
    assert [one["imported"] for one in said["files"]] == [2, 1]
    rows = installation.rows(
        "SELECT revision, fetched_at, change FROM revisions WHERE url LIKE '%story-1/' ORDER BY 1"
    )
    assert [(row["revision"], row["fetched_at"][:10]) for row in rows] == [
        (1, "2024-05-10"),
        (2, "2024-06-01"),
    ]
    assert installation.json("doctor")["findings"] == []
    assert site.requests == []


def test_the_same_file_again_stores_nothing_again(installation, site, tmp_path):
    captures = Captures()
    captures.story(site, story(1))
    file = str(captures.save(tmp_path / "a.warc.gz"))
    installation.run("import", file, file)
    before = installation.rows("SELECT * FROM captures")
    again = installation.json("import", file)
    assert len(before) == 1
    assert again["files"][0]["imported"] == 0
    assert again["files"][0]["skipped"]["known"] == 1
    assert installation.rows("SELECT * FROM captures") == before


def test_where_a_capture_came_from_is_read_from_the_archive(installation, site, tmp_path):
    captures = Captures()
    captures.add(site.url("/"), b"<p>home</p>")
    record_id = captures.story(site, story(1))
    installation.run("import", str(captures.save(tmp_path / "a.warc.gz")))
    (row,) = installation.rows("SELECT warc_path, warc_offset, fetched_at FROM captures")
    found = read_page(
        LocalStorage(tmp_path / "lake"), (row["warc_path"], row["warc_offset"])
    )
    (origin,) = found.imported_from
    assert (origin.file, origin.record_id) == ("a.warc.gz", record_id)
    assert origin.offset > 0
    assert gzip.decompress((tmp_path / "a.warc.gz").read_bytes()[origin.offset :]).startswith(b"WARC")
    assert row["fetched_at"] == "2024-05-06T09:00:00Z"
