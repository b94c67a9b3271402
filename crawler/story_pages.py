"""A story read whole: from its first page, and from those at which it goes on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from crawler.extraction.joined import goes_on_with, joined
from pipelines.archive import read_page
from pipelines.errors import ArchiveError, ExtractionError
from pipelines.ledger import Ledger
from pipelines.model import NO_HINTS, Article, Page, RecordLocation

logger = logging.getLogger(__name__)

# The longest reports have a dozen; a pager that has no end is followed this far.
MOST_PAGES = 30

# Gives the page at an address at which the story of `first` goes on, or None where there is none.
GoOn = Callable[[str, Page], Awaitable[Page | None]]
# Reads one page. Raises ExtractionError.
Read = Callable[[Page], Awaitable[Article]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """A further page of a story, and what was read from it."""

    page: Page
    article: Article


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The further pages of a story, in order.

    `left` is a page that was to be one and is none, with its verdict.
    """

    pages: tuple[Further, ...] = ()
    left: tuple[Page, str] | None = None

    def behind(self, article: Article) -> Article:
        """Return the whole article, of what was read from its first page."""
        return joined(article, [one.article for one in self.pages])


NOTHING = Rest()


async def read_rest(first: Page, article: Article, *, read: Read, go_on: GoOn) -> Rest:
    """Read the further pages of the story of which `first` was read as `article`.

    They end where the story does, or where a page is not to be had: then the last one still
    names its `next_page`.
    """
    pages: list[Further] = []
    seen = {first.url}
    address = None if article.refusal else article.next_page
    while address and address not in seen and len(pages) < MOST_PAGES - 1:
        seen.add(address)
        page = await go_on(address, first)
        if page is None:
            break
        try:
            found = await read(replace(page, hints=NO_HINTS))
        except ExtractionError as error:
            return _without(page, f"failed:{error.message.split()[0]}", pages)
        if not goes_on_with(article, found):
            return _without(page, f"refused:{found.refusal or 'no_text'}", pages)
        pages.append(Further(page=page, article=found))
        address = found.next_page
    return Rest(pages=tuple(pages))


def _without(page: Page, verdict: str, pages: Iterable[Further]) -> Rest:
    logger.warning("%s is no further page of a story (%s)", page.url, verdict)
    return Rest(pages=tuple(pages), left=(page, verdict))


def archived_further(ledger: Ledger, article_id: str, *, spool: Path | None = None) -> GoOn:
    """Return what goes on with the further pages of a stored article, as the archive has them."""
    known: list[tuple[str, RecordLocation]] | None = None

    async def go_on(address: str, first: Page) -> Page | None:
        nonlocal known
        if known is None:
            known = ledger.further_pages(article_id)
        there = (location for url, location in known if url == address)
        return of_that_time(_read(ledger, there, spool), first)

    return go_on


def of_that_time(pages: Iterable[Page], first: Page) -> Page | None:
    """Return the page that was fetched to go on with `first`; else the last one before it."""
    earlier = None
    for page in pages:
        if page.continues == first.location.warc_record_id:
            return page
        if page.fetched_at <= first.fetched_at:
            earlier = page
    return earlier


def _read(ledger: Ledger, places: Iterable[RecordLocation], spool: Path | None) -> Iterator[Page]:
    for place in places:
        try:
            yield read_page(ledger.lake.storage, place, spool=spool)
        except (ArchiveError, OSError) as error:
            logger.warning("a further page of a story cannot be read: %s", error)
