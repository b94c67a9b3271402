"""One Delta table of the lake, appended to in an order that outlasts a power cut.

The Parquet file is on the disk before a log entry names it, the log entry before its sums say so,
and the sums before anything is appended elsewhere. delta-rs alone leaves all that to the system's
leisure, and reads an empty last entry as no entry, without a word (tried, 1.6).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from pipelines import sums
from pipelines.storage import Storage, fsync, make_folder

logger = logging.getLogger(__name__)

LOG = "_delta_log"
HINT = "_last_checkpoint"
# Where a log entry goes that a power cut tore; for curiosity, nobody reads it.
TORN = "_torn"
ROWS_A_GROUP = 10_000
A_CHECKPOINT = 100  # log entries, as delta-rs has it by default

# Checkpoints are ours to make, to be on the disk before anything leans on them; and no log entry
# goes, so that a table can be read without its checkpoints.
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_BLOOM = ("article_id", "url")


def append(
    storage: Storage,
    name: str,
    rows: pa.Table,
    *,
    table: DeltaTable | None,
    statistics: Sequence[str],
    transactions: Sequence[Transaction],
) -> None:
    """Append rows as one transaction; when this returns they outlast a power cut.

    `table` is the table as it is, None before its first row. Nobody else may append meanwhile.
    """
    folder = storage.folder / name
    table = table or _create(storage, name, rows.schema, statistics=statistics)
    path, data = _write(folder, rows)
    add = AddAction(
        path.name,
        len(data),
        {},
        int(time.time() * 1000),
        data_change=True,
        stats=json.dumps(_statistics(rows, statistics)),
    )
    table.create_write_transaction(
        [add],
        mode="append",
        schema=rows.schema,
        commit_properties=CommitProperties(app_transactions=list(transactions)),
        post_commithook_properties=_NO_HOOKS,
    )
    version = _version_with(folder, path.name, after=table.version())
    _acknowledge(storage, name, version)


def mend(storage: Storage, name: str) -> None:
    """Put aside what a power cut left half; what was acknowledged is never touched.

    Only the last log entry can be torn, and only while it has no sums.
    """
    log = storage.folder / name / LOG
    if not log.is_dir():
        return
    # What was on its way to its name: delta-rs's, and our own.
    for path in (*log.glob("*#*"), *log.parent.glob(".part-*.parquet")):
        path.unlink()
    _mend_checkpoint(storage, name)
    versions = _versions(log)
    if not versions:
        return
    last = log / entry_name(versions[-1])
    if not storage.exists(sums.at(f"{name}/{last.stem}")):
        if _is_whole(last):
            _acknowledge(storage, name, versions[-1])
        else:
            _put_aside(storage, name, last)
            versions.pop()
    _fill_in(storage, name, versions)
    _sweep(storage.folder / name)


def entry_name(version: int) -> str:
    """Return the name of a log entry.

    >>> entry_name(7)
    '00000000000000000007.json'
    """
    return f"{version:020d}.json"


def added(entry: Path) -> list[dict[str, Any]]:
    """Return what a log entry adds. Raises ValueError where it is cut."""
    actions = [json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines()]
    if not actions:
        raise ValueError("it is empty")
    return [action["add"] for action in actions if "add" in action]


def _create(
    storage: Storage, name: str, schema: pa.Schema, *, statistics: Sequence[str]
) -> DeltaTable:
    make_folder(storage.folder / name / LOG)
    made = DeltaTable.create(
        storage.table_url(name),
        schema=schema,
        # Statistics of the other columns, bodies among them, would only fatten the log.
        configuration={
            "delta.dataSkippingStatsColumns": ",".join(statistics),
            "delta.enableExpiredLogCleanup": "false",
        },
        post_commithook_properties=_NO_HOOKS,
    )
    _acknowledge(storage, name, 0)
    return made


def _write(folder: Path, rows: pa.Table) -> tuple[Path, bytes]:
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows,
        sink,
        compression="zstd",
        compression_level=3,
        row_group_size=ROWS_A_GROUP,
        write_page_checksum=True,
        bloom_filter_options={
            column: {"ndv": min(rows.num_rows, ROWS_A_GROUP), "fpp": 0.01}
            for column in _BLOOM
            if column in rows.schema.names
        },
    )
    data = sink.getvalue().to_pybytes()
    path = folder / sums.part_name(data)
    # Nothing ever bears a name that is not of its content.
    temporary = folder / f".{path.name}"
    try:
        temporary.write_bytes(data)
        fsync(temporary)
        temporary.replace(path)
        fsync(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return path, data


def _statistics(rows: pa.Table, columns: Sequence[str]) -> Mapping[str, Any]:
    """Return what a reader may skip this file by, as delta-rs writes it."""
    least, most, nulls = {}, {}, {}
    for name in columns:
        column = rows[name]
        nulls[name] = column.null_count
        if column.null_count < len(column):
            least[name], most[name] = _plain(pc.min(column).as_py()), _plain(pc.max(column).as_py())
    return {
        "numRecords": rows.num_rows,
        "minValues": least,
        "maxValues": most,
        "nullCount": nulls,
    }


def _plain(value: Any) -> Any:
    # Delta's times are of milliseconds; those of these columns are whole ones (`Lake._next_time`).
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _version_with(folder: Path, part: str, *, after: int) -> int:
    # Another program may have appended in between; then ours is a later one.
    version = after + 1
    while all(add["path"] != part for add in added(folder / LOG / entry_name(version))):
        version += 1
    return version


def _acknowledge(storage: Storage, name: str, version: int) -> None:
    """Have the disk hold a log entry, then say so in its sums; make a checkpoint when it is due."""
    log = storage.folder / name / LOG
    fsync(log / entry_name(version))
    fsync(log)
    fsync(log.parent)
    if version - _last_checkpoint(log) >= A_CHECKPOINT:
        _make_checkpoint(storage, name)
    _sum_up(storage, name, version)


def _sum_up(storage: Storage, name: str, version: int) -> None:
    log = storage.folder / name / LOG
    checkpoint = f"{version:020d}.checkpoint.parquet"
    there = [entry_name(version)] + [checkpoint] * (log / checkpoint).exists()
    # The hint is written anew with each checkpoint: its sum is with the last one's.
    there += [HINT] * ((log / HINT).exists() and _last_checkpoint(log) == version)
    paths = [f"{name}/{LOG}/{one}" for one in there] + _unnamed(storage, name, version)
    sums.write(storage, f"{name}/{version:020d}", paths)


def _unnamed(storage: Storage, name: str, version: int) -> list[str]:
    """Return the files that an entry adds and that are not named by their content.

    Another program's; it may have taken them away again.
    """
    entry = storage.folder / name / LOG / entry_name(version)
    with suppress(ValueError, TypeError, KeyError):  # damaged: the sum will say as little
        parts = [f"{name}/{unquote(add['path'])}" for add in added(entry)]
        named = sums.is_named_by_content
        return [one for one in parts if not named(Path(one)) and storage.exists(one)]
    return []


def _fill_in(storage: Storage, name: str, versions: Sequence[int]) -> None:
    """Write the sums that are missing: of another program's entries, and of those damaged."""
    folder = storage.folder / sums.STORE / name
    there = {path.stem for path in folder.glob("*.json")}
    for version in versions:
        if f"{version:020d}" not in there:
            _sum_up(storage, name, version)


