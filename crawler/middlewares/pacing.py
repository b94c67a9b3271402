"""Who waits for a host: Retry-After is obeyed, and a run that is to end does not wait."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.utils.asyncio import call_later

from crawler.manners import after_wish
from crawler.middlewares.archive import run_of
from crawler.middlewares.rests import (
    MOST_PATIENCE_SECONDS,
    STOP_LATENCY_SECONDS,
    drop_queue,
    host_of,
    is_ending,
)
from crawler.refusals import INTERRUPTED, NotAskedError
from crawler.run import Run
from pipelines.model import Page

logger = logging.getLogger(__name__)

# A host that has too much of us is asked half as often, and half as often again: up to eight times
# slower than its site file has it, or than so long. After so many good answers in a row it is asked
# twice as often again, up to what that file has.
FIRST_DELAY_SECONDS, MOST_TIMES, GOOD_IN_A_ROW = 0.5, 8, 10


class PacingMiddleware:
    """Holds a site's queue for as long as a 429 or 503 asks, or leaves the site for this run."""

    def __init__(self, crawler: Crawler, run: Run):
        self._crawler = crawler
        self._run = run
        self._left: dict[str, str] = {}
        self._good: Counter[str] = Counter()
        self._watch: asyncio.Task[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        made = cls(crawler, run_of(crawler))
        crawler.signals.connect(made.opened, signal=signals.spider_opened)
        crawler.signals.connect(made.closed, signal=signals.spider_closed)
        return made

    def opened(self) -> None:
        self._watch = asyncio.ensure_future(self._drop_what_waits_at_the_end())

    def closed(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    async def _drop_what_waits_at_the_end(self) -> None:
        """Once the run is to end, only what is on its way is waited for.

        Scrapy would first ask for all that stands in line, at two seconds a page, and has no
        signal for the moment when it is told to stop.
        """
        while True:
            await asyncio.sleep(STOP_LATENCY_SECONDS)
            if is_ending(self._crawler):
                for slot in self._crawler.engine.downloader.slots.values():
                    drop_queue(slot, NotAskedError(INTERRUPTED, "the run ended", for_now=True))

    def process_request(self, request: Request) -> None:
        if why := self._left.get(request.meta["download_slot"]):
            raise NotAskedError("retry_after", why, for_now=True)

    def process_response(self, request: Request, response: Response) -> Response:
        if response.status not in {429, 503}:
            self._speed_up(request.meta["download_slot"])
            return response
        page: Page = request.meta["page"]
        if not request.meta.get("retry_times"):
            self._slow_down(request.meta["download_slot"])
        seconds = seconds_to_wait(page.headers.get("retry-after", ""), now=page.fetched_at)
        if seconds > 0:
            host = self._run.host(host_of(request))
            self._run.put_host(after_wish(host, seconds=seconds, now=page.fetched_at))
        if seconds > MOST_PATIENCE_SECONDS:
            request.meta["dont_retry"] = True
            self._leave(request.meta["download_slot"], seconds)
        elif seconds > 0:
            self._pause(request.meta["download_slot"], seconds)
        return response

    def _slow_down(self, name: str) -> None:
        slot, given = self._slot(name), self._given(name)
        most = MOST_TIMES * max(given["delay"], FIRST_DELAY_SECONDS)
        wanted = min(max(2 * slot.delay, FIRST_DELAY_SECONDS), most)
        slot.delay, slot.concurrency = max(slot.delay, wanted), 1
        self._good[name] = 0

    def _speed_up(self, name: str) -> None:
        """Come back, step by step, to what the site file has; never beyond it."""
        slot, given = self._slot(name), self._given(name)
        self._good[name] += 1
        if slot.delay <= given["delay"] or self._good[name] < GOOD_IN_A_ROW:
            return
        self._good[name] = 0
        slot.delay = max(slot.delay / 2, given["delay"])
        if slot.delay < FIRST_DELAY_SECONDS:
            slot.delay, slot.concurrency = given["delay"], given["concurrency"]

    def _given(self, name: str) -> dict[str, Any]:
        settings = self._crawler.engine.downloader.per_slot_settings
        return {"delay": 0.0, "concurrency": 1, **settings.get(name, {})}

    def _pause(self, name: str, seconds: float) -> None:
        slot = self._slot(name)
        if slot.latercall is not None:
            slot.latercall.cancel()
        slot.latercall = call_later(seconds, self._go_on, slot)

    def _go_on(self, slot: Any) -> None:
        slot.latercall = None
        self._crawler.engine.downloader._process_queue(slot)  # noqa: SLF001 - as Scrapy's own timer does

    def _leave(self, name: str, seconds: float) -> None:
        why = f"the host asks to be left alone for {seconds:.0f} s"
        logger.warning("%s: %s; the next crawl goes on", name, why)
        self._left[name] = why
        drop_queue(self._slot(name), NotAskedError("retry_after", why, for_now=True))

    def _slot(self, name: str) -> Any:
        return self._crawler.engine.downloader.slots[name]


def seconds_to_wait(retry_after: str, *, now: datetime) -> float:
    """Return what a Retry-After header asks for: seconds or a date; 0 when it says neither.

    >>> seconds_to_wait("Wed, 11 Mar 2026 08:00:30 GMT", now=datetime(2026, 3, 11, 8, tzinfo=UTC))
    30.0
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
