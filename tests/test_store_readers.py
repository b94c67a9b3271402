"""Who reads `articles/` in a bucket as its parts are replaced: the old rows, the new, or an error.

A store replaces an object at once, but a reader asks for it piece by piece: the footer first, then
the columns it wants. What it must never do is take some from the one and some from the other.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import unquote

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipelines.in_place import InPlace
from pipelines.published import parquet
from pipelines.schema import ARTICLES
from pipelines.storage import Storage, open_storage
from tests.flaky_s3 import Call, FlakyS3
from tests.s3 import Store

LAKE = "lake"
DAWN = datetime(2024, 5, 1, tzinfo=UTC)
# A month that stays as long as it is, and one that grows with each publish.
STEADY, GROWING = "published_month=2024-05", "published_month=2024-06"
MANY, FEW = 40, 3


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


def by_our_own_files(store: Store) -> pa.Table:
    """DuckDB over the file system of ours, as `sitrep query` and `export` read."""
    storage = open_storage(store.url(LAKE))
    with duckdb.connect() as connection:
        storage.attach(connection)
        parts = InPlace(storage).parts()
        return connection.sql(f"FROM read_parquet({parts})").to_arrow_table()


# What an analyst asks for more often than for everything: columns with the texts between them,
# which a reader fetches apart.
FEW_COLUMNS = ["article_id", "headline", "revision", "recorded_at"]


def by_pandas_some(store: Store) -> pa.Table:
    folder = f"{store.bucket}/{LAKE}/articles"
    return pa.Table.from_pandas(
        pd.read_parquet(folder, filesystem=store.arrow, columns=FEW_COLUMNS)
    )


def by_polars_some(store: Store) -> pa.Table:
    glob = store.url(f"{LAKE}/articles/**/*.parquet")
    lazy = pl.scan_parquet(glob, storage_options=store.options)
    return lazy.select(FEW_COLUMNS).collect().to_arrow()


def by_duckdb_some(store: Store) -> pa.Table:
    articles = ds.dataset(f"{store.bucket}/{LAKE}/articles", filesystem=store.arrow)
    with duckdb.connect() as connection:
        connection.register("articles", articles)
        return connection.sql(f"SELECT {', '.join(FEW_COLUMNS)} FROM articles").to_arrow_table()


READERS: dict[str, Callable[[Store], pa.Table]] = {
    "pandas": by_pandas,
    "pyarrow": by_pyarrow,
    "dataset": by_dataset,
    "polars": by_polars,
    "polars lazily": by_polars_lazily,
    "duckdb": by_duckdb,
    "our own files": by_our_own_files,
    "pandas, some columns": by_pandas_some,
    "polars, some columns": by_polars_some,
    "duckdb, some columns": by_duckdb_some,
}


def noise(*seed: int) -> str:
    """Return a text that nothing can compress, as long as any other."""
    return random.Random(str(seed)).randbytes(10_000).hex()  # noqa: S311 - no secret


def rows(month: str, version: int, n: int) -> pa.Table:
    """Return `n` articles of a month as they are in one version, all of one width."""
    made = []
    for i in range(n):
        row: dict[str, Any] = dict.fromkeys(ARTICLES.names)
        when = DAWN + timedelta(days=i % 28)
        row |= {
            "article_id": f"{month}-{i:04d}",
            "revision": version,
            "extraction": 1,
            "headline": f"Headline as of {version:06d}",
            "article_body": f"Body as of {version:06d}. {noise(i)}",
            "url": f"https://gazette.example/{month}/{i:04d}/",
            "date_published": when,
            "first_seen": when,
            "recorded_at": DAWN + timedelta(seconds=version),
            "published_month": month.partition("=")[2],
        }
        made.append(row)
    return pa.Table.from_pylist(made, schema=ARTICLES)


def lay(storage: Storage, version: int) -> None:
    """Publish a version of both months, in place of the one that was there."""
    draft = InPlace(storage).draft(kept={})
    draft.add(STEADY, 0, rows(STEADY, version, MANY))
    draft.add(GROWING, 0, rows(GROWING, version, FEW + version))
    when = DAWN + timedelta(seconds=version)
    draft.finish(derivation=1, recorded_at=when.isoformat(), now=when)


def seen(table: pa.Table) -> str:
    """Say which version a reader saw: of each month one, or what is wrong with it."""
    found: dict[str, set[int]] = {STEADY: set(), GROWING: set()}
    names = ("article_id", "revision", "headline", "article_body", "recorded_at")
    bodies = [f"Body as of {headline[-6:]}" for headline in table.column("headline").to_pylist()]
    columns = [
        table.column(name).to_pylist() if name in table.column_names else bodies for name in names
    ]
    for article_id, revision, headline, body, recorded_at in zip(*columns, strict=True):
        told = {revision, int(headline[-6:]), int(body[11:17])}
        told.add(round((recorded_at - DAWN).total_seconds()))
        found[article_id.rpartition("-")[0]] |= told
    if any(len(versions) != 1 for versions in found.values()):
        return f"wrong: mixed {found}"
    [steady], [growing] = found.values()
    ids = columns[0]
    if len(set(ids)) != len(ids) or len(ids) != MANY + FEW + growing:
        return f"wrong: {len(ids)} rows, {len(set(ids))} articles"
    return "one version" if steady == growing else "each month of one version"


@dataclass
class Bucket:
    """A bucket with `articles/`, the straight way there, and one with an ear on it."""

    straight: Storage
    heard: Store
    way: FlakyS3
    version: int = 0

    def publish(self, version: int | None = None) -> None:
        self.version = version or self.version + 1
        lay(self.straight, self.version)


@pytest.fixture
def bucket(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    own = store.with_bucket()
    for name, value in own.environment.items():
        monkeypatch.setenv(name, value)
    straight = open_storage(own.url(LAKE))
    with FlakyS3(own.endpoint) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", way.endpoint)
        yield Bucket(straight, replace(own, endpoint=way.endpoint), way)


def read(reader: str, store: Store) -> str:
    try:
        table = READERS[reader](store)
    except Exception:  # noqa: BLE001 - each reader has errors of its own, and any is loud
        return "an error"
    return seen(table)


# Two versions whose columns lie at the same places, but for what a publish does about it: read
# with the footer of the one, the columns of the other make sense.
OLD, NEW = 4, 5


def places(version: int) -> list[int]:
    metadata = pq.read_metadata(pa.BufferReader(parquet(rows(STEADY, version, MANY), generation=0)))
    group = metadata.row_group(0)
    return [group.column(n).data_page_offset for n in range(metadata.num_columns)]


def replaced_at_call(bucket: Bucket, n: int) -> Callable[[Call], None]:
    """Have all be published anew just before the `n`-th call for a part is answered."""
    calls = count(1)

    def publish(call: Call) -> None:
        if f"{STEADY}/" in unquote(call.path) and call.method != "PUT" and next(calls) == n:
            bucket.publish(NEW)

    return publish


@pytest.mark.parametrize("reader", READERS)
def test_a_part_replaced_between_any_two_calls_of_a_reader_is_never_read_half(bucket, reader):
    assert places(OLD) == places(NEW)
    outcomes = Counter[str]()
    for n in range(1, 100):
        bucket.publish(OLD)
        bucket.way.fault = replaced_at_call(bucket, n)
        outcomes[read(reader, bucket.heard)] += 1
        bucket.way.fault = None
        if bucket.version == OLD:
            break
    assert not [said for said in outcomes if said.startswith("wrong")], outcomes
    assert outcomes["one version"] >= 1
    assert sum(outcomes.values()) >= 3, "nothing was replaced"


SECONDS = float(os.environ.get("SITREP_SOAK_SECONDS", "20"))


@pytest.mark.soak
@pytest.mark.parametrize("reader", READERS)
def test_readers_under_constant_replacement_see_old_or_new_or_an_error(bucket, reader, capsys):
    outcomes = Counter[str]()
    bucket.publish()
    done = threading.Event()

    def publish_on() -> None:
        while not done.is_set():
            bucket.publish()

    writer = threading.Thread(target=publish_on)
    writer.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        outcomes[read(reader, bucket.heard)] += 1
    done.set()
    writer.join()
    with capsys.disabled():
        counted = ", ".join(f"{n} {said}" for said, n in outcomes.most_common())
        print(f"\n{reader}: {bucket.version} publishes; {counted}")  # noqa: T201 - the figures
    assert not [said for said in outcomes if said.startswith("wrong")], outcomes
    assert outcomes["one version"] >= 1
