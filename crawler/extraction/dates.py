"""When it was published and changed: from every place that says so, none of it invented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from lxml.html import HtmlElement

from crawler.extraction.document import REMOVED, text_of
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from crawler.extraction.moments import DAY, FINENESS, MINUTE, SECOND, Printed, read_dates
from pipelines.model import Hints

# A clock that is an hour wrong (a summer-time mistake) and a feed read a moment before its
# article's time are common; a day covers every zone mistaken for another.
FUTURE = timedelta(days=1)
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
_MODIFIED_WORD = re.compile(
    r"updat|modif|aktualis|mis à jour|actualiz|atualiz|aggiornat|zaktualiz|оновлен|обновлен"
    r"|ενημ|güncel|edited|changed",
    re.IGNORECASE,
)
_PUBLISHED_WORD = re.compile(
    r"publish|posted|publi|veröffentl|pubblicat|opublik|опублік|опублик|δημοσ|yayın|erstellt"
    r"|created|issued",
    re.IGNORECASE,
)
_DATE_NAME = re.compile(
    r"(?:^|[-_ ])(?:pub)?(?:date|datetime|time|timestamp|published|posted|postdate|pubdate|dateline"
    r"|byline|meta|submitted|info)(?:$|[-_ ])|date|timestamp|publish",
    re.IGNORECASE,
)
_URL_DATE = re.compile(r"/((?:19|20)\d\d)[/-](0?[1-9]|1[0-2])[/-](0?[1-9]|[12]\d|3[01])(?:/|-|_|$)")
_URL_MONTH = re.compile(r"/((?:19|20)\d\d)[/-](0[1-9]|1[0-2])(?:/|$)")
_URL_COMPACT = re.compile(r"(?<!\d)(20[0-3]\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
# Seconds or milliseconds since 1970, alone or as .NET wraps them; 2001 to 2100.
_EPOCH = re.compile(r"(?:/Date\()?(?P<seconds>\d{10})(?:\d{3})?(?:\.\d{1,6})?(?:\)/)?")
_FIRST_EPOCH, _LAST_EPOCH = 1_000_000_000, 4_102_444_800
# Countries that write the month first, and those where both are common.
_MONTH_FIRST = frozenset(("US", "PH", "FM", "PW"))
_EITHER = frozenset(("CA",))
_LONGEST_LINE = 160
# Elements that may hold a line with a date and no more.
_LINES = frozenset((
    "p", "div", "span", "time", "li", "small", "em", "strong", "h2", "h3", "h4", "h5", "h6", "td",
    "dd", "a", "b", "i", "address", "ul", "section",
))  # fmt: skip
# How far from the headline a date is still the story's: elements of the page, in order.
_BEFORE, _AFTER = 60, 250


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
    published: Moment | None = None
    modified: Moment | None = None


@dataclass(frozen=True, slots=True)
class DateHabits:
    """How the site writes dates: its zone, which of day and month comes first, its formats."""

    zone: str | None = None
    day_first: bool | None = None
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What else is known of when a story appeared: days told elsewhere, the address's month."""

    days: frozenset[date] = frozenset()
    month: tuple[int, int] | None = None
    latest: date | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class _Said:
    raw: str
    source: str
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
    printed = list(printed_dates(root, h1=h1, habits=habits))
    published = _said(jsonld.date_published, "json-ld")
    published += [s for v in metadata.all(*_PUBLISHED_META) for s in _said(v, "meta")]
    # What a listing prints beside a link is print like the page's own, and further from the story.
    listed = _said(hints.date_published, hint_source(hints))
    published += [] if hints.source == "listing" else listed
    published += [_Said(raw, "html", habits.formats) for kind, raw in printed if kind != "modified"]
    published += listed if hints.source == "listing" else []
    published += _said(url_date(url), "url")
    modified = _said(jsonld.date_modified, "json-ld")
    modified += [s for v in metadata.all(*_MODIFIED_META) for s in _said(v, "meta")]
    modified += _said(hints.date_modified, hint_source(hints))
    modified += [_Said(raw, "html", habits.formats) for kind, raw in printed if kind == "modified"]
    evidence = _evidence([*published, *modified], habits, fetched_at, url)
    chosen = _choose(published, habits, evidence)
    if chosen and _is_future(chosen, fetched_at):
        chosen = replace(chosen, flags=(*chosen.flags, "future"))
    return Dates(chosen, _modified(_choose(modified, habits, evidence), chosen, fetched_at))


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
        latest=(fetched_at + FUTURE).date() if fetched_at else None,
    )


def _said(raw: str | None, source: str) -> list[_Said]:
    return [_Said(raw.strip(), source)] if raw and raw.strip() else []


