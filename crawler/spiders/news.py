"""The one spider: asks a site's sources for links, and the links for articles."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
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
from crawler.refusals import INTERRUPTED, RESTING, NotAskedError
from crawler.run import Run
from crawler.site import Site
from crawler.timetable import Timetable, sources_in
from crawler.trails import MOST_DEPTH, MOST_PAGES, Trail, Trails
from pipelines.errors import ArchiveError, DiscoveryError, LakeError, StateError
from pipelines.model import Kind, Link, Page, Verdict
from pipelines.state_tables import LinkStatus, link_status

logger = logging.getLogger(__name__)

# How a site says that there is no such further page: WordPress' feeds 404, its posts 400.
NO_FURTHER_PAGE = frozenset({400, 404, 410})
# Answers below 500 that are of the moment: asked again, a source may be there.
ASK_AGAIN = frozenset({304, 408, 425, 429})
# Sources go before articles, so that an article is read with all that is said of it.
SOURCE_PRIORITY = 10


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
        self.outcomes: dict[str, Outcome | str] = {}
        self._asked_sources: set[tuple[str, str]] = set()
        self._trails = Trails(dates=plan.dates, now=run.report.started_at)
        run.ingest.ask = self._ask
        run.ingest.reader.go_on = self._go_on
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

    async def start(self) -> AsyncIterator[Any]:
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
            self._done(_request_of(response))

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
            raise DiscoveryError(_status_line(page), where=page.url)
        if page.payload_bytes and not page.body:
            raise DiscoveryError("is not what its Content-Encoding says", where=page.url)
        return page, Verdict.DISCOVERY

    async def source_failed(self, failure: Failure) -> None:
        request, cause = _request_and_cause(failure)
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
            self._done(_request_of(response))

    async def _article(self, response: Response) -> None:
        page, site = response.meta["page"], response.meta["site"]
        if page.is_redirect:  # a redirect has its verdict as one
            self._count_failure(
                _request_of(response), f"http_{page.status}", _status_line(page), status="failed"
            )
            return
        if page.status == 200 and not page.payload_bytes and not page.withheld:
            self.run.settle(page, f"{Verdict.FAILED}:empty")
            line = "the body is empty"
            self._count_failure(_request_of(response), "empty", line, status="failed")
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
            self._count_failure(
                _request_of(response), "callback_error", "an error of Sitrep's own", status="failed"
            )
            raise
        self._count(_request_of(response), outcome)

    async def article_failed(self, failure: Failure) -> None:
        request, cause = _request_and_cause(failure)
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
            self._keep(request.meta["requested_url"], error)
        else:
            self._count_failure(request, reason, error, status="failed")

    def _not_asked(self, request: Request, cause: NotAskedError) -> None:
        status: LinkStatus | None = None if cause.for_now else "refused"
        if request.meta.get("redirect_times"):
            # The address itself was asked; it is where it leads that was not.
            self._count_failure(request, cause.reason, str(cause), status=status)
            return
        report = self.run.report.site(request.meta["site"].name)
        report.skipped[cause.reason] += 1
        url = request.meta["requested_url"]
        self._keep(url, str(cause))
        if status is None and (backfill := self.backfills.get(report.site)) is not None:
            backfill.rest(url)
        if status is not None:
            self._close_link(request, status, None)
        elif not any(one["error"] == str(cause) for one in report.errors):
            report.error(url, str(cause))  # once for all that wait for the same host

    def _count(self, request: Request, outcome: Outcome) -> None:
        report = self.run.report.site(request.meta["site"].name)
        verdict, _, reason = outcome.verdict.partition(":")
        url = request.meta["requested_url"]
        self._keep(url, outcome)
        if verdict == Verdict.NOT_MODIFIED:
            report.counts["not_modified"] += 1
        elif verdict == Verdict.FAILED:
            report.counts["failed"] += 1
            report.error(url, outcome.error or reason)
        else:
            report.counts["fetched"] += 1
        if verdict == Verdict.REFUSED:
            report.skipped[outcome.verdict] += 1
        elif verdict in {Verdict.NEW, Verdict.CHANGED, Verdict.UNCHANGED}:
            report.counts[verdict] += 1
            report.counts["duplicates"] += outcome.is_duplicate
            self._count_unseated(outcome)
        self._close_link(request, link_status(outcome.verdict), outcome)
        self.on_progress()

    def _keep(self, url: str, outcome: Outcome | str) -> None:
        """Keep what became of an address that was asked for by name; a crawl has its counts."""
        if not self.plan.urls:
            return
        if isinstance(outcome, Outcome):
            page = replace(outcome.capture.page, body=b"")  # the archive has it
            outcome = replace(outcome, capture=replace(outcome.capture, page=page))
        self.outcomes[url] = outcome

    def _count_unseated(self, outcome: Outcome) -> None:
        """Count copies of this run that were taken for originals until an earlier one came."""
        for copy in outcome.unseated:
            if copy.first_seen >= self.run.report.started_at:
                self.run.report.site(copy.site).counts["duplicates"] += 1

    def _count_failure(
        self, request: Request, reason: str, error: str, *, status: LinkStatus | None
    ) -> None:
        """Count a page that gave no answer of use; without `status` its link stays as it was."""
        report = self.run.report.site(request.meta["site"].name)
        report.counts["failed"] += 1
        report.error(request.meta["requested_url"], error)
        self._keep(request.meta["requested_url"], error)
        if status is not None:
            self._close_link(request, status, None)
        self.on_progress()
        logger.info("%s failed (%s): %s", request.url, reason, error)

    def _close_link(self, request: Request, status: LinkStatus, outcome: Outcome | None) -> None:
        queue = self.queues[request.meta["site"].name]
        try:
            queue.close(request.meta["link"], status, outcome.capture if outcome else None)
        except StateError as error:
            self.run.stop(error)

    def _settle_earlier(self, request: Request, reason: str) -> None:
        """An answer that was retried, and never followed by a better one, has its verdict now."""
        page: Page | None = request.meta.pop("page", None)
        if page is not None and page.status >= 400:
            self.run.settle(page, f"{Verdict.FAILED}:{reason}")

    async def _ask(self, url: str, site: Site) -> tuple[int, str | None]:
        """Ask an old address once. Returns (0, None) when it gives no answer.

        Asked also by a run that is told to end: a story that moved would become two.
        """
        if site.name not in self.queues:
            return 0, None  # of another run's page: a crawl touches the sites it names alone
        request = self._request(url, Kind.ARTICLE, site, callback=None, errback=None)
        request.meta.update(dont_redirect=True, is_in_flight=True)
        try:
            response = await self.crawler.engine.download_async(request)
        except Exception as error:  # noqa: BLE001 - no answer, whatever the reason, proves nothing
            logger.info("%s gave no answer: %s", url, error)
            return 0, None
        page: Page = response.meta["page"]
        if not page.is_redirect:
            gone = page.status >= 400
            self.run.settle(page, f"failed:http_{page.status}" if gone else Verdict.DISCOVERY)
        target = page.headers.get("location")
        return page.status, response.urljoin(target) if target else None

    async def _go_on(self, url: str, first: Page, site: Site) -> Page | None:
        """Fetch a further page of a story. Raises NotAskedError when the run ends before that."""
        if site.name not in self.queues:
            return None
        request = self._request(url, Kind.FURTHER, site, callback=None, errback=None)
        request.meta.update(dont_redirect=True, continues=first.location.warc_record_id)
        try:
            response = await self.crawler.engine.download_async(request)
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
            self.run.settle(page, f"{Verdict.REFUSED}:reserved_{page.withheld}")
        elif not page.is_redirect:
            reason = "empty" if page.status == 200 else f"http_{page.status}"
            self.run.settle(page, f"{Verdict.FAILED}:{reason}")
        return None

    # Requests

    def _request(
        self,
        url: str,
        kind: Kind,
        site: Site,
        *,
        callback: Callable[..., Any] | None,
        errback: Callable[[Failure], Awaitable[None]] | None,
        conditional: bool = False,
        link: Link | None = None,
    ) -> Request:
        meta: dict[str, Any] = {
            "site": site,
            "kind": kind,
            "requested_url": url,
            "download_slot": site.name,
            "conditional": conditional and not self.plan.is_dry,
            "by_name": bool(self.plan.urls),
        }
        if link is not None:
            meta |= {"link": link, "hints": link.hints}
        return Request(
            url,
            callback=callback or scrapy.http.request.NO_CALLBACK,
            errback=errback,
            meta=meta,
            dont_filter=True,
            priority=0 if kind is Kind.ARTICLE else SOURCE_PRIORITY,
        )

    def _stop(self) -> None:
        self.crawler.engine.close_spider(self, reason="archive")


def _status_line(page: Page) -> str:
    if not page.is_redirect:
        return f"HTTP {page.status}"
    target = page.headers.get("location")
    return f"HTTP {page.status} to {target[:200]}" if target else f"HTTP {page.status} to nowhere"


def _request_of(response: Response) -> Request:
    if response.request is None:  # Scrapy sets it on every response that it hands on
        raise RuntimeError(f"{response.url} came without its request")
    return response.request


def _request_and_cause(failure: Failure) -> tuple[Request, BaseException]:
    request: Request = failure.request  # type: ignore[attr-defined] # Scrapy adds it
    return request, failure.value or RuntimeError("a failure without a cause")
