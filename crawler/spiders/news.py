"""The one spider: asks a site's sources for links, and the links for articles."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import scrapy
from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from crawler.backfill import Backfill
from crawler.discovery import Discovered, discover
from crawler.fetch_errors import describe
from crawler.ingest import Outcome
from crawler.link_queue import LinkQueue
from crawler.oddities import is_unfollowed, oddities
from crawler.out_of_turn import OutOfTurn
from crawler.refusals import INTERRUPTED, RESTING, NotAskedError
from crawler.requests import request_and_cause, request_for, request_of, status_line
from crawler.run import Run
from crawler.site import Site
from crawler.story_outcomes import StoryOutcomes
from crawler.timetable import Timetable, sources_in
from crawler.trails import MOST_DEPTH, MOST_PAGES, Trail, Trails
from pipelines.errors import ArchiveError, DiscoveryError, LakeError, SitrepError, StateError
from pipelines.model import Kind, Link, Page, Verdict

logger = logging.getLogger(__name__)

# How a site says that there is no such further page: WordPress' feeds 404, its posts 400.
NO_FURTHER_PAGE = frozenset({400, 404, 410})
# Answers below 500 that are of the moment: asked again, a source may be there.
ASK_AGAIN = frozenset({304, 408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one crawl asks for: whole sites, or single addresses (then no source is asked)."""

    sites: tuple[Site, ...]
    urls: tuple[tuple[Site, str], ...] = ()
    limit: int | None = None
    dates: tuple[date | None, date | None] | None = None
    # Only the sources whose time has come are asked, not all of a site's.
    is_due: bool = False
    is_dry: bool = False
    samples: int = 0  # articles that a dry run reads all the same


