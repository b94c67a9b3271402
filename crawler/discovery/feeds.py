"""RSS 2.0, RSS 1.0 (RDF) and Atom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta

from lxml import etree

from crawler.discovery.discovered import Discovered, Source, absolute, each_once, followable
from crawler.discovery.markup import (
    ENTRY_NAMES,
    Document,
    document,
    name_of,
    not_one,
    oddities,
    text_of,
    tree,
)
from crawler.discovery.plain_text import plain_text, standfirst
from crawler.freshness import ttl, update_period
from pipelines.model import Hints, Link

_XML = "{http://www.w3.org/XML/1998/namespace}"
_PUBLISHED = ("pubDate", "atom:published", "dcterms:issued", "dc:date", "dcterms:created",
              "atom:issued", "dcterms:date", "pubdate")  # fmt: skip
_MODIFIED = ("atom:updated", "dcterms:modified", "atom:modified", "lastBuildDate")
_DESCRIPTIONS = ("atom:summary", "description", "media:description")
_IMAGE_FILE = re.compile(r"\.(?:jpe?g|png|webp|gif|avif)(?:[?#]|$)", re.IGNORECASE)
# RSS writes authors as an address with the name behind it; some turn them round.
_MAIL_AND_NAME = re.compile(r"[^\s@]+@[^\s@]+\s*\(([^)]*)\)")
_NAME_AND_MAIL = re.compile(r"(.*?)\s*[<(]?[^\s@<(]+@[^\s@>)]+[>)]?")
# A longer one is a biography, or worse.
_MAX_NAME_CHARS = 200
_WORDPRESS = re.compile(r"wordpress\.org", re.IGNORECASE)


def read_feed(source: Source) -> Discovered:
    """Return the entries of a feed. Raises DiscoveryError when `source` is none."""
    doc = document(source)
    root = tree(doc.content)
    if root is None:
        raise not_one(source)
    found = _items(root, doc)
    frame = _Frame(root, source)
    links = [link for one in found if (link := _link(one, frame, source)) is not None]
    return Discovered(
        links=each_once(links),
        next_pages=followable(_next_pages(root, source, bool(found)), source),
        warnings=tuple(_warnings(doc, len(found), len(links))),
        wish=_wish(root),
        hub=_hub(root, source),
    )


def _wish(root: etree._Element) -> timedelta | None:
    """Return how long the feed itself asks to be left alone: `ttl`, or the syndication module's."""
    said = {name_of(one): text_of(one) for one in _own(root)}
    period = update_period(said.get("sy:updatePeriod"), said.get("sy:updateFrequency"))
    return ttl(said.get("ttl")) or period


def _hub(root: etree._Element, source: Source) -> str | None:
    hubs = [one for one in _own(root) if _plain_name(one) == "link" and one.get("rel") == "hub"]
    return absolute(hubs[0].get("href"), source.url) if hubs else None


def _own(root: etree._Element) -> Iterator[etree._Element]:
    """Yield what the feed says of itself, not of its entries."""
    channel = next((one for one in root.iterchildren(etree.Element)
                    if name_of(one) == "channel"), root)  # fmt: skip
    return channel.iterchildren(etree.Element)


def _warnings(doc: Document, read: int, linked: int) -> Iterator[str]:
    yield from oddities(doc, read=read)
    if linked < read:
        yield f"{read - linked} of {read} entries have no web address"


def _items(root: etree._Element, doc: Document) -> list[etree._Element]:
    """Return the entries; where the parser lost some to a broken one, each is read by itself."""
    entry = ENTRY_NAMES[doc.root]
    found = _named(root, entry)
    if len(found) >= doc.listed:
        return found
    text = doc.content.decode()
    pieces = re.split(rf"(?=<(?:[\w.-]+:)?{entry}[\s>])", text)[1:]
    alone = [one for piece in pieces for one in _alone(piece, doc)]
    return alone if len(alone) > len(found) else found


def _alone(piece: str, doc: Document) -> list[etree._Element]:
    end = re.search(rf"</(?:[\w.-]+:)?{ENTRY_NAMES[doc.root]}\s*>", piece)
    root = tree(f"{doc.root_tag}{piece[: end.end()] if end else ''}".encode())
    return [] if root is None else _named(root, ENTRY_NAMES[doc.root])[:1]


def _named(root: etree._Element, entry: str) -> list[etree._Element]:
    return [one for one in root.iter(etree.Element) if _plain_name(one) == entry]


def _plain_name(element: etree._Element) -> str:
    return name_of(element).removeprefix("atom:")


