"""The rows of `articles/`, derived from revisions, relations and captures, a few parts at a time.

What of the lake is looked at in full is read column by column and kept by no one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lake import Lake
from pipelines.schema import TABLES
from pipelines.sql import connect_offline, scan
from pipelines.storage import Storage
from pipelines.views import ROWS, STEPS

# Articles that are derived together: their columns but for the texts take some 60 MB.
STRETCH_ROWS = 100_000
VIEWS = {
    "revisions": "every_revision",
    "relations": "every_relation",
    "captures": "every_capture",
}
# Those that the steps of `pipelines.views` read.
NARROW = (
    "article_id, revision, extraction, recorded_at, canonical_url, first_seen, published_month, "
    "word_count"
)
IS_NEWEST = """
    r.article_id = h.article_id
    AND r.revision = h.newest.revision
    AND r.extraction = h.newest.extraction
    AND r.recorded_at = h.newest.recorded_at
"""

AnyKey = TypeVar("AnyKey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The lake's tables as they are all through one publish: each one's files."""

    storage: Storage
    files: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, lake: Lake) -> Tables:
        files = {name: lake.files(name) for name in VIEWS}
        return cls(storage=lake.storage, files=files)

    @contextmanager
    def looking(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection that takes little memory.

        What it took it gives back only when it is closed: measured, 170 MB after 17,000 rows that
        take 83. A limit of memory would make a publish fail (tried, at 400 MB).
        """
        with connect_offline(self.storage) as connection:
            connection.execute("SET threads = 1; SET preserve_insertion_order = false")
            yield connection

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection that sees every row of the tables."""
        with self.looking() as connection:
            for name, view in VIEWS.items():
                is_text = name == "revisions"
                found = scan(connection, self.files[name], TABLES[name], filename=is_text)
                found.create_view(view)
            yield connection


# --- what is to be written, and where -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What a stretch of parts is made from, but for the texts.

    `steps`: those of `pipelines.views`, by name. `wanted`: article, its part, and the file that
    holds its text.
    """

    steps: Mapping[str, pa.Table]
    wanted: pa.Table

    def of(self, part: str) -> tuple[pa.Table, list[str]]:
        """Return the articles of a part, and the files with their texts."""
        found = self.wanted.filter(pc.equal(self.wanted["part"], pa.scalar(part)))
        return found.select(["article_id"]), sorted(
            map(str, pc.unique(found["filename"]).to_pylist())
        )


def is_one_stretch(rows: int) -> bool:
    return rows <= STRETCH_ROWS


def stretches(sizes: Mapping[AnyKey, int]) -> Iterator[list[AnyKey]]:
    """Yield keys, in order, that have `STRETCH_ROWS` together, or are alone."""
    stretch: list[AnyKey] = []
    rows = 0
    for key, size in sizes.items():
        if stretch and rows + size > STRETCH_ROWS:
            yield stretch
            stretch, rows = [], 0
        stretch.append(key)
        rows += size
    if stretch:
        yield stretch


def derived_of(connection: duckdb.DuckDBPyConnection) -> Derived:
    """Go the steps for those `wanted`, and for those ever at the same addresses."""
    connection.execute(
        f"""
        CREATE TABLE revisions_all AS
            WITH addresses AS (
                SELECT DISTINCT canonical_url FROM known SEMI JOIN wanted USING (article_id)
            ), near AS (
                SELECT DISTINCT article_id FROM known SEMI JOIN addresses USING (canonical_url)
            )
            SELECT {NARROW}, filename FROM known SEMI JOIN near USING (article_id);
        CREATE TABLE concerned AS
            SELECT article_id FROM wanted UNION SELECT article_id FROM held;
        CREATE VIEW relations AS FROM every_relation SEMI JOIN wanted USING (article_id);
        CREATE VIEW captures AS FROM every_capture SEMI JOIN concerned USING (article_id)
        """  # noqa: S608 - made of our own columns' names
    )
    steps = {}
    for name, sql in STEPS.items():
        connection.execute(f"CREATE TABLE {name} AS {sql}")
        steps[name] = connection.table(name).to_arrow_table()
    wanted = connection.sql(
        f"""
        SELECT w.article_id, w.part, r.filename FROM wanted w
        JOIN heads h ON h.article_id = w.article_id
        JOIN revisions_all r ON {IS_NEWEST}
        """  # noqa: S608 - likewise
    ).to_arrow_table()
    return Derived(steps=steps, wanted=wanted)


@contextmanager
def deriving(tables: Tables, derived: Derived, part: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection that knows `anew`, the rows of a part's articles."""
    wanted, files = derived.of(part)
    with tables.looking() as connection:
        # In the order in which `ROWS` names them: the texts pass by, and what is kept to be joined
        # is narrow. DuckDB would keep the fewer rows, which are those with the texts.
        connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        for name, table in derived.steps.items():
            connection.register(name, table)
        connection.register("wanted", wanted)
        scan(connection, files, TABLES["revisions"]).create_view("revisions_all")
        anew = f"SELECT * FROM ({ROWS}) SEMI JOIN wanted USING (article_id)"  # noqa: S608 - our own
        connection.sql(anew).create_view("anew")
        yield connection
