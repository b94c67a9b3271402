"""What a crawl asks for of what a site lists: pure decisions, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from crawler.discovery.hint_dates import hint_day, hint_time, is_day
from crawler.discovery.periods import Period, archive_period, path_period
from crawler.site import Site
from pipelines.fingerprint import tokens
from pipelines.model import Hints, Kind, Link
from pipelines.sessions import STORY_NUMBERS
from pipelines.urls import is_home

# A page that failed on five crawls is left alone until its listing changes, or `recrawl` asks.
MAX_ATTEMPTS = 5

# A zone that was mistaken puts a date ahead by so much at most; beyond, it says nothing.
AHEAD = timedelta(days=1)

Dates = tuple[date | None, date | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the state has on record of an address.

    `listed_modified` and `listed_headline` are as this same listing printed them before: a feed
    and a front page differ by house style, not by news.
    """

    status: Literal["pending", "done", "failed", "gone", "refused"]
    listed_modified: str | None = None
    listed_headline: str | None = None
    article_id: str | None = None
    last_fetched: datetime | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """`new`, `pending`, `retry`, `modified` or `headline`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """`known`, `foreign_host`, `not_article`, `too_old`, `out_of_range`, `failed`, `gone`,
    `refused`, `session`."""

    reason: str


def decide(
    link: Link, *, site: Site, known: Known | None, now: datetime, dates: Dates | None = None
) -> Ask | Skip:
    """Tell whether a crawl asks for `link`, and why; with `dates`, first and last day, a backfill.

    A revisit that is due is asked without being listed: see `crawler.timetable`.
    """
    if not site.owns(link.url):
        return Skip("foreign_host")
    if known is None:
        return _decide_new(link, site=site, now=now, dates=dates)
    if dates is not None and not is_within(link, dates, now=now):
        return Skip("out_of_range")
    if known.status == "pending":
        return Ask("pending")
    if known.status == "failed" and known.attempts < MAX_ATTEMPTS:
        return Ask("retry")
    if change := listed_change(link, known=known, now=now):
        return Ask(change)
    return Skip("known" if known.status == "done" else known.status)


def _decide_new(link: Link, *, site: Site, now: datetime, dates: Dates | None) -> Ask | Skip:
    if not is_article(link, site=site) or is_date_archive(link, site=site):
        return Skip("not_article")
    if dates is not None:
        return Ask("new") if is_within(link, dates, now=now) else Skip("out_of_range")
    return Skip("too_old") if _is_too_old(link.hints, site.max_age, now) else Ask("new")


# --- is it an article? ------------------------------------------------------------------------

# A part of a path that never holds an article, wherever it stands.
_NEVER = frozenset(
    {"tag", "tags", "category", "categories", "author", "authors", "topic", "topics",
     "search", "page", "feed", "rss", "login", "register", "account",
     "subscribe", "subscription", "newsletter", "newsletters", "wp-admin", "wp-content",
     "wp-json", "wp-login.php", "cart", "checkout", "shop", "contact", "contacts",
     "contact-us", "about", "about-us", "privacy", "privacy-policy", "terms",
     "terms-of-use", "terms-of-service", "terms-and-conditions", "cookies",
     "cookie-policy", "advertise", "advertising", "imprint", "impressum", "sitemap",
     # Calendars lead on for ever, and their days look like dated stories.
     "calendar", "calendars", "events-calendar", "event-calendar", "events-list", "ical",
     }
)  # fmt: skip
# Under `sid` a bare number is taken for a story's, anything else for a session's.
_STORY_NUMBERS = STORY_NUMBERS | {"sid"}
_FURTHER_PAGE = re.compile(r"/page/\d{1,5}/?$")
_DATED = re.compile(r"/(?:19|20)\d{2}/\d{1,2}/(?:\d{1,2}/)?([^/]*[^\W\d_][^/]*)/?$")
# What a dated path ends in where it is a calendar's, or an archive's: no slug.
_VIEWS = frozenset({"list", "month", "week", "day", "today", "agenda", "map", "photo", "events"})
_DATE = re.compile(r"(?:19|20)\d{2}(?:[-_.]\d{1,2}){0,2}")


def is_article(link: Link, *, site: Site) -> bool:
    """Tell whether a link is to be tried as an article.

    What a feed of the site lists always is. Without `article_url`, so is what WordPress lists, and
    of sitemaps and listings what `has_article_shape`.
    """
    if link.kind == Kind.FEED:
        return True
    if site.article_url:
        return matches_article_url(link.url, site=site)
    return link.kind == Kind.WORDPRESS or has_article_shape(link.url)


def is_date_archive(link: Link, *, site: Site) -> bool:
    """Tell whether a link on a page leads to what was published in a month, a day or a year.

    Its further pages count as it does. Many an `article_url` fits them too; but a year may end the
    address of an article.
    """
    first = _FURTHER_PAGE.sub("/", link.url)
    period = archive_period(first) if link.kind == Kind.LISTING else None
    if period is None or not site.owns(link.url):
        return False
    return (period.last - period.first).days < 31 or not is_article(link, site=site)


def matches_article_url(url: str, *, site: Site) -> bool:
    """Tell whether `article_url` is found in an absolute address, as linked or after redirects."""
    return re.search(site.article_url, url) is not None


def has_article_shape(url: str) -> bool:
    """Tell whether an address looks like an article's: a dated path, a slug or a number.

    A slug has two hyphens or more, a number four digits or more, and a year or day alone is none.

    >>> has_article_shape("https://gazette.example/news/frigate-refit-begins/")
    True
    >>> has_article_shape("https://gazette.example/category/navy-and-marines/")
    False
    """
    try:
        if is_home(url):
            return False
        parts = urlsplit(url)
    except ValueError:
        return False
    segments = [unquote(one) for one in parts.path.split("/") if one]
    if any(one.lower() in _NEVER for one in segments):
        return False
    return _is_slug(segments[-1:]) or _is_dated(parts.path) or _has_number(parts.query)


def _is_dated(path: str) -> bool:
    match = _DATED.search(path)
    return match is not None and match[1].lower() not in _VIEWS


def _is_slug(last: list[str]) -> bool:
    if not last:
        return False
    words = len(re.findall(r"[^\W_]+", last[0]))
    if _DATE.fullmatch(last[0]):
        return False
    hyphens = len(re.findall(r"[-_]", last[0]))
    return (hyphens >= 2 and words >= 3) or re.search(r"\d{4,}", last[0]) is not None


def _has_number(query: str) -> bool:
    return any(
        name.lower() in _STORY_NUMBERS and value.isdigit() for name, value in parse_qsl(query)
    )


# --- is it of the days that are wanted? -------------------------------------------------------


def _is_too_old(hints: Hints, max_age: timedelta | None, now: datetime) -> bool:
    """Tell whether the date that a link carries is older than `max_age`.

    Where only a date of change is printed (`lastmod`), that is the one it carries: an article is
    at least as old as its last change. A link without a date is not old.
    """
    listed = hint_time(hints.date_published) or hint_time(hints.date_modified)
    return max_age is not None and listed is not None and now - listed > max_age


def is_within(link: Link, dates: Dates, *, now: datetime) -> bool:
    """Tell whether a link may be of the days asked for, both included; without a date it may.

    Of a date of change only the beginning of the range can be read: what last changed before it
    was published before it too, what changed after the end may be from within.
    """
    published = _published(link, now=now)
    if published is not None and not published.meets(*dates):
        return False
    first, changed = dates[0], _day(link.hints.date_modified)
    is_dated = _said_published(link.hints, now=now) is not None
    return is_dated or first is None or changed is None or changed >= first


def is_ahead(hints: Hints, *, now: datetime) -> bool:
    """Tell whether a link is said to be published in the future: that date says nothing."""
    day = _day(hints.date_published)
    return day is not None and day > (now + AHEAD).date()


def is_behind(links: Sequence[Link], dates: Dates, *, now: datetime) -> bool:
    """Tell whether a page of links, newest first, lies wholly before the days asked for."""
    first, _ = dates
    ends = [_latest(link, now=now) for link in links]
    return first is not None and bool(ends) and all(end is not None and end < first for end in ends)


def _latest(link: Link, *, now: datetime) -> date | None:
    published = _published(link, now=now)
    return published.last if published else _day(link.hints.date_modified)


def _published(link: Link, *, now: datetime) -> Period | None:
    """Return the day that a link was published by what is said of it, else as its path has it."""
    said = _said_published(link.hints, now=now)
    return Period(said, said) if said is not None else path_period(link.url)


def _said_published(hints: Hints, *, now: datetime) -> date | None:
    return None if is_ahead(hints, now=now) else _day(hints.date_published)


def _day(raw: str | None) -> date | None:
    moment = hint_time(raw)
    return moment.date() if moment else None


# --- did the listing change? ------------------------------------------------------------------


def listed_change(link: Link, *, known: Known, now: datetime) -> str | None:
    """Return `modified` or `headline` when the listing differs from what is on record, else None.

    Feeds, sitemaps and WordPress print one instant in many ways, and caches serve old copies of
    them by turns: so instants are compared, not prints, and an earlier one than that on record
    says nothing new, unless the record lies in the future.
    """
    if _is_newer(link.hints.date_modified, known=known, now=now):
        return "modified"
    return "headline" if _has_new_headline(link, known) else None


def _is_newer(listed: str | None, *, known: Known, now: datetime) -> bool:
    if listed is None or listed == known.listed_modified:
        return False
    moment, recorded = hint_time(listed), hint_time(known.listed_modified)
    if moment is not None and moment > now + AHEAD:
        return False  # where it moves on, each poll would ask for the whole feed again
    if known.listed_modified is None:
        return moment is not None and known.last_fetched is not None and moment > known.last_fetched
    if moment is None or recorded is None:
        return True
    if is_day(listed) or is_day(known.listed_modified):
        return _is_newer_by_day(listed, moment, known)
    return moment > recorded or (moment != recorded and recorded > now)


def _is_newer_by_day(listed: str, moment: datetime, known: Known) -> bool:
    """Compare where one of the two is a bare day: by the days that are printed.

    On the same day an instant says more than the day on record, if it came after the last fetch.
    """
    one, other = hint_day(listed), hint_day(known.listed_modified)
    if one is None or other is None or one != other:
        return one is not None and other is not None and one > other
    return not is_day(listed) and known.last_fetched is not None and moment > known.last_fetched


def _has_new_headline(link: Link, known: Known) -> bool:
    listed, recorded = link.hints.headline, known.listed_headline
    if not listed or not recorded:
        return False
    return not _is_same_headline(listed, recorded)


def _is_same_headline(one: str, other: str) -> bool:
    """Tell whether two headlines have the same words, or one is the other cut short by `…`."""
    words, other_words = tokens(one), tokens(other)
    if words == other_words:
        return True
    for cut, text, whole in ((one, words, other_words), (other, other_words, words)):
        # The last word before the cut may be half.
        if cut.rstrip().endswith(("…", "...")) and text[:-1] == whole[: len(text) - 1]:
            return len(text) > 1
    return False
