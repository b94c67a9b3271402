"""Reads a printed date: its day, its time if it has one, its zone if it has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from functools import cache, lru_cache

from crawler.extraction.clock import Clock, clock_at, find_clock, phrase_before, read_zone, words
from crawler.extraction.folded import fold, fold_word

MINUTE, SECOND, DAY = "minute", "second", "day"
FINENESS = {DAY: 0, MINUTE: 1, SECOND: 2}
# The web's first newspapers; years before are misread numbers.
_EARLIEST, _LATEST = 1990, 2100
_LONGEST_TEXT = 400

# Seconds or milliseconds since 1970, alone or as .NET wraps them.
EPOCH = re.compile(r"(?:/Date\()?(?P<seconds>\d{10})(?:\d{3})?(?:\.\d{1,6})?(?:\)/)?")


@dataclass(frozen=True, slots=True)
class Printed:
    """A date as printed. `local` is naive; `zone` is None where none is printed.

    `letters` are the zone's where letters name it; `is_zone_known` is False where what is
    printed names no zone known here. `swapped` is the other reading of a day and month that
    could be either way round, `is_open` where nothing says which is meant. `start` and `end`
    are where it stands in the text.
    """

    local: datetime
    precision: str
    zone: tzinfo | None
    start: int
    end: int
    swapped: date | None = None
    is_open: bool = False
    letters: str = ""
    is_zone_known: bool = True


_MONTH, _SHORT, _LETTERS = r"(?P<month>\d{1,2})", r"(?P<short>\d{2})", r"(?P<letters>[A-Z]{1,5})"
_HM = r"(?P<hour>[01]\d|2[0-3])(?P<minute>[0-5]\d)"
_HMS = r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d)"
_WORD = r"[^\W\d_]"
_DAY, _YEAR = r"(?P<day>\d{1,2})", r"(?P<year>\d{4})"
_ORDINAL = r"(?:\.?(?:st|nd|rd|th|er|re|o|a|º|ª|°|η|ης|го)(?![^\W_])|\.?[º°ª]|\.)?"
_OF = r"(?:[\s.,/-]{1,4}(?:of\s+|del?\s+|d'\s?)?)"
# A name has two words in the Levant's calendar, and may have two names beside each other.
_NAME = rf"(?P<name>(?:كانون|تشرين)\s+{_WORD}{{4,8}}|{_WORD}{{2,14}})"
_OTHER_NAME = rf"(?:\s?[/(]\s?{_WORD}{{3,12}}\s?\)?)?"
# Earlier forms have the first claim on a text.
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?<![\d/.])(?P<year>\d{4})(?P<dash>[-:])(?P<month>\d{1,2})(?P=dash)(?P<day>\d{1,2})(?![\d/])",
        r"(?<![\w-])(?P<year>\d{4})-?W(?P<week>\d{2})-?(?P<weekday>[1-7])(?![\d-])",
        r"(?<![\w-])(?P<year>\d{4})-(?P<yearday>\d{3})(?=T\d)",
        r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<month>[01]\d)(?P<day>[0-3]\d)(?=T\d|$)",
        # NATO's date-time group, and C's ctime.
        rf"(?<!\w){_DAY}{_HM}(?P<letters>Z)\s?(?P<name>[a-z]{{3}})\s?(?:{_YEAR}|{_SHORT})(?!\d)",
        rf"(?<![^\W_])(?P<name>[a-z]{{3}})\s+{_DAY}\s+{_HMS}(?:\s{_LETTERS})?\s{_YEAR}(?!\d)",
        rf"(?<!\d){_DAY}{_ORDINAL}{_OF}{_NAME}{_OTHER_NAME}\.?{_OF}{_YEAR}(?!\d)",
        rf"(?<![^\W_]){_NAME}\.?\s+{_DAY}{_ORDINAL}\s?[,\s]\s?{_YEAR}(?!\d)",
        rf"(?<!\d){_YEAR}[\s,.-]{{1,3}}{_NAME}\.?\s+{_DAY}(?!\d)",
        rf"(?<!\d){_DAY}(?P<dash>[-/]){_NAME}(?P=dash){_SHORT}(?![\d:])",
        rf"(?<!\d){_DAY}\s{_NAME}\.?\s'{_SHORT}(?![\d:])",
        rf"(?<!\d){_DAY}\s{_NAME}\s(?P<short>\d{{2}})(?=\s\d\d:\d\d:\d\d)",
        rf"(?<![\d/.]){_YEAR}\s?[/.年년]\s?{_MONTH}\s?[/.月월]\s?{_DAY}(?!\d)(?:\s?[日일号號])?",
        r"(?<![\d/.:-])(?P<a>\d{1,2})(?P<sep>\s?[/.-]\s?)(?P<b>\d{1,2})(?P=sep)(?P<year>\d{4})(?![\d/])",
        r"(?<![\d/.:-])(?P<a>\d{1,2})(?P<sep>[/.])(?P<b>\d{1,2})(?P=sep)(?P<short>\d{2})(?![\d/.:])",
        # Alone in its text: elsewhere it may be a telephone number.
        r"^\s*(?P<a>\d{1,2})(?P<sep>-)(?P<b>\d{1,2})-(?P<short>\d{2})(?=\s*$|[\s,]+\d{1,2}:\d\d)",
    )
)
_WORD_BEFORE = re.compile(r"(?P<word>[^\W\d_]+(?:'[^\W\d_]+)?)[\s.,(]*$")
_WORD_AFTER = re.compile(r"[\s.,(]*(?P<word>[^\W\d_]+(?:'[^\W\d_]+)?)")


@dataclass(frozen=True, slots=True)
class _Found:
    """A day where it stands in the folded text; `match` has its time where the form has one."""

    day: date
    swapped: date | None
    is_open: bool
    match: re.Match[str]


def read_dates(
    text: str, *, day_first: bool | None, formats: tuple[str, ...] = ()
) -> Iterator[Printed]:
    """Yield the dates printed in `text`, in order. `formats` (strptime's) are tried first.

    `day_first` says how to read 04/05/2023; None leaves it open, see `Printed.is_open`.

    >>> [str(one.local) for one in read_dates("19/04/2023 at 08:15", day_first=True)]
    ['2023-04-19 08:15:00']
    """
    yield from _dates_in(text[:_LONGEST_TEXT], day_first, formats)


# What a page says of its dates is read to choose among them, as evidence, and as its value.
@lru_cache(maxsize=256)
def _dates_in(text: str, day_first: bool | None, formats: tuple[str, ...]) -> tuple[Printed, ...]:
    folded, places = fold(text)
    found = list(_by_format(folded, formats)) or _by_pattern(folded, day_first)
    return tuple(replace(one, start=places[one.start], end=places[one.end]) for one in found)


def _by_pattern(text: str, day_first: bool | None) -> Iterator[Printed]:
    """Yield the dates in order, each with the time that stands beside it and no other date."""
    last = 0
    for one in sorted(_find_days(text, day_first), key=lambda found: found.match.start()):
        if one.match.start() >= last:
            printed = _with_own_time(one) or _with_time(text, one, last)
            last = printed.end
            yield printed


def _find_days(text: str, day_first: bool | None) -> list[_Found]:
    taken: list[_Found] = []
    for form in _FORMS:
        for match in form.finditer(text):
            spans = (one.match.span() for one in taken)
            if any(match.start() < end and start < match.end() for start, end in spans):
                continue
            if found := _read_day(match, day_first):
                taken.append(_by_weekday(text, found))
    return taken


def _by_weekday(text: str, found: _Found) -> _Found:
    """Settle by the weekday beside it which of day and month comes first."""
    if found.swapped is None:
        return found
    start, end = found.match.span()
    beside = (_WORD_BEFORE.search(text[max(0, start - 24) : start]), _WORD_AFTER.match(text, end))
    printed = {words().weekdays.get(fold_word(one["word"])) for one in beside if one}
    fits = [day for day in (found.day, found.swapped) if day.isoweekday() in printed]
    return _Found(fits[0], None, False, found.match) if len(fits) == 1 else found


def _read_day(match: re.Match[str], day_first: bool | None) -> _Found | None:
    parts = match.groupdict()
    year = int(parts["year"]) if parts.get("year") else _full_year(parts["short"])
    if parts.get("a") is not None:
        return _read_numbers(match, year, day_first)
    day = _real_day(year, parts)
    return _Found(day, None, False, match) if day else None


def _full_year(short: str) -> int:
    return (1900 if int(short) >= 70 else 2000) + int(short)


def _real_day(year: int, parts: dict[str, str]) -> date | None:
    try:
        if parts.get("week"):
            return _in_range(date.fromisocalendar(year, int(parts["week"]), int(parts["weekday"])))
        if parts.get("yearday"):
            day = date(year, 1, 1) + timedelta(days=int(parts["yearday"]) - 1)
            return _in_range(day) if day.year == year else None
        name = parts.get("name")
        month = words().months.get(fold_word(name), 0) if name else int(parts["month"])
        return _in_range(date(year, month, int(parts["day"])))
    except ValueError:
        return None


def _in_range(day: date) -> date | None:
    return day if _EARLIEST <= day.year <= _LATEST else None


def _read_numbers(match: re.Match[str], year: int, day_first: bool | None) -> _Found | None:
    a, b = int(match["a"]), int(match["b"])
    by_day = _real_day(year, {"month": str(b), "day": str(a)})
    by_month = _real_day(year, {"month": str(a), "day": str(b)})
    # With dots the day comes first everywhere, unless that day does not exist.
    if match["sep"].strip() == ".":
        first, other = by_day or by_month, None
    else:
        first, other = (by_month, by_day) if day_first is False else (by_day, by_month)
    first, other = (first, other) if first else (other, None)
    other = None if other == first else other
    return _Found(first, other, other is not None and day_first is None, match) if first else None


def _with_own_time(one: _Found) -> Printed | None:
    parts = one.match.groupdict()
    if not parts.get("hour"):
        return None
    second = parts.get("second")
    clock = Clock(
        hour=int(parts["hour"]),
        minute=int(parts["minute"]),
        second=int(second) if second else None,
        zone=read_zone(parts.get("letters") or "", 0),
        start=one.match.start(),
    )
    return _timed(one, clock, one.match.end())


def _with_time(text: str, one: _Found, floor: int) -> Printed:
    start, end = one.match.span()
    clock = find_clock(text, start, end, floor=floor)
    if clock is None or not clock.is_clear:
        bare = datetime(one.day.year, one.day.month, one.day.day)  # noqa: DTZ001 - local as printed
        return Printed(bare, DAY, None, start, end, one.swapped, one.is_open)
    if clock.zone.where is None and (lead := phrase_before(text, min(start, clock.start))):
        clock = replace(clock, zone=replace(lead, end=clock.zone.end))
    return _timed(one, clock, max(end, clock.zone.end))


def _timed(one: _Found, clock: Clock, end: int) -> Printed:
    day = one.day
    local = datetime(day.year, day.month, day.day, clock.hour, clock.minute, clock.second or 0)  # noqa: DTZ001 - local as printed
    return Printed(
        local=local,
        precision=MINUTE if clock.second is None else SECOND,
        zone=clock.zone.where,
        start=min(one.match.start(), clock.start),
        end=end,
        swapped=one.swapped,
        is_open=one.is_open,
        letters=clock.zone.letters,
        is_zone_known=clock.zone.is_known,
    )


_DIRECTIVES = {
    "%d": r"(?P<day>\d{1,2})",
    "%e": r"(?P<day>\d{1,2})",
    "%-d": r"(?P<day>\d{1,2})",
    "%m": r"(?P<month>\d{1,2})",
    "%-m": r"(?P<month>\d{1,2})",
    "%Y": r"(?P<year>\d{4})",
    "%y": r"(?P<short>\d{2})",
    "%B": rf"{_NAME}",
    "%b": rf"{_NAME}",
    "%H": r"(?P<hour>\d{1,2})",
    "%I": r"(?P<hour>\d{1,2})",
    "%-H": r"(?P<hour>\d{1,2})",
    "%-I": r"(?P<hour>\d{1,2})",
    "%M": r"(?P<minute>\d{2})",
    "%S": r"(?P<second>\d{2})",
    "%p": r"(?P<half>[AaPp]\.?\s?[Mm]\b\.?|[πμΠΜ]\.?\s?[μΜ]\b\.?|[^\W\d_]{1,9})",
    "%A": r"[^\W\d_]+(?:'[^\W\d_]+)?",
    "%a": r"[^\W\d_]+(?:'[^\W\d_]+)?",
    "%Z": r"(?P<letters>[A-Z]{1,5})",
    "%z": r"(?P<offset>Z|[+-]\d{2}:?\d{2})",
    "%%": "%",
}


@cache
def format_pattern(form: str) -> re.Pattern[str]:
    """Return what finds a date of strptime's format `form` anywhere in a folded text."""
    seen: set[str] = set()
    out = ""
    for part in re.split(r"(%-?[A-Za-z%])", form):
        piece = _DIRECTIVES.get(part)
        if piece is None:
            out += re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(fold(part)[0]))
        elif part in seen:
            out += re.sub(r"\?P<\w+>", "?:", piece)
        else:
            seen.add(part)
            out += piece
    return re.compile(rf"(?<!\d){out}(?!\d)", re.IGNORECASE)


