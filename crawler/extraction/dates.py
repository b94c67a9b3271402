"""When it was published and changed: from every place that says so, none of it invented."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from lxml.html import HtmlElement

from crawler.extraction.candidates import Candidate, Choice, hinted
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from crawler.extraction.moments import DAY, EPOCH, FINENESS, MINUTE, SECOND, Printed, read_dates
from crawler.extraction.printed_dates import printed_dates
from pipelines.model import Hints

# A clock that is an hour wrong (a summer-time mistake) and a feed read a moment before its
# article's time are common; a day covers every zone mistaken for another.
FUTURE = timedelta(days=1)
# A cache that does not tell the age of what it sends may be some days behind.
CLOCK = timedelta(days=7)
_PUBLISHED_META = (
    "article:published_time",
    "og:article:published_time",
    "og:published_time",
    "article:published",
    "datepublished",
    "parsely-pub-date",
    "sailthru.date",
    "pubdate",
    "publishdate",
    "publish-date",
    "publish_date",
    "cxenseparse:publishtime",
    "cxenseparse:recs:publishtime",
    "dc.date.issued",
    "dcterms.created",
    "dc.date.created",
    "dc.date",
    "dcterms.date",
    "rnews:datepublished",
    "article.published",
    "published_at",
    "date",
    "date_published",
    "originalpublicationdate",
    "article_date_original",
)
_MODIFIED_META = (
    "article:modified_time",
    "og:article:modified_time",
    "og:updated_time",
    "datemodified",
    "lastmod",
    "last-modified",
    "dcterms.modified",
    "dc.date.modified",
)
_URL_DATE = re.compile(r"/((?:19|20)\d\d)[/-](0?[1-9]|1[0-2])[/-](0?[1-9]|[12]\d|3[01])(?:/|-|_|$)")
_URL_MONTH = re.compile(r"/((?:19|20)\d\d)[/-](0[1-9]|1[0-2])(?:/|$)")
_URL_COMPACT = re.compile(r"(?<!\d)(20[0-3]\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
# The years 2001 to 2100.
_FIRST_EPOCH, _LAST_EPOCH = 1_000_000_000, 4_102_444_800
_NUMBERS = re.compile(r"(?<![\d/.-])(\d{1,2})[/-](\d{1,2})[/-](?:\d{4}|\d{2})(?![\d/])")
# Countries that write the month first, and those where both are common.
_MONTH_FIRST = frozenset(("US", "PH", "FM", "PW"))
_EITHER = frozenset(("CA",))
_LONGEST_LINE = 160
_FINEST = "is the first that can be read, or names the same time as that and is more precise"
_FLAGGED = "what would be taken lies in the future, or in a time zone that was assumed for it alone"


@dataclass(frozen=True, slots=True)
class Moment:
    """A date with where it came from; `when` is in UTC."""

    when: datetime
    raw: str
    source: str
    precision: str
    flags: tuple[str, ...] = ()
    time_zone_assumed: str | None = None


@dataclass(frozen=True, slots=True)
class Dates:
    published: Moment | None
    modified: Moment | None
    chosen: tuple[Choice, Choice]


@dataclass(frozen=True, slots=True)
class DateHabits:
    """How the site writes dates: its zone, which of day and month comes first, its formats."""

    zone: str | None = None
    day_first: bool | None = None
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What else is known of when a story appeared.

    Days that the page tells elsewhere, the month in its address, the order in which its other
    dates have day and month, the last day that it can be.
    """

    days: frozenset[date] = frozenset()
    month: tuple[int, int] | None = None
    day_first: bool | None = None
    latest: date | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class _Said:
    raw: str
    source: str
    at: str | HtmlElement
    formats: tuple[str, ...] = ()


def find_dates(
    root: HtmlElement,
    *,
    url: str,
    metadata: Metadata,
    jsonld: JsonLd,
    h1: HtmlElement | None,
    hints: Hints,
    habits: DateHabits,
    fetched_at: datetime | None,
) -> Dates:
    """Return the dates of the page; `root` is pruned, its bylines still in place."""
    printed = list(printed_dates(root, h1=h1, day_first=habits.day_first, formats=habits.formats))
    published = _said(jsonld.date_published, "json-ld", "datePublished")
    published += _tagged(metadata, _PUBLISHED_META)
    # What a listing prints beside a link is print like the page's own, and further from the story.
    listed = [_Said(one.raw.strip(), one.source, one.at) for one in hinted(hints, "date_published")]
    published += [] if hints.source == "listing" else listed
    published += [
        _Said(raw, "html", at, habits.formats) for kind, raw, at in printed if kind != "modified"
    ]
    published += listed if hints.source == "listing" else []
    published += _said(url_date(url), "url", "path")
    modified = _said(jsonld.date_modified, "json-ld", "dateModified")
    modified += _tagged(metadata, _MODIFIED_META)
    modified += [
        _Said(one.raw.strip(), one.source, one.at) for one in hinted(hints, "date_modified")
    ]
    modified += [
        _Said(raw, "html", at, habits.formats) for kind, raw, at in printed if kind == "modified"
    ]
    evidence = _evidence([*published, *modified], habits, fetched_at, url)
    first, last = (_choose(some, habits, evidence) for some in (published, modified))
    chosen: Moment | None = first.value
    if chosen and _is_future(chosen, fetched_at):
        chosen = replace(chosen, flags=(*chosen.flags, "future"))
    changed = _modified(last.value, chosen, fetched_at)
    if changed is None:
        last = replace(last, value=None, winner=None, why=_FLAGGED if last.winner else "")
    return Dates(chosen, changed, (first, last))


