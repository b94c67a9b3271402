"""Ctrl-C and SIGTERM: the first ends a run in good order, the second at once.

What the second leaves behind is what `kill -9` leaves: the archive, which the next run takes up.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from scrapy.crawler import AsyncCrawlerProcess
from scrapy.settings import Settings
from scrapy.utils.ossignal import install_shutdown_handlers

from crawler.console import Out
from pipelines.errors import SitrepError

EXIT_STATUS = 130  # as a shell says of what Ctrl-C ended


@contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGTERM end what is not yet, or no longer, a crawl as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    both = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.getsignal(one) for one in both}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def stop_in_order(stop: Callable[[], None]) -> None:
    """Have the first Ctrl-C or SIGTERM call `stop` in the running event loop, the second end all.

    For a run without Scrapy, which `stop` makes finish what is in flight.
    """
    loop, both = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        stop()
        for one in both:
            loop.remove_signal_handler(one)
            signal.signal(one, lambda *_: stop_at_once(remedy="give the command again to go on"))

    for one in both:
        loop.add_signal_handler(one, first)


class InterruptibleProcess(AsyncCrawlerProcess):
    """Scrapy's process; `on_first` is told of the first signal, in the event loop, and ends it.

    What Scrapy does at the first signal stops the event loop under a crawl that was just about to
    end by itself, before what it does at its end is done.
    """

    def __init__(self, settings: Settings, *, on_first: Callable[[], None]):
        super().__init__(settings)
        self._on_first = on_first

    def _signal_shutdown(self, _signum: int, _frame: Any) -> None:
        from twisted.internet import reactor

        install_shutdown_handlers(self._signal_kill)
        reactor.callFromThread(self._on_first)

    def _signal_kill(self, _signum: int, _frame: Any) -> None:
        stop_at_once()


def stop_at_once(*, remedy: str = "the next crawl takes up what was fetched") -> None:
    """End this process here and now; the kernel ends the workers with it."""
    with suppress(Exception):  # what was interrupted may have been writing there itself
        out = Out(is_json="--json" in sys.argv)
        out.err.show_cursor()
        out.error(SitrepError("stopped at once", remedy=remedy))
        sys.stderr.flush()
    os._exit(EXIT_STATUS)
