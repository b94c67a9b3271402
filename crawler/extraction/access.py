"""Whether the story is free to read, and whether it is all there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lxml.html import HtmlElement

from crawler.extraction.candidates import Candidate, Choice, first_of
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
_COUNTED = "is more than twice the words of the body"
_MARKED = "says that more follows"
_WALLED = "asks for a subscription, and the body is short"
_UNFREE = "are few, and the story is not free to read"


def is_free(metadata: Metadata, jsonld: JsonLd) -> Choice:
    told: list[Candidate] = []
    if jsonld.is_free is not None:
        told.append(Candidate("json-ld", "isAccessibleForFree", jsonld.is_free, jsonld.is_free))
    # Only the first of them speaks: a house has one way to say it.
    tiers = metadata.said("article:content_tier", "lp.articleaccess", "cxenseparse:articletype")[:1]
    told += [replace(one, value=_TIERS.get(one.raw.lower())) for one in tiers]
    return first_of(told)


def signs_of_cut(
    root: HtmlElement, *, body: str, words: int, free: bool | None, jsonld: JsonLd
) -> Iterator[Candidate]:
    """Yield what shows that a body was cut off: a count, its last line, or a paywall."""
    if jsonld.word_count and jsonld.word_count > 100 and words < _CUT * jsonld.word_count:
        yield Candidate("json-ld", "wordCount", jsonld.word_count, True, _COUNTED)
    if body.rstrip().endswith(("[…]", "[...]", "[&hellip;]")):
        yield Candidate("text", "the end of the article_body", body.rstrip()[-40:], True, _MARKED)
    if words < _SHORT_BODY and (wall := _wall(root)) is not None:
        yield Candidate("html", wall, text_of(wall), True, _WALLED)
    if free is False and words < 100:
        yield Candidate("text", "the words of the article_body", words, True, _UNFREE)


def _wall(root: HtmlElement) -> HtmlElement | None:
    phrases = noise().refusal["paywall"]
    beginnings = tuple(phrase for phrase in phrases if len(phrase) > _SURE_LENGTH)
    for element in root.iter("p", "h2", "h3", "h4", "div", "span", "a", "strong"):
        if len(element) <= 3 and (text := text_of(element)) and len(text) <= _LONGEST_LINE:
            plain = plain_line(text)
            if plain in phrases or plain.startswith(beginnings):
                return element
    return None
