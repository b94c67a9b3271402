"""The headline: what the page prints over the story, checked against what it says of itself."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import replace

from lxml.html import HtmlElement

from crawler.extraction.candidates import Candidate, Choice, first_of, hinted, said
from crawler.extraction.document import text_of
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from pipelines.fingerprint import tokens
from pipelines.model import Hints

# " | Site", " - Site": what may part a headline from the name of its site.
_PARTING = re.compile(r"\s+[|–—\-•·»:›]+\s+|\s*[|»›]\s*")
_CLASS_HINT = re.compile(
    r"headline|entry-title|post-title|article-title|articletitle", re.IGNORECASE
)
_CLOSE = 0.6
_PRINTED = "is printed over the story, and what the page says of itself does not speak against it"
_UNLIKE = "is like no title that the page says of itself, and not its only heading"
_LONGEST_KICKER, _SHORTEST_TITLE, _LONGEST_OVERLINE = 3, 4, 5
_SEAM = re.compile(r"[^:/]{2,60}[:/] ")


def find_h1(root: HtmlElement, *, metadata: Metadata, jsonld: JsonLd) -> HtmlElement | None:
    """Return the element that prints the headline: the h1 closest to the page's own title."""
    title = metadata.first("og:title", "twitter:title") or jsonld.headline or metadata.title or ""
    headings = [h for h in root.iter("h1") if text_of(h)]
    best = _closest(headings, title)
    if best is not None and (closeness(text_of(best), title) >= _CLOSE or not title):
        return best
    # A theme may print the site's name as its h1 and the headline in something else.
    hinted = [
        h for h in root.iter("h1", "h2", "h3", "div", "p", "span") if _CLASS_HINT.search(_names(h))
    ]
    other = _closest([h for h in hinted if len(text_of(h)) < 300], title) if title else None
    if other is not None and closeness(text_of(other), title) >= 0.8:
        return other
    return best if len(headings) == 1 else None


def _names(element: HtmlElement) -> str:
    return f"{element.get('class') or ''} {element.get('itemprop') or ''}"


def _closest(elements: list[HtmlElement], title: str) -> HtmlElement | None:
    return max(elements, key=lambda one: closeness(text_of(one), title), default=None)


def closeness(one: str, other: str) -> float:
    """Return how alike two titles are, 0..1; a title with the site's name behind it is alike."""
    a, b = tokens(one), tokens(other)
    if not a or not b:
        return 0.0
    if a == b[: len(a)] or a == b[-len(a) :]:
        return 0.9 + 0.1 * len(a) / len(b) if len(a) >= 3 else 0.3 + 0.7 * len(a) / len(b)
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def find_headline(
    h1: HtmlElement | None,
    *,
    metadata: Metadata,
    jsonld: JsonLd,
    publisher: str | None,
    hints: Hints,
) -> Choice:
    """Choose the headline, without the site's name."""
    shared = metadata.first("og:title", "twitter:title")
    names = [n for n in (publisher, metadata.first("og:site_name"), jsonld.publisher) if n]
    witnesses = [t for t in (shared, jsonld.headline, metadata.title, hints.headline) if t]
    told = [
        *said("json-ld", "headline", jsonld.headline),
        *metadata.said("og:title", "twitter:title")[:1],
        *said("html", "title", metadata.title),
        *hinted(hints, "headline"),
    ]
    rest = [replace(one, value=without_site(one.raw, names)) for one in told]
    if h1 is not None:
        printed = printed_title(h1, [without_site(one, names) for one in witnesses])
        is_close = any(
            closeness(printed, one) >= _CLOSE or _is_part(printed, one) for one in witnesses
        )
        if is_close or not witnesses or _is_sole_title(h1, printed, names):
            title = without_site(printed, names) if len(printed) < 400 else printed[:400]
            return first_of([Candidate("html", h1, text_of(h1), title, _PRINTED), *rest])
        printed = text_of(h1)
        rest.append(Candidate("html", h1, printed, printed, _UNLIKE))
    return first_of(rest)


def _is_part(printed: str, witness: str) -> bool:
    """Tell a short headline, before whose site's name a title has a dash or a bar."""
    first = _PARTING.split(witness)[0]
    return first != witness and bool(tokens(first)) and tokens(first) == tokens(printed)


def _is_sole_title(h1: HtmlElement, printed: str, names: list[str]) -> bool:
    """Tell the only h1 of a page, which is its headline even where its metadata tell another."""
    is_only = h1.tag == "h1" and sum(1 for _ in h1.getroottree().iter("h1")) == 1
    is_house = any(closeness(printed, name) >= _CLOSE for name in names)
    return is_only and not is_house and len(tokens(printed)) >= _SHORTEST_TITLE


def printed_title(h1: HtmlElement, witnesses: list[str]) -> str:
    """Return the headline as printed, without the kicker that some themes put inside it.

    "OpinionA bridge falls" is two boxes in one h1: what the page says elsewhere shows the seam.
    """
    printed = text_of(h1)
    spaced = " ".join(" ".join(str(part) for part in h1.itertext()).split())
    words = tokens(spaced)
    # "Opinion | A bridge falls": what a bar parts is the name of a section.
    told = [one for one in witnesses if tokens(one) == words and " | " not in one]
    if whole := next(iter(told), None):
        return spaced if tokens(printed) == words else whole
    if named := _with_kicker(words, witnesses):
        return named
    for witness in witnesses:
        title = tokens(witness)
        extra = len(words) - len(title)
        if len(title) >= 3 and 0 < extra <= _LONGEST_KICKER and words[extra:] == title:
            return witness
    return printed


def _with_kicker(words: list[str], witnesses: list[str]) -> str | None:
    """Return the headline with the words set over it, where the page's own data agree on both.

    "Fleet: Yard delivers a frigate" stands in two boxes, of which only one is the heading.
    """
    told = [one for one in witnesses if _SEAM.match(one) and tokens(one)[-len(words) :] == words]
    counts = Counter(" ".join(tokens(one)) for one in told)
    same = [one for one in told if counts[" ".join(tokens(one))] > 1]
    is_short = bool(same) and len(tokens(same[0])) - len(words) <= _LONGEST_OVERLINE
    return same[0] if is_short else None


def without_site(title: str, names: list[str]) -> str:
    """Drop the site's name from either end of `title`.

    >>> without_site("Navy orders frigates | Naval News", ["Naval News"])
    'Navy orders frigates'
    """
    known = {" ".join(tokens(name)) for name in names}
    parts = list(_PARTING.finditer(title))
    if not parts:
        return title
    last, first = parts[-1], parts[0]
    if " ".join(tokens(title[last.end() :])) in known and title[: last.start()].strip():
        return without_site(title[: last.start()].strip(), names)
    if " ".join(tokens(title[: first.start()])) in known and title[first.end() :].strip():
        return without_site(title[first.end() :].strip(), names)
    return title
