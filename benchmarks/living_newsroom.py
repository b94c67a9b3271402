"""The newsroom, publishing: its five sites in their own markup, by a clock that is told the time.

Each site has the pages, the feeds, sitemaps, listings or wp-json of the bundled one, and its dead
links too. What differs is time: stories come out by the hour, some are edited, sites fail.
Headlines and texts are words drawn by lot; a page is changed by an edit alone, to the byte, so that
a server that knows validators can answer 304.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from newsroom_pages import stories as told

from fixtures.newsroom import Newsroom, Request
from fixtures.newsroom.pages import MOMENTS, Answer, Edition
from fixtures.newsroom.stories import Outlet, Story, read_outlets

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Stories a day on working days, nearly all in working hours of the site's own zone: a busy site,
# three as trade papers are, and one that is silent for days.
STORIES_A_DAY = {
    "northwall_news": 14.0,
    "harbour_gazette": 7.0,
    "meridian_defence": 5.0,
    "granit_bulletin": 4.0,
    "fjord_monitor": 0.7,
}
WEEKEND_SHARE, NIGHT_SHARE = 0.4, 0.1
# One story in eight is edited, most soon, some late.
EDITED_SHARE = 1 / 8
EDITED_AFTER = (HOUR / 2, 2 * HOUR, 5 * HOUR, 15 * HOUR, 3 * DAY, 12 * DAY)
# Boxes that name another story by its slug, which may not be out.
_ALSO = re.compile(r"^@(?:also|teaser) .*$\n*", re.MULTILINE)
# What a site lists at most: older stories stay where they are and are listed nowhere.
LISTED = 40


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a site fails: `down`, `busy` (503), `asks` (503, Retry-After), `robots`."""

    site: str
    since: datetime
    until: datetime
    how: str

    def answer(self, path: str) -> Answer | None:
        """Return what is answered instead; None where the site answers as ever."""
        if self.how == "down":
            raise ConnectionResetError(self.site)
        if self.how == "robots":
            return Answer(status=500) if path == "/robots.txt" else None
        wait = {"Retry-After": "5400"} if self.how == "asks" else {}
        return Answer(status=503, headers=wait)


OUTAGES = (
    Outage("harbour_gazette", START + 5.4 * DAY, START + 5.5 * DAY, "down"),
    Outage("northwall_news", START + 9.4 * DAY, START + 9.6 * DAY, "busy"),
    Outage("meridian_defence", START + 12.5 * DAY, START + 12.6 * DAY, "asks"),
    Outage("granit_bulletin", START + 15.3 * DAY, START + 16.6 * DAY, "robots"),
    Outage("northwall_news", START + 23.45 * DAY, START + 23.5 * DAY, "down"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """A story, and when it is edited; what it says before and after."""

    first: Story
    edited_at: datetime | None

    def at(self, now: datetime) -> Story | None:
        if now < self.first.published:
            return None
        if self.edited_at is None or now < self.edited_at:
            return self.first
        more = f"This report was changed: the yard now says {len(self.first.body)} tonnes."
        return replace(self.first, body=f"{self.first.body}\n\n{more}", modified=self.edited_at)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and whether its address had the same answer when it was last asked for."""

    request: Request
    is_same: bool


class LivingNewsroom(Newsroom):
    """Five sites as they are at `clock()`; `told` has all that each publishes in so many days."""

    def __init__(self, clock: Callable[[], datetime], *, days: float, outages: tuple[Outage, ...]):
        super().__init__()
        self.clock = clock
        self.outages = outages
        self.told = {name: list(_told(one, days)) for name, one in read_outlets().items()}
        self.asked: list[Asked] = []
        self._now: dict[str, tuple[tuple[Story, ...], Edition]] = {}
        self._last: dict[tuple[str, str], bytes] = {}
        self._making = threading.RLock()

    def answer(self, site: str, path: str, query: Mapping[str, str]) -> Answer:
        now = self.clock()
        for one in self.outages:
            if one.site == site and one.since <= now < one.until and (bad := one.answer(path)):
                return bad
        with self._making:
            edition = self._edition(site, now)
            found = edition.answer(path, query)
        if found.modified == MOMENTS[1]:  # of a feed, sitemap or listing
            return replace(found, modified=max((s.changed for s in edition.stories), default=START))
        return found

    def _edition(self, site: str, now: datetime) -> Edition:
        stories = tuple(_as_listed(self.told[site], now))
        known = self._now.get(site)
        if known is None or known[0] != stories:
            edition = Edition(site, state=1, origin=self.url(site, ""))
            edition.stories = stories
            known = self._now[site] = (stories, edition)
        return known[1]

    def log(self, request: Request) -> None:
        key = (request.site, request.path)
        path, _, query = request.path.partition("?")
        pairs = dict(one.partition("=")[::2] for one in query.split("&") if one)
        body = self.answer(request.site, path, pairs).body
        with self._making:
            is_same = self._last.get(key) == body
            self._last[key] = body
            self.asked.append(Asked(request, is_same))

    def address(self, site: str, story: Story) -> str:
        return self.url(site, read_outlets()[site].path(story))


def _as_listed(told_: list[Told], now: datetime) -> Iterator[Story]:
    """Yield what is out, the youngest first; all but the first `LISTED` are listed nowhere."""
    out = [story for one in told_ if (story := one.at(now)) is not None]
    out.sort(key=lambda story: story.published, reverse=True)
    for n, story in enumerate(out):
        yield story if n < LISTED else replace(story, unlisted_since=1)


def _told(outlet: Outlet, days: float) -> Iterator[Told]:
    chance = random.Random(f"living {outlet.name}")  # noqa: S311 - news, no secrets
    # Some days' worth was out before: an empty site has no feed.
    hours = [START - 3 * DAY + n * HOUR for n in range(int(24 * (days + 3)))]
    times = sorted(
        hour + chance.random() * HOUR
        for hour in hours
        for _ in range(_poisson(chance, _rate(outlet, hour)))
    )
    zone = ZoneInfo(outlet.time_zone)
    for story, at in zip(told(outlet, len(times)), times, strict=True):
        # Printed dates have minutes.
        published = at.replace(second=0, microsecond=0).astimezone(zone)
        is_edited = chance.random() < EDITED_SHARE
        after = chance.choice(EDITED_AFTER) * (0.8 + 0.4 * chance.random())
        first = replace(story, published=published, body=_ALSO.sub("", story.body))
        yield Told(first, published + after if is_edited else None)


def _rate(outlet: Outlet, hour: datetime) -> float:
    local = hour.astimezone(ZoneInfo(outlet.time_zone))
    a_day = STORIES_A_DAY[outlet.name] * (WEEKEND_SHARE if local.weekday() > 4 else 1.0)
    is_day = 8 <= local.hour < 18
    return a_day * ((1 - NIGHT_SHARE) / 10 if is_day else NIGHT_SHARE / 14)


def _poisson(chance: random.Random, rate: float) -> int:
    n, left = 0, chance.expovariate(1.0)
    while left < rate:
        n, left = n + 1, left + chance.expovariate(1.0)
    return n
