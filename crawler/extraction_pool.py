"""Extraction out of the way of the crawl: worker processes, with a limit on time and memory.

A page that hangs, eats memory or crashes the parser costs that page alone: pebble replaces the
worker and the page gets its verdict.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import pickle
import resource
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from multiprocessing import forkserver, resource_tracker
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from pebble import CONSTS, ProcessExpired, ProcessFuture, ProcessPool

from crawler.extraction import Furniture, extract
from crawler.extraction.looking import Look, Told, look_at
from crawler.site import Site
from pipelines.errors import ExtractionError
from pipelines.model import Article, Hints, Page
from pipelines.well_formed import well_formed

# The worst page of the benchmarks takes under two seconds; ten times that is a page that hangs.
TIMEOUT_SECONDS = 20.0
# Address space of one worker. 200 MB are resident with everything loaded; four workers and the
# crawler itself stay under 1.2 GB in all when each page is of ordinary size.
MEMORY_BYTES = 1 << 30
# A worker is replaced after this many pages, so that what leaks in C libraries stays small.
MAX_TASKS = 2_000
# What the workers hold or have next, of each; all else waits where it is held only once.
PAGES_A_WORKER = 2
# A page that a dying worker took with it gets no answer at all. It waits for the one before it, and
# for a new worker to start, so it is given up only after some times the limit of one.
LOST_AFTER = 5
# A worker that is to end has nothing to put in order, and does not listen to SIGTERM.
CONSTS.term_timeout = 0.0

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class ExtractionPool:
    """Workers that turn pages into articles. Use as a context manager."""

    def __init__(self, workers: int, *, timeout_seconds: float = TIMEOUT_SECONDS):
        self._workers = workers
        self._timeout_seconds = timeout_seconds
        self._pool = _new_pool(workers)
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
        self._rooms = WeakKeyDictionary()
        self._furniture: dict[str, tuple[Furniture, bytes]] = {}

    @property
    def _room(self) -> asyncio.Semaphore:
        """What waits for a worker, of one event loop: the workers outlive the loop they serve."""
        loop = asyncio.get_running_loop()
        if loop not in self._rooms:
            self._rooms[loop] = asyncio.Semaphore(PAGES_A_WORKER * self._workers)
        return self._rooms[loop]

    def know(self, furniture: Mapping[str, Furniture]) -> None:
        """Have the pages of sites, by name, read with what is known of their furniture."""
        self._furniture = {name: (one, pickle.dumps(one)) for name, one in furniture.items()}

    def furniture_of(self, site: Site | None) -> Furniture | None:
        return self._known(site)[0]

    def _known(self, site: Site | None) -> tuple[Furniture | None, bytes | None]:
        return self._furniture.get(site.name, (None, None)) if site else (None, None)

    async def extract(self, page: Page, site: Site | None) -> Article:
        """Return the article of `page`. Raises ExtractionError when its worker gave up on it.

        Waits while the workers have enough to do.
        """
        arguments = (page.body, page.url, site, dict(page.headers), page.hints, page.fetched_at)
        known = self._known(site)[1]
        async with self._room:
            return await self._done(_extract, (*arguments, known), url=page.url)

    def reader(self, site: Site | None) -> Callable[[Page], Awaitable[Article]]:
        """Return what reads pages of one site, as `extract` does."""

        async def read(page: Page) -> Article:
            return await self.extract(page, site)

        return read

    async def look(self, page: Page, site: Site | None, told: Told) -> Look | None:
        """Look at `page` for what its site repeats. Raises ExtractionError, as `extract` does."""
        arguments = (page.body, page.url, site, dict(page.headers), told)
        async with self._room:
            return await self._done(_look, arguments, url=page.url)

    async def _done(self, work: Callable[..., _T], arguments: tuple[Any, ...], *, url: str) -> _T:
        pool = self._pool
        try:
            return await self._ask(pool, work, arguments, url=url)
        except BrokenProcessPool:
            # A worker that dies while it waits for a page takes pebble's whole pool with it.
            self._renew(pool)
        try:
            return await self._ask(self._pool, work, arguments, url=url)
        except BrokenProcessPool as error:
            raise ExtractionError("extraction_crash, twice", where=url) from error

    async def _ask(
        self, pool: ProcessPool, work: Callable[..., _T], arguments: tuple[Any, ...], *, url: str
    ) -> _T:
        future = _schedule(pool, work, arguments, timeout_seconds=self._timeout_seconds)
        patience = asyncio.timeout(LOST_AFTER * self._timeout_seconds)
        try:
            async with patience:
                return await asyncio.wrap_future(future)
        except (TimeoutError, FutureTimeoutError) as error:
            what = "lost" if patience.expired() else "timeout"
            raise ExtractionError(
                f"extraction_{what} after {self._timeout_seconds:g} s", where=url
            ) from error
        except ProcessExpired as error:
            raise ExtractionError(f"extraction_crash (exit {error.exitcode})", where=url) from error
        except MemoryError as error:
            raise ExtractionError("extraction_memory", where=url) from error

    def _renew(self, broken: ProcessPool) -> None:
        if self._pool is broken:
            logger.warning("the extraction workers were ended from outside; others take over")
            broken.stop()  # type: ignore[no-untyped-call]
            self._pool = _new_pool(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._pool.close()  # type: ignore[no-untyped-call]
        else:
            self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _new_pool(workers: int) -> ProcessPool:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crawler.extraction"])
    return ProcessPool(
        max_workers=workers, max_tasks=MAX_TASKS, initializer=_prepare, context=context
    )


def _schedule(
    pool: ProcessPool,
    work: Callable[..., _T],
    arguments: tuple[Any, ...],
    *,
    timeout_seconds: float,
) -> ProcessFuture[_T]:
    try:
        with _signals_held():  # the first page begins the workers
            return pool.schedule(work, args=arguments, timeout=timeout_seconds)
    except RuntimeError as error:  # what pebble says of a pool that broke before
        raise BrokenProcessPool(str(error)) from error


@contextmanager
def _signals_held() -> Iterator[None]:
    """Have the processes that are begun here never see Ctrl-C or SIGTERM.

    Both may go to the whole group; the crawler decides what is finished first. They are held back
    for the moment, not lost: held signals are inherited, from the first moment of a process on.
    """
    _begin_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_tracker() -> None:
    """Begin multiprocessing's tracker, which removes the locks of a crawler that was killed.

    By itself it would begin with the first worker, and let go of held signals (3.11); and it would
    warn of each lock, where nothing is left to be done about it.
    """
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker:UserWarning"
    try:
        resource_tracker.ensure_running()
    finally:
        del os.environ["PYTHONWARNINGS"]
        if before is not None:
            os.environ["PYTHONWARNINGS"] = before


def _prepare() -> None:
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with suppress(OSError, AttributeError):  # elsewhere than on Linux the thread has to do
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    _let_the_server_end()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _let_the_server_end() -> None:
    """Have the server that made this worker end with the crawler, and not wait for this worker.

    It ends when nobody holds its pipe any more, and every process that it makes is given one end:
    a worker that hangs would keep both here for ever (tried, 3.11).
    """
    server = forkserver._forkserver  # noqa: SLF001 - there is no other way to its pipe
    alive: int | None = server._forkserver_alive_fd  # type: ignore[attr-defined] # noqa: SLF001
    if alive is not None:
        os.close(alive)
        server._forkserver_alive_fd = None  # type: ignore[attr-defined] # noqa: SLF001


def _end_with_parent(parent: int) -> None:
    # Of a crawler that was killed, the server that made the workers ends by itself; a worker may
    # be in the middle of a page, or wait for one for ever. This thread gets no turn while a page
    # hangs in C; the kernel's signal does not ask.
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _extract(
    body: bytes,
    url: str,
    site: Site | None,
    headers: Mapping[str, str],
    hints: Hints,
    fetched_at: datetime,
    known: bytes | None,
) -> Article:
    return well_formed(
        extract(
            body,
            url,
            site=site,
            headers=headers,
            hints=hints,
            fetched_at=fetched_at,
            furniture=_unpacked(known) if known else None,
        )
    )


# It comes packed, with each page: a worker unpacks that of a site once.
@lru_cache(maxsize=64)
def _unpacked(known: bytes) -> Furniture:
    found: Furniture = pickle.loads(known)  # noqa: S301 - packed by the crawler itself
    return found


def _look(
    body: bytes, url: str, site: Site | None, headers: Mapping[str, str], told: Told
) -> Look | None:
    return look_at(body, url, told=told, site=site, headers=headers)