class _Frame:
    """What stands around the entries of a feed, looked up once: it may hold thousands of them."""

    def __init__(self, root: etree._Element, source: Source):
        # The link of the feed itself, never that of an entry.
        page = next((one for one in _own(root) if name_of(one) == "link"), None)
        self.source_url = source.url
        self.page_url = absolute(text_of(page), source.url) or source.url
        self._languages: dict[etree._Element, str | None] = {}

    def language_of(self, item: etree._Element) -> str | None:
        """Return the language of the nearest element around an entry that names one."""
        for one in item.iterancestors():
            if one not in self._languages:
                self._languages[one] = _declared_language(one)
            if tag := self._languages[one]:
                return tag
        return None


def _link(item: etree._Element, frame: _Frame, source: Source) -> Link | None:
    fields = _fields(item)
    base = _base(item, frame)
    url = _address(fields, item, base)
    if url is None:
        return None
    return Link(
        url=url,
        found_at=source.url,
        kind=source.kind,
        hints=_hints(fields, url, base, _language(fields, item, frame)),
    )


Fields = dict[str, list[etree._Element]]  # noqa: SLF001 - lxml's only name for an element's type


def _fields(item: etree._Element) -> Fields:
    """Return an entry's children by name; Atom's have `atom:`, declared or not."""
    is_atom = _plain_name(item) == "entry"
    found: Fields = {}
    for child in item.iterchildren(etree.Element):
        name = name_of(child)
        name = f"atom:{name}" if is_atom and ":" not in name else name
        found.setdefault(name, []).append(child)
    return found


def _base(item: etree._Element, frame: _Frame) -> str:
    """Return what relative addresses of an entry mean: xml:base, the feed's page, its address."""
    declared = [one.get(f"{_XML}base") for one in (item, *item.iterancestors())]
    base = frame.source_url
    for raw in reversed([one for one in declared if one]):
        base = absolute(raw, base) or base
    return frame.page_url if base == frame.source_url else base


def _address(fields: Fields, item: etree._Element, base: str) -> str | None:
    guids = fields.get("guid", [])
    permanent = [one for one in guids if (one.get("isPermaLink") or "true").lower() != "false"]
    about = [value for key, value in item.attrib.items() if str(key).endswith("}about")]
    candidates: Iterable[str | None] = (
        *(text_of(one) for one in fields.get("feedburner:origLink", [])),
        *(text_of(one) or one.get("href") for one in fields.get("link", [])),
        *_alternates(fields.get("atom:link", [])),
        # Without a scheme a guid is a number or a tag, not a path.
        *(guid for one in permanent if (guid := text_of(one)) and _has_scheme(guid)),
        *(str(one) for one in about),
        *(guid for one in guids if (guid := text_of(one)) and _has_scheme(guid)),
        *(i for one in fields.get("atom:id", []) if (i := text_of(one)) and _has_scheme(i)),
    )
    return next((url for one in candidates if (url := absolute(one, base)) is not None), None)


