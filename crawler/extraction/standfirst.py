"""The standfirst: the sentence or two that stand between headline and story."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import replace

from lxml.html import HtmlElement

from crawler.extraction.candidates import Candidate, Choice, first_of, hinted, said
from crawler.extraction.document import REMOVED, text_of
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from pipelines.model import Hints

_CLASS = re.compile(
    r"(?:^|[-_ ])(?:standfirst|dek|deck|subtitle|subheadline|sub-headline|subhead|strapline"
    r"|kicker-text|article-lead|article__lead|excerpt|summary|chapo|sottotitolo|entradilla|lede)"
    r"(?:$|[-_ ])",
    re.IGNORECASE,
)
_CUT = re.compile(r"\s*(?:\[(?:…|\.\.\.|&hellip;)\]|…|\.\.\.)\s*$")
_IS_CUT = "is cut short: what is whole comes first"
_SHORTEST, _LONGEST = 20, 700


def find_description(
    shown: Sequence[HtmlElement],
    *,
    metadata: Metadata,
    jsonld: JsonLd,
    hints: Hints,
    h1: HtmlElement | None,
) -> Choice:
    """Choose what the page says of itself, whole rather than cut; the printed standfirst last.

    `shown` are the page's visible elements, in order.
    """
    told = [
        *said("json-ld", "description", jsonld.description),
        *metadata.said("og:description", "description", "twitter:description"),
        *said("html", "standfirst", printed_standfirst(shown, h1)),
        *hinted(hints, "description"),
    ]
    candidates = [replace(one, value=_plain(one.raw) or None) for one in told]
    marked = [replace(one, why=_IS_CUT) if _is_cut(one) else one for one in candidates]
    whole = first_of(one for one in marked if not _is_cut(one))
    chosen = whole if whole.winner else first_of(marked)
    return replace(chosen, candidates=tuple(marked))


def _is_cut(one: Candidate) -> bool:
    return bool(_CUT.search(one.value or ""))


def printed_standfirst(shown: Sequence[HtmlElement], h1: HtmlElement | None) -> str | None:
    """Return the text of the first element after the headline that is named as standfirst."""
    if h1 is None:
        return None
    for element in h1.itersiblings():
        is_there = isinstance(element.tag, str) and element.get(REMOVED) is None
        if is_there and _is_standfirst(element):
            return text_of(element)
    for element in shown:
        if element.tag in ("p", "h2", "div") and _is_standfirst(element):
            return text_of(element)
    return None


def _is_standfirst(element: HtmlElement) -> bool:
    names = element.get("class")
    return (
        names is not None
        and bool(_CLASS.search(names))
        and _SHORTEST <= len(text_of(element)) <= _LONGEST
    )


def _plain(text: str) -> str:
    return " ".join(html.unescape(text).split())
