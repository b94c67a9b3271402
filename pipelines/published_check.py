"""`articles/` held against what revisions, relations and captures say."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from pipelines.derived_articles import Derived, Tables, derived_of, deriving, stretches
from pipelines.lake import Lake
from pipelines.schema import ARTICLES
from pipelines.sql import scan

_Found = tuple[str, bool, bool, str]


def articles_equal_revisions(lake: Lake, *, most: int = 100) -> list[str]:
    """Return how `articles/` differs from what is derived anew; `last_seen` may lag behind."""
    if damaged := list(lake.published.damaged()):
        return damaged
    tables = Tables.of(lake)
    with tables.opened() as connection:
        published = scan(connection, lake.published.parts() or [], ARTICLES, filename=True)
        published.create_view("published")
        sizes, doubled = _rows_a_part(connection), _doubled(connection, most=most)
        found = _missing(connection, most=most)
    for parts in stretches(sizes):
        derived = _derived_as_published(tables, parts)
        for part in parts:
            found += _differences(tables, derived, part=part, most=most)
    return doubled + [_difference(*one) for one in sorted(found)[:most]]


def _derived_as_published(tables: Tables, parts: Sequence[str]) -> Derived:
    """Derive the articles that some parts hold."""
    with tables.opened() as connection:
        connection.execute("CREATE VIEW known AS FROM every_revision")
        scan(connection, parts, ARTICLES, filename=True).create_view("held")
        connection.execute(
            "CREATE TABLE wanted AS SELECT DISTINCT article_id, filename AS part FROM held"
        )
        return derived_of(connection)


def _rows_a_part(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    sql = "SELECT filename, count(*) FROM published GROUP BY 1 ORDER BY 1"
    return dict(connection.sql(sql).fetchall())


def _doubled(connection: duckdb.DuckDBPyConnection, *, most: int) -> list[str]:
    # A row more often there than once would hide in the join.
    found = connection.sql(
        f"""
        SELECT article_id, count(*) FROM published
        GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT {most}
        """  # noqa: S608 - a number
    ).fetchall()
    return [f"{article_id}: {times} rows in articles" for article_id, times in found]


def _missing(connection: duckdb.DuckDBPyConnection, *, most: int) -> list[_Found]:
    found = connection.sql(
        f"""
        SELECT DISTINCT article_id FROM (SELECT article_id FROM every_revision)
        ANTI JOIN published USING (article_id) ORDER BY 1 LIMIT {most}
        """  # noqa: S608 - a number
    ).fetchall()
    return [(article_id, False, True, "") for (article_id,) in found]


def _differences(tables: Tables, derived: Derived, *, part: str, most: int) -> list[_Found]:
    same = [name for name in ARTICLES.names if name != "last_seen"]
    wrong = ", ".join(
        f"CASE WHEN d.{name} IS DISTINCT FROM p.{name} THEN '{name}' END" for name in same
    )
    with deriving(tables, derived, part) as connection:
        scan(connection, [part], ARTICLES).create_view("published")
        return connection.sql(
            f"""
            SELECT p.article_id, d.article_id IS NULL, false, concat_ws(', ', {wrong}) AS columns
            FROM published p LEFT JOIN anew d ON d.article_id = p.article_id
            WHERE d.article_id IS NULL OR columns <> '' OR p.last_seen > d.last_seen
            ORDER BY 1
            LIMIT {most}
            """  # noqa: S608 - made of our own columns' names
        ).fetchall()


def _difference(article_id: str, is_extra: bool, is_missing: bool, columns: str) -> str:
    if is_extra:
        return f"{article_id}: in articles, not in revisions"
    if is_missing:
        return f"{article_id}: in revisions, not in articles"
    return f"{article_id}: articles differs in {columns or 'last_seen'}"
