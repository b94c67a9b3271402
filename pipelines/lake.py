"""The lake: the truth, in Delta tables that are only ever appended to.

`articles/`, which people read, is derived from them by `pipelines.publish`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pyarrow as pa
from deltalake import DeltaTable, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError

from pipelines import delta, sums, warc
from pipelines.errors import LakeError
from pipelines.furniture import Known, known_of
from pipelines.generations import Generations
from pipelines.in_place import InPlace
from pipelines.lease import FileLease, Free, Lease, wait_for
from pipelines.model import Batch, Relation
from pipelines.published import Published
from pipelines.schema import (
    SCHEMA_VERSION,
    TABLES,
    Row,
    capture_row,
    relation_row,
    reservation_row,
    revision_row,
    run_row,
)
from pipelines.sql import connect_offline, scan
from pipelines.storage import LocalStorage, Storage, open_storage

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

ABOUT = "_sitrep.json"
LOCK = "_lock"

# Each append carries the time it was recorded at as the version of this application transaction,
# so that the latest one is known without reading the table.
_CLOCK = "recorded_at"
# What a reader may skip a file by.
_STATISTICS = {
    "revisions": ("recorded_at", "article_id"),
    "relations": ("recorded_at", "article_id"),
    "captures": ("warc_path", "warc_record_id"),
    "furniture": ("recorded_at", "site"),
    "reservations": ("fetched_at", "site"),
    "runs": ("run_id",),
}
# What tells the rows of one record apart.
_KEYS = {
    "revisions": ("warc_record_id", "extraction"),
    "reservations": ("warc_record_id",),
    "captures": ("warc_record_id",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What `_sitrep.json` says. `state_id` is the state that may write; null: any."""

    lake_id: str
    schema_version: int
    state_id: str | None
    created_at: str


