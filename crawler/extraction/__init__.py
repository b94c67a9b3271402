"""From the bytes of a page to an article: `extract`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lxml.html import HtmlElement

from crawler.extraction import access, language
from crawler.extraction.authors import Credits, find_credits
from crawler.extraction.body import Body, find_body
from crawler.extraction.candidates import Candidate, Choice
from crawler.extraction.dates import DateHabits, Dates, day_first, find_dates, is_clock_off
from crawler.extraction.document import decode, header, parse, unfit, visible
from crawler.extraction.fields import (
    declared_languages,
    find_image,
    find_keywords,
    find_publisher,
    find_section,
    without_repeated,
)
from crawler.extraction.forms import prune_forms
from crawler.extraction.furniture import prune_learned
from crawler.extraction.further_pages import next_page
from crawler.extraction.headline import find_h1, find_headline
from crawler.extraction.jsonld import JsonLd, read_jsonld
from crawler.extraction.lines import Known
from crawler.extraction.metadata import Metadata, read_metadata
from crawler.extraction.prune import (
    Furniture,
    Removal,
    Story,
    prune_markup,
    prune_printed,
    prune_site,
    select,
)
from crawler.extraction.refusal import Evidence, find_refusal
from crawler.extraction.related import links_of, related_links
from crawler.extraction.standfirst import find_description
from crawler.extraction.version import extractor_id
from crawler.site import ExtractRules, Site
from pipelines.fingerprint import content_hash
from pipelines.model import NO_HINTS, Article, Hints

__all__ = [
    "Furniture",
    "Reading",
    "extract",
    "extractor_id",
    "reading_of",
    "signs_of_cut",
    "unmatched_body",
]
logger = logging.getLogger(__name__)


def extract(
    html: bytes,
    url: str,
    *,
    site: Site | None = None,
    headers: Mapping[str, str] | None = None,
    hints: Hints | None = None,
    fetched_at: datetime | None = None,
    furniture: Furniture | None = None,
) -> Article:
    """Read the article on a page. Pure: no network, no clock, no disk but the packaged data.

    It never refuses: `refusal` says why the pipeline will not store it. `fetched_at` chooses the
    layout of the site and marks dates that lie in the future. `furniture` names whole blocks
    that the site repeats, which then go too.
    """
    article, _ = reading_of(
        html,
        url,
        site=site,
        headers=headers,
        hints=hints,
        fetched_at=fetched_at,
        furniture=furniture,
    )
    return article


def reading_of(
    html: bytes,
    url: str,
    *,
    site: Site | None = None,
    headers: Mapping[str, str] | None = None,
    hints: Hints | None = None,
    fetched_at: datetime | None = None,
    furniture: Furniture | None = None,
) -> tuple[Article, Reading | None]:
    """Read the article as `extract` does, and return with it what each step chose among."""
    unread = unfit(html)
    root = None if unread else parse(decode(html, headers))
    if root is None:
        refusal = unread or ("unreadable" if html.strip() else "empty")
        blank = _blank(url, site, furniture)
        return replace(blank, content_hash=content_hash(""), refusal=refusal), None
    given = _Given(
        url=url,
        site=site,
        content_type=header(headers, "content-type"),
        is_clock_off=is_clock_off(
            header(headers, "date"), header(headers, "age"), fetched_at=fetched_at
        ),
        hints=hints or NO_HINTS,
        fetched_at=fetched_at,
        furniture=furniture,
    )
    # lxml makes an element's Python object anew whenever nobody holds it: hold them all.
    held = list(root.iter())
    reading = _read(root, given)
    article = _article(reading, given)
    held.clear()
    return article, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What is known of a page beside its bytes."""

    url: str
    site: Site | None
    content_type: str
    is_clock_off: bool
    hints: Hints
    fetched_at: datetime | None
    furniture: Furniture | None

    @property
    def publisher(self) -> str | None:
        return self.site.publisher if self.site else None

    @property
    def rules(self) -> ExtractRules:
        if self.site is None:
            return ExtractRules()
        when = self.fetched_at
        return self.site.rules_at(when.date()) if when else self.site.extract


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What each step read of a page, before it is put together.

    `chosen` has, by field, the value with all that it was chosen among.
    """

    root: HtmlElement
    metadata: Metadata
    jsonld: JsonLd
    credits: Credits
    dates: Dates
    body: Body
    removals: list[Removal]
    chosen: dict[str, Choice]
    next_page: str | None

    def value(self, field: str) -> Any:
        return self.chosen[field].value


def _read(root: HtmlElement, given: _Given) -> Reading:
    """Take the steps in their order: what a step reads must not yet be pruned by another."""
    metadata, jsonld = read_metadata(root, given.url), read_jsonld(root, url=given.url)
    h1 = find_h1(root, metadata=metadata, jsonld=jsonld)
    headline = find_headline(
        h1,
        metadata=metadata,
        jsonld=jsonld,
        publisher=given.publisher,
        hints=given.hints,
    )
    story = Story(root, h1)
    removals = prune_site(root, given.rules.prune)
    removals += prune_markup(root, story) + prune_forms(root, story)
    shown = list(visible(root))
    named = find_credits(
        shown,
        metadata=metadata,
        jsonld=jsonld,
        publisher=given.publisher,
        hints=given.hints,
        h1=h1,
    )
    dates = _dates(root, given, metadata, jsonld, h1)
    described = find_description(shown, metadata=metadata, jsonld=jsonld, hints=given.hints, h1=h1)
    removals += prune_printed(root, story)
    removals += prune_learned(root, story, given.furniture, url=given.url)
    body = find_body(
        root,
        known=Known(headline.value, described.value, named.byline, named.authors, h1),
        regions=_regions(root, given),
        url=given.url,
        h1=h1,
        furniture=given.furniture,
    )
    chosen = {
        "headline": headline,
        "description": without_repeated(described, body.text),
        "authors": named.chosen,
        "byline": named.chosen_byline,
        "date_published": dates.chosen[0],
        "date_modified": dates.chosen[1],
    }
    return Reading(
        root=root,
        metadata=metadata,
        jsonld=jsonld,
        credits=named,
        dates=dates,
        body=body,
        removals=removals,
        chosen=chosen | _stated(given, metadata, jsonld, body),
        next_page=next_page(root, given.url),
    )


def _stated(given: _Given, metadata: Metadata, jsonld: JsonLd, body: Body) -> dict[str, Choice]:
    site, hints = given.site, given.hints
    languages = declared_languages(site, metadata, hints)
    return {
        "publisher": find_publisher(site, metadata, jsonld),
        "in_language": language.find_language(body.text, declared=languages),
        "article_section": find_section(metadata, jsonld, hints),
        "keywords": find_keywords(metadata, jsonld, hints),
        "image_url": find_image(metadata, jsonld, hints, url=given.url),
        "is_accessible_for_free": access.is_free(metadata, jsonld),
    }


def _regions(root: HtmlElement, given: _Given) -> list[HtmlElement]:
    """Return where the site file says that the story stands; say so where nothing is there."""
    selector = given.rules.body
    found = select(root, selector) if selector else []
    if selector and not found and given.site:
        logger.warning(
            "%s: extract.body %r matches nothing on %s; the generic extractor read it",
            given.site.name,
            selector,
            given.url,
        )
    return found


def unmatched_body(
    html: bytes,
    site: Site,
    *,
    headers: Mapping[str, str] | None = None,
    fetched_at: datetime | None = None,
) -> str | None:
    """Return the site's `extract.body` of that day where it matches nothing on the page."""
    rules = site.rules_at(fetched_at.date()) if fetched_at else site.extract
    root = parse(decode(html, headers)) if rules.body and not unfit(html) else None
    return rules.body if root is not None and not select(root, rules.body) else None


