"""What the places of a page say of a field, in order of precedence, and which of them is taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lxml.html import HtmlElement

from pipelines.model import Hints

FIRST = "comes first in the order of precedence"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one place says of a field.

    `source` is the kind of place, `at` the place: a key, the name of a tag, an element. `raw` is
    what stands there, `value` what is read in it (None: nothing). `why` says why it was taken or
    left, where its place in the order does not say so.
    """

    source: str
    at: str | HtmlElement
    raw: Any
    value: Any
    why: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of a field, all that might have been it, and which of that it is."""

    value: Any = None
    candidates: tuple[Candidate, ...] = ()
    winner: Candidate | None = None
    why: str = ""


def said(source: str, at: str | HtmlElement, raw: Any) -> list[Candidate]:
    """Return `raw` as a candidate that is taken as it stands; none where there is nothing."""
    return [Candidate(source, at, raw, raw)] if raw else []


def first_of(candidates: Iterable[Candidate]) -> Choice:
    """Take the first that has a value.

    >>> first_of([Candidate("meta", "og:image", "#", None), *said("json-ld", "image", "a")]).value
    'a'
    """
    found = tuple(candidates)
    winner = next((one for one in found if one.value is not None), None)
    return Choice(winner.value, found, winner, FIRST) if winner else Choice(candidates=found)


def hint_source(hints: Hints) -> str:
    """Return the source as the lake names it: a WordPress record is a feed, a listing is HTML."""
    return {"sitemap": "sitemap", "listing": "html"}.get(hints.source or "", "feed")


def hinted(hints: Hints, field: str) -> list[Candidate]:
    """Return what was said of `field` before the page was fetched."""
    source = hint_source(hints)
    place = field if hints.source in (None, source) else f"{hints.source}: {field}"
    return said(source, place, getattr(hints, field))
