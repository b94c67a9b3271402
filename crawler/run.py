"""One run of the crawler: what it opens, what it knows, what it counts, how it ends."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from crawler import __version__
from crawler.addresses import key_of
from crawler.archivist import Archivist
from crawler.extraction_pool import ExtractionPool
from crawler.ingest import Ingest, Outcome, Turn, at_once
from crawler.learning import Learning
from crawler.polls import Polls
from crawler.report import RunReport
from crawler.reservations import reservations_of
from crawler.settings import Settings
from crawler.site import Site
from pipelines.archive import read_page
from pipelines.archive_writer import Exchange, RevisitOf
from pipelines.content_coding import body_of
from pipelines.errors import LakeError, SitrepError, StateError
from pipelines.hints import merged_hints
from pipelines.host_state import HostState
from pipelines.lake import Lake, is_there
from pipelines.ledger import Ledger
from pipelines.model import Capture, Hints, Kind, Page, RecordLocation, Verdict
from pipelines.schedule_state import put_sources, put_turn, put_warnings, sources_of, turn_of
from pipelines.state import State
from pipelines.state_tables import ResponseState, SiteState
from pipelines.warc import header_map, sha1

logger = logging.getLogger(__name__)

SOFTWARE = f"sitrep/{__version__}"


@dataclass(slots=True)
class Source:
    """A feed, sitemap or listing that was asked for in this run, and the links it wants asked."""

    site: str
    response: ResponseState
    asked: set[str] = field(default_factory=set)


class Run:
    """Everything that the steps of one run share. Ended by `end`."""

    def __init__(
        self,
        *,
        run_id: str,
        settings: Settings,
        clock: Callable[[], datetime],
        lake: Lake,
        state: State,
        pool: ExtractionPool,
        sites: Sequence[Site] = (),
    ):
        self.sites = tuple(sites)
        self.run_id = run_id
        self.settings = settings
        self.clock = clock
        self.lake = lake
        self.state = state
        self.ledger = Ledger(lake, state)
        self.pool = pool
        self.ingest = Ingest(self.ledger, pool, spool=settings.spool_folder)
        self.report = RunReport(run_id=run_id, started_at=clock())
        self.fatal: SitrepError | None = None
        self.on_stop: Callable[[], None] = lambda: None
        # Whether it asks the sites themselves: their next crawl is due by the last that did.
        self.is_crawl = True
        # Whether it asks them for what is new, so that the schedule may learn from it.
        self.is_poll = False
        self.polls = Polls()
        self._unsettled: dict[str, Page] = {}
        self._sources: dict[tuple[str, str], Source] = {}
        self._hosts: dict[str, HostState] = {}
        self._archivist = Archivist(
            self.ledger,
            spool=settings.spool_folder,
            run_id=run_id,
            software=SOFTWARE,
            clock=clock,
        )

    # The archive

    async def archive(self, exchange: Exchange) -> Page:
        """Write a response down; what needs no verdict of its own has it at once.

        All that is known of an article goes with it, so that the archive alone can tell it again.
        """
        if exchange.kind is Kind.ARTICLE:
            exchange = replace(exchange, hints=self._known_hints(exchange))
        exchange = with_reservations(exchange, obeyed=self.settings.reservations)
        location = await self._archivist.store(exchange)
        page = page_of(exchange, location)
        self._unsettled[location.warc_record_id] = replace(page, body=b"")
        if page.status == 200:
            self.ledger.remember(page)
        if page.kind is Kind.ROBOTS or page.is_redirect:
            self.settle(page, Verdict.DISCOVERY)
        return page

    def _known_hints(self, exchange: Exchange) -> Hints:
        site = next((one for one in self.sites if one.name == exchange.site), None)
        link = self.ledger.link(site.name, key_of(exchange.requested_url, site)) if site else None
        return merged_hints(link.link.hints, exchange.hints) if link else exchange.hints

    def revisit_of(self, site: str, url: str) -> RevisitOf | None:
        """Return the last full answer of `url`, which a new one may repeat."""
        known = self.ledger.response(site, url)
        if known is None:
            return None
        return RevisitOf(
            warc_record_id=known.location.warc_record_id,
            url=known.url,
            fetched_at=known.fetched_at,
            warc_path=known.location.warc_path,
            warc_offset=known.location.warc_offset,
            payload_digest=known.payload_digest,
        )

    def settle(self, page: Page, verdict: str, *, article_id: str | None = None) -> None:
        """Give a page that is no article its verdict."""
        self.ledger.add_capture(Capture(page=page, verdict=str(verdict), article_id=article_id))
        self._settled(page)

    def _settled(self, page: Page) -> None:
        self._unsettled.pop(page.location.warc_record_id, None)
        self._archivist.settle(page.location)

    # Articles

    async def take(self, page: Page, site: Site, *, turn: Turn = at_once) -> Outcome:
        """Give an article page its verdict, once it is its turn."""
        try:
            outcome = await self.ingest.take(page, site, turn=turn)
        except BaseException:
            self._settle_further(page)
            raise
        self._settled(page)
        self._settle_further(page)
        return outcome

    def _settle_further(self, first: Page) -> None:
        """A story's further pages have their verdicts with it, or are given up with it."""
        for page in list(self._unsettled.values()):
            if page.continues != first.location.warc_record_id:
                continue
            if self.ledger.has_capture(page.location):
                self._settled(page)
            else:
                self.settle(page, f"{Verdict.FAILED}:given_up")

    # Hosts

    def host(self, host: str) -> HostState:
        """Return what is on record of a host."""
        if host not in self._hosts:
            self._hosts[host] = self.state.host(host)
        return self._hosts[host]

    def put_host(self, host: HostState) -> None:
        """Put down what a host asked for, at once: a kill must not make us forget it."""
        self._hosts[host.host] = host
        with self.state.transaction() as transaction:
            transaction.put_host(host)

    # Feeds and their like

    def archived_copy(self, page: Page) -> Page | None:
        """Return the last full answer of the address that now says 304, under this page's name."""
        known = self.ledger.response(page.site, page.url)
        if known is None:
            return None
        copy = read_page(self.lake.storage, known.location, spool=self.settings.spool_folder)
        return replace(page, body=copy.body, headers={**copy.headers, **page.headers})

    def source(self, page: Page) -> Source | None:
        """Return the record of a source, to which the links that it wants asked are added."""
        known = self.ledger.response(page.site, page.url)
        if known is None:
            return None
        return self._sources.setdefault(
            (page.site, page.url), Source(site=page.site, response=known)
        )

    # The end

    def stop(self, error: SitrepError) -> None:
        """End the run early: what is in the archive stays, what is in flight is finished."""
        if self.fatal is None:
            self.fatal = error
            self.on_stop()

    async def end(self) -> None:
        """Commit what is left and write the run down. Raises what made the run end early."""
        for page in list(self._unsettled.values()):
            # Nobody is left to read it: its request was given up after it had been answered.
            self.settle(page, f"{Verdict.FAILED}:given_up")
        await self._archivist.finish()
        self._settle_sources()
        if self.fatal is None and not self.report.is_interrupted:
            await self._learn()
        self.report.finished_at = self.clock()
        if self.fatal is None and self.is_crawl:
            for site in self.sites:
                self._note_site(site)
        self.lake.add_run(
            {
                "run_id": self.run_id,
                "started_at": self.report.started_at,
                "finished_at": self.report.finished_at,
                "version": __version__,
                "settings_hash": self.settings.settings_hash(),
                "sites": [site.name for site in self.sites],
                "totals": self.report.totals(),
                "exit_status": 1 if self.fatal else self.report.exit_status,
            }
        )
        if self.fatal is not None:
            raise self.fatal

    async def _learn(self) -> None:
        learning = Learning(
            self.ledger,
            self.pool,
            run_id=self.run_id,
            folder=self.settings.state_folder / "mend",
            clock=self.clock,
            is_stopped=lambda: self.report.is_interrupted,
            at_once=2 * self.settings.workers,
        )
        try:
            await learning.run(self.sites)
        except SitrepError as error:
            logger.warning("what its sites repeat is left for the next run to learn: %s", error)

    def _settle_sources(self) -> None:
        """Only a source whose every link was dealt with may be asked with its validators."""
        settled = [
            replace(source.response, settled=True)
            for source in self._sources.values()
            if all(self._is_settled(source.site, key) for key in source.asked)
        ]
        with self.state.transaction() as transaction:
            transaction.put_responses(settled)

    def _is_settled(self, site: str, url_key: str) -> bool:
        link = self.state.link(site, url_key)
        return link is not None and link.status not in {"pending", "failed"}

    def _note_site(self, site: Site) -> None:
        report = self.report.site(site.name)
        if "busy" in report.skipped:
            return
        before, now = self.state.site(site.name), self.report.finished_at
        failed = report.is_failed
        first = report.errors[0] if report.errors else None
        note = SiteState(
            site=site.name,
            last_run=now,
            last_success=before.last_success if failed else now,
            last_error=f"{first['url']}: {first['error']}" if failed and first else None,
        )
        with self.state.transaction() as transaction:
            transaction.put_site(note)
        if self.is_poll:
            put_sources(self.state, self.polls.of(site.name, sources_of(self.state, site.name)))
            warnings = self.report.site(site.name).warnings
            asked = self.polls.asked(site.name) | {site.home}
            put_warnings(self.state, site.name, warnings, asked=asked)
            self._note_turn(site)

    def _note_turn(self, site: Site) -> None:
        began, ended = self.report.started_at, self.report.finished_at or self.clock()
        spent = turn_of(self.state, site.name).spent(
            self.report.site(site.name).revisits, day=f"{began:%Y-%m-%d}"
        )
        seconds = max((ended - began).total_seconds(), 0.0)
        put_turn(
            self.state,
            replace(spent, began_at=began, seconds=seconds, failures=0, not_before=None),
        )