class NewsSpider(scrapy.Spider):
    name = "news"

    def __init__(self, run: Run, plan: Plan, on_progress: Callable[[], None] = lambda: None):
        super().__init__()
        self.run = run
        self.plan = plan
        self.on_progress = on_progress
        self.is_through = False  # All was asked for that is known from the beginning.
        self._asked_sources: set[tuple[str, str]] = set()
        self._trails = Trails(dates=plan.dates, now=run.report.started_at)
        run.on_stop = self._stop
        self.queues = {
            site.name: LinkQueue(
                site,
                run.ledger,
                limit=plan.limit,
                dates=plan.dates,
                now=run.report.started_at,
                is_dry=plan.is_dry,
                samples=plan.samples,
            )
            for site in plan.sites
        }
        by_name = bool(plan.urls)
        self._stories = StoryOutcomes(run, self.queues, by_name=by_name, on_progress=on_progress)
        out_of_turn = OutOfTurn(run, self.queues, self._download, by_name=by_name)
        run.ingest.ask, run.ingest.reader.go_on = out_of_turn.ask, out_of_turn.go_on
        run.is_poll = not plan.urls and plan.dates is None
        now = run.report.started_at
        self.backfills = {
            site.name: Backfill(
                site,
                self.queues[site.name],
                run,
                trails=self._trails,
                dates=plan.dates,
                limit=plan.limit,
            )
            for site in plan.sites
            if plan.dates is not None and not plan.urls and not plan.is_dry
        }
        self.timetables = {
            site.name: Timetable(run.state, site, now=now) for site in plan.sites if run.is_poll
        }

    @property
    def outcomes(self) -> dict[str, Outcome | str]:
        """What became of the addresses that were asked for by name."""
        return self._stories.by_url

    async def start(self) -> AsyncIterator[Any]:
        """Yield the first requests. Scrapy would log an error here, and end as if all were done."""
        try:
            async for request in self._start():
                yield request
        except SitrepError as error:
            self.run.stop(error)
        self.is_through = True

    async def _start(self) -> AsyncIterator[Request]:
        for site, url in self.plan.urls:
            link = Link(url=url, found_at="recrawl", kind=Kind.ARTICLE)
            yield self._article_request(link, site, conditional=False)
        for site in self.plan.sites:
            if self.plan.urls:
                continue
            if (backfill := self.backfills.get(site.name)) is not None:
                await backfill.begin(sources_in(site, dates=self.plan.dates))
            first = self._first_requests(site) if backfill is None else self._handed_out(site)
            for request in first:
                yield request

    def _first_requests(self, site: Site) -> Iterator[Request]:
        for kind, url in sources_in(site, dates=self.plan.dates):
            yield from self._source_requests([(url, Trail(root=url))], kind, site)
        for link in self.queues[site.name].waiting():
            yield self._article_request(link, site)

    def _revisits(self) -> Iterator[Request]:
        """Yield the stories whose age wants a look, once all that is new was asked for."""
        for site in self.plan.sites:
            if (timetable := self.timetables.pop(site.name, None)) is None:
                continue
            for link in self.queues[site.name].revisits(timetable.revisits()):
                self.run.report.site(site.name).revisits += 1
                yield self._article_request(link, site)

    # A backfill: what is asked comes out of the state, some at a time

    def _handed_out(self, site: Site) -> Iterator[Request]:
        if self.run.fatal is not None or self.run.report.is_interrupted:
            return
        backfill = self.backfills[site.name]
        for source in backfill.take_sources():
            trail = Trail(root=source.root, pages=source.pages)
            request = self._source_request(source.url, Kind(source.kind), site, trail=trail)
            request.meta["backfill_source"] = source
            yield request
        for link in backfill.take_links():
            yield self._article_request(link, site)

    def more(self) -> Iterator[Request]:
        """Yield what is to be asked when nothing is on its way."""
        for site in self.plan.sites:
            if site.name in self.backfills:
                yield from self._handed_out(site)
        yield from self._revisits()

    def _done(self, request: Request) -> None:
        """A request came to its end: a backfill asks on."""
        site, now = request.meta["site"], self.run.clock()
        if (backfill := self.backfills.get(site.name)) is None:
            return
        try:
            if request.meta["kind"] is Kind.ARTICLE:
                backfill.story_done(request.meta["link"], now)
            else:
                backfill.source_done(now)
            for one in self._handed_out(site):
                self.crawler.engine.crawl(one)
        except StateError as error:
            self.run.stop(error)
        backfill.tell(now, delay_seconds=self._delay_of(site))
        self.on_progress()

    def _delay_of(self, site: Site) -> float:
        """Return the seconds between two requests: robots.txt may ask for more than the file."""
        slot = self.crawler.engine.downloader.slots.get(site.name)
        return float(slot.delay) if slot is not None else site.delay.total_seconds()

    def end(self) -> None:
        """Forget the backfills that are done, once all that they gave is committed."""
        for site in self.plan.sites:
            if (backfill := self.backfills.get(site.name)) is not None:
                backfill.end()
                backfill.tell(self.run.clock(), delay_seconds=self._delay_of(site))

    # Sources

    def _source_requests(
        self, urls: Iterable[tuple[str, Trail]], kind: Kind, site: Site
    ) -> Iterator[Request]:
        for url, trail in urls:
            if (site.name, url) not in self._asked_sources and self._is_wanted(url, site):
                self._asked_sources.add((site.name, url))
                yield self._source_request(url, kind, site, trail=trail)

    def _source_request(self, url: str, kind: Kind, site: Site, *, trail: Trail) -> Request:
        self.run.report.site(site.name).sources_asked += 1
        request = self._request(
            url, kind, site, callback=self.source, errback=self.source_failed, conditional=True
        )
        request.meta["trail"] = trail
        return request

    def _is_wanted(self, url: str, site: Site) -> bool:
        timetable = self.timetables.get(site.name)
        return not self.plan.is_due or timetable is None or timetable.is_source_due(url)

    async def source(self, response: Response) -> AsyncIterator[Request]:
        """Read a feed, sitemap, listing or wp-json page, and ask for what it lists."""
        try:
            async for request in self._listed(response):
                yield request
        except (LakeError, StateError) as error:
            self.run.stop(error)
        finally:
            self._done(request_of(response))

    async def _listed(self, response: Response) -> AsyncIterator[Request]:
        page, site = response.meta["page"], response.meta["site"]
        report, trail = self.run.report.site(site.name), response.meta["trail"]
        backfill = self.backfills.get(site.name)
        of: Any = response.meta.get("backfill_source")
        if trail.pages and page.status in NO_FURTHER_PAGE and page.kind is not Kind.SITEMAP:
            report.sources_asked -= 1
            self.run.settle(page, Verdict.DISCOVERY)
            if backfill is not None:
                backfill.read(of)
            return
        try:
            full, verdict = self._full_source(page)
            found = discover(page.kind, full.body, page.url, site=site, headers=full.headers)
        except (DiscoveryError, ArchiveError) as error:
            report.sources_failed += 1
            report.error(page.requested_url, error.message)
            self.run.polls.failed(site.name, page.requested_url, page.kind, at=page.fetched_at)
            reason = "discovery" if page.status in {200, 304} else f"http_{page.status}"
            if not page.is_redirect:  # a redirect has its verdict as one
                self.run.settle(page, f"{Verdict.FAILED}:{reason}")
            if backfill is not None:
                backfill.failed(of, for_good=page.status < 500 and page.status not in ASK_AGAIN)
            return
        self.run.settle(page, verdict)
        for warning in self._odd(found, page, site, trail):
            if report.warn(page.requested_url, warning):
                logger.warning("%s: %s", page.requested_url, warning)
        report.pointers += bool(found.children and not found.links)
        if backfill is not None:
            await backfill.take_in(of, found)
            return
        record = self.run.source(page)
        for link in self.queues[site.name].choose(found.links, report, record):
            yield self._article_request(link, site)
        # With the headers of an answer 304, which says anew how long it stays as it is.
        new = self.queues[site.name].new
        self.run.polls.answered(full, found, new=new, root=trail.root)
        at, kind = page.requested_url, page.kind
        further = self._trails.further(found, at=at, kind=kind, site=site, trail=trail)
        for request in self._source_requests(further, kind, site):
            yield request

    def _odd(self, found: Discovered, page: Page, site: Site, trail: Trail) -> Iterator[str]:
        yield from found.warnings
        yield from oddities(page.kind, found.links, site=site, now=self.run.report.started_at)
        most = MOST_DEPTH if page.kind is Kind.SITEMAP else MOST_PAGES
        is_unread = is_unfollowed(found, is_backfill=self.plan.dates is not None)
        if is_unread and trail.pages >= most:
            yield f"leads on beyond {most} from {trail.root}: no further is followed"

    def _full_source(self, page: Page) -> tuple[Page, str]:
        if page.status == 304:
            copy = self.run.archived_copy(page)
            if copy is None:
                raise DiscoveryError("answered 304 to an unconditional request", where=page.url)
            return copy, Verdict.NOT_MODIFIED
        if page.status != 200:
            raise DiscoveryError(status_line(page), where=page.url)
        if page.payload_bytes and not page.body:
            raise DiscoveryError("is not what its Content-Encoding says", where=page.url)
        return page, Verdict.DISCOVERY

    async def source_failed(self, failure: Failure) -> None:
        request, cause = request_and_cause(failure)
        report = self.run.report.site(request.meta["site"].name)
        refusal = cause if isinstance(cause, NotAskedError) else None
        if refusal is not None and refusal.reason == INTERRUPTED:
            report.sources_asked -= 1
            return
        report.sources_failed += 1
        reason, error = describe(cause, request.url)
        report.error(request.meta["requested_url"], error)
        asked, kind = request.meta["requested_url"], request.meta["kind"]
        # A source that was not asked since its host is left alone has not failed once more.
        if not (isinstance(cause, NotAskedError) and cause.reason in RESTING):
            self.run.polls.failed(report.site, asked, kind, at=self.run.clock())
        self._settle_earlier(request, reason)
        if (backfill := self.backfills.get(report.site)) is not None:
            try:
                backfill.unanswered(request.meta["backfill_source"], refusal, url=request.url)
            except StateError as stopped:
                self.run.stop(stopped)
        self._done(request)

    # Articles

    def _article_request(self, link: Link, site: Site, *, conditional: bool = True) -> Request:
        return self._request(
            link.url,
            Kind.ARTICLE,
            site,
            callback=self.article,
            errback=self.article_failed,
            conditional=conditional,
            link=link,
        )

    async def article(self, response: Response) -> None:
        """Hand an article page on; what it becomes is not the spider's business."""
        try:
            await self._article(response)
        finally:
            self._done(request_of(response))

    async def _article(self, response: Response) -> None:
        page, site = response.meta["page"], response.meta["site"]
        if page.is_redirect:  # a redirect has its verdict as one
            self._stories.failed(
                request_of(response), f"http_{page.status}", status_line(page), status="failed"
            )
            return
        if page.status == 200 and not page.payload_bytes and not page.withheld:
            self.run.settle(page, f"{Verdict.FAILED}:empty")
            line = "the body is empty"
            self._stories.failed(request_of(response), "empty", line, status="failed")
            return
        try:
            outcome = await self.run.take(page, site)
        except (LakeError, StateError) as error:
            # Nothing is wrong with the page: its link stays, and the next run asks again.
            self.run.settle(page, f"{Verdict.FAILED}:interrupted")
            self.run.stop(error)
            return
        except NotAskedError:  # of a further page of it: the same
            self.run.ledger.distrust(page)
            self.run.settle(page, f"{Verdict.FAILED}:interrupted")
            return
        except Exception:
            self.run.settle(page, f"{Verdict.FAILED}:callback_error")
            self.run.report.callback_errors += 1
            self._stories.failed(
                request_of(response), "callback_error", "an error of Sitrep's own", status="failed"
            )
            raise
        self._stories.taken(request_of(response), outcome)

    async def article_failed(self, failure: Failure) -> None:
        request, cause = request_and_cause(failure)
        self._article_failed(request, cause)
        self._done(request)

    def _article_failed(self, request: Request, cause: BaseException) -> None:
        reason, error = describe(cause, request.url)
        self._settle_earlier(request, reason)
        if isinstance(cause, NotAskedError) and cause.reason == INTERRUPTED:
            return  # like all that waited in line behind it
        if isinstance(cause, NotAskedError):
            self._not_asked(request, cause)
        elif self.run.fatal is not None:
            # The run ends early for a reason of its own; the link stays for the next one.
            self._stories.keep(request.meta["requested_url"], error)
        else:
            self._stories.failed(request, reason, error, status="failed")

    def _not_asked(self, request: Request, cause: NotAskedError) -> None:
        self._stories.not_asked(request, cause)
        backfill = self.backfills.get(request.meta["site"].name)
        if backfill is not None and cause.for_now and not request.meta.get("redirect_times"):
            backfill.rest(request.meta["requested_url"])

    def _settle_earlier(self, request: Request, reason: str) -> None:
        """An answer that was retried, and never followed by a better one, has its verdict now."""
        page: Page | None = request.meta.pop("page", None)
        if page is not None and page.status >= 400:
            self.run.settle(page, f"{Verdict.FAILED}:{reason}")

    def _request(
        self,
        url: str,
        kind: Kind,
        site: Site,
        *,
        callback: Callable[..., Any],
        errback: Callable[[Failure], Awaitable[None]],
        conditional: bool,
        link: Link | None = None,
    ) -> Request:
        return request_for(
            url,
            kind,
            site,
            callback=callback,
            errback=errback,
            conditional=conditional and not self.plan.is_dry,
            by_name=bool(self.plan.urls),
            link=link,
        )

    def _download(self, request: Request) -> Awaitable[Response]:
        downloaded: Awaitable[Response] = self.crawler.engine.download_async(request)
        return downloaded

    def _stop(self) -> None:
        self.crawler.engine.close_spider(self, reason="archive")
