"""How long a host that is in trouble, or asks for it, is left alone: pure decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from pipelines.host_state import HostState

# After so many requests in a row without an answer a host rests: one page may be broken, five are
# a host that is down, or that has had enough of us.
CALM = 5
FIRST_REST, MOST_REST = timedelta(minutes=10), timedelta(days=1)
# Who asks to be left for longer means it, or has a clock that is wrong.
MOST_WISH = timedelta(days=7)
# One robots.txt is good for a day (RFC 9309, 2.4).
ROBOTS_GOOD_FOR = timedelta(days=1)


def host_of(url: str) -> str:
    """Return the host of an address, as it is kept: `scheme://name:port`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"[:512]


def after_trouble(host: HostState, *, now: datetime) -> HostState:
    """Return what is on record after a request came to nothing: a rest that doubles each time."""
    troubles = host.troubles + 1
    if troubles < CALM:
        return replace(host, troubles=troubles)
    rest = min(FIRST_REST * 2 ** min(troubles - CALM, 16), MOST_REST)
    wish = host.left_until if host.is_wish else None
    if wish is not None and wish >= now + rest:
        return replace(host, troubles=troubles)
    return replace(host, troubles=troubles, left_until=now + rest, is_wish=False)


def after_wish(host: HostState, *, seconds: float, now: datetime) -> HostState:
    """Return what is on record after a host asked to be left alone for a time."""
    rest = min(timedelta(seconds=seconds), MOST_WISH)
    return replace(host, troubles=host.troubles + 1, left_until=now + rest, is_wish=True)


def after_answer(host: HostState, *, now: datetime) -> HostState:
    """Return what is on record after an answer in order."""
    is_over = host.left_until is not None and host.left_until <= now
    return replace(
        host,
        troubles=0,
        left_until=None if is_over else host.left_until,
        is_wish=host.is_wish and not is_over,
    )


def rest_of(host: HostState, *, now: datetime, by_name: bool) -> timedelta | None:
    """Return for how long a host is still left alone; None when it may be asked.

    An address that somebody asks for `by_name` is asked for, unless the host itself forbids it.
    """
    until = host.left_until
    if until is None or until <= now or (by_name and not host.is_wish):
        return None
    # A clock that was put back does not make a rest longer than any that is given.
    longest = MOST_WISH if host.is_wish else MOST_REST
    return until - now if until - now <= longest else None


def has_robots(host: HostState, *, now: datetime) -> bool:
    """Tell whether the robots.txt on record is still good."""
    at = host.robots_at
    return at is not None and timedelta(0) <= now - at < ROBOTS_GOOD_FOR
