"""What became of a crawl that `schedule` began: counted, told in a line, and held against it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crawler.child import Ended
from crawler.interrupts import EXIT_STATUS
from crawler.report import iso
from crawler.rhythm import backed_off
from pipelines.schedule_state import put_turn, turn_of
from pipelines.state import State

# The first wait after a process that died; doubled each time, up to a day.
FIRST_WAIT = timedelta(minutes=1)


@dataclass(slots=True)
class Tally:
    """What the crawls of one site came to, since the loop began."""

    crawls: int = 0
    failed: int = 0
    new: int = 0
    changed: int = 0
    last_status: int | None = None


def site_of(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the report of a crawl of one site says of it."""
    sites = report.get("sites") or []
    return sites[0] if sites else None


def put_crash(state: State, name: str, *, every: timedelta, now: datetime) -> timedelta:
    """Leave a site alone whose crawl died, twice as long each time; return for how long."""
    turn = turn_of(state, name)
    wait = backed_off(min(every, FIRST_WAIT), failures=turn.failures)
    put_turn(state, replace(turn, failures=turn.failures + 1, not_before=now + wait))
    return wait


def died(ended: Ended) -> str:
    if ended.status < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-ended.status).name}"
    error = ended.report.get("error") or {}
    said = f": {error['message']}" if error.get("message") else ""
    return f"failed (exit {ended.status}){said}"


def line(name: str, site: Mapping[str, Any], ended: Ended, began: datetime) -> str:
    """Return a crawl in a line of the log."""
    shown = ("new", "changed", "not_modified", "failed")
    counts = ", ".join(f"{site[key]} {key}" for key in shown if site[key]) or "nothing new"
    seconds = (datetime.now(UTC) - began).total_seconds()
    ending = {0: "", 1: "; the site failed", EXIT_STATUS: "; ended early"}.get(
        ended.status, f"; exit {ended.status}"
    )
    return f"{name}: {counts} in {seconds:.0f} s{ending} (since {iso(began)})"
