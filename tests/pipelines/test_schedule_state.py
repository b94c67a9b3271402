"""What the schedule keeps in the state comes back as it was, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crawler.site import Site
from crawler.timetable import Timetable
from pipelines.host_state import HostState
from pipelines.model import Kind, Link
from pipelines.schedule_state import (
    has_pending,
    put_sources,
    put_turn,
    put_warnings,
    sources_of,
    turn_of,
    visited,
    warnings_of,
)
from pipelines.schedule_tables import SourceState, TurnState
from pipelines.state import State
from pipelines.state_tables import LinkState

NOW = datetime(2026, 3, 11, 8, 0, 1, 250_000, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEED = "https://gazette.example/feed/"


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    state = State.open(state_url)
    yield state
    state.close()


def a_site() -> Site:
    return Site(
        name="gazette", publisher="G", home="https://gazette.example/", time_zone="UTC",
        feeds=(FEED,), every="30m",
    )  # type: ignore[arg-type] # fmt: skip


def source(**changes: object) -> SourceState:
    given = {"site": "gazette", "url": FEED, "kind": "feed", "asked_at": NOW, **changes}
    return SourceState(**given)  # type: ignore[arg-type]


def test_a_source_comes_back_as_it_was_put_down(state):
    one = source(
        failures=2, hours=tuple(n / 8 for n in range(24)), days=3.25, fresh_seconds=900.0,
        wish_seconds=3600.0, hub="https://hub.example/" + "long-" * 500,
    )  # fmt: skip
    put_sources(state, [one])
    assert sources_of(state, "gazette") == {FEED: one}
    put_sources(state, [replace(one, failures=0, hub=None)])
    assert sources_of(state, "gazette")[FEED].failures == 0
    assert sources_of(state, "other") == {}


def test_sources_whose_long_addresses_begin_alike_are_two(state):
    urls = [f"https://gazette.example/{'long-' * 800}{end}" for end in "ab"]
    put_sources(state, [source(url=url) for url in urls])
    assert len(sources_of(state, "gazette")) == 2


def test_a_turn_comes_back_and_its_revisits_are_of_a_day(state):
    assert turn_of(state, "gazette") == TurnState(site="gazette")
    one = TurnState(site="gazette", began_at=NOW, seconds=1.5, failures=1, not_before=NOW + HOUR)
    put_turn(state, one.spent(3, day="2026-03-11").spent(2, day="2026-03-11"))
    found = turn_of(state, "gazette")
    assert (found.began_at, found.not_before, found.seconds) == (NOW, NOW + HOUR, 1.5)
    assert (found.revisits_on("2026-03-11"), found.revisits_on("2026-03-12")) == (5, 0)


def test_warnings_of_a_source_stay_until_it_is_asked_again(state):
    cut = {"url": FEED, "warning": "cut in the middle: 2 whole entries could be read — Φ"}
    odd = {"url": "https://gazette.example/map", "warning": "not well-formed"}
    put_warnings(state, "gazette", [cut, odd], asked={FEED, odd["url"]})
    put_warnings(state, "gazette", [], asked={odd["url"]})
    assert warnings_of(state, "gazette") == [cut]
    put_warnings(state, "gazette", [], asked={FEED})
    assert warnings_of(state, "gazette") == []


def test_pending_links_are_known_of_and_stories_found_by_their_age(state):
    assert not has_pending(state, "gazette")
    link = Link(url=f"{FEED}a", found_at=FEED, kind=Kind.ARTICLE)
    with state.transaction() as transaction:
        transaction.put_links(
            [LinkState(site="gazette", url_key=link.url, link=link, status="pending",
                       first_seen=NOW)]
        )  # fmt: skip
    assert has_pending(state, "gazette")
    assert not has_pending(state, "other")
    assert visited(state, "gazette", since=NOW - DAY, until=NOW, statuses=["done"]) == []


@pytest.mark.parametrize(
    ("failures", "rest", "due"),
    [(0, None, HOUR / 2), (3, None, 4 * HOUR), (0, 3 * HOUR, 3 * HOUR), (3, HOUR, 4 * HOUR),
     (3, 5 * HOUR, 5 * HOUR)],
)  # fmt: skip
def test_of_the_waits_of_a_source_and_of_its_host_the_longer_one_counts(state, failures, rest, due):
    put_sources(state, [source(failures=failures)])
    if rest is not None:
        host = HostState(host="https://gazette.example", troubles=5, left_until=NOW + rest)
        with state.transaction() as transaction:
            transaction.put_host(host)
    timetable = Timetable(state, a_site(), now=NOW)
    assert timetable.due_at == NOW + due
    assert timetable.is_source_due(FEED) is False
    assert Timetable(state, a_site(), now=NOW + due).is_due
