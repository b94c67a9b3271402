"""Days of crawls that pass as fast as what happens in them can be done.

The clock is simulated, all else is real: each crawl is the product's own, due by its own timetable,
over HTTP, into a lake and a state of its own. While a crawl goes on the clock goes as all clocks
do; between crawls it is set on to the next one that is due, looked up every five minutes as cron
does, and the lake is compacted once a day, as `sitrep schedule` does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from scrapy.crawler import AsyncCrawlerRunner
from scrapy.utils.reactor import install_reactor

install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")

from crawler.extraction_pool import ExtractionPool  # noqa: E402 - after the reactor
from crawler.jobs import _scrapy_settings, _Watch  # noqa: E402
from crawler.opening import parts  # noqa: E402
from crawler.report import RunReport  # noqa: E402
from crawler.run import Run, open_lake_and_state  # noqa: E402
from crawler.settings import Settings  # noqa: E402
from crawler.site import Site  # noqa: E402
from crawler.spiders.news import NewsSpider, Plan  # noqa: E402
from crawler.timetable import Timetable  # noqa: E402
from pipelines.compact import compact  # noqa: E402

LOOK_EVERY = timedelta(minutes=5)
DAY = timedelta(days=1)
T = TypeVar("T")


class Clock:
    """Stands still, unless it is let go; may be set."""

    def __init__(self, start: datetime):
        self._at = start
        self._since: float | None = None

    def __call__(self) -> datetime:
        gone = 0.0 if self._since is None else time.monotonic() - self._since
        return self._at + timedelta(seconds=gone)

    def set_on(self, to: datetime) -> None:
        """Set the clock, to a time that lies ahead; as when the machine slept until then."""
        self._at = to
        if self._since is not None:
            self._since = time.monotonic()

    @contextmanager
    def going(self) -> Iterator[None]:
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._at, self._since = self(), None


class Simulation:
    """Crawls of some sites in a folder of their own, by a simulated clock."""

    def __init__(self, folder: Path, clock: Clock):
        self.clock = clock
        self.crawls = 0
        self.settings = Settings(
            lake=str(folder / "lake"), state=f"sqlite:///{folder}/state/sitrep.db",
            allow_private_networks=True, workers=2,
        )  # fmt: skip
        self._compacted = clock()
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self.lake, self.state = open_lake_and_state(self.settings)
        self._opened.callback(self.state.close)
        self._pool = self._opened.enter_context(ExtractionPool(2))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    async def until(self, end: datetime, sites: Sequence[Site]) -> None:
        """Crawl what falls due, up to `end`."""
        while self.clock() < end:
            due = tuple(one for one in sites if self.timetable(one).is_due)
            if due:
                await self.crawl(due)
            self._compact_daily()
            self.clock.set_on(self._next_look(sites, end))

    def timetable(self, site: Site) -> Timetable:
        return Timetable(self.state, site, now=self.clock())

    def _next_look(self, sites: Sequence[Site], end: datetime) -> datetime:
        now = self.clock()
        times = [at for one in sites if (at := self.timetable(one).due_at) is not None]
        wanted = max(min(times, default=end), now + timedelta(seconds=1))
        steps = -((now - wanted) // LOOK_EVERY)  # rounded up
        return min(now + max(steps, 1) * LOOK_EVERY, max(end, now + LOOK_EVERY))

    def _compact_daily(self) -> None:
        if self.clock() - self._compacted < DAY:
            return
        self._compacted = self.clock()
        # Files are of this machine's own time, and nobody reads what they replaced.
        for _ in compact(self.lake, now=datetime.now(UTC), keep=timedelta(minutes=10)):
            pass

    async def crawl(self, sites: tuple[Site, ...], *, is_due: bool = True) -> RunReport:
        """Crawl sites once; with `is_due`, only those of their sources that are due."""
        self.crawls += 1
        run = Run(
            **{**parts(self.settings), "clock": self.clock},
            lake=self.lake, state=self.state, pool=self._pool, sites=sites,
        )  # fmt: skip
        plan = Plan(sites=sites, is_due=is_due)
        runner, watch = AsyncCrawlerRunner(_scrapy_settings(self.settings, plan)), _Watch(run, None)
        crawler = runner.create_crawler(NewsSpider)
        watch.follow(crawler)
        with self.clock.going():
            await runner.crawl(crawler, run=run, plan=plan)
        if watch.error is not None:
            raise watch.error
        return run.report


def run_in_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in the reactor's own loop, as Scrapy wants it, and return what it returns."""
    from twisted.internet import reactor

    logging.disable(logging.WARNING)
    loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop  # type: ignore[attr-defined] # noqa: SLF001 - Scrapy runs in no other
    ended: list[T] = []
    failed: list[BaseException] = []

    async def go() -> None:
        try:
            ended.append(await main())
        except BaseException as error:  # noqa: BLE001 - raised again outside the loop
            failed.append(error)
        reactor.stop()  # type: ignore[attr-defined]

    task = loop.create_task(go())
    reactor.run()  # type: ignore[attr-defined]
    task.cancel()
    if failed:
        raise failed[0]
    return ended[0]
