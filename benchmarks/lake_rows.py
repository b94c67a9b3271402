"""Batches of invented articles, as commits take them: any number, the same ones each time.

Article number n comes out in the order of its number, within one year, on one of twenty sites. Its
text is drawn from invented words, of which few are frequent and most are rare, as in any language.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from pipelines.model import (
    Article,
    Batch,
    Capture,
    Kind,
    Page,
    RecordLocation,
    RelatedLink,
    Relation,
    RemovedBlock,
    Revision,
    Verdict,
)

YEAR = datetime(2025, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=365)
SITES = tuple(f"site_{number:02}" for number in range(20))
A_PARAGRAPH = 60
_SYLLABLES = ("ba", "den", "fo", "gar", "hul", "ka", "lor", "mi", "nes", "pra", "stu", "ve", "wen")
_VOCABULARY = 30_000
_RULES = ("markup:share", "line:also_read", "markup:newsletter", "repeated", "markup:author_bio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many articles the year has, and how long their texts are."""

    rows: int
    characters: int


def batch(plan: Plan, numbers: Sequence[int], *, name: str, revision: int = 1) -> Batch:
    """Return these articles as one WARC file would give them; later revisions have another text."""
    warc_path = f"warc/{name}.warc.gz"
    revisions = tuple(_revision(plan, n, warc_path, revision) for n in numbers)
    return Batch(
        warc_path=warc_path,
        revisions=revisions,
        relations=tuple(_relation(one) for one in revisions if revision == 1),
        captures=tuple(_capture(one) for one in revisions),
    )


def article_id(number: int) -> str:
    return hashlib.sha256(f"article {number}".encode()).hexdigest()[:32]


def published(plan: Plan, number: int) -> datetime:
    return YEAR + (SPAN - timedelta(minutes=1)) * min(number / plan.rows, 1.0)


def _revision(plan: Plan, number: int, warc_path: str, revision: int) -> Revision:
    article = _article(plan, number, revision)
    return Revision(
        article_id=article_id(number),
        revision=revision,
        extraction=1,
        change=("new",) if revision == 1 else ("body",),
        previous_revision=revision - 1 or None,
        canonical_url=article.url.partition("://")[2],
        article=article,
        first_seen=published(plan, number) + timedelta(minutes=20),
        fetched_at=published(plan, number) + timedelta(minutes=20 * revision),
        published_month=f"{published(plan, number):%Y-%m}",
        location=RecordLocation(
            warc_path=warc_path,
            warc_offset=number * 12_000,
            warc_length=12_000,
            warc_record_id=f"<urn:sha256:{article_id(number)}-{revision}>",
        ),
    )


def _article(plan: Plan, number: int, revision: int) -> Article:
    drawn = np.random.default_rng([number, revision])
    site = SITES[int(drawn.integers(len(SITES)))]
    when = published(plan, number)
    text = _text(drawn, plan.characters)
    article = Article(
        url=f"https://{site}.example/{when:%Y/%m}/story-{number}/",
        site=site,
        publisher=site.replace("_", " ").title(),
        country="GR",
        headline=" ".join(_words(drawn, 9)).capitalize(),
        description=" ".join(_words(drawn, 22)).capitalize() + ".",
        authors=(" ".join(_words(drawn, 2)).title(),),
        byline="By a correspondent",
        article_body=text,
        date_published=when,
        date_published_raw=when.isoformat(),
        date_published_source="json-ld",
        date_published_precision="second",
        in_language="en",
        article_section="Navy",
        keywords=tuple(_words(drawn, 5)),
        image_url=f"https://{site}.example/images/{number}.jpg",
        word_count=len(text.split()),
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        extractor="0.1.0+benchmark",
    )
    return replace(article, removed_blocks=_removed(drawn), related_links=_related(drawn, site))


def _removed(drawn: np.random.Generator) -> tuple[RemovedBlock, ...]:
    return tuple(
        RemovedBlock(text=" ".join(_words(drawn, 8)), rule=rule, selector="div.entry-content > div")
        for rule in _RULES
    )


def _related(drawn: np.random.Generator, site: str) -> tuple[RelatedLink, ...]:
    words = _words(drawn, 8)
    return (RelatedLink(text=" ".join(words), url=f"https://{site}.example/{'-'.join(words)}/"),)


def _relation(revision: Revision) -> Relation:
    found = revision.article_id
    return Relation(article_id=found, cluster_id=found, relation="original")


def _capture(revision: Revision) -> Capture:
    article = revision.article
    page = Page(
        site=article.site or "",
        kind=Kind.ARTICLE,
        run_id="benchmark",
        url=article.url,
        requested_url=article.url,
        status=200,
        headers={"content-type": "text/html"},
        fetched_at=revision.fetched_at,
        payload_digest=f"sha256:{article.content_hash}",
        payload_bytes=11_000,
        location=revision.location,
    )
    return Capture(
        page=page,
        verdict=Verdict.NEW if revision.revision == 1 else Verdict.CHANGED,
        article_id=revision.article_id,
        revision=revision.revision,
    )


def _text(drawn: np.random.Generator, characters: int) -> str:
    words = _words(drawn, max(1, characters // 7))
    paragraphs = (words[at : at + A_PARAGRAPH] for at in range(0, len(words), A_PARAGRAPH))
    return "\n\n".join(" ".join(some).capitalize() + "." for some in paragraphs)[:characters]


def _words(drawn: np.random.Generator, count: int) -> list[str]:
    vocabulary, shares = _vocabulary()
    return [vocabulary[at] for at in np.searchsorted(shares, drawn.random(count)).tolist()]


@cache
def _vocabulary() -> tuple[list[str], np.ndarray]:
    """Return words, and how many of all that are said are among the first n: Zipf's law."""
    drawn = np.random.default_rng(1)
    syllables = drawn.integers(len(_SYLLABLES), size=(_VOCABULARY, 4))
    # The frequent ones are short.
    lengths = np.minimum(1 + np.log10(np.arange(1, _VOCABULARY + 1)).astype(int), 4)
    words = [
        "".join(_SYLLABLES[at] for at in row[:length])
        for row, length in zip(syllables.tolist(), lengths.tolist(), strict=True)
    ]
    shares = np.cumsum(1 / np.arange(1, _VOCABULARY + 1))
    return words, shares / shares[-1]
