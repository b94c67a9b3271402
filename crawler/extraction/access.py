"""Whether the story is free to read, and whether it is all there."""

from __future__ import annotations

from lxml.html import HtmlElement

from crawler.extraction.document import text_of
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from crawler.extraction.noise import noise, plain_line

_TIERS = {"free": True, "metered": False, "locked": False, "premium": False, "paid": False}
_SHORT_BODY, _LONGEST_LINE = 250, 200
# Shorter phrases begin too many true sentences.
_SURE_LENGTH = 18
# A body with less than this part of the words that the page itself counts is cut.
_CUT = 0.5


def is_free(metadata: Metadata, jsonld: JsonLd) -> bool | None:
    if jsonld.is_free is not None:
        return jsonld.is_free
    tier = metadata.first("article:content_tier", "lp.articleaccess", "cxenseparse:articletype")
    return _TIERS.get((tier or "").lower())


def is_truncated(
    root: HtmlElement, *, body: str, words: int, free: bool | None, jsonld: JsonLd
) -> bool:
    """Tell a body that was cut off: by its own last line, by a count, or behind a paywall."""
    if jsonld.word_count and jsonld.word_count > 100 and words < _CUT * jsonld.word_count:
        return True
    is_marked = body.rstrip().endswith(("[…]", "[...]", "[&hellip;]"))
    is_walled = words < _SHORT_BODY and _has_wall(root)
    return is_marked or is_walled or (free is False and words < 100)


def _has_wall(root: HtmlElement) -> bool:
    phrases = noise().refusal["paywall"]
    beginnings = tuple(phrase for phrase in phrases if len(phrase) > _SURE_LENGTH)
    for element in root.iter("p", "h2", "h3", "h4", "div", "span", "a", "strong"):
        if len(element) <= 3 and (text := text_of(element)) and len(text) <= _LONGEST_LINE:
            plain = plain_line(text)
            if plain in phrases or plain.startswith(beginnings):
                return True
    return False
