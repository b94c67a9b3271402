"""A small newsdesk: stories as the pipeline would hand them to the lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from pipelines.lake import Lake
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
)
from tests import postgres

MORNING = datetime(2024, 5, 1, 6, 0, tzinfo=UTC)

_NUMBERS = count(1)

Story = Callable[..., Revision]
BatchOf = Callable[..., Batch]


def _story(
    n: int,
    *,
    revision: int = 1,
    extraction: int = 1,
    address: str | None = None,
    seen: datetime | None = None,
    site: str = "harbour_gazette",
) -> Revision:
    """Return revision `revision` of story `n`: every fifth has no date, three fall in a month."""
    published = None if n % 5 == 4 else MORNING + timedelta(days=10 * n)
    seen = seen or MORNING + timedelta(days=10 * n, hours=2)
    text = f"Frigate {n} left the quay. " * 20 + f"This is telling {revision}.{extraction}."
    url = address or f"https://gazette.example/2024/{n}/"
    article = Article(
        url=url,
        site=site,
        publisher="Harbour Gazette",
        country="GR",
        headline=f"Φρεγάτα {n}, telling {revision}",
        authors=("Eleni Doe", "John Roe"),
        article_body=text,
        date_published=published,
        date_published_raw="1 May" if published else None,
        in_language="en",
        keywords=("navy",),
        word_count=len(text.split()),
        removed_blocks=(RemovedBlock(text="Share", rule="share", selector="div.share"),),
        related_links=(RelatedLink(text="Also read", url="https://gazette.example/1/"),),
        content_hash=f"{n}-{revision}",
        extractor="0.1.0+abc",
    )
    return Revision(
        article_id=f"story-{n:05d}",
        revision=revision,
        extraction=extraction,
        change=("new",) if revision == 1 else ("body", "headline"),
        previous_revision=revision - 1 or None,
        canonical_url=url,
        article=article,
        first_seen=seen,
        fetched_at=seen + timedelta(hours=revision),
        published_month=f"{published or seen:%Y-%m}",
        location=RecordLocation(
            warc_path="warc/2024/05/r-0.warc.gz",
            warc_offset=1000 * n + revision,
            warc_length=900,
            warc_record_id=f"<urn:story:{n}:{revision}:{extraction}>",
        ),
    )


def _capture(revision: Revision) -> Capture:
    page = Page(
        site=revision.article.site or "",
        kind=Kind.ARTICLE,
        run_id="r",
        url=revision.article.url,
        requested_url=revision.article.url,
        status=200,
        headers={"content-type": "text/html", "etag": '"1"'},
        fetched_at=revision.fetched_at,
        payload_digest="sha1:X",
        payload_bytes=1234,
        location=revision.location,
    )
    verdict = "new" if revision.revision == 1 else "changed"
    return Capture(
        page=page, verdict=verdict, article_id=revision.article_id, revision=revision.revision
    )


def _batch(
    name: str, revisions: Sequence[Revision], *, relations: Sequence[Relation] = ()
) -> Batch:
    return Batch(
        warc_path=f"warc/2024/05/{name}.warc.gz",
        revisions=tuple(revisions),
        relations=tuple(relations),
        captures=tuple(_capture(one) for one in revisions),
    )


@pytest.fixture
def story() -> Story:
    return _story


@pytest.fixture
def batch_of() -> BatchOf:
    return _batch


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "the lake"), create=True)


@pytest.fixture
def state_url(server: str | None, tmp_path: Path) -> str:
    """Where a state may be made that nobody has written to."""
    if server is None:
        return f"sqlite:///{tmp_path}/state/sitrep.db"
    return postgres.fresh_database(server, f"test_{next(_NUMBERS)}")
