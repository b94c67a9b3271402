"""From a page in the archive to a verdict: extract, know it again, revise, relate.

    Page → Article → Revision → Capture

Needs no Scrapy. What only the network can tell (does an old address still answer?) is asked
through `ask`, which a run without network leaves out.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from crawler.extraction_pool import ExtractionPool
from crawler.site import Site
from pipelines.archive import read_page
from pipelines.deduplicate import relation_of
from pipelines.errors import ArchiveError, ExtractionError
from pipelines.ledger import Ledger
from pipelines.model import Article, Capture, Page, Relation, Revision, Verdict
from pipelines.revise import (
    changes,
    first_revision,
    is_another_story,
    next_extraction,
    next_revision,
    settled,
)
from pipelines.state import ArticleState, LinkStatus, merged_hints
from pipelines.urls import canonical_url, is_home

logger = logging.getLogger(__name__)

# Answers that say: this address is no more, its story may live elsewhere.
GONE = frozenset({404, 410})
MOVED = frozenset({301, 308})

# Asks an old address once: the status it answers with, and where it points when that is a redirect.
Ask = Callable[[str, Site], Awaitable[tuple[int, str | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one article page."""

    capture: Capture
    error: str | None = None
    is_duplicate: bool = False

    @property
    def verdict(self) -> str:
        return self.capture.verdict


