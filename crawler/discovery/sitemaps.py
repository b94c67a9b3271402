"""Sitemaps: urlset, index, news, images, plain text; a feed in a sitemap's place too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from crawler.discovery.discovered import Discovered, Source, absolute, each_once, followable
from crawler.discovery.feeds import read_feed
from crawler.discovery.markup import (
    Document,
    document,
    entries,
    name_of,
    not_one,
    oddities,
    text_of,
)
from crawler.discovery.plain_text import plain_text
from pipelines.model import Hints, Link

# The protocol's limit for one file; what is beyond is taken all the same.
MAX_ENTRIES = 50_000
_LEADING_URL = re.compile(r"\s*https?://\S+[ \t]*(?:[\r\n]|$)")


def read_sitemap(source: Source) -> Discovered:
    """Return the entries of a sitemap. Raises DiscoveryError when `source` is none."""
    if _LEADING_URL.match(source.text):
        return _read_lines(source)
    doc = document(source)
    if doc.root not in {"urlset", "sitemapindex"}:
        return read_feed(source)
    return _read_index(doc, source) if doc.root == "sitemapindex" else _read_urls(doc, source)


def _read_lines(source: Source) -> Discovered:
    lines = [line.strip() for line in source.text.splitlines() if line.strip()]
    urls = [url for line in lines if _is_web(line) and (url := absolute(line, source.url))]
    if len(urls) * 2 < len(lines):
        raise not_one(source)
    links = each_once(
        Link(url=url, found_at=source.url, kind=source.kind, hints=Hints(source="sitemap"))
        for url in urls
    )
    lost = len(lines) - len(urls)
    return Discovered(links=links, warnings=(f"{lost} lines are no web address",) if lost else ())


def _is_web(line: str) -> bool:
    return line.lower().startswith(("http://", "https://"))


def _read_index(doc: Document, source: Source) -> Discovered:
    found = [
        (absolute(text_of(_child(one, "loc")), source.url), text_of(_child(one, "lastmod")))
        for one in entries(doc)
    ]
    addresses = [one for one, _ in found if one]
    children = followable(addresses, source)
    foreign = len(set(addresses) - {source.url}) - len(children)
    return Discovered(
        children=children,
        lastmods={one: changed for one, changed in found if one and changed},
        warnings=tuple(_warnings(doc, len(found), foreign)),
    )


def _read_urls(doc: Document, source: Source) -> Discovered:
    found = [_link(one, source) for one in entries(doc)]
    links = each_once(one for one in found if one is not None)
    return Discovered(links=links, warnings=tuple(_warnings(doc, len(found), 0)))


def _warnings(doc: Document, read: int, foreign: int) -> Iterator[str]:
    yield from oddities(doc, read=read)
    if read > MAX_ENTRIES:
        yield f"{read} entries, more than the {MAX_ENTRIES} that the protocol allows; all were read"
    if foreign:
        yield f"{foreign} sitemaps lie on hosts that are not this site's, and are left out"


def _link(entry: etree._Element, source: Source) -> Link | None:
    url = absolute(text_of(_child(entry, "loc")), source.url)
    if url is None:
        return None
    return Link(url=url, found_at=source.url, kind=source.kind, hints=_hints(entry, source))


def _hints(entry: etree._Element, source: Source) -> Hints:
    news = _child(entry, "news:news")
    image = _child(_child(entry, "image:image"), "image:loc")
    keywords = (
        plain_text(one) for one in (text_of(_child(news, "news:keywords")) or "").split(",")
    )
    return Hints(
        source="sitemap",
        headline=plain_text(text_of(_child(news, "news:title"))),
        date_published=text_of(_child(news, "news:publication_date")),
        date_modified=text_of(_child(entry, "lastmod")),
        in_language=text_of(_child(_child(news, "news:publication"), "news:language")),
        keywords=tuple(dict.fromkeys(one for one in keywords if one)),
        image_url=absolute(text_of(image), source.url),
    )


def _child(parent: etree._Element | None, name: str) -> etree._Element | None:
    if parent is None:
        return None
    return next((one for one in parent.iterchildren(etree.Element) if name_of(one) == name), None)
