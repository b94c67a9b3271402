"""The time of day beside a printed date, and the zone beside that."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crawler.extraction.folded import fold_word

# No place keeps a clock further from UTC than this, in minutes.
_FURTHEST_EAST, _FURTHEST_WEST = 14 * 60, 12 * 60
# How far before its date a time may begin.
_REACH = 60


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as printed, from where to where.

    `letters` are kept because the site's own zone may give them another meaning (CST in
    China). `is_known` is False where something is printed that names no zone known here.
    """

    end: int
    where: tzinfo | None = None
    letters: str = ""
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day; `is_clear` is False where it could be either of two, or none."""

    hour: int
    minute: int
    second: int | None
    zone: Zone
    start: int
    is_clear: bool = True


@dataclass(frozen=True, slots=True)
class Words:
    """What dates.toml lists, folded."""

    months: dict[str, int]
    zones: dict[str, int | str]
    phrases: dict[str, str]
    parts: dict[str, str]
    weekdays: dict[str, int]
    leading: frozenset[str]
    beside: frozenset[str]
    connecting: frozenset[str]


@cache
def words() -> Words:
    data = tomllib.loads(files(__package__).joinpath("dates.toml").read_text(encoding="utf-8"))
    weekdays = {fold_word(n): int(k) for k, names in data["weekdays"].items() for n in names}
    months = {n: int(k) for k, names in data["months"].items() for n in names}
    parts = {fold_word(n): kind for kind, names in data["parts_of_day"].items() for n in names}
    return Words(
        months={fold_word(name): number for name, number in months.items()},
        zones=data["zones"],
        phrases={fold_word(name): zone for name, zone in data["zone_phrases"].items()},
        parts=parts,
        weekdays=weekdays,
        leading=frozenset(map(fold_word, data["words"]["leading"])),
        beside=frozenset(map(fold_word, data["words"]["beside"])) | parts.keys() | weekdays.keys(),
        connecting=frozenset(map(fold_word, data["words"]["connecting"])),
    )


_UNIT = r"(?:h|hrs?|heures?|uhr|час(?:ов|а)?|ч|horas?|時|时|點|点|시)"
_AFTER_MINUTE = r"(?:\s?(?:min|分|분|мин)(?![^\W\d_]))?"
_SECOND = r"(?:(?::|\s?[分분]\s?)(?P<second>[0-5]\d)(?:[.,]\d{1,9})?\s?[秒초]?)?"
_COLON = re.compile(
    rf"(?P<hour>[0-2]?\d)\s?(?::|{_UNIT})\s?(?P<minute>[0-5]\d){_SECOND}(?![\d:]){_AFTER_MINUTE}"
    r"(?:\s?(?:uhr|hrs?|hs|h|horas?)\b)?",
    re.IGNORECASE,
)
_DOT = re.compile(
    r"(?P<hour>[0-2]?\d)\.(?P<minute>[0-5]\d)(?![\d.]\d|\d)(?:\s?(?P<unit>uhr|hrs?|hs|h|horas?)\b)?",
    re.IGNORECASE,
)
_MILITARY = re.compile(
    r"(?P<hour>[01]\d|2[0-3])(?P<minute>[0-5]\d)\s?(?:(?=(?:GMT|UTC|Z)\b)|(?:hrs|h)\b)"
)
_COMPACT = re.compile(r"(?P<hour>[0-2]\d)(?P<minute>[0-5]\d)(?P<second>[0-5]\d)?(?=[Zz+-]|$)")
_ISO_HOUR = re.compile(r"(?P<hour>[0-2]\d)(?P<minute>)(?=[Zz+-]|$)")
_HOUR = re.compile(
    rf"(?P<hour>[0-2]?\d)(?P<minute>)(?:\s?(?P<unit>{_UNIT})(?![^\W_]))?(?![\d:])", re.IGNORECASE
)
_FORMS = (_COLON, _DOT, _MILITARY, _HOUR)
_HALF = re.compile(
    r"\s*(?:(?P<pm>p\.?\s?m\b\.?|μ\.?\s?μ\b\.?)|(?:a\.?\s?m\b\.?|π\.?\s?μ\b\.?))", re.IGNORECASE
)
_GAP = re.compile(r"[\s,|·•\-–—@/()\[\]:.;]*")
_WORD = re.compile(
    r"(?:星期|周|週)[一二三四五六日天]|[上下]午|午[前後]|오전|오후|[^\W\d_]+(?:'[^\W\d_]+)?"
)
_NEXT_WORD = re.compile(r"\s*(?P<word>[^\W\d_]+)")
_ENDS = re.compile(r"\s*(?:$|[,;|()\[\]·•–—-])|\.?\s*$")
_LAST_WORD = re.compile(r"([^\W\d_]{1,4})\s*$")


def find_clock(text: str, start: int, end: int, *, floor: int = 0) -> Clock | None:
    """Return the time beside the date that stands from `start` to `end` in the folded `text`.

    `floor` is where an earlier date of the text ends: what stands before is that one's.
    """
    is_iso = text[end : end + 1] in ("T", "t") and text[end + 1 : end + 2].isdigit()
    if is_iso:
        return next(
            (
                _read(text, match, is_iso=True)
                for form in (_COLON, _COMPACT, _ISO_HOUR)
                if (match := form.match(text, end + 1))
            ),
            None,
        )
    is_numeric = bool(re.match(r"\d{4}[-/.:]", text[start : start + 5]))
    return _after(text, end, is_iso=is_numeric) or _before(text, start, floor)


def _after(text: str, position: int, *, is_iso: bool) -> Clock | None:
    is_led = False
    for _ in range(8):
        position = _skip_gap(text, position)
        if clock := _clock_at(text, position, is_led=is_led, is_iso=is_iso):
            return clock
        word = _WORD.match(text, position)
        if word is None or not _may_stand_between(word.group()):
            return None
        is_led = fold_word(word.group()) in words().leading
        position = word.end()
    return None


def _skip_gap(text: str, position: int) -> int:
    match = _GAP.match(text, position)
    return match.end() if match else position


def _may_stand_between(word: str) -> bool:
    known, word = words(), fold_word(word)
    return word in known.beside or word in known.leading


def _before(text: str, start: int, floor: int) -> Clock | None:
    found = None
    for digit in re.finditer(r"(?<![\d:.,/+-])\d", text[:start]):
        if digit.start() < max(floor, start - _REACH):
            continue
        clock = _clock_at(text, digit.start(), is_led=False, is_iso=False)
        if clock and _reaches(text, clock.zone.end, start):
            found = found or clock
    return found


def _reaches(text: str, position: int, start: int) -> bool:
    """Tell whether only weekdays and such stand between `position` and the date at `start`."""
    for _ in range(8):
        position = _skip_gap(text[:start], position)
        if position >= start:
            return position == start
        word = _WORD.match(text, position, start)
        if word is None or not _may_stand_between(word.group()):
            return False
        position = word.end()
    return False


def _clock_at(text: str, position: int, *, is_led: bool, is_iso: bool) -> Clock | None:
    for form in _FORMS:
        match = form.match(text, position)
        if match is None:
            continue
        clock = _read(text, match, is_iso=is_iso)
        if form is _DOT and not (is_led or match["unit"] or _is_closed(text, match, clock)):
            return None
        if form is _HOUR and not _is_hour(text, match, clock):
            return None
        return clock
    return None


def _is_closed(text: str, match: re.Match[str], clock: Clock) -> bool:
    """Tell 8.15 o'clock from 10.50 pounds: by what follows it."""
    return clock.zone.end > match.end() or bool(_ENDS.match(text, match.end()))


