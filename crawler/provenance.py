"""A stored version explained: its archived page is read again, and each step tells its choices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from crawler.addresses import key_of
from crawler.differences import differing_columns
from crawler.extraction import Furniture
from crawler.extraction.explain import Explanation, explain, removed
from crawler.reread import possible_hints
from crawler.site import Site
from crawler.story_pages import Rest, archived_further, read_rest
from pipelines.archive import read_page
from pipelines.errors import ArchiveError
from pipelines.hints import merged_hints
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.model import Article, Hints, Page, Revision
from pipelines.state import State
from pipelines.well_formed import well_formed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What today's extractor says of the page of `revision`, which may differ from what it holds.

    It was stored by the extractor of its day; and what an earlier page told finer, stays.
    """

    revision: Revision
    page: Page
    explanation: Explanation

    def is_as_stored(self, field: str) -> bool:
        return bool(self.stored(field) == self.explanation.of(field).value)

    def stored(self, field: str) -> object:
        return getattr(self.revision.article, field)


def explain_version(
    versions: Sequence[Revision],
    number: int,
    *,
    lake: Lake,
    state: State,
    site: Site | None,
    furniture: Furniture | None,
) -> Explained:
    """Explain version `number` of an article, from the archive alone.

    Raises ArchiveError where its page cannot be read there.
    """
    revision = next(one for one in versions if one.revision == number)
    page = read_page(lake.storage, revision.location)
    if page.payload_bytes and not page.body:
        raise ArchiveError("the body is not what its Content-Encoding says", where=page.url)
    link = state.link(site.name, key_of(page.requested_url, site)) if site else None
    hints = possible_hints(
        page.hints,
        before=_hints_before(versions, number, lake=lake),
        known=link.link.hints if link else None,
    )
    nearest = _nearest(revision, page, hints, site=site, furniture=furniture)

    async def read(further: Page) -> Article:
        return _explained(further, further.hints, site=site, furniture=furniture).article

    archived = archived_further(Ledger(lake, state), revision.article_id)
    rest = asyncio.run(read_rest(page, nearest.article, read=read, go_on=archived))
    return Explained(revision=revision, page=page, explanation=_with(rest, nearest))


def _with(rest: Rest, first: Explanation) -> Explanation:
    """Explain the whole story, of what is explained of its first page."""
    if not rest.pages:
        return first
    article = rest.behind(first.article)
    where = ", ".join(one.page.url for one in rest.pages)
    told = {
        "article_body": f"{first.of('article_body').why}; it goes on at {where}",
        "is_truncated": "as its last page tells",
    }
    return replace(
        first,
        article=article,
        fields=tuple(
            replace(one, value=getattr(article, one.field), why=told.get(one.field, one.why))
            for one in first.fields
        ),
        removed_blocks=tuple(map(removed, article.removed_blocks)),
    )


def _hints_before(versions: Sequence[Revision], number: int, *, lake: Lake) -> Hints | None:
    found: Hints | None = None
    for one in versions:
        if one.revision >= number:
            break
        try:
            hints = read_page(lake.storage, one.location).hints
        except ArchiveError as error:
            logger.warning("an earlier version cannot be read: %s", error)
            continue
        found = merged_hints(found, hints) if found else hints
    return found


def _nearest(
    revision: Revision,
    page: Page,
    hints: Iterable[Hints],
    *,
    site: Site | None,
    furniture: Furniture | None,
) -> Explanation:
    """Explain the page with those of the hints with which it comes nearest to what is stored."""
    found: list[tuple[int, Explanation]] = []
    for one in dict.fromkeys(hints):
        explanation = _explained(page, one, site=site, furniture=furniture)
        distance = len(differing_columns(revision.article, explanation.article))
        found.append((distance, explanation))
        if distance == 0:
            break
    return min(found, key=lambda one: one[0])[1]


def _explained(
    page: Page, hints: Hints, *, site: Site | None, furniture: Furniture | None
) -> Explanation:
    return well_formed(
        explain(
            page.body,
            page.url,
            site=site,
            headers=page.headers,
            hints=hints,
            fetched_at=page.fetched_at,
            furniture=furniture,
        )
    )
