"""What a server and a feed say of when there will be something new: headers, ttl, sy:, WebSub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_NEVER_FRESH = re.compile(r"(?:^|[,\s])no-(?:cache|store)\b", re.IGNORECASE)
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_HUB = re.compile(r";\s*rel\s*=\s*(?:\"[^\"]*\bhub\b[^\"]*\"|hub\b)", re.IGNORECASE)
# Beyond this it is no statement about news any more; RFC 9111 knows no bound.
MOST_FRESH = timedelta(days=365)
_PERIODS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 730, "yearly": 8760}


def freshness(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """Return how long an answer stays fresh, by RFC 9111; None where nothing is said of it.

    Expires is held against the server's own Date: its clock may be a year off, and the difference
    is still right. Header names are lower-case.

    >>> freshness({"cache-control": "public, max-age=900", "age": "300"}, now=datetime.now(UTC))
    datetime.timedelta(seconds=600)
    """
    control = headers.get("cache-control", "")
    if _NEVER_FRESH.search(control):
        return None
    if match := _MAX_AGE.search(control):
        whole = timedelta(seconds=int(match[1])) - _seconds(headers.get("age", ""))
    elif expires := _http_date(headers.get("expires", "")):
        whole = expires - (_http_date(headers.get("date", "")) or now)
    else:
        return None
    return min(whole, MOST_FRESH) if whole > timedelta() else None


def hub(headers: Mapping[str, str], *, base: str) -> str | None:
    """Return the WebSub hub that a Link header names."""
    for address, parameters in _LINK.findall(headers.get("link", "")):
        if _HUB.search(parameters):
            return _joined(base, address)
    return None


def ttl(text: str | None) -> timedelta | None:
    """Read RSS's ttl: minutes."""
    digits = (text or "").strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 7 and int(digits)):
        return None
    return timedelta(minutes=int(digits))


def update_period(period: str | None, frequency: str | None) -> timedelta | None:
    """Read `sy:updatePeriod` and `sy:updateFrequency`; `hourly`, once, is what WordPress prints
    for everyone, and says nothing.
    """
    hours = _PERIODS.get((period or "").strip().lower())
    text = (frequency or "1").strip()
    times = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1
    if hours is None or (hours == 1 and times <= 1):
        return None
    return timedelta(hours=hours) / max(times, 1)


def _seconds(text: str) -> timedelta:
    digits = text.strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 10
    return timedelta(seconds=int(digits)) if is_number else timedelta()


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.strip()) if text.strip() else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def _joined(base: str, address: str) -> str | None:
    try:
        return urljoin(base, address.strip()) or None
    except ValueError:
        return None
