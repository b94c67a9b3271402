"""When one site is due, and what of it: its site file held against what the state has on record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from crawler.discovery.wordpress import posts_url
from crawler.frontier import MAX_ATTEMPTS, Dates
from crawler.manners import host_of, rest_of
from crawler.rhythm import (
    CLOCK_TOLERANCE,
    JITTER_SHARE,
    MOST_BACK_OFF,
    Asked,
    Rhythm,
    Stored,
    due_at,
    interval,
    left_of_budget,
    revisit_at,
    revisits,
)
from crawler.site import Site
from pipelines.model import Kind
from pipelines.schedule_state import has_pending, sources_of, turn_of, visited
from pipelines.schedule_tables import SourceState, Visited
from pipelines.state import State
from pipelines.state_tables import fitted

# A story whose last look is this long overdue has been let go: an archive that was shut for a
# year is not opened with a year of revisits.
HORIZON = timedelta(days=30)
# So many answers of no use in a row end a story's revisits, by what they were.
MOST_TRIES = {"done": 1, "gone": 2, "refused": 2, "failed": MAX_ATTEMPTS}


def sources_in(site: Site, *, dates: Dates | None = None) -> Iterator[tuple[Kind, str]]:
    """Yield the sources that a site file names, as a crawl asks them; with `dates`, a backfill."""
    yield from ((Kind.FEED, url) for url in site.feeds)
    yield from ((Kind.SITEMAP, url) for url in site.sitemaps)
    yield from ((Kind.LISTING, url) for url in site.listings)
    if site.wordpress:
        yield Kind.WORDPRESS, _posts_of(site, dates or (None, None))


def _posts_of(site: Site, dates: Dates) -> str:
    """Return where WordPress lists its posts; a day more at each end, for the site's own zone."""
    first, last = dates
    after = _midnight(first - timedelta(days=1)) if first else None
    before = _midnight(last + timedelta(days=2)) if last else None
    return posts_url(site.wordpress, after=after, before=before)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


class Timetable:
    """What the state says of one site's times, read once, at `now`."""

    def __init__(self, state: State, site: Site, *, now: datetime):
        self._state = state
        self._site = site
        self._now = now
        self._known = sources_of(state, site.name)
        self.turn = turn_of(state, site.name)
        self.last_run = state.site(site.name).last_run

    @property
    def due_at(self) -> datetime | None:
        """When a crawl of the site is due; None where it has nothing to ask."""
        wanted = [self._source_due_at(url) for _, url in sources_in(self._site)]
        wanted += [at for at in (self._left_over_at(), self._revisits_at()) if at is not None]
        if not wanted:
            return None
        held = self.turn.not_before
        is_held = held is not None and held <= self._now + MOST_BACK_OFF + CLOCK_TOLERANCE
        return max(min(wanted), held) if held is not None and is_held else min(wanted)

    @property
    def is_due(self) -> bool:
        return self.due_at is not None and self.due_at <= self._now

    @property
    def hubs(self) -> list[str]:
        """The WebSub hubs that the site's feeds name."""
        return sorted({one.hub for one in self._known.values() if one.hub})

    def is_source_due(self, url: str) -> bool:
        """Tell whether a source is asked in a crawl that is under way: one soon due is, too."""
        known = self._known.get(fitted(url))
        if known is None:
            return True
        soon = JITTER_SHARE * interval(_asked(known), every=self._site.every)
        return self._source_due_at(url) <= self._now + soon

    def _source_due_at(self, url: str) -> datetime:
        known = self._known.get(fitted(url))
        asked = _asked(known) if known is not None else Asked()
        if not self._known:  # a state from before, or made again: then by its last run
            asked = Asked(asked_at=self.last_run)
        return self._rested(due_at(asked, every=self._site.every, now=self._now), url)

    def _rested(self, at: datetime, url: str) -> datetime:
        """Return `at`, or when the host of an address is left alone no more, if that is later.

        Of the two waits, a source's own and its host's, the longer one counts; they never add up.
        """
        rest = rest_of(self._state.host(host_of(url)), now=self._now, by_name=False)
        return max(at, self._now + rest) if rest else at

    def _left_over_at(self) -> datetime | None:
        """What an earlier run found and could not ask: the next one goes on with it."""
        if not has_pending(self._state, self._site.name):
            return None
        return self._rested(self._after_last_run(self._now), self._site.home)

    def _revisits_at(self) -> datetime | None:
        """Revisits ride along with the sources; alone they are worth a crawl once in `every`."""
        times = [
            at
            for story in self._stories()
            if (at := revisit_at(story, ages=self._site.revisits, now=self._now)) is not None
        ]
        if not times or not self._site.revisit_budget:
            return None
        at = self._rested(self._after_last_run(min(times) + self._site.every), self._site.home)
        return at if self._budget() else max(at, self._midnight())

    def _after_last_run(self, wanted: datetime) -> datetime:
        last = self.last_run
        if last is None or last > self._now + CLOCK_TOLERANCE:
            return wanted
        return max(wanted, last + self._site.every)

    def _midnight(self) -> datetime:
        return datetime.combine(self._now.date() + timedelta(days=1), time(), UTC)

    def _budget(self) -> int:
        spent = self.turn.revisits_on(f"{self._now:%Y-%m-%d}")
        return left_of_budget(self._site.revisit_budget, spent=spent)

    # Revisits

    def revisits(self) -> list[str]:
        """Return the keys of the addresses that are to be looked at again now."""
        keys = {one.article_id: key for one, key in self._visits()}
        due = revisits(
            self._stories(), ages=self._site.revisits, budget=self._budget(), now=self._now
        )
        return [keys[one.article_id] for one in due]

    def _stories(self) -> list[Stored]:
        return [story for story, _ in self._visits()]

    def _visits(self) -> list[tuple[Stored, str]]:
        ages = self._site.revisits
        if not ages:
            return []
        found = visited(
            self._state,
            self._site.name,
            since=self._now - max(ages) - HORIZON,
            until=self._now + CLOCK_TOLERANCE,
            statuses=MOST_TRIES,
        )
        return list(_by_story(found))


def _by_story(found: Iterable[Visited]) -> Iterator[tuple[Stored, str]]:
    """Yield each story with the key of the address that answers for it, where one does."""
    ordered = sorted(found, key=lambda one: one.article_id)
    for _, group in groupby(ordered, key=lambda one: one.article_id):
        forms = list(group)
        best = max(
            forms, key=lambda one: (one.status == "done", one.last_fetched or one.first_seen)
        )
        if best.status != "done" and best.attempts >= MOST_TRIES[best.status]:
            continue
        last = max(one.last_fetched or one.first_seen for one in forms)
        yield (
            Stored(
                article_id=best.article_id,
                first_seen=best.first_seen,
                last_fetched=last,
                date_published=best.date_published,
            ),
            best.url_key,
        )


def _asked(known: SourceState) -> Asked:
    return Asked(
        asked_at=known.asked_at,
        failures=known.failures,
        rhythm=Rhythm(hours=known.hours or (0.0,) * 24, days=known.days),
        fresh=_length(known.fresh_seconds),
        wish=_length(known.wish_seconds),
    )


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
