"""When a source is asked again, and when a story is looked at again: pure decisions.

A source starts with its site file's `every`. After two days of being watched, its own rhythm is
known: how many new links each hour of the day brought. It is then asked when half a new link is to
be expected, at least every eight times `every`, at most twice as often as `every`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# `every` is what its author thinks right; nights and busy mornings differ from it by no more.
LEAST_SHARE, MOST_TIMES = 0.5, 4
# What a source did in two days includes each hour twice; less is an anecdote.
WATCHED_DAYS = 2.0
# What was seen a fortnight ago counts half, so that another season is learned in one.
HALF_LIFE = timedelta(days=14)
# Longer than this nobody looked: the machine was off, or its clock was set.
LONGEST_WATCH = timedelta(days=7)
# Each hour is taken to have done, for a day, as all hours do: a single link makes no busy hour.
DAYS_OF_PRIOR = 1.0
# Asked when a quarter of a link is expected, every fourth request finds something where news come
# evenly. The others cost a server an answer 304, and a story that comes out of turn does not wait.
WANTED_LINKS = 0.25
MOST_BACK_OFF = DAY
# A record this far ahead of the clock was written by a clock that has been set back since.
CLOCK_TOLERANCE = timedelta(minutes=1)
JITTER_SHARE, MOST_JITTER = 0.1, timedelta(minutes=5)
# A look that came a tenth early (the listing showed a change) has been the look.
EARLY_SHARE = 0.1
# Of a day's budget a single crawl spends a quarter, so that what is overdue after a stop is spread.
BUDGET_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What one source was seen to do: new links by hour of the day (UTC), in so many days.

    Both fade, so that they are of the last weeks.
    """

    hours: tuple[float, ...] = (0.0,) * 24
    days: float = 0.0

    @property
    def is_known(self) -> bool:
        return self.days >= WATCHED_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is on record of one source. `fresh` is what its server said, `wish` what it says."""

    asked_at: datetime | None = None
    failures: int = 0
    rhythm: Rhythm = Rhythm()
    fresh: timedelta | None = None
    wish: timedelta | None = None


# --- what a source does -----------------------------------------------------------------------


def learned(
    rhythm: Rhythm, *, since: datetime, until: datetime, arrivals: Iterable[datetime]
) -> Rhythm:
    """Return a rhythm with what one look at its source showed: the new links since the last one.

    Links of the same minute are one event: who publishes thirty at once does it once.
    """
    watched = min(max(until - since, timedelta()), LONGEST_WATCH)
    fade = 0.5 ** (watched / HALF_LIFE)
    hours = [one * fade for one in rhythm.hours]
    for minute in {int(one.timestamp()) // 60 for one in arrivals}:
        hours[minute // 60 % 24] += 1.0
    return Rhythm(hours=tuple(hours), days=rhythm.days * fade + watched / DAY)


def arrival(listed: datetime | None, *, since: datetime, until: datetime) -> datetime:
    """Return when a new link came: as it is dated, where that lies between the last two looks.

    A date in the future, or of a server whose clock is a year off, says nothing: then it came at
    some time between, and the middle is the least wrong.
    """
    if listed is not None and since < listed <= until:
        return listed
    return since + (until - since) / 2


def interval(asked: Asked, *, every: timedelta) -> timedelta:
    """Return how long after `asked_at` a source is asked again.

    The freshness that its server declares is obeyed, since before its end there is only the same
    to be had; the wish that its feed prints is, until its rhythm is known, which says more. All of
    it within the bounds of `every`. A source that fails is asked half as often each time.
    """
    wanted = every
    if asked.rhythm.is_known and asked.asked_at is not None:
        wanted = _until_expected(asked.rhythm, asked.asked_at, most=MOST_TIMES * every)
    elif asked.wish is not None:
        wanted = max(wanted, asked.wish)
    wanted = max(wanted, asked.fresh or timedelta())
    bounded = min(max(wanted, LEAST_SHARE * every), MOST_TIMES * every)
    return backed_off(bounded, failures=asked.failures)


def _until_expected(rhythm: Rhythm, start: datetime, *, most: timedelta) -> timedelta:
    """Return how long it takes from `start` until `WANTED_LINKS` are to be expected."""
    expected, at = 0.0, start
    while at - start < most:
        rate = _links_an_hour(rhythm, at.astimezone(UTC).hour)
        whole = at.replace(minute=0, second=0, microsecond=0) + HOUR
        gain = rate * ((whole - at) / HOUR)
        if expected + gain >= WANTED_LINKS:
            return at - start + HOUR * ((WANTED_LINKS - expected) / rate)
        expected, at = expected + gain, whole
    return most


def _links_an_hour(rhythm: Rhythm, hour: int) -> float:
    mean = sum(rhythm.hours) / 24 / rhythm.days
    return (rhythm.hours[hour] + DAYS_OF_PRIOR * mean) / (rhythm.days + DAYS_OF_PRIOR)


def backed_off(interval: timedelta, *, failures: int) -> timedelta:
    """Return an interval doubled for each failure in a row, up to a day; never shortened."""
    if failures <= 0:
        return interval
    doubled = interval * 2 ** min(failures, 32) if interval < MOST_BACK_OFF else interval
    return max(interval, min(doubled, MOST_BACK_OFF))


def due_at(asked: Asked, *, every: timedelta, now: datetime) -> datetime:
    """Return when a source is due: `now` for one that was never asked, or asked in the future."""
    if asked.asked_at is None or asked.asked_at > now + CLOCK_TOLERANCE:
        return now
    return asked.asked_at + interval(asked, every=every)


def jitter(site: str, *, period: datetime, interval: timedelta) -> timedelta:
    """Return how much later than due a site is begun with: the same each time for one period.

    Up to a tenth of the interval, so that a hundred sites of the same `every` part in time.
    """
    named = f"{site} {int(period.timestamp())}".encode()
    share = int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big") / 2**64
    return share * min(JITTER_SHARE * interval, MOST_JITTER)


# --- stories that are looked at again ---------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A stored story: when it was first and last seen. `tried`: answers of no use since, in a row.

    `date_published` only decides who goes first.
    """

    article_id: str
    first_seen: datetime
    last_fetched: datetime
    date_published: datetime | None = None


