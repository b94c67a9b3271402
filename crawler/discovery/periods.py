"""The days that an address itself names: an article's, a date archive's, a sitemap's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import parse_qsl, urlsplit

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR = r"(?P<y>(?:19[89]|20\d)\d)"
_MONTH = r"(?P<m>\d{1,2}|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6})"
_DAY = r"(?P<d>\d{1,2})"
# `/2024/05/17/…` and `/2024-05-17-…`; a year alone says nothing of a story.
_IN_PATH = (
    re.compile(rf"/{_YEAR}/{_MONTH}(?:/{_DAY})?(?=/|$)", re.IGNORECASE),
    re.compile(rf"[/_-]{_YEAR}-(?P<m>\d\d)-(?P<d>\d\d)(?=[/_.-]|$)"),
)
_ARCHIVE = (
    re.compile(rf"/{_YEAR}(?:/{_MONTH}(?:/{_DAY})?)?/?(?:index\.\w{{3,5}})?$", re.IGNORECASE),
    re.compile(rf"/{_YEAR}-(?P<m>\d\d)(?:-(?P<d>\d\d))?/?(?:\.\w{{3,5}})?$"),
)
_STAMP = re.compile(rf"{_YEAR}(?P<m>\d\d)?(?P<d>\d\d)?")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def meets(self, first: date | None, last: date | None) -> bool:
        """Tell whether any of its days is among those from `first` to `last`; None is open."""
        return (first is None or self.last >= first) and (last is None or self.first <= last)

    def holds(self, other: Period) -> bool:
        return self.first <= other.first and other.last <= self.last


def path_period(url: str) -> Period | None:
    """Return the day or month that stands in an article's path.

    >>> path_period("https://gazette.example/2024/05/frigate-sails/")
    Period(first=datetime.date(2024, 5, 1), last=datetime.date(2024, 5, 31))
    """
    path = urlsplit(url).path
    return next((found for one in _IN_PATH if (found := _of(one.search(path)))), None)


def archive_period(url: str) -> Period | None:
    """Return the days of a date archive: an address that ends in a year, a month or a day.

    >>> archive_period("https://gazette.example/archive/2024/05/17")
    Period(first=datetime.date(2024, 5, 17), last=datetime.date(2024, 5, 17))
    """
    parts = urlsplit(url)
    if found := _of_query(dict(parse_qsl(parts.query))):
        return found
    if parts.query:
        return None
    return next((found for one in _ARCHIVE if (found := _of(one.search(parts.path)))), None)


def archive_series(url: str) -> str:
    """Return what stands before the date in the path of a date archive: all of the same are one.

    >>> archive_series("https://gazette.example/archive/2024/05/")
    '/archive'
    """
    path = urlsplit(url).path
    found = next((match for one in _ARCHIVE if (match := one.search(path))), None)
    return path[: found.start()] if found else path.rstrip("/")


def _of_query(query: dict[str, str]) -> Period | None:
    """Return what WordPress' `?m=202405` says, and `?year=2024&month=5`; nothing else beside it."""
    if set(query) == {"m"}:
        return _of(_STAMP.fullmatch(query["m"]))
    names = {"year", "month", "monthnum", "day"}
    if "year" not in query or not set(query) <= names:
        return None
    return _period(query["year"], query.get("month") or query.get("monthnum"), query.get("day"))


def _of(match: re.Match[str] | None) -> Period | None:
    if match is None:
        return None
    said = match.groupdict()
    return _period(said["y"], said.get("m"), said.get("d"))


def _period(year: str, month: str | None, day: str | None) -> Period | None:
    try:
        y = int(year)
        if month is None:
            return Period(date(y, 1, 1), date(y, 12, 31))
        m = int(month) if month.isdecimal() else _MONTHS.index(month[:3].lower()) + 1
        first = date(y, m, int(day) if day else 1)
    except ValueError:
        return None
    if day:
        return Period(first, first)
    following = date(y + m // 12, m % 12 + 1, 1)
    return Period(first, following - timedelta(days=1))


# --- the parts of a sitemap index --------------------------------------------------------------


def named_periods(urls: Sequence[str]) -> dict[str, Period]:
    """Return the days that parts of one index are named after, where their names say so for sure.

    A number may count parts. So all of one form have to be read alike, and to differ in it:
    `post-2024-05.xml` beside `post-2024-04.xml` is May; beside `post-2024-13.xml` it is of 2024.

    >>> named_periods(["/s-2023.xml", "/s-2024.xml"])["/s-2024.xml"].first
    datetime.date(2024, 1, 1)
    """
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for url in urls:
        forms[_DIGITS.sub("#", _tail(url))].append(url)
    return {url: period for some in forms.values() for url, period in _read_alike(some)}


def _tail(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def _read_alike(urls: Sequence[str]) -> Iterator[tuple[str, Period]]:
    numbers = [_DIGITS.findall(_tail(url)) for url in urls]
    for at in range(len(numbers[0])):
        for width in (3, 2, 1):
            periods = [_numbered(one[at:], width) for one in numbers]
            if all(periods) and len(set(periods)) > 1:
                yield from ((u, p) for u, p in zip(urls, periods, strict=True) if p is not None)
                return


def _numbered(numbers: Sequence[str], width: int) -> Period | None:
    """Read `width` numbers, or one that is written together, as a year, its month, its day."""
    digits = "".join(numbers[:width]) if len(numbers[0]) == 4 else numbers[0]
    if len(digits) != 2 + 2 * width:  # four of the year, two of each other: no digit left out
        return None
    return _of(_STAMP.fullmatch(digits))
