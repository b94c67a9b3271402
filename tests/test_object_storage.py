"""The lake in a bucket: the same commands, the same rows, and whoever reads Parquet reads it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from fixtures.newsroom import Newsroom
from pipelines.errors import LakeError
from pipelines.storage import open_storage
from tests.flaky_s3 import FlakyS3, expired_token
from tests.installation import Installation, install
from tests.living_site import Answer, LivingSite, settle_in, story
from tests.s3 import Store

LAKE = "news/lake"
# What names a run, a time or a place in the archive; and which of a cluster came first is chance.
_OWN = {
    "first_seen", "last_seen", "fetched_at", "recorded_at", "replaced_at", "warc_path",
    "warc_offset", "warc_length", "warc_record_id", "run_id", "cluster_id", "previous_fetched_at",
}  # fmt: skip
TABLES = ("articles", "revisions_all", "relations", "captures", "edits", "removed_blocks")
EVERYTHING = " UNION ALL ".join(
    f"SELECT '{name}' AS name, to_json(t)::VARCHAR AS row FROM {name} t" for name in TABLES
)


def truth_of(installation: Installation) -> Counter[tuple[str, str]]:
    """Return all rows of all tables, but for times, runs and places in the archive."""
    return Counter((row["name"], _bare(row["row"])) for row in installation.rows(EVERYTHING))


def _bare(row: str) -> str:
    kept = {k: v for k, v in json.loads(row).items() if k not in _OWN}
    return json.dumps(kept, sort_keys=True)


@dataclass
class Crawled:
    """The newsroom crawled in state one, then in state two. `between` lies between the crawls."""

    installation: Installation
    between: str
    store: Store | None = None

    @property
    def newsroom(self) -> Newsroom:
        assert self.installation.newsroom is not None
        return self.installation.newsroom


def crawled_into(installation: Installation, store: Store | None = None) -> Crawled:
    assert installation.newsroom is not None
    installation.newsroom.state = 1
    installation.crawl()
    between = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    installation.newsroom.state = 2
    installation.crawl()
    return Crawled(installation, between, store)


def on(store: Store, prefix: str = LAKE) -> dict[str, str]:
    return store.environment | {"SITREP_LAKE": store.url(prefix)}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    with Newsroom(state=1) as newsroom:
        yield crawled_into(install(tmp_path_factory.mktemp("disk"), newsroom))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, disk: Crawled, store: Store) -> Crawled:
    folder = tmp_path_factory.mktemp("cloud")
    return crawled_into(install(folder, disk.newsroom, **on(store)), store)


@pytest.fixture(scope="module")
def told(cloud: Crawled) -> list[dict[str, Any]]:
    """What `sitrep query` says of `articles`."""
    return cloud.installation.rows("FROM articles ORDER BY article_id")


# --- the same lake ------------------------------------------------------------------------------


@pytest.mark.real_store
def test_a_crawl_into_a_bucket_gives_the_rows_of_a_crawl_into_a_folder(disk, cloud):
    there, here = truth_of(cloud.installation), truth_of(disk.installation)
    assert there - here == Counter()
    assert here - there == Counter()
    for ours, theirs in zip(disk.installation.reports, cloud.installation.reports, strict=True):
        assert theirs["totals"] == ours["totals"]


@pytest.mark.real_store
def test_all_of_the_lake_is_in_the_bucket_and_doctor_finds_it_well(cloud):
    assert not (cloud.installation.folder / "lake").exists()
    assert not list((cloud.installation.folder / "state" / "spool").glob("*.open"))
    keys = cloud.store.objects()
    assert keys
    assert all(key.startswith(f"{LAKE}/") for key in keys)
    assert cloud.installation.json("doctor") == {"ok": True, "findings": []}


def test_status_show_raw_and_export_say_what_they_say_of_a_folder(disk, cloud, told):
    url = told[0]["url"]
    for verb in (("show", url), ("show", url, "--diff"), ("show", url, "--raw")):
        ours, theirs = (one.installation.run(*verb) for one in (disk, cloud))
        assert theirs.returncode == 0
        if "--raw" in verb:
            assert theirs.stdout == ours.stdout
    ours, theirs = (one.installation.json("show", url) for one in (disk, cloud))
    assert theirs["article_body"] == ours["article_body"]
    ours, theirs = (one.installation.json("status") for one in (disk, cloud))
    assert len(theirs["sites"]) == len(ours["sites"])
    cloud.installation.run("export", "all.parquet")
    assert pq.read_table(cloud.installation.folder / "all.parquet").num_rows == len(told)


def test_as_of_gives_the_articles_as_they_were_then(disk, cloud):
    sql = "SELECT url, revision, article_body FROM articles ORDER BY url"
    ours, theirs = (
        one.installation.json("query", sql, "--as-of", one.between) for one in (disk, cloud)
    )
    assert theirs == ours
    assert len(theirs["rows"]) < len(cloud.installation.rows(sql))


# --- other people's readers, each with its defaults ---------------------------------------------


def by_pandas(store: Store) -> pa.Table:
    frame = pd.read_parquet(f"{store.bucket}/{LAKE}/articles", filesystem=store.arrow)
    return pa.Table.from_pandas(frame)


def by_pyarrow(store: Store) -> pa.Table:
    return pq.read_table(f"{store.bucket}/{LAKE}/articles", filesystem=store.arrow)


def by_dataset(store: Store) -> pa.Table:
    return ds.dataset(f"{store.bucket}/{LAKE}/articles", filesystem=store.arrow).to_table()


def by_polars(store: Store) -> pa.Table:
    glob = store.url(f"{LAKE}/articles/**/*.parquet")
    return pl.read_parquet(glob, storage_options=store.options).to_arrow()


def by_polars_lazily(store: Store) -> pa.Table:
    folder = store.url(f"{LAKE}/articles/")
    return pl.scan_parquet(folder, storage_options=store.options).collect().to_arrow()


def by_duckdb(store: Store) -> pa.Table:
    articles = ds.dataset(f"{store.bucket}/{LAKE}/articles", filesystem=store.arrow)
    with duckdb.connect() as connection:
        connection.register("articles", articles)
        return connection.sql("FROM articles").to_arrow_table()


READERS: dict[str, Callable[[Store], pa.Table]] = {
    "pandas": by_pandas,
    "pyarrow": by_pyarrow,
    "dataset": by_dataset,
    "polars": by_polars,
    "polars lazily": by_polars_lazily,
    "duckdb": by_duckdb,
}
ROW = ("article_id", "revision", "headline", "article_body", "site", "cluster_relation")


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return sorted(zip(*(table.column(name).to_pylist() for name in ROW), strict=True))


@pytest.mark.real_store
@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_the_parquet_reads_the_rows_that_a_query_gives(cloud, told, reader):
    table = READERS[reader](cloud.store)
    assert rows_of(table) == sorted(tuple(row[name] for name in ROW) for row in told)
    assert set(table.column_names) == set(told[0])


def test_the_revisions_are_read_as_delta_by_deltalake_and_polars(cloud):
    [[n]] = cloud.installation.json("query", "SELECT count(*) FROM revisions_all")["rows"]
    url, options = cloud.store.url(f"{LAKE}/revisions"), cloud.store.options
    assert DeltaTable(url, storage_options=options).to_pyarrow_table().num_rows == n
    assert pl.read_delta(url, storage_options=options).height == n


# --- two writers --------------------------------------------------------------------------------


@dataclass
class Writers:
    """Two users' programs with one state and one lake; the first waits in the middle for us."""

    first: LivingSite
    second: LivingSite
    installation: Installation

    def crawl_at_once(self) -> tuple[subprocess.CompletedProcess[str], int, str]:
        """Crawl the second site while the first is crawled; return what came of each."""
        begun, go_on = threading.Event(), threading.Event()
        page = self.first.answers[story(2).path]

        def wait() -> Answer:
            begun.set()
            go_on.wait(60)
            assert isinstance(page, Answer)
            return page

        self.first.answers[story(2).path] = wait
        process = subprocess.Popen(
            [sys.executable, "-m", "crawler", "crawl", self.first.name],
            cwd=self.installation.folder, env=self.installation.env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert begun.wait(60)
            other = self.installation.run("crawl", self.second.name, check=False)
        finally:
            go_on.set()
            _, said = process.communicate(timeout=60)
        return other, process.returncode, said


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Writers]:
    with LivingSite("slipway_post") as first, LivingSite("dock_times") as second:
        first.put(*(story(n) for n in (1, 2, 3)))
        second.put(*(story(n) for n in (4, 5)))
        yield Writers(first, second, settle_in(tmp_path, first, second))


