"""When what a site's pages repeat is learned, and from which; and what was stored before, mended.

At the end of a run, of each of its sites that has enough new stories since the last time. All of it
follows from the lake alone: which pages are looked at, what was learned, and what is still to be
mended. So a run that is killed leaves to the next what it had not done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from crawler.extraction import Furniture
from crawler.extraction.furniture import furniture_of
from crawler.extraction.looking import Look, Told
from crawler.extraction.recurrence import FEWEST_STORIES, learn
from crawler.extraction_pool import ExtractionPool
from crawler.reextract import Reextraction, Report
from crawler.site import Site
from pipelines.archive import read_page
from pipelines.errors import ArchiveError, ExtractionError
from pipelines.furniture import MENDED, PAGES, Known, furniture_row, marker_row
from pipelines.lake import Lake, is_there
from pipelines.ledger import Ledger
from pipelines.schema import TABLES, Row
from pipelines.sql import connect_offline, scan

logger = logging.getLogger(__name__)

# Pages that one learning looks at, near in time: the new ones, and some before them. A look costs
# about half of a reading, so learning half as often as it looks doubles no run's work.
MOST_LOOKED_AT, SOME = 40, 20
# What one run reads again of what was stored: some ten seconds on two cores. The rest is left to
# `reextract`.
MOST_MENDED = 400
# A plea may have begun some time before the pages that it was learned from.
MARGIN = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An article of the lake: its id, and when its newest version was fetched."""

    article_id: str
    fetched_at: datetime


def known_furniture(lake: Lake) -> dict[str, Furniture]:
    """Return what is in force of each site of a lake, by its name."""
    return {name: furniture_of(known.in_force) for name, known in lake.furniture().items()}


def furniture_at(url: str) -> dict[str, Furniture]:
    """Return what is in force of each site of the lake at `url`; nothing where there is none."""
    return known_furniture(Lake.open(url)) if is_there(url) else {}


class Learning:
    """The learning of one run, whose site leases are held and whose pages are committed."""

    def __init__(
        self,
        ledger: Ledger,
        pool: ExtractionPool,
        *,
        run_id: str,
        folder: Path,
        clock: Callable[[], datetime],
        is_stopped: Callable[[], bool],
        at_once: int,
    ):
        self._ledger, self._lake, self._pool = ledger, ledger.lake, pool
        self._run_id, self._folder, self._clock = run_id, folder, clock
        self._is_stopped, self._at_once = is_stopped, at_once

    async def run(self, sites: Sequence[Site]) -> None:
        """Learn from what is new, then read again what was stored before that was known."""
        known, rows = self._lake.furniture(), list[Row]()
        for site, due in due_pages(self._lake, sites, known):
            if self._is_stopped():
                return
            rows += await self._learn(site, due, known.get(site.name, Known()))
        if rows:
            self._write(rows, "learned")
            known = self._lake.furniture()
            self._pool.know(known_furniture(self._lake))
        unmended = [site for site in sites if site.name in known and known[site.name].is_unmended]
        for site in unmended:
            if not self._is_stopped():
                await self._mend(site, known[site.name])

    def _write(self, rows: Sequence[Row], what: str) -> None:
        app_id = f"furniture/{self._run_id}/{what}"
        self._lake.add_furniture(rows, app_id=app_id, now=self._clock())

    # Learning

    async def _learn(self, site: Site, pages: Sequence[Stored], known: Known) -> list[Row]:
        found = self._lake.current([one.article_id for one in pages])
        looks = await asyncio.gather(*(self._look(row, site) for row in found.values()))
        seen = [one for one in looks if one is not None]
        news = known.news(learn(seen))
        if news:
            logger.info(
                "%s: %d blocks that it repeats learned from %d pages",
                site.name,
                len(news),
                len(seen),
            )
        rows = [furniture_row(site.name, one) for one in news]
        until = max(one.fetched_at for one in pages)
        return [*rows, marker_row(site.name, PAGES, pages=len(seen), until=until)]

    async def _look(self, row: Row, site: Site) -> Look | None:
        told = Told(
            headline=row["headline"],
            article_body=row["article_body"] or "",
            topic=topic_of(row),
            fetched_at=row["fetched_at"],
        )
        try:
            page = read_page(self._lake.storage, (row["warc_path"], row["warc_offset"]))
            return await self._pool.look(page, site, told)
        except (ArchiveError, ExtractionError) as error:
            logger.info("nothing is learned from %s: %s", row["url"], error)
            return None

    # Mending

    async def _mend(self, site: Site, known: Known) -> None:
        """Store a further extraction of what comes out otherwise, as `reextract` does."""
        begun = self._clock()
        since = known.unmended_from - MARGIN if known.unmended_from else None
        report = Report(run_id=self._run_id, started_at=begun, cores=1)
        again = Reextraction(
            report,
            at_once=self._at_once,
            since=since.date() if since else None,
            accept=False,
            clock=self._clock,
            progress=lambda *_: again.stop() if self._is_stopped() else None,
            most=MOST_MENDED,
        )
        await again.run(self._ledger, self._pool, [site], folder=self._folder)
        if report.is_interrupted:
            return
        result = report.sites[0]
        if result.refused:
            logger.warning(
                "%s: what was stored before is not read again without what the site repeats, "
                "since %s; see `sitrep reextract %s --dry-run`",
                site.name, result.refused, site.name,
            )  # fmt: skip
        elif result.stored:
            logger.info("%s: %d stored articles were mended", site.name, result.stored)
        row = marker_row(site.name, MENDED, pages=result.tally.rows, until=begun)
        self._write([row], f"mended/{site.name}")


