"""How far a backfill is, and how long it will yet take: what is known, and no more than that."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean
from typing import Any

from pipelines.backfill_state import Unfinished

# The pace is that of so many answers, the last ones.
RECENT = 200
# What took longer was no answer: the machine slept, or the host asked to be left alone.
MOST_BETWEEN = timedelta(minutes=10)


class Pace:
    """How fast answers come in, by the last of them."""

    def __init__(self) -> None:
        self._last: datetime | None = None
        self._gaps: deque[float] = deque(maxlen=RECENT)

    def answered(self, now: datetime) -> None:
        if self._last is not None and timedelta(0) <= now - self._last <= MOST_BETWEEN:
            self._gaps.append((now - self._last).total_seconds())
        self._last = now

    def seconds_each(self, *, least: float) -> float:
        """Return the time from one answer to the next; never less than the delay lets it be."""
        return max(mean(self._gaps), least) if self._gaps else least


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a backfill is: stories that were answered and that wait, sources that were not read.

    `most` is how many of those stories this run may still ask; None: all of them.
    """

    asked: int = 0
    left: int = 0
    sources_left: int = 0
    most: int | None = None
    seconds_each: float = 0.0

    @property
    def is_done(self) -> bool:
        return not self.left and not self.sources_left

    def as_json(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "left": self.left,
            "sources_left": self.sources_left,
            "is_done": self.is_done,
        }


def told(standing: Standing) -> str:
    """Say it in a line; "at least" while there are sources that may list more.

    >>> told(Standing(asked=1240, left=7060, seconds_each=2.2))
    '1,240 of about 8,300 stories; about 4 h 18 min at this pace'
    """
    known = "at least" if standing.sources_left else "about"
    total = standing.asked + standing.left
    parts = [f"{standing.asked:,} of {known} {_counted(total, 'story', 'stories')}"]
    if standing.sources_left:
        parts.append(f"{_counted(standing.sources_left, 'source', 'sources')} left")
    if not standing.is_done:
        parts.append(_time_left(standing, known))
    return "; ".join(parts)


def told_unfinished(backfill: Unfinished) -> str:
    """Say in a line what a backfill has left that no run is busy with."""
    left = _counted(backfill.stories, "story", "stories")
    sources = _counted(backfill.sources, "source", "sources")
    return f"backfill {backfill.days}, begun {backfill.began:%F}: {left} and {sources} left"


def _time_left(standing: Standing, known: str) -> str:
    most = standing.left if standing.most is None else standing.most
    seconds = (min(most, standing.left) + standing.sources_left) * standing.seconds_each
    until = " to this run's limit" if most < standing.left else ""
    return f"{known} {duration(seconds)}{until} at this pace"


def _counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def duration(seconds: float) -> str:
    """Return a length of time as people say it, to two units.

    >>> duration(15_010)
    '4 h 10 min'
    """
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
