"""robots.txt, as RFC 9309 has it.

Scrapy's own middleware allows everything where robots.txt cannot be had. The RFC says: 4xx allows,
5xx and no answer forbid; and 500 KiB of it must be read.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from typing import Self
from urllib.parse import urlsplit

from protego import Protego
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http.request import NO_CALLBACK

from crawler.fetch_errors import describe
from crawler.refusals import NotAskedError
from pipelines.model import Kind, Page

logger = logging.getLogger(__name__)

MOST_BYTES = 500 * 1024
# A wish beyond this is no wish to be crawled, or a slip: an hour between two pages.
MOST_DELAY_SECONDS = 3600.0


class RobotsMiddleware:
    """Asks each host's robots.txt once a run, before anything else of that host.

    A host whose robots.txt cannot be had is left alone in this run; its links stay as they were.
    """

    def __init__(self, crawler: Crawler, *, user_agent: str):
        self._crawler = crawler
        # The product token alone: Protego looks for a group's name anywhere in what it is given,
        # so that a group for `news` would bind whoever has that word in a comment.
        self._token = re.split(r"[/\s]", user_agent.strip(), maxsplit=1)[0]
        self._rules: dict[str, asyncio.Task[Protego | str]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler, user_agent=crawler.settings["USER_AGENT"])

    async def process_request(self, request: Request) -> None:
        if request.meta["kind"] is Kind.ROBOTS:
            return
        parts = urlsplit(request.url)
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._rules:
            self._rules[host] = asyncio.ensure_future(self._ask(host, request))
        rules = await asyncio.shield(self._rules[host])
        if isinstance(rules, str):
            raise NotAskedError("silent_host", rules, for_now=True)
        if not rules.can_fetch(request.url, self._token):
            raise NotAskedError("robots", "robots.txt forbids it")

    async def _ask(self, host: str, request: Request) -> Protego | str:
        """Return the rules of a host, or a line that says why there is no knowing them."""
        url = f"{host}/robots.txt"
        asked = Request(
            url,
            callback=NO_CALLBACK,
            priority=1000,
            dont_filter=True,
            meta={
                "site": request.meta["site"],
                "kind": Kind.ROBOTS,
                "requested_url": url,
                "download_slot": request.meta.get("download_slot"),
            },
        )
        try:
            response = await self._crawler.engine.download_async(asked)
        except IgnoreRequest as error:
            # The RFC: redirects that lead nowhere, or where we do not go, are no robots.txt.
            logger.warning("%s is taken as missing: %s", url, error)
            return Protego.parse("")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, there is no answer
            return self._unknown(url, describe(error, url)[1])
        rules = self._rules_of(url, response.meta["page"])
        if isinstance(rules, Protego):
            self._slow_down(request, rules)
        return rules

    def _rules_of(self, url: str, page: Page) -> Protego | str:
        if page.status >= 500 or page.status == 429:
            return self._unknown(url, f"HTTP {page.status}")
        if page.status >= 300:
            return Protego.parse("")
        if page.payload_bytes and not page.body:
            return self._unknown(url, "the body is not what its Content-Encoding says")
        return Protego.parse(_readable(page.body))

    def _unknown(self, url: str, why: str) -> str:
        logger.info("%s: %s; nothing there is asked", url, why)
        return f"{url} cannot be had, so nothing there is asked: {why}"

    def _slow_down(self, request: Request, rules: Protego) -> None:
        """Crawl-delay is obeyed where it asks for more than the site file does."""
        wanted = rules.crawl_delay(self._token)
        slot = request.meta.get("download_slot")
        if not wanted or slot is None or not math.isfinite(wanted):
            return
        wanted = min(float(wanted), MOST_DELAY_SECONDS)
        downloader = self._crawler.engine.downloader
        given = downloader.per_slot_settings.setdefault(slot, {})
        if wanted > given.get("delay", 0):
            given.update(delay=wanted, concurrency=1, jitter=0.0)
            if slot in downloader.slots:
                now = downloader.slots[slot]
                now.delay, now.concurrency, now.jitter = wanted, 1, 0.0


def _readable(body: bytes) -> str:
    """Return what is to be read of robots.txt; a line that is cut would forbid too much."""
    if len(body) > MOST_BYTES:
        body = body[:MOST_BYTES].rpartition(b"\n")[0]
    return body.decode("utf-8-sig", "replace")