def topic_of(row: Row) -> str:
    """Return where a site files an article: its section, or the first word of its path."""
    parts = [one for one in urlsplit(row["url"]).path.split("/")[:-1] if one and not one.isdigit()]
    return str(row["article_section"] or (parts[0] if parts else ""))


def due_pages(
    lake: Lake, sites: Sequence[Site], known: dict[str, Known]
) -> list[tuple[Site, list[Stored]]]:
    """Return the sites of which there is something to learn, each with the pages to look at."""
    found: list[tuple[Site, list[Stored]]] = []
    stored = _stored(lake, [site.name for site in sites])
    for site in sites:
        before = known.get(site.name, Known())
        if pages := chosen(stored.get(site.name, []), before):
            found.append((site, pages))
    return found


def chosen(stored: Sequence[Stored], known: Known) -> list[Stored]:
    """Return the pages to look at of those that are `stored`, none while too few are new."""
    until = known.looked_until
    new = [one for one in stored if until is None or one.fetched_at > until]
    if len(new) < max(FEWEST_STORIES, min(known.looked_at, SOME) // 2):
        return []
    if len(new) <= MOST_LOOKED_AT:
        return list(stored[-max(SOME, len(new)) :])
    # Of many, as an archive that is imported has them, some of every time.
    step = len(new) / MOST_LOOKED_AT
    return [new[int(n * step)] for n in range(MOST_LOOKED_AT)]


def _stored(lake: Lake, names: Sequence[str]) -> dict[str, list[Stored]]:
    """Return the articles of some sites, in the order in which their newest version was fetched."""
    files = lake.files("revisions")
    if not files or not names:
        return {}
    sql = """
        SELECT site, article_id, max(fetched_at) AS fetched_at FROM t
        WHERE site IN (SELECT unnest(?)) GROUP BY ALL ORDER BY fetched_at, article_id
    """
    with connect_offline(lake.storage, is_shared=True) as connection:
        scan(connection, files, TABLES["revisions"]).create_view("t")
        rows = connection.execute(sql, [list(names)]).fetchall()
    found: dict[str, list[Stored]] = {name: [] for name in names}
    for site, article_id, fetched_at in rows:
        found[site].append(Stored(article_id=article_id, fetched_at=fetched_at))
    return found
