"""What the verbs set going without network: over the archive and the lake alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from crawler import __version__
from crawler.backfill import days_of
from crawler.extraction_pool import ExtractionPool
from crawler.import_captures import Importer
from crawler.import_index import ImportIndex
from crawler.import_survey import FileReport, Survey
from crawler.interrupts import stop_in_order
from crawler.learning import known_furniture
from crawler.opening import leased, opened, recovery_of
from crawler.reextract import Progress, Reextraction, Report, SiteResult
from crawler.register import Register
from crawler.report import RunReport
from crawler.reread import sites_in
from crawler.run import Run
from crawler.settings import Settings
from crawler.site import Site
from pipelines.backfill_state import Unfinished, give_up_backfill, unfinished_backfills
from pipelines.errors import SiteError, StateError
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.publish import publish
from pipelines.state import State


def rebuild(settings: Settings) -> None:
    """Make `articles/` and the state again from the rest of the lake.

    Raises StateError while a crawl is running.
    """
    names = Register(settings.sites_folder).names
    with opened(settings, takes_over=True) as run, leased(run, names) as free:
        if busy := sorted(set(names) - set(free)):
            raise StateError(
                f"{busy[0]} is being crawled", where="state", remedy="wait for its crawl to end"
            )
        # First: the state is made of what is published.
        publish(run.lake, now=run.clock(), rebuild=True)
        run.state.clear()
        asyncio.run(recovery_of(run).catch_up())


def give_up_backfills(
    settings: Settings, sites: Sequence[Site], dates: tuple[date | None, date | None]
) -> dict[str, Unfinished | str]:
    """Forget the sites' backfills of these days; return what was left of each, or why it stays.

    What a run that was killed had fetched is taken up before: its sources list stories too.
    """
    days, given_up = days_of(dates), dict[str, Unfinished | str]()
    with opened(settings, sites) as run:
        asyncio.run(recovery_of(run).take_up())
        for site in sites:
            known = {one.days: one for one in unfinished_backfills(run.state, site.name)}
            if site not in run.sites:
                given_up[site.name] = "another process is crawling it; stop that first"
            elif (backfill := known.get(days)) is None:
                those = ", ".join(known) or "none"
                given_up[site.name] = f"no backfill of {days} is unfinished ({those} is)"
            else:
                give_up_backfill(run.state, site.name, days)
                given_up[site.name] = backfill
    return given_up


@dataclass(frozen=True, slots=True)
class Imported:
    """What `import` tells: of each file, and of the run. Nothing to import: no run was made."""

    files: list[FileReport]
    report: RunReport
    is_run: bool

    @property
    def exit_status(self) -> int:
        return self.report.exit_status or int(any(file.errors for file in self.files))

    def as_json(self) -> dict[str, Any]:
        said = self.report.as_json()
        return {
            "run_id": said["run_id"] if self.is_run else None,
            "started_at": said["started_at"],
            "finished_at": said["finished_at"],
            "files": [file.as_json() for file in self.files],
            "sites": said["sites"],
            "totals": said["totals"],
        }


def import_captures(
    settings: Settings, paths: Sequence[Path], *, progress: Callable[[RunReport], None]
) -> Imported:
    """Take in what other archives hold of the sites that are known."""
    register, started_at = Register(settings.sites_folder), datetime.now(UTC)
    with ImportIndex() as index:
        survey = Survey(index, register.owner, now=started_at)
        survey.go_through(paths)
        sites = register.sites(index.sites())
        if not sites:
            nothing = RunReport(run_id="", started_at=started_at, finished_at=datetime.now(UTC))
            return Imported(survey.files, nothing, is_run=False)
        with opened(settings, sites) as run:
            run.is_crawl = False
            run.report.started_at = started_at
            asyncio.run(_import(run, index, survey.files, progress))
            return Imported(survey.files, run.report, is_run=True)


async def _import(
    run: Run,
    index: ImportIndex,
    files: Sequence[FileReport],
    progress: Callable[[RunReport], None],
) -> None:
    def stop() -> None:
        run.report.is_interrupted = True

    stop_in_order(stop)
    await recovery_of(run).take_up()
    importer = Importer(run, index, files)
    importer.note_known()
    for found in index.in_order():
        if run.fatal is not None or run.report.is_interrupted:
            break
        await importer.take(found)
        progress(run.report)
    await importer.finish()
    await run.end()


def reextract(
    settings: Settings,
    names: Sequence[str],
    *,
    since: date | None,
    accept: bool,
    is_dry: bool,
    progress: Progress,
) -> Report:
    """Read the archive of sites again, all that the lake knows where none is named.

    Raises SiteError for an unknown name, LakeError and StateError where they cannot be used:
    nothing was written then.
    """
    named = Register(settings.sites_folder).sites(names)
    lake = Lake.open(settings.lake)  # never made here: an archive that is not there is not empty
    report = Report(
        run_id=None,
        started_at=datetime.now(UTC),
        cores=min(settings.workers, os.cpu_count() or 1),
    )
    sites = named or _of_the_lake(settings, lake, report)
    again = Reextraction(
        report,
        at_once=2 * settings.workers,
        since=since,
        accept=accept,
        clock=lambda: datetime.now(UTC),
        progress=progress,
    )
    if is_dry:
        _preview_reextraction(settings, lake, sites, again)
    else:
        _store_reextraction(settings, sites, again)
    report.finished_at = report.finished_at or datetime.now(UTC)
    return report


def _of_the_lake(settings: Settings, lake: Lake, report: Report) -> list[Site]:
    """Return the sites that the lake has articles of; what cannot be read is put in the report."""
    register, sites = Register(settings.sites_folder), []
    for name in sites_in(lake):
        if name not in register.files:
            report.sites.append(SiteResult(site=name, skipped="unknown_site"))
            continue
        try:
            sites.append(register.site(name))
        except SiteError as error:
            report.sites.append(SiteResult(site=name, error=str(error)))
    return sites


def _preview_reextraction(
    settings: Settings, lake: Lake, sites: Sequence[Site], again: Reextraction
) -> None:
    with ExitStack() as stack:
        state = State.open_to_read(settings.state)
        stack.callback(state.close)
        if state.note("lake_id") is not None:
            state.belongs_to(lake.lake_id)
        pool = stack.enter_context(ExtractionPool(settings.workers))
        pool.know(known_furniture(lake))
        asyncio.run(_reextract(again, Ledger(lake, state), pool, sites, folder=None))


def _store_reextraction(settings: Settings, sites: Sequence[Site], again: Reextraction) -> None:
    report, folder = again.report, settings.state_folder / "reextract"
    with opened(settings, sites) as run:
        report.run_id = f"{run.run_id}-reextract"
        for site in run.report.sites.values():
            report.sites.append(SiteResult(site=site.site, skipped="busy"))
        asyncio.run(_reextract(again, run.ledger, run.pool, run.sites, folder=folder, run=run))
        report.finished_at = datetime.now(UTC)
        if report.stored or report.regrouped:
            run.lake.add_run(
                report.row() | {"version": __version__, "settings_hash": settings.settings_hash()}
            )


async def _reextract(
    again: Reextraction,
    ledger: Ledger,
    pool: ExtractionPool,
    sites: Sequence[Site],
    *,
    folder: Path | None,
    run: Run | None = None,
) -> None:
    stop_in_order(again.stop)
    if run is not None:
        await recovery_of(run).catch_up()
    await again.run(ledger, pool, sites, folder=folder)
