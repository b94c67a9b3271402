"""The state held against the lake that it is the index of, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa

from pipelines import copy_rebuild, state_tables
from pipelines.catch_up import KeyOf, missing_batches
from pipelines.doctor.findings import REBUILD, Finding
from pipelines.errors import StateError
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.schema import TIME
from pipelines.sql import rows_of
from pipelines.state import State
from pipelines.state_tables import ArticleState, fitted
from pipelines.views import connect

_STORED = "('new', 'changed', 'unchanged', 'not_modified')"
_TIMES = frozenset({"date_published", "first_seen", "fetched_at"})
_NUMBERS = frozenset({"revision", "word_count", "warc_offset", "warc_length"})
_AT_ONCE = 10_000
# Two milliseconds each.
_LOOKED_UP = 1_000

_ARTICLES = tuple(ArticleState.__dataclass_fields__)
_RESPONSES = (
    "site", "url", "etag", "last_modified", "payload_digest", "fetched_at",
    "warc_path", "warc_offset", "warc_length", "warc_record_id",
)  # fmt: skip


def check_state(lake: Lake, state: State, *, key_of: KeyOf | None = None) -> Iterator[Finding]:
    """Yield what the state has otherwise than the lake; no commit comes between."""
    known = state.note("lake_id")
    if known is not None and known != lake.lake_id:
        yield Finding(
            check="state",
            level="error",
            where="state",
            what=f"it is the index of another lake ({known}, not {lake.lake_id})",
            remedy="set SITREP_STATE to this lake's state",
        )
        return
    with lake.kept_still():
        yield from _against(lake, state, key_of)


def _against(lake: Lake, state: State, key_of: KeyOf | None) -> Iterator[Finding]:
    if missing := missing_batches(lake, state):
        yield _error(
            "state",
            f"it lacks {len(missing)} WARC files of the lake, {min(missing)} among them",
            f"the next crawl brings it up, or {REBUILD}",
        )
        return
    yield from _lost_by_the_lake(lake, state)
    with connect(lake) as connection:
        for check in (_articles, _responses, _addresses, _links):
            yield from _readable(check(connection, state, key_of))
    yield from _readable(_copies(lake, state))


def _readable(findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except (StateError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        reason = error.message if isinstance(error, StateError) else str(error)
        yield _error("state", f"a row cannot be read ({reason})", REBUILD)


def _copies(lake: Lake, state: State) -> Iterator[Finding]:
    """Yield why copies of what the state knows would not be found: of some articles, looked up."""
    if state.count_articles() and not copy_rebuild.is_whole(state):
        yield Finding(
            check="state",
            level="warning",
            where="state, copies",
            what="copies of what it knows are not found, or not by this program",
            remedy=f"the next crawl brings it up, or {REBUILD}",
        )
        return
    for row in state.rows(state_tables.articles):
        if row["number"] != state_tables.number_of(row["article_id"]):
            yield _error(f"state, articles, {row['article_id']}", "has another's number", REBUILD)
    some = state.some_articles(str(lake.recorded_at()), most=_LOOKED_UP)
    for article_id, what in copy_rebuild.not_found(Ledger(lake, state), some):
        yield _error(f"state, copies, {article_id}", what, REBUILD)


def _lost_by_the_lake(lake: Lake, state: State) -> Iterator[Finding]:
    for path in sorted(state.batches() - lake.committed_warcs()):
        yield _error(
            f"state, batches, {path}",
            "the state has what it gave, the lake has not",
            f"restore the lake, if it is older than its state; else {REBUILD}",
        )


def _articles(
    connection: duckdb.DuckDBPyConnection, state: State, _: KeyOf | None
) -> Iterator[Finding]:
    _register(connection, state, "articles", _ARTICLES)
    yield from _differences(
        connection, "articles", key=("article_id",), columns=_ARTICLES, lake="articles"
    )


def _responses(
    connection: duckdb.DuckDBPyConnection, state: State, _: KeyOf | None
) -> Iterator[Finding]:
    """Each full answer: what the last one said, and where its bytes first came."""
    _register(connection, state, "responses", _RESPONSES)
    connection.sql(
        """
        WITH answers AS (
            SELECT *, row_number() OVER w AS place,
                   lag(payload_digest) OVER w IS NOT DISTINCT FROM payload_digest AS is_repeated
            FROM captures WHERE status = 200
            WINDOW w AS (PARTITION BY site, url ORDER BY fetched_at, warc_path, warc_offset)
        ),
        firsts AS (
            SELECT *, row_number() OVER (PARTITION BY site, url ORDER BY place DESC) AS back
            FROM answers WHERE NOT is_repeated
        ),
        lasts AS (
            -- In a struct, since arg_max passes over what is null.
            SELECT site, url,
                   arg_max(struct_pack(etag, last_modified), place) AS said
            FROM answers GROUP BY site, url
        )
        SELECT f.site, f.url, l.said.etag AS etag, l.said.last_modified AS last_modified,
               f.payload_digest, f.fetched_at, f.warc_path, f.warc_offset, f.warc_length,
               f.warc_record_id
        FROM firsts f JOIN lasts l ON l.site = f.site AND l.url = f.url
        -- A longer address is kept in the state by a sum of its own.
        WHERE f.back = 1 AND octet_length(f.url::BLOB) <= 2000
        """
    ).create_view("answered")
    yield from _differences(
        connection, "responses", key=("site", "url"), columns=_RESPONSES, lake="answered"
    )


def _differences(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    *,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    lake: str,
) -> Iterator[Finding]:
    wrong = ", ".join(
        f"CASE WHEN s.{name} IS DISTINCT FROM l.{name} THEN '{name}' END"
        for name in columns
        if name not in key
    )
    both = " AND ".join(f"s.{name} = l.{name}" for name in key)
    names = ", ' ', ".join(f"coalesce(s.{name}, l.{name})" for name in key)
    result = connection.execute(
        f"""
        SELECT concat({names}), s.{key[0]} IS NULL, l.{key[0]} IS NULL,
               concat_ws(', ', {wrong}) AS columns
        FROM in_state_{table} s FULL JOIN {lake} l ON {both}
        WHERE s.{key[0]} IS NULL OR l.{key[0]} IS NULL OR columns <> ''
        ORDER BY 1
        """  # noqa: S608 - made of our own columns' names
    )
    for what, is_missing, is_extra, names in iter(result.fetchone, None):
        said = (
            "the lake has it, the state has not"
            if is_missing
            else "the state has it, the lake has not"
            if is_extra
            else f"state and lake differ in {names}"
        )
        if is_extra and table == "responses" and len(what) > 1800:
            continue
        yield _error(f"state, {table}, {what}", said, REBUILD)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the lake tells of addresses: whose story each holds, and whose site an article is."""

    holders: Mapping[tuple[str, str], str]
    asked: frozenset[tuple[str, str]]
    sites: Mapping[str, str]


