"""What a backfill asks of the state, and puts there; never more than some rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipelines.backfill_tables import IS_PENDING, BackfillSource
from pipelines.backfill_tables import backfill_sources as sources
from pipelines.state import State
from pipelines.state_tables import (
    LinkState,
    ResponseState,
    fitted,
    link_state,
    links,
    response_state,
    responses,
)


def _is_of(site: str, days: str) -> sa.ColumnElement[bool]:
    return (sources.c.site == site) & (sources.c.days == days)


def put_new_sources(state: State, found: Iterable[BackfillSource]) -> None:
    """Put sources in line, but for those that are, or were."""
    rows = [asdict(one) | {"url_key": fitted(one.url)} for one in found]
    with state.transaction() as transaction:
        transaction.put_new(sources, rows)


def put_read(state: State, source: BackfillSource, further: Iterable[BackfillSource]) -> None:
    """Put down that a source was read, and what it led to: both, or none."""
    rows = [asdict(one) | {"url_key": fitted(one.url)} for one in further]
    with state.transaction() as transaction:
        transaction.put_new(sources, rows)
        transaction.put(sources, [asdict(source) | {"url_key": fitted(source.url)}])


def sources_in_line(
    state: State, site: str, days: str, *, after: int, most: int
) -> list[BackfillSource]:
    """Return the first sources behind the `after`-th that are not yet read."""
    query = (
        sa.select(sources)
        .where(_is_of(site, days), sources.c.n > after, sources.c.is_read.is_(False))
        .order_by(sources.c.n)
        .limit(most)
    )
    return [_source(row) for row in state.select(query)]


def answered_sources(
    state: State, site: str, days: str
) -> list[tuple[BackfillSource, ResponseState]]:
    """Return the sources that are not read, and were answered since they were put in line."""
    query = (
        sa.select(sources, responses)
        .join(responses, (responses.c.site == sources.c.site)
              & (responses.c.url == sources.c.url_key))
        .where(_is_of(site, days), sources.c.is_read.is_(False))
        .where(responses.c.fetched_at >= sources.c.found_at)
        .order_by(sources.c.n)
        .set_label_style(sa.LABEL_STYLE_TABLENAME_PLUS_COL)
    )  # fmt: skip
    return [
        (_source(_columns_of(row, sources)), response_state(_columns_of(row, responses)))
        for row in state.select(query)
    ]


def _columns_of(row: sa.RowMapping, table: sa.Table) -> dict[str, Any]:
    return {column.name: row[f"{table.name}_{column.name}"] for column in table.columns}


def _source(row: sa.RowMapping | dict[str, Any]) -> BackfillSource:
    return BackfillSource(**{key: value for key, value in row.items() if key != "url_key"})


def count_unread(state: State, site: str, days: str) -> int:
    query = sa.select(sa.func.count().label("n")).where(
        _is_of(site, days), sources.c.is_read.is_(False)
    )
    return int(state.select(query)[0]["n"])


def line_of(state: State, site: str, days: str) -> tuple[int, datetime | None]:
    """Return the last place in line, 0 where there is none, and when the backfill began."""
    query = sa.select(
        sa.func.max(sources.c.n).label("n"), sa.func.min(sources.c.found_at).label("began")
    ).where(_is_of(site, days))
    row = state.select(query)[0]
    return row["n"] or 0, row["began"]


def end_backfill(state: State, site: str, days: str, *, most_attempts: int) -> None:
    """Forget a backfill that is done; its sources may answer 304 where nothing is left of them."""
    is_failed = (links.c.status == "failed") & (links.c.attempts < most_attempts)
    left = sa.select(links.c.url_key).where(links.c.site == site, IS_PENDING | is_failed)
    read = sa.select(sources.c.url_key).where(_is_of(site, days), sources.c.is_read.is_(True))
    is_left = bool(state.select(left.limit(1)))
    with state.transaction() as transaction:
        if not is_left:
            which = (responses.c.site == site) & responses.c.url.in_(read)
            transaction.update(responses, which, settled=True)
        transaction.delete(sources, _is_of(site, days))


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A backfill that was begun: its sources that were not read, its stories not asked for."""

    days: str
    began: datetime
    sources: int
    stories: int


def unfinished_backfills(state: State, site: str) -> list[Unfinished]:
    """Return the backfills of a site that are not done, by their days.

    A story that several of them wait for counts for each.
    """
    begun = (
        sa.select(
            sources.c.days,
            sa.func.min(sources.c.found_at).label("began"),
            sa.func.sum(sa.case((sources.c.is_read, 0), else_=1)).label("sources"),
        )
        .where(sources.c.site == site)
        .group_by(sources.c.days)
        .order_by(sources.c.days)
    )
    waiting = (
        sa.select(sources.c.days, sa.func.count().label("stories"))
        .join(links, (links.c.site == sources.c.site) & (links.c.found_at == sources.c.url_key))
        .where(sources.c.site == site, IS_PENDING)
        .group_by(sources.c.days)
    )
    stories = {row["days"]: row["stories"] for row in state.select(waiting)}
    return [
        Unfinished(row["days"], row["began"], int(row["sources"]), stories.get(row["days"], 0))
        for row in state.select(begun)
    ]


def give_up_backfill(state: State, site: str, days: str) -> None:
    """Forget a backfill, and what it found and nobody asked for; what is stored stays.

    Its sources are asked for whole again by whoever asks next: what they list is not known now.
    Other backfills of the site go through theirs once more: a link is put down once, for the
    source that listed it first, and is forgotten with that.
    """
    own = sa.select(sources.c.url_key).where(_is_of(site, days))
    with state.transaction() as transaction:
        transaction.delete(links, (links.c.site == site) & IS_PENDING & links.c.found_at.in_(own))
        which = (responses.c.site == site) & responses.c.url.in_(own)
        transaction.update(responses, which, settled=False)
        transaction.delete(sources, _is_of(site, days))
        transaction.update(sources, sources.c.site == site, is_read=False)


def waiting_links(state: State, site: str, *, after: str, most: int) -> Sequence[LinkState]:
    """Return the first links that nobody has asked for, by key, behind the key `after`."""
    return _links(state, site, IS_PENDING, after=after, most=most)


def failed_links(
    state: State, site: str, *, after: str, most: int, most_attempts: int
) -> Sequence[LinkState]:
    """Return the first links that failed, fewer times than that, behind the key `after`."""
    which = (links.c.status == "failed") & (links.c.attempts < most_attempts)
    return _links(state, site, which, after=after, most=most)


def _links(
    state: State, site: str, which: sa.ColumnElement[bool], *, after: str, most: int
) -> Sequence[LinkState]:
    query = (
        sa.select(links)
        .where(links.c.site == site, which, links.c.url_key > after)
        .order_by(links.c.url_key)
        .limit(most)
    )
    return [link_state(row) for row in state.select(query)]


def count_answered(state: State, site: str, *, since: datetime) -> int:
    """Return how many of a site's links were answered since then."""
    query = sa.select(sa.func.count().label("n")).where(
        links.c.site == site, links.c.last_fetched >= since, links.c.status != "pending"
    )
    return int(state.select(query)[0]["n"])