class Lake:
    """`published` is `articles/`; `guard` is what a writer holds.

    An object store has no lock of its own: `pipelines.writers` gives the guard to those let in.
    """

    def __init__(self, storage: Storage, about: About):
        self.storage = storage
        self.about = about
        self.published: Published
        self.guard: Lease | None = None
        if isinstance(storage, LocalStorage):
            self.published = Generations(storage.folder)
            self.guard = FileLease(storage.folder / LOCK)
        else:
            self.published = InPlace(storage)
        self._mutex = threading.RLock()
        self._holds = False
        self._is_mended = False

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Lake:
        """Open the lake at `url`; with `create`, make it where there is none.

        Raises LakeError where it is missing, of a newer schema, or cannot be made.
        """
        storage = open_storage(url)
        if create and not storage.exists(ABOUT):
            _found(storage)
        return cls(storage, _read_about(storage))

    @property
    def lake_id(self) -> str:
        return self.about.lake_id

    @contextmanager
    def lock(self, *, patience: timedelta = timedelta(minutes=10)) -> Iterator[None]:
        """Hold the lake for commit and publish: one process, one thread at a time.

        Free again when the process ends, however it ends. May be entered again while held. The
        first time, what a power cut left half is put aside, so that it is taken up again.
        Raises LakeError where the lake is gone, or another state's by now.
        """
        with self._mutex, self._held(self._writers_guard(), patience=patience) as is_new:
            if is_new:
                self._mend()
            yield

    def belongs_to(self, state_id: str, *, takes_over: bool) -> None:
        """Make `state_id` the state that may write; with `takes_over`, in place of another."""
        with self._mutex, self._held(self._writers_guard(), patience=timedelta(minutes=10)):
            about = _read_about(self.storage)
            if about.state_id is None or takes_over:
                about = replace(about, state_id=state_id)
                self.storage.replace(ABOUT, sums.sealed(asdict(about)))
            self.about = replace(about, state_id=state_id)
            self._refuse_others(about)

    def _writers_guard(self) -> Lease:
        if self.guard is None:
            raise LakeError("was opened to be read only", where=self.storage.url)
        about = _read_about(self.storage)
        if self.about.state_id is not None:
            self._refuse_others(about)
        return self.guard

    def _refuse_others(self, about: About) -> None:
        if about.state_id != self.about.state_id:
            raise LakeError(
                "another state writes this lake",
                where=self.storage.url,
                remedy="set SITREP_STATE to that one; or, if it is lost, run `sitrep doctor "
                "--rebuild`, which makes this one the lake's",
            )

    @contextmanager
    def kept_still(self) -> Iterator[None]:
        """Hold the lake as `lock` does, to look at it: nothing is written, nothing put aside."""
        guard = self.guard.to_look() if self.guard else Free()
        with self._mutex, self._held(guard, patience=timedelta(minutes=10)):
            yield

    @contextmanager
    def _held(self, guard: Lease, *, patience: timedelta) -> Iterator[bool]:
        """Hold `guard`; give whether it was not held already."""
        if self._holds:
            yield False
            return
        with _writing(self.storage):
            wait_for(guard, patience=patience, where=self.storage.url)
        self._holds = True
        try:
            yield True
        finally:
            self._holds = False
            guard.release()

    def _mend(self) -> None:
        if self._is_mended:
            return
        with _writing(self.storage):
            sums.sweep(self.storage)
            for table in TABLES:
                delta.mend(self.storage, table)
            there = set(sums.names(self.storage))
            for path in self._warcs():
                if _sums_name(path) not in there:
                    self._sum_up(path)
        self._is_mended = True

    def add_warc(self, spool_file: Path, warc_path: str) -> None:
        """Move a closed WARC file into the lake; when it is there already, that is all."""
        if not spool_file.exists() and self.storage.exists(warc_path):
            return
        with _writing(self.storage):
            # From what lies at hand: to be read again, it would have to come back.
            with spool_file.open("rb") as file:
                said = {warc_path: sums.of(file)}
            self.storage.take(spool_file, warc_path)
            sums.put(self.storage, _sums_name(warc_path), said)

    def commit(self, batch: Batch, *, now: datetime) -> datetime:
        """Append what one WARC file gave: revisions, relations, reservations, captures, in order.

        What a commit that was killed had appended already is left out. Returns `recorded_at`:
        `now`, or later than every time recorded here before.
        """
        with self.lock():
            recorded_at = self._next_time(now)
            _refuse_doubles(batch)
            self._sum_up(batch.warc_path)
            rows = {
                "revisions": [revision_row(r, recorded_at=recorded_at) for r in batch.revisions],
                "relations": [
                    relation_row(r, recorded_at=recorded_at) for r in _newest(batch.relations)
                ],
                "reservations": [
                    reservation_row(c.page) for c in batch.captures if c.page.reserved
                ],
                "captures": [capture_row(c) for c in batch.captures],
            }
            times = [
                self._append(table, some, app_id=batch.warc_path, recorded_at=recorded_at)
                for table, some in rows.items()
                if some
            ]
            return max(times, default=recorded_at)

    def add_run(self, run: Mapping[str, Any]) -> None:
        """Append a row of `runs`; a run that is in is not appended again."""
        row = run_row(run)
        with self.lock():
            at = self._next_time(row["finished_at"] or row["started_at"])
            self._append("runs", [row], app_id=str(row["run_id"]), recorded_at=at)

    def add_furniture(self, rows: Sequence[Row], *, app_id: str, now: datetime) -> None:
        """Append rows of `furniture`, as of one time, unless `app_id` has appended its own."""
        with self.lock():
            last = self._version_of(_CLOCK, "furniture")
            at = self._next_time(now)
            if last is not None:
                at = max(at, _time(last) + timedelta(milliseconds=1))
            timed = [{**row, "recorded_at": at} for row in rows]
            self._append("furniture", timed, app_id=app_id, recorded_at=at)

    def furniture(self) -> dict[str, Known]:
        """Return what is known of the furniture of each site, by its name."""
        return known_of(self._select("furniture", "SELECT * FROM t"))

    def table(self, name: str) -> DeltaTable | None:
        """Return the Delta table, or None before its first row."""
        return self._asked(name, lambda table: table)

    def files(self, table: str) -> list[str]:
        """Return the addresses of a table's Parquet files as they are now, in order."""
        found = self._asked(table, lambda table: table.file_uris()) or ()
        return sorted(self.storage.address(self.storage.path_of(one)) for one in found)

    def recorded_at(self) -> datetime | None:
        """Return the time of the latest commit to revisions or relations."""
        asked = [self._version_of(_CLOCK, name) for name in ("revisions", "relations")]
        return max((_time(one) for one in asked if one is not None), default=None)

    def _version_of(self, app_id: str, table: str) -> int | None:
        return self._asked(table, lambda table: table.transaction_version(app_id))

    def _asked(self, name: str, question: Callable[[DeltaTable], _T]) -> _T | None:
        """Return what `question` gives of a table, or None before its first row."""
        try:
            return delta.asked(self.storage, name, question)
        except TableNotFoundError:
            return None
        except (OSError, DeltaError) as error:
            where = self.storage.table_url(name)
            raise self.storage.refused(error, where) or LakeError(
                f"the table cannot be read ({_first_line(error)})",
                where=where,
                remedy="run sitrep doctor",
            ) from error

    def has_captures(self, record_ids: Collection[str]) -> set[str]:
        """Return those of `record_ids` that have their row in `captures`."""
        sql = "SELECT warc_record_id FROM t SEMI JOIN wanted ON warc_record_id = wanted.id"
        return {row["warc_record_id"] for row in self._select("captures", sql, wanted=record_ids)}

    def committed_warcs(self) -> set[str]:
        """Return the WARC files with a row in `captures`."""
        rows = self._select("captures", "SELECT DISTINCT warc_path FROM t")
        return {row["warc_path"] for row in rows}

    def uncommitted_warcs(self) -> list[str]:
        """Return the WARC files that were moved here before their process could commit them.

        They come in the order in which they were written. A copy of a file that was committed,
        under another name, is none of them.
        """
        done = self.committed_warcs()
        left = {path: self.first_capture(path) for path in self._warcs() if path not in done}
        known = self.has_captures([one for one in left.values() if one])
        for path in (path for path, first in left.items() if first in known):
            logger.warning("%s: a copy of a file that is in the lake; nobody needs it", path)
        return sorted(
            (path for path, one in left.items() if one not in known), key=warc.place_in_time
        )

    def first_capture(self, warc_path: str) -> str | None:
        """Return the id of a WARC file's first response; None where there is none to be read."""
        with self.storage.open(warc_path) as file:
            return warc.first_capture(file, where=warc_path)

    def _warcs(self) -> list[str]:
        return [path for path in self.storage.list("warc") if path.endswith(".warc.gz")]

    def current(
        self, article_ids: Collection[str], *, but_for: Collection[str] = ()
    ) -> dict[str, Row]:
        """Return the newest extraction of the newest revision of each article that is known.

        What the WARC files `but_for` gave is left out: their commit may have been cut short.
        """
        sql = """
            SELECT t.* FROM t SEMI JOIN wanted ON article_id = wanted.id
            ANTI JOIN left_out ON warc_path = left_out.id
            QUALIFY row_number() OVER (
                PARTITION BY article_id ORDER BY revision DESC, extraction DESC, recorded_at DESC
            ) = 1
        """
        rows = self._select("revisions", sql, wanted=article_ids, left_out=but_for)
        return {row["article_id"]: row for row in rows}

    def further_pages(self, article_ids: Collection[str]) -> dict[str, list[Row]]:
        """Return the captures of the pages at which articles go on, the earliest first."""
        sql = """
            SELECT t.* FROM t SEMI JOIN wanted ON article_id = wanted.id
            WHERE kind = 'further' AND status = 200 ORDER BY fetched_at, warc_record_id
        """
        found: dict[str, list[Row]] = {}
        for row in self._select("captures", sql, wanted=article_ids):
            found.setdefault(row["article_id"], []).append(row)
        return found

    def _select(self, table: str, sql: str, **ids: Collection[str]) -> list[Row]:
        """Return what `sql` gives of a table, `t`, and of lists of ids by their names."""
        files = self.files(table)
        if not files:
            return []
        with connect_offline(self.storage, is_shared=True) as connection:
            for name, some in ids.items():
                connection.register(name, pa.table({"id": pa.array(sorted(some), pa.string())}))
            scan(connection, files, TABLES[table]).create_view("t")
            found: pa.Table = connection.sql(sql).to_arrow_table()
        rows: list[Row] = found.cast(_like(found, TABLES[table])).to_pylist()
        return rows

    def _next_time(self, now: datetime) -> datetime:
        """Return `now`, or a time just after the latest commit, in whole milliseconds.

        delta-rs cuts the statistics of a time to milliseconds: a reader that filters on
        `recorded_at` would skip a file whose last times lie within the millisecond (seen in 1.6).
        """
        whole = _floor(now.astimezone(UTC))
        last = self.recorded_at()
        return max(whole, last + timedelta(milliseconds=1)) if last else whole

    def _append(
        self, name: str, rows: Sequence[Row], *, app_id: str, recorded_at: datetime
    ) -> datetime:
        """Append rows as one transaction, unless it is in; return the time it was recorded at."""
        # delta-rs takes the same transaction twice without a word: it is for us to look.
        found, before = self._asked(
            name, lambda table: (table, table.transaction_version(app_id))
        ) or (None, None)
        if before is not None:
            return _time(before)
        if found and _may_be_forgotten(app_id):
            rows = self._without_known(name, rows)
            if not rows:
                return recorded_at
        version = _microseconds(recorded_at)
        made = int(time.time() * 1000)
        # That of the clock never goes: it does not say when it was made.
        done = [Transaction(app_id, version, made), Transaction(_CLOCK, version)]
        self._is_mended = False  # until it went well
        with _writing(self.storage, name):
            delta.append(
                self.storage,
                name,
                pa.Table.from_pylist(list(rows), schema=TABLES[name]),
                table=found,
                statistics=_STATISTICS[name],
                transactions=done,
            )
        self._is_mended = True
        return recorded_at

    def _without_known(self, table: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows that are not in, though the table may have forgotten their transaction.

        Of relations the latest holds: those of a file that is taken up again are no repeats.
        """
        if table not in _KEYS:
            return rows
        key, ids = _KEYS[table], {str(row["warc_record_id"]) for row in rows}
        sql = f"SELECT {', '.join(key)} FROM t SEMI JOIN wanted ON warc_record_id = wanted.id"  # noqa: S608 - our own names
        known = {tuple(row.values()) for row in self._select(table, sql, wanted=ids)}
        return [row for row in rows if tuple(row[name] for name in key) not in known]

    def _sum_up(self, warc_path: str) -> None:
        """Write down the sums of a WARC file, before anything leans on it."""
        name = _sums_name(warc_path)
        if self.storage.exists(warc_path) and not self.storage.exists(sums.at(name)):
            with _writing(self.storage):
                sums.write(self.storage, name, [warc_path])


def _may_be_forgotten(app_id: str) -> bool:
    begun = warc.begun_at(app_id)
    return begun is not None and datetime.now(UTC) - begun > delta.REMEMBERED / 2


def is_there(url: str) -> bool:
    """Tell whether there is a lake at `url`, readable or not."""
    return open_storage(url).exists(ABOUT)


def _sums_name(warc_path: str) -> str:
    return warc_path.removesuffix(".warc.gz")


def _found(storage: Storage) -> None:
    about = {
        "lake_id": str(uuid4()),
        "schema_version": SCHEMA_VERSION,
        "state_id": None,
        "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    with _writing(storage):
        storage.create(ABOUT, sums.sealed(about))  # unless another has, just now


def _read_about(storage: Storage) -> About:
    try:
        said = json.loads(storage.read(ABOUT))
        version = int(said["schema_version"])
    except FileNotFoundError as error:
        raise LakeError(
            "there is no lake here", where=storage.url, remedy="run sitrep crawl first"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LakeError(
            f"{ABOUT} cannot be read ({_first_line(error)})",
            where=storage.url,
            remedy="restore it from a copy of the lake",
        ) from error
    if version > SCHEMA_VERSION:
        raise LakeError(
            f"the lake has schema {version}, this program knows {SCHEMA_VERSION}",
            where=storage.url,
            remedy="update Sitrep",
        )
    return About(**{name: said.get(name) for name in About.__dataclass_fields__})


@contextmanager
def _writing(storage: Storage, table: str | None = None) -> Iterator[None]:
    """Turn what goes wrong in writing into a LakeError that says what to do."""
    where = storage.table_url(table) if table else storage.url
    try:
        yield
    except (OSError, DeltaError) as error:
        raise storage.refused(error, where) or LakeError(
            f"cannot be written ({_first_line(error)})",
            where=where,
            remedy="see that the disk has room and the folder may be written by this user, "
            "or set SITREP_LAKE to another; what was fetched is kept and taken up again",
        ) from error


def _refuse_doubles(batch: Batch) -> None:
    keys = Counter((r.article_id, r.revision, r.extraction) for r in batch.revisions)
    for (article_id, revision, extraction), times in keys.items():
        if times > 1:
            raise LakeError(
                f"revision {revision}, extraction {extraction} of {article_id} comes {times} times",
                where=batch.warc_path,
                remedy="report this: it is a fault of Sitrep",
            )


def _newest(relations: Sequence[Relation]) -> Iterator[Relation]:
    """Yield what holds of each article: of two relations in one commit the later.

    What several say of clusters that are the same holds as long as the article stays in its own.
    """
    newest = {one.article_id: one for one in relations}
    same_as: dict[str, dict[str, None]] = {}
    for one in relations:
        if one.same_as and one.cluster_id == newest[one.article_id].cluster_id:
            same_as.setdefault(one.article_id, {})[one.same_as] = None
    for article_id, one in newest.items():
        for cluster_id in same_as.get(article_id, [None]):
            yield replace(one, same_as=cluster_id)


def _like(found: pa.Table, schema: pa.Schema) -> pa.Schema:
    return pa.schema([schema.field(name) for name in found.column_names])


def _floor(when: datetime) -> datetime:
    return when.replace(microsecond=when.microsecond // 1000 * 1000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)


def _time(version: int) -> datetime:
    return _EPOCH + timedelta(microseconds=version)


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