class Ingest:
    """Takes pages one by one; several may be under way, since only extraction waits."""

    def __init__(self, ledger: Ledger, pool: ExtractionPool, *, ask: Ask | None = None):
        self._ledger = ledger
        self._pool = pool
        self.ask = ask

    async def take(self, page: Page, site: Site) -> Outcome:
        """Give `page` its verdict, and what follows from it to the ledger."""
        if page.status == 304:
            return self._not_modified(page, site)
        if page.status != 200:
            return self._failed(page, site, f"http_{page.status}", f"HTTP {page.status}")
        try:
            article = await self._pool.extract(self._with_known_hints(page, site), site)
        except ExtractionError as error:
            return self._failed(page, site, error.message.split()[0], error.message)
        if article.refusal is not None:
            return self._refused(page, site, article.refusal)
        if is_home(page.url) and not is_home(page.requested_url):
            # A redirect to the front page is how some sites say that a story is gone.
            return self._refused(page, site, "redirected_home")
        return await self._store(page, site, article)

    def _with_known_hints(self, page: Page, site: Site) -> Page:
        link = self._ledger.link(site.name, key_of(page.requested_url, site))
        return replace(page, hints=merged_hints(link.link.hints, page.hints)) if link else page

    def _known(self, page: Page, site: Site) -> ArticleState | None:
        for url in dict.fromkeys((page.url, page.requested_url)):
            if found := self._ledger.article_at(site.name, key_of(url, site)):
                return found
        return None

    def _not_modified(self, page: Page, site: Site) -> Outcome:
        known = self._known(page, site)
        return self._closed(page, Verdict.NOT_MODIFIED, known)

    def _failed(self, page: Page, site: Site, reason: str, error: str) -> Outcome:
        outcome = self._closed(page, f"{Verdict.FAILED}:{reason}", self._known(page, site))
        return replace(outcome, error=error)

    def _refused(self, page: Page, site: Site, reason: str) -> Outcome:
        outcome = self._closed(page, f"{Verdict.REFUSED}:{reason}", self._known(page, site))
        return replace(outcome, error=f"refused: {reason}")

    def _closed(self, page: Page, verdict: str, known: ArticleState | None) -> Outcome:
        capture = Capture(
            page=page,
            verdict=str(verdict),
            article_id=known.article_id if known else None,
            revision=known.revision if known else None,
        )
        self._ledger.add_capture(capture)
        return Outcome(capture=capture)

    async def _store(self, page: Page, site: Site, article: Article) -> Outcome:
        known = self._known(page, site) or self._by_canonical_link(site, article)
        if known is None:
            known, moved = await self._moved_from(page, site, article), True
            # Another page may have brought the same story while the old address was asked.
            known = self._known(page, site) or known
        else:
            moved = False
        if known is None:
            return self._new(page, site, article, ordinal=1)
        before = self._ledger.current(known.article_id)
        comparable = await self._like_with_like(before, article, site)
        if not moved and is_another_story(comparable, article):
            return self._new(page, site, article, ordinal=known.ordinal + 1)
        return self._again(page, site, article, known=known, moved=moved, comparable=comparable)

    def _by_canonical_link(self, site: Site, article: Article) -> ArticleState | None:
        """Believe a page's rel=canonical only when that address is known to tell this very story.

        A canonical link may be the home page, another site, or one shared by different texts.
        """
        link = article.canonical_link
        if link is None or not site.owns(link) or is_home(link):
            return None
        found = self._ledger.article_at(site.name, key_of(link, site))
        return found if found and found.content_hash == article.content_hash else None

    async def _moved_from(self, page: Page, site: Site, article: Article) -> ArticleState | None:
        """Return the article of this very text whose old address is no more, if there is one."""
        if self.ask is None or not article.article_body:
            return None
        for old in self._ledger.articles_with_text(article.content_hash):
            if old.site != site.name:
                continue
            status, target = await self.ask(old.url, site)
            new_key = key_of(page.url, site)
            points_here = target is not None and key_of(target, site) == new_key
            if status in GONE or (status in MOVED and points_here):
                return old
        return None

    async def _like_with_like(self, before: Revision, article: Article, site: Site) -> Article:
        """Return the article as it was, read by the extractor that reads it now."""
        if before.article.extractor == article.extractor:
            return before.article
        try:
            lake = self._ledger.lake
            page = read_page(lake.storage, (before.location.warc_path, before.location.warc_offset))
            return await self._pool.extract(self._with_known_hints(page, site), site)
        except (ArchiveError, ExtractionError) as error:
            logger.warning("cannot read the last version again, its row is used: %s", error)
            return before.article

    def _new(self, page: Page, site: Site, article: Article, *, ordinal: int) -> Outcome:
        revision = first_revision(
            article,
            canonical_url=key_of(page.url, site),
            ordinal=ordinal,
            fetched_at=page.fetched_at,
            location=page.location,
        )
        return self._recorded(page, site, revision, Verdict.NEW, ordinal=ordinal)

    def _again(
        self,
        page: Page,
        site: Site,
        article: Article,
        *,
        known: ArticleState,
        moved: bool,
        comparable: Article,
    ) -> Outcome:
        before = self._ledger.current(known.article_id)
        canonical = key_of(page.url, site) if moved else known.canonical_url
        change = changes(comparable, article)
        if change:
            revision = next_revision(
                before,
                settled(comparable, article),
                change=change,
                canonical_url=canonical,
                fetched_at=page.fetched_at,
                location=page.location,
            )
            return self._recorded(page, site, revision, Verdict.CHANGED, known=known)
        if moved:
            # Its address is no part of a version, so the same version is written down anew.
            revision = next_extraction(
                before,
                settled(comparable, article),
                canonical_url=canonical,
                location=page.location,
            )
            return self._recorded(page, site, revision, Verdict.UNCHANGED, known=known)
        self._add_aliases(page, site, article, known.article_id)
        return self._closed(page, Verdict.UNCHANGED, known)

    def _recorded(
        self,
        page: Page,
        site: Site,
        revision: Revision,
        verdict: Verdict,
        *,
        ordinal: int = 1,
        known: ArticleState | None = None,
    ) -> Outcome:
        article = revision.article
        relation = relation_of(
            revision,
            same_text=self._ledger.articles_with_text(article.content_hash),
            current=known,
            followers=self._ledger.followers(known) if known else 0,
        )
        state = _article_state(
            revision, site, ordinal=known.ordinal if known else ordinal, known=known, new=relation
        )
        self._ledger.add_revision(revision, article=state, relation=relation)
        self._add_aliases(page, site, article, revision.article_id)
        capture = Capture(
            page=page,
            verdict=verdict.value,
            article_id=revision.article_id,
            revision=revision.revision,
        )
        self._ledger.add_capture(capture)
        logger.info("%s %s: %s (revision %d)", site.name, verdict, page.url, revision.revision)
        return Outcome(capture=capture, is_duplicate=state.cluster_relation != "original")

    def _add_aliases(self, page: Page, site: Site, article: Article, article_id: str) -> None:
        """Know the story again by each of its names."""
        keys = [key_of(page.url, site), key_of(page.requested_url, site)]
        link = article.canonical_link
        if link is not None and site.owns(link) and not is_home(link):
            named = key_of(link, site)
            taken = self._ledger.article_at(site.name, named)
            if taken is None or taken.article_id == article_id:
                keys.append(named)
        self._ledger.add_aliases(
            page.location.warc_path, site.name, dict.fromkeys(keys), article_id
        )


def link_status(verdict: str) -> LinkStatus:
    """Return what a link is on record as, after a capture with this verdict."""
    word, _, reason = verdict.partition(":")
    if word == Verdict.FAILED:
        return "gone" if reason in {"http_404", "http_410"} else "failed"
    return "refused" if word == Verdict.REFUSED else "done"


def key_of(url: str, site: Site) -> str:
    """Return the key of an address of `site`, its further hosts folded into the first."""
    return canonical_url(url, aliases=site.aliases())


def _article_state(
    revision: Revision,
    site: Site,
    *,
    ordinal: int,
    known: ArticleState | None,
    new: Relation | None,
) -> ArticleState:
    if new is not None:
        cluster_id, relation = new.cluster_id, new.relation
    elif known is not None:
        cluster_id, relation = known.cluster_id, known.cluster_relation
    else:
        cluster_id, relation = revision.article_id, "original"
    return ArticleState(
        article_id=revision.article_id,
        site=site.name,
        canonical_url=revision.canonical_url,
        url=revision.article.url,
        ordinal=ordinal,
        revision=revision.revision,
        content_hash=revision.article.content_hash,
        word_count=revision.article.word_count,
        cluster_id=cluster_id,
        cluster_relation=relation,
        first_seen=revision.first_seen,
    )