def is_clock_off(sent: str, age: str, *, fetched_at: datetime | None) -> bool:
    """Tell whether the server's own clock was wrong, by its headers `Date` and `Age`.

    What a publisher's system dates by such a clock is wrong too, and nothing else on a page that
    is dated a year too early tells it from an old one.
    """
    try:
        said = parsedate_to_datetime(sent)
    except ValueError:
        return False
    if fetched_at is None or said.tzinfo is None:
        return False
    cached = timedelta(seconds=int(age)) if age.isdecimal() and len(age) < 10 else timedelta(0)
    return abs(fetched_at - said) > CLOCK and abs(fetched_at - said - cached) > CLOCK


def _is_future(moment: Moment, fetched_at: datetime | None) -> bool:
    return fetched_at is not None and moment.when > fetched_at + FUTURE


def _modified(
    moment: Moment | None, published: Moment | None, fetched_at: datetime | None
) -> Moment | None:
    """Return the date of change, unless a flag would belong to it: an article keeps none for it."""
    if moment is None or _is_future(moment, fetched_at):
        return None
    assumed = published.time_zone_assumed if published else None
    return moment if moment.time_zone_assumed in (None, assumed) else None


def _evidence(
    said: list[_Said], habits: DateHabits, fetched_at: datetime | None, url: str
) -> Evidence:
    """Gather what settles 04/05: the days that can be read only one way, the address, the clock."""
    printed = [
        one
        for each in said
        for one in list(read_dates(each.raw, day_first=habits.day_first, formats=each.formats))[:1]
    ]
    match = _URL_MONTH.search(urlsplit(url).path + "/")
    return Evidence(
        days=frozenset(one.local.date() for one in printed if one.swapped is None),
        month=(int(match[1]), int(match[2])) if match else None,
        day_first=_order([one.raw for one in said]),
        latest=(fetched_at + FUTURE).date() if fetched_at else None,
    )


def _order(texts: list[str]) -> bool | None:
    """Tell from 19/04/2023 that 05/04/2023 beside it begins with the day, too."""
    pairs = [(int(m[1]), int(m[2])) for text in texts for m in _NUMBERS.finditer(text[:400])]
    orders = {a > 12 for a, b in pairs if (a > 12) != (b > 12)}
    return orders.pop() if len(orders) == 1 else None


def _said(raw: str | None, source: str, at: str) -> list[_Said]:
    return [_Said(raw.strip(), source, at)] if raw and raw.strip() else []


def _tagged(metadata: Metadata, names: tuple[str, ...]) -> list[_Said]:
    return [one for name in names for raw in metadata.all(name) for one in _said(raw, "meta", name)]


def _choose(said: list[_Said], habits: DateHabits, evidence: Evidence) -> Choice:
    """Take the first that can be read, then whatever agrees with it and is finer."""
    chosen: Moment | None = None
    winner: Candidate | None = None
    read: list[Candidate] = []
    for one in said:
        days = evidence.days | ({chosen.when.date()} if chosen else set())
        moment = read_moment(
            one.raw,
            source=one.source,
            habits=habits,
            formats=one.formats,
            evidence=replace(evidence, days=days),
        )
        read.append(Candidate(one.source, one.at, moment.raw if moment else one.raw, moment))
        if moment and (chosen is None or _is_finer(moment, chosen, habits.zone)):
            chosen, winner = moment, read[-1]
    return Choice(chosen, tuple(read), winner, _FINEST if winner else "")


def _is_finer(new: Moment, old: Moment, zone: str | None) -> bool:
    if FINENESS[new.precision] <= FINENESS[old.precision]:
        return False
    if old.precision == MINUTE:
        return new.when.replace(second=0, microsecond=0) == old.when
    days = {new.when.date()}
    days |= {new.when.astimezone(ZoneInfo(zone)).date()} if zone else set()
    return old.when.date() in days