@pytest.mark.real_store
def test_two_writers_at_once_lose_nothing_where_conditions_hold(writers, store):
    writers.installation.settings |= on(store, "two")
    second, first, said = writers.crawl_at_once()
    assert second.returncode == 0, second.stderr
    assert first == 0, said
    rows = writers.installation.rows("SELECT headline FROM articles ORDER BY headline")
    assert [row["headline"] for row in rows] == [story(n).headline for n in (1, 2, 3, 4, 5)]
    assert writers.installation.json("doctor") == {"ok": True, "findings": []}


@pytest.mark.service
def test_a_second_writer_is_refused_where_conditions_do_not_hold(writers, ceph_gateway):
    """Ceph ignores If-None-Match in a versioned bucket: of two that commit, one would be lost."""
    writers.installation.settings |= on(ceph_gateway.with_bucket(is_versioned=True))
    second, first, said = writers.crawl_at_once()
    assert second.returncode == 1, second.stderr
    assert "conditional" in second.stderr.lower()
    assert "version" in second.stderr.lower()
    assert first == 0, said
    assert len(writers.installation.rows("SELECT url FROM articles")) == 3
    writers.installation.crawl(writers.second.name)
    assert len(writers.installation.rows("SELECT url FROM articles")) == 5
    assert writers.installation.json("doctor")["ok"]


