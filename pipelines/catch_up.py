"""The state made equal to the lake: after a commit that was cut short, or from nothing.

The lake is the only truth. What its rows do not tell (what each source last listed, which address
a page named as its canonical one) is in the archive; whoever catches up reads it there.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from pipelines import copy_rebuild
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.model import Kind, Link, RecordLocation, Verdict
from pipelines.schema import Row, location_of
from pipelines.sessions import session_marks
from pipelines.sql import rows_of
from pipelines.state import State
from pipelines.state_tables import (
    ArticleState,
    LinkState,
    ResponseState,
    SiteState,
    attempts_after,
    link_status,
)
from pipelines.views import DERIVE, connect
from pipelines.warc import place_in_time

logger = logging.getLogger(__name__)

# The key of an address, by the name of its site; None for a site that is no more.
KeyOf = Callable[[str, str], str | None]

_STORED = frozenset({Verdict.NEW, Verdict.CHANGED, Verdict.UNCHANGED, Verdict.NOT_MODIFIED})
_ARTICLE = tuple(ArticleState.__dataclass_fields__)
_MISSING = pa.schema([("warc_path", pa.string())])


@dataclass(slots=True)
class _Found:
    """What the rows of the missing files say, the later over the earlier."""

    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    links: dict[tuple[str, str], LinkState] = field(default_factory=dict)
    responses: dict[tuple[str, str], ResponseState] = field(default_factory=dict)
    sources: dict[tuple[str, str], RecordLocation] = field(default_factory=dict)
    last_fetched: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What was put into the state: WARC files, and where the last answers of sources lie.

    `recorded_at` is the commit up to which it has all articles of the lake.
    """

    warc_paths: tuple[str, ...] = ()
    sources: tuple[RecordLocation, ...] = ()
    recorded_at: datetime | None = None


def missing_batches(lake: Lake, state: State) -> set[str]:
    """Return the WARC files that are committed to the lake and not known to the state."""
    return lake.committed_warcs() - state.batches()


def catch_up(lake: Lake, state: State, *, key_of: KeyOf) -> CaughtUp:
    """Put into the state what the rows of the lake hold and it does not.

    Repeated, it does the same again, until `mark` is told that the archive was read too.
    """
    with lake.lock():
        missing = missing_batches(lake, state)
        recorded_at, level = lake.recorded_at(), state.level_with()
        if not missing and level == recorded_at and copy_rebuild.is_whole(state):
            return CaughtUp()
        if missing:
            logger.warning(
                "the state lacks %d WARC files of the lake; it is brought up", len(missing)
            )
        with connect(lake) as connection:
            connection.register("missing", pa.table({"warc_path": sorted(missing)}, _MISSING))
            articles = _articles(connection)
            stale = _read_otherwise(connection, level)
            found = _read(_captures(connection), state, key_of)
        _name(articles, found, key_of)
        known = {one.article_id: one for one in [*articles, *stale]}.values()
        _save(state, known, found)
        copy_rebuild.index_again(Ledger(lake, state), known)
        return CaughtUp(
            warc_paths=tuple(sorted(missing, key=place_in_time)),
            sources=tuple(found.sources.values()),
            recorded_at=recorded_at,
        )


def mark(state: State, done: CaughtUp) -> None:
    """Put down that the state has all of these files."""
    with state.transaction() as transaction:
        for warc_path in done.warc_paths:
            transaction.put_batch(warc_path)
        if done.recorded_at is not None:
            transaction.put_level(done.recorded_at)


def _read_otherwise(
    connection: duckdb.DuckDBPyConnection, level: datetime | None
) -> list[ArticleState]:
    """Return the articles that were read anew, or placed anew among copies, since `level`.

    No capture tells of that: their bytes are those of files that the state has. A commit that was
    cut short before its captures is left to those who take its file up: known already, its articles
    would be taken for others.
    """
    sql = f"""
        WITH cut_short AS (SELECT * FROM revisions_all ANTI JOIN captures USING (warc_path))
        SELECT {", ".join(_ARTICLE)} FROM ({DERIVE}) WHERE article_id IN (
            SELECT article_id FROM revisions_all WHERE recorded_at > ?
            UNION
            SELECT article_id FROM relations WHERE recorded_at > ?
                AND recorded_at NOT IN (SELECT recorded_at FROM cut_short)
        ) AND article_id NOT IN (SELECT article_id FROM cut_short)
    """  # noqa: S608 - made of our own columns' names
    since = level or datetime.min.replace(tzinfo=UTC)
    return [ArticleState(**row) for row in rows_of(connection, sql, [since, since])]


