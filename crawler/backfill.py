"""One site's backfill: its sources, then its stories, handed out of the state some at a time.

What waits lies in the state, so that it may be a million links, and so that a run that is killed
is gone on with: a source is read once its links are put down, and then not asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from crawler.discovery import Discovered, discover
from crawler.estimate import Pace, Standing, told
from crawler.frontier import MAX_ATTEMPTS, Dates
from crawler.link_queue import LinkQueue
from crawler.refusals import NotAskedError
from crawler.run import Run
from crawler.site import Site
from crawler.trails import Trail, Trails
from pipelines.archive import read_page
from pipelines.backfill_state import (
    answered_sources,
    count_answered,
    count_unread,
    end_backfill,
    failed_links,
    line_of,
    put_new_sources,
    put_read,
    sources_in_line,
    waiting_links,
)
from pipelines.backfill_tables import BackfillSource
from pipelines.errors import ArchiveError, DiscoveryError
from pipelines.model import Kind, Link
from pipelines.state_tables import LinkState

logger = logging.getLogger(__name__)

# So many requests of a site are with Scrapy at most; once half of them are gone, more are.
MOST_IN_LINE = 200
# Rows of the state that are looked at together.
ROWS_AT_ONCE = 1_000
# A source that was no use in so many runs is given up.
MOST_TRIES = 5
TELL_EVERY = timedelta(minutes=1)


class Backfill:
    """Hands out what is to be asked, and is told what came of it.

    Sources go first, all of them, so that a story is read with all that is said of it.
    """

    def __init__(
        self,
        site: Site,
        queue: LinkQueue,
        run: Run,
        *,
        trails: Trails,
        dates: Dates,
        limit: int | None,
    ):
        self._site = site
        self._name = site.name
        self._queue = queue
        self._run = run
        self._state = run.state
        self._report = run.report.site(site.name)
        self._trails = trails
        self._days = days_of(dates)
        self._limit = limit
        self._now = self._told_at = run.report.started_at
        # How far the line of sources, and that of links, was handed out.
        self._after_source, self._after_link = 0, ""
        self._n = self._unread = self._in_line = self._sources_in_line = 0
        # Stories: answered, known and not yet, and of these not to be asked in this run.
        self._asked = self._left = self._kept = 0
        self._lines: list[Callable[[str, int], Sequence[LinkState]]] = []
        self._has_begun = False
        self._resting: set[str] = set()
        self._pace = Pace()

    async def begin(self, roots: Iterable[tuple[Kind, str]]) -> None:
        """Take up what an earlier run left of the same days; begin anew where it left nothing."""
        self._n, began = line_of(self._state, self._name, self._days)
        put_new_sources(self._state, [self._new(k, url, Trail(root=url)) for k, url in roots])
        if began is not None:
            self._asked = count_answered(self._state, self._name, since=began)
            logger.info("%s: the backfill of %s that was begun goes on", self._name, self._days)
            await self._read_archived()
        self._unread = count_unread(self._state, self._name, self._days)
        # What failed before comes first: later, it could not be told from what fails now.
        failed = [self._failed_links] if began is not None else []
        self._lines = [*failed, self._waiting_links]
        for line in self._lines:
            after = ""
            while rows := line(after, ROWS_AT_ONCE):
                after = rows[-1].url_key
                self._left += sum(map(self._queue.is_waiting, rows))
                await asyncio.sleep(0)
        self._has_begun = True

    async def _read_archived(self) -> None:
        """Read what sources had answered a run that died before it put down what they list."""
        for source, known in answered_sources(self._state, self._name, self._days):
            kind = Kind(source.kind)
            try:
                page = read_page(self._run.lake.storage, known.location)
                found = discover(kind, page.body, source.url, site=self._site, headers=page.headers)
            except (ArchiveError, DiscoveryError) as error:
                logger.warning("it is asked again: %s", error)
            else:
                await self.take_in(source, found)
        self._left = 0  # all is counted that waits

    def _new(self, kind: Kind, url: str, trail: Trail) -> BackfillSource:
        self._n += 1
        return BackfillSource(
            site=self._name, days=self._days, n=self._n, url=url, kind=kind.value,
            root=trail.root, pages=trail.pages, found_at=self._now,
        )  # fmt: skip

    def _waiting_links(self, after: str, most: int) -> Sequence[LinkState]:
        return waiting_links(self._state, self._name, after=after, most=most)

    def _failed_links(self, after: str, most: int) -> Sequence[LinkState]:
        return failed_links(
            self._state, self._name, after=after, most=most, most_attempts=MAX_ATTEMPTS
        )

    # Handing out

    @property
    def _room(self) -> int:
        return MOST_IN_LINE - self._in_line if self._in_line <= MOST_IN_LINE // 2 else 0

    def take_sources(self) -> list[BackfillSource]:
        """Return the next sources that are to be asked now.

        A large one is put down for seconds: the answer of a next would wait for that, and time out.
        """
        room = min(self._room, self._site.connections - self._sources_in_line)
        if room <= 0:
            return []
        found: list[BackfillSource] = []
        while not found and (rows := self._sources(room)):
            self._after_source = rows[-1].n
            found = [one for one in rows if _host(one.url) not in self._resting]
        self._in_line += len(found)
        self._sources_in_line += len(found)
        return found

    def _sources(self, most: int) -> list[BackfillSource]:
        return sources_in_line(
            self._state, self._name, self._days, after=self._after_source, most=most
        )

    def take_links(self) -> list[Link]:
        """Return the next stories that are to be asked now: none while sources are being read."""
        most = self._room if self._limit is None else min(self._room, self._limit)
        if self._sources_in_line or not most:
            return []
        found: list[Link] = []
        while len(found) < most and self._lines:
            rows = self._lines[0](self._after_link, most - len(found))
            self._after_link = rows[-1].url_key if rows else ""
            self._lines = self._lines if rows else self._lines[1:]
            waiting = [one.link for one in rows if self._queue.is_waiting(one)]
            willing = [one for one in waiting if _host(one.url) not in self._resting]
            self._kept += len(waiting) - len(willing)
            found += willing
        self._in_line += len(found)
        self._limit = None if self._limit is None else self._limit - len(found)
        return found

    def rest(self, url: str) -> None:
        """Ask nothing more of a host that is to be left alone for now."""
        self._resting.add(_host(url))

    # What came of it

    async def take_in(self, source: BackfillSource, found: Discovered) -> None:
        """Put down what a source lists and leads to; then it is read, and not asked again.

        The loop may see to other things in between.
        """
        for new in self._queue.put_down(found.links, self._report):
            self._left += new
            await asyncio.sleep(0)
        kind, trail = Kind(source.kind), Trail(root=source.root, pages=source.pages)
        further = self._trails.further(
            found, at=source.url, kind=kind, site=self._site, trail=trail
        )
        self.read(source, [self._new(kind, url, on) for url, on in further])

    def read(self, source: BackfillSource, further: Iterable[BackfillSource] = ()) -> None:
        put_read(self._state, replace(source, is_read=True), further)
        self._unread = count_unread(self._state, self._name, self._days)

    def failed(self, source: BackfillSource, *, for_good: bool) -> None:
        """A source was no use: for good, or for this run; in the end it is given up."""
        tries = source.tries + 1
        is_given_up = for_good or tries >= MOST_TRIES
        put_read(self._state, replace(source, tries=tries, is_read=is_given_up), ())
        self._unread -= is_given_up

    def unanswered(
        self, source: BackfillSource, refusal: NotAskedError | None, *, url: str
    ) -> None:
        """No answer came of a source, whatever the reason; `url` is where its request had come."""
        if refusal is not None and refusal.for_now:
            self.rest(url)
        else:
            self.failed(source, for_good=refusal is not None)

    def source_done(self, now: datetime) -> None:
        """The request of a source has had its answer, or will have none."""
        self._in_line -= 1
        self._sources_in_line -= 1
        self._pace.answered(now)

    def story_done(self, link: Link, now: datetime) -> None:
        """The request of a story has had its answer, or will have none in this run."""
        self._in_line -= 1
        self._pace.answered(now)
        if self._queue.is_left(link):
            self._kept += 1
        else:
            self._asked += 1
            self._left -= 1

    def tell(self, now: datetime, *, delay_seconds: float) -> None:
        """Say how far this is: to the report each time, to the log once a minute."""
        self._report.standing = standing = self._standing(delay_seconds)
        if now - self._told_at >= TELL_EVERY:
            self._told_at = now
            logger.info("%s: %s", self._name, told(standing))

    def _standing(self, least_seconds: float) -> Standing:
        stories_in_line = self._in_line - self._sources_in_line
        return Standing(
            asked=self._asked,
            # A link may turn out to be of other days: only at the end is the number known.
            left=max(self._left, 0) if self._lines else stories_in_line + self._kept,
            sources_left=self._unread,
            most=None if self._limit is None else self._limit + stories_in_line,
            seconds_each=self._pace.seconds_each(least=least_seconds),
        )

    def end(self) -> None:
        """Forget the backfill where it is done: given again, it begins anew."""
        while self._lines and not self._lines[0](self._after_link, 1):  # a limit was the last one
            self._after_link, self._lines = "", self._lines[1:]
        if self._lines and self._limit == 0:
            self._report.skipped["limit"] = max(self._left - self._kept, 0)
        is_left = self._lines or self._kept or self._in_line or self._unread
        if self._has_begun and not is_left:
            end_backfill(self._state, self._name, self._days, most_attempts=MAX_ATTEMPTS)


def days_of(dates: Dates) -> str:
    """Write the days of a backfill as they are kept.

    >>> from datetime import date
    >>> days_of((date(2024, 5, 1), None))
    '2024-05-01..'
    """
    return "..".join(day.isoformat() if day else "" for day in dates)


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()
