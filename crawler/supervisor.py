"""The loop of `sitrep schedule`: which site's crawl is begun now, and what becomes of it.

What is due is decided by the wall clock, since sites live by it; how long to wait, by the
monotonic one, which nobody sets. Where the two part, the machine slept or its clock was set.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from crawler.child import Child, Ended
from crawler.interrupts import EXIT_STATUS
from crawler.register import Register
from crawler.report import iso
from crawler.rhythm import backed_off, jitter
from crawler.settings import Settings
from crawler.site import Site
from crawler.timetable import Timetable
from pipelines.errors import SitrepError
from pipelines.lease import Lease
from pipelines.schedule_state import put_turn, turn_of
from pipelines.state import State

logger = logging.getLogger(__name__)

# What another process, or an edited file, changed is seen within this; a waking laptop too.
MOST_SLEEP_SECONDS = 15.0
LEAST_SLEEP_SECONDS = 0.1
# A site is looked up in the state again after this, though nothing of it was due by then.
LOOK_AGAIN_SECONDS = 300.0
JUMP = timedelta(minutes=1)
# The first wait after a process that died; doubled each time, up to a day.
FIRST_WAIT = timedelta(minutes=1)
LAST_CHANCE_SECONDS = 2.0
COMPACT_EVERY = timedelta(days=1)
COMPACTED_AT = "compacted_at"
# No site is called so: its name has no hyphen.
COMPACTION = "daily-compaction"


@dataclass(slots=True)
class Tally:
    """What the crawls of one site came to, since the loop began."""

    crawls: int = 0
    failed: int = 0
    new: int = 0
    changed: int = 0
    last_status: int | None = None


@dataclass(slots=True)
class _Entry:
    """A site, when its crawl is to be begun, and when that was worked out (monotonic)."""

    site: Site
    stamp: tuple[int, int]
    begin_at: datetime | None = None
    looked_at: float | None = None
    # After a turn that came to nothing: another process had the site, or nothing was due.
    not_before: datetime | None = None


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
        self._entries: dict[str, _Entry] = {}
        self._wrong: dict[str, str] = {}
        self._children: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: set[str] = set()
        self._wake = asyncio.Event()
        self._signal: int | None = None
        self._is_stopped_at_once = False
        self._clocks = (datetime.now(UTC), time.monotonic())
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
        is_wrong = any(one.failed for one in self.tallies.values()) or bool(self._wrong)
        return int(self._orders.is_once and self._signal is None and is_wrong)

    # Waiting, and the end

    async def _sleep(self) -> None:
        now = datetime.now(UTC)
        begin = [e.begin_at for n, e in self._entries.items() if e.begin_at and self._is_free(n)]
        seconds = min(((at - now).total_seconds() for at in begin), default=MOST_SLEEP_SECONDS)
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
        self._watch_clocks()
        self._read_settings()
        try:
            self._read_sites()
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

    def _watch_clocks(self) -> None:
        wall, monotonic = datetime.now(UTC), time.monotonic()
        passed = timedelta(seconds=monotonic - self._clocks[1])
        jump = wall - self._clocks[0] - passed
        self._clocks = (wall, monotonic)
        if abs(jump) < JUMP:
            return
        logger.warning(
            "the clock went %s by %s: this machine slept, or its clock was set; what is overdue"
            " is asked once", "on" if jump > timedelta() else "back", abs(jump),
        )  # fmt: skip
        for entry in self._entries.values():
            entry.looked_at = entry.not_before = None

    def _read_settings(self) -> None:
        try:
            self._settings = self._reread()
        except SitrepError as error:
            self._warn_once("settings", f"{error}; those from before hold")
        else:
            self._wrong.pop("settings", None)

    def _read_sites(self) -> None:
        """Read the site files that are new or were changed; forget those that are gone."""
        register = Register(self._settings.sites_folder)
        names = self._orders.names or register.names
        for name in names:
            file = register.files.get(name)
            stamp = _stamp(file) if file else None
            known = self._entries.get(name)
            if stamp is None or (known is not None and known.stamp == stamp):
                continue
            try:
                self._entries[name] = _Entry(register.site(name), stamp)
            except SitrepError as error:
                self._warn_once(name, str(error))
            else:
                self._wrong.pop(name, None)
        for name in set(self._entries) - (set(names) & set(register.files)):
            del self._entries[name]

    def _warn_once(self, name: str, message: str) -> None:
        if self._wrong.get(name) != message:
            self._wrong[name] = message
            logger.warning("%s", message)

    def _open_state(self) -> State:
        if self._state is None or self._state_url != self._settings.state:
            self._close()
            self._state = State.open(self._settings.state)
            self._state_url = self._settings.state
        return self._state

    # Beginning

    def _begin_due(self, state: State) -> None:
        now = datetime.now(UTC)
        for name in self._entries:
            self._work_out(state, name, now)
        for name in list(self._in_turn(now)):
            if len(self._tasks) >= self._settings.crawls_at_once:
                return
            self._begin(state, name)
        if self._orders.is_compacting:
            self._compact_when_due(state, now)

    def _work_out(self, state: State, name: str, now: datetime) -> None:
        """Set when a site's crawl is to be begun, where that is not known or may have changed."""
        entry = self._entries[name]
        is_stale = (
            entry.looked_at is None
            or time.monotonic() - entry.looked_at > LOOK_AGAIN_SECONDS
            or (entry.begin_at is not None and entry.begin_at <= now)
        )
        if not is_stale or not self._is_free(name):
            return
        timetable = Timetable(state, entry.site, now=now)
        due, every = timetable.due_at, entry.site.every
        began = timetable.turn.began_at
        # What is due at this very moment would be so at each later one: it was never asked.
        if due not in {None, now} and began is not None and not self._orders.is_once:
            due += jitter(name, period=began, interval=every)
        if due is not None and entry.not_before is not None:
            due = max(due, entry.not_before)
        entry.begin_at, entry.looked_at = due, time.monotonic()

    def _in_turn(self, now: datetime) -> Iterator[str]:
        """Yield the sites to begin with now, the longest overdue first."""
        due = [
            (entry.begin_at, name)
            for name, entry in self._entries.items()
            if entry.begin_at is not None and entry.begin_at <= now and self._is_free(name)
        ]
        yield from (name for _, name in sorted(due))

    def _is_free(self, name: str) -> bool:
        is_done = self._orders.is_once and name in self._begun
        return name not in self._children and not is_done

    def _begin(self, state: State, name: str) -> None:
        """Begin a site's crawl, unless another loop has it, or has just had it."""
        entry = self._entries[name]
        lease = self._lease(state, name)
        if not lease.try_acquire():
            self._hold(entry, LOOK_AGAIN_SECONDS)
            return
        if not Timetable(state, entry.site, now=datetime.now(UTC)).is_due:
            lease.release()
            self._hold(entry, 0)
            return
        arguments = ["crawl", name, "--due", "--json"]
        self._start(name, arguments, lease, self._crawled)

    def _hold(self, entry: _Entry, most_seconds: float) -> None:
        """Leave a site alone for half of `every`, or less."""
        wait = min(entry.site.every / 2, timedelta(seconds=most_seconds))
        entry.not_before = datetime.now(UTC) + wait
        entry.looked_at = None

    def _lease(self, state: State, name: str) -> Lease:
        return state.lease(f"turn-{name}", folder=self._settings.locks_folder)

    def _start(
        self,
        name: str,
        arguments: list[str],
        lease: Lease,
        ended: Callable[[str, Ended, datetime], None],
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
        ended: Callable[[str, Ended, datetime], None],
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
            if name in self._entries:
                self._hold(self._entries[name], LOOK_AGAIN_SECONDS)
        finally:
            self._children.pop(name, None)
            with suppress(DBAPIError):
                lease.release()
            self._wake.set()

    # What became of it

    def _crawled(self, name: str, ended: Ended, began: datetime) -> None:
        site = _site_of(ended.report)
        tally = self.tallies.setdefault(name, Tally())
        entry = self._entries.get(name)
        if entry is not None:
            entry.looked_at = entry.not_before = None
        if site is None and not ended.report.get("sites") and ended.status == 0:
            if entry is not None:
                self._hold(entry, LOOK_AGAIN_SECONDS)  # nothing was due, as the crawl saw it
            return
        if site is not None and "busy" in site["skipped"]:
            logger.info("%s: another process crawls it", name)
            if entry is not None:
                self._hold(entry, LOOK_AGAIN_SECONDS)
            return
        tally.crawls += 1
        tally.last_status = ended.status
        if site is None:
            self._crashed(name, ended, tally)
            return
        tally.failed += ended.status == 1
        tally.new += site["new"]
        tally.changed += site["changed"]
        logger.info("%s", _line(name, site, ended, began))

    def _crashed(self, name: str, ended: Ended, tally: Tally) -> None:
        """Leave a site alone whose crawl died: a minute first, twice as long each time after."""
        if self._signal is not None:
            return  # it was told to end
        tally.failed += 1
        state, entry = self._open_state(), self._entries.get(name)
        turn = turn_of(state, name)
        first = min(entry.site.every, FIRST_WAIT) if entry else FIRST_WAIT
        wait = backed_off(first, failures=turn.failures)
        now = datetime.now(UTC)
        put_turn(state, replace(turn, failures=turn.failures + 1, not_before=now + wait))
        logger.warning("%s: the crawl %s; tried again in %s", name, _died(ended), wait)

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
        how = "done" if ended.status == 0 else _died(ended)
        logger.log(
            logging.INFO if ended.status == 0 else logging.WARNING,
            "daily compaction: %s in %.0f s", how, seconds,
        )  # fmt: skip


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _environment() -> dict[str, str]:
    """Return our own environment, with a log of what someone should look at, and no more."""
    is_chatty = logger.isEnabledFor(logging.DEBUG)
    return {**os.environ, "SITREP_LOG_LEVEL": "debug" if is_chatty else "warning"}


def _as_flags(flags: Mapping[str, Any]) -> list[str]:
    given = [(name, value) for name, value in flags.items() if value is not None]
    return [word for name, value in given for word in (f"--{name}", str(value))]


def _site_of(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    sites = report.get("sites") or []
    return sites[0] if sites else None


def _died(ended: Ended) -> str:
    if ended.status < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-ended.status).name}"
    error = ended.report.get("error") or {}
    said = f": {error['message']}" if error.get("message") else ""
    return f"failed (exit {ended.status}){said}"


def _line(name: str, site: Mapping[str, Any], ended: Ended, began: datetime) -> str:
    shown = ("new", "changed", "not_modified", "failed")
    counts = ", ".join(f"{site[key]} {key}" for key in shown if site[key]) or "nothing new"
    seconds = (datetime.now(UTC) - began).total_seconds()
    ending = {0: "", 1: "; the site failed", EXIT_STATUS: "; ended early"}.get(
        ended.status, f"; exit {ended.status}"
    )
    return f"{name}: {counts} in {seconds:.0f} s{ending} (since {iso(began)})"