def hint_source(hints: Hints) -> str:
    """Return the source as the lake names it: a WordPress record is a feed, a listing is HTML."""
    return {"sitemap": "sitemap", "listing": "html"}.get(hints.source or "", "feed")


def _choose(said: list[_Said], habits: DateHabits, evidence: Evidence) -> Moment | None:
    """Take the first that can be read, then whatever agrees with it and is finer."""
    chosen: Moment | None = None
    for one in said:
        days = evidence.days | ({chosen.when.date()} if chosen else set())
        moment = read_moment(
            one.raw,
            source=one.source,
            habits=habits,
            formats=one.formats,
            evidence=replace(evidence, days=days),
        )
        if moment is None:
            continue
        if chosen is None or _is_finer(moment, chosen, habits.zone):
            chosen = moment
    return chosen


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
    if stamp := _EPOCH.fullmatch(raw.strip()[:_LONGEST_LINE]):
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


def printed_dates(
    root: HtmlElement, *, h1: HtmlElement | None, habits: DateHabits
) -> Iterator[tuple[str, str]]:
    """Yield what the page prints as its dates: (published, modified or plain), the surest first.

    Only near the headline, or before the first paragraphs of the story: dates further down
    belong to other stories, embedded posts and copyright lines.
    """
    elements = _window(root, h1)
    found: list[tuple[int, int, str, str]] = []
    for place, element in enumerate(elements):
        for rank, kind, raw in _dates_in(element, habits):
            found.append((rank, place, kind, raw))
    for _, _, kind, raw in sorted(found, key=lambda one: one[:2])[:8]:
        yield kind, raw


def _window(root: HtmlElement, h1: HtmlElement | None) -> list[HtmlElement]:
    elements: list[HtmlElement] = []
    stack, at, story = [root], 0, None
    while stack:
        element = stack.pop()
        if not isinstance(element.tag, str) or element.get(REMOVED) is not None:
            continue
        if element.tag in ("script", "style", "head", "blockquote", "noscript"):
            continue
        if element is h1:
            at = len(elements)
        if story is None and element.tag == "p" and (h1 is None or at) and _is_long(element):
            story = len(elements)
        elements.append(element)
        stack.extend(reversed(element))
    end = min((story if story is not None else at) + 12, at + _AFTER)
    return elements[max(0, at - _BEFORE) if h1 is not None else 0 : end]


def _is_long(paragraph: HtmlElement) -> bool:
    return len(text_of(paragraph).split()) >= 25


def _dates_in(element: HtmlElement, habits: DateHabits) -> Iterator[tuple[int, str, str]]:
    names = " ".join(
        (element.get(key) or "") for key in ("class", "id", "itemprop", "property", "data-testid")
    )
    stamp = element.get("datetime") or (element.get("content") if element.get("itemprop") else None)
    if stamp and (element.tag == "time" or "date" in names.lower()):
        text = text_of(element)
        around = f"{names} {text} {_text_before(element)}"
        kind = _kind(around)
        yield (0 if kind == "published" or element.get("pubdate") is not None else 2), kind, stamp
        return
    own = _own_line(element)
    if not own or len(own) > _LONGEST_LINE or not any(char.isdigit() for char in own):
        return
    is_named = bool(_DATE_NAME.search(names)) or element.tag == "time"
    for kind, piece in _labelled(own, names):
        if next(read_dates(piece, day_first=habits.day_first, formats=habits.formats), None):
            yield (1 if kind == "published" else 3 if is_named else 4), kind, piece


def _own_line(element: HtmlElement) -> str:
    if element.tag in _LINES:
        if any(child.tag in ("div", "p", "ul", "section", "table") for child in element):
            return ""
        return text_of(element)
    return ""


def _text_before(element: HtmlElement) -> str:
    previous = element.getprevious()
    parent = element.getparent()
    text = (previous.tail or text_of(previous)) if previous is not None else ""
    return text or ((parent.text or "") if parent is not None else "")


def _kind(text: str) -> str:
    if _PUBLISHED_WORD.search(text):
        return "published"
    return "modified" if _MODIFIED_WORD.search(text) else "plain"


def _labelled(line: str, names: str) -> Iterator[tuple[str, str]]:
    """Part "Published 1 May 2023, updated 2 May 2023" into its two dates."""
    starts = sorted(
        [(m.start(), "published") for m in _PUBLISHED_WORD.finditer(line)]
        + [(m.start(), "modified") for m in _MODIFIED_WORD.finditer(line)]
    )
    if not starts:
        yield _kind(names) if _MODIFIED_WORD.search(names) else "plain", line
        return
    if starts[0][0] > 0:
        yield "plain", line[: starts[0][0]]
    ends = [start for start, _ in starts[1:]] + [len(line)]
    for (start, kind), end in zip(starts, ends, strict=True):
        yield kind, line[start:end]
