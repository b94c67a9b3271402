"""Pages of links, for sites that list their articles nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urldefrag, urlsplit

from lxml import etree

from crawler.discovery.discovered import Discovered, Source, absolute, followable
from crawler.discovery.markup import is_feed_or_sitemap, not_one
from crawler.nesting import flatten, has_left_off
from pipelines.model import Hints, Link

# Loops in broken templates make pages of many megabytes, which lxml parses superlinearly.
MAX_LISTING_CHARS = 3_000_000
_MAX_HEADLINE_CHARS = 300
_MAX_CLIMB = 6
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_STATIC = re.compile(
    r"\.(?:jpe?g|png|gif|webp|avif|svg|ico|pdf|docx?|xlsx?|pptx?|zip|rar|7z|gz|mp3|mp4|m4a|mov|avi"
    r"|webm|ogg|wav|css|js|mjs|json|xml|rss|atom|woff2?|ttf|eot|exe|dmg|apk|ics|epub)$",
    re.IGNORECASE,
)
# What invites to read, in the languages of the bundled sites and their neighbours.
_INVITATIONS = frozenset(
    {"read", "read more", "read on", "read article", "read story", "read full story", "full story",
     "read the full story", "read now", "continue", "continue reading", "more", "learn more",
     "see more", "view more", "view", "details", "find out more", "click here", "here", "share",
     "comments", "comment", "leave a comment", "next", "previous", "home", "watch", "permalink",
     "διαβάστε περισσότερα", "διαβάστε", "περισσότερα", "δείτε περισσότερα", "συνέχεια",
     "читати далі", "читати", "докладніше", "детальніше", "більше", "читать далее", "читать",
     "подробнее", "далее", "weiterlesen", "mehr", "mehr lesen", "zum artikel", "artikel lesen",
     "lire la suite", "lire plus", "lire", "en savoir plus", "leer más",
     "seguir leyendo", "ver más", "leggi tutto", "leggi di più", "leggi",
     "continua a leggere", "continua", "ler mais",
     "leia mais", "saiba mais", "continuar lendo", "devamını oku", "devamı", "haberin devamı",
     "czytaj więcej", "czytaj dalej", "więcej", "läs mer", "les mer", "læs mere", "lue lisää",
     "lees meer", "lees verder",
     "続きを読む", "더보기", "阅读更多", "查看更多", "اقرأ المزيد", "קרא עוד"}
)  # fmt: skip
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_DATE_CLASS = re.compile(
    r"(?:^|[\s_-])(?:date|time|published|posted|timestamp|pubdate)", re.IGNORECASE
)
_HAS_DAY = re.compile(r"\d{1,2}[\s./-]|[\s./-]\d{1,2}|\d{1,2}:\d{2}|\d\s*(?:年|월)")
_PAGER = re.compile(
    r"pag(?:er|inat|e-num|e_num|ing)|nav-?links|nav-previous|older|page-?nav", re.IGNORECASE
)
_NEXT_TEXT = frozenset(
    {"next", "next page", "older", "older posts", "older entries", "older articles", "load more",
     "»", "›", "→", ">", ">>", "next »", "next ›", "next →", "επόμενη", "επόμενο", "παλαιότερα",
     "наступна", "далі", "следующая", "дальше", "weiter", "nächste", "nächste seite", "suivant",
     "suivante", "page suivante", "siguiente", "successiva", "avanti", "próxima", "próximo",
     "seguinte", "sonraki", "następna", "nästa", "volgende", "次へ", "다음", "下一页", "下一頁"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A link with words: `rank` tells a heading (2) from loose text (1) and an invitation (0)."""

    element: etree._Element
    url: str
    text: str
    rank: int


def read_listing(source: Source) -> Discovered:
    """Return the links of an HTML page. Raises DiscoveryError when `source` is no HTML."""
    tree = _tree(source)
    base = absolute(next((one.get("href") for one in tree.iter("base")), None), source.url)
    anchors = list(_anchors(tree, base or source.url, source))
    best = _best_of_each(anchors)
    owners = _owners(list(best.values()))
    links = tuple(_link(one, owners, source) for one in best.values())
    return Discovered(
        links=links,
        next_pages=followable(_next_page(tree, base or source.url), source)[:1],
        warnings=tuple(_warnings(source, links)),
    )


