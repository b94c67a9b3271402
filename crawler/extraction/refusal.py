"""Why a page is no article. A true article refused is worse than a listing let through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml.html import HtmlElement

from crawler.extraction.document import text_of
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from crawler.extraction.noise import noise, plain_line

# A flash of thirty words is an article; a page with fewer and no sign of being one is not.
_FEWEST_WORDS, _VIDEO_WORDS = 25, 60
_SHORT_BODY, _LONGEST_CONSENT = 120, 800
_LISTING_TYPES = frozenset(
    ("collectionpage", "searchresultspage", "profilepage", "itemlist", "contactpage")
)
_LISTING_PATH = re.compile(
    r"^/(?:[a-z]{2}(?:-[a-z]{2})?/)?(?:tags?|topics?|author|authors|category|categories|search|page"
    r"|archive|archives|label|rubric|rubrik|rubrique|rubryka|thema|themen|th[eè]me|temi|tema|teg"
    r"|schlagwort|stichwort|kategorie|categoria|categor[ií]a|cat[eé]gorie|kategoria|kategori|katigoria"
    r"|etiquet(?:a|as|te|te)|etiket|mot-cle|mots-cles|auteur|auteurs|autor|autoren|autore|autori"
    r"|yazar|yazarlar|suche|recherche|b[uú]squeda|buscar|cerca|ricerca|szukaj|arama|anazitisi)"
    r"(?:/[^/]*){1,2}(?:/page/\d+)?/?$",
    re.IGNORECASE,
)
_SEARCH_QUERY = re.compile(r"(?:^|&)(?:s|q|query|search|keyword)=", re.IGNORECASE)
_MANY_TEASERS, _SOME_TEASERS, _FEWEST_TITLE_WORDS = 6, 3, 4
_HTML_TYPES = ("html", "xml", "text/plain", "octet-stream")
_NUMBER = re.compile(r"(?:error |http )*\d{3}|[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_LONGEST_NAME, _OPENING_LINES = 5, 3
_REASONS = {"bot_wall": "bot_wall", "not_found": "soft_404", "consent": "consent_wall"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a page when it is asked whether it is an article."""

    url: str
    content_type: str
    metadata: Metadata
    jsonld: JsonLd
    headline: str | None
    body: str
    words: int
    has_date: bool

    @property
    def says_article(self) -> bool:
        """Tell whether the page's own data call it an article."""
        return self.jsonld.is_article or bool(self.metadata.first("article:published_time"))


def find_refusal(root: HtmlElement, evidence: Evidence) -> str | None:
    """Return the reason, or None for a page that is an article as far as anyone can tell."""
    kind = evidence.content_type.split(";")[0].strip().lower()
    if kind and not any(one in kind for one in _HTML_TYPES):
        return "not_html"
    words = evidence.words
    if wall := _wall(root, evidence, words):
        return wall
    if words == 0:
        return "empty"
    if _is_video(evidence) and words < _VIDEO_WORDS:
        return "video"
    if words < _FEWEST_WORDS and not evidence.says_article and not evidence.has_date:
        return "too_short"
    return "listing" if _is_listing(root, evidence) else None


def _wall(root: HtmlElement, evidence: Evidence, words: int) -> str | None:
    if evidence.says_article:
        return None
    titles = _titles(root, evidence.headline, evidence.metadata)
    opening = [] if evidence.has_date else evidence.body.splitlines()[:_OPENING_LINES]
    for phrases, reason in _REASONS.items():
        longest = _LONGEST_CONSENT if phrases == "consent" else _SHORT_BODY
        if words < longest and _says(titles, phrases):
            return reason
        if words < _SHORT_BODY and _opens(opening, phrases):
            return reason
    return None


def _titles(root: HtmlElement, headline: str | None, metadata: Metadata) -> list[str]:
    printed = [text_of(one) for one in root.iter("h1")]
    return [title for title in (headline, metadata.title, *printed) if title]


def _says(titles: list[str], reason: str) -> bool:
    """Tell whether a title is such a phrase, but for a number and the site's name."""
    phrases = noise().refusal[reason]
    return any(_is_only(title, phrases) for title in titles)


def _is_only(title: str, phrases: frozenset[str]) -> bool:
    if plain_line(title) in phrases:
        return True
    parts = [part for part in _PARTING.split(title) if part.strip()]
    others = [part for part in parts if plain_line(part) not in phrases]
    names = [part for part in others if not _NUMBER.fullmatch(part.strip())]
    if len(others) == len(parts) or not names:
        return len(others) < len(parts)
    # A colon comes before more of a headline; a dash or a bar before the name of the site.
    is_name = len(names) == 1 and len(names[0].split()) <= _LONGEST_NAME
    return is_name and ":" not in title


_PARTING = re.compile(r"[|–—»·:]| - ")


def _opens(lines: list[str], reason: str) -> bool:
    """Tell whether a line at the top of the text is such a phrase, or a sentence that begins so."""
    phrases = noise().refusal[f"{reason}_text"]
    return any(plain_line(line).startswith(tuple(phrases)) for line in lines)


def _is_video(evidence: Evidence) -> bool:
    kind = (evidence.metadata.first("og:type") or "").lower()
    is_object = "videoobject" in evidence.jsonld.types
    return not evidence.jsonld.is_article and (kind.startswith("video") or is_object)


def _is_listing(root: HtmlElement, evidence: Evidence) -> bool:
    if evidence.says_article:
        return False
    parts = urlsplit(evidence.url)
    is_home = parts.path in ("", "/") and not parts.query
    if is_home and parts.hostname:
        return True
    teasers = _teasers(root)
    is_named = not _LISTING_TYPES.isdisjoint(evidence.jsonld.types)
    is_path = bool(_LISTING_PATH.match(parts.path) or _SEARCH_QUERY.search(parts.query))
    if is_named or is_path:
        return teasers >= _SOME_TEASERS and (is_path or not evidence.has_date)
    kind = (evidence.metadata.first("og:type") or "").lower()
    is_dense = evidence.words < _TEASER_WORDS * teasers and not _is_told_at_length(evidence.body)
    return teasers >= _MANY_TEASERS and is_dense and kind != "article" and not evidence.has_date


# A teaser is a title and a few lines; where there is more text for each, the text is the page.
_TEASER_WORDS, _LONG_PARAGRAPH, _SEVERAL = 60, 60, 5


def _is_told_at_length(body: str) -> bool:
    """Tell a text of several long paragraphs, which no card has, however many stand around it."""
    paragraphs = body.split("\n\n")
    return sum(len(one.split()) >= _LONG_PARAGRAPH for one in paragraphs) >= _SEVERAL


def _teasers(root: HtmlElement) -> int:
    """Return how many titles of other pages there are, in articles or headings that are links."""
    articles = sum(1 for one in root.iter("article") if one.find(".//a") is not None)
    headings = 0
    for one in root.iter("h2", "h3", "h4"):
        link = one.find(".//a")
        headings += link is not None and len(text_of(link).split()) >= _FEWEST_TITLE_WORDS
    return max(articles, headings)