def _articles(connection: duckdb.DuckDBPyConnection) -> list[ArticleState]:
    """Return the articles with a version in the missing files, first seen first."""
    sql = f"""
        SELECT {", ".join(_ARTICLE)} FROM ({DERIVE}) WHERE article_id IN (
            SELECT article_id FROM revisions_all SEMI JOIN missing USING (warc_path)
        )
        ORDER BY first_seen, article_id
    """  # noqa: S608 - made of our own columns' names
    return [ArticleState(**row) for row in rows_of(connection, sql)]


def _captures(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    sql = "SELECT * FROM captures SEMI JOIN missing USING (warc_path) ORDER BY fetched_at"
    return rows_of(connection, sql)


def _read(captures: Iterable[Row], state: State, key_of: KeyOf) -> _Found:
    # From nothing there is nothing to look up, a million times.
    known = state if state.batches() else None
    found = _Found()
    for row in captures:
        site, url = row["site"], row["url"]
        found.last_fetched[site] = row["fetched_at"]
        if row["status"] == 200:
            found.responses[site, url] = _response(row, found, known)
        if row["kind"] == Kind.FURTHER:
            _add_further(row, found, key_of)
        elif row["kind"] != Kind.ARTICLE:
            if row["status"] == 200 and row["kind"] != Kind.ROBOTS:
                found.sources[site, url] = location_of(row)
        elif row["verdict"] != Verdict.DISCOVERY:  # not on the way to where it was redirected
            _add_link(row, found, known, key_of)
    return found


def _response(row: Row, found: _Found, known: State | None) -> ResponseState:
    at = (row["site"], row["url"])
    before = found.responses.get(at) or (known.response(*at) if known else None)
    is_repeated = before is not None and before.payload_digest == row["payload_digest"]
    return ResponseState(
        site=row["site"],
        url=row["url"],
        etag=row["etag"],
        last_modified=row["last_modified"],
        payload_digest=row["payload_digest"],
        fetched_at=before.fetched_at if before and is_repeated else row["fetched_at"],
        location=before.location if before and is_repeated else location_of(row),
        settled=row["kind"] == Kind.ARTICLE and row["verdict"] in _STORED,
    )


def _add_further(row: Row, found: _Found, key_of: KeyOf) -> None:
    """Have an article known by the addresses at which it goes on; nobody listed those."""
    key = key_of(row["site"], row["url"])
    if key is not None and row["article_id"] and row["verdict"] in _STORED:
        found.aliases[row["site"], key] = row["article_id"]


def _add_link(row: Row, found: _Found, known: State | None, key_of: KeyOf) -> None:
    site = row["site"]
    answered, asked = key_of(site, row["url"]), key_of(site, row["requested_url"])
    if answered is None or asked is None:
        return
    if row["article_id"] and row["verdict"] in _STORED:
        found.aliases[site, answered] = row["article_id"]
        if known is None or known.article_id_at(site, asked) is None:
            found.aliases.setdefault((site, asked), row["article_id"])
        for mark, _ in (*session_marks(answered), *session_marks(asked)):
            found.aliases[site, mark] = row["article_id"]
    before = found.links.get((site, asked)) or (known.link(site, asked) if known else None)
    link = Link(url=row["requested_url"], found_at="archive", kind=Kind.ARTICLE)
    new = LinkState(
        site=site, url_key=asked, link=link, status="pending", first_seen=row["fetched_at"]
    )
    status = link_status(row["verdict"])
    found.links[site, asked] = replace(
        before or new,
        status=status,
        attempts=attempts_after(before, status),
        article_id=row["article_id"] or (before.article_id if before else None),
        last_fetched=row["fetched_at"],
    )


def _name(articles: Collection[ArticleState], found: _Found, key_of: KeyOf) -> None:
    """Have each article known by its own address too; the youngest story at one holds it."""
    for article in articles:
        if key_of(article.site, article.url) is not None:
            found.aliases[article.site, article.canonical_url] = article.article_id


def _save(state: State, articles: Collection[ArticleState], found: _Found) -> None:
    by_site: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for (site, key), article_id in found.aliases.items():
        by_site[site][key] = article_id
    notes = [_note(state, site, when) for site, when in found.last_fetched.items()]
    with state.transaction() as transaction:
        transaction.put_articles(articles)
        for site, aliases in by_site.items():
            transaction.put_aliases(site, aliases)
        transaction.put_links(found.links.values())
        transaction.put_responses(found.responses.values())
        for note in notes:
            transaction.put_site(note)


def _note(state: State, site: str, when: datetime) -> SiteState:
    before = state.site(site)
    return before if before.last_run else replace(before, last_run=when, last_success=when)
