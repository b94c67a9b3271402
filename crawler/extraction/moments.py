"""Reads a printed date: its day, its time if it has one, its zone if it has one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

MINUTE, SECOND, DAY = "minute", "second", "day"
FINENESS = {DAY: 0, MINUTE: 1, SECOND: 2}
# The web's first newspapers; years before are misread numbers.
_EARLIEST, _LATEST = 1990, 2100
_LONGEST_TEXT = 400
# Minutes: no place keeps a clock more than fourteen hours from UTC.
_WIDEST_OFFSET = 14 * 60


@dataclass(frozen=True, slots=True)
class Printed:
    """A date as printed. `local` is naive; `zone` is None where none is printed.

    `swapped` is the other reading of a day and month that could be either way round.
    `start` and `end` are where it stands in the text.
    """

    local: datetime
    precision: str
    zone: tzinfo | None
    start: int
    end: int
    swapped: date | None = None


@cache
def _names() -> tuple[dict[str, int], dict[str, int | str]]:
    data = tomllib.loads(files(__package__).joinpath("dates.toml").read_text(encoding="utf-8"))
    months = {name: int(number) for number, names in data["months"].items() for name in names}
    return months, data["zones"]


_DAY, _YEAR = r"(?P<day>\d{1,2})", r"(?P<year>\d{4})"
_ORDINAL = r"(?:st|nd|rd|th|er|º|ª|°|η|ης|η|\.)?"
_OF = r"(?:[\s.,/-]+(?:of\s+|de\s+|d')?)"
# `{month}` stands for the names of months. Earlier forms have the first claim on a text.
_FORMS = (
    r"(?<![\d/.])(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?![\d/])",
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)(?=T\d|$)",
    rf"(?<!\d){_DAY}{_ORDINAL}{_OF}(?P<name>{{month}})\.?{_OF}{_YEAR}(?!\d)",
    rf"\b(?P<name>{{month}})\.?\s+{_DAY}{_ORDINAL}(?:,|\s)\s*{_YEAR}(?!\d)",
    rf"(?<!\d){_YEAR}[\s,.-]+(?P<name>{{month}})\.?\s+{_DAY}(?!\d)",
    rf"(?<!\d){_DAY}[-/\s](?P<name>{{month}})[-/\s](?P<short>\d{{2}})(?![\d:])",
    r"(?<![\d/.])(?P<year>\d{4})\s?[/.年]\s?(?P<month>\d{1,2})\s?[/.月]\s?(?P<day>\d{1,2})(?!\d)",
    r"(?<![\d/.:-])(?P<a>\d{1,2})(?P<sep>\s?[/.-]\s?)(?P<b>\d{1,2})(?P=sep)(?P<year>\d{4})(?![\d/])",
    r"(?<![\d/.:-])(?P<a>\d{1,2})(?P<sep>[/.])(?P<b>\d{1,2})(?P=sep)(?P<short>\d{2})(?![\d/.:])",
)


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    months, _ = _names()
    names = "|".join(sorted(map(re.escape, months), key=len, reverse=True))
    return tuple(re.compile(form.replace("{month}", names), re.IGNORECASE) for form in _FORMS)


_TIME = re.compile(
    r"(?<![\d:.,/+-])(?P<hour>[0-2]?\d)(?:\s?[:h]\s?|(?P<dot>\.))(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:[.,]\d{1,9})?)?(?![\d:])"
    r"\s*(?P<half>[ap]\.?\s?m\b\.?|[πμ]\.?\s?μ\b\.?)?",
    re.IGNORECASE,
)
_HOUR = re.compile(
    r"(?<![\d:.,/])(?P<hour>1[0-2]|0?[1-9])\s?(?P<half>[ap]\.?\s?m\b\.?)", re.IGNORECASE
)
_MILITARY = re.compile(
    r"(?<![\d:./-])(?P<hour>[01]\d|2[0-3])(?P<minute>[0-5]\d)\s?(?=(?:GMT|UTC|Z)\b)"
)
_COMPACT = re.compile(r"(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)(?P<second>[0-5]\d)(?=Z|[+-]|$)")
_TIMES = (_TIME, _COMPACT, _MILITARY, _HOUR)
_OFFSET = re.compile(
    r"\s*[\[(]?\s*(?:GMT|UTC)?\s*(?P<sign>[+−-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?(?![\d/])"
)
_LETTERS = re.compile(r"\s*,?\s*[\[(]?\s*(?P<name>[A-Z]{1,5})\b")
_US_WORDS = re.compile(
    r"\s*,?\s*(?P<name>Eastern|Central|Mountain|Pacific)(?:\s+(?:Standard|Daylight))?\s+time",
    re.IGNORECASE,
)
_US_ZONES = {"eastern": "ET", "central": "CT", "mountain": "MT", "pacific": "PT"}


def read_dates(
    text: str, *, day_first: bool | None, formats: tuple[str, ...] = ()
) -> Iterator[Printed]:
    """Yield the dates printed in `text`, in order. `formats` (strptime's) are tried first.

    `day_first` says how to read 04/05/2023; None leaves it open, see `Printed.swapped`.

    >>> [str(one.local) for one in read_dates("19/04/2023 at 08:15", day_first=True)]
    ['2023-04-19 08:15:00']
    """
    text = text[:_LONGEST_TEXT]
    found = list(_by_format(text, formats)) or sorted(
        (one for one in _by_pattern(text, day_first)), key=lambda one: (one.start, -one.end)
    )
    last = -1
    for one in found:
        if one.start >= last:
            last = one.end
            yield one


def _by_pattern(text: str, day_first: bool | None) -> Iterator[Printed]:
    taken: list[tuple[int, int]] = []
    for pattern in _patterns():
        for match in pattern.finditer(text):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            days = _days(match, day_first)
            if days:
                taken.append(match.span())
                yield with_time(text, days[0], match.span(), days[1] if len(days) > 1 else None)


def _days(match: re.Match[str], day_first: bool | None) -> list[date]:
    """Return the day; two where day and month could be either way round; none if impossible."""
    parts = match.groupdict()
    year = int(parts["year"]) if parts.get("year") else 2000 + int(parts["short"])
    if parts.get("a") is None:
        months, _ = _names()
        name = parts.get("name")
        month = months[name.lower()] if name else int(parts["month"])
        return _real_days([(year, month, int(parts["day"]))])
    a, b = int(parts["a"]), int(parts["b"])
    # With dots the day comes first everywhere.
    if parts["sep"].strip() == "." or day_first:
        orders = [(year, b, a)]
    elif day_first is False:
        orders = [(year, a, b)]
    else:
        orders = [(year, b, a), (year, a, b)] if a != b else [(year, a, b)]
    days = _real_days(orders)
    # The site's habit gives an impossible month: then it is the other way round.
    return days or _real_days([(year, a, b), (year, b, a)])[:1]


def _real_days(orders: list[tuple[int, int, int]]) -> list[date]:
    days: list[date] = []
    for year, month, day in orders:
        try:
            days.append(date(year, month, day))
        except ValueError:
            continue
    return [one for one in days if _EARLIEST <= one.year <= _LATEST]


def with_time(text: str, day: date, span: tuple[int, int], swapped: date | None) -> Printed:
    """Join the day at `span` with the time beside it, and the zone beside that."""
    start, end = span
    after = re.match(
        r"T|[\s,|·•\-–—@/()]*"
        r"(?:at|um|à|às|a las|alle|στις|о|в|ore|saat|kl\.?|Uhr|godz\.?|o godz\.)?[\s,:]*",
        text[end:],
    )
    offset = end + (after.end() if after else 0)
    match = next((m for m in (p.match(text, offset) for p in _TIMES) if m), None)
    if match is None:
        before = [m for p in (_TIME, _MILITARY, _HOUR) for m in p.finditer(text[:start])]
        near = [
            m
            for m in before
            if start - m.end() <= 18 and not re.search(r"\d", text[m.end() : start])
        ]
        match = near[-1] if near else None
    if match is None:
        return Printed(datetime(day.year, day.month, day.day), DAY, None, start, end, swapped)  # noqa: DTZ001 - local as printed
    return _timed(text, day, span, match, swapped)


def _timed(
    text: str, day: date, span: tuple[int, int], match: re.Match[str], swapped: date | None
) -> Printed:
    parts = match.groupdict()
    hour = _hour(int(parts["hour"]), parts.get("half"))
    minute, second = int(parts.get("minute") or 0), parts.get("second")
    if hour > 23:
        return Printed(datetime(day.year, day.month, day.day), DAY, None, *span, swapped)  # noqa: DTZ001 - local as printed
    zone, zone_end = read_zone(text, match.end())
    local = datetime(day.year, day.month, day.day, hour, minute, int(second or 0))  # noqa: DTZ001 - local as printed
    start, end = min(span[0], match.start()), max(span[1], match.end(), zone_end)
    return Printed(local, SECOND if second else MINUTE, zone, start, end, swapped)


def _hour(hour: int, half: str | None) -> int:
    if not half:
        return hour
    is_afternoon = half[0].lower() in ("p", "μ")
    return hour % 12 + (12 if is_afternoon else 0) if hour <= 12 else hour


def read_zone(text: str, position: int) -> tuple[tzinfo | None, int]:
    """Return the zone printed at `position` in `text`, and where it ends."""
    return _numeric_zone(text, position) or _named_zone(text, position) or (None, position)


def _numeric_zone(text: str, position: int) -> tuple[tzinfo, int] | None:
    match = _OFFSET.match(text, position)
    minutes = int(match["hours"]) * 60 + int(match["minutes"] or 0) if match else 0
    if match is None or minutes > _WIDEST_OFFSET:
        return None
    sign = 1 if match["sign"] == "+" else -1
    return timezone(timedelta(minutes=sign * minutes)), match.end()


def _named_zone(text: str, position: int) -> tuple[tzinfo, int] | None:
    _, zones = _names()
    if match := _US_WORDS.match(text, position):
        return ZoneInfo(str(zones[_US_ZONES[match["name"].lower()]])), match.end()
    match = _LETTERS.match(text, position)
    if match is None or match["name"] not in zones:
        return None
    value = zones[match["name"]]
    if isinstance(value, str):
        return ZoneInfo(value), match.end()
    return (UTC if value == 0 else timezone(timedelta(minutes=value))), match.end()


_DIRECTIVES = {
    "%d": r"(?P<day>\d{1,2})",
    "%e": r"(?P<day>\d{1,2})",
    "%-d": r"(?P<day>\d{1,2})",
    "%m": r"(?P<month>\d{1,2})",
    "%-m": r"(?P<month>\d{1,2})",
    "%Y": r"(?P<year>\d{4})",
    "%y": r"(?P<short>\d{2})",
    "%B": r"(?P<name>[^\W\d_]+)",
    "%b": r"(?P<name>[^\W\d_]+)",
    "%H": r"(?P<hour>\d{1,2})",
    "%I": r"(?P<hour>\d{1,2})",
    "%-H": r"(?P<hour>\d{1,2})",
    "%-I": r"(?P<hour>\d{1,2})",
    "%M": r"(?P<minute>\d{2})",
    "%S": r"(?P<second>\d{2})",
    "%p": r"(?P<half>[AaPp]\.?[Mm]\.?|[πμ]\.?μ\.?)",
    "%A": r"[^\W\d_]+",
    "%a": r"[^\W\d_]+",
    "%Z": r"(?P<letters>[A-Z]{1,5})",
    "%z": r"(?P<offset>Z|[+-]\d{2}:?\d{2})",
    "%%": "%",
}


@cache
def format_pattern(form: str) -> re.Pattern[str]:
    """Return what finds a date of strptime's format `form` anywhere in a text."""
    parts = re.split(r"(%-?[A-Za-z%])", form)
    seen: set[str] = set()
    out = ""
    for part in parts:
        piece = _DIRECTIVES.get(part)
        if piece is None:
            out += re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(part))
        elif part in seen:
            out += re.sub(r"\?P<\w+>", "?:", piece)
        else:
            seen.add(part)
            out += piece
    return re.compile(rf"(?<!\d){out}(?!\d)", re.IGNORECASE)


