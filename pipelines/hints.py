"""Hints as JSON and beside each other: what several sources said of one article."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pipelines.model import Hints


def said(hints: Hints) -> dict[str, Any]:
    return {key: value for key, value in asdict(hints).items() if value}


def hints_of(data: Mapping[str, Any]) -> Hints:
    """Return the hints that a JSON object holds, as `asdict` wrote it."""
    lists = {key: tuple(data[key]) for key in ("authors", "keywords") if data.get(key)}
    return Hints(**{**data, **lists})


def merged_hints(old: Hints, new: Hints) -> Hints:
    """Return what both say, the better source first: a hint that is gone stays with its article.

    `source` is that of the publication date, whose column names it.
    """
    better, other = (old, new) if _rank(old) < _rank(new) else (new, old)
    filled = {k: v for k, v in asdict(other).items() if v and not getattr(better, k)}
    if "date_published" in filled:
        filled["source"] = other.source
    return replace(better, **filled)


def _rank(hints: Hints) -> int:
    # A feed is written for reading; a listing's teaser is cut to fit.
    order = ("wordpress", "feed", "sitemap", "listing", None)
    return order.index(hints.source) if hints.source in order else len(order)