def _has_scheme(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _alternates(links: list[etree._Element]) -> list[str | None]:
    """Return the addresses of rel=alternate, pages before other media types."""
    found = [one for one in links if (one.get("rel") or "alternate").lower() == "alternate"]
    found.sort(key=lambda one: "html" not in (one.get("type") or "text/html").lower())
    return [one.get("href") or text_of(one) for one in found]


def _hints(fields: Fields, url: str, base: str, in_language: str | None) -> Hints:
    return Hints(
        source="feed",
        headline=_first_plain(fields, ("title", "atom:title", "media:title", "dc:title")),
        description=_description(fields, url),
        authors=tuple(dict.fromkeys(_authors(fields))),
        date_published=_first(fields, _PUBLISHED),
        date_modified=_first(fields, _MODIFIED),
        in_language=in_language,
        keywords=tuple(dict.fromkeys(_keywords(fields))),
        image_url=_image(fields, base),
    )


def _first(fields: Fields, names: Iterable[str]) -> str | None:
    found = (text_of(one) for name in names for one in fields.get(name, []))
    return next((one for one in found if one), None)


def _first_plain(fields: Fields, names: Iterable[str]) -> str | None:
    found = (plain_text(_markup(one)) for name in names for one in fields.get(name, []))
    return next((one for one in found if one), None)


def _markup(element: etree._Element) -> str | None:
    """Return an element's text; with elements inside (Atom's xhtml), their markup."""
    if not len(element):
        return text_of(element)
    return etree.tostring(element, encoding="unicode", with_tail=False)


def _description(fields: Fields, url: str) -> str | None:
    found = (
        standfirst(_markup(one), link=url) for name in _DESCRIPTIONS for one in fields.get(name, [])
    )
    return next((one for one in found if one), None)


def _authors(fields: Fields) -> Iterator[str]:
    for element in fields.get("atom:author", []):
        names = [one for one in element.iterchildren(etree.Element) if _plain_name(one) == "name"]
        yield from _people(text_of(names[0]) if names else text_of(element))
    for name in ("dc:creator", "author"):
        for element in fields.get(name, []):
            yield from _people(text_of(element))


def _people(text: str | None) -> Iterator[str]:
    name = plain_text(text) or ""
    if len(name) > _MAX_NAME_CHARS:
        return
    if match := _MAIL_AND_NAME.fullmatch(name) or _NAME_AND_MAIL.fullmatch(name):
        name = match[1].strip()
    if name:
        yield name


def _language(fields: Fields, item: etree._Element, frame: _Frame) -> str | None:
    own = _first(fields, ("dc:language", "language"))
    return own or _declared_language(item) or frame.language_of(item)


def _declared_language(element: etree._Element) -> str | None:
    if tag := element.get(f"{_XML}lang"):
        return str(tag)
    said = (one for one in element.iterchildren(etree.Element)
            if name_of(one) in {"language", "dc:language"})  # fmt: skip
    return next((tag for one in said if (tag := text_of(one))), None)


def _keywords(fields: Fields) -> Iterator[str]:
    for name in ("category", "atom:category", "dc:subject"):
        for element in fields.get(name, []):
            raw = element.get("label") or text_of(element) or element.get("term")
            if word := plain_text(raw):
                yield word


def _image(fields: Fields, base: str) -> str | None:
    """Return the widest image that the entry itself names, else its thumbnail."""
    media = [*fields.get("media:content", []), *_inside(fields, "media:group", "media:content")]
    pictures = sorted((one for one in media if _is_image(one)), key=_width, reverse=True)
    thumbnails = [
        *fields.get("media:thumbnail", []),
        *_inside(fields, "media:group", "media:thumbnail"),
    ]
    enclosures = [one for one in fields.get("enclosure", []) if _is_image(one)]
    linked = [
        one
        for one in fields.get("atom:link", [])
        if one.get("rel") == "enclosure" and _is_image(one)
    ]
    candidates = (
        *(one.get("url") for one in (*pictures, *enclosures)),
        *(one.get("href") for one in (*linked, *fields.get("itunes:image", []))),
        *(text_of(one) for one in _inside(fields, "image", "url")),
        *(one.get("url") for one in thumbnails),
    )
    return next((url for one in candidates if (url := absolute(one, base)) is not None), None)


def _inside(fields: Fields, outer: str, inner: str) -> list[etree._Element]:
    return [
        one
        for parent in fields.get(outer, [])
        for one in parent.iterchildren(etree.Element)
        if name_of(one) == inner
    ]


def _is_image(element: etree._Element) -> bool:
    address = element.get("url") or element.get("href") or ""
    declared = element.get("medium") or element.get("type") or ""
    return declared.startswith("image") or (not declared and bool(_IMAGE_FILE.search(address)))


def _width(element: etree._Element) -> int:
    width = element.get("width") or ""
    return int(width) if width.isascii() and width.isdigit() and len(width) < 6 else 0


def _next_pages(root: etree._Element, source: Source, has_entries: bool) -> list[str]:
    """Return where older entries are: rel=next, an archive, or WordPress's next page."""
    if not has_entries:
        return []
    for one in root.iter(etree.Element):
        if _plain_name(one) == "link" and one.get("rel") in {"next", "prev-archive"}:
            return [url] if (url := absolute(one.get("href"), source.url)) else []
    generator = next(
        (one for one in root.iter(etree.Element) if _plain_name(one) == "generator"), None
    )
    made_by = (text_of(generator) or "") if generator is not None else ""
    return [_wordpress_page(source.url)] if _WORDPRESS.search(made_by) else []


def _wordpress_page(url: str) -> str:
    """Return the next page of a WordPress feed: `?paged=2`, then 3; 404 ends it."""
    match = re.search(r"(?<=[?&]paged=)(\d{1,5})", url)
    if match:
        return f"{url[: match.start()]}{int(match[1]) + 1}{url[match.end() :]}"
    return f"{url}{'&' if '?' in url else '?'}paged=2"
