"""Small files of the tables made into larger ones, and what nobody needs any more cleared away.

No row changes, and no row moves: files that follow each other become one, in their order. A version
of a table can be opened as long as it was the newest one within `keep`: what it consists of, and
the part of the log that says so, go when it has been replaced for longer.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from pipelines import delta, sums
from pipelines.errors import LakeError
from pipelines.lake import Lake
from pipelines.schema import TABLES
from pipelines.storage import FileInfo, Storage

logger = logging.getLogger(__name__)

KEEP = timedelta(days=7)
# Five row groups: of revisions some 70 MB, of captures some 5. Rows, because bytes shrink when
# files become one: so what was compacted once is not compacted again.
MOST_ROWS = 50_000
# What the files that become one may have together, so that long reports take no gigabytes.
MOST_BYTES = 128 << 20
_ATTEMPTS = 3

# A name that delta-rs takes out of the log just as it stands there, with nothing to quote.
_PLAIN = re.compile(r"[A-Za-z0-9._-]+\.parquet")
_OF_THE_LOG = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")
_ALONE = "; it is left to that program to compact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What was done to a table. `left`: why its files were left as they are, or nothing."""

    table: str
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    vacuumed_files: int = 0
    vacuumed_bytes: int = 0
    log_entries_before: int = 0
    log_entries_after: int = 0
    left: str | None = None

    @property
    def is_nothing(self) -> bool:
        return (
            self.files_before == self.files_after
            and not self.vacuumed_files
            and self.log_entries_after >= self.log_entries_before
        )


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    size_bytes: int
    rows: int


def compact(lake: Lake, *, now: datetime, keep: timedelta = KEEP) -> Iterator[Compacted]:
    """Compact each table in turn; killed at any point, none is other than it was to its readers.

    The lake is locked for one table at a time, so that a crawl commits in between.
    """
    for name in TABLES:
        with lake.lock(), _writing(lake.storage, name):
            done = _Table(lake, name).compact(horizon=(now - keep).timestamp())
        yield done


class _Table:
    def __init__(self, lake: Lake, name: str):
        self._lake = lake
        self._storage = lake.storage
        self._name = name

    def compact(self, *, horizon: float) -> Compacted:
        """Compact; what was replaced before `horizon`, seconds since 1970, is cleared away."""
        found = self._lake.table(self._name)
        if found is None:
            return Compacted(table=self._name)
        before, left = self._measured(found), why_left(found, TABLES[self._name])
        gone: list[FileInfo] = []
        if left is None:
            self._merge()
            gone = _vacuum(self._storage, self._name, self._opened(), horizon=horizon)
            _clear_log(self._storage, self._name, horizon=horizon)
        return Compacted(
            table=self._name,
            **{f"{name}_before": n for name, n in before.items()},
            **{f"{name}_after": n for name, n in self._measured(self._opened()).items()},
            vacuumed_files=len(gone),
            vacuumed_bytes=sum(one.size_bytes for one in gone),
            left=left,
        )

    def _measured(self, table: DeltaTable) -> dict[str, int]:
        sizes = [int(row["size_bytes"]) for row in pa.table(table.get_add_actions()).to_pylist()]
        entries = _entries(_log(self._storage, self._name))
        return {"files": len(sizes), "bytes": sum(sizes), "log_entries": len(entries)}

    def _opened(self) -> DeltaTable:
        found = self._lake.table(self._name)
        assert found is not None, "a table that was there is there"  # noqa: S101
        return found

    def _merge(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._merge_once(self._opened())
            except CommitFailedError as error:
                logger.info("%s: another program wrote, attempt %s: %s", self._name, attempt, error)
            else:
                return
        raise LakeError(
            "another program goes on writing to the table, so that it cannot be compacted",
            where=self._storage.table_url(self._name),
            remedy="run sitrep compact again when that program is done",
        )

    def _merge_once(self, table: DeltaTable) -> None:
        runs = bins(_parts(self._storage, self._name, table))
        if not runs:
            return
        # What was written and never named goes with a later vacuum. Nothing is deleted here: a
        # store whose answer got lost may have taken what it says it refused.
        added = [self._merged(run, _statistics_columns(table)) for run in runs]
        # Their order in the table is that of their times.
        added = [
            replace(add, modification_time=add.modification_time + n) for n, add in enumerate(added)
        ]
        replaced = {part.name: part.size_bytes for run in runs for part in run}
        delta.exchange(self._storage, self._name, table=table, added=added, replaced=replaced)

    def _merged(self, run: Sequence[_Part], statistics: Sequence[str]) -> AddAction:
        return delta.write(
            self._storage,
            self._name,
            self._groups(run),
            most_rows=sum(part.rows for part in run),
            statistics=statistics,
            data_change=False,
        )

    def _groups(self, run: Sequence[_Part]) -> Iterator[pa.Table]:
        """Yield the rows of files in their order, a row group at a time."""
        waiting = TABLES[self._name].empty_table()
        for part in run:
            for rows in self._rows(part):
                waiting = pa.concat_tables([waiting, rows])
                while len(waiting) >= delta.ROWS_A_GROUP:
                    yield waiting.slice(0, delta.ROWS_A_GROUP)
                    waiting = waiting.slice(delta.ROWS_A_GROUP)
        if len(waiting):
            yield waiting

    def _rows(self, part: _Part) -> Iterator[pa.Table]:
        """Yield the rows of a file, which is read whole and held against its sum first."""
        path = f"{self._name}/{part.name}"
        data = self._storage.read(path)
        schema = TABLES[self._name]
        if not _is_what_was_written(self._storage, path, data):
            raise self._damaged(path, "its content is not what its sum says")
        try:
            file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
            seen = 0
            for batch in file.iter_batches(batch_size=delta.ROWS_A_GROUP):
                seen += batch.num_rows
                yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)
        except (OSError, pa.ArrowException, KeyError) as error:
            raise self._damaged(path, f"cannot be read ({error})") from error
        if seen != part.rows:
            raise self._damaged(path, f"has {seen} rows, and the log says {part.rows}")

    def _damaged(self, path: str, what: str) -> LakeError:
        return LakeError(what, where=self._storage.address(path), remedy="run sitrep doctor")


