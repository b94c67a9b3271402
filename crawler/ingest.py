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
from crawler.story_pages import NOTHING, Rest
from crawler.story_reader import StoryReader
from pipelines.deduplicate import deduplicated, put_down
from pipelines.errors import ExtractionError
from pipelines.ledger import Ledger
from pipelines.model import Article, Capture, Page, Revision, Verdict
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
from pipelines.sessions import session_marks
from pipelines.state_tables import ArticleState
from pipelines.urls import is_home

logger = logging.getLogger(__name__)

# Answers that say: this address is no more, its story may live elsewhere.
GONE = frozenset({404, 410})
MOVED = frozenset({301, 308})

# Asks an old address once: the status it answers with, and where it points when that is a redirect.
Ask = Callable[[str, Site], Awaitable[tuple[int, str | None]]]
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
        self.reader = StoryReader(ledger, pool, spool=spool)
        self.ask = ask
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
        page = self.reader.with_known_hints(page, site)
        known = self._known(page, site)
        if known is not None and is_further_page(page.url, of=known.url):
            await turn()
            return self._closed(page, Verdict.UNCHANGED, known)
        try:
            article = await self.reader.read(page, site)
        except ExtractionError as error:
            await turn()
            return self._failed(page, site, error.message.split()[0], error.message)
        known_as = known.article_id if known else None
        rest = await self.reader.rest(page, site, article, article_id=known_as)
        await turn()
        if article.refusal is not None:
            return self._refused(page, site, article.refusal)
        if is_home(page.url) and not is_home(page.requested_url):
            # A redirect to the front page is how some sites say that a story is gone.
            return self._refused(page, site, "redirected_home")
        read = _reading(page, site, rest.behind(article), rest)
        async with self._turns[site.name]:
            return self._with_rest(await self._store(read), read)

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
            article = await self.reader.read(page, site) if known else None
        except ExtractionError:
            return set()
        if known is None or article is None:
            return set()
        read = _reading(page, site, article, NOTHING)
        claimed = read.canonical is not None and read.canonical not in {read.answered, read.asked}
        return {(site.name, str(read.canonical), known.article_id)} if claimed else set()

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
        if known is None and (other := self._of_other_session(read)):
            return self._unchanged(read, other)
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
        comparable = await self.reader.like(read.article, before, read.site)
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

    def _of_other_session(self, read: _Reading) -> ArticleState | None:
        """Return the story whose address differs in what may be a session id, and its text not."""
        marks = [mark for mark, _ in session_marks(read.answered)]
        found = (self._ledger.article_at(read.site.name, mark) for mark in marks)
        same = (one for one in found if one and one.content_hash == read.article.content_hash)
        return next(same, None) if read.article.article_body else None

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
        article = await self.reader.with_lasting_hints(
            read.page, read.site, read.article, read.rest, before=before, comparable=comparable
        )
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
        state, unseated = put_down(self._ledger, path, revision, found, site=name, current=known)
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
        keys += [mark for key in keys for mark, _ in session_marks(key)]
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
