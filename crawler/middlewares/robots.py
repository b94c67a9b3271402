"""robots.txt, as RFC 9309 has it.

Scrapy's own middleware allows everything where robots.txt cannot be had. The RFC says: 4xx allows,
5xx and no answer forbid; and 500 KiB of it must be read.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from protego import Protego
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest
from scrapy.http.request import NO_CALLBACK

from crawler.fetch_errors import describe
from crawler.manners import ROBOTS_GOOD_FOR, has_robots
from crawler.middlewares.archive import run_of
from crawler.middlewares.rests import host_of
from crawler.refusals import NotAskedError
from crawler.run import Run
from pipelines.model import Kind, Page

logger = logging.getLogger(__name__)

MOST_BYTES = 500 * 1024
# A wish beyond this is no wish to be crawled, or a slip: an hour between two pages.
MOST_DELAY_SECONDS = 3600.0
# Of a run that goes on, a host that was silent is asked again after so long.
SILENT_FOR = timedelta(minutes=10)


class _SilentError(Exception):
    """There is no knowing what a host's robots.txt says; the message tells why."""


@dataclass(slots=True)
class _Rules:
    asking: asyncio.Future[Protego | str]
    good_until: datetime


class RobotsMiddleware:
    """Asks each host's robots.txt once a day, before anything else of that host.

    A host whose robots.txt cannot be had is left alone until it answers; its links stay as they
    were.
    """

    def __init__(self, crawler: Crawler, run: Run, *, user_agent: str):
        self._crawler = crawler
        self._run = run
        # The product token alone: Protego looks for a group's name anywhere in what it is given,
        # so that a group for `news` would bind whoever has that word in a comment.
        self._token = re.split(r"[/\s]", user_agent.strip(), maxsplit=1)[0]
        self._rules: dict[str, _Rules] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler, run_of(crawler), user_agent=crawler.settings["USER_AGENT"])

    async def process_request(self, request: Request) -> None:
        if request.meta["kind"] is Kind.ROBOTS:
            return
        rules = await self._rules_for(request)
        if isinstance(rules, str):
            raise NotAskedError("silent_host", rules, for_now=True)
        if not rules.can_fetch(request.url, self._token):
            raise NotAskedError("robots", "robots.txt forbids it")

    async def _rules_for(self, request: Request) -> Protego | str:
        """Return the rules of a request's host, or a line that says why there is no knowing them.

        Of a run of many days, they are asked for anew each day; what failed, after a while.
        """
        host, now = host_of(request), self._run.clock()
        known = self._rules.get(host)
        if known is None or (known.asking.done() and now >= known.good_until):
            asking = asyncio.ensure_future(self._found(host, request))
            known = self._rules[host] = _Rules(asking, now + ROBOTS_GOOD_FOR)
        rules = await asyncio.shield(known.asking)
        if isinstance(rules, str) and known.good_until > now + SILENT_FOR:
            known.good_until = now + SILENT_FOR
        return rules

    async def _found(self, host: str, request: Request) -> Protego | str:
        """Return the rules on record while they are good, else those that the host has now."""
        known, now = self._run.host(host), self._run.clock()
        text = known.robots_text if has_robots(known, now=now) else None
        if text is None:
            try:
                text = await self._ask(f"{host}/robots.txt", request)
            except _SilentError as error:
                logger.info("%s/robots.txt: %s; nothing there is asked", host, error)
                return f"{host}/robots.txt cannot be had, so nothing there is asked: {error}"
            known = replace(self._run.host(host), robots_text=text, robots_at=now)
            self._run.put_host(known)
        rules = Protego.parse(text)
        self._slow_down(request, rules)
        return rules

    async def _ask(self, url: str, request: Request) -> str:
        """Return the robots.txt of a host, empty where it has none. Raises _SilentError."""
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
                "by_name": request.meta.get("by_name", False),
            },
        )
        try:
            response = await self._crawler.engine.download_async(asked)
        except IgnoreRequest as error:
            if isinstance(error, NotAskedError) and error.for_now:
                raise _SilentError(str(error)) from error
            # The RFC: redirects that lead nowhere, or where we do not go, are no robots.txt.
            logger.warning("%s is taken as missing: %s", url, error)
            return ""
        except Exception as error:
            # Whatever went wrong, there is no answer.
            raise _SilentError(describe(error, url)[1]) from error
        page: Page = response.meta["page"]
        self._run.polls.beside(page.site, url)
        for line in oddities(page.body):
            self._run.report.site(page.site).warn(url, line)
        return _text_of(page)

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
                now.delay, now.concurrency, now.jitter = max(wanted, now.delay), 1, 0.0


def _text_of(page: Page) -> str:
    if page.status >= 500 or page.status == 429:
        raise _SilentError(f"HTTP {page.status}")
    if page.status >= 300:
        return ""
    if page.payload_bytes and not page.body:
        raise _SilentError("the body is not what its Content-Encoding says")
    return readable(page.body)


def oddities(body: bytes) -> Iterator[str]:
    """Yield what a user ought to know of a robots.txt that could be had."""
    if len(body) > MOST_BYTES:
        yield f"longer than {MOST_BYTES >> 10} KiB: what is beyond is not obeyed"
    if b"\0" in body[:100]:
        yield "is UTF-16, which robots.txt is not to be; read as such"


def readable(body: bytes) -> str:
    """Return what is to be read of robots.txt; a line that is cut would forbid too much.

    It is to be UTF-8. What an editor wrote as UTF-16 is read as that: taken for UTF-8 it would
    forbid nothing.

    >>> readable("Disallow: /a".encode("utf-16"))
    'Disallow: /a'
    """
    encoding = "utf-8-sig"
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in body[:100]:
        encoding = "utf-16-le" if body[1:2] == b"\0" else "utf-16-be"
    if encoding.startswith("utf-16"):
        return body[:MOST_BYTES].decode(encoding, "replace")
    if len(body) > MOST_BYTES:
        body = body[:MOST_BYTES].rpartition(b"\n")[0]
    return body.decode(encoding, "replace").replace("\0", "")