def _is_hour(text: str, match: re.Match[str], clock: Clock) -> bool:
    if match["unit"] is None:
        return bool(_part_before(text, match.start()) or _part_after(text, match.end())[0])
    return _is_closed(text, match, clock)


def _read(text: str, match: re.Match[str], *, is_iso: bool) -> Clock:
    kind, end = _part_after(text, match.end())
    kind = kind or _part_before(text, match.start())
    parts = match.groupdict()
    hour, is_clear = _hour(int(parts["hour"]), kind)
    second = parts.get("second")
    return Clock(
        hour=hour,
        minute=int(parts["minute"] or 0),
        second=int(second) if second else None,
        zone=read_zone(text, end, is_exact=is_iso, has_seconds=bool(second)),
        start=match.start(),
        is_clear=is_clear and hour < 24,
    )


def _part_before(text: str, position: int) -> str:
    match = _LAST_WORD.search(text[max(0, position - 6) : position])
    kind = words().parts.get(fold_word(match.group(1)), "") if match else ""
    return kind if match and (len(match.group(1)) > 1) else ""


def _part_after(text: str, position: int) -> tuple[str, int]:
    if half := _HALF.match(text, position):
        return ("pm" if half["pm"] else "am"), half.end()
    at = position
    for _ in range(4):
        match = _NEXT_WORD.match(text, at)
        word = fold_word(match["word"]) if match else ""
        if match and word in words().parts:
            return words().parts[word], match.end()
        if match is None or word not in words().connecting:
            break
        at = match.end() + (text[match.end() : match.end() + 1] == "'")
    return "", position


def _hour(hour: int, kind: str) -> tuple[int, bool]:
    """Return the hour of 24, and whether it is clear.

    12 am is midnight, 12 pm is noon. Twelve at night may be the day's first hour or the next's.
    """
    if kind == "am":
        return hour % 12, hour <= 12
    if kind == "midnight" or (kind in ("night", "evening") and hour in (0, 12)):
        return hour, False
    later = {"pm": 1, "evening": 1, "noon": 1, "night": 7}.get(kind, 12)
    last = 8 if kind == "noon" else 12
    if kind == "pm" and hour == 0:
        return hour, False
    return (hour + 12 if later <= hour < last else hour), True