def _dates(
    root: HtmlElement,
    given: _Given,
    metadata: Metadata,
    jsonld: JsonLd,
    h1: HtmlElement | None,
) -> Dates:
    return find_dates(
        root,
        url=given.url,
        metadata=metadata,
        jsonld=jsonld,
        h1=h1,
        hints=given.hints,
        habits=_habits(given.site, given.rules, metadata, given.url),
        fetched_at=given.fetched_at,
    )


def _blank(url: str, site: Site | None, furniture: Furniture | None) -> Article:
    """Return an article of which only the page's address and site are known."""
    return Article(
        url=url,
        site=site.name if site else None,
        publisher=site.publisher if site else None,
        country=site.country if site else None,
        extractor=extractor_id(site, furniture),
    )


def _article(read: Reading, given: _Given) -> Article:
    article = _with_text(_blank(given.url, given.site, given.furniture), read, given)
    article = _with_dates(article, read.dates, is_clock_off=given.is_clock_off)
    article = _with_metadata(article, read)
    evidence = Evidence(
        url=given.url,
        content_type=given.content_type,
        metadata=read.metadata,
        jsonld=read.jsonld,
        headline=read.value("headline"),
        body=article.article_body,
        words=read.body.length,
        has_date=article.date_published is not None,
    )
    return replace(article, refusal=find_refusal(read.root, evidence))


def _with_text(article: Article, read: Reading, given: _Given) -> Article:
    text = read.body.text
    links = [*read.body.related, *links_of(read.removals)]
    return replace(
        article,
        headline=read.value("headline"),
        description=read.value("description"),
        article_body=text,
        word_count=len(text.split()),
        content_hash=content_hash(text),
        in_language=read.value("in_language"),
        removed_blocks=(*(one.block for one in read.removals), *read.body.removed),
        related_links=related_links(links, url=read.metadata.base, site=given.site),
    )


def _with_dates(article: Article, dates: Dates, *, is_clock_off: bool) -> Article:
    modified = dates.modified.when if dates.modified else None
    published = dates.published
    if published is None:
        return replace(article, date_modified=modified)
    return replace(
        article,
        date_published=published.when,
        date_modified=modified,
        date_published_raw=published.raw,
        date_published_source=published.source,
        date_published_precision=published.precision,
        date_published_flags=(*published.flags, "clock") if is_clock_off else published.flags,
        time_zone_assumed=published.time_zone_assumed,
    )


def _with_metadata(article: Article, read: Reading) -> Article:
    return replace(
        article,
        publisher=read.value("publisher"),
        canonical_link=read.metadata.canonical,
        next_page=read.next_page,
        authors=read.credits.authors,
        byline=read.credits.byline,
        article_section=read.value("article_section"),
        keywords=read.value("keywords") or (),
        image_url=read.value("image_url"),
        is_accessible_for_free=read.value("is_accessible_for_free"),
        is_truncated=next(signs_of_cut(read), None) is not None,
    )


def signs_of_cut(read: Reading) -> Iterator[Candidate]:
    """Yield what shows that the body is not all of the story; the first is enough."""
    text = read.body.text
    if (link := read.next_page) is not None:
        yield Candidate("html", "a link to the next page", link, True, "is a further page of it")
    yield from access.signs_of_cut(
        read.root,
        body=text,
        words=len(text.split()),
        free=read.value("is_accessible_for_free"),
        jsonld=read.jsonld,
    )


def _habits(site: Site | None, rules: ExtractRules, metadata: Metadata, url: str) -> DateHabits:
    first = day_first(
        country=site.country if site else None,
        language=metadata.first("og:locale") or metadata.language,
        url=url,
    )
    return DateHabits(site.time_zone if site else None, first, rules.date_formats)
