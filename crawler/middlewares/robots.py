"""robots.txt, as RFC 9309 has it.

Scrapy's own middleware allows everything where robots.txt cannot be had. The RFC says: 4xx allows,
5xx and no answer forbid; and 500 KiB of it must be read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Self
from urllib.parse import urlsplit

from protego import Protego
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http.request import NO_CALLBACK

from crawler.refusals import NotAskedError
from pipelines.model import Kind, Page

logger = logging.getLogger(__name__)

MOST_BYTES = 500 * 1024
FORBIDS_ALL = "User-agent: *\nDisallow: /"


class RobotsMiddleware:
    """Asks each host's robots.txt once a run, before anything else of that host."""

    def __init__(self, crawler: Crawler, *, user_agent: str):
        self._crawler = crawler
        self._user_agent = user_agent
        self._rules: dict[str, asyncio.Task[Protego]] = {}

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
        if not rules.can_fetch(request.url, self._user_agent):
            raise NotAskedError("robots", request.url)

    async def _ask(self, host: str, request: Request) -> Protego:
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
        except Exception as error:  # noqa: BLE001 - whatever went wrong, there is no answer
            logger.warning("%s gave no answer, so nothing there is asked: %s", url, error)
            return Protego.parse(FORBIDS_ALL)
        page: Page | None = response.meta.get("page")
        rules = self._rules_of(url, page)
        self._slow_down(request, rules)
        return rules

    def _rules_of(self, url: str, page: Page | None) -> Protego:
        if page is None or page.status >= 500 or page.status == 429:
            logger.warning("%s answered with an error, so nothing there is asked", url)
            return Protego.parse(FORBIDS_ALL)
        if page.status >= 300:
            return Protego.parse("")
        return Protego.parse(page.body[:MOST_BYTES].decode("utf-8", "replace"))

    def _slow_down(self, request: Request, rules: Protego) -> None:
        """Crawl-delay is obeyed where it asks for more than the site file does."""
        wanted = rules.crawl_delay(self._user_agent)
        slot = request.meta.get("download_slot")
        if not wanted or slot is None:
            return
        downloader = self._crawler.engine.downloader
        given = downloader.per_slot_settings.setdefault(slot, {})
        if float(wanted) > given.get("delay", 0):
            given.update(delay=float(wanted), concurrency=1, jitter=0.0)
            if slot in downloader.slots:
                downloader.slots[slot].delay = float(wanted)
                downloader.slots[slot].concurrency = 1