def new_run_id(now: datetime) -> str:
    """Return a run's name: its start, and a few random digits so that no two are alike."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def open_lake_and_state(settings: Settings) -> tuple[Lake, State]:
    """Open both for writing, and hold them against each other.

    Raises LakeError, StateError; StateError too when the state is another lake's index: then
    nothing was written.
    """
    state = State.open(settings.state)
    is_bound = state.note("lake_id") is not None
    try:
        # Where the state has its lake already, a missing one is not made anew: it is elsewhere.
        lake = Lake.open(settings.lake, create=not is_bound)
        state.belongs_to(lake.lake_id)
    except SitrepError as error:
        state.close()
        if is_bound and isinstance(error, LakeError) and not is_there(settings.lake):
            raise StateError(
                "is the index of a lake that is not there",
                where=settings.state,
                remedy=f"bring the lake back to {settings.lake}, or set SITREP_STATE to a new file",
            ) from error
        raise
    return lake, state


def with_reservations(exchange: Exchange, *, obeyed: Collection[str]) -> Exchange:
    """Return a response with what its publisher reserves, and without its payload where we obey.

    Only articles' pages are looked at: a feed that is not to be indexed is there to be read.
    """
    if exchange.kind not in {Kind.ARTICLE, Kind.FURTHER} or exchange.status != 200:
        return exchange
    headers = _headers(exchange)
    reserved = reservations_of(headers, _body(exchange, headers))
    withheld = next((name for name in reserved if name in obeyed), None)
    if withheld is None:
        return replace(exchange, reserved=reserved)
    return replace(exchange, reserved=reserved, withheld=withheld, payload=b"", revisit_of=None)


def page_of(exchange: Exchange, location: RecordLocation) -> Page:
    """Return the page that a response is, its body decoded; empty where that cannot be done."""
    headers = _headers(exchange)
    return Page(
        site=exchange.site,
        kind=exchange.kind,
        run_id=exchange.run_id,
        url=exchange.url,
        requested_url=exchange.requested_url,
        status=exchange.status,
        headers=headers,
        body=_body(exchange, headers),
        fetched_at=exchange.fetched_at,
        hints=exchange.hints,
        imported_from=exchange.imported_from,
        continues=exchange.continues,
        reserved=exchange.reserved,
        withheld=exchange.withheld,
        payload_digest=sha1(b"" if exchange.status == 304 else exchange.payload),
        payload_bytes=len(exchange.payload),
        location=location,
    )


def _headers(exchange: Exchange) -> dict[str, str]:
    lines = [f"{_text(name)}: {_text(value)}" for name, value in exchange.headers]
    return header_map(lines)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _body(exchange: Exchange, headers: dict[str, str]) -> bytes:
    if exchange.status == 304:
        return b""
    try:
        return body_of(exchange.payload, headers.get("content-encoding", ""))
    except ValueError as error:
        logger.warning("%s: the body cannot be decoded (%s)", exchange.url, error)
        return b""
