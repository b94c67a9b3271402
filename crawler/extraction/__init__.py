"""From the bytes of a page to an article: `extract`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from lxml.html import HtmlElement

from crawler.extraction import access, language
from crawler.extraction.authors import Credits, find_credits
from crawler.extraction.body import Body, find_body
from crawler.extraction.dates import DateHabits, Dates, day_first, find_dates
from crawler.extraction.document import decode, header, parse, unfit
from crawler.extraction.forms import prune_forms
from crawler.extraction.furniture import prune_learned
from crawler.extraction.further_pages import may_have_pages, next_page
from crawler.extraction.headline import find_h1, find_headline
from crawler.extraction.jsonld import JsonLd, read_jsonld
from crawler.extraction.lines import Known
from crawler.extraction.metadata import Metadata, absolute, read_metadata
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
from pipelines.fingerprint import content_hash, tokens
from pipelines.model import NO_HINTS, Article, Hints

__all__ = ["Furniture", "extract", "extractor_id", "unmatched_body"]
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
    unread = unfit(html)
    root = None if unread else parse(decode(html, headers))
    if root is None:
        refusal = unread or ("unreadable" if html.strip() else "empty")
        return replace(_blank(url, site, furniture), content_hash=content_hash(""), refusal=refusal)
    given = _Given(
        url=url,
        site=site,
        content_type=header(headers, "content-type"),
        hints=hints or NO_HINTS,
        fetched_at=fetched_at,
        furniture=furniture,
        may_go_on=may_have_pages(html),
    )
    # lxml makes an element's Python object anew whenever nobody holds it: hold them all.
    held = list(root.iter())
    article = _article(_read(root, given), given)
    held.clear()
    return article


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What is known of a page beside its bytes."""

    url: str
    site: Site | None
    content_type: str
    hints: Hints
    fetched_at: datetime | None
    furniture: Furniture | None
    may_go_on: bool

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
class _Reading:
    """What each step read of a page, before it is put together."""

    root: HtmlElement
    metadata: Metadata
    jsonld: JsonLd
    headline: str | None
    description: str | None
    credits: Credits
    dates: Dates
    body: Body
    removals: list[Removal]


def _read(root: HtmlElement, given: _Given) -> _Reading:
    """Take the steps in their order: what a step reads must not yet be pruned by another."""
    metadata, jsonld = read_metadata(root, given.url), read_jsonld(root, url=given.url)
    h1 = find_h1(root, metadata=metadata, jsonld=jsonld)
    headline = find_headline(
        h1,
        metadata=metadata,
        jsonld=jsonld,
        publisher=given.publisher,
        hint=given.hints.headline,
    )
    story = Story(root, h1)
    removals = prune_site(root, given.rules.prune)
    removals += prune_markup(root, story) + prune_forms(root, story)
    named = find_credits(
        root,
        metadata=metadata,
        jsonld=jsonld,
        publisher=given.publisher,
        hints=given.hints.authors,
        h1=h1,
    )
    dates = _dates(root, given, metadata, jsonld, h1)
    described = find_description(root, metadata=metadata, jsonld=jsonld, hints=given.hints, h1=h1)
    removals += prune_printed(root, story)
    removals += prune_learned(root, story, given.furniture, url=given.url)
    body = find_body(
        root,
        known=Known(headline, described, named.byline, named.authors, h1),
        regions=_regions(root, given),
        url=given.url,
        h1=h1,
        furniture=given.furniture,
    )
    return _Reading(
        root=root,
        metadata=metadata,
        jsonld=jsonld,
        headline=headline,
        description=described,
        credits=named,
        dates=dates,
        body=body,
        removals=removals,
    )


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


def _article(read: _Reading, given: _Given) -> Article:
    article = _with_text(_blank(given.url, given.site, given.furniture), read, given)
    article = _with_dates(article, read.dates)
    article = _with_metadata(article, read, given)
    evidence = Evidence(
        url=given.url,
        content_type=given.content_type,
        metadata=read.metadata,
        jsonld=read.jsonld,
        headline=read.headline,
        body=article.article_body,
        has_date=article.date_published is not None,
    )
    return replace(article, refusal=find_refusal(read.root, evidence))


def _with_text(article: Article, read: _Reading, given: _Given) -> Article:
    text = read.body.text
    languages = (_site_language(given.site), given.hints.in_language, read.metadata.language)
    links = [*read.body.related, *links_of(read.removals)]
    return replace(
        article,
        headline=read.headline,
        description=_own_description(read.description, text),
        article_body=text,
        word_count=len(text.split()),
        content_hash=content_hash(text),
        in_language=language.find_language(text, declared=languages),
        removed_blocks=(*(one.block for one in read.removals), *read.body.removed),
        related_links=related_links(links, url=read.metadata.base, site=given.site),
    )


def _with_dates(article: Article, dates: Dates) -> Article:
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
        date_published_flags=published.flags,
        time_zone_assumed=published.time_zone_assumed,
    )


def _with_metadata(article: Article, read: _Reading, given: _Given) -> Article:
    metadata, jsonld, hints = read.metadata, read.jsonld, given.hints
    free = access.is_free(metadata, jsonld)
    section = jsonld.section or metadata.first("article:section") or hints.article_section
    return replace(
        article,
        publisher=article.publisher or metadata.first("og:site_name") or jsonld.publisher,
        canonical_link=metadata.canonical,
        authors=read.credits.authors,
        byline=read.credits.byline,
        article_section=section,
        keywords=_keywords(metadata, jsonld, hints),
        image_url=_image(metadata, jsonld, hints, given.url),
        is_accessible_for_free=free,
        is_truncated=(given.may_go_on and next_page(read.root, given.url) is not None)
        or access.is_truncated(
            read.root, body=article.article_body, words=article.word_count, free=free, jsonld=jsonld
        ),
    )


def _habits(site: Site | None, rules: ExtractRules, metadata: Metadata, url: str) -> DateHabits:
    first = day_first(
        country=site.country if site else None,
        language=metadata.first("og:locale") or metadata.language,
        url=url,
    )
    return DateHabits(site.time_zone if site else None, first, rules.date_formats)


def _site_language(site: Site | None) -> str | None:
    """Return the site's language where it has only one: of two, neither is known to be this."""
    return site.in_language[0] if site and len(site.in_language) == 1 else None


def _own_description(description: str | None, body: str) -> str | None:
    """Drop a description that only repeats how the body begins."""
    if not description:
        return None
    cut = description.rstrip(" .…[]")
    begins = " ".join(tokens(body[: 2 * len(cut) + 200]))
    return None if begins.startswith(" ".join(tokens(cut))) else description


def _keywords(metadata: Metadata, jsonld: JsonLd, hints: Hints) -> tuple[str, ...]:
    tags = metadata.all("article:tag") or [
        part.strip()
        for value in metadata.all("news_keywords", "keywords")[:1]
        for part in value.split(",")
    ]
    return tuple(
        dict.fromkeys(word for word in (jsonld.keywords or tags or hints.keywords) if word)
    )


def _image(metadata: Metadata, jsonld: JsonLd, hints: Hints, url: str) -> str | None:
    for link in (metadata.first("og:image", "twitter:image"), jsonld.image, hints.image_url):
        if link and (address := absolute(link, url)):
            return address
    return None
