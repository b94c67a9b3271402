"""What the verbs set going without network: over the archive and the lake alone."""

from __future__ import annotations

import asyncio

from crawler.opening import leased, opened, recovery_of
from crawler.register import Register
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
