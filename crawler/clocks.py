"""The wall clock held against the monotonic one: where the two part, the machine slept."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

# Less is a time server's work.
JUMP = timedelta(minutes=1)


class ClockWatch:
    """Tells by how much the wall clock has gone on, or back, beyond what has passed."""

    def __init__(self, wall: Callable[[], datetime]):
        self._wall = wall
        self._seen = (wall(), time.monotonic())

    def jump(self) -> timedelta | None:
        """Return the jump since the last look; None where there is none to speak of."""
        wall, monotonic = self._wall(), time.monotonic()
        passed = timedelta(seconds=monotonic - self._seen[1])
        jump = wall - self._seen[0] - passed
        self._seen = (wall, monotonic)
        return jump if abs(jump) >= JUMP else None


def told(jump: timedelta) -> str:
    """Say what a jump means.

    >>> told(timedelta(days=2, seconds=3.4))
    'the clock went on by 2 days, 0:00:03: this machine slept, or its clock was set'
    """
    way = "on" if jump > timedelta() else "back"
    length = timedelta(seconds=round(abs(jump).total_seconds()))
    return f"the clock went {way} by {length}: this machine slept, or its clock was set"
