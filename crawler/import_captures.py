"""Captures from elsewhere, taken in as our own: archived first, then read, the earliest first."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa

from crawler.extraction.further_pages import first_pages_of
from crawler.import_index import Found, ImportIndex, Key
from crawler.import_survey import FileReport
from crawler.in_turn import InTurn
from crawler.ingest import Outcome, Turn
from crawler.report import SiteReport
from crawler.run import Run
from crawler.site import Site
from pipelines.archive_writer import Exchange
from pipelines.errors import ArchiveError, LakeError, StateError
from pipelines.foreign_http import Answer, repeated_answer, whole_answer
from pipelines.foreign_warc import ForeignRecord, open_foreign, record_at
from pipelines.model import Hints, Kind, Origin, Page, Verdict
from pipelines.schema import CAPTURES
from pipelines.sql import rows_of
from pipelines.views import connect

logger = logging.getLogger(__name__)

_KEY = pa.schema([CAPTURES.field(name) for name in ("url", "fetched_at", "payload_digest")])
_LISTS = frozenset({"authors", "keywords"})


class Importer:
    """Takes what a survey found into a run."""

    def __init__(self, run: Run, index: ImportIndex, files: Sequence[FileReport]):
        self._run = run
        self._index = index
        self._files = files
        self._sites = {site.name: site for site in run.sites}
        self._in_turn = InTurn(at_once=2 * run.settings.workers)
        self._further: set[int] = set()
        self._waiting: dict[int, FileReport] = {}
        run.ingest.ask = self._ask
        run.ingest.reader.go_on = self._go_on

    def note_known(self) -> None:
        """See what the lake holds already: the same address, at that time, with those bytes."""
        with connect(self._run.lake) as connection:
            self._index.mark_known(lambda keys: _known(connection, keys))

    async def take(self, found: Found) -> None:
        """Take one capture in, or count why not. Errors of lake, state and archive stop the run."""
        file = self._files[found.file]
        site = self._sites.get(found.site)
        if found.is_known or site is None:
            file.skipped["known" if found.is_known else "busy"] += 1
            return
        if self._is_further(found):
            self._waiting[found.id] = file  # for its story to ask for it
            return
        page = await self._archived(found, site)
        if page is not None:
            await self._in_turn.add(partial(self._read, page, site))

    def _is_further(self, found: Found) -> bool:
        """Tell whether a capture is no article of its own, but a page of one that is here too."""
        if found.said:
            return bool(found.said["kind"] == Kind.FURTHER)
        return self._index.has(found.site, first_pages_of(found.url))

    async def _archived(
        self, found: Found, site: Site, *, continues: str | None = None
    ) -> Page | None:
        """Take one capture into our archive; None, and counted, where that cannot be done."""
        file = self._files[found.file]
        try:
            answer = self._answer(found)
        except ArchiveError as error:
            file.fail(str(error))
            file.skipped["unreadable"] += 1
            return None
        exchange = self._exchange(found, site, answer)
        if continues is not None:
            exchange = replace(exchange, kind=Kind.FURTHER, continues=continues)
        try:
            page = await self._run.archive(exchange)
        except ArchiveError as error:
            self._run.stop(error)
            return None
        file.imported += 1
        return page

    async def _go_on(self, url: str, first: Page, site: Site) -> Page | None:
        """Give the page at which a story goes on, if the files have it and nobody had it yet."""
        origin = first.imported_from[0].record_id if first.imported_from else None
        found = self._index.further(site.name, url, continues=origin, near=first.fetched_at)
        if found is None or found.is_known or found.id in self._further:
            return None
        self._further.add(found.id)
        return await self._archived(found, site, continues=first.location.warc_record_id)

    async def _ask(self, url: str, site: Site) -> tuple[int, str | None]:
        """Answer for an old address what the files have of it: a redirect, or nothing (0)."""
        return self._index.redirect_of(site.name, url) or (0, None)

    async def finish(self) -> None:
        """Wait for what was taken in to be read, and count what no story has asked for."""
        await self._in_turn.drain()
        for capture_id in self._waiting.keys() - self._further:
            self._waiting[capture_id].skipped["further_page"] += 1

    async def _read(self, page: Page, site: Site, turn: Turn) -> None:
        report = self._run.report.site(site.name)
        try:
            outcome = await self._run.take(page, site, turn=turn)
        except (LakeError, StateError) as error:
            self._run.settle(page, f"{Verdict.FAILED}:interrupted")
            self._run.stop(error)
        except Exception:  # one page that trips us costs that page alone
            logger.exception("%s could not be read", page.url)
            self._run.settle(page, f"{Verdict.FAILED}:callback_error")
            self._run.report.callback_errors += 1
            report.counts["failed"] += 1
            report.error(page.url, "an error of Sitrep's own")
        else:
            _count(report, outcome)

    def _answer(self, found: Found) -> Answer:
        if found.original is None:
            return whole_answer(self._block(found), {})
        original = self._index.capture(found.original)
        return repeated_answer(self._block(found), whole_answer(self._block(original), {}))

    def _block(self, found: Found) -> bytes:
        """Return the record's block, whose digests were looked at in the survey."""
        if found.block is not None:
            return found.block
        path = self._files[found.file].path
        with open_foreign(path) as file:
            record = record_at(file, found.offset)
        if not isinstance(record, ForeignRecord) or record.id != found.record_id:
            raise ArchiveError(
                "the file changed while it was read",
                where=f"{path}, offset {found.offset}",
                remedy="import it again",
            )
        return record.block or b""

    def _exchange(self, found: Found, site: Site, answer: Answer) -> Exchange:
        asked = found.said.get("requested_url")
        origin = Origin(
            file=self._files[found.file].path.name, offset=found.offset, record_id=found.record_id
        )
        return Exchange(
            site=site.name,
            kind=Kind.ARTICLE,
            run_id=self._run.run_id,
            requested_url=asked if isinstance(asked, str) and site.owns(asked) else found.url,
            url=found.url,
            status=answer.status,
            reason=answer.reason,
            http_version=answer.http_version,
            headers=answer.headers,
            payload=answer.payload,
            fetched_at=found.fetched_at,
            ip=found.ip,
            redirected_from=_texts(found.said.get("redirected_from")),
            hints=_hints(found.said.get("hints")),
            revisit_of=self._run.revisit_of(site.name, found.url),
            imported_from=(origin, *_origins(found.said.get("imported_from"))),
        )


