"""One command of our own in a process of its own: begun, listened to, ended in order.

A crawl that has memory, event loop and signals to itself cannot harm the next one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

# A log that grows with each failing page would fill a disk in a year.
MOST_LINES = 50
# The report names each page that failed; beyond this only its exit status is known.
MOST_BYTES = 8 << 20
# A crawl that has not ended by then is asked to finish; what is left is the next one's.
MOST_SECONDS = 6 * 3600.0
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `status` is negative for a signal; `report` its JSON, if it gave one."""

    status: int
    report: Mapping[str, Any] = field(default_factory=dict)


class Child:
    """A running `sitrep …`. In a session of its own, so that Ctrl-C reaches it through us alone."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process

    @classmethod
    async def begin(cls, arguments: Sequence[str], *, environment: Mapping[str, str]) -> Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "crawler", *arguments,
            env=environment, start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 16,
        )  # fmt: skip
        return cls(process)

    async def ended(self) -> Ended:
        """Wait for the end; what it logs is passed on, the first lines of it."""
        said, _, _ = await asyncio.gather(self._said(), self._pass_on(), self._wait())
        return Ended(status=self._process.returncode or 0, report=_report(said))

    def finish(self) -> None:
        """Have it finish what is in flight; given twice, it stops at once."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its workers, here and now."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _wait(self) -> None:
        for patience, end in ((MOST_SECONDS, self.finish), (PATIENCE_SECONDS, self.kill)):
            try:
                await asyncio.wait_for(self._process.wait(), patience)
            except TimeoutError:
                end()
            else:
                return
        await self._process.wait()

    async def _said(self) -> bytes:
        said = bytearray()
        async for piece in _pieces(self._process.stdout):
            said += piece[: MOST_BYTES + 1 - len(said)]
        return bytes(said) if len(said) <= MOST_BYTES else b""

    async def _pass_on(self) -> None:
        lines = 0
        async for piece in _pieces(self._process.stderr):
            for line in piece.splitlines(keepends=True):
                lines += line.endswith(b"\n")
                if lines <= MOST_LINES:
                    sys.stderr.buffer.write(line)
            sys.stderr.flush()
        if lines > MOST_LINES:
            sys.stderr.write(f"… and {lines - MOST_LINES} further lines\n")


async def _pieces(stream: asyncio.StreamReader | None) -> Any:
    while stream is not None and (piece := await stream.read(1 << 16)):
        yield piece


def _report(said: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
