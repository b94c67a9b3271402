"""From the bytes of a page to an article: `extract`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from lxml.html import HtmlElement

from crawler.extraction import access, language
from crawler.extraction.authors import find_credits
from crawler.extraction.body import find_body
from crawler.extraction.dates import DateHabits, day_first, find_dates
from crawler.extraction.document import decode, header, parse
from crawler.extraction.headline import find_h1, find_headline
from crawler.extraction.jsonld import JsonLd, read_jsonld
from crawler.extraction.lines import Known
from crawler.extraction.metadata import Metadata, absolute, read_metadata
from crawler.extraction.prune import (
    Furniture,
    Story,
    prune_markup,
    prune_printed,
    prune_site,
    select,
)
from crawler.extraction.refusal import find_refusal
from crawler.extraction.related import links_of, related_links
from crawler.extraction.standfirst import find_description
from crawler.extraction.version import extractor_id
from crawler.site import ExtractRules, Site
from pipelines.fingerprint import content_hash, tokens
from pipelines.model import NO_HINTS, Article, Hints

__all__ = ["Furniture", "extract", "extractor_id"]


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
    root = parse(decode(html, headers))
    if root is None:
        return _unreadable(html, url, site)
    return _read(
        root,
        url,
        site=site,
        content_type=header(headers, "content-type"),
        hints=hints or NO_HINTS,
        fetched_at=fetched_at,
        furniture=furniture,
    )


def _unreadable(html: bytes, url: str, site: Site | None) -> Article:
    return Article(
        url=url,
        site=site.name if site else None,
        publisher=site.publisher if site else None,
        country=site.country if site else None,
        content_hash=content_hash(""),
        extractor=extractor_id(site),
        refusal="unreadable" if html.strip() else "empty",
    )


def _read(
    root: HtmlElement,
    url: str,
    *,
    site: Site | None,
    content_type: str,
    hints: Hints,
    fetched_at: datetime | None,
    furniture: Furniture | None,
) -> Article:
    metadata, jsonld = read_metadata(root, url), read_jsonld(root, url=url)
    rules = _rules(site, fetched_at)
    publisher = site.publisher if site else None
    h1 = find_h1(root, metadata=metadata, jsonld=jsonld)
    headline = find_headline(
        h1, metadata=metadata, jsonld=jsonld, publisher=publisher, hint=hints.headline
    )
    story = Story(root, h1)
    removals = prune_site(root, rules.prune) + prune_markup(root, story)
    named = find_credits(
        root, metadata=metadata, jsonld=jsonld, publisher=publisher, hints=hints.authors
    )
    dates = find_dates(
        root,
        url=url,
        metadata=metadata,
        jsonld=jsonld,
        h1=h1,
        hints=hints,
        habits=_habits(site, rules, metadata, url),
        fetched_at=fetched_at,
    )
    described = find_description(root, metadata=metadata, jsonld=jsonld, hints=hints, h1=h1)
    removals += prune_printed(root, story)
    regions = select(root, rules.body) if rules.body else []
    body = find_body(
        root,
        known=Known(headline, described, named.byline, named.authors),
        regions=regions,
        h1=h1,
        furniture=furniture,
    )
    words = len(body.text.split())
    free = access.is_free(metadata, jsonld)
    published = dates.published
    return Article(
        url=url,
        site=site.name if site else None,
        publisher=publisher or metadata.first("og:site_name") or jsonld.publisher,
        country=site.country if site else None,
        canonical_link=metadata.canonical,
        headline=headline,
        description=_own_description(described, body.text),
        authors=named.authors,
        byline=named.byline,
        article_body=body.text,
        date_published=published.when if published else None,
        date_modified=dates.modified.when if dates.modified else None,
        date_published_raw=published.raw if published else None,
        date_published_source=published.source if published else None,
        date_published_precision=published.precision if published else None,
        date_published_flags=published.flags if published else (),
        time_zone_assumed=published.time_zone_assumed if published else None,
        in_language=language.find_language(
            body.text, declared=(_site_language(site), hints.in_language, metadata.language)
        ),
        article_section=jsonld.section
        or metadata.first("article:section")
        or hints.article_section,
        keywords=_keywords(metadata, jsonld, hints),
        image_url=_image(metadata, jsonld, hints, url),
        is_accessible_for_free=free,
        is_truncated=access.is_truncated(
            root, body=body.text, words=words, free=free, jsonld=jsonld
        ),
        word_count=words,
        removed_blocks=(*(one.block for one in removals), *body.removed),
        related_links=related_links(
            [*body.related, *links_of(removals)], url=metadata.base, site=site
        ),
        content_hash=content_hash(body.text),
        extractor=extractor_id(site),
        refusal=find_refusal(
            root,
            content_type=content_type,
            metadata=metadata,
            jsonld=jsonld,
            headline=headline,
            body_words=words,
            has_date=published is not None,
        ),
    )


def _rules(site: Site | None, fetched_at: datetime | None) -> ExtractRules:
    if site is None:
        return ExtractRules()
    return site.rules_at(fetched_at.date()) if fetched_at else site.extract


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