def _by_format(text: str, formats: tuple[str, ...]) -> Iterator[Printed]:
    for form in formats:
        for match in format_pattern(form).finditer(text):
            if (day := _formatted_day(match.groupdict())) is not None:
                yield from _formatted(text, day, match)


def _formatted_day(parts: dict[str, str | None]) -> date | None:
    months, _ = _names()
    month = months.get((parts.get("name") or "").lower()) or int(parts.get("month") or 0)
    year = int(parts.get("year") or 2000 + int(parts.get("short") or 0))
    return next(iter(_real_days([(year, month, int(parts.get("day") or 0))])), None)


def _formatted(text: str, day: date, match: re.Match[str]) -> Iterator[Printed]:
    parts = match.groupdict()
    if parts.get("hour") is None:
        yield with_time(text, day, match.span(), None)
    elif timed := re.match(_TIME, _clock(parts)):
        printed = _timed(_clock(parts) + text[match.end() :], day, (0, 0), timed, None)
        zone, end = _format_zone(parts, text, match.end())
        yield Printed(printed.local, printed.precision, zone, match.start(), end)


def _clock(parts: dict[str, str | None]) -> str:
    second = f":{parts['second']}" if parts.get("second") else ""
    return (
        f"{parts['hour']}:{parts.get('minute') or '00'}{second} {parts.get('half') or ''}".strip()
    )


def _format_zone(parts: dict[str, str | None], text: str, end: int) -> tuple[tzinfo | None, int]:
    printed = parts.get("letters") or parts.get("offset")
    if printed:
        return read_zone(printed, 0)[0], end
    return read_zone(text, end)