# --- the archive --------------------------------------------------------------------------------


def environment(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.mark.real_store
def test_a_file_of_several_parts_arrives_as_it_was(tmp_path, store, monkeypatch):
    environment(monkeypatch, store.environment)
    data = os.urandom(20 << 20)
    file = tmp_path / "large.warc.gz"
    file.write_bytes(data)
    with FlakyS3(store.endpoint) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", way.endpoint)
        open_storage(store.url("parts")).take(file, "warc/2024/05/large.warc.gz")
        parts = {call.path for call in way.calls if "partNumber" in call.path}
    assert len(parts) >= 2
    assert store.read("parts/warc/2024/05/large.warc.gz") == data
    assert not file.exists()


@pytest.mark.real_store
def test_an_upload_that_breaks_off_leaves_nothing_that_could_be_read(tmp_path, store, monkeypatch):
    environment(monkeypatch, store.environment)
    file = tmp_path / "large.warc.gz"
    file.write_bytes(os.urandom(20 << 20))
    expired = expired_token()
    with FlakyS3(store.endpoint) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", way.endpoint)
        way.fault = lambda call: expired(call) if "partNumber=2" in call.path else None
        with pytest.raises(LakeError, match="expired"):
            open_storage(store.url("broken")).take(file, "warc/2024/05/large.warc.gz")
    assert store.objects("broken/") == []
    assert file.exists()


# --- keys ---------------------------------------------------------------------------------------


def test_no_key_is_told_to_anybody(cloud):
    """The last crawl again, as talkative as can be; then all that is on disk and in the bucket."""
    talkative = {"SITREP_LOG_LEVEL": "debug"}
    run = cloud.installation.run
    said = [
        run("crawl", *cloud.newsroom.sites, "-v", settings=talkative),
        run("status", "-v", "--json", settings=talkative),
        run("query", "FROM runs", "-v", settings=talkative),
        run("query", "SELECT nonsense", "-v", "--json", settings=talkative, check=False),
        run("doctor", "-v", settings=talkative),
    ]
    texts = [text.encode() for one in said for text in (one.stdout, one.stderr)]
    texts += [file.read_bytes() for file in cloud.installation.folder.rglob("*") if file.is_file()]
    texts += [cloud.store.read(key) for key in cloud.store.objects()]
    assert len(texts) > 30
    for secret in (cloud.store.access_key, cloud.store.secret_key):
        assert not any(secret.encode() in text for text in texts)


# --- verbs that write, last: they change what the tests above read ------------------------------


def test_an_import_into_a_bucket_gives_the_articles_of_the_crawl(disk, cloud, tmp_path):
    installation = install(tmp_path, disk.newsroom, **on(cloud.store, "imported"))
    files = sorted((disk.installation.folder / "lake" / "warc").rglob("*.warc.gz"))
    installation.run("import", *map(str, files))
    sql = "SELECT url, revision, headline, article_body FROM articles ORDER BY url"
    assert installation.rows(sql) == disk.installation.rows(sql)
    assert installation.json("doctor")["ok"]


def test_recrawl_reextract_and_a_rebuilt_state_change_no_row(cloud, told):
    before = truth_of(cloud.installation)
    [said] = cloud.installation.json("recrawl", told[0]["url"])["results"]
    assert said["outcome"] == "unchanged"
    cloud.installation.run("reextract", "--accept")
    shutil.rmtree(cloud.installation.folder / "state")
    assert cloud.installation.json("doctor", "--rebuild") == {"ok": True, "findings": []}
    cloud.installation.crawl()
    after = truth_of(cloud.installation)
    assert before - after == Counter()
    assert {name for name, _ in after - before} <= {"captures"}
