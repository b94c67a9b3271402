"""The lake as its readers find it: each tool with its defaults, none of ours in between."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from warcio.archiveiterator import ArchiveIterator

from tests.installation import Installation
from tests.living_site import LivingSite, settle_in, story

Rows = dict[str, tuple[Any, ...]]
NAMES = (
    "article_id",
    "url",
    "revision",
    "headline",
    "date_published",
    "authors",
    "published_month",
)


@pytest.fixture(scope="module")
def truth(crawled: Installation) -> Rows:
    """What `sitrep query` says."""
    return _keyed(crawled.rows("SELECT * FROM articles"))


@pytest.fixture(scope="module")
def folder(crawled: Installation) -> Path:
    return crawled.folder / "lake" / "articles"


def _keyed(rows: list[dict[str, Any]]) -> Rows:
    keyed = {str(row["article_id"]): tuple(_plain(row[name]) for name in NAMES) for row in rows}
    assert len(keyed) == len(rows), "an article stands there twice"
    return keyed


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return None if pd.isna(value) else value.isoformat().replace("+00:00", "Z")
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else value


def _glob(folder: Path) -> str:
    return f"{folder}/**/*.parquet"


def _files(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.resolve().rglob("*.parquet"))


def _duckdb(place: str) -> list[dict[str, Any]]:
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(f"SELECT * FROM '{place}'").to_arrow_table().to_pylist()


FOLDERS = {
    "pandas": lambda folder: pd.read_parquet(folder).to_dict("records"),
    "pyarrow read_table": lambda folder: pq.read_table(folder).to_pylist(),
    "pyarrow dataset": lambda folder: ds.dataset(folder).to_table().to_pylist(),
    "polars read": lambda folder: pl.read_parquet(folder).to_dicts(),
    "polars scan": lambda folder: pl.scan_parquet(folder).collect().to_dicts(),
}
GLOBS = {
    "duckdb": lambda folder: _duckdb(_glob(folder)),
    "polars read": lambda folder: pl.read_parquet(_glob(folder)).to_dicts(),
    "polars scan": lambda folder: pl.scan_parquet(_glob(folder)).collect().to_dicts(),
    "python glob": lambda folder: pd.read_parquet(_files(folder)).to_dict("records"),
}
SINGLE = {
    "pandas": lambda file: pd.read_parquet(file).to_dict("records"),
    "pyarrow read_table": lambda file: pq.read_table(file).to_pylist(),
    "pyarrow ParquetFile": lambda file: pq.ParquetFile(file).read().to_pylist(),
    "pyarrow dataset": lambda file: ds.dataset(file).to_table().to_pylist(),
    "polars": lambda file: pl.read_parquet(file).to_dicts(),
    "duckdb": _duckdb,
}


@pytest.mark.parametrize("tool", FOLDERS)
def test_the_folder_gives_each_article_once(folder, truth, tool):
    assert _keyed(FOLDERS[tool](folder)) == truth


@pytest.mark.parametrize("tool", GLOBS)
def test_the_glob_gives_each_article_once(folder, truth, tool):
    assert _keyed(GLOBS[tool](folder)) == truth


@pytest.mark.parametrize("tool", SINGLE)
def test_the_files_one_by_one_give_each_article_once(folder, truth, tool):
    rows = [row for file in _files(folder) for row in SINGLE[tool](file)]
    assert _keyed(rows) == truth


def test_types_are_as_the_contract_has_them(folder):
    for file in _files(folder):
        schema = pq.ParquetFile(file).schema_arrow
        time = pa.timestamp("us", tz="UTC")
        for name in ("date_published", "date_modified", "first_seen", "last_seen", "fetched_at",
                     "recorded_at", "replaced_at"):  # fmt: skip
            assert schema.field(name).type == time, name
        assert schema.field("published_month").type == pa.dictionary(pa.int32(), pa.string())
        for name in ("authors", "keywords", "date_published_flags"):
            assert pa.types.is_list(schema.field(name).type)
            assert schema.field(name).type.value_type == pa.string()
        blocks = schema.field("removed_blocks").type.value_type
        assert [(one.name, one.type) for one in blocks] == [
            (name, pa.string()) for name in ("text", "rule", "selector")
        ]
        for name, kind in {"revision": pa.int32(), "extraction": pa.int32(),
                           "word_count": pa.int32(), "warc_offset": pa.int64(),
                           "is_truncated": pa.bool_(), "url": pa.string()}.items():  # fmt: skip
            assert schema.field(name).type == kind, name


@pytest.mark.parametrize("table", ["revisions", "captures", "relations", "runs"])
def test_delta_readers_find_the_rows_that_query_gives(crawled, table):
    place = str(crawled.folder / "lake" / table)
    view = "revisions_all" if table == "revisions" else table
    [counted] = crawled.rows(f"SELECT count(*) AS n FROM {view}")
    assert DeltaTable(place).to_pyarrow_table().num_rows == counted["n"] > 0
    assert len(DeltaTable(place).to_pandas()) == counted["n"]
    assert pl.scan_delta(place).collect().height == counted["n"]


# --- the archive --------------------------------------------------------------------------------


def test_every_response_has_one_row_and_one_record(crawled):
    """What the newsroom's own log says it answered in both crawls, no more and no less."""
    newsroom = crawled.newsroom
    answered = Counter(
        (urlsplit(newsroom.url(request.site)).netloc, request.path, request.status)
        for request in newsroom.requests
    )
    rows = crawled.rows("SELECT * FROM captures")
    parts = [(urlsplit(row["url"]), row["status"]) for row in rows]
    stored = Counter(
        (url.netloc, url.path + (f"?{url.query}" if url.query else ""), status)
        for url, status in parts
    )
    assert stored == answered
    assert len({row["warc_record_id"] for row in rows}) == len(rows)


