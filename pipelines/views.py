"""The lake as SQL: what an analyst asks, and the one way in which `articles` is derived.

`STEPS` and `ROWS` are that way. The publish runs them step by step into temporary tables, `--as-of`
and the proof that `articles` equals `revisions` as one query; so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb

from pipelines import sql_functions
from pipelines.cluster_view import CLUSTERS
from pipelines.lake import Lake
from pipelines.schema import ARTICLES, TABLES
from pipelines.sql import connect_offline, scan

# Each step reads `revisions_all`, `relations`, `captures` and the steps before it.
STEPS = {
    # The newest extraction of the newest revision of each article. Narrow: no text is read.
    "heads": """
        SELECT article_id,
               max(struct_pack(revision, extraction, recorded_at)) AS newest,
               arg_max(canonical_url, struct_pack(revision, extraction, recorded_at)) AS address,
               min(first_seen) AS story_seen,
               min(recorded_at) AS first_recorded,
               arg_min(published_month, struct_pack(recorded_at, revision, extraction)) AS month
        FROM revisions_all
        GROUP BY article_id
    """,
    # When the next story came at the same address. The youngest story holds the address.
    "replacements": """
        SELECT article_id,
               lead(story_seen) OVER (PARTITION BY address ORDER BY story_seen, article_id)
                   AS replaced_at
        FROM heads
    """,
    "memberships": """
        SELECT article_id,
               arg_max(cluster_id, recorded_at) AS cluster_id,
               arg_max(relation, recorded_at) AS cluster_relation
        FROM relations
        GROUP BY article_id
    """,
    "sightings": """
        SELECT article_id, max(fetched_at) AS last_seen
        FROM captures
        WHERE verdict IN ('new', 'changed', 'unchanged', 'not_modified') AND article_id IS NOT NULL
        GROUP BY article_id
    """,
}

_FROM_STEPS = {
    "cluster_id": "coalesce(m.cluster_id, r.article_id)",
    "cluster_relation": "coalesce(m.cluster_relation, 'original')",
    "last_seen": "coalesce(s.last_seen, r.fetched_at)",
    "replaced_at": "p.replaced_at",
    "published_month": "h.month",
    "first_seen": "h.story_seen",
}
_COLUMNS = ",\n".join(f"{_FROM_STEPS.get(name, f'r.{name}')} AS {name}" for name in ARTICLES.names)

ROWS = f"""
    SELECT {_COLUMNS}
    FROM revisions_all r
    JOIN heads h ON r.article_id = h.article_id
        AND r.revision = h.newest.revision
        AND r.extraction = h.newest.extraction
        AND r.recorded_at = h.newest.recorded_at
    JOIN replacements p ON r.article_id = p.article_id
    LEFT JOIN memberships m ON r.article_id = m.article_id
    LEFT JOIN sightings s ON r.article_id = s.article_id
"""  # noqa: S608 - made of our own columns' names

DERIVE = "WITH " + ",\n".join(f"{name} AS ({sql})" for name, sql in STEPS.items()) + ROWS


def _telling(row: str) -> str:
    """Return a row as what `edit_between` compares."""
    return f"""struct_pack(
        headline := {row}.headline,
        description := {row}.description,
        article_body := {row}.article_body,
        authors := {row}.authors,
        "date" := strftime({row}.date_published, CASE {row}.date_published_precision
            WHEN 'day' THEN '%Y-%m-%d' ELSE '%Y-%m-%dT%H:%M:%SZ' END),
        "access" := CASE {row}.is_accessible_for_free
            WHEN false THEN 'paid' WHEN true THEN 'free' END,
        in_language := {row}.in_language
    )"""


_VIEWS = {
    "revisions": """
        SELECT * FROM revisions_all
        QUALIFY row_number() OVER (
            PARTITION BY article_id, revision ORDER BY extraction DESC, recorded_at DESC
        ) = 1
    """,
    "clusters": CLUSTERS,
    # Only those parts are looked at in which the crawl found a change: it read both versions by one
    # extractor, while these may come from two.
    "edits": f"""
        SELECT * EXCLUDE (told), told.kinds AS kinds, told.sentences AS sentences
        FROM (
            SELECT now.article_id, now.site, now.url, now.headline, now.revision,
                   now.previous_revision, now.recorded_at, now.fetched_at, now.change,
                   before.headline AS previous_headline,
                   before.description AS previous_description,
                   now.description AS description,
                   before.article_body AS previous_body,
                   now.article_body AS article_body,
                   before.fetched_at AS previous_fetched_at,
                   now.date_modified,
                   now.extractor IS NOT DISTINCT FROM before.extractor AS is_same_extractor,
                   edit_between(struct_pack(
                       parts := now.change,
                       "before" := {_telling("before")},
                       "after" := {_telling("now")}
                   )) AS told
            FROM revisions now
            JOIN revisions before ON now.article_id = before.article_id
                AND now.previous_revision = before.revision
        )
    """,  # noqa: S608 - made of our own columns' names
    "removed_blocks": """
        SELECT article_id, site, url, block.text AS text, block.rule AS rule,
               block.selector AS selector
        FROM (SELECT article_id, site, url, unnest(removed_blocks) AS block FROM articles)
    """,
}

# What `--as-of` goes by. A capture is known from the moment it was fetched.
_KNOWN_FROM = {
    "revisions": "recorded_at",
    "relations": "recorded_at",
    "captures": "fetched_at",
    "furniture": "recorded_at",
    "reservations": "fetched_at",
    "runs": "started_at",
}
_BASES = {"revisions": "revisions_all"}


@contextmanager
def connect(
    lake: Lake | None, *, as_of: datetime | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection with the views an analyst may ask, all of them, empty on an empty lake.

    `articles` is what was published; with `as_of`, what a publish would have made then.
    """
    with connect_offline(lake.storage if lake else None) as connection:
        sql_functions.register(connection)
        _make_views(connection, lake, as_of=as_of)
        yield connection


def _make_views(
    connection: duckdb.DuckDBPyConnection, lake: Lake | None, *, as_of: datetime | None
) -> None:
    for table, schema in TABLES.items():
        found = scan(connection, lake.files(table) if lake else (), schema)
        if as_of is not None:
            found = found.filter(f"{_KNOWN_FROM[table]} <= {_literal(as_of)}")
        found.create_view(_BASES.get(table, table))
    parts = lake.published.parts() if lake and as_of is None else None
    articles = connection.sql(DERIVE) if parts is None else scan(connection, parts, ARTICLES)
    articles.create_view("articles")
    for name, sql in _VIEWS.items():
        connection.sql(sql).create_view(name)


def _literal(when: datetime) -> str:
    return f"TIMESTAMPTZ '{when.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"
