"""Publishing: `articles/` made equal to what revisions, relations and captures say.

What of the lake is looked at in full is read column by column and kept by no one; what is kept, are
the articles that changed, or a stretch of parts at a time. So a publish takes the memory of what it
writes, and not of what there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.derived_articles import (
    IS_NEWEST,
    NARROW,
    Derived,
    Tables,
    derived_of,
    deriving,
    is_one_stretch,
    stretches,
)
from pipelines.errors import LakeError
from pipelines.lake import Lake
from pipelines.published import Draft, Manifest, slot_of
from pipelines.schema import ARTICLES, TABLES
from pipelines.sql import scan
from pipelines.views import STEPS

# To be raised whenever the same revisions would be published otherwise: all is then built anew.
DERIVATION = 2
# Measured with 3.5 KB of text a row: a part of 17,000 rows is 23 MB, cheap to write again.
MOST_ROWS = 20_000
# The same in words, so that long reports make no part that takes gigabytes to write.
MOST_WORDS = 12_000_000
# Revisions that are grouped together.
SLICE_ROWS = 200_000

_NOTHING = Manifest(derivation=DERIVATION, recorded_at="", published_at="")
_SORTED_BY: Sequence[tuple[str, Literal["ascending"]]] = [
    (name, "ascending") for name in ("site", "date_published", "article_id")
]

_Key = tuple[str, int]


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
            report = _publish(lake, base=base, until=until, now=now)
        lake.published.sweep(now=now)
        return report


def _base(lake: Lake, *, rebuild: bool) -> Manifest:
    found = lake.published.manifest()
    if found is None or rebuild or found.derivation != DERIVATION:
        return lake.published.places() or _NOTHING
    return found


def _publish(lake: Lake, *, base: Manifest, until: str, now: datetime) -> PublishReport:
    tables = Tables.of(lake)
    plan = _plan(lake, tables, base=base)
    # Of what is built anew only the places are kept.
    old = {_slot(part): part for part in base.parts} if base.recorded_at else {}
    kept = {part: base.parts[part] for key, part in old.items() if key not in plan.sizes}
    before = {key: lake.published.address(old[key]) for key in plan.sizes if key in old}
    sizes = {key: n + base.parts.get(old.get(key, ""), 0) for key, n in plan.sizes.items()}
    rows = 0
    with _drafting(lake, kept=kept) as draft:
        for keys in stretches(sizes):
            derived = _derived_anew(tables, plan, keys, before=before)
            for key in keys:
                table = _part(tables, derived, key, before=before.get(key))
                draft.add(*key, table)
                rows += table.num_rows
                del table
                pa.default_memory_pool().release_unused()
        draft.finish(derivation=DERIVATION, recorded_at=until, now=now)
    months = sorted({month.partition("=")[2] for month, _ in plan.sizes})
    return PublishReport(months=tuple(months), parts_written=len(plan.sizes), rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is to be derived anew, and where it goes.

    `placed`: article and part. `sizes`: how many of them a part holds. `known`: the rows of
    `revisions` that they are derived from, without the texts; None: to be looked for among all.
    """

    placed: pa.Table
    sizes: Mapping[_Key, int]
    known: pa.Table | None


def _plan(lake: Lake, tables: Tables, *, base: Manifest) -> _Plan:
    with tables.opened() as connection:
        is_known = _find_affected(lake, connection, since=base.recorded_at)
        sizes = _place(lake, connection, base=base)
        return _Plan(
            placed=connection.table("placed").to_arrow_table(),
            sizes=sizes,
            known=connection.table("known").to_arrow_table() if is_known else None,
        )


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


def _find_affected(lake: Lake, connection: duckdb.DuckDBPyConnection, *, since: str) -> bool:
    """Make `affected`: whose row may be another than at `since`; and `known`, to derive them from.

    A new story at an address, or one that left it, changes the others that were there. Return
    whether `known` is so little that it can be kept.
    """
    if not since:
        connection.execute("CREATE VIEW known AS FROM every_revision")
        _list_affected(connection, which="true")
        return False
    _find_changed(lake, connection, since=since)
    is_little = is_one_stretch(_count(connection, "changed"))
    if is_little:
        _know_changed(connection)
    else:
        connection.execute(
            """
            CREATE VIEW known AS FROM every_revision;
            CREATE TABLE addresses AS
                SELECT DISTINCT canonical_url FROM known SEMI JOIN changed USING (article_id)
            """
        )
    _list_affected(
        connection,
        which="h.article_id IN (SELECT article_id FROM changed) "
        "OR h.address IN (SELECT canonical_url FROM addresses)",
    )
    return is_little


