"""The loop of `sitrep schedule`: which site's crawl is begun now, and what becomes of it.

What is due is decided by the wall clock, since sites live by it; how long to wait, by the
monotonic one, which nobody sets. Where the two part, the machine slept or its clock was set.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from crawler.agenda import Agenda, Entry
from crawler.child import Child, Ended
from crawler.clocks import ClockWatch, told
from crawler.interrupts import EXIT_STATUS
from crawler.settings import Settings
from crawler.timetable import Timetable
from crawler.turns import FIRST_WAIT, Tally, died, line, put_crash, site_of
from pipelines.errors import SitrepError
from pipelines.lease import Lease
from pipelines.state import State

logger = logging.getLogger(__name__)

# What another process, or an edited file, changed is seen within this; a waking laptop too.
MOST_SLEEP_SECONDS = 15.0
LEAST_SLEEP_SECONDS = 0.1
LAST_CHANCE_SECONDS = 2.0
COMPACT_EVERY = timedelta(days=1)
COMPACTED_AT = "compacted_at"
# No site is called so: its name has no hyphen.
COMPACTION = "daily-compaction"

# Told whose command ended, how, and when it had begun.
_OnEnd = Callable[[str, Ended, datetime], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the loop is told to do: which sites (none named: all), once or for ever."""

    names: Sequence[str] = ()
    is_once: bool = False
    is_compacting: bool = True
    flags: Mapping[str, Any] = field(default_factory=dict)