def _last_checkpoint(log: Path) -> int:
    try:
        return int(json.loads((log / HINT).read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _make_checkpoint(storage: Storage, name: str) -> None:
    log = storage.folder / name / LOG
    DeltaTable(storage.table_url(name)).create_checkpoint()
    made = f"{_last_checkpoint(log):020d}.checkpoint.parquet"
    for path in (log / made, log / HINT, log):
        fsync(path)


def _mend_checkpoint(storage: Storage, name: str) -> None:
    """Drop a checkpoint that a power cut tore: the log says the same, only slower."""
    log = storage.folder / name / LOG
    newest = max(log.glob("*.checkpoint.parquet"), default=None)
    hint = log / HINT
    if newest is not None and not (_has_sums(storage, newest) or _is_parquet(newest)):
        logger.warning("%s: torn by a power cut; it is made again", newest)
        hint.unlink(missing_ok=True)
        newest.unlink()
    elif hint.exists() and (
        newest is None or _last_checkpoint(log) > int(newest.name.split(".")[0])
    ):
        hint.unlink()


def _has_sums(storage: Storage, checkpoint: Path) -> bool:
    path = checkpoint.relative_to(storage.folder).as_posix()
    version = checkpoint.name.partition(".")[0]
    return path in (sums.read(storage, f"{path.partition('/')[0]}/{version}") or {})


def _is_parquet(path: Path) -> bool:
    try:
        pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException):
        return False
    return True


def _versions(log: Path) -> list[int]:
    return sorted(int(path.stem) for path in log.glob("*.json") if path.stem.isdigit())


def _is_whole(entry: Path) -> bool:
    try:
        return all(_is_there(entry.parents[1] / add["path"], add["size"]) for add in added(entry))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_there(part: Path, size: int) -> bool:
    if part.stat().st_size != size:
        return False
    return not sums.is_named_by_content(part) or sums.is_what_its_name_says(part)


def _put_aside(storage: Storage, name: str, entry: Path) -> None:
    torn = storage.folder / TORN / f"{name}-{entry.name}"
    logger.warning("%s: torn by a power cut; put aside as %s", entry, torn)
    make_folder(torn.parent)
    entry.replace(torn)
    fsync(torn.parent)
    fsync(entry.parent)


def _sweep(folder: Path) -> None:
    """Remove what was written for an entry that never came: it is written again, at another time.

    Such a file is younger than every entry; those that a later operation took out are not.
    """
    try:
        table = DeltaTable(str(folder))
    except TableNotFoundError:
        named, last = set[str](), 0.0
    except DeltaError:
        return  # whoever reads it is told
    else:
        named = {Path(path).name for path in table.file_uris()}
        last = (folder / LOG / entry_name(table.version())).stat().st_mtime
    for path in folder.glob("part-*.parquet"):
        is_ours = sums.is_named_by_content(path) and path.name not in named
        if is_ours and path.stat().st_mtime > last:
            logger.info("%s: written for a commit that never came; removed", path)
            path.unlink()