def revisit_at(story: Stored, *, ages: Collection[timedelta], now: datetime) -> datetime | None:
    """Return when a story is looked at again, by its age; None once that was the last time.

    Ages that went by unused (the machine slept) come to one look. What was last fetched in the
    future, by a clock that has been set back since, is due now.
    """
    if story.last_fetched > now + CLOCK_TOLERANCE:
        return now
    for age in sorted(ages):
        if story.first_seen + age * (1 - EARLY_SHARE) > story.last_fetched:
            return story.first_seen + age
    return None


def revisits(
    stories: Iterable[Stored], *, ages: Collection[timedelta], budget: int, now: datetime
) -> list[Stored]:
    """Return the stories to look at now: the youngest first, and no more than the budget has."""
    due = [
        one
        for one in stories
        if (at := revisit_at(one, ages=ages, now=now)) is not None and at <= now
    ]
    due.sort(key=lambda one: (_birth(one, now), one.article_id), reverse=True)
    return due[: max(budget, 0)]


def _birth(story: Stored, now: datetime) -> datetime:
    published = story.date_published
    return published if published is not None and published <= now else story.first_seen


def left_of_budget(a_day: int, *, spent: int) -> int:
    """Return how many stories one crawl may look at again, when `spent` were today."""
    return max(0, min(a_day - spent, -int(-a_day * BUDGET_SHARE // 1)))


def is_ascending(ages: Sequence[timedelta]) -> bool:
    """Tell whether ages are positive, each longer than the one before."""
    return all(one > timedelta() for one in ages) and all(a < b for a, b in pairwise(ages))
