"""One Delta table of the lake, appended to in an order that outlasts a power cut.

The Parquet file is on the disk before a log entry names it, the log entry before its sums say so,
and the sums before anything is appended elsewhere. delta-rs alone leaves all that to the system's
leisure, and reads an empty last entry as no entry, without a word (tried, 1.6).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from pipelines import sums
from pipelines.errors import UnreachedError
from pipelines.storage import FileInfo, Storage

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

LOG = "_delta_log"
HINT = "_last_checkpoint"
# Where a log entry goes that a power cut tore; for curiosity, nobody reads it.
TORN = "_torn"
ROWS_A_GROUP = 10_000
_ATTEMPTS = 5
# How long a table knows the transactions that say when they were made.
REMEMBERED = timedelta(days=90)
A_CHECKPOINT = 100  # log entries, as delta-rs has it by default

# Checkpoints are ours to make, to be on the disk before anything leans on them; and which log
# entries go is for `pipelines.compact` to say.
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_BLOOM = ("article_id", "url")


def opened(storage: Storage, name: str) -> DeltaTable:
    """Return the table as it is now. Raises TableNotFoundError before its first row."""
    return asked(storage, name, lambda table: table)


def asked(storage: Storage, name: str, question: Callable[[DeltaTable], _T]) -> _T:
    """Return what `question` gives of the table as it is now; both may be asked several times."""

    def attempt() -> _T:
        options = storage.table_options()
        return question(DeltaTable(storage.table_url(name), storage_options=options))

    return _persistently(storage, name, attempt)


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
    table = table or _create(storage, name, rows.schema, statistics=statistics)
    add = write(storage, name, [rows], most_rows=rows.num_rows, statistics=statistics)
    properties = CommitProperties(app_transactions=list(transactions))
    _commit(storage, name, table, [add], properties, schema=rows.schema)
    version = _version_with(storage, name, add.path, after=table.version())
    _acknowledge(storage, name, version)


def write(
    storage: Storage,
    name: str,
    groups: Iterable[pa.Table],
    *,
    most_rows: int,
    statistics: Sequence[str],
    data_change: bool = True,
) -> AddAction:
    """Write rows as one file, named by its content, that no log entry names yet.

    `groups` are of one schema and become a row group each, a longer one several; `most_rows`: how
    many rows they have together, at most.
    """
    rest = iter(groups)
    first = next(rest)
    sink = pa.BufferOutputStream()
    seen = []
    with pq.ParquetWriter(sink, first.schema, **_options(first.schema, most_rows)) as writer:
        for group in chain([first], rest):
            writer.write_table(group, row_group_size=ROWS_A_GROUP)
            seen.append(group.select(statistics))
    data = sink.getvalue().to_pybytes()
    part = sums.part_name(data)
    storage.replace(f"{name}/{part}", data)
    stats = json.dumps(_statistics(pa.concat_tables(seen), statistics))
    return AddAction(part, len(data), {}, int(time.time() * 1000), data_change, stats)


def exchange(
    storage: Storage,
    name: str,
    *,
    table: DeltaTable,
    added: Sequence[AddAction],
    replaced: Mapping[str, int],
) -> None:
    """Put files in the place of others that hold the same rows, and make a checkpoint.

    `replaced`: the names of these, and their bytes. Raises CommitFailedError, with nothing changed,
    when another program has written since `table` was opened.
    """
    at = int(time.time() * 1000)
    gone = [RemoveAction(path, False, at, size, {}) for path, size in replaced.items()]
    # Of two that replace the same files, delta-rs would let both pass (tried, 1.6): every row would
    # be there twice. Without a retry, the second finds its version taken.
    properties = CommitProperties(max_commit_retries=0)
    _commit(storage, name, table, [*added, *gone], properties, schema=table.schema())
    version = _version_with(storage, name, added[0].path, after=table.version())
    _acknowledge(storage, name, version, entries_a_checkpoint=1)


def mend(storage: Storage, name: str) -> None:
    """Put aside what a power cut left half; what was acknowledged is never touched.

    Only the last log entry can be torn, and only while it has no sums.
    """
    there = list(storage.infos(name))
    # What was on its way to its name: delta-rs's, and our own.
    for path in (one.path for one in there if _is_passing(one.path)):
        storage.delete(path)
    log = sorted(one.path for one in there if one.path.startswith(f"{name}/{LOG}/"))
    if not log:
        return
    _mend_checkpoint(storage, name, log)
    versions = _versions(log)
    if not versions:
        return
    last = _entry(name, versions[-1])
    if not storage.exists(sums.at(f"{name}/{versions[-1]:020d}")):
        if _is_whole(storage, name, last):
            _acknowledge(storage, name, versions[-1])
        else:
            _put_aside(storage, name, last)
            versions.pop()
    _fill_in(storage, name, versions)
    _sweep(storage, name, there)


def entry_name(version: int) -> str:
    """Return the name of a log entry.

    >>> entry_name(7)
    '00000000000000000007.json'
    """
    return f"{version:020d}.json"


def added(entry: bytes) -> list[dict[str, Any]]:
    """Return what a log entry adds. Raises ValueError where it is cut."""
    actions = [json.loads(line) for line in entry.decode("utf-8").splitlines()]
    if not actions:
        raise ValueError("it is empty")
    return [action["add"] for action in actions if "add" in action]


def removed(entry: bytes) -> set[str]:
    """Return the files that a log entry takes out."""
    actions = [json.loads(line) for line in entry.decode("utf-8").splitlines()]
    return {unquote(action["remove"]["path"]) for action in actions if "remove" in action}


def _entry(name: str, version: int) -> str:
    return f"{name}/{LOG}/{entry_name(version)}"


def _is_passing(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return name.startswith(".part-") or (folder.endswith(LOG) and "#" in name)


def _commit(
    storage: Storage,
    name: str,
    table: DeltaTable,
    actions: Sequence[AddAction | RemoveAction],
    properties: CommitProperties,
    *,
    schema: Any,
) -> None:
    """Write a log entry; the first of `actions` adds a file."""

    def attempt() -> None:
        try:
            table.create_write_transaction(
                list(actions),
                mode="append",
                schema=schema,
                commit_properties=properties,
                post_commithook_properties=_NO_HOOKS,
            )
        except (OSError, DeltaError):
            # It may have landed all the same, and only the store's answer been lost.
            if not _is_in(storage, name, actions[0].path):
                raise

    _persistently(storage, name, attempt)


def _persistently(storage: Storage, name: str, attempt: Callable[[], _T]) -> _T:
    """Try again what a store did not answer, or not to the end: delta-rs tries no answer twice."""
    for n in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except (OSError, DeltaError) as error:
            if not isinstance(storage.refused(error, name), UnreachedError):
                raise
        time.sleep(0.1 * 2**n)
    return attempt()


def _is_in(storage: Storage, name: str, part: str) -> bool:
    there = asked(storage, name, lambda table: table.file_uris())
    return f"{name}/{part}" in map(storage.path_of, there)


def _create(
    storage: Storage, name: str, schema: pa.Schema, *, statistics: Sequence[str]
) -> DeltaTable:
    storage.make_folder(f"{name}/{LOG}")

    def attempt() -> DeltaTable:
        return DeltaTable.create(
            storage.table_url(name),
            schema=schema,
            mode="ignore",  # one that landed, though nobody said so
            # Statistics of the other columns, bodies among them, would only fatten the log.
            configuration={
                "delta.dataSkippingStatsColumns": ",".join(statistics),
                "delta.enableExpiredLogCleanup": "false",
                # Each commit leaves its transactions in every checkpoint to come: 3.8 MB a year.
                "delta.setTransactionRetentionDuration": f"interval {REMEMBERED.days} days",
            },
            storage_options=storage.table_options(),
            post_commithook_properties=_NO_HOOKS,
        )

    made = _persistently(storage, name, attempt)
    _acknowledge(storage, name, 0)
    return made


def _options(schema: pa.Schema, most_rows: int) -> dict[str, Any]:
    bloom = {"ndv": min(most_rows, ROWS_A_GROUP), "fpp": 0.01}
    return {
        "compression": "zstd",
        "compression_level": 3,
        "write_page_checksum": True,
        "bloom_filter_options": {name: bloom for name in _BLOOM if name in schema.names},
    }


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


def _version_with(storage: Storage, name: str, part: str, *, after: int) -> int:
    # Another program may have appended in between; then ours is a later one.
    version = after + 1
    while all(add["path"] != part for add in added(storage.read(_entry(name, version)))):
        version += 1
    return version


def _acknowledge(
    storage: Storage, name: str, version: int, *, entries_a_checkpoint: int = A_CHECKPOINT
) -> None:
    """Have the disk hold a log entry, then say so in its sums; make a checkpoint when it is due."""
    storage.settle([_entry(name, version)])
    last = _last_checkpoint(storage, name)
    if version - last >= entries_a_checkpoint:
        last = _make_checkpoint(storage, name)
    _sum_up(storage, name, version, last_checkpoint=last)


def _sum_up(storage: Storage, name: str, version: int, *, last_checkpoint: int) -> None:
    there, checkpoint = [_entry(name, version)], _checkpoint(name, version)
    if version <= last_checkpoint and storage.exists(checkpoint):
        there.append(checkpoint)
        # The hint is written anew with each checkpoint: its sum is with the last one's.
        there += [f"{name}/{LOG}/{HINT}"] * (version == last_checkpoint)
    sums.write(storage, f"{name}/{version:020d}", there + _unnamed(storage, name, version))


def _unnamed(storage: Storage, name: str, version: int) -> list[str]:
    """Return the files that an entry adds and that are not named by their content.

    Another program's; it may have taken them away again.
    """
    with suppress(ValueError, TypeError, KeyError):  # damaged: the sum will say as little
        entry = storage.read(_entry(name, version))
        parts = [f"{name}/{unquote(add['path'])}" for add in added(entry)]
        named = sums.is_named_by_content
        return [one for one in parts if not named(one) and storage.exists(one)]
    return []


def _fill_in(storage: Storage, name: str, versions: Sequence[int]) -> None:
    """Write the sums that are missing: of another program's entries, and of those damaged."""
    there = set(storage.list(f"{sums.STORE}/{name}"))
    for version in versions:
        if sums.at(f"{name}/{version:020d}") not in there:
            _sum_up(storage, name, version, last_checkpoint=_last_checkpoint(storage, name))


