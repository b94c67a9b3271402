"""From a page in the archive to a verdict: extract, know it again, revise, relate.

    Page → Article → Revision → Capture

Needs no Scrapy. What only the network can tell (does an old address still answer?) is asked
through `ask`, which a run without network leaves out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from crawler.addresses import key_of, named_key
from crawler.extraction.further_pages import is_further_page
from crawler.extraction_pool import ExtractionPool
from crawler.site import Site
from crawler.story_pages import NOTHING, GoOn, Rest, archived_further, read_rest
from pipelines.archive import read_page
from pipelines.deduplicate import deduplicated, put_down
from pipelines.errors import ArchiveError, ExtractionError
from pipelines.hints import merged_hints
from pipelines.ledger import Ledger
from pipelines.model import Article, Capture, Page, Relation, Revision, Verdict
from pipelines.revise import (
    article_id,
    changes,
    first_revision,
    is_another_story,
    next_extraction,
    next_revision,
    settled,
    tells_otherwise,
)
from pipelines.state_tables import ArticleState
from pipelines.urls import is_home

logger = logging.getLogger(__name__)

# Answers that say: this address is no more, its story may live elsewhere.
GONE = frozenset({404, 410})
MOVED = frozenset({301, 308})

# Asks an old address once: the status it answers with, and where it points when that is a redirect.
Ask = Callable[[str, Site], Awaitable[tuple[int, str | None]]]
# Gives the page at an address at which the story of a first page goes on, archived, or None.
GoOnAt = Callable[[str, Page, Site], Awaitable[Page | None]]
# Returns when it is a page's turn to be decided on.
Turn = Callable[[], Awaitable[None]]


async def at_once() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one article page."""

    capture: Capture
    error: str | None = None
    is_duplicate: bool = False
    is_older: bool = False  # than what its article is by now: it is no version of it
    unseated: tuple[ArticleState, ...] = ()  # what were originals until this article came
    is_cut_short: bool = False  # it goes on at an address that gave no page

    @property
    def verdict(self) -> str:
        return self.capture.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A page, what was read from it, and its names: where it answered, was asked for, says it is.

    The names are keys; `canonical` is None where the page names no address of its site.
    `article` is the whole story, with the `rest` of its pages.
    """

    page: Page
    site: Site
    article: Article
    rest: Rest
    answered: str
    asked: str
    canonical: str | None


class Ingest:
    """Takes pages one by one; several may be read at once, but are decided on in turn."""

    def __init__(
        self,
        ledger: Ledger,
        pool: ExtractionPool,
        *,
        ask: Ask | None = None,
        spool: Path | None = None,
    ):
        self._ledger = ledger
        self._pool = pool
        self._spool = spool
        self.ask = ask
        self.go_on: GoOnAt | None = None
        # Two pages of one story, read at the same time, must not both be new.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, page: Page, site: Site, *, turn: Turn = at_once) -> Outcome:
        """Give `page` its verdict, and what follows from it to the ledger.

        `turn` is awaited between the reading of the page, which many may do at once, and that.
        """
        if not _is_readable(page):
            await turn()
            return self._unread(page, site)
        if page.withheld is not None:
            await turn()
            return self._refused(page, site, f"reserved_{page.withheld}")
        page = self._with_known_hints(page, site)
        known = self._known(page, site)
        if known is not None and is_further_page(page.url, of=known.url):
            await turn()
            return self._closed(page, Verdict.UNCHANGED, known)
        try:
            article = await self._pool.extract(page, site)
        except ExtractionError as error:
            await turn()
            return self._failed(page, site, error.message.split()[0], error.message)
        rest = await self._rest(page, site, article, known)
        await turn()
        if article.refusal is not None:
            return self._refused(page, site, article.refusal)
        if is_home(page.url) and not is_home(page.requested_url):
            # A redirect to the front page is how some sites say that a story is gone.
            return self._refused(page, site, "redirected_home")
        read = _reading(page, site, rest.behind(article), rest)
        async with self._turns[site.name]:
            return self._with_rest(await self._store(read), read)

    async def _rest(
        self, page: Page, site: Site, article: Article, known: ArticleState | None
    ) -> Rest:
        """Read the further pages of a story: as they are now, or else as they were last."""
        archived = self._archived_further(known.article_id) if known else None

        async def go_on(address: str, first: Page) -> Page | None:
            found = await self.go_on(address, first, site) if self.go_on else None
            if found is None and archived is not None:
                return await archived(address, first)
            return found

        return await read_rest(page, article, read=self._pool.reader(site), go_on=go_on)

    def _with_rest(self, outcome: Outcome, read: _Reading) -> Outcome:
        """Give the further pages their verdicts too: by themselves they make nothing new."""
        capture, first = outcome.capture, read.page.location
        is_cut_short = read.article.next_page is not None
        if is_cut_short:
            self._ledger.distrust(read.page)
        verdicts = [(one.page, Verdict.UNCHANGED.value) for one in read.rest.pages]
        if read.rest.left is not None:
            verdicts.append(read.rest.left)
        for page, verdict in verdicts:
            if page.continues == first.warc_record_id:  # else it is that of an earlier time
                self._ledger.add_capture(replace(capture, page=page, verdict=verdict))
        if capture.article_id:
            keys = dict.fromkeys(key_of(one.page.url, read.site) for one in read.rest.pages)
            self._ledger.add_aliases(first.warc_path, read.site.name, keys, capture.article_id)
        return replace(outcome, is_cut_short=is_cut_short)

    def _unread(self, page: Page, site: Site) -> Outcome:
        if page.status == 304:
            return self._not_modified(page, site)
        if page.status != 200:
            return self._failed(page, site, f"http_{page.status}", f"HTTP {page.status}")
        error = "the body is not what its Content-Encoding says"
        return self._failed(page, site, "broken_encoding", error)

    async def claims(self, page: Page, site: Site) -> set[tuple[str, str, str]]:
        """Return what a page of the archive claims of its story's address: (site, key, article).

        Nothing when no story is known by its own address, or it names no other.
        """
        known = self._ledger.article_at(site.name, key_of(page.url, site))
        try:
            article = await self._pool.extract(page, site) if known else None
        except ExtractionError:
            return set()
        if known is None or article is None:
            return set()
        read = _reading(page, site, article, NOTHING)
        claimed = read.canonical is not None and read.canonical not in {read.answered, read.asked}
        return {(site.name, str(read.canonical), known.article_id)} if claimed else set()

    def _with_known_hints(self, page: Page, site: Site) -> Page:
        link = self._ledger.link(site.name, key_of(page.requested_url, site))
        return replace(page, hints=merged_hints(link.link.hints, page.hints)) if link else page

    # What gives no article

    def _not_modified(self, page: Page, site: Site) -> Outcome:
        known = self._known(page, site)
        if known is None:
            error = "HTTP 304, but nothing of it is on record"
            return self._failed(page, site, "not_modified_unknown", error)
        return self._closed(page, Verdict.NOT_MODIFIED, known)

    def _failed(self, page: Page, site: Site, reason: str, error: str) -> Outcome:
        self._ledger.distrust(page)
        known = self._known(page, site)
        return replace(self._closed(page, f"{Verdict.FAILED}:{reason}", known), error=error)

    def _refused(self, page: Page, site: Site, reason: str) -> Outcome:
        self._ledger.distrust(page)
        known = self._known(page, site)
        outcome = self._closed(page, f"{Verdict.REFUSED}:{reason}", known)
        return replace(outcome, error=f"refused: {reason}")

    def _closed(self, page: Page, verdict: str, known: ArticleState | None) -> Outcome:
        capture = Capture(
            page=page,
            verdict=str(verdict),
            article_id=known.article_id if known else None,
            revision=known.revision if known else None,
        )
        self._ledger.add_capture(capture)
        is_copy = known is not None and known.cluster_relation != "original"
        return Outcome(capture=capture, is_duplicate=is_copy)

    # Which story it is

    async def _store(self, read: _Reading) -> Outcome:
        known = self._known(read.page, read.site)
        if known is None and (other := self._other_form(read)):
            return self._joined(read, other)
        moved = await self._moved_from(read, known)
        known = moved or known
        if known is None:
            return self._new(read)
        before = self._ledger.current(known.article_id)
        if read.page.fetched_at < before.fetched_at:
            # Taken up late from the archive: a later page has told already what became of it.
            return replace(self._closed(read.page, Verdict.UNCHANGED, known), is_older=True)
        if _is_form_of(known, read):
            return self._unchanged(read, known)
        comparable = await self._like_with_like(before, read)
        if self._is_other_story(read, comparable):
            return self._new(read)
        return await self._again(read, known, before, comparable, is_moved=moved is not None)

    def _known(self, page: Page, site: Site) -> ArticleState | None:
        for url in dict.fromkeys((page.url, page.requested_url)):
            if found := self._ledger.article_at(site.name, key_of(url, site)):
                return found
        return None

    def _other_form(self, read: _Reading) -> ArticleState | None:
        """Return the story that this page is another form of, by a rel=canonical that is right.

        Such a link may be the home page, another site, or one that different texts share: it is
        believed only between pages of this very text, whichever of the two came first.
        """
        if not read.article.article_body:
            return None
        name, canonical = read.site.name, read.canonical
        found = self._ledger.claimants(name, read.answered)
        if canonical is not None:
            named = self._ledger.article_at(name, canonical)
            found = [named] if named else [*found, *self._ledger.claimants(name, canonical)]
        return next((one for one in found if one.content_hash == read.article.content_hash), None)

    async def _moved_from(self, read: _Reading, known: ArticleState | None) -> ArticleState | None:
        """Return the article that lived elsewhere until now, by the word of its old address.

        Either a new address has the very text of a known one, or a known one led to a new one.
        """
        if self.ask is None or not read.article.article_body or self._is_known_address(read):
            return None
        same_text = self._ledger.articles_with_text(read.article.content_hash)
        for old in [known] if known else [one for one in same_text if one.site == read.site.name]:
            status, target = await self.ask(old.url, read.site)
            points_here = target is not None and named_key(target, read.site) == read.answered
            if (status in GONE and known is None) or (status in MOVED and points_here):
                return old
        return None

    def _is_known_address(self, read: _Reading) -> bool:
        return self._ledger.article_at(read.site.name, read.answered) is not None

    def _is_other_story(self, read: _Reading, before: Article) -> bool:
        if self._is_known_address(read):
            return is_another_story(before, read.article)
        # A removed story that redirects elsewhere does not become what stands there.
        return tells_otherwise(before, read.article)

    # What it was, and what it is

    async def _like_with_like(self, before: Revision, read: _Reading) -> Article:
        """Return the article as it was, read by the extractor that reads it now."""
        if before.article.extractor == read.article.extractor:
            return before.article
        page = self._archived(before)
        if page is None:
            return before.article
        try:
            article = await self._pool.extract(self._with_known_hints(page, read.site), read.site)
        except ExtractionError as error:
            logger.warning("cannot read the last version again, its row is used: %s", error)
            return before.article
        archived = self._archived_further(before.article_id)
        reader = self._pool.reader(read.site)
        rest = await read_rest(page, article, read=reader, go_on=archived)
        return rest.behind(article)

    def _archived_further(self, article_id: str) -> GoOn:
        return archived_further(self._ledger, article_id, spool=self._spool)

    async def _with_lasting_hints(
        self, read: _Reading, before: Revision, comparable: Article
    ) -> Article:
        """Return the article, read again with the hints of its last version when those are gone.

        A recrawl comes without them, an address may be listed no more: neither is an edit.
        """
        if not set(changes(comparable, read.article)) - {"body", "access"}:
            return read.article
        old = self._archived(before)
        hints = merged_hints(old.hints, read.page.hints) if old else read.page.hints
        if hints == read.page.hints:
            return read.article
        try:
            again = await self._pool.extract(replace(read.page, hints=hints), read.site)
        except ExtractionError as error:
            logger.warning("cannot be read again with its hints: %s", error)
            return read.article
        return read.rest.behind(again)

    def _archived(self, revision: Revision) -> Page | None:
        place = (revision.location.warc_path, revision.location.warc_offset)
        try:
            return read_page(self._ledger.lake.storage, place, spool=self._spool)
        except (ArchiveError, OSError) as error:
            logger.warning("the bytes of %s cannot be read: %s", revision.article.url, error)
            return None

    # What becomes of it

    def _new(self, read: _Reading) -> Outcome:
        # An id is for ever, also of a story that has left this address.
        ordinal = next(
            n for n in count(1) if not self._ledger.article(article_id(read.answered, n))
        )
        revision = first_revision(
            read.article,
            canonical_url=read.answered,
            ordinal=ordinal,
            fetched_at=read.page.fetched_at,
            location=read.page.location,
        )
        return self._recorded(read, revision, Verdict.NEW, None)

    def _joined(self, read: _Reading, other: ArticleState) -> Outcome:
        """Know a print version by its story, or a story by its print version."""
        if read.canonical is not None and read.canonical != read.answered:
            return self._unchanged(read, other)
        return self._read_anew(read, other, self._ledger.current(other.article_id))

    async def _again(
        self,
        read: _Reading,
        known: ArticleState,
        before: Revision,
        comparable: Article,
        *,
        is_moved: bool,
    ) -> Outcome:
        article = await self._with_lasting_hints(read, before, comparable)
        read = replace(read, article=article)
        if change := changes(comparable, article):
            revision = next_revision(
                before,
                settled(comparable, article),
                change=change,
                canonical_url=read.answered if is_moved else known.canonical_url,
                fetched_at=read.page.fetched_at,
                location=read.page.location,
            )
            return self._recorded(read, revision, Verdict.CHANGED, known)
        return self._read_anew(read, known, before) if is_moved else self._unchanged(read, known)

    def _read_anew(self, read: _Reading, known: ArticleState, before: Revision) -> Outcome:
        """Write the same version down again, at its new address: nothing its publisher wrote."""
        revision = next_extraction(
            before,
            settled(before.article, read.article),
            canonical_url=read.answered,
            location=read.page.location,
        )
        return self._recorded(read, revision, Verdict.UNCHANGED, known)

    def _unchanged(self, read: _Reading, known: ArticleState) -> Outcome:
        self._add_names(read, known.article_id)
        return self._closed(read.page, Verdict.UNCHANGED, known)

    def _recorded(
        self, read: _Reading, revision: Revision, verdict: Verdict, known: ArticleState | None
    ) -> Outcome:
        path, name = read.page.location.warc_path, read.site.name
        found = deduplicated(self._ledger, revision, site=name, current=known)
        own = next((one for one in found.relations if one.article_id == revision.article_id), None)
        state = _article_state(revision, read.site, known=known, new=own)
        unseated = put_down(self._ledger, path, revision, state, found)
        self._add_names(read, revision.article_id)
        logger.info("%s %s: %s (revision %d)", state.site, verdict, state.url, state.revision)
        return replace(self._closed(read.page, verdict, state), unseated=unseated)

    def _add_names(self, read: _Reading, article_id: str) -> None:
        """Know the story again by each address that led to it; a canonical link only claims one."""
        site, path, keys = read.site.name, read.page.location.warc_path, [read.answered]
        there = self._ledger.article_at(site, read.asked)
        # A story that redirects to another keeps its own address, should it ever come back.
        if there is None or there.article_id == article_id or there.canonical_url != read.asked:
            keys.append(read.asked)
        self._ledger.add_aliases(path, site, dict.fromkeys(keys), article_id)
        if read.canonical is not None and read.canonical not in keys:
            self._ledger.add_claim(path, site, read.canonical, article_id)


def _is_readable(page: Page) -> bool:
    return page.status == 200 and bool(page.body or not page.payload_bytes)


def _is_form_of(known: ArticleState, read: _Reading) -> bool:
    """Tell whether a page is a print version of what is known, of which it may tell less."""
    return (
        read.canonical == known.canonical_url
        and read.canonical != read.answered
        and known.content_hash == read.article.content_hash
    )


def _reading(page: Page, site: Site, article: Article, rest: Rest) -> _Reading:
    link = article.canonical_link
    return _Reading(
        page=page,
        site=site,
        article=article,
        rest=rest,
        answered=key_of(page.url, site),
        asked=key_of(page.requested_url, site),
        canonical=named_key(link, site) if link else None,
    )


def _article_state(
    revision: Revision, site: Site, *, known: ArticleState | None, new: Relation | None
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
        revision=revision.revision,
        content_hash=revision.article.content_hash,
        word_count=revision.article.word_count,
        cluster_id=cluster_id,
        cluster_relation=relation,
        date_published=revision.article.date_published,
        date_published_precision=revision.article.date_published_precision,
        first_seen=revision.first_seen,
    )
