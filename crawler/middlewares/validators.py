"""Conditional GET: an address is asked with its own validators, and with no other's."""

from __future__ import annotations

from typing import Self

from scrapy import Request
from scrapy.crawler import Crawler

from crawler.middlewares.archive import run_of
from crawler.run import Run


class ValidatorsMiddleware:
    """Sends what is on record of the address at hand, for requests whose meta says `conditional`.

    Scrapy takes a request's headers along when it follows a redirect; the validators of one
    address are a wrong question at another, whose 304 would stand for a page we never had.
    """

    def __init__(self, run: Run):
        self._run = run

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(run_of(crawler))

    def process_request(self, request: Request) -> None:
        for name in ("If-None-Match", "If-Modified-Since"):
            request.headers.pop(name, None)
        if not request.meta.get("conditional"):
            return
        known = self._run.ledger.response(request.meta["site"].name, request.url)
        if known is None or not known.settled:
            return
        if known.etag:
            request.headers["If-None-Match"] = known.etag
        if known.last_modified:
            request.headers["If-Modified-Since"] = known.last_modified
