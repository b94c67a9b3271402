"""A page read as the story that it is of: with its further pages, and like its earlier versions.

What is read here depends on what is on record; what is decided of it is for `crawler.ingest`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from crawler.addresses import key_of
from crawler.extraction_pool import ExtractionPool
from crawler.site import Site
from crawler.story_pages import GoOn, Rest, archived_further, read_rest
from pipelines.archive import read_page
from pipelines.errors import ArchiveError, ExtractionError
from pipelines.hints import merged_hints
from pipelines.ledger import Ledger
from pipelines.model import Article, Page, Revision
from pipelines.revise import changes

logger = logging.getLogger(__name__)

# Gives the page at an address at which the story of a first page goes on, archived, or None.
GoOnAt = Callable[[str, Page, Site], Awaitable[Page | None]]


class StoryReader:
    """Reads pages of sites; `go_on` is left out where there is no network."""

    def __init__(self, ledger: Ledger, pool: ExtractionPool, *, spool: Path | None):
        self._ledger = ledger
        self._pool = pool
        self._spool = spool
        self.go_on: GoOnAt | None = None

    async def read(self, page: Page, site: Site) -> Article:
        """Read a page by itself. Raises ExtractionError."""
        return await self._pool.extract(page, site)

    async def rest(
        self, page: Page, site: Site, article: Article, *, article_id: str | None
    ) -> Rest:
        """Read the further pages of a story: as they are now, or else as they were last."""
        archived = self._archived_further(article_id) if article_id else None

        async def go_on(address: str, first: Page) -> Page | None:
            found = await self.go_on(address, first, site) if self.go_on else None
            if found is None and archived is not None:
                return await archived(address, first)
            return found

        return await read_rest(page, article, read=self._pool.reader(site), go_on=go_on)

    def with_known_hints(self, page: Page, site: Site) -> Page:
        link = self._ledger.link(site.name, key_of(page.requested_url, site))
        return replace(page, hints=merged_hints(link.link.hints, page.hints)) if link else page

    async def like(self, article: Article, before: Revision, site: Site) -> Article:
        """Return a version as it was, read by the extractor that has read `article` now."""
        if before.article.extractor == article.extractor:
            return before.article
        page = self._archived(before)
        if page is None:
            return before.article
        try:
            again = await self.read(self.with_known_hints(page, site), site)
        except ExtractionError as error:
            logger.warning("cannot read the last version again, its row is used: %s", error)
            return before.article
        archived = self._archived_further(before.article_id)
        rest = await read_rest(page, again, read=self._pool.reader(site), go_on=archived)
        return rest.behind(again)

    async def with_lasting_hints(
        self, page: Page, site: Site, article: Article, rest: Rest, *, before: Revision,
        comparable: Article,
    ) -> Article:  # fmt: skip
        """Return the article, read again with the hints of its last version when those are gone.

        A recrawl comes without them, an address may be listed no more: neither is an edit.
        `comparable` is that version, read alike.
        """
        if not set(changes(comparable, article)) - {"body", "access"}:
            return article
        old = self._archived(before)
        hints = merged_hints(old.hints, page.hints) if old else page.hints
        if hints == page.hints:
            return article
        try:
            again = await self.read(replace(page, hints=hints), site)
        except ExtractionError as error:
            logger.warning("cannot be read again with its hints: %s", error)
            return article
        return rest.behind(again)

    def _archived_further(self, article_id: str) -> GoOn:
        return archived_further(self._ledger, article_id, spool=self._spool)

    def _archived(self, revision: Revision) -> Page | None:
        place = (revision.location.warc_path, revision.location.warc_offset)
        try:
            return read_page(self._ledger.lake.storage, place, spool=self._spool)
        except (ArchiveError, OSError) as error:
            logger.warning("the bytes of %s cannot be read: %s", revision.article.url, error)
            return None