def _warnings(source: Source, links: tuple[Link, ...]) -> Iterator[str]:
    if len(source.text) > MAX_LISTING_CHARS:
        yield f"longer than {MAX_LISTING_CHARS} characters: the rest was not read"
    if not links:
        yield "no link to the site's own hosts; is it made by JavaScript?"


def _tree(source: Source) -> etree._Element:
    text = source.text[:MAX_LISTING_CHARS]
    if not re.search(r"<[a-zA-Z!]", text) or text.lstrip()[:1] in {"{", "["}:
        raise not_one(source)
    if is_feed_or_sitemap(source):
        raise not_one(source)
    # An XML declaration in a page would forbid lxml to read text.
    text = re.sub(r"^\s*<\?xml[^>]*>", "", text)
    try:
        tree, has_more = _parsed(text)
        if has_more:
            tree, _ = _parsed(flatten(text))
    except (etree.LxmlError, ValueError) as error:
        raise not_one(source) from error
    if tree is None:
        raise not_one(source)
    return tree


def _parsed(text: str) -> tuple[etree._Element | None, bool]:
    """Return the tree, and whether the parser left off before the end."""
    parser = etree.HTMLParser(no_network=True)
    return etree.fromstring(text, parser), has_left_off(parser)


def _anchors(tree: etree._Element, base: str, source: Source) -> Iterator[_Anchor]:
    for element in tree.iter("a"):
        url = absolute(element.get("href"), base)
        if url is None or (element.get("href") or "").startswith("#"):
            continue
        plain, fragment = urldefrag(url)
        url = url if fragment.startswith("!") else plain
        if source.site.owns(url) and not _STATIC.search(urlsplit(url).path):
            yield _anchor(element, url)


def _anchor(element: etree._Element, url: str) -> _Anchor:
    heading = next((one for one in element.iter(etree.Element) if one.tag in _HEADINGS), None)
    if heading is not None:
        return _Anchor(element, url, _words(heading), 2)
    text = _words(element)
    if not text or _EDGES.sub("", text.casefold()) in _INVITATIONS | {""}:
        return _Anchor(element, url, "", 0)
    if len(text) > _MAX_HEADLINE_CHARS:
        return _Anchor(element, url, "", 1)
    return _Anchor(element, url, text, 2 if _is_in_heading(element) else 1)


def _words(element: etree._Element) -> str:
    # Not plain_text: what stands in the tree has been unescaped already.
    return " ".join("".join(str(one) for one in element.itertext()).split())


def _is_in_heading(element: etree._Element) -> bool:
    return any(one.tag in _HEADINGS for one in element.iterancestors())


def _best_of_each(anchors: list[_Anchor]) -> dict[str, _Anchor]:
    """Return, by address in order of first appearance, the anchor that says most of it."""
    best: dict[str, _Anchor] = {}
    for one in anchors:
        known = best.get(one.url)
        if known is None or (one.rank, len(one.text)) > (known.rank, len(known.text)):
            best[one.url] = one
    return best


def _owners(anchors: list[_Anchor]) -> dict[etree._Element, set[str]]:
    """Return whose headlines each element holds, so that a teaser's bounds are known."""
    headed = [one for one in anchors if one.rank == 2]
    owners: dict[etree._Element, set[str]] = {}
    # Where no link is a heading, each that has at least four words counts as one.
    for one in headed or [a for a in anchors if len(a.text.split()) >= 4]:
        for ancestor in one.element.iterancestors():
            owners.setdefault(ancestor, set()).add(one.url)
    return owners


def _link(one: _Anchor, owners: dict[etree._Element, set[str]], source: Source) -> Link:
    hints = Hints(source="listing", headline=one.text or None, date_published=_date(one, owners))
    return Link(url=one.url, found_at=source.url, kind=source.kind, hints=hints)