def _known(connection: duckdb.DuckDBPyConnection, keys: Sequence[Key]) -> Collection[Key]:
    rows = [dict(zip(_KEY.names, key, strict=True)) for key in keys]
    connection.register("wanted", pa.Table.from_pylist(rows, schema=_KEY))
    sql = "SELECT * FROM wanted SEMI JOIN captures USING (url, fetched_at, payload_digest)"
    found = rows_of(connection, sql)
    return {(row["url"], row["fetched_at"], row["payload_digest"]) for row in found}


def _count(report: SiteReport, outcome: Outcome) -> None:
    verdict, _, reason = outcome.verdict.partition(":")
    if verdict == Verdict.FAILED:
        report.counts["failed"] += 1
        report.error(outcome.capture.page.url, outcome.error or reason)
        return
    report.counts["fetched"] += 1
    if verdict == Verdict.REFUSED:
        report.skipped[outcome.verdict] += 1
    elif outcome.is_older:
        # It is in the archive; the article had gone on when it came.
        report.skipped["older"] += 1
    else:
        report.counts[verdict] += 1
        report.counts["duplicates"] += outcome.is_duplicate


# --- what another Sitrep said, of which nothing is taken on trust --------------------------------


def _hints(said: object) -> Hints:
    if not isinstance(said, Mapping):
        return Hints()
    fields: dict[str, Any] = {}
    for name in Hints.__dataclass_fields__.keys() & said.keys():
        if name in _LISTS:
            fields[name] = _texts(said[name])
        elif isinstance(said[name], str):
            fields[name] = said[name]
    return Hints(**fields)


def _texts(said: object) -> tuple[str, ...]:
    return tuple(one for one in said if isinstance(one, str)) if isinstance(said, list) else ()


def _origins(said: object) -> list[Origin]:
    kinds = {"file": str, "offset": int, "record_id": str}
    return [
        Origin(**one)
        for one in (said if isinstance(said, list) else ())
        if isinstance(one, dict)
        and one.keys() == kinds.keys()
        and all(isinstance(one[name], kind) for name, kind in kinds.items())
    ]
