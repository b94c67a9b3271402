"""What the verbs set going: a run with its Scrapy process, from settings to report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DontCloseSpider
from scrapy.settings import Settings as ScrapySettings

from crawler.clocks import ClockWatch, told
from crawler.dry_run import DryRun
from crawler.extraction_pool import ExtractionPool
from crawler.ingest import Outcome
from crawler.interrupts import InterruptibleProcess, interruptible
from crawler.learning import furniture_at
from crawler.opening import opened, parts, recovery_of
from crawler.recovery import Recovery
from crawler.report import RunReport
from crawler.run import Run
from crawler.settings import Settings
from crawler.site import Site
from crawler.spiders.news import NewsSpider, Plan
from pipelines.errors import SitrepError
from pipelines.lake import Lake
from pipelines.model import Article
from pipelines.state import State

logger = logging.getLogger(__name__)

# Without any delay Scrapy (2.19) begins all that waits at once, however few it may: it counts a
# request as begun only a turn of the loop later.
LEAST_DELAY_SECONDS = 0.001

# Scrapy's word for Ctrl-C and SIGTERM.
INTERRUPTION = "shutdown"

Progress = Callable[[RunReport], None]


def _silent(_: RunReport) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Crawled:
    """A run's end: its report, and what became of each address.

    A dry run has `articles`, by address, and `would_ask`: (url, reason) by site.
    """

    report: RunReport
    outcomes: dict[str, Outcome | str]
    would_ask: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    articles: dict[str, Article] = field(default_factory=dict)


def crawl(
    settings: Settings,
    sites: Sequence[Site],
    *,
    limit: int | None = None,
    dates: tuple[date | None, date | None] | None = None,
    is_due: bool = False,
    progress: Progress = _silent,
) -> Crawled:
    """Crawl sites; with `is_due`, those of their sources whose time has come.

    Raises SitrepError when lake, state or spool cannot be used.
    """
    plan = Plan(sites=tuple(sites), limit=limit, dates=dates, is_due=is_due)
    return _store(settings, plan, progress)


def recrawl(
    settings: Settings, urls: Sequence[tuple[Site, str]], *, progress: Progress = _silent
) -> Crawled:
    """Fetch single addresses now, whatever the state says."""
    return _store(settings, Plan(sites=_sites_of(urls), urls=tuple(urls)), progress)


def preview(
    settings: Settings,
    sites: Sequence[Site],
    *,
    limit: int | None = None,
    dates: tuple[date | None, date | None] | None = None,
    is_due: bool = False,
    samples: int = 0,
) -> Crawled:
    """Ask the sites' feeds and say what a crawl would ask for; nothing is stored.

    Of the articles, only the first `samples` of each site are asked for and read.
    """
    plan = Plan(
        sites=tuple(sites), limit=limit, dates=dates, is_due=is_due, is_dry=True, samples=samples
    )
    return _dry(settings, plan)


def read(
    settings: Settings, urls: Sequence[tuple[Site, str]], *, unclaimed: Sequence[str] = ()
) -> Crawled:
    """Fetch addresses and read them; nothing is stored. Sites in `unclaimed` are no real ones."""
    return _dry(settings, Plan(sites=_sites_of(urls), urls=tuple(urls), is_dry=True), unclaimed)


def _sites_of(urls: Sequence[tuple[Site, str]]) -> tuple[Site, ...]:
    return tuple({site.name: site for site, _ in urls}.values())


def _store(settings: Settings, plan: Plan, progress: Progress) -> Crawled:
    if not settings.contact and not settings.allow_private_networks:
        logger.warning(
            "SITREP_CONTACT is not set: a publisher whom this crawl troubles has nobody to write to"
        )
    with interruptible(), opened(settings, plan.sites) as run:
        urls = tuple((site, url) for site, url in plan.urls if site in run.sites)
        free = replace(plan, sites=run.sites, urls=urls)
        return _run(run, free, progress, recovery=recovery_of(run))


def _dry(settings: Settings, plan: Plan, unclaimed: Sequence[str] = ()) -> Crawled:
    with interruptible(), ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="sitrep-")))
        state = State.open_to_read(settings.state)
        stack.callback(state.close)
        pool = stack.enter_context(ExtractionPool(settings.workers))
        pool.know(furniture_at(settings.lake))
        lake = Lake.open(str(folder / "lake"), create=True)
        run = DryRun(**parts(settings), lake=lake, state=state, pool=pool, sites=plan.sites)
        run.unclaimed = frozenset(unclaimed)
        return _run(run, plan, _silent)


def _run(run: Run, plan: Plan, progress: Progress, *, recovery: Recovery | None = None) -> Crawled:
    watch = _Watch(run, recovery)
    settings = _scrapy_settings(run.settings, plan)
    process = InterruptibleProcess(settings, on_first=watch.interrupt)
    crawler = process.create_crawler(NewsSpider)
    watch.follow(crawler)
    process.crawl(crawler, run=run, plan=plan, on_progress=lambda: progress(run.report))
    process.start()
    if watch.error is not None:
        raise watch.error
    spider = crawler.spider
    if not isinstance(spider, NewsSpider):
        raise SitrepError("Scrapy could not start the spider; `-v` shows its log")
    return Crawled(
        report=run.report,
        outcomes=spider.outcomes,
        would_ask={name: queue.would_ask for name, queue in spider.queues.items()},
        articles=run.articles if isinstance(run, DryRun) else {},
    )


class _Watch:
    """Ends the run inside the event loop, and keeps what went wrong there for outside it."""

    def __init__(self, run: Run, recovery: Recovery | None):
        self._run = run
        self._recovery = recovery
        self._crawler: Crawler | None = None
        self._taking_up: asyncio.Task[int] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_started = False
        self._is_interrupted = False
        self._clocks = ClockWatch(run.clock)
        self.error: Exception | None = None

    def follow(self, crawler: Crawler) -> None:
        self._crawler = crawler
        crawler.signals.connect(self.opened, signal=signals.spider_opened)
        crawler.signals.connect(self.started, signal=signals.engine_started)
        crawler.signals.connect(self.idle, signal=signals.spider_idle)
        crawler.signals.connect(self.closed, signal=signals.spider_closed)
        crawler.signals.connect(self.errored, signal=signals.spider_error)

    async def opened(self) -> None:
        """Take up what earlier runs left, before anything is asked for."""
        if self._recovery is not None and not self._is_interrupted:
            await self._take_up(self._recovery)
        if self._is_interrupted:
            raise CloseSpider(INTERRUPTION)

    async def _take_up(self, recovery: Recovery) -> None:
        self._taking_up = asyncio.create_task(recovery.take_up())
        try:
            # Waited for, not awaited: its being cancelled is no cancelling of ours.
            await asyncio.wait([self._taking_up])
            if not self._taking_up.cancelled():
                self._taking_up.result()
        except SitrepError as error:
            self._run.fatal = error
            raise CloseSpider("recovery") from error
        except Exception as error:
            self.error = error
            raise CloseSpider("recovery") from error

    def started(self) -> None:
        self._is_started = True
        if self._is_interrupted:
            self._ending = asyncio.create_task(self._end())

    def interrupt(self) -> None:
        """End the crawl: it was Ctrl-C or SIGTERM.

        Before it is started, what is being taken up is left to the next run: it is in the archive.
        """
        self._is_interrupted = self._run.report.is_interrupted = True
        if self._taking_up is not None:
            self._taking_up.cancel()
        if self._is_started:
            self._ending = asyncio.create_task(self._end())

    async def _end(self) -> None:
        """Have the spider closed; one that closes already is left to it.

        Not by stopping the crawler: a stop beside a close, be it a moment earlier or later, ends
        the event loop without waiting for `closed`.
        """
        engine: Any = self._crawler.engine if self._crawler else None
        # Between "engine_started" and its being so; it tells nobody when it is.
        while engine.spider is not None and not engine.running:  # noqa: ASYNC110
            await asyncio.sleep(0)
        if engine.spider is not None:
            await engine.close_spider_async(reason=INTERRUPTION)

    def idle(self, spider: NewsSpider) -> None:
        """Nothing is on its way: now for what else there is to ask."""
        engine: Any = self._crawler.engine if self._crawler else None
        if self._is_interrupted or self._run.fatal is not None:
            return
        try:
            requests = list(spider.more())
        except SitrepError as error:
            self._run.stop(error)
            return
        except Exception as error:  # Scrapy would log it, and end as if all were done.
            self.error = error
            raise CloseSpider("error") from error
        for request in requests:
            engine.crawl(request)
        if requests:
            raise DontCloseSpider

    async def closed(self) -> None:
        self._tell_of_sleep()
        try:
            await self._run.end()
            if isinstance(spider := self._crawler and self._crawler.spider, NewsSpider):
                self._tell_of_early_end(spider)
                spider.end()
        except Exception as error:  # noqa: BLE001 - raised again outside the loop, which would swallow it
            self.error = self.error or error

    def _tell_of_early_end(self, spider: NewsSpider) -> None:
        is_expected = self._is_interrupted or self._run.fatal is not None or self.error is not None
        if not (spider.is_through or is_expected):
            raise SitrepError(
                "the crawl ended before everything was asked for",
                remedy="its log, above, says why; what was fetched is committed, so run it again",
            )

    def _tell_of_sleep(self) -> None:
        """Say that the run was cut in two; what was on its way then has been asked for again."""
        if (jump := self._clocks.jump()) is None:
            return
        line = f"{told(jump)}, in mid-crawl; what was cut off is asked for again"
        logger.warning("%s", line)
        for site in self._run.sites:
            self._run.report.site(site.name).warn(site.home, line)

    def errored(self) -> None:
        self._run.report.callback_errors += 1


def _scrapy_settings(settings: Settings, plan: Plan) -> ScrapySettings:
    scrapy = ScrapySettings()
    scrapy.setmodule("crawler.scrapy_settings", priority="project")
    for name, value in {
        "USER_AGENT": settings.full_user_agent,
        "ALLOW_PRIVATE_NETWORKS": settings.allow_private_networks,
        "DOWNLOAD_SLOTS": {site.name: _slot(site) for site in plan.sites},
    }.items():
        scrapy.set(name, value, priority="cmdline")
    return scrapy


def _slot(site: Site) -> dict[str, Any]:
    """`delay` is the least; a little more at random keeps many sites from beating in time."""
    seconds = site.delay.total_seconds()
    jitter = 0.09 if seconds else 0.0
    return {
        "delay": max(seconds * 1.1, LEAST_DELAY_SECONDS),
        "concurrency": site.connections,
        "jitter": jitter,
    }
