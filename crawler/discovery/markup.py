"""XML as sites serve it: with garbage before it, wrong names, loose ends."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from crawler.discovery.decoding import well_referenced
from crawler.discovery.discovered import Source
from pipelines.errors import DiscoveryError

_ROOT = re.compile(r"<((?:[\w.-]+:)?(rss|RDF|feed|urlset|sitemapindex))(?=[\s>/])[^<>]*?(/?)>")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
# What the entries of each kind of document are called.
ENTRY_NAMES = {
    "rss": "item",
    "RDF": "item",
    "feed": "entry",
    "urlset": "url",
    "sitemapindex": "sitemap",
}
# The names that documents use, by namespace; where a namespace was never declared, its usual
# prefix stands in the tag, and gives the same name.
_PREFIXES = {
    "http://www.w3.org/2005/Atom": "atom:",
    "http://purl.org/atom/ns#": "atom:",
    "http://purl.org/dc/elements/1.1/": "dc:",
    "http://purl.org/dc/terms/": "dcterms:",
    "http://search.yahoo.com/mrss/": "media:",
    "http://search.yahoo.com/mrss": "media:",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner:",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes:",
    "http://www.google.com/schemas/sitemap-news/0.9": "news:",
    "http://www.google.com/schemas/sitemap-image/1.1": "image:",
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/rss/1.0/modules/syndication/": "sy:",
}
_ALIASES = {"a10:": "atom:", "n:": "news:"}


class Document(NamedTuple):
    """A document from its root tag on, as bytes that lxml reads, and what had to be left out.

    `entities` is how many it declares of its own.
    """

    root: str
    root_tag: str
    content: bytes
    listed: int
    is_cut: bool
    entities: int


def document(source: Source) -> Document:
    """Return the XML of `source`. Raises DiscoveryError when it is no feed and no sitemap."""
    match = _ROOT.search(source.text)
    if match is None or not is_feed_or_sitemap(source):
        raise not_one(source)
    tag, root, is_empty = match[1], match[2], match[3] == "/"
    text = source.text[match.start() :]
    end = text.rfind(f"</{tag}")
    is_cut = end < 0 and not is_empty
    text = _whole_entries(text, ENTRY_NAMES[root]) if is_cut else text[: max(end, 0)] or text
    listed = len(re.findall(rf"<(?:[\w.-]+:)?{ENTRY_NAMES[root]}[\s>]", text))
    entities = source.text.count("<!ENTITY", 0, match.start())
    return Document(root, match[0], well_referenced(text).encode(), listed, is_cut, entities)


def oddities(doc: Document, *, read: int) -> Iterator[str]:
    """Yield what is wrong with a document of which `read` entries could be read."""
    if doc.entities:
        yield f"declares {doc.entities} entities of its own, which are not expanded"
    if doc.is_cut:
        yield f"cut in the middle: {read} whole entries could be read"
    elif read < doc.listed:
        yield f"not well-formed: {read} of {doc.listed} entries could be read"


def _whole_entries(text: str, entry: str) -> str:
    """Return a cut document up to its last whole entry: the next one's address may be half."""
    ends = [match.end() for match in re.finditer(rf"</(?:[\w.-]+:)?{entry}\s*>", text)]
    if ends:
        return text[: ends[-1]]
    starts = re.search(rf"<(?:[\w.-]+:)?{entry}[\s>]", text)
    return text[: starts.start()] if starts else text


def is_feed_or_sitemap(source: Source) -> bool:
    match, html = _ROOT.search(source.text), _HTML.search(source.text)
    return match is not None and (html is None or match.start() < html.start())


def not_one(source: Source) -> DiscoveryError:
    """Return the error that says what `source` is instead of what its site file says."""
    start = source.text.lstrip()[:4096]
    wanted = "feed" if source.kind == "feed" else str(source.kind)
    if not start:
        what = "is empty"
    elif start[0] in "{[":
        what = f"is JSON, not a {wanted}"
    elif _HTML.search(start):
        what = f"is an HTML page, not a {wanted}"
    else:
        what = f"is not a {wanted}: no known root element"
    remedy = f"look at it in a browser and correct '{wanted}s' in {source.site.file or 'its file'}"
    return DiscoveryError(what, where=source.url, remedy=remedy)


def tree(content: bytes) -> etree._Element | None:
    parser = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, huge_tree=False, encoding="utf-8"
    )
    try:
        return etree.fromstring(content, parser)
    except etree.LxmlError:
        return None


def entries(document: Document) -> Iterator[etree._Element]:
    """Yield each entry whole, and forget it after: a sitemap of 50,000 fits in little memory."""
    name = ENTRY_NAMES[document.root]
    events = etree.iterparse(
        io.BytesIO(document.content),
        events=("end",),
        recover=True,
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        encoding="utf-8",
    )
    try:
        for _, element in events:
            if name_of(element).rpartition(":")[2] != name or name_of(element) == "image:url":
                continue
            yield element
            element.clear(keep_tail=False)
            while element.getprevious() is not None and (parent := element.getparent()) is not None:
                del parent[0]
    except etree.LxmlError:
        return


def name_of(element: etree._Element) -> str:
    """Return an element's name with the usual prefix of its namespace: `dc:creator`, `item`."""
    tag = element.tag if isinstance(element.tag, str) else ""
    if not tag.startswith("{"):
        prefix, colon, local = tag.rpartition(":")
        return _ALIASES.get(prefix + colon, prefix + colon) + local
    namespace, _, local = tag[1:].partition("}")
    return _PREFIXES.get(namespace, "") + local


def text_of(element: etree._Element | None) -> str | None:
    """Return all the text within `element`, trimmed; None when there is none."""
    if element is None:
        return None
    text = "".join(str(piece) for piece in element.itertext()).strip()
    return text or None
