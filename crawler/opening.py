"""A run opened to write: lake, state, workers and leases together, all given back at its end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from crawler.extraction_pool import ExtractionPool
from crawler.learning import known_furniture
from crawler.recovery import Recovery
from crawler.register import Register
from crawler.run import Run, new_run_id, open_lake_and_state
from crawler.settings import Settings
from crawler.site import Site
from pipelines.lease import Lease
from pipelines.writers import admitted


@contextmanager
def opened(
    settings: Settings, sites: Sequence[Site] = (), *, takes_over: bool = False
) -> Iterator[Run]:
    """Give a run that may write, with those of `sites` that no other process is writing.

    The others are reported as busy. Raises LakeError, StateError; nothing was written then.
    `takes_over` is told of in `pipelines.writers`.
    """
    lake, state = open_lake_and_state(settings)
    with ExitStack() as stack:
        stack.callback(state.close)
        folder = settings.locks_folder
        stack.enter_context(admitted(lake, state, locks_folder=folder, takes_over=takes_over))
        pool = stack.enter_context(ExtractionPool(settings.workers))
        pool.know(known_furniture(lake))
        run = Run(**parts(settings), lake=lake, state=state, pool=pool)
        names = stack.enter_context(leased(run, [site.name for site in sites]))
        run.sites = tuple(site for site in sites if site.name in names)
        for site in sites:
            if site.name not in names:
                run.report.site(site.name).skipped["busy"] += 1
        yield run


def parts(settings: Settings) -> dict[str, Any]:
    """Return what every run is made of, one that writes and one that does not."""
    return {
        "run_id": new_run_id(datetime.now(UTC)),
        "settings": settings,
        "clock": lambda: datetime.now(UTC),
    }


def recovery_of(run: Run) -> Recovery:
    own = {site.name for site in run.sites}
    return Recovery(
        run.ledger,
        run.ingest,
        spool=run.settings.spool_folder,
        register=Register(run.settings.sites_folder),
        lease_of=lambda name: None if name in own else _lease(run, name),
        clock=run.clock,
        at_once=2 * run.settings.workers,
    )


@contextmanager
def leased(run: Run, names: Sequence[str]) -> Iterator[Collection[str]]:
    """Hold the leases of sites; give the names of those that were free."""
    with ExitStack() as held:
        free = []
        for name in names:
            lease = _lease(run, name)
            if lease.try_acquire():
                held.callback(lease.release)
                free.append(name)
        yield free


def _lease(run: Run, site_name: str) -> Lease:
    return run.state.lease(site_name, folder=run.settings.locks_folder)
