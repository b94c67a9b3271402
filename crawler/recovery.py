"""What an earlier run left: responses in the archive that never got their verdict.

A row of `captures` is written with its verdict, so what is pending is a WARC record without a row.
It is taken up from the archive; nothing is fetched again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

from crawler.addresses import key_of, keys_of, names_another_address
from crawler.discovery import discover
from crawler.in_turn import InTurn
from crawler.ingest import Ingest, Turn
from crawler.link_queue import LinkQueue
from crawler.register import Register
from crawler.report import SiteReport
from crawler.run import Source
from crawler.site import Site
from pipelines import warc
from pipelines.archive import read_page, read_pages, refuse_foreign, warc_path_of
from pipelines.catch_up import catch_up, mark
from pipelines.errors import ArchiveError, DiscoveryError, SitrepError
from pipelines.lease import Lease
from pipelines.ledger import Ledger
from pipelines.model import Capture, Kind, Page, RecordLocation, Verdict
from pipelines.spool import OPEN_SUFFIX, claim_dead
from pipelines.state_tables import link_status

logger = logging.getLogger(__name__)

# Gives the lease of a site, or None for a site whose lease this run holds already.
LeaseOf = Callable[[str], Lease | None]


class _BusyError(Exception):
    """Another process writes a site of this file now; its time will come."""


class Recovery:
    """Takes up what dead runs left: what they committed by half, then what they only archived.

    `at_once` pages are held in memory, while the workers read them.
    """

    def __init__(
        self,
        ledger: Ledger,
        ingest: Ingest,
        *,
        spool: Path,
        register: Register,
        lease_of: LeaseOf,
        clock: Callable[[], datetime],
        at_once: int = 1,
    ):
        self._ledger = ledger
        self._ingest = ingest
        self._spool = spool
        self._register = register
        self._lease_of = lease_of
        self._clock = clock
        self._at_once = at_once
        self._answers: dict[str, tuple[int, str | None]] | None = None
        self._further: dict[tuple[str, str], RecordLocation] | None = None

    async def take_up(self) -> int:
        """Give every pending capture of dead runs its verdict; return how many there were.

        Cancelled, it leaves the file that it is at to the next run.
        """
        await self.catch_up()
        with self._asking_the_archive_first():
            return await self._take_files()

    async def _take_files(self) -> int:
        taken = 0
        for source, warc_path in self._pending_files():
            with ExitStack() as leases:
                taken += await self._take_file(source, warc_path, leases)
        if taken:
            logger.info("%d pages of an interrupted run were taken up from the archive", taken)
        return taken

    async def catch_up(self) -> None:
        """Bring the state up to the lake: to its rows, and to what only the archive tells."""
        ledger = self._ledger
        found = catch_up(ledger.lake, ledger.state, key_of=keys_of(self._register.find))
        for location in found.sources:
            self._list_again(location)
        for warc_path in found.warc_paths:
            await self._claim_again(warc_path)
        mark(ledger.state, found)

    def _list_again(self, location: RecordLocation) -> None:
        """Put down what a source listed last; it may answer 304 once all of that is dealt with."""
        ledger = self._ledger
        try:
            page = read_page(ledger.lake.storage, location)
        except ArchiveError as error:
            logger.warning("its links are found when it is asked again: %s", error)
            return
        known = ledger.response(page.site, page.url)
        if known is None:
            return
        source = Source(site=page.site, response=known)
        if self._list_links(page, source) and not source.asked:
            with ledger.state.transaction() as transaction:
                transaction.put_responses([replace(known, settled=True)])

    async def _claim_again(self, warc_path: str) -> None:
        """Put down which addresses the articles of a file named as their canonical ones."""
        ledger, claims = self._ledger, set()
        try:
            for page in read_pages(warc_path, storage=ledger.lake.storage):
                site = self._register.find(page.site)
                if site is not None and names_another_address(page):
                    claims |= await self._ingest.claims(page, site)
        except ArchiveError as error:
            logger.warning("the canonical links of its pages are not known again: %s", error)
        with ledger.state.transaction() as transaction:
            transaction.put_claims(claims)

    def _pending_files(self) -> Iterator[tuple[Path | str, str]]:
        """Yield files of dead runs with where they belong: first those that were moved already."""
        lake = self._ledger.lake
        with lake.lock():  # nobody is between moving a file and committing it
            moved = lake.uncommitted_warcs()
        yield from ((path, path) for path in moved)
        yield from ((file, warc_path_of(file)) for file in claim_dead(self._spool))

    @contextmanager
    def _asking_the_archive_first(self) -> Iterator[None]:
        """What a dead run had asked an old address, and archived, is not asked again."""
        reader = self._ingest.reader
        ask, go_on = self._ingest.ask, reader.go_on

        async def asked(url: str, site: Site) -> tuple[int, str | None]:
            if self._answers is None:
                self._answers = dict(self._pending_answers())
            if answer := self._answers.get(url):
                return answer
            return await ask(url, site) if ask else (0, None)

        self._ingest.ask, reader.go_on = asked, self._archived_further
        try:
            yield
        finally:
            self._ingest.ask, reader.go_on = ask, go_on

    async def _archived_further(self, url: str, first: Page, _site: Site) -> Page | None:
        """Return the page that a dead run had fetched to go on with a story."""
        if self._further is None:
            self._further = {
                (page.continues, page.url): page.location
                for page in self._pending_pages()
                if page.continues is not None
            }
        place = self._further.get((first.location.warc_record_id, url))
        if place is None:
            return None
        try:
            page = read_page(self._ledger.lake.storage, place, spool=self._spool)
        except ArchiveError as error:
            logger.warning("a further page of a story cannot be read: %s", error)
            return None
        return page if page.status == 200 else None

    def _pending_answers(self) -> Iterator[tuple[str, tuple[int, str | None]]]:
        """Yield by address what articles' pages answered, of all that has no verdict yet."""
        for page in self._pending_pages():
            if page.kind is Kind.ARTICLE and page.status != 304:
                target = page.headers.get("location")
                yield page.url, (page.status, urljoin(page.url, target) if target else None)

    def _pending_pages(self) -> Iterator[Page]:
        lake = self._ledger.lake
        sources: list[Path | str] = [
            *lake.uncommitted_warcs(),
            *self._spool.glob(f"*{OPEN_SUFFIX}"),
        ]
        for source in sources:
            with suppress(ArchiveError):  # whoever takes the file up says what is wrong with it
                yield from read_pages(source, storage=lake.storage)

    async def _take_file(self, source: Path | str, warc_path: str, leases: ExitStack) -> int:
        ledger, taken, leased = self._ledger, 0, set[str]()
        in_turn = InTurn(at_once=self._at_once)
        try:
            refuse_foreign(source, storage=ledger.lake.storage)
            self._refuse_copy(source)
            for page in read_pages(source, storage=ledger.lake.storage, warc_path=warc_path):
                self._lease(page.site, leased, leases)
                if page.kind is not Kind.ARTICLE:
                    await in_turn.drain()  # what it lists is told of the articles after it
                await in_turn.add(partial(self._take_page, page))
                taken += 1
            await in_turn.drain()
            if isinstance(source, Path):
                ledger.lake.add_warc(source, warc_path)
            ledger.commit(warc_path, now=self._clock())
        except _BusyError:
            logger.info("%s waits: another process writes one of its sites", source)
        except SitrepError as error:
            logger.error("%s stays as it is: %s", source, error)  # noqa: TRY400 - told in one line
        else:
            return taken
        finally:
            await in_turn.give_up()
            ledger.forget(warc_path)
        return 0

    def _refuse_copy(self, source: Path | str) -> None:
        """Raises ArchiveError for a spool file that somebody copied back from the lake."""
        lake = self._ledger.lake
        if not isinstance(source, Path):
            return  # of the files in the lake, copies are left out before
        with source.open("rb") as file:
            first = warc.first_capture(file, where=str(source))
        if first is not None and lake.has_captures({first}):
            raise ArchiveError(
                "what it holds is in the lake already",
                where=str(source),
                remedy="remove it: the lake has the same records",
            )

    def _lease(self, site: str, leased: set[str], leases: ExitStack) -> None:
        """Hold the site for as long as its pages are taken: a site has one writer."""
        if site in leased:
            return
        leased.add(site)
        lease = self._lease_of(site)
        if lease is None:
            return
        if not lease.try_acquire():
            raise _BusyError
        leases.callback(lease.release)

    async def _take_page(self, page: Page, turn: Turn) -> None:
        site = self._register.find(page.site)
        if page.kind is Kind.ARTICLE and not page.is_redirect and site is not None:
            await self._take_article(page, site, turn)
            return
        await turn()
        if page.status == 200:
            self._ledger.remember(page)
        if page.kind is Kind.FURTHER:
            self._take_further(page, site)
            return
        if page.kind is not Kind.ARTICLE or page.is_redirect:
            self._ledger.add_capture(Capture(page=page, verdict=_verdict(page)))
            if page.status == 200 and page.kind is not Kind.ROBOTS:
                self._list_links(page)
        else:
            self._ledger.add_capture(Capture(page=page, verdict=f"{Verdict.FAILED}:unknown_site"))

    def _take_further(self, page: Page, site: Site | None) -> None:
        """Give a further page its verdict, where its story, which came before it, did not."""
        if self._ledger.has_capture(page.location):
            return
        known = self._ledger.article_at(site.name, key_of(page.url, site)) if site else None
        is_of_story = known is not None and page.status == 200
        capture = Capture(
            page=page,
            verdict=str(Verdict.UNCHANGED if is_of_story else f"{Verdict.FAILED}:given_up"),
            article_id=known.article_id if known else None,
            revision=known.revision if known else None,
        )
        self._ledger.add_capture(capture)

    async def _take_article(self, page: Page, site: Site, turn: Turn) -> None:
        async def decide() -> None:
            await turn()
            if page.status == 200:
                self._ledger.remember(page)

        try:
            outcome = await self._ingest.take(page, site, turn=decide)
        except SitrepError:
            raise
        except Exception:  # one page that trips us must not stop every crawl there is
            logger.exception("%s could not be read", page.url)
            self._ledger.add_capture(Capture(page=page, verdict=f"{Verdict.FAILED}:callback_error"))
        else:
            if outcome.is_cut_short:
                return  # what it lacks is asked for by the next crawl: its link stays pending
            self._close_link(page, site, outcome.capture)

    def _close_link(self, page: Page, site: Site, capture: Capture) -> None:
        known = self._ledger.link(site.name, key_of(page.requested_url, site))
        status = link_status(capture.verdict)
        if known is None or status == "failed" or page.imported_from:
            return  # it stays pending, and is asked again: what was imported may be older than it
        closed = replace(
            known,
            status=status,
            attempts=0,
            article_id=capture.article_id or known.article_id,
            last_fetched=page.fetched_at,
        )
        self._ledger.add_link(page.location.warc_path, closed)

    def _list_links(self, page: Page, source: Source | None = None) -> bool:
        """Put down as pending what a source lists: until it is asked again it may list others."""
        site = self._register.find(page.site)
        if site is None:
            return False
        try:
            found = discover(page.kind, page.body, page.url, site=site, headers=page.headers)
        except DiscoveryError as error:
            logger.warning("%s: %s", page.url, error)
            return False
        queue = LinkQueue(site, self._ledger, limit=0, dates=None, now=self._clock())
        list(queue.choose(found.links, SiteReport(site=site.name), source))
        return True


def _verdict(page: Page) -> str:
    """Return the verdict of what is no article."""
    if page.status == 304:
        return Verdict.NOT_MODIFIED.value
    if page.status >= 400 and page.kind is not Kind.ROBOTS:
        return f"{Verdict.FAILED}:http_{page.status}"
    return Verdict.DISCOVERY.value
