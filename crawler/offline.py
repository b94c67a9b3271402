"""What the verbs set going without network: over the archive and the lake alone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crawler.import_captures import Importer
from crawler.import_index import ImportIndex
from crawler.import_survey import FileReport, Survey
from crawler.opening import leased, opened, recovery_of
from crawler.register import Register
from crawler.report import RunReport
from crawler.run import Run
from crawler.settings import Settings
from pipelines.errors import StateError


def rebuild(settings: Settings) -> None:
    """Make the state again from the lake alone. Raises StateError while a crawl is running."""
    names = Register(settings.sites_folder).names
    with opened(settings) as run, leased(run, names) as free:
        if busy := sorted(set(names) - set(free)):
            raise StateError(
                f"{busy[0]} is being crawled", where="state", remedy="wait for its crawl to end"
            )
        run.state.clear()
        asyncio.run(recovery_of(run).catch_up())


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
    _stop_at_signals(run)
    await recovery_of(run).take_up()
    importer = Importer(run, index, files)
    importer.note_known()
    for found in index.in_order():
        if run.fatal is not None or run.report.is_interrupted:
            break
        await importer.take(found)
        progress(run.report)
    await run.end()


def _stop_at_signals(run: Run) -> None:
    """Finish what is in flight at the first Ctrl-C or SIGTERM; the second has its usual effect."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        run.report.is_interrupted = True
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)

    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop)