def why_left(table: DeltaTable, schema: pa.Schema) -> str | None:
    """Return why the files of a table are not ours to compact; None where they are."""
    protocol = table.protocol()
    # 1 and 2 are Delta without later features: no deletion vectors, no renamed columns, no row ids.
    if protocol.min_reader_version > 1 or protocol.min_writer_version > 2:
        return f"another program gave it features of Delta that Sitrep does not write{_ALONE}"
    if table.metadata().partition_columns:
        return f"another program has partitioned it{_ALONE}"
    columns = [field.name for field in table.schema().fields]
    if columns != schema.names:
        return f"another program has changed its columns{_ALONE}"
    return None


def bins(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Return the files that are to become one, in their order; those that stay are in none.

    >>> parts = [_Part(name, 1, rows) for name, rows in [("a", 40_000), ("b", 20_000), ("c", 1)]]
    >>> [[part.name for part in run] for run in bins(parts)]
    [['b', 'c']]
    """
    runs: list[list[_Part]] = [[]]
    for part in parts:
        rows = part.rows + sum(one.rows for one in runs[-1])
        size_bytes = part.size_bytes + sum(one.size_bytes for one in runs[-1])
        if rows > MOST_ROWS or size_bytes > MOST_BYTES or not _PLAIN.fullmatch(part.name):
            runs.append([])
        if _PLAIN.fullmatch(part.name):
            runs[-1].append(part)
    return [run for run in runs if len(run) > 1]


def _parts(storage: Storage, name: str, table: DeltaTable) -> list[_Part]:
    """Return the files of a table in the order in which they were written."""
    rows = pa.table(table.get_add_actions()).to_pylist()
    rows.sort(key=lambda row: (row["modification_time"], row["path"]))
    found = []
    for row in rows:
        count = row["num_records"]
        if count is None:  # another program's, without statistics
            with storage.open(f"{name}/{row['path']}") as file:
                count = pq.ParquetFile(file).metadata.num_rows
        found.append(_Part(row["path"], row["size_bytes"], count))
    return found


def _statistics_columns(table: DeltaTable) -> list[str]:
    said = table.metadata().configuration.get("delta.dataSkippingStatsColumns") or ""
    return [name for name in said.split(",") if name]


def _is_what_was_written(storage: Storage, path: str, data: bytes) -> bool:
    if sums.is_named_by_content(path):
        return path.endswith(f"/{sums.part_name(data)}")
    said = _described(storage, path.partition("/")[0]).get(path)
    return said is None or said == sums.digest_of(io.BytesIO(data))


def _described(storage: Storage, name: str) -> Mapping[str, str]:
    """Return what is said of the files of a table that do not bear their sum in their name."""
    found: dict[str, str] = {}
    for path in storage.list(f"{sums.STORE}/{name}"):
        stem = path.removeprefix(f"{sums.STORE}/").removesuffix(".json")
        files = sums.read(storage, stem) or {}
        found |= {one: said["sha256"] for one, said in files.items()}
    return found


# --- what nobody needs any more ---------------------------------------------------------------


def _vacuum(storage: Storage, name: str, table: DeltaTable, *, horizon: float) -> list[FileInfo]:
    """Delete the data files that no version has had since `horizon`; return them."""
    named = {storage.path_of(address) for address in table.file_uris()}
    old = [
        one
        for one in storage.infos(name)
        if one.path.count("/") == 1
        and one.path.endswith(".parquet")
        and one.path not in named
        and one.modified < horizon
    ]
    taken_out = _taken_out_since(storage, name, horizon) if old else set()
    gone = [one for one in old if one.path not in taken_out]
    for one in gone:
        storage.delete(one.path)
    return gone


def _taken_out_since(storage: Storage, name: str, horizon: float) -> set[str]:
    entries = [one for one in _entries(_log(storage, name)).values() if one.modified >= horizon]
    return {f"{name}/{path}" for one in entries for path in delta.removed(storage.read(one.path))}


def _clear_log(storage: Storage, name: str, *, horizon: float) -> None:
    """Delete the entries that an acknowledged checkpoint older than `horizon` says the same as.

    Never before the newest but one: so a checkpoint that is damaged can be deleted, and what is
    left still says it all.
    """
    log = _log(storage, name)
    entries = _entries(log)
    checkpoints = sorted(_version(one) for one in log if one.path.endswith(".parquet"))
    old = [v for v in checkpoints[:-1] if v in entries and entries[v].modified < horizon]
    base = next((v for v in reversed(old) if _is_acknowledged(storage, name, v)), 0)
    gone = [one.path for one in sorted(log, key=_version) if _version(one) < base]
    for path in gone:
        storage.delete(path)
    if gone:
        logger.info("%s: cleared %s files of the log before version %s", name, len(gone), base)
    _clear_sums(storage, name, before=base)


def _clear_sums(storage: Storage, name: str, *, before: int) -> None:
    """Delete the sums of entries that are gone, but those of a file that is still there."""
    there: set[str] | None = None
    hint = f"{name}/{delta.LOG}/{delta.HINT}"
    for path in storage.list(f"{sums.STORE}/{name}"):
        stem = path.rpartition("/")[2].removesuffix(".json")
        if not stem.isdigit() or int(stem) >= before:
            continue
        there = there if there is not None else set(storage.list(name))
        said = sums.read(storage, f"{name}/{stem}")
        # The hint is written anew with each checkpoint, and its sum with it.
        if said is not None and there.isdisjoint(said.keys() - {hint}):
            storage.delete(path)


def _is_acknowledged(storage: Storage, name: str, version: int) -> bool:
    """Tell whether a checkpoint is, byte by byte, what was written."""
    path = f"{name}/{delta.LOG}/{version:020d}.checkpoint.parquet"
    said = (sums.read(storage, f"{name}/{version:020d}") or {}).get(path)
    if said is None:
        return False
    with storage.open(path) as file:
        return bool(sums.digest_of(file) == said["sha256"])


def _log(storage: Storage, name: str) -> list[FileInfo]:
    return [
        one
        for one in storage.infos(f"{name}/{delta.LOG}")
        if _OF_THE_LOG.fullmatch(one.path.rpartition("/")[2])
    ]


def _entries(log: Sequence[FileInfo]) -> Mapping[int, FileInfo]:
    return {_version(one): one for one in log if one.path.endswith(".json")}


def _version(one: FileInfo) -> int:
    return int(one.path.rpartition("/")[2][:20])


@contextmanager
def _writing(storage: Storage, table: str) -> Iterator[None]:
    """Turn what goes wrong in writing into a LakeError that says what to do."""
    where = storage.table_url(table)
    try:
        yield
    except (OSError, DeltaError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise storage.refused(error, where) or LakeError(
            f"cannot be compacted ({what.splitlines()[0] if what else type(error).__name__})",
            where=where,
            remedy="see that the disk has room and the folder may be written by this user, and run "
            "sitrep compact again; no row is lost",
        ) from error
