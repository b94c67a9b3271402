"""Hosts that are left alone, in this run and in the next ones: who asked for it, or is down."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any, Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadConnectionRefusedError,
    DownloadTimeoutError,
)
from scrapy.http import Response
from twisted.internet.error import ConnectionRefusedError as TwistedRefusedError
from twisted.internet.error import DNSLookupError, TCPTimedOutError
from twisted.internet.error import TimeoutError as TwistedTimeoutError

from crawler.manners import after_answer, after_trouble, rest_of
from crawler.manners import host_of as host_of_url
from crawler.middlewares.archive import run_of
from crawler.refusals import INTERRUPTED, NotAskedError
from crawler.run import Run
from pipelines.model import Kind

logger = logging.getLogger(__name__)

# Waiting longer holds up the run; what is left of the site is then for the next crawl.
MOST_PATIENCE_SECONDS = 120.0
STOP_LATENCY_SECONDS = 0.2
# What tells of the host, not of the page at hand.
_BUSY = frozenset({429, 502, 503, 504})
_DOWN = (
    CannotResolveHostError, DownloadConnectionRefusedError, DownloadTimeoutError, DNSLookupError,
    TCPTimedOutError, TwistedRefusedError, TwistedTimeoutError,
)  # fmt: skip


class RestsMiddleware:
    """Stands above the retries, so that an address counts once, by what came of it in the end."""

    def __init__(self, crawler: Crawler, run: Run):
        self._crawler = crawler
        self._run = run

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler, run_of(crawler))

    async def process_request(self, request: Request) -> None:
        """Wait out a short rest; a request to a host that has a longer one is not sent."""
        while (rest := self._rest(request)) is not None:
            if rest.total_seconds() > MOST_PATIENCE_SECONDS:
                raise self._refusal(request, rest)
            if is_ending(self._crawler):
                raise NotAskedError(INTERRUPTED, "the run ended", for_now=True)
            await asyncio.sleep(min(rest.total_seconds(), STOP_LATENCY_SECONDS))

    def _rest(self, request: Request) -> timedelta | None:
        by_name = request.meta.get("by_name", False)
        host = self._run.host(host_of(request))
        return rest_of(host, now=self._run.clock(), by_name=by_name)

    def _refusal(self, request: Request, rest: timedelta) -> NotAskedError:
        host = self._run.host(host_of(request))
        why = "asks to be left alone" if host.is_wish else "did not answer in order"
        line = f"{host.host} {why}; it is asked again in {rest.total_seconds():.0f} s"
        return NotAskedError("retry_after" if host.is_wish else "resting", line, for_now=True)

    def process_response(self, request: Request, response: Response) -> Response:
        if response.status in _BUSY or _forbids_all(request, response):
            self._trouble(request)
        else:
            self._answer(request)
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:
        if isinstance(exception, _DOWN):
            self._trouble(request)

    def _trouble(self, request: Request) -> None:
        before = self._run.host(host_of(request))
        after = after_trouble(before, now=self._run.clock())
        self._run.put_host(after)
        if after.left_until == before.left_until:
            return
        logger.warning(
            "%s: %d requests in a row came to nothing; it is left alone until %s",
            after.host,
            after.troubles,
            after.left_until,
        )
        rest = self._rest(request)
        slot = self._crawler.engine.downloader.slots.get(request.meta["download_slot"])
        if rest is not None and slot is not None:
            drop_queue(slot, self._refusal(request, rest))

    def _answer(self, request: Request) -> None:
        before = self._run.host(host_of(request))
        after = after_answer(before, now=self._run.clock())
        if after != before:
            self._run.put_host(after)


def _forbids_all(request: Request, response: Response) -> bool:
    """Tell whether a robots.txt fails, without which nothing of its host is asked."""
    return request.meta["kind"] is Kind.ROBOTS and response.status >= 500


def is_ending(crawler: Crawler) -> bool:
    """Tell whether the run was told to end; Scrapy has no signal for that moment."""
    engine: Any = crawler.engine
    return engine._slot is not None and engine._slot.closing is not None  # noqa: SLF001


def host_of(request: Request) -> str:
    """Return the host of a request, as it is kept."""
    return host_of_url(request.url)


def drop_queue(slot: Any, error: NotAskedError) -> None:
    """Give up what waits for its turn at a host; what is on its way is let be.

    So is, at the end of a run, what a page waits for that is on its way (`is_in_flight`).
    """
    waiting = list(slot.queue)
    slot.queue.clear()
    for request, answer in waiting:
        if error.reason == INTERRUPTED and request.meta.get("is_in_flight"):
            slot.queue.append((request, answer))
        else:
            answer.errback(error)
