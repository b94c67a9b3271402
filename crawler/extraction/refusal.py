"""Why a page is no article. A true article refused is worse than a listing let through."""

from __future__ import annotations

from lxml.html import HtmlElement

from crawler.extraction.document import text_of
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from crawler.extraction.noise import noise, plain_line

# A flash of thirty words is an article; a page with fewer and no sign of being one is not.
_FEWEST_WORDS = 25
_SHORT_BODY = 120
_LISTING_TYPES = frozenset(
    ("collectionpage", "searchresultspage", "profilepage", "itemlist", "contactpage")
)
_MANY_TEASERS = 6
_HTML_TYPES = ("html", "xml", "text/plain", "octet-stream")


def find_refusal(
    root: HtmlElement,
    *,
    content_type: str,
    metadata: Metadata,
    jsonld: JsonLd,
    headline: str | None,
    body_words: int,
    has_date: bool,
) -> str | None:
    """Return the reason, or None for a page that is an article as far as anyone can tell."""
    kind = content_type.split(";")[0].strip().lower()
    if kind and not any(one in kind for one in _HTML_TYPES):
        return "not_html"
    titles = _titles(root, headline, metadata)
    is_short = body_words < _SHORT_BODY
    for reason in ("bot_wall", "not_found", "consent"):
        if is_short and not jsonld.is_article and _says(titles, reason):
            return {"not_found": "soft_404", "consent": "consent_wall"}.get(reason, reason)
    if body_words == 0:
        return "empty"
    if body_words < _FEWEST_WORDS and not jsonld.is_article and not has_date:
        return "too_short"
    if _is_listing(root, metadata, jsonld, has_date=has_date):
        return "listing"
    return None


def _titles(root: HtmlElement, headline: str | None, metadata: Metadata) -> list[str]:
    printed = [text_of(one) for one in root.iter("h1")]
    return [title for title in (headline, metadata.title, *printed) if title]


def _says(titles: list[str], reason: str) -> bool:
    """Tell whether a title is such a phrase, or is one up to where the site's name begins."""
    phrases = noise().refusal[reason]
    for title in titles:
        parts = {plain_line(part) for part in (title, *_parts(title))}
        if not phrases.isdisjoint(parts):
            return True
    return False


def _parts(title: str) -> list[str]:
    for sign in ("|", "–", "—", " - ", "»", "·", ":"):
        title = title.replace(sign, "\n")
    return title.split("\n")


def _is_listing(root: HtmlElement, metadata: Metadata, jsonld: JsonLd, *, has_date: bool) -> bool:
    kind = (metadata.first("og:type") or "").lower()
    if jsonld.is_article or kind == "article" or metadata.first("article:published_time"):
        return False
    teasers = sum(1 for one in root.iter("article") if one.find(".//a") is not None)
    is_named = not _LISTING_TYPES.isdisjoint(jsonld.types)
    return teasers >= _MANY_TEASERS and (is_named or not has_date)