class Supervisor:
    """Begins crawls as they fall due, each in a process of its own; see `run`."""

    def __init__(self, reread: Callable[[], Settings], orders: Orders):
        self._reread = reread
        self._orders = orders
        self._settings = reread()
        self._state: State | None = None
        self._state_url = ""
        self._agenda = Agenda(self._is_free, is_once=orders.is_once)
        self._children: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: set[str] = set()
        self._wake = asyncio.Event()
        self._signal: int | None = None
        self._is_stopped_at_once = False
        self._clocks = ClockWatch(lambda: datetime.now(UTC))
        self._trouble = 0
        self.tallies: dict[str, Tally] = {}

    async def run(self) -> int:
        """Go on until a signal, or with `is_once` until nothing is due; return the exit status.

        The first signal has each crawl finish what is in flight; the second ends them at once.
        """
        loop = asyncio.get_running_loop()
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, self._stop, one)
        try:
            while self._signal is None:
                self._look()
                if self._orders.is_once and not self._tasks:
                    break
                await self._sleep()
            await self._end()
        finally:
            self._close()
            for one in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(one)
                signal.signal(one, signal.SIG_IGN)  # all is done: only the result is still told
        return self._exit_status()

    def _exit_status(self) -> int:
        if self._is_stopped_at_once or self._signal == signal.SIGINT:
            return EXIT_STATUS
        # A loop that is told to end has done its work, whatever became of single crawls.
        is_wrong = any(one.failed for one in self.tallies.values()) or bool(self._agenda.wrong)
        return int(self._orders.is_once and self._signal is None and is_wrong)

    # Waiting, and the end

    async def _sleep(self) -> None:
        now = datetime.now(UTC)
        waits = ((at - now).total_seconds() for at in self._agenda.times())
        seconds = min(waits, default=MOST_SLEEP_SECONDS)
        if len(self._tasks) >= self._settings.crawls_at_once:
            seconds = MOST_SLEEP_SECONDS  # a crawl that ends wakes us
        self._wake.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(
                self._wake.wait(), min(max(seconds, LEAST_SLEEP_SECONDS), MOST_SLEEP_SECONDS)
            )

    def _stop(self, number: int) -> None:
        if self._signal is None:
            self._signal = number
            logger.info("ending: %d crawls finish what is in flight", len(self._children))
        else:
            self._is_stopped_at_once = True
        for child in self._children.values():
            child.finish()
        self._wake.set()

    async def _end(self) -> None:
        while self._tasks:
            self._wake.clear()
            wake = asyncio.create_task(self._wake.wait())
            patience = LAST_CHANCE_SECONDS if self._is_stopped_at_once else None
            done, _ = await asyncio.wait(
                {*self._tasks, wake}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            wake.cancel()
            if not done:
                for child in self._children.values():
                    child.kill()

    def _close(self) -> None:
        if self._state is not None:
            self._state.close()
            self._state = None

    # Looking: settings, site files, state

    def _look(self) -> None:
        """Read everything that may have changed, and begin what is due."""
        if (jump := self._clocks.jump()) is not None:
            logger.warning("%s; what is overdue is asked once", told(jump))
            self._agenda.forget_all()
        self._read_settings()
        try:
            self._agenda.read(self._settings.sites_folder, self._orders.names)
            self._begin_due(self._open_state())
            self._trouble = 0
        except (SitrepError, DBAPIError) as error:
            if self._orders.is_once:
                raise
            self._close()
            self._wait_out(error)

    def _wait_out(self, error: Exception) -> None:
        """Log trouble with the state when it begins, and each time it has lasted twice as long."""
        self._trouble += 1
        if self._trouble & (self._trouble - 1) == 0:
            logger.warning("nothing can be begun, tried again shortly: %s", error)

    def _read_settings(self) -> None:
        try:
            self._settings = self._reread()
        except SitrepError as error:
            self._agenda.warn_once("settings", f"{error}; those from before hold")
        else:
            self._agenda.wrong.pop("settings", None)

    def _open_state(self) -> State:
        if self._state is None or self._state_url != self._settings.state:
            self._close()
            self._state = State.open(self._settings.state)
            self._state_url = self._settings.state
        return self._state

    # Beginning

    def _begin_due(self, state: State) -> None:
        now = datetime.now(UTC)
        self._agenda.work_out(state, now)
        for entry in list(self._agenda.in_turn(now)):
            if len(self._tasks) >= self._settings.crawls_at_once:
                return
            self._begin(state, entry)
        if self._orders.is_compacting:
            self._compact_when_due(state, now)

    def _is_free(self, name: str) -> bool:
        is_done = self._orders.is_once and name in self._begun
        return name not in self._children and not is_done

    def _begin(self, state: State, entry: Entry) -> None:
        """Begin a site's crawl, unless another loop has it, or has just had it."""
        name = entry.site.name
        lease = self._lease(state, name)
        if not lease.try_acquire():
            entry.hold()
            return
        if not Timetable(state, entry.site, now=datetime.now(UTC)).is_due:
            lease.release()
            entry.hold(0)
            return
        self._start(name, ["crawl", name, "--due", "--json"], lease, self._crawled)

    def _lease(self, state: State, name: str) -> Lease:
        return state.lease(f"turn-{name}", folder=self._settings.locks_folder)

    def _start(
        self,
        name: str,
        arguments: list[str],
        lease: Lease,
        ended: _OnEnd,
    ) -> None:
        self._begun.add(name)
        task = asyncio.create_task(self._watch(name, arguments, lease, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(
        self,
        name: str,
        arguments: list[str],
        lease: Lease,
        ended: _OnEnd,
    ) -> None:
        began = datetime.now(UTC)
        try:
            child = await Child.begin(
                [*arguments, *_as_flags(self._orders.flags)], environment=_environment()
            )
            self._children[name] = child
            if self._signal is not None:
                child.finish()
            ended(name, await child.ended(), began)
        except (SitrepError, DBAPIError, OSError) as error:
            logger.warning("%s: %s", name, error)
            self._hold(name)
        finally:
            self._children.pop(name, None)
            with suppress(DBAPIError):
                lease.release()
            self._wake.set()

    # What became of it

    def _hold(self, name: str) -> None:
        if (entry := self._agenda.get(name)) is not None:
            entry.hold()

    def _crawled(self, name: str, ended: Ended, began: datetime) -> None:
        site, entry = site_of(ended.report), self._agenda.get(name)
        tally = self.tallies.setdefault(name, Tally())
        if entry is not None:
            entry.forget()
        if site is None and not ended.report.get("sites") and ended.status == 0:
            self._hold(name)  # nothing was due, as the crawl saw it
            return
        if site is not None and "busy" in site["skipped"]:
            logger.info("%s: another process crawls it", name)
            self._hold(name)
            return
        tally.crawls += 1
        tally.last_status = ended.status
        if site is None:
            self._crashed(name, ended, tally)
            return
        tally.failed += ended.status == 1
        tally.new += site["new"]
        tally.changed += site["changed"]
        logger.info("%s", line(name, site, ended, began))

    def _crashed(self, name: str, ended: Ended, tally: Tally) -> None:
        if self._signal is not None:
            return  # it was told to end
        tally.failed += 1
        entry = self._agenda.get(name)
        every = entry.site.every if entry else FIRST_WAIT
        wait = put_crash(self._open_state(), name, every=every, now=datetime.now(UTC))
        logger.warning("%s: the crawl %s; tried again in %s", name, died(ended), wait)

    # Compaction

    def _compact_when_due(self, state: State, now: datetime) -> None:
        """Merge the lake's small files once a day, since a year of crawls makes thousands."""
        said = state.note(COMPACTED_AT)
        if said is None:
            state.set_note(COMPACTED_AT, now.isoformat())  # there is a day's worth tomorrow
            return
        is_due = not timedelta() <= now - datetime.fromisoformat(said) < COMPACT_EVERY
        if not is_due or COMPACTION in self._children or COMPACTION in self._begun:
            return
        lease = self._lease(state, COMPACTION)
        if not lease.try_acquire():
            return
        # Noted before: a compaction that fails is not tried again all day long.
        state.set_note(COMPACTED_AT, now.isoformat())
        self._start(COMPACTION, ["compact", "--json"], lease, self._compacted)

    def _compacted(self, _name: str, ended: Ended, began: datetime) -> None:
        self._begun.discard(COMPACTION)
        seconds = (datetime.now(UTC) - began).total_seconds()
        how = "done" if ended.status == 0 else died(ended)
        logger.log(
            logging.INFO if ended.status == 0 else logging.WARNING,
            "daily compaction: %s in %.0f s", how, seconds,
        )  # fmt: skip


def _environment() -> dict[str, str]:
    """Return our own environment, with a log of what someone should look at, and no more."""
    is_chatty = logger.isEnabledFor(logging.DEBUG)
    return {**os.environ, "SITREP_LOG_LEVEL": "debug" if is_chatty else "warning"}


def _as_flags(flags: Mapping[str, Any]) -> list[str]:
    given = [(name, value) for name, value in flags.items() if value is not None]
    return [word for name, value in given for word in (f"--{name}", str(value))]