def _date(one: _Anchor, owners: dict[etree._Element, set[str]]) -> str | None:
    """Return the date printed in the teaser of `one`: in the widest block that is its alone."""
    if one.url not in owners.get(_root(one.element), set()):
        return None
    block = one.element
    if found := _date_in(block):
        return found
    for ancestor in list(one.element.iterancestors())[:_MAX_CLIMB]:
        if _holds_others(owners.get(ancestor, set()), one.url):
            return _date_beside(block, owners)
        block = ancestor
        if found := _date_in(block):
            return found
    return None


def _holds_others(urls: set[str], own: str) -> bool:
    return len(urls) > 1 or (len(urls) == 1 and own not in urls)


def _root(element: etree._Element) -> etree._Element:
    return element.getroottree().getroot()


def _date_beside(block: etree._Element, owners: dict[etree._Element, set[str]]) -> str | None:
    """Return the date of a teaser that has no block of its own: `<h3/><p date/><h3/><p date/>`.

    Where the list begins with a date, dates stand before their headlines.
    """
    parent = block.getparent()
    if parent is None:
        return None
    before_first: list[etree._Element] = []
    for one in parent.iterchildren(etree.Element):
        if _heads(one, owners):
            break
        before_first.append(one)
    dates_first = any(_date_in(one) for one in before_first[-2:])
    for sibling in block.itersiblings(etree.Element, preceding=dates_first):
        if _heads(sibling, owners):
            return None
        if found := _date_in(sibling):
            return found
    return None


def _heads(element: etree._Element, owners: dict[etree._Element, set[str]]) -> bool:
    return bool(owners.get(element)) or (element.tag == "a" and bool(element.get("href")))


def _date_in(block: etree._Element) -> str | None:
    for one in block.iter("time"):
        if raw := (one.get("datetime") or "").strip() or _words(one):
            return raw
    for one in block.iter(etree.Element):
        if one.get("itemprop") == "datePublished" and (raw := one.get("content") or _words(one)):
            return raw
        if _DATE_CLASS.search(one.get("class") or ""):
            text = _words(one)
            if text and len(text) <= 60 and _HAS_DAY.search(text):
                return text
    return None


def _next_page(tree: etree._Element, base: str) -> Iterator[str]:
    for one in tree.iter("link", "a"):
        if "next" in (one.get("rel") or "").lower().split() and (
            url := absolute(one.get("href"), base)
        ):
            yield urldefrag(url)[0]
    pagers = [one for one in tree.iter("a") if _is_in_pager(one)]
    for one in pagers:
        if _says_next(one) and (url := absolute(one.get("href"), base)):
            yield urldefrag(url)[0]
    following = _page_number(base) + 1
    for one in pagers:
        if _words(one) == str(following) and (url := absolute(one.get("href"), base)):
            yield urldefrag(url)[0]


def _is_in_pager(element: etree._Element) -> bool:
    lineage = [element, *list(element.iterancestors())[:3]]
    marks = (
        f"{one.get('class') or ''} {one.get('id') or ''} {one.get('aria-label') or ''}"
        for one in lineage
    )
    return any(_PAGER.search(mark) for mark in marks)


def _says_next(element: etree._Element) -> bool:
    marks = (element.get("class") or "").lower().replace("-", " ").replace("_", " ").split()
    said = {_words(element).casefold(), (element.get("aria-label") or "").casefold().strip()}
    # "← Older posts" and "Next »" say the same as without their arrows.
    return "next" in marks or bool((said | {_EDGES.sub("", one) for one in said}) & _NEXT_TEXT)


def _page_number(url: str) -> int:
    parts = urlsplit(url)
    match = re.search(r"/page/(\d{1,5})(?:/|$)", parts.path)
    query = dict(parse_qsl(parts.query))
    raw = match[1] if match else query.get("paged") or query.get("page") or "1"
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 6 else 1
