"""The archive of one run: every response is written down before anything is made of it.

One thread writes. A WARC file is closed at 256 MB, after ten minutes, after 2,000 responses or at
the end; it is moved into the lake and its batch is committed once each of its captures has a
verdict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pipelines.archive_writer import Exchange, WarcWriter
from pipelines.errors import SitrepError
from pipelines.ledger import Ledger
from pipelines.model import RecordLocation

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_BYTES = 256 << 20
MOST_AGE = timedelta(minutes=10)
# What a file gave is held in memory until it is committed: some 20 KB an article. Only a crawl
# faster than three pages a second comes to this within ten minutes.
MOST_RESPONSES = 2_000


@dataclass(slots=True)
class _File:
    writer: WarcWriter
    responses: int = 0
    unsettled: set[str] = field(default_factory=set)
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class Archivist:
    """Writes exchanges, and commits the files that are full."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        spool: Path,
        run_id: str,
        software: str,
        clock: Callable[[], datetime],
    ):
        self._ledger = ledger
        self._spool = spool
        self._run_id = run_id
        self._software = software
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive")
        self._files = 0
        self._open: _File | None = None
        self._by_path: dict[str, _File] = {}
        self._commits: list[asyncio.Task[None]] = []
        self._commit_lock = asyncio.Lock()
        self._is_stuck = False
        self._write_lock = asyncio.Lock()

    async def store(self, exchange: Exchange) -> RecordLocation:
        """Write one exchange; it is unsettled until `settle` is told its verdict is known.

        Raises ArchiveError when it cannot be written: then nothing was.
        """
        async with self._write_lock:
            await self._rotate_when_full()
            if self._open is None:
                self._open = await self._in_thread(self._next_file)
                self._by_path[self._open.writer.warc_path] = self._open
            file = self._open
            location = await self._in_thread(lambda: file.writer.write(exchange))
            file.unsettled.add(location.warc_record_id)
            file.responses += 1
            return location

    def settle(self, location: RecordLocation) -> None:
        """The record's capture is in the ledger, with its verdict."""
        file = self._by_path[location.warc_path]
        file.unsettled.discard(location.warc_record_id)
        if not file.unsettled:
            file.settled.set()

    async def finish(self) -> None:
        """Close, move and commit what is open. Raises the first error of any commit."""
        async with self._write_lock:
            self._close_open()
        results = await asyncio.gather(*self._commits, return_exceptions=True)
        self._thread.shutdown()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _next_file(self) -> _File:
        self._files += 1
        writer = WarcWriter(
            self._spool,
            run_id=self._run_id,
            n=self._files,
            software=self._software,
            clock=self._clock,
        )
        return _File(writer=writer)

    async def _rotate_when_full(self) -> None:
        if self._open is None:
            return
        writer = self._open.writer
        is_old = self._clock() - writer.opened_at >= MOST_AGE
        if is_old or writer.size >= MOST_BYTES or self._open.responses >= MOST_RESPONSES:
            self._close_open()

    def _close_open(self) -> None:
        if self._open is not None:
            self._commits.append(asyncio.create_task(self._commit(self._open)))
            self._open = None

    async def _commit(self, file: _File) -> None:
        # A file is committed after those before it, and not without them: a second revision
        # needs its first. What stays in the spool is taken up by the next run, in order.
        async with self._commit_lock:
            if file.unsettled:
                file.settled.clear()
                await file.settled.wait()
            if self._is_stuck:
                file.writer.close()
                file.writer.release()
                return
            self._is_stuck = True
            await self._in_thread(lambda: self._move_and_commit(file.writer))
            self._is_stuck = False
            self._ledger.forget(file.writer.warc_path)
            del self._by_path[file.writer.warc_path]

    def _move_and_commit(self, writer: WarcWriter) -> None:
        path = writer.close()
        try:
            # Together, so that a file that is moved and not committed is a dead run's.
            with self._ledger.lake.lock():
                self._ledger.lake.add_warc(path, writer.warc_path)
                self._ledger.commit(writer.warc_path, now=self._clock())
        except SitrepError:
            logger.warning("%s is kept; the next run takes it up", path)
            raise
        finally:
            writer.release()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