def _checkpoint(name: str, version: int) -> str:
    return f"{name}/{LOG}/{version:020d}.checkpoint.parquet"


def _last_checkpoint(storage: Storage, name: str) -> int:
    try:
        return int(json.loads(storage.read(f"{name}/{LOG}/{HINT}"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _make_checkpoint(storage: Storage, name: str) -> int:
    asked(storage, name, lambda table: table.create_checkpoint())
    made = _last_checkpoint(storage, name)
    storage.settle([_checkpoint(name, made), f"{name}/{LOG}/{HINT}"])
    return made


def _mend_checkpoint(storage: Storage, name: str, log: Sequence[str]) -> None:
    """Drop a checkpoint that a power cut tore: the log says the same, only slower."""
    newest = max((path for path in log if path.endswith(".checkpoint.parquet")), default=None)
    hint = f"{name}/{LOG}/{HINT}"
    if newest is not None and not (_has_sums(storage, newest) or _is_parquet(storage, newest)):
        logger.warning("%s: torn by a power cut; it is made again", storage.address(newest))
        storage.delete(hint)
        storage.delete(newest)
    elif hint in log and not (
        newest and 0 < _last_checkpoint(storage, name) <= _version_in(newest)
    ):  # it names a checkpoint that is not there, or is torn itself
        storage.delete(hint)


def _has_sums(storage: Storage, checkpoint: str) -> bool:
    name = f"{checkpoint.partition('/')[0]}/{_version_in(checkpoint):020d}"
    return checkpoint in (sums.read(storage, name) or {})


def _is_parquet(storage: Storage, path: str) -> bool:
    try:
        with storage.open(path) as file:
            pq.read_table(file)
    except (OSError, pa.ArrowException):
        return False
    return True


def _version_in(path: str) -> int:
    return int(path.rpartition("/")[2].partition(".")[0])


def _versions(log: Sequence[str]) -> list[int]:
    names = (path.rpartition("/")[2].removesuffix(".json") for path in log)
    return sorted(int(name) for name in names if name.isdigit())


def _is_whole(storage: Storage, name: str, entry: str) -> bool:
    try:
        parts = added(storage.read(entry))
        return all(_is_there(storage, f"{name}/{add['path']}", add["size"]) for add in parts)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_there(storage: Storage, part: str, size: int) -> bool:
    if storage.info(part).size_bytes != size:
        return False
    return not sums.is_named_by_content(part) or sums.is_what_its_name_says(storage, part)


def _put_aside(storage: Storage, name: str, entry: str) -> None:
    torn = f"{TORN}/{name}-{entry.rpartition('/')[2]}"
    logger.warning("%s: torn by a power cut; put aside as %s", storage.address(entry), torn)
    storage.replace(torn, storage.read(entry))
    storage.delete(entry)


def _sweep(storage: Storage, name: str, there: Sequence[FileInfo]) -> None:
    """Remove what was written for an entry that never came: it is written again, at another time.

    Such a file is younger than every entry; those that a later operation took out are not.
    """
    try:
        version, there_now = asked(storage, name, lambda one: (one.version(), one.file_uris()))
    except TableNotFoundError:
        named, last = set[str](), 0.0
    except DeltaError:
        return  # whoever reads it is told
    else:
        named = {storage.path_of(address) for address in there_now}
        last = storage.info(_entry(name, version)).modified
    for one in there:
        is_part = one.path.count("/") == 1 and sums.is_named_by_content(one.path)
        if is_part and one.path not in named and one.modified > last:
            logger.info("%s: written for a commit that never came; removed", one.path)
            storage.delete(one.path)
