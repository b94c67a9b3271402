"""Every part held against the others: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.archive import read_pages
from pipelines.catch_up import missing_batches
from pipelines.errors import ArchiveError, LakeError, SitrepError
from pipelines.lake import Lake
from pipelines.publish import articles_equal_revisions
from pipelines.schema import TABLES
from pipelines.spool import pending_captures
from pipelines.state import State
from pipelines.views import ask, connect, rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`level` is `error` (wrong, missing, doubled) or `warning` (orphans, advice)."""

    check: str
    level: Literal["error", "warning"]
    where: str
    what: str
    remedy: str


def examine(lake: Lake, state: State, *, spool: Path) -> Iterator[Finding]:
    """Yield what is wrong with the lake, its archive and its state."""
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "tables": lambda: _tables(lake),
        "articles": lambda: _articles(lake),
        "archive": lambda: _archive(lake),
        "doubled": lambda: _doubled(lake),
        "state": lambda: _state(lake, state),
        "spool": lambda: _spool(spool),
    }
    for name, check in checks.items():
        try:
            yield from check()
        except (SitrepError, duckdb.Error, OSError) as error:
            yield _unreadable(name, error, lake)


def _unreadable(check: str, error: Exception, lake: Lake) -> Finding:
    if not isinstance(error, SitrepError):
        error = SitrepError(str(error).splitlines()[0])
    return Finding(
        check=check,
        level="error",
        where=error.where or lake.storage.url,
        what=error.message,
        remedy=error.remedy or "restore it from a backup",
    )


def _tables(lake: Lake) -> Iterator[Finding]:
    """Read every value of every table: what is missing, cut or altered does not come through."""
    for table in TABLES:
        try:
            for file in lake.files(table):
                pq.read_table(file, partitioning=None)
        except (LakeError, OSError, pa.ArrowException) as error:
            yield Finding(
                check="tables",
                level="error",
                where=f"{table}/",
                what=str(error).splitlines()[0],
                remedy="restore the file from a backup",
            )


def _articles(lake: Lake) -> Iterator[Finding]:
    for difference in articles_equal_revisions(lake):
        yield Finding(
            check="articles",
            level="error",
            where="articles/",
            what=difference,
            remedy="the next commit publishes what changed; run any crawl",
        )


def _archive(lake: Lake) -> Iterator[Finding]:
    """Hold each capture against its record: there, of that id, with that digest."""
    with connect(lake) as connection:
        sql = "SELECT warc_path, warc_offset, warc_record_id, payload_digest FROM captures"
        rows = rows_of(connection, sql)
    expected: dict[str, dict[int, tuple[str, str]]] = {}
    for row in rows:
        place = expected.setdefault(row["warc_path"], {})
        place[row["warc_offset"]] = (row["warc_record_id"], row["payload_digest"])
    for path in lake.uncommitted_warcs():
        yield Finding(
            check="archive",
            level="warning",
            where=path,
            what="none of its records has a row in captures",
            remedy="the next crawl takes it up; a crawl that runs now is about to",
        )
    for path, places in sorted(expected.items()):
        yield from _file(lake, path, places)


def _file(lake: Lake, path: str, places: dict[int, tuple[str, str]]) -> Iterator[Finding]:
    remedy = "restore the file from a backup; what was extracted from it stays in the lake"
    found = {}
    try:
        for page in read_pages(path, storage=lake.storage):
            location = page.location
            found[location.warc_offset] = (location.warc_record_id, page.payload_digest)
    except ArchiveError as error:
        yield Finding(
            check="archive", level="error", where=error.where or path, what=error.message,
            remedy=remedy,
        )  # fmt: skip
        return
    for offset, expected in places.items():
        if found.get(offset) != expected:
            what = "the record is missing" if offset not in found else "another record is there"
            where = f"{path}, offset {offset}"
            yield Finding(check="archive", level="error", where=where, what=what, remedy=remedy)
    for offset in found.keys() - places.keys():
        yield Finding(
            check="archive",
            level="warning",
            where=f"{path}, offset {offset}",
            what="the record has no row in captures",
            remedy="nothing is lost: the bytes are there",
        )


def _doubled(lake: Lake) -> Iterator[Finding]:
    keys = {"revisions_all": "article_id, revision, extraction", "captures": "warc_record_id"}
    with connect(lake) as connection:
        for view, key in keys.items():
            sql = f"SELECT {key}, count(*) AS n FROM {view} GROUP BY {key} HAVING n > 1"  # noqa: S608 - our own names
            for row in ask(connection, sql)[1]:
                yield Finding(
                    check="doubled",
                    level="error",
                    where=view,
                    what=f"{row[:-1]} stands there {row[-1]} times",
                    remedy="report it: a commit should never be repeated",
                )


def _state(lake: Lake, state: State) -> Iterator[Finding]:
    known = state.note("lake_id")
    if known is not None and known != lake.lake_id:
        yield Finding(
            check="state",
            level="error",
            where="state",
            what=f"it is the index of another lake ({known}, not {lake.lake_id})",
            remedy="set SITREP_STATE to this lake's state",
        )
        return
    if missing := missing_batches(lake, state):
        yield Finding(
            check="state",
            level="error",
            where="state",
            what=f"it lacks {len(missing)} WARC files of the lake, {min(missing)} among them",
            remedy="the next crawl brings it up, or run `sitrep doctor --rebuild`",
        )
        return
    with connect(lake) as connection:
        there = int(ask(connection, "SELECT count(*) FROM articles")[1][0][0])
    if there != (indexed := state.count_articles()):
        yield Finding(
            check="state",
            level="error",
            where="state",
            what=f"it knows {indexed} articles, the lake holds {there}",
            remedy="run `sitrep doctor --rebuild`",
        )


def _spool(spool: Path) -> Iterator[Finding]:
    if pending := pending_captures(spool):
        yield Finding(
            check="spool",
            level="warning",
            where=str(spool),
            what=f"{pending} captures wait for their verdict",
            remedy="the next crawl takes them up; a crawl that runs now is about to",
        )