def read_moment(
    raw: str,
    *,
    source: str,
    habits: DateHabits,
    formats: tuple[str, ...] = (),
    evidence: Evidence = NO_EVIDENCE,
) -> Moment | None:
    """Return the first date in `raw`, in UTC; None where its day and month stay unclear.

    A time that a clock change doubles, or leaves out, is read by the offset before the change
    (as RFC 5545 has it) and flagged `ambiguous`.
    """
    if stamp := EPOCH.fullmatch(raw.strip()[:_LONGEST_LINE]):
        return _epoch(stamp, raw.strip(), source)
    for printed in read_dates(raw, day_first=habits.day_first, formats=formats):
        settled = _settle(printed, evidence)
        if settled is not None:
            return _to_moment(settled, raw, source, habits.zone)
    return None


def _epoch(match: re.Match[str], raw: str, source: str) -> Moment | None:
    seconds = int(match["seconds"])
    if not _FIRST_EPOCH <= seconds < _LAST_EPOCH:
        return None
    return Moment(datetime.fromtimestamp(seconds, UTC), raw, source, SECOND)


def _settle(printed: Printed, evidence: Evidence) -> Printed | None:
    """Choose between two readings: by the page's other dates, its address, and what is past."""
    if printed.swapped is None:
        return printed
    readings = [printed.local.date(), printed.swapped]
    for fits in (
        [day for day in readings if day in evidence.days],
        [day for day in readings if (day.year, day.month) == evidence.month],
        [printed.local.date() if evidence.day_first else printed.swapped]
        if printed.is_open and evidence.day_first is not None
        else [],
        [day for day in readings if evidence.latest is None or day <= evidence.latest],
        readings[:1] if not printed.is_open else [],
    ):
        if len(fits) == 1:
            return replace(
                printed, local=datetime.combine(fits[0], printed.local.time()), swapped=None
            )
    return None


def _to_moment(printed: Printed, raw: str, source: str, zone: str | None) -> Moment:
    raw = raw.strip() if source != "html" else raw[printed.start : printed.end].strip(" ,.;()[]")
    local, precision = printed.local, printed.precision
    where, assumed = _zone_of(printed, zone)
    if precision == DAY or where is None:
        day = datetime(local.year, local.month, local.day, tzinfo=UTC)
        return Moment(day, raw, source, DAY)
    aware = local.replace(tzinfo=where, fold=0)
    flags: tuple[str, ...] = ("zone_assumed",) if assumed else ()
    if _is_doubtful(aware):
        flags = (*flags, "ambiguous")
    return Moment(aware.astimezone(UTC), raw, source, precision, flags, assumed)


def _zone_of(printed: Printed, zone: str | None) -> tuple[tzinfo | None, str | None]:
    """Return the zone of a printed time, and its name where it is the site's and not printed."""
    site = ZoneInfo(zone) if zone else None
    if printed.letters and site and _says(site, printed):
        return site if printed.zone is None else _fixed(site, printed), None
    if printed.zone is not None or not printed.is_zone_known:
        return printed.zone, None
    return site, zone


def _says(site: ZoneInfo, printed: Printed) -> bool:
    """Tell whether the site's clock goes by the printed letters: IST in India, CST in China."""
    names = {printed.local.replace(tzinfo=site, fold=fold).tzname() for fold in (0, 1)}
    return printed.letters in names


def _fixed(site: ZoneInfo, printed: Printed) -> tzinfo:
    """Return the offset that the printed letters have at the site: EST is the later of two 1:30."""
    for fold in (0, 1):
        aware = printed.local.replace(tzinfo=site, fold=fold)
        if aware.tzname() == printed.letters:
            return timezone(aware.utcoffset() or timedelta())
    return site


def _is_doubtful(aware: datetime) -> bool:
    """Tell whether a clock change makes this local time happen twice, or never."""
    if not isinstance(aware.tzinfo, ZoneInfo):
        return False
    return aware.utcoffset() != aware.replace(fold=1).utcoffset()


def day_first(*, country: str | None, language: str | None, url: str) -> bool | None:
    """Tell whether 04/05 is the 4th of May here; None where it could be either."""
    if country:
        return None if country in _EITHER else country not in _MONTH_FIRST
    base, _, region = (language or "").replace("_", "-").partition("-")
    if region.upper() in _MONTH_FIRST:
        return False
    if base and base.lower() != "en":
        return True
    if region and region.upper() not in _EITHER:
        return True
    host = urlsplit(url).hostname or ""
    return True if host.rsplit(".", 1)[-1] in ("uk", "au", "nz", "ie", "in", "za", "cy") else None


def url_date(url: str) -> str | None:
    """Return the day that stands in the path, as `2026-11-14`."""
    path = urlsplit(url).path
    match = _URL_DATE.search(path) or _URL_COMPACT.search(path)
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups())
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
