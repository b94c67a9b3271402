"""When a source is asked, and a story looked at again: by table, and by what may not happen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crawler.freshness import freshness, hub, ttl, update_period
from crawler.rhythm import (
    Asked,
    Rhythm,
    Stored,
    arrival,
    backed_off,
    due_at,
    interval,
    jitter,
    learned,
    left_of_budget,
    revisit_at,
    revisits,
)

NOW = datetime(2026, 3, 11, 8, 0, tzinfo=UTC)
H, D = timedelta(hours=1), timedelta(days=1)
EVERY = H / 2
AGES = (H, 6 * H, D, 7 * D, 30 * D)


def watched(*hours: int, days: int = 10) -> Rhythm:
    """Return the rhythm of a source that brings a link at each of these hours, every day."""
    rhythm, start = Rhythm(), NOW - days * D
    for step in range(days * 48):
        since = start + step * EVERY
        came = [since + EVERY / 2] if since.hour in hours and since.minute == 0 else []
        rhythm = learned(rhythm, since=since, until=since + EVERY, arrivals=came)
    return rhythm


def at(hour: int, rhythm: Rhythm) -> timedelta:
    return interval(Asked(asked_at=NOW.replace(hour=hour), rhythm=rhythm), every=EVERY)


def test_until_it_was_watched_for_two_days_every_holds():
    assert at(3, watched(8, days=1)) == EVERY
    assert interval(Asked(asked_at=NOW), every=EVERY) == EVERY


def test_a_source_is_asked_seldom_at_night_and_often_when_news_come():
    rhythm = watched(8, 9, 10, 11)
    assert at(0, rhythm) == 4 * EVERY
    assert EVERY / 2 <= at(9, rhythm) <= 1.1 * H
    assert at(7, rhythm) < at(2, rhythm)


def test_bounds_hold_for_the_busiest_and_the_silent():
    busy = Rhythm(hours=(500.0,) * 24, days=10)
    assert at(5, busy) == EVERY / 2
    assert at(5, Rhythm(days=10)) == 4 * EVERY


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(asked_at=NOW, fresh=H), H),
        (Asked(asked_at=NOW, fresh=365 * D), 4 * EVERY),
        (Asked(asked_at=NOW, fresh=timedelta(seconds=5)), EVERY),
        (Asked(asked_at=NOW, wish=2 * H), 2 * H),
        (Asked(asked_at=NOW, wish=2 * H, rhythm=Rhythm((500.0,) * 24, 10)), EVERY / 2),
        (Asked(asked_at=NOW, failures=1), 2 * EVERY),
        (Asked(asked_at=NOW, failures=3), 8 * EVERY),
        (Asked(asked_at=NOW, failures=4000), D),
    ],
)
def test_what_servers_and_feeds_say_counts_within_bounds(asked, expected):
    assert interval(asked, every=EVERY) == expected


def test_a_source_asked_in_the_future_is_due_now():
    assert due_at(Asked(asked_at=NOW + 365 * D), every=EVERY, now=NOW) == NOW
    assert due_at(Asked(), every=EVERY, now=NOW) == NOW


def test_clocks_that_jump_spoil_no_rhythm():
    rhythm = watched(8)
    back = learned(rhythm, since=NOW, until=NOW - 365 * D, arrivals=[])
    assert back == rhythm
    on = learned(rhythm, since=NOW, until=NOW + 365 * D, arrivals=[])
    assert on.days < rhythm.days + 7


@pytest.mark.parametrize("listed", [None, NOW + D, NOW - 365 * D])
def test_a_link_without_a_date_that_may_be_right_came_between_the_two_looks(listed):
    assert arrival(listed, since=NOW - H, until=NOW) == NOW - H / 2
    assert arrival(NOW - H / 4, since=NOW - H, until=NOW) == NOW - H / 4


def test_jitter_is_the_same_for_a_site_and_period_and_parts_sites():
    found = [jitter(f"site_{n}", period=NOW, interval=EVERY) for n in range(100)]
    assert found == [jitter(f"site_{n}", period=NOW, interval=EVERY) for n in range(100)]
    assert all(timedelta() <= one < EVERY / 10 for one in found)
    assert len({int(one.total_seconds()) for one in found}) > 50


@pytest.mark.parametrize(
    ("last", "expected"),
    [(0 * H, H), (H, 6 * H), (0.95 * H, 6 * H), (5 * H, 6 * H), (2 * D, 7 * D), (30 * D, None)],
)
def test_a_story_is_looked_at_at_its_next_age(last, expected):
    story = Stored(article_id="a", first_seen=NOW, last_fetched=NOW + last)
    found = revisit_at(story, ages=AGES, now=NOW + 31 * D)
    assert found == (None if expected is None else NOW + expected)


def test_a_short_budget_goes_to_the_youngest():
    stories = [
        Stored(article_id=str(n), first_seen=NOW - n * H, last_fetched=NOW - n * H)
        for n in range(2, 9)
    ]
    found = revisits(stories, ages=AGES, budget=3, now=NOW)
    assert [one.article_id for one in found] == ["2", "3", "4"]
    assert revisits(stories, ages=AGES, budget=-1, now=NOW) == []


def test_one_crawl_spends_a_quarter_of_the_days_budget():
    assert [left_of_budget(10, spent=n) for n in (0, 8, 10, 99)] == [3, 2, 0, 0]
    assert left_of_budget(0, spent=0) == 0


def test_backing_off_never_shortens():
    assert backed_off(3 * D, failures=2) == 3 * D


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"cache-control": "max-age=900"}, H / 4),
        ({"cache-control": "private, Max-Age=900", "age": "300"}, H / 6),
        ({"cache-control": "no-cache, max-age=900"}, None),
        ({"cache-control": "max-age=0"}, None),
        ({"cache-control": "max-age=banana"}, None),
        ({"expires": "Wed, 11 Mar 2026 09:00:00 GMT"}, H),
        ({"expires": "0"}, None),
        ({"expires": "Wed, 11 Mar 2026 07:00:00 GMT"}, None),
        # A server whose clock is a year behind
        ({"expires": "Tue, 11 Mar 2025 09:00:00 GMT", "date": "Tue, 11 Mar 2025 08:00:00 GMT"}, H),
        ({}, None),
    ],
)
def test_freshness_is_read_as_the_standard_has_it(headers, expected):
    assert freshness(headers, now=NOW) == expected


def test_wishes_and_hubs_of_feeds_are_read():
    assert ttl("60") == H
    assert ttl("soon") is ttl("0") is ttl(None) is None
    assert update_period("daily", "2") == 12 * H
    assert update_period("hourly", "1") is update_period("now", None) is None
    link = '<https://hub.example/>; rel="hub", <https://a.example/feed>; rel="self"'
    assert hub({"link": link}, base="https://a.example/feed") == "https://hub.example/"
    assert hub({"link": '<x>; rel="self"'}, base="https://a.example/") is None
