"""Today's extractor over the archive: a newer extraction of the same versions, no network.

An extractor's change is not a publisher's change, so no revision is made; and a site that would
get worse is refused until somebody has looked.

What is read is put aside, chunk by chunk, beside the state. So a run that is killed goes on where
it was, and nothing is stored before the whole site has passed the gate.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from crawler.differences import Tally
from crawler.extraction import extractor_id
from crawler.extraction_pool import ExtractionPool
from crawler.report import iso
from crawler.reread import CHUNK, Plan, Reread, Rereader, plan_of
from crawler.site import Site
from pipelines.ledger import Ledger
from pipelines.model import Revision
from pipelines.publish import publish
from pipelines.regroup import regroup
from pipelines.schema import COUNTS, TABLES
from pipelines.sql import connect_offline, scan
from pipelines.state_tables import ArticleState
from pipelines.workfile import WorkFile

logger = logging.getLogger(__name__)

# Rows of one commit. Each commit publishes, which writes again the parts that its rows lie in.
STORED_AT_ONCE = 2_000
# Articles that find their place among copies under one lock of the lake.
REGROUPED_AT_ONCE = 500
READY = "ready"


@dataclass(slots=True, kw_only=True)
class SiteResult:
    """What became of a site. `refused` says why it was, `error` why it could not be read at all.

    `resumed` counts the rows that an interrupted run had read already, `overtaken` those that a
    crawl has written anew since.
    """

    site: str
    tally: Tally = field(default_factory=Tally)
    resumed: int = 0
    stored: int = 0
    overtaken: int = 0
    refused: str | None = None
    error: str | None = None
    skipped: str | None = None

    @property
    def is_failed(self) -> bool:
        # A row whose bytes cannot be read stays at the extraction it has: nothing else tells a
        # program that calls us that part of what it asked for was not done.
        return bool(self.refused or self.error or self.tally.unreadable)

    def as_json(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "site": self.site,
            "rows": tally.rows,
            "resumed": self.resumed,
            "differing": tally.differing,
            "changes": dict(sorted(tally.changes.items())),
            "examples": tally.examples,
            "worse": tally.worse,
            "losses": tally.losses,
            "refusals": dict(sorted(tally.refusals.items())),
            "unreadable": tally.unreadable,
            "errors": tally.errors,
            "stored": self.stored,
            "overtaken": self.overtaken,
            "refused": self.refused,
            "error": self.error,
            "skipped": {self.skipped: 1} if self.skipped else {},
        }


@dataclass(slots=True, kw_only=True)
class Report:
    """What `reextract` tells at its end. `run_id` is None where nothing was to be written.

    `pages` were read in `seconds` by `cores` worker processes; `regrouped` counts new relations.
    """

    run_id: str | None
    started_at: datetime
    cores: int
    finished_at: datetime | None = None
    sites: list[SiteResult] = field(default_factory=list)
    pages: int = 0
    seconds: float = 0.0
    regrouped: int = 0
    is_interrupted: bool = False

    @property
    def pages_per_second(self) -> float:
        return self.pages / self.seconds if self.seconds else 0.0

    @property
    def stored(self) -> int:
        return sum(site.stored for site in self.sites)

    @property
    def exit_status(self) -> int:
        return 130 if self.is_interrupted else int(any(site.is_failed for site in self.sites))

    def row(self) -> dict[str, Any]:
        """Return what the table `runs` has of it: nothing was fetched, no version was made."""
        tallies = [site.tally for site in self.sites]
        counts = dict.fromkeys(COUNTS, 0) | {
            "unchanged": sum(tally.rows for tally in tallies),
            "failed": sum(tally.unreadable for tally in tallies),
        }
        skipped = Counter(site.skipped for site in self.sites if site.skipped)
        return {
            "run_id": self.run_id,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "sites": [site.site for site in self.sites if not site.skipped],
            "totals": {**counts, "skipped": skipped},
            "exit_status": self.exit_status,
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at) if self.finished_at else None,
            "sites": [site.as_json() for site in self.sites],
            "regrouped": self.regrouped,
            "pages": self.pages,
            "seconds": round(self.seconds, 3),
            "pages_per_second": round(self.pages_per_second, 2),
            "pages_per_second_and_core": round(self.pages_per_second / self.cores, 2),
            "is_interrupted": self.is_interrupted,
        }


Progress = Callable[[str, int, int], None]  # site, rows read, rows in all


class Reextraction:
    """One run over some sites, whose leases are held."""

    def __init__(
        self,
        report: Report,
        *,
        at_once: int,
        since: date | None,
        accept: bool,
        clock: Callable[[], datetime],
        progress: Progress,
        most: int | None = None,
    ):
        """`most`: of no more articles of a site, the last that came."""
        self._most = most
        self.report = report
        self._at_once = at_once
        self._since = since
        self._accept = accept
        self._clock = clock
        self._progress = progress
        self._done: list[WorkFile] = []

    async def run(
        self, ledger: Ledger, pool: ExtractionPool, sites: Sequence[Site], *, folder: Path | None
    ) -> None:
        """Read sites, store those that pass, and put their articles among their copies.

        Work is put aside in `folder`; without one nothing is put aside and nothing stored.
        """
        self._ledger, self._pool = ledger, pool
        for site in sites:
            if self.report.is_interrupted:
                break
            result = SiteResult(site=site.name)
            self.report.sites.append(result)
            if folder is None:
                await self._preview(site, result)
            else:
                await self._site(site, result, folder)
        if self._done:
            self._regroup()

    def stop(self) -> None:
        """End after the chunk or commit that is in flight; the next run goes on from there."""
        self.report.is_interrupted = True

    # Reading

    async def _preview(self, site: Site, result: SiteResult) -> None:
        plan = plan_of(self._ledger.lake, site, since=self._since, most=self._most)
        result.skipped = None if plan.rows else "no_rows"
        async for done in self._chunks(plan, result, first=0):
            result.tally.add(done.tally)
        result.refused = None if self._accept else result.tally.gate()

    async def _site(self, site: Site, result: SiteResult, folder: Path) -> None:
        plan = plan_of(self._ledger.lake, site, since=self._since, most=self._most)
        if not plan.rows:
            result.skipped = "no_rows"
            return
        work = self._work(plan, folder / f"{site.name}.work")
        is_ready = READY in work.last
        for head in work.heads():
            if READY not in head:
                result.tally.add(Tally.of(head["tally"]))
        result.resumed = result.tally.rows
        if not is_ready and not await self._read(plan, work, result):
            return
        self._store(work, result)

    async def _read(self, plan: Plan, work: WorkFile, result: SiteResult) -> bool:
        """Read what is left of a site; tell whether it may be stored."""
        async for done in self._chunks(plan, result, first=work.frames - 1):
            head = {"n": work.frames - 1, "tally": done.tally.plain(), "was": done.was}
            work.append(head, done.revisions)
            result.tally.add(done.tally)
        if work.frames - 1 < plan.chunks:
            return False  # stopped: the next run goes on from there
        result.refused = None if self._accept else result.tally.gate()
        if result.refused:
            # Kept, so that --accept need not read all of it again; but for what may be mended.
            if result.tally.unreadable:
                work.remove()
            return False
        work.append({READY: True})
        return True

    def _work(self, plan: Plan, path: Path) -> WorkFile:
        """Return the work that was begun on this very plan, or is ready to be stored, or a new one.

        Once it is ready its own commits move the lake on.
        """
        identity = {
            "lake_id": self._ledger.lake.lake_id,
            "site": plan.site.model_dump(mode="json"),
            "extractor": extractor_id(plan.site, self._pool.furniture_of(plan.site)),
            "since": plan.since.isoformat(),
            "chunk": CHUNK,
        }
        recorded_at = plan.recorded_at.isoformat() if plan.recorded_at else None
        if found := WorkFile.opened(path):
            known = found.identity
            is_same = {name: known.get(name) for name in identity} == identity
            is_current = known.get("recorded_at") == recorded_at or READY in found.last
            if is_same and is_current and _is_in_order(found):
                return found
        token = secrets.token_hex(6)
        return WorkFile.begun(path, {**identity, "recorded_at": recorded_at, "token": token})

    async def _chunks(self, plan: Plan, result: SiteResult, *, first: int) -> AsyncIterator[Reread]:
        reader = Rereader(self._ledger, self._pool, plan, at_once=self._at_once)
        for n in range(first, plan.chunks):
            if self.report.is_interrupted:
                return
            started = perf_counter()
            done = await reader.chunk(n)
            self.report.seconds += perf_counter() - started
            self.report.pages += done.tally.pages
            yield done
            tally = result.tally
            self._progress(plan.site.name, tally.rows + tally.unreadable, plan.rows)

    # Storing

    def _store(self, work: WorkFile, result: SiteResult) -> None:
        """Store what was put aside; what a run that was killed has stored is left out."""
        token = f"reextract/{result.site}-{work.identity['token']}"
        for n, revisions in enumerate(_units(work)):
            if self.report.is_interrupted:
                return
            with self._ledger.lake.lock():
                self._store_unit(f"{token}-{n}", revisions, result)
        self._done.append(work)

    def _store_unit(self, name: str, revisions: Sequence[Revision], result: SiteResult) -> None:
        there = self._newest(revisions)
        # What is not there at all was taken down meanwhile.
        fresh = [one for one in revisions if there.get(_key(one)) == one.extraction - 1]
        result.overtaken += sum(there.get(_key(one), 0) > one.extraction for one in revisions)
        if not fresh:
            return
        for one in fresh:
            self._ledger.add_extraction(name, one, article=self._article(one))
        self._ledger.commit(name, now=self._clock())
        self._ledger.forget(name)
        result.stored += len(fresh)

    def _newest(self, revisions: Sequence[Revision]) -> dict[tuple[str, int], int]:
        """Return the newest extraction that the lake has of each of these versions."""
        lake = self._ledger.lake
        with connect_offline(lake.storage) as connection:
            scan(connection, lake.files("revisions"), TABLES["revisions"]).create_view("t")
            rows = connection.execute(
                "SELECT article_id, revision, max(extraction) FROM t "
                "WHERE article_id IN (SELECT unnest(?)) GROUP BY ALL",
                [sorted({one.article_id for one in revisions})],
            ).fetchall()
        return {(article_id, revision): newest for article_id, revision, newest in rows}

    def _article(self, revision: Revision) -> ArticleState | None:
        """Return what the state is to know of the article, if this is its newest version."""
        known = self._ledger.article(revision.article_id)
        if known is None or known.revision != revision.revision:
            return None
        article = revision.article
        return replace(
            known,
            url=article.url,
            content_hash=article.content_hash,
            word_count=article.word_count,
            date_published=article.date_published,
            date_published_precision=article.date_published_precision,
        )

    def _regroup(self) -> None:
        """Put articles whose text is another now among their copies, over all sites at once."""
        ledger = self._ledger
        was = {
            article_id: content_hash
            for work in self._done
            for head in work.heads()
            for article_id, content_hash in head.get("was", {}).items()
        }
        ids = sorted(was)
        token = secrets.token_hex(6)
        for start in range(0, len(ids), REGROUPED_AT_ONCE):
            name = f"reextract/clusters-{token}-{start}"
            with ledger.lake.lock():
                some = ids[start : start + REGROUPED_AT_ONCE]
                if relations := regroup(ledger, name, some, was):
                    ledger.commit(name, now=self._clock())
                else:
                    ledger.save_copies(name)
                ledger.forget(name)
                self.report.regrouped += relations
        # A run that was killed may have committed what it did not publish.
        publish(ledger.lake, now=self._clock())
        for work in self._done:
            work.remove()


def _is_in_order(work: WorkFile) -> bool:
    """Tell whether every chunk is there once: a file that was meddled with is begun anew."""
    return all(head.get("n", n) == n for n, head in enumerate(work.heads()))


def _units(work: WorkFile) -> Iterator[list[Revision]]:
    """Yield what one commit each is to hold: the same units every time."""
    unit: list[Revision] = []
    for _, revisions in work.chunks():
        unit += revisions
        if len(unit) >= STORED_AT_ONCE:
            yield unit
            unit = []
    if unit:
        yield unit


def _key(revision: Revision) -> tuple[str, int]:
    return revision.article_id, revision.revision