def test_every_row_leads_warcio_to_its_record(crawled):
    lake = crawled.folder / "lake"
    rows = crawled.rows("SELECT * FROM captures")
    for row in rows:
        with (lake / row["warc_path"]).open("rb") as file:
            file.seek(row["warc_offset"])
            record = next(iter(ArchiveIterator(file, check_digests=True)))
            headers = record.rec_headers
            assert headers["WARC-Record-ID"] == row["warc_record_id"]
            assert headers["WARC-Target-URI"] == row["url"]
            assert headers["WARC-Payload-Digest"] == row["payload_digest"]
            if record.rec_type == "response":
                assert len(record.raw_stream.read()) == row["payload_bytes"]
                assert record.digest_checker.passed is not False


def test_the_archive_holds_no_record_without_a_row(crawled):
    rows = crawled.rows("SELECT warc_record_id FROM captures")
    known = {row["warc_record_id"] for row in rows}
    found = []
    for path in (crawled.folder / "lake" / "warc").rglob("*.warc.gz"):
        with path.open("rb") as file:
            found += [
                record.rec_headers["WARC-Record-ID"]
                for record in ArchiveIterator(file)
                if record.rec_type in {"response", "revisit"}
            ]
    assert sorted(found) == sorted(known)


def test_a_body_that_came_again_is_stored_once(tmp_path):
    with LivingSite() as site:
        site.put(story(1), story(2))
        user = settle_in(tmp_path, site)
        user.crawl(site.name)
        site.put(story(2, headline="Story number 2 is told once more"))
        user.json("recrawl", site.url(story(1).path), site.url(story(2).path))
    lake = user.folder / "lake"
    rows = user.rows("SELECT * FROM captures WHERE status IN (200, 304) ORDER BY fetched_at")
    seen: dict[str, str] = {}
    kinds = set()
    for row in rows:
        with (lake / row["warc_path"]).open("rb") as file:
            file.seek(row["warc_offset"])
            kind = next(iter(ArchiveIterator(file))).rec_type
        is_repeated = row["status"] == 304 or seen.get(row["url"]) == row["payload_digest"]
        assert (kind == "revisit") == is_repeated, row["url"]
        kinds.add(kind)
        if row["status"] == 200:
            seen[row["url"]] = row["payload_digest"]
    assert kinds == {"response", "revisit"}
