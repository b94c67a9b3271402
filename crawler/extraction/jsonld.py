"""The article among a page's JSON-LD, whatever way it is wrapped."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml.html import HtmlElement

ARTICLE_TYPES = frozenset(
    (
        "article",
        "newsarticle",
        "blogposting",
        "reportagenewsarticle",
        "analysisnewsarticle",
        "opinionnewsarticle",
        "backgroundnewsarticle",
        "reviewnewsarticle",
        "askpublicnewsarticle",
        "advertisercontentarticle",
        "liveblogposting",
        "report",
        "scholarlyarticle",
        "techarticle",
        "socialmediaposting",
        "satiricalarticle",
    )
)
# Where an article hangs inside another node; not `hasPart` and such, which name other articles.
_WRAPPERS = ("@graph", "mainEntity", "mainEntityOfPage", "itemListElement", "item")
_DEEPEST = 6
_COMMENT = re.compile(r"^\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[)")
_COMMENT_END = re.compile(r"(?:-->|//\s*\]\]>|/\*\s*\]\]>\s*\*/|\]\]>)\s*;?\s*$")
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_MARKUP = re.compile(r"<[^<>]{1,300}>")

Node = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class JsonLd:
    """What a page's JSON-LD says of its article; all empty where it has none."""

    is_article: bool = False
    headline: str | None = None
    description: str | None = None
    authors: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    date_published: str | None = None
    date_modified: str | None = None
    is_free: bool | None = None
    word_count: int | None = None
    body: str | None = None
    section: str | None = None
    keywords: tuple[str, ...] = ()
    image: str | None = None
    publisher: str | None = None
    types: frozenset[str] = frozenset()


def read_jsonld(root: HtmlElement, *, url: str) -> JsonLd:
    """Read the article of the page at `url`; broken JSON is mended where that is safe."""
    nodes = [node for data in _scripts(root) for node in _nodes(data, 0)]
    by_id = {str(node["@id"]): node for node in nodes if "@id" in node and len(node) > 1}
    types = frozenset(kind for node in nodes for kind in _types(node))
    article = _best([n for n in nodes if not ARTICLE_TYPES.isdisjoint(_types(n))], url)
    if article is None:
        return JsonLd(types=types)
    people, organizations = _authors(article, by_id)
    return JsonLd(
        is_article=True,
        headline=_text(article.get("headline") or article.get("name")),
        description=_text(article.get("description")),
        authors=people,
        organizations=organizations,
        date_published=_text(article.get("datePublished") or article.get("dateCreated")),
        date_modified=_text(article.get("dateModified")),
        is_free=_boolean(article.get("isAccessibleForFree")),
        word_count=_number(article.get("wordCount")),
        body=_text(article.get("articleBody")),
        section=_text(_first(article.get("articleSection"))),
        keywords=tuple(_keywords(article.get("keywords"))),
        image=_url(article.get("image"), by_id) or _url(article.get("thumbnailUrl"), by_id),
        publisher=_name(article.get("publisher"), by_id),
        types=types,
    )


def _scripts(root: HtmlElement) -> Iterator[object]:
    for script in root.iter("script"):
        if "ld+json" in (script.get("type") or "").lower() and script.text:
            data = loads(script.text)
            if data is not None:
                yield data


def loads(text: str) -> object:
    """Return the JSON in `text`, or None. Raw newlines, comments and stray commas are forgiven.

    >>> loads('<!-- {"a": "one\\n two",} -->')
    {'a': 'one\\n two'}
    """
    text = _COMMENT_END.sub("", _COMMENT.sub("", text)).strip().rstrip(";")
    for attempt in (text, _TRAILING_COMMA.sub(r"\1", text), html.unescape(text)):
        try:
            # strict=False lets raw control characters stand inside strings.
            return json.loads(attempt, strict=False)
        except (ValueError, RecursionError):
            continue
    return _first_value(text)


def _first_value(text: str) -> object:
    """Return what stands whole before the damage: two objects in one script, say."""
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value


def _nodes(data: object, depth: int) -> Iterator[Node]:
    if depth > _DEEPEST:
        return
    if isinstance(data, list):
        for one in data:
            yield from _nodes(one, depth + 1)
    elif isinstance(data, dict):
        yield data
        for key in _WRAPPERS:
            if isinstance(data.get(key), dict | list):
                yield from _nodes(data[key], depth + 1)


def _types(node: Node) -> list[str]:
    kinds = node.get("@type")
    names = kinds if isinstance(kinds, list) else [kinds]
    return [str(one).rsplit("/", 1)[-1].lower() for one in names if one]


def _best(articles: list[Node], url: str) -> Node | None:
    """Return the fullest; among equals the first. A node that names this page comes before all."""
    if not articles:
        return None
    path = url.split("?")[0].split("#")[0].rstrip("/")

    def fullness(node: Node) -> tuple[bool, int]:
        address = str(node.get("url") or node.get("@id") or node.get("mainEntityOfPage") or "")
        keys = ("headline", "datePublished", "author", "articleBody", "description")
        return path in address, sum(bool(node.get(key)) for key in keys)

    return max(articles, key=fullness)


def _authors(article: Node, by_id: Mapping[str, Node]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    people: list[str] = []
    organizations: list[str] = []
    value = article.get("author") or article.get("creator")
    for one in value if isinstance(value, list) else [value]:
        node = _resolve(one, by_id)
        is_body = isinstance(node, dict) and bool(
            {"organization", "newsmediaorganization"} & set(_types(node))
        )
        (organizations if is_body else people).extend(_names(node, by_id))
    return tuple(dict.fromkeys(people)), tuple(dict.fromkeys(organizations))


def _resolve(value: object, by_id: Mapping[str, Node]) -> object:
    if isinstance(value, dict) and "@id" in value and "name" not in value:
        return by_id.get(str(value["@id"]), value)
    return value


def _name(value: object, by_id: Mapping[str, Node]) -> str | None:
    value = _resolve(_first(value), by_id)
    if isinstance(value, dict):
        name = _first(value.get("name"))
        if isinstance(name, str):
            return _text(name)
        parts = [_text(value.get(key)) for key in ("givenName", "familyName")]
        return " ".join(part for part in parts if part) or None
    return _text(value)


def _names(value: object, by_id: Mapping[str, Node]) -> list[str]:
    """Return every name of one node: some pages put all their authors into a single person."""
    listed = value.get("name") if isinstance(value, dict) else None
    names = map(_text, listed) if isinstance(listed, list) else [_name(value, by_id)]
    return [name for name in names if name]


def _url(value: object, by_id: Mapping[str, Node]) -> str | None:
    value = _resolve(_first(value), by_id)
    if isinstance(value, dict):
        value = _first(value.get("url") or value.get("contentUrl"))
    return value.strip() or None if isinstance(value, str) else None


def _first(value: object) -> object:
    return (value[0] if value else None) if isinstance(value, list) else value


def _text(value: object) -> str | None:
    """Return plain text: entities resolved (some sites escape twice), markup dropped."""
    if not isinstance(value, str):
        return None
    plain = html.unescape(html.unescape(value))
    return " ".join(_MARKUP.sub(" ", plain).split()) or None


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower().rsplit("/", 1)[-1]
    return {"true": True, "false": False, "1": True, "0": False}.get(word)


def _number(value: object) -> int | None:
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return None


def _keywords(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        name = one.get("name") if isinstance(one, dict) else one
        for word in (_text(name) or "").split(","):
            if word.strip():
                yield word.strip()