def _know_changed(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `known` of those changed and of those ever at their `addresses`."""
    connection.execute(
        f"""
        CREATE TABLE known AS
            SELECT {NARROW}, filename FROM every_revision SEMI JOIN changed USING (article_id);
        CREATE TABLE addresses AS SELECT DISTINCT canonical_url FROM known;
        CREATE TABLE neighbours AS
            SELECT DISTINCT article_id FROM (
                SELECT article_id FROM every_revision SEMI JOIN addresses USING (canonical_url)
            ) ANTI JOIN changed USING (article_id)
        """  # noqa: S608 - made of our own columns' names
    )
    # Most often there are none, and this would be one more look at the whole table.
    if _count(connection, "neighbours"):
        connection.execute(
            f"INSERT INTO known SELECT {NARROW}, filename FROM every_revision "  # noqa: S608 - likewise
            "SEMI JOIN neighbours USING (article_id)"
        )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    ((rows,),) = connection.sql(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - our own
    return int(rows)


def _find_changed(lake: Lake, connection: duckdb.DuckDBPyConnection, *, since: str) -> None:
    """Make `changed`: the articles of which anything was recorded after `since`."""
    for table in ("revisions", "relations"):
        files = _files_since(lake, table, datetime.fromisoformat(since))
        scan(connection, files, TABLES[table]).create_view(f"recent_{table}")
    connection.execute(
        """
        CREATE TABLE changed AS
        SELECT DISTINCT article_id FROM (
            SELECT article_id FROM recent_revisions WHERE recorded_at > $since::TIMESTAMPTZ
            UNION ALL
            SELECT article_id FROM recent_relations WHERE recorded_at > $since::TIMESTAMPTZ
        )
        """,
        {"since": since},
    )


def _files_since(lake: Lake, name: str, since: datetime) -> list[str]:
    """Return the addresses of the files that may hold what was recorded after `since`.

    A file whose statistics are missing may; and statistics may be cut to whole milliseconds.
    """
    table = lake.table(name)
    if table is None:
        return []
    adds = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    latest = {add["path"]: add.get("max.recorded_at") for add in adds}
    horizon = since - timedelta(milliseconds=1)
    old = {f"{name}/{path}" for path, at in latest.items() if at and at < horizon}
    paths = map(lake.storage.path_of, table.file_uris())
    return sorted(lake.storage.address(path) for path in paths if path not in old)


def _list_affected(connection: duckdb.DuckDBPyConnection, *, which: str) -> None:
    """Make `affected` of those of `known`, a slice at a time: to group all takes 700 bytes each."""
    connection.execute(
        "CREATE TABLE affected "
        "(article_id VARCHAR, month VARCHAR, first_recorded TIMESTAMPTZ, word_count INTEGER)"
    )
    slices = 1 + _count(connection, "known") // SLICE_ROWS
    for number in range(slices):
        connection.execute(
            f"""
            CREATE OR REPLACE TABLE revisions_all AS
                SELECT {NARROW} FROM known WHERE hash(article_id) % {slices} = {number};
            CREATE OR REPLACE TABLE heads AS {STEPS["heads"]};
            INSERT INTO affected
                SELECT h.article_id, h.month, h.first_recorded, r.word_count
                FROM heads h JOIN revisions_all r ON {IS_NEWEST}
                WHERE {which}
            """  # noqa: S608 - made of our own columns' names
        )


def _place(lake: Lake, connection: duckdb.DuckDBPyConnection, *, base: Manifest) -> dict[_Key, int]:
    """Make `placed`: which part holds each affected article, the one that has it or one with room.

    Return how many of them each part holds.
    """
    connection.execute("CREATE TABLE placed (article_id VARCHAR, part VARCHAR)")
    months = connection.sql("SELECT DISTINCT month FROM affected ORDER BY 1").fetchall()
    parts: dict[str, dict[_Key, str]] = {_folder(month): {} for (month,) in months}
    for part in sorted(base.parts):
        if (folder := part.partition("/")[0]) in parts:
            parts[folder][_slot(part)] = lake.published.address(part)
    for key, address in (one for some in parts.values() for one in some.items()):
        _place_where_they_are(connection, key, address)
    for (month,) in months:
        _place_new(connection, month, parts[_folder(month)])
    counts = connection.sql("SELECT part, count(*) FROM placed GROUP BY part").fetchall()
    return dict(sorted((_key(name), rows) for name, rows in counts))


def _place_where_they_are(connection: duckdb.DuckDBPyConnection, key: _Key, address: str) -> None:
    scan(connection, [address], ARTICLES).create_view("held")
    connection.execute(
        """
        INSERT INTO placed
        SELECT DISTINCT article_id, $part FROM (SELECT article_id FROM held)
        SEMI JOIN affected USING (article_id)
        ANTI JOIN placed USING (article_id)
        """,
        {"part": _name(key)},
    )


def _place_new(
    connection: duckdb.DuckDBPyConnection, month: str, parts: Mapping[_Key, str]
) -> None:
    """Place those of a month that no part has, in the order in which they came."""
    new = connection.sql(
        """
        SELECT article_id, word_count FROM affected ANTI JOIN placed USING (article_id)
        WHERE month = $month ORDER BY first_recorded, article_id
        """,
        params={"month": month},
    ).to_arrow_table()
    if not new.num_rows:
        return
    last = max((slot for _, slot in parts), default=0)
    held = _size(connection, parts.get((_folder(month), last)))
    slots = _slots_with_room(new["word_count"].to_pylist(), last, *held)
    names = pa.array([_name((_folder(month), slot)) for slot in slots], pa.string())
    connection.register("new", pa.table({"article_id": new["article_id"], "part": names}))
    connection.execute("INSERT INTO placed FROM new")
    connection.unregister("new")


def _size(connection: duckdb.DuckDBPyConnection, part: str | None) -> tuple[int, int]:
    """Return how many rows and words a part has."""
    scan(connection, [part] if part else [], ARTICLES).create_view("held")
    sql = "SELECT count(*), coalesce(sum(word_count), 0)::BIGINT FROM held"
    ((rows, words),) = connection.sql(sql).fetchall()
    return rows, words


def _slots_with_room(
    lengths: Iterable[int | None], slot: int, rows: int, words: int
) -> Iterator[int]:
    """Yield the slot of each article in turn; the first slot has `rows` and `words` already."""
    for length in lengths:
        if rows >= MOST_ROWS or words >= MOST_WORDS:
            slot, rows, words = slot + 1, 0, 0
        yield slot
        rows, words = rows + 1, words + (length or 0)


# --- derived anew ---------------------------------------------------------------------------------


def _derived_anew(
    tables: Tables, plan: _Plan, keys: Sequence[_Key], *, before: Mapping[_Key, str]
) -> Derived:
    """Derive what is placed in some parts; and when the articles in them `before` were seen."""
    names = pa.array(map(_name, keys), pa.string())
    wanted = plan.placed.filter(pc.is_in(plan.placed["part"], value_set=names))
    with tables.opened() as connection:
        connection.register("wanted", wanted)
        if plan.known is None:
            connection.execute("CREATE VIEW known AS FROM every_revision")
        else:
            connection.register("known", plan.known)
        old = scan(connection, [before[key] for key in keys if key in before], ARTICLES)
        old.create_view("held")
        return derived_of(connection)


def _part(tables: Tables, derived: Derived, key: _Key, *, before: str | None) -> pa.Table:
    """Return the rows of one part: those placed there derived anew, the others as they were."""
    with deriving(tables, derived, _name(key)) as connection:
        scan(connection, [before] if before else [], ARTICLES).create_view("old_part")
        found: pa.Table = connection.sql(
            """
            FROM anew
            UNION ALL BY NAME
            SELECT o.* REPLACE (coalesce(s.last_seen, o.last_seen) AS last_seen)
            FROM (SELECT * FROM old_part ANTI JOIN wanted USING (article_id)) o
            LEFT JOIN sightings s ON s.article_id = o.article_id
            """
        ).to_arrow_table()
    found = found.select(ARTICLES.names).cast(ARTICLES)
    # Arrow puts them in order in less memory than DuckDB: 290 MB in place of 370.
    return found.take(pc.sort_indices(found, sort_keys=_SORTED_BY))


def _name(key: _Key) -> str:
    return f"{key[0]}/{key[1]}"


def _key(name: str) -> _Key:
    folder, _, slot = name.rpartition("/")
    return folder, int(slot)


def _slot(part: str) -> _Key:
    """Return month's folder and slot of a part, by its path."""
    return part.split("/")[-2], slot_of(part)


def _folder(month: str) -> str:
    return f"published_month={month}"