_OFFSET = re.compile(
    r"\s*[\[(]?\s*(?P<named>GMT|UTC|UT|Z)?\s?(?P<sign>[+-])(?P<hours>\d{1,2})"
    r"(?:(?P<colon>:?)(?P<minutes>\d{2}))?(?![\d/]|\.\d)",
    re.IGNORECASE,
)
# A plus sign that a form decoded to a space.
_LOST_PLUS = re.compile(r" (?P<hours>\d{2}):(?P<minutes>\d{2})$")
_LETTERS = re.compile(r"\s*,?\s*[\[(]?\s*(?P<name>[^\W\d_]{1,5})(?![^\W_])[)\]]?")
_IANA = re.compile(r"\s*[\[(]?\s*(?P<name>[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_-]+){1,2})\b[)\]]?")
_OTHER_PHRASE = re.compile(
    r"[\s,(\[]*(?:heure d|hora de|horario d|ora di|czasu|ωρα|بتوقيت|по времени)\s?[^\W\d_]+"
    r"|[\s,(\[]*(?!local|read|reading|full|screen)[a-z]+ time\b",
    re.IGNORECASE,
)
# Letters that look like a zone's and are not listed.
_LIKE_A_ZONE = re.compile(r"[A-Z]{1,3}[DS]?T$")


def read_zone(
    text: str, position: int, *, is_exact: bool = False, has_seconds: bool = False
) -> Zone:
    """Return the zone printed at `position` in the folded `text`.

    Without `is_exact` (a machine's form) and seconds, 08:15-10:00 is a span, no offset.
    """
    return (
        _numeric(text, position, is_exact=is_exact, has_seconds=has_seconds)
        or _phrase(text, position)
        or _iana(text, position)
        or _lettered(text, position, is_exact=is_exact)
        or _other_phrase(text, position)
        or Zone(position)
    )


def _numeric(text: str, position: int, *, is_exact: bool, has_seconds: bool) -> Zone | None:
    match = _OFFSET.match(text, position)
    if match is None:
        lost = _LOST_PLUS.match(text, position) if is_exact and has_seconds else None
        return _offset(lost, 1) if lost else None
    is_bare = not match["named"] and not is_exact and not has_seconds
    if is_bare and (not match["minutes"] or (match["sign"] == "-" and match["colon"])):
        return None
    return _offset(match, 1 if match["sign"] == "+" else -1)


def _offset(match: re.Match[str], sign: int) -> Zone:
    minutes = int(match["minutes"] or 0)
    total = sign * (int(match["hours"]) * 60 + minutes)
    if minutes not in (0, 15, 30, 45) or not -_FURTHEST_WEST <= total <= _FURTHEST_EAST:
        return Zone(match.end(), is_known=False)
    return Zone(match.end(), UTC if total == 0 else timezone(timedelta(minutes=total)))


@cache
def _phrases() -> re.Pattern[str]:
    ordered = sorted(words().phrases, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE)


def _phrase(text: str, position: int) -> Zone | None:
    opening = re.compile(r"[\s,(\[]*").match(text, position)
    match = _phrases().match(text, opening.end() if opening else position)
    if match is None:
        return None
    return _of_value(words().phrases[fold_word(match.group())], match.end())


def _other_phrase(text: str, position: int) -> Zone | None:
    """Return the zone of a place that is not listed: nobody knows it, so it is not the site's."""
    match = _OTHER_PHRASE.match(text, position)
    return Zone(match.end(), is_known=False) if match else None


def phrase_before(text: str, start: int) -> Zone | None:
    """Return the zone named right before a date, as in 北京时间2023年4月19日."""
    lead = text[max(0, start - 40) : start].rstrip(" ,:")
    for match in _phrases().finditer(lead):
        if match.end() == len(lead):
            return _of_value(words().phrases[fold_word(match.group())], start)
    return None


def _of_value(value: int | str, end: int, letters: str = "") -> Zone:
    zones = words().zones
    if isinstance(value, str) and value in zones:
        return _of_value(zones[value], end, letters)
    if isinstance(value, str):
        return Zone(end, ZoneInfo(value), letters)
    return Zone(end, UTC if value == 0 else timezone(timedelta(minutes=value)), letters)


def _iana(text: str, position: int) -> Zone | None:
    match = _IANA.match(text, position)
    if match is None:
        return None
    try:
        return Zone(match.end(), ZoneInfo(match["name"]))
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return None


def _lettered(text: str, position: int, *, is_exact: bool) -> Zone | None:
    match = _LETTERS.match(text, position)
    if match is None:
        return None
    name = "Z" if is_exact and match["name"] == "z" else match["name"]
    if name in words().zones:
        return _of_value(name, match.end(), name)
    if _LIKE_A_ZONE.match(name) and len(name) > 2:
        return Zone(match.end(), None, name, is_known=False)
    return None


def clock_at(text: str) -> Clock | None:
    """Return the time at the very start of the folded `text`."""
    return _clock_at(text, 0, is_led=True, is_iso=False)