def _addresses(
    connection: duckdb.DuckDBPyConnection, state: State, key_of: KeyOf | None
) -> Iterator[Finding]:
    known = _known(connection, key_of)
    there = {}
    for row in state.rows(state_tables.aliases):
        at = (row["site"], row["url_key"])
        there[at] = row["article_id"]
        if known.sites.get(row["article_id"]) != row["site"]:
            yield _error(_alias(at), f"names {row['article_id']}, which is not there", REBUILD)
    for at, article_id in known.holders.items():
        if there.get(at) != article_id:
            what = f"names {there.get(at, 'no story')}, the lake {article_id}"
            yield _error(_alias(at), what, REBUILD)
    for at in known.asked - there.keys():
        yield _error(_alias(at), "is not there", REBUILD)


def _alias(at: tuple[str, str]) -> str:
    return f"state, aliases, {at[0]} {at[1]}"


def _known(connection: duckdb.DuckDBPyConnection, key_of: KeyOf | None) -> _Known:
    articles = rows_of(
        connection, "SELECT article_id, site, canonical_url, replaced_at FROM articles"
    )
    holders = {
        (row["site"], fitted(row["canonical_url"])): row["article_id"]
        for row in articles
        if row["replaced_at"] is None
    }
    asked = set()
    if key_of is not None:
        captures = connection.execute(
            f"""SELECT DISTINCT site, url, requested_url FROM captures
                WHERE article_id IS NOT NULL AND kind IN ('article', 'further')
                  AND verdict IN {_STORED}"""  # noqa: S608 - our own
        )
        for site, *urls in iter(captures.fetchone, None):
            keys = [key_of(site, url) for url in urls]
            asked |= {(site, fitted(key)) for key in keys if key and None not in keys}
    return _Known(holders, frozenset(asked), {row["article_id"]: row["site"] for row in articles})


def _links(
    connection: duckdb.DuckDBPyConnection, state: State, key_of: KeyOf | None
) -> Iterator[Finding]:
    """Links are the state's own; what can be held against anything else is whose they are."""
    found = connection.execute("SELECT article_id FROM articles").fetchall()
    articles = {article_id for (article_id,) in found}
    for row in state.rows(state_tables.links):
        where = f"state, links, {row['site']} {row['url_key']}"
        if row["article_id"] is not None and row["article_id"] not in articles:
            yield _error(where, f"names {row['article_id']}, which is not there", REBUILD)
        if row["status"] not in state_tables.LINK_STATUSES:
            yield _error(where, f"has the unknown status {row['status']!r}", REBUILD)
        key = key_of(row["site"], row["url"]) if key_of else None
        if key is not None and fitted(key) != row["url_key"]:
            yield _error(where, f"is not the key of its address, {row['url']}", REBUILD)
    for table in (state_tables.claims, state_tables.sites):
        for _ in state.rows(table):
            pass  # each can be read


def _register(
    connection: duckdb.DuckDBPyConnection, state: State, table: str, columns: tuple[str, ...]
) -> None:
    """Make the state's rows a table of DuckDB, `in_state_…`, some at a time."""
    schema = pa.schema([(name, _kind(name)) for name in columns])
    rows = iter(state.rows(state_tables.metadata.tables[table]))
    some: list[Mapping[str, object]] = []
    make = f"CREATE TABLE in_state_{table} AS FROM batch"
    while some or make.startswith("CREATE"):
        connection.register("batch", pa.Table.from_pylist(some, schema=schema))
        connection.execute(make)
        connection.unregister("batch")
        make = f"INSERT INTO in_state_{table} FROM batch"
        some = [{name: row[name] for name in columns} for row in islice(rows, _AT_ONCE)]


def _kind(name: str) -> pa.DataType:
    if name in _TIMES:
        return TIME
    return pa.int64() if name in _NUMBERS else pa.string()


def _error(where: str, what: str, remedy: str) -> Finding:
    return Finding(check="state", level="error", where=where, what=what, remedy=remedy)
