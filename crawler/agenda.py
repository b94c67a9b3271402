"""Which sites the loop of `schedule` has, and when the crawl of each is to be begun."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crawler.register import Register
from crawler.rhythm import jitter
from crawler.site import Site
from crawler.timetable import Timetable
from pipelines.errors import SitrepError
from pipelines.state import State

logger = logging.getLogger(__name__)

# A site is looked up in the state again after this, though nothing of it was due by then.
LOOK_AGAIN_SECONDS = 300.0


@dataclass(slots=True)
class Entry:
    """A site, when its crawl is to be begun, and when that was worked out (monotonic)."""

    site: Site
    stamp: tuple[int, int]
    begin_at: datetime | None = None
    looked_at: float | None = None
    # After a turn that came to nothing: another process had the site, or nothing was due.
    not_before: datetime | None = None

    def is_stale(self, now: datetime) -> bool:
        """Tell whether `begin_at` is not known, or may have changed."""
        return (
            self.looked_at is None
            or time.monotonic() - self.looked_at > LOOK_AGAIN_SECONDS
            or (self.begin_at is not None and self.begin_at <= now)
        )

    def forget(self) -> None:
        """Have the site looked up again, whatever was known of it."""
        self.looked_at = self.not_before = None

    def hold(self, most_seconds: float = LOOK_AGAIN_SECONDS) -> None:
        """Leave the site alone for half of `every`, or less."""
        wait = min(self.site.every / 2, timedelta(seconds=most_seconds))
        self.not_before = datetime.now(UTC) + wait
        self.looked_at = None


class Agenda:
    """The sites that are crawled, by name; `is_free` tells whose crawl may be begun."""

    def __init__(self, is_free: Callable[[str], bool], *, is_once: bool):
        self._is_free = is_free
        self._is_once = is_once
        self._entries: dict[str, Entry] = {}
        # What is wrong with a file, by its site's name, and was said of it.
        self.wrong: dict[str, str] = {}

    def get(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def forget_all(self) -> None:
        for entry in self._entries.values():
            entry.forget()

    def read(self, folder: Path | None, names: Sequence[str]) -> None:
        """Read the site files that are new or were changed; forget those that are gone."""
        register = Register(folder)
        wanted = names or register.names
        for name in wanted:
            self._read_site(register, name)
        for name in set(self._entries) - (set(wanted) & set(register.files)):
            del self._entries[name]

    def _read_site(self, register: Register, name: str) -> None:
        file = register.files.get(name)
        stamp = _stamp(file) if file else None
        known = self._entries.get(name)
        if stamp is None or (known is not None and known.stamp == stamp):
            return
        try:
            self._entries[name] = Entry(register.site(name), stamp)
        except SitrepError as error:
            self.warn_once(name, str(error))
        else:
            self.wrong.pop(name, None)

    def warn_once(self, name: str, message: str) -> None:
        if self.wrong.get(name) != message:
            self.wrong[name] = message
            logger.warning("%s", message)

    def work_out(self, state: State, now: datetime) -> None:
        """Set when each site's crawl is to be begun, where that may have changed."""
        for name, entry in self._entries.items():
            if entry.is_stale(now) and self._is_free(name):
                entry.begin_at = self._begin_at(state, entry, now)
                entry.looked_at = time.monotonic()

    def _begin_at(self, state: State, entry: Entry, now: datetime) -> datetime | None:
        timetable = Timetable(state, entry.site, now=now)
        due, began = timetable.due_at, timetable.turn.began_at
        if due is None:
            return None
        # What is due at this very moment would be so at each later one: it was never asked.
        if due != now and began is not None and not self._is_once:
            due += jitter(entry.site.name, period=began, interval=entry.site.every)
        return max(due, entry.not_before) if entry.not_before is not None else due

    def in_turn(self, now: datetime) -> Iterator[Entry]:
        """Yield the sites to begin with now, the longest overdue first."""
        due = [
            (entry.begin_at, name)
            for name, entry in self._entries.items()
            if entry.begin_at is not None and entry.begin_at <= now and self._is_free(name)
        ]
        yield from (self._entries[name] for _, name in sorted(due))

    def times(self) -> Iterable[datetime]:
        """Return when the crawls are to be begun that may be."""
        return [e.begin_at for n, e in self._entries.items() if e.begin_at and self._is_free(n)]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
