"""The pages of a site read once more, from the archive: what each version would be today."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from itertools import groupby
from operator import attrgetter
from sys import intern

from crawler.addresses import key_of
from crawler.differences import Tally, differing_columns
from crawler.extraction_pool import ExtractionPool
from crawler.site import Site
from crawler.story_pages import GoOn, Rest, archived_further, read_rest
from pipelines.archive import read_page
from pipelines.errors import ArchiveError, ExtractionError, LakeError, SitrepError, StateError
from pipelines.hints import merged_hints
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.model import NO_HINTS, Article, Hints, Page, Revision
from pipelines.revise import next_extraction, settled
from pipelines.schema import TABLES, revision_of
from pipelines.sql import connect_offline, rows_of, scan

logger = logging.getLogger(__name__)

# Articles that are read, and held in memory, at a time: some two seconds on two cores.
CHUNK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The articles of a site, in the order in which they are read, with the files of their rows.

    That order is theirs in the lake: rows that lie together are read, and published, together.
    `recorded_at` is the last commit that gave the site a version.
    """

    site: Site
    since: datetime
    article_ids: tuple[str, ...]
    files: tuple[tuple[str, ...], ...]
    rows: int
    recorded_at: datetime | None

    @property
    def chunks(self) -> int:
        return -(-len(self.article_ids) // CHUNK)


@dataclass(slots=True, kw_only=True)
class Reread:
    """What became of a chunk: `revisions` that come out otherwise, and the rest counted.

    `was` has the content hash on record of the articles whose present text is read otherwise.
    """

    tally: Tally = field(default_factory=Tally)
    revisions: list[Revision] = field(default_factory=list)
    was: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    article: Article
    hints: Hints


def plan_of(lake: Lake, site: Site, *, since: date | None, most: int | None = None) -> Plan:
    """Say what there is to read: versions fetched on `since` or later, and those before them.

    With `most`, of no more articles than that, the last that came.
    """
    first = datetime.combine(since or date.min, time.min, UTC)
    sql = """
        SELECT article_id, list(DISTINCT filename) AS files, max(recorded_at) AS recorded_at,
               count(DISTINCT revision) FILTER (WHERE fetched_at >= $since) AS rows
        FROM t WHERE site = $site GROUP BY article_id
        ORDER BY min(recorded_at), min(published_month), article_id
    """
    with connect_offline(lake.storage) as connection:
        scan(connection, lake.files("revisions"), TABLES["revisions"], filename=True).create_view(
            "t"
        )
        found = connection.execute(sql, {"site": site.name, "since": first}).fetchall()
    wanted = [row for row in found if row[3]][-most if most else 0 :]
    return Plan(
        site=site,
        since=first,
        article_ids=tuple(row[0] for row in wanted),
        files=tuple(tuple(intern(file) for file in row[1]) for row in wanted),
        rows=sum(row[3] for row in wanted),
        recorded_at=max((row[2] for row in found), default=None),
    )


def sites_in(lake: Lake) -> list[str]:
    """Return the sites that the lake has articles of."""
    with connect_offline(lake.storage) as connection:
        scan(connection, lake.files("revisions"), TABLES["revisions"]).create_view("t")
        found = connection.execute("SELECT DISTINCT site FROM t ORDER BY site").fetchall()
    return [name for (name,) in found]


class Rereader:
    """Reads the pages of one site anew. Needs no network, writes nothing."""

    def __init__(self, ledger: Ledger, pool: ExtractionPool, plan: Plan, *, at_once: int):
        self._ledger = ledger
        self._pool = pool
        self._plan = plan
        self._site = plan.site
        self._at_once = asyncio.Semaphore(at_once)

    async def chunk(self, n: int) -> Reread:
        """Read the `n`-th chunk of the plan, from 0."""
        done = Reread()
        await asyncio.gather(*(self._read_article(one, done) for one in self._articles(n)))
        done.revisions.sort(key=lambda one: (one.article_id, one.revision))
        return done

    def _articles(self, n: int) -> Iterator[list[Revision]]:
        """Yield the articles of a chunk, each as all that was written of it, oldest first."""
        part = slice(n * CHUNK, (n + 1) * CHUNK)
        ids = list(self._plan.article_ids[part])
        files = sorted({file for some in self._plan.files[part] for file in some})
        with connect_offline(self._ledger.lake.storage) as connection:
            scan(connection, files, TABLES["revisions"]).create_view("t")
            sql = """
                SELECT * FROM t WHERE article_id IN (SELECT unnest(?))
                ORDER BY article_id, revision, extraction, recorded_at
            """
            rows = rows_of(connection, sql, [ids])
        for _, one in groupby(map(revision_of, rows), attrgetter("article_id")):
            yield list(one)

    async def _read_article(self, written: Sequence[Revision], done: Reread) -> None:
        versions = [list(one) for _, one in groupby(written, attrgetter("revision"))]
        before: _Reading | None = None
        for version in versions:
            newest = version[-1]
            is_wanted = newest.fetched_at >= self._plan.since
            try:
                async with self._at_once:
                    before = await self._read_version(version, before, done.tally)
            except (LakeError, StateError):
                raise
            except Exception as error:  # one page that trips us must not stop its whole site
                if not isinstance(error, SitrepError):
                    logger.exception("%s could not be read", newest.article.url)
                before = _Reading(article=newest.article, hints=NO_HINTS)
                if is_wanted:
                    done.tally.fail(newest, str(error) or type(error).__name__)
            else:
                if is_wanted:
                    is_present = version is versions[-1]
                    self._compare(newest, before.article, done, is_present=is_present)

    def _compare(
        self, newest: Revision, article: Article, done: Reread, *, is_present: bool
    ) -> None:
        if not done.tally.count(newest, article):
            return
        again = next_extraction(
            newest, article, canonical_url=newest.canonical_url, location=newest.location
        )
        done.revisions.append(again)
        if is_present and article.content_hash != newest.article.content_hash:
            done.was[newest.article_id] = newest.article.content_hash

    async def _read_version(
        self, version: Sequence[Revision], before: _Reading | None, tally: Tally
    ) -> _Reading:
        """Read one version as it was when it was new: from each page that it was taken from.

        There are several where its story had moved. What an earlier page told finer, stays.
        """
        *earlier, newest = [[*same][-1] for _, same in groupby(version, attrgetter("location"))]
        for one in earlier:
            try:
                before = await self._read_row(one, before, tally)
            except (ArchiveError, ExtractionError) as error:
                logger.warning("where a story was before cannot be read: %s", error)
                before = _Reading(article=one.article, hints=NO_HINTS)
        return await self._read_row(newest, before, tally)

    async def _read_row(self, row: Revision, before: _Reading | None, tally: Tally) -> _Reading:
        page = read_page(self._ledger.lake.storage, row.location)
        archived = archived_further(self._ledger, row.article_id)
        if page.payload_bytes and not page.body:
            raise ArchiveError("the body is not what its Content-Encoding says", where=page.url)
        tally.pages += 1
        return await self._read_page(page, before, row.article, archived)

    async def _read_page(
        self, page: Page, before: _Reading | None, on_record: Article, go_on: GoOn
    ) -> _Reading:
        """Read a page with the hints that it was read with.

        Those are in the archive; but a source may have been heard between archiving and reading,
        and a hint that is gone stays with its article. Of all that they may have been, those are
        taken with which the article comes out nearest to what is on record.
        """
        tried: dict[Hints, Article] = {}
        best: tuple[int, Hints] | None = None
        rest: Rest | None = None
        for hints in self._hints_of(page, before):
            if hints in tried:
                continue
            article = await self._pool.extract(replace(page, hints=hints), self._site)
            if rest is None:
                read = self._pool.reader(self._site)
                rest = await read_rest(page, article, read=read, go_on=go_on)
            article = rest.behind(article)
            article = settled(before.article, article) if before else article
            tried[hints] = article
            distance = len(differing_columns(on_record, article))
            if best is None or distance < best[0]:
                best = (distance, hints)
            if distance == 0:
                break
        hints = best[1] if best else page.hints
        return _Reading(article=tried[hints], hints=hints)

    def _hints_of(self, page: Page, before: _Reading | None) -> Iterator[Hints]:
        link = self._ledger.link(self._site.name, key_of(page.requested_url, self._site))
        return possible_hints(
            page.hints,
            before=before.hints if before else None,
            known=link.link.hints if link else None,
        )


def possible_hints(own: Hints, *, before: Hints | None, known: Hints | None) -> Iterator[Hints]:
    """Yield the hints that a page may have been read with, the likeliest first.

    `own` lie beside it in the archive, `before` were those of the version before it, `known` are
    those that are on record of its address.
    """
    yield own
    if before:
        yield merged_hints(before, own)
    if known:
        merged = merged_hints(known, own)
        yield merged
        if before:
            yield merged_hints(before, merged)