def _by_format(text: str, formats: tuple[str, ...]) -> Iterator[Printed]:
    for form in formats:
        for match in format_pattern(form).finditer(text):
            parts = {key: value for key, value in match.groupdict().items() if value}
            if found := _formatted_day(match, parts):
                yield _formatted(text, found, parts)


def _formatted_day(match: re.Match[str], parts: dict[str, str]) -> _Found | None:
    year = int(parts["year"]) if "year" in parts else _full_year(parts.get("short", "0"))
    day = _real_day(year, {"month": "0", "day": "0", **parts})
    return _Found(day, None, False, match) if day else None


def _formatted(text: str, found: _Found, parts: dict[str, str]) -> Printed:
    if "hour" not in parts:
        return _with_time(text, found, found.match.start())
    second = f":{parts['second']}" if "second" in parts else ""
    printed = f"{parts['hour']}:{parts.get('minute', '00')}{second} {parts.get('half', '')}".strip()
    zone = parts.get("letters") or parts.get("offset")
    rest = text[found.match.end() :]
    clock = clock_at(f"{printed} {zone}" if zone else printed + rest)
    if clock is None or not clock.is_clear:
        return _with_time(text, found, found.match.start())
    end = found.match.end() + (0 if zone else max(0, clock.zone.end - len(printed)))
    return _timed(found, replace(clock, start=found.match.start()), end)
