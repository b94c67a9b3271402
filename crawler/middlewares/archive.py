"""Every response goes to the archive before anything else sees it."""

from __future__ import annotations

from typing import Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from crawler.run import Run
from pipelines.archive_writer import Exchange
from pipelines.errors import ArchiveError
from pipelines.model import NO_HINTS, Kind, Page


class ArchiveMiddleware:
    """Stands next to the wire, below redirects and decompression, so that raw bytes are kept.

    The page as the archive holds it goes on in `request.meta["page"]`.
    """

    def __init__(self, run: Run):
        self._run = run

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(run_of(crawler))

    async def process_response(self, request: Request, response: Response) -> Response:
        self._settle_attempt(request)
        exchange = _exchange(request, response, self._run)
        try:
            request.meta["page"] = await self._run.archive(exchange)
        except ArchiveError as error:
            self._run.stop(error)
            raise
        return response

    def _settle_attempt(self, request: Request) -> None:
        """An error that was asked again stays on record as the error that it was."""
        earlier: Page | None = request.meta.pop("page", None)
        if earlier and earlier.status >= 400 and earlier.kind is not Kind.ROBOTS:
            self._run.settle(earlier, f"failed:http_{earlier.status}")


def run_of(crawler: Crawler) -> Run:
    """Return the run that the crawler's spider works for."""
    run: Run = crawler.spider.run  # type: ignore[union-attr]
    return run


def _exchange(request: Request, response: Response, run: Run) -> Exchange:
    meta = request.meta
    site, kind = meta["site"], meta["kind"]
    return Exchange(
        site=site.name,
        kind=kind,
        run_id=run.run_id,
        requested_url=meta.get("requested_url", request.url),
        url=response.url,
        status=response.status,
        headers=[(name, value) for name, values in response.headers.items() for value in values],
        payload=response.body,
        fetched_at=run.clock(),
        ip=str(response.ip_address) if response.ip_address else None,
        redirected_from=tuple(meta.get("redirect_urls", ())),
        hints=meta.get("hints", NO_HINTS),
        revisit_of=run.revisit_of(site.name, response.url),
        continues=meta.get("continues"),
    )
