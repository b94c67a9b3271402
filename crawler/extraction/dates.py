"""When it was published and changed: from every place that says so, none of it invented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from lxml.html import HtmlElement

from crawler.extraction.document import REMOVED, text_of
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from crawler.extraction.moments import DAY, FINENESS, MINUTE, Printed, read_dates
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
    return Dates(
        published=_choose(published, habits, fetched_at, url),
        modified=_choose(modified, habits, fetched_at, url),
    )


def _said(raw: str | None, source: str) -> list[_Said]:
    return [_Said(raw.strip(), source)] if raw and raw.strip() else []


def hint_source(hints: Hints) -> str:
    """Return the source as the lake names it: a WordPress record is a feed, a listing is HTML."""
    return {"sitemap": "sitemap", "listing": "html"}.get(hints.source or "", "feed")


def _choose(
    said: list[_Said], habits: DateHabits, fetched_at: datetime | None, url: str
) -> Moment | None:
    """Take the first that can be read, then whatever agrees with it and is finer."""
    chosen: Moment | None = None
    evidence = [match.groups() for match in [_URL_MONTH.search(urlsplit(url).path + "/")] if match]
    month = (int(evidence[0][0]), int(evidence[0][1])) if evidence else None
    for one in said:
        moment = read_moment(
            one.raw,
            source=one.source,
            habits=habits,
            formats=one.formats,
            month=month,
            near=chosen.when.date() if chosen else None,
        )
        if moment is None:
            continue
        if chosen is None or _is_finer(moment, chosen, habits.zone):
            chosen = moment
    if chosen and fetched_at and chosen.when > fetched_at + FUTURE:
        chosen = _flagged(chosen, "future")
    return chosen


def _flagged(moment: Moment, flag: str) -> Moment:
    return Moment(
        moment.when,
        moment.raw,
        moment.source,
        moment.precision,
        (*moment.flags, flag),
        moment.time_zone_assumed,
    )


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
    month: tuple[int, int] | None = None,
    near: date | None = None,
) -> Moment | None:
    """Return the first date in `raw`, in UTC; None where its day and month stay unclear.

    `month` (of the URL) and `near` (another date of the page) settle which of two readings holds.
    """
    for printed in read_dates(raw, day_first=habits.day_first, formats=formats):
        settled = _settle(printed, month, near)
        if settled is not None:
            return _to_moment(settled, raw, source, habits.zone)
    return None


def _settle(printed: Printed, month: tuple[int, int] | None, near: date | None) -> Printed | None:
    if printed.swapped is None:
        return printed
    readings = [printed.local.date(), printed.swapped]
    for fits in (
        [d for d in readings if d == near],
        [d for d in readings if month == (d.year, d.month)],
    ):
        if len(fits) == 1:
            local = datetime.combine(fits[0], printed.local.time())
            return Printed(local, printed.precision, printed.zone, printed.start, printed.end)
    return None


def _to_moment(printed: Printed, raw: str, source: str, zone: str | None) -> Moment:
    raw = raw.strip() if source != "html" else raw[printed.start : printed.end].strip(" ,.;()[]")
    local, precision = printed.local, printed.precision
    if precision == DAY or (printed.zone is None and zone is None):
        day = datetime(local.year, local.month, local.day, tzinfo=UTC)
        return Moment(day, raw, source, DAY)
    assumed = zone if printed.zone is None else None
    where = ZoneInfo(zone) if zone and assumed else printed.zone
    aware = local.replace(tzinfo=where, fold=0)
    flags: tuple[str, ...] = ("zone_assumed",) if assumed else ()
    if _is_doubled(aware):
        flags = (*flags, "ambiguous")
    return Moment(aware.astimezone(UTC), raw, source, precision, flags, assumed)


def _is_doubled(aware: datetime) -> bool:
    """Tell whether a clock change makes this local time happen twice."""
    if not isinstance(aware.tzinfo, ZoneInfo):
        return False
    late = aware.replace(fold=1)
    return (aware.utcoffset() or timedelta()) > (late.utcoffset() or timedelta())


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
