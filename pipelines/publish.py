"""Publishing: `articles/` made equal to what revisions, relations and captures say."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from pipelines.errors import LakeError
from pipelines.lake import Lake
from pipelines.published import Draft, Manifest, slot_of
from pipelines.schema import ARTICLES, TABLES
from pipelines.sql import connect_offline, scan
from pipelines.views import DERIVE, ROWS, STEPS

logger = logging.getLogger(__name__)

# To be raised whenever the same revisions would be published otherwise: all is then built anew.
DERIVATION = 1
# Measured with 3.5 KB of text a row: a part of 17,000 rows is 23 MB, cheap to write again.
MOST_ROWS = 20_000
# The same in words, so that long reports make no part that takes gigabytes to write.
MOST_WORDS = 12_000_000

_NOTHING = Manifest(derivation=DERIVATION, recorded_at="", published_at="")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """What a publish wrote: months touched, parts written, rows in them."""

    months: tuple[str, ...] = ()
    parts_written: int = 0
    rows: int = 0


def publish(lake: Lake, *, now: datetime, rebuild: bool = False) -> PublishReport:
    """Publish what was committed since the last publish; with `rebuild`, everything.

    Killed at any point, it leaves the view as it was or as it is to be.
    """
    with lake.lock():
        base, report = _base(lake, rebuild=rebuild), PublishReport()
        recorded_at = lake.recorded_at()
        until = recorded_at.isoformat() if recorded_at else ""
        if base.recorded_at != until:
            with connect_offline(lake.storage) as connection:
                # A limit would make a publish fail (tried, at 400 MB); this keeps it low instead.
                connection.execute("SET threads = 1; SET preserve_insertion_order = false")
                report = _publish(lake, connection, base=base, until=until, now=now)
        lake.published.sweep(now=now)
        return report


def articles_equal_revisions(lake: Lake, *, most: int = 100) -> list[str]:
    """Return how `articles/` differs from what is derived anew; `last_seen` may lag behind."""
    if damaged := list(lake.published.damaged()):
        return damaged
    with connect_offline(lake.storage) as connection:
        _open_tables(lake, connection)
        connection.sql(DERIVE).create("derived")
        scan(connection, lake.published.parts() or [], ARTICLES).create_view("published")
        return _differences(connection, most=most)


def _differences(connection: duckdb.DuckDBPyConnection, *, most: int) -> list[str]:
    same = [name for name in ARTICLES.names if name != "last_seen"]
    wrong = ", ".join(
        f"CASE WHEN d.{name} IS DISTINCT FROM p.{name} THEN '{name}' END" for name in same
    )
    # A row more often there than once would hide in the join.
    doubled = connection.sql(
        "SELECT article_id, count(*) FROM published GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    ).fetchall()
    found = connection.sql(
        f"""
        SELECT coalesce(d.article_id, p.article_id),
               d.article_id IS NULL, p.article_id IS NULL,
               concat_ws(', ', {wrong}) AS columns
        FROM derived d FULL JOIN published p ON d.article_id = p.article_id
        WHERE d.article_id IS NULL OR p.article_id IS NULL
           OR columns <> ''
           OR p.last_seen > d.last_seen
        ORDER BY 1
        LIMIT {most}
        """  # noqa: S608 - made of our own columns' names
    ).fetchall()
    lines = [f"{article_id}: {times} rows in articles" for article_id, times in doubled[:most]]
    return lines + [_difference(*one) for one in found]


def _difference(article_id: str, is_extra: bool, is_missing: bool, columns: str) -> str:
    if is_extra:
        return f"{article_id}: in articles, not in revisions"
    if is_missing:
        return f"{article_id}: in revisions, not in articles"
    return f"{article_id}: articles differs in {columns or 'last_seen'}"


def _base(lake: Lake, *, rebuild: bool) -> Manifest:
    found = lake.published.manifest()
    if found is None or rebuild or found.derivation != DERIVATION:
        return lake.published.places() or _NOTHING
    return found


def _publish(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    *,
    base: Manifest,
    until: str,
    now: datetime,
) -> PublishReport:
    _open_tables(lake, connection)
    for name, sql in STEPS.items():
        connection.sql(sql).create(name)
    _find_affected(connection, since=base.recorded_at or "-infinity")
    placed = _place(lake, connection, base=base)
    # Of what is built anew only the places are kept.
    old = {_slot(part): part for part in base.parts} if base.recorded_at else {}
    kept = {part: base.parts[part] for key, part in old.items() if key not in placed}
    rows = 0
    with _drafting(lake, kept=kept) as draft:
        for (month, slot), ids in sorted(placed.items()):
            before = [lake.published.address(old[month, slot])] if (month, slot) in old else []
            table = _part(connection, ids, before=before)
            draft.add(month, slot, table)
            rows += table.num_rows
        draft.finish(derivation=DERIVATION, recorded_at=until, now=now)
    months = sorted({month.partition("=")[2] for month, _ in placed})
    return PublishReport(months=tuple(months), parts_written=len(placed), rows=rows)


@contextmanager
def _drafting(lake: Lake, *, kept: Mapping[str, int]) -> Iterator[Draft]:
    draft = None
    try:
        draft = lake.published.draft(kept=kept)
        yield draft
    except OSError as error:
        if draft:
            draft.discard()
        raise LakeError(
            f"articles cannot be published ({error.strerror or error})",
            where=lake.storage.url,
            remedy="free space there; the next crawl publishes what was committed",
        ) from error


def _open_tables(lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
    revisions = scan(connection, lake.files("revisions"), TABLES["revisions"], filename=True)
    revisions.create_view("revisions_all")
    for name in ("relations", "captures"):
        scan(connection, lake.files(name), TABLES[name]).create_view(name)


def _find_affected(connection: duckdb.DuckDBPyConnection, *, since: str) -> None:
    """Make `affected`: whose row may be another than at `since`, and the files with their text.

    A new story at an address, or one that left it, changes the others that were there.
    """
    connection.execute(
        """
        CREATE TABLE changed AS
        SELECT DISTINCT article_id FROM (
            SELECT article_id FROM revisions_all WHERE recorded_at > $since::TIMESTAMPTZ
            UNION ALL
            SELECT article_id FROM relations WHERE recorded_at > $since::TIMESTAMPTZ
        )
        """,
        {"since": since},
    )
    connection.execute(
        """
        CREATE TABLE affected AS
        SELECT h.article_id, h.month, h.first_recorded, r.word_count, r.filename
        FROM heads h
        JOIN revisions_all r ON r.article_id = h.article_id
            AND r.revision = h.newest.revision
            AND r.extraction = h.newest.extraction
            AND r.recorded_at = h.newest.recorded_at
        WHERE h.article_id IN (SELECT article_id FROM changed)
           OR h.address IN (
               SELECT canonical_url FROM revisions_all
               WHERE article_id IN (SELECT article_id FROM changed)
           )
        """
    )


_Key = tuple[str, int]


def _place(
    lake: Lake, connection: duckdb.DuckDBPyConnection, *, base: Manifest
) -> dict[_Key, list[str]]:
    """Return which part holds each affected article: the one that has it, or one with room."""
    months = connection.sql("SELECT DISTINCT month FROM affected").fetchall()
    folders = {_folder(month) for (month,) in months}
    parts = [part for part in base.parts if part.partition("/")[0] in folders]
    files = [lake.published.address(part) for part in parts]
    scan(connection, files, ARTICLES, filename=True).create_view("published")
    rows = connection.sql(
        """
        SELECT a.article_id, a.month, a.word_count, p.filename
        FROM affected a LEFT JOIN published p ON a.article_id = p.article_id
        ORDER BY a.first_recorded, a.article_id
        """
    ).fetchall()
    sizes = connection.sql(
        "SELECT filename, count(*), sum(word_count) FROM published GROUP BY filename"
    ).fetchall()
    room = {_slot(part): (rows, words) for part, rows, words in sizes}
    placed: dict[_Key, list[str]] = defaultdict(list)
    for article_id, month, words, part in rows:
        if part:
            key = _slot(part)
        else:
            key = _last_with_room(room, _folder(month))
            held, spoken = room.get(key, (0, 0))
            room[key] = (held + 1, spoken + words)
        placed[key].append(article_id)
    return dict(placed)


def _last_with_room(sizes: Mapping[_Key, tuple[int, int]], folder: str) -> _Key:
    last = max((slot for name, slot in sizes if name == folder), default=0)
    rows, words = sizes.get((folder, last), (0, 0))
    return folder, last + (rows >= MOST_ROWS or words >= MOST_WORDS)


def _part(
    connection: duckdb.DuckDBPyConnection, ids: Sequence[str], *, before: Sequence[str]
) -> pa.Table:
    """Return the rows of one part: those of `ids` derived anew, the others as they were."""
    connection.register("wanted", pa.table({"article_id": pa.array(ids, pa.string())}))
    files = connection.sql(
        "SELECT DISTINCT filename FROM affected SEMI JOIN wanted USING (article_id) ORDER BY 1"
    ).fetchall()
    scan(connection, [file for (file,) in files], TABLES["revisions"]).create_view("revisions_all")
    scan(connection, before, ARTICLES).create_view("old_part")
    table: pa.Table = connection.sql(
        f"""
        SELECT * FROM ({ROWS}) SEMI JOIN wanted USING (article_id)
        UNION ALL BY NAME
        SELECT o.* REPLACE (coalesce(s.last_seen, o.last_seen) AS last_seen)
        FROM (SELECT * FROM old_part ANTI JOIN wanted USING (article_id)) o
        LEFT JOIN sightings s ON s.article_id = o.article_id
        ORDER BY site, date_published NULLS LAST, article_id
        """  # noqa: S608 - ROWS is our own
    ).to_arrow_table()
    connection.unregister("wanted")
    return table.select(ARTICLES.names).cast(ARTICLES)


def _slot(part: str) -> _Key:
    """Return month's folder and slot of a part, by its path or its address."""
    return part.split("/")[-2], slot_of(part)


def _folder(month: str) -> str:
    return f"published_month={month}"
