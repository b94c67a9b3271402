"""What an earlier run left: responses in the archive that never got their verdict.

A row of `captures` is written with its verdict, so what is pending is a WARC record without a row.
It is taken up from the archive; nothing is fetched again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from crawler.ingest import Ingest, key_of, link_status
from crawler.register import Register
from crawler.site import Site
from pipelines.archive import read_pages, warc_path_of
from pipelines.errors import SiteError, SitrepError
from pipelines.ledger import Ledger
from pipelines.model import Capture, Kind, Page, Verdict
from pipelines.spool import claim_dead
from pipelines.state import LinkState

logger = logging.getLogger(__name__)


async def take_up(
    ledger: Ledger,
    ingest: Ingest,
    *,
    spool: Path,
    register: Register,
    clock: Callable[[], datetime],
) -> int:
    """Give every pending capture of dead runs its verdict; return how many there were."""
    taken = 0
    for source, warc_path in _pending_files(ledger, spool):
        try:
            taken += await _take_file(ledger, ingest, source, warc_path, register)
            if isinstance(source, Path):
                ledger.lake.add_warc(source, warc_path)
            ledger.commit(warc_path, now=clock())
        except SitrepError as error:
            logger.error("%s stays as it is: %s", source, error)  # noqa: TRY400 - told in one line
        finally:
            ledger.forget(warc_path)
    if taken:
        logger.info("%d pages of an interrupted run were taken up from the archive", taken)
    return taken


def _pending_files(ledger: Ledger, spool: Path) -> Iterator[tuple[Path | str, str]]:
    """Yield the files of dead runs with where they belong: first those that were moved already."""
    with ledger.lake.lock():  # nobody is between moving a file and committing it
        moved = ledger.lake.uncommitted_warcs()
    yield from ((path, path) for path in moved)
    yield from ((file, warc_path_of(file)) for file in claim_dead(spool))


async def _take_file(
    ledger: Ledger, ingest: Ingest, source: Path | str, warc_path: str, register: Register
) -> int:
    pages = list(read_pages(source, storage=ledger.lake.storage, warc_path=warc_path))
    done = ledger.lake.has_captures([page.location.warc_record_id for page in pages])
    pending = [page for page in pages if page.location.warc_record_id not in done]
    for page in pending:
        await _take_page(ledger, ingest, page, register)
    return len(pending)


async def _take_page(ledger: Ledger, ingest: Ingest, page: Page, register: Register) -> None:
    if page.kind is not Kind.ARTICLE or (300 <= page.status < 400 and page.status != 304):
        ledger.add_capture(Capture(page=page, verdict=Verdict.DISCOVERY.value))
        return
    try:
        site = register.site(page.site)
    except SiteError:
        ledger.add_capture(Capture(page=page, verdict=f"{Verdict.FAILED}:unknown_site"))
        return
    outcome = await ingest.take(page, site)
    _close_link(ledger, page, site, outcome.capture)


def _close_link(ledger: Ledger, page: Page, site: Site, capture: Capture) -> None:
    known = ledger.link(site.name, key_of(page.requested_url, site))
    if known is None:
        return
    status = link_status(capture.verdict)
    if status == "failed":
        return  # it stays pending, and is asked again
    closed = LinkState(
        site=known.site,
        url_key=known.url_key,
        link=known.link,
        status=status,
        listed=known.listed,
        article_id=capture.article_id or known.article_id,
        first_seen=known.first_seen,
        last_fetched=page.fetched_at,
    )
    ledger.add_link(page.location.warc_path, closed)
