"""A run that reads and stores nothing: what would be asked for, what an article would be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from crawler.ingest import Outcome, Turn, at_once
from crawler.run import Run, Source, page_of, with_reservations
from crawler.site import Site
from crawler.story_pages import read_rest
from pipelines.archive_writer import Exchange, RevisitOf
from pipelines.host_state import HostState
from pipelines.model import Article, Capture, Page, RecordLocation, Verdict

NOWHERE = RecordLocation(warc_path="", warc_offset=0, warc_length=0, warc_record_id="")


class DryRun(Run):
    """Fetches as a run does; `articles` holds what was read, by the address asked for.

    `unclaimed` names the throw-away sites that stand for addresses that no site file claims.
    """

    unclaimed: frozenset[str] = frozenset()

    def __init__(self, **parts: Any):
        super().__init__(**parts)
        self.articles: dict[str, Article] = {}

    async def archive(self, exchange: Exchange) -> Page:
        return page_of(with_reservations(exchange, obeyed=self.settings.reservations), NOWHERE)

    def revisit_of(self, site: str, url: str) -> RevisitOf | None:  # noqa: ARG002 - nothing is kept
        return None

    def settle(self, page: Page, verdict: str, *, article_id: str | None = None) -> None:
        pass

    def put_host(self, host: HostState) -> None:
        self._hosts[host.host] = host

    def source(self, page: Page) -> Source | None:  # noqa: ARG002 - nothing is kept
        return None

    async def take(self, page: Page, site: Site, *, turn: Turn = at_once) -> Outcome:  # noqa: ARG002 - nothing is decided
        if page.status != 200:
            verdict = f"{Verdict.FAILED}:http_{page.status}"
            return Outcome(capture=Capture(page=page, verdict=verdict), error=f"HTTP {page.status}")
        if page.withheld:
            verdict = f"{Verdict.REFUSED}:reserved_{page.withheld}"
            return Outcome(
                capture=Capture(page=page, verdict=verdict), error=f"refused: {page.withheld}"
            )
        article = await self._read(page, site)
        self.articles[page.requested_url] = article
        bare = replace(page, body=b"")
        if article.refusal is not None:
            verdict = f"{Verdict.REFUSED}:{article.refusal}"
            return Outcome(
                capture=Capture(page=bare, verdict=verdict), error=f"refused: {article.refusal}"
            )
        return Outcome(capture=Capture(page=bare, verdict=Verdict.NEW.value))

    async def _read(self, page: Page, site: Site) -> Article:
        read = self.pool.reader(None if site.name in self.unclaimed else site)

        async def go_on(address: str, first: Page) -> Page | None:
            return await self.ingest.go_on(address, first, site) if self.ingest.go_on else None

        article = await read(page)
        rest = await read_rest(page, article, read=read, go_on=go_on)
        return rest.behind(article)

    async def end(self) -> None:
        """Nothing is committed: a run that kept nothing leaves nothing."""
        self.report.finished_at = self.clock()
