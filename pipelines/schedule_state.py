"""What the schedule asks of the state, and puts there."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipelines.backfill_tables import backfill_sources
from pipelines.schedule_tables import SourceState, TurnState, Visited, sources, turns
from pipelines.state import State
from pipelines.state_tables import articles, fitted, links

# Of the table `meta`.
MOST_KEY_CHARS = 64


def sources_of(state: State, site: str) -> dict[str, SourceState]:
    """Return what is on record of a site's sources, by address (see `fitted`)."""
    rows = state.select(sa.select(sources).where(sources.c.site == site))
    return {row["url"]: SourceState(**row) for row in rows}


def put_sources(state: State, found: Iterable[SourceState]) -> None:
    rows = [asdict(one) | {"url": fitted(one.url)} for one in found]
    with state.transaction() as transaction:
        transaction.put(sources, rows)


def turn_of(state: State, site: str) -> TurnState:
    rows = state.select(sa.select(turns).where(turns.c.site == site))
    return TurnState(**rows[0]) if rows else TurnState(site=site)


def put_turn(state: State, turn: TurnState) -> None:
    with state.transaction() as transaction:
        transaction.put(turns, [asdict(turn)])


def warnings_of(state: State, site: str) -> list[dict[str, str]]:
    """Return what was odd about a site's sources when each was last asked: url, warning."""
    found: list[dict[str, str]] = json.loads(state.note(_warnings_key(site)) or "[]")
    return found


def put_warnings(
    state: State, site: str, warnings: Iterable[Mapping[str, str]], *, asked: Collection[str]
) -> None:
    """Put down the warnings of a run that asked the sources `asked`; of the others they stay."""
    before = warnings_of(state, site)
    after = [one for one in before if one["url"] not in asked] + [dict(one) for one in warnings]
    if after != before:
        state.set_note(_warnings_key(site), json.dumps(after))


def _warnings_key(site: str) -> str:
    return f"warnings:{site}"[:MOST_KEY_CHARS]


def visited(
    state: State, site: str, *, since: datetime, until: datetime, statuses: Collection[str]
) -> list[Visited]:
    """Return the addresses of the stories of a site that were first seen between two times."""
    query = (
        sa.select(
            articles.c.article_id, articles.c.first_seen, articles.c.date_published,
            links.c.url_key, links.c.status, links.c.attempts, links.c.last_fetched,
        )
        .join(links, (links.c.site == articles.c.site)
              & (links.c.article_id == articles.c.article_id))
        .where(
            articles.c.site == site,
            articles.c.first_seen > since,
            articles.c.first_seen <= until,
            links.c.status.in_(statuses),
        )
    )  # fmt: skip
    rows: Iterable[Any] = state.select(query)
    return [Visited(**row) for row in rows]


def has_pending(state: State, site: str) -> bool:
    """Tell whether links of a site were found that nobody has asked for yet.

    Beside a backfill that is not yet done they are not looked for: a crawl takes them along.
    """
    query = sa.select(links.c.url_key).where(links.c.site == site, links.c.status == "pending")
    begun = sa.select(backfill_sources.c.n).where(backfill_sources.c.site == site)
    return not state.select(begun.limit(1)) and bool(state.select(query.limit(1)))
