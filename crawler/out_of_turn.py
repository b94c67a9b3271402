"""Pages that are asked for while another is being read: an old address, a story's next page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection

from scrapy import Request
from scrapy.http import Response

from crawler.refusals import INTERRUPTED, NotAskedError
from crawler.requests import request_for
from crawler.run import Run
from crawler.site import Site
from pipelines.model import Kind, Page, Verdict

logger = logging.getLogger(__name__)


class OutOfTurn:
    """Asks for single pages of the `sites` of a crawl, by the same rules as all others."""

    def __init__(
        self,
        run: Run,
        sites: Collection[str],
        download: Callable[[Request], Awaitable[Response]],
        *,
        by_name: bool,
    ):
        self._run = run
        self._sites = sites
        self._download = download
        self._by_name = by_name

    async def ask(self, url: str, site: Site) -> tuple[int, str | None]:
        """Ask an old address once. Returns (0, None) when it gives no answer.

        Asked also by a run that is told to end: a story that moved would become two.
        """
        if site.name not in self._sites:
            return 0, None  # of another run's page: a crawl touches the sites it names alone
        request = request_for(url, Kind.ARTICLE, site, by_name=self._by_name)
        request.meta.update(dont_redirect=True, is_in_flight=True)
        try:
            response = await self._download(request)
        except Exception as error:  # noqa: BLE001 - no answer, whatever the reason, proves nothing
            logger.info("%s gave no answer: %s", url, error)
            return 0, None
        page: Page = response.meta["page"]
        if not page.is_redirect:
            gone = page.status >= 400
            self._run.settle(page, f"failed:http_{page.status}" if gone else Verdict.DISCOVERY)
        target = page.headers.get("location")
        return page.status, response.urljoin(target) if target else None

    async def go_on(self, url: str, first: Page, site: Site) -> Page | None:
        """Fetch a further page of a story. Raises NotAskedError when the run ends before that."""
        if site.name not in self._sites:
            return None
        request = request_for(url, Kind.FURTHER, site, by_name=self._by_name)
        request.meta.update(dont_redirect=True, continues=first.location.warc_record_id)
        try:
            response = await self._download(request)
        except NotAskedError as error:
            if error.reason == INTERRUPTED:
                raise
            logger.warning("%s: the story ends there: %s", url, error)
            return None
        except Exception as error:  # noqa: BLE001 - whatever the reason, what there is of the story is kept
            logger.warning("%s gave no answer: the story ends there (%s)", url, error)
            return None
        page: Page = response.meta["page"]
        if page.status == 200 and page.body:
            return page
        if page.withheld:
            self._run.settle(page, f"{Verdict.REFUSED}:reserved_{page.withheld}")
        elif not page.is_redirect:
            reason = "empty" if page.status == 200 else f"http_{page.status}"
            self._run.settle(page, f"{Verdict.FAILED}:{reason}")
        return None
