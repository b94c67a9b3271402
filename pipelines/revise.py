"""Is it new, changed or the same? What makes a revision, as pure comparisons.

A revision is the publisher's doing: body, headline, description, authors, publication date or
paywall state changed, after normalising. What only an extractor or a vanished hint changed is none.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from pipelines.fingerprint import normalised, survival
from pipelines.model import Article, RecordLocation, Revision

# Below this share of surviving text, with headline and date different too, an address was reused.
REPLACED_BELOW = 0.3

_PRECISIONS = {"second": timedelta(0), "minute": timedelta(minutes=1), "day": timedelta(days=1)}
_DATE_FIELDS = (
    "date_published",
    "date_published_raw",
    "date_published_source",
    "date_published_precision",
    "date_published_flags",
    "time_zone_assumed",
)


def article_id(canonical_url: str, ordinal: int) -> str:
    """Return the id, for ever, of the `ordinal`-th story first seen at an address (from 1)."""
    return hashlib.sha256(f"{canonical_url}\n{ordinal}".encode()).hexdigest()[:32]


def changes(before: Article, after: Article) -> tuple[str, ...]:
    """Return what the publisher changed: any of `body`, `headline`, `description`, `authors`,
    `date`, `access`, in that order. Both articles must come from the same extractor.
    """
    differs = {
        "body": normalised(before.article_body) != normalised(after.article_body),
        "headline": normalised(before.headline) != normalised(after.headline),
        "description": normalised(before.description) != normalised(after.description),
        "authors": _names(before) != _names(after),
        "date": _date_changed(before, after),
        "access": (before.is_accessible_for_free is False)
        != (after.is_accessible_for_free is False),
    }
    return tuple(name for name, changed in differs.items() if changed)


def settled(before: Article, after: Article) -> Article:
    """Return `after` with the finer of two publication dates that agree, or the only one known."""
    if _date_changed(before, after) or not _is_coarser(after, before):
        return after
    return replace(after, **{name: getattr(before, name) for name in _DATE_FIELDS})


def is_another_story(before: Article, after: Article) -> bool:
    """Tell whether an address now tells another story: text, headline and date all differ."""
    return _date_changed(before, after) and tells_otherwise(before, after)


def tells_otherwise(before: Article, after: Article) -> bool:
    """Tell whether headline and text differ, so that little of the old text lives on."""
    return (
        normalised(before.headline) != normalised(after.headline)
        and survival(before.article_body, after.article_body) < REPLACED_BELOW
    )


def first_revision(
    article: Article,
    *,
    canonical_url: str,
    ordinal: int = 1,
    fetched_at: datetime,
    location: RecordLocation,
) -> Revision:
    """Return revision 1 of a story not known before."""
    dated = article.date_published or fetched_at
    return Revision(
        article_id=article_id(canonical_url, ordinal),
        revision=1,
        extraction=1,
        change=("new",),
        previous_revision=None,
        canonical_url=canonical_url,
        article=article,
        first_seen=fetched_at,
        fetched_at=fetched_at,
        published_month=f"{dated:%Y-%m}",
        location=location,
    )


def next_revision(
    before: Revision,
    article: Article,
    *,
    change: tuple[str, ...],
    canonical_url: str,
    fetched_at: datetime,
    location: RecordLocation,
) -> Revision:
    """Return the publisher's next version of a known story. `article` is already settled."""
    return replace(
        before,
        revision=before.revision + 1,
        extraction=1,
        change=change,
        previous_revision=before.revision,
        canonical_url=canonical_url,
        article=article,
        fetched_at=fetched_at,
        location=location,
    )


def next_extraction(
    before: Revision, article: Article, *, canonical_url: str, location: RecordLocation
) -> Revision:
    """Return the same version read again: nothing that its publisher did.

    `change` stays what the publisher had changed in this version, since it is still this version.
    """
    return replace(
        before,
        extraction=before.extraction + 1,
        canonical_url=canonical_url,
        article=article,
        location=location,
    )


def _names(article: Article) -> list[str]:
    return sorted(normalised(name).lower() for name in article.authors)


def _date_changed(before: Article, after: Article) -> bool:
    if before.date_published is None or after.date_published is None:
        # A date that is gone is a date that was not found; a date that came is news.
        return before.date_published is None and after.date_published is not None
    return not _agree(before, after)


def _agree(one: Article, other: Article) -> bool:
    """Two moments agree when the finer lies within the coarser. A day is a printed, local day."""
    a, b = one.date_published, other.date_published
    if a is None or b is None:
        return False
    width = max(_width(one), _width(other))
    if width == timedelta(days=1):
        # Any instant that was this day somewhere: local days begin 14 h before and end 12 h after.
        day, instant = (a, b) if _width(one) == width else (b, a)
        if _width(one) == _width(other):
            return a == b
        return timedelta(hours=-14) <= instant - day < timedelta(hours=36)
    return abs(a - b) < max(width, timedelta(seconds=1))


def _is_coarser(article: Article, than: Article) -> bool:
    return article.date_published is None or _width(article) > _width(than)


def _width(article: Article) -> timedelta:
    return _PRECISIONS.get(article.date_published_precision or "second", timedelta(0))
