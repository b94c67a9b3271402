"""The instant that a listed date means, to compare it with; what is stored is read elsewhere."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC, date, datetime

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ]\s*(\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)\s*(.*)")
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})?")


def hint_time(raw: str | None) -> datetime | None:
    """Return the instant of an RFC 822, ISO 8601 or W3C date, in UTC; None when it is none.

    A bare day is its midnight in UTC. A time without a zone is taken as UTC, which is good enough
    to compare ages and for nothing else: the extractor knows the site's zone.

    >>> hint_time("Fri, 14 Mar 2025 10:00:00 +0200")
    datetime.datetime(2025, 3, 14, 8, 0, tzinfo=datetime.timezone.utc)
    """
    text = " ".join((raw or "").split())
    if not text:
        return None
    try:
        found = _iso(text) or email.utils.parsedate_to_datetime(text)
        return _in_utc(found)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def is_day(raw: str | None) -> bool:
    """Tell whether a date is printed to the day only."""
    return _DAY.fullmatch((raw or "").strip()) is not None


def hint_day(raw: str | None) -> date | None:
    """Return the day that is printed, in the zone that it is printed in."""
    text = " ".join((raw or "").split())
    if match := _DAY.match(text):
        try:
            return date.fromisoformat(match[0])
        except ValueError:
            return None
    try:
        return email.utils.parsedate_to_datetime(text).date()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _iso(text: str) -> datetime | None:
    if _DAY.fullmatch(text):
        return datetime.fromisoformat(text)
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    day, time, zone = match.groups()
    offset = _OFFSET.fullmatch(zone)
    if offset:
        zone = f"{offset[1]}{offset[2]}:{offset[3] or '00'}"
    elif zone.upper() in {"Z", "UTC", "GMT"}:
        zone = "+00:00"
    return datetime.fromisoformat(f"{day}T{time.replace(',', '.')}{zone}")


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
