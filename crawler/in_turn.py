"""Pages that are read at once, on all workers, and decided on one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from crawler.ingest import Turn


class InTurn:
    """Works on several pages at once, each of which decides when those before it have."""

    def __init__(self, *, at_once: int):
        self._at_once = at_once
        self._tasks: deque[asyncio.Task[None]] = deque()

    async def add(self, work: Callable[[Turn], Coroutine[Any, Any, None]]) -> None:
        """Begin `work`, which is given what to wait for before it decides."""
        if len(self._tasks) >= self._at_once:
            await self._tasks.popleft()
        before = self._tasks[-1] if self._tasks else None

        async def turn() -> None:
            if before is not None:
                await asyncio.wait([before])

        self._tasks.append(asyncio.create_task(work(turn)))

    async def drain(self) -> None:
        while self._tasks:
            await self._tasks.popleft()

    async def give_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
