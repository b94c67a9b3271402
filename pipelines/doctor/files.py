"""Every file of the lake against its sum, its name or its place; WARC files apart (`archive`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import delta, sums
from pipelines.doctor.findings import BACKUP, Finding, reason
from pipelines.doctor.published import OURS as PUBLISHED
from pipelines.doctor.published import check_published
from pipelines.doctor.snapshot import Snapshot
from pipelines.lake import ABOUT, LOCK
from pipelines.schema import TABLES

_TABLES = "|".join(TABLES)
_OURS = re.compile(
    rf"""{re.escape(ABOUT)} | {LOCK} | {sums.STORE}/.+\.json | {delta.TORN}/.+
    | ({_TABLES})/part-[^/]+\.parquet
    | ({_TABLES})/{delta.LOG}/(\d{{20}}\.(json|checkpoint\.parquet)|{delta.HINT})
    | {PUBLISHED}
    | warc/\d{{4}}/\d\d/[^/]+\.warc\.gz""",
    re.VERBOSE,
)
_WRONG = "its content is not what its sum says"
_LOST_LOG = f"{BACKUP}, with the whole folder of its table"
_AGAIN = "delete it, and _last_checkpoint beside it: the log says the same"
_SUMS = "when nothing is said of what it describes, delete it: the next crawl writes it anew"


def check_files(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield every file that is not as it was written, and those that nobody wrote."""
    yield from _about(snapshot)
    described = _Described()
    yield from described.read(snapshot)
    yield from _summed(snapshot, described)
    for table in TABLES:
        yield from _parts(snapshot, table, described)
    yield from check_published(snapshot)
    yield from _foreign(snapshot)


@dataclass(slots=True)
class _Described:
    """What all sums say, the later over the earlier."""

    files: dict[str, Any] = field(default_factory=dict)

    def read(self, snapshot: Snapshot) -> Iterator[Finding]:
        for name in sums.names(snapshot.storage):
            if name.startswith("warc/"):
                continue
            found = sums.read(snapshot.storage, name)
            if found is None:
                yield _error(sums.at(name), "cannot be read as it was written", _SUMS)
            else:
                self.files |= found


def _about(snapshot: Snapshot) -> Iterator[Finding]:
    try:
        sums.unsealed(snapshot.storage.read(ABOUT))
    except (OSError, ValueError) as error:
        yield _error(ABOUT, reason(error), "restore it from a copy of the lake")


def _summed(snapshot: Snapshot, described: _Described) -> Iterator[Finding]:
    there, parts = set(snapshot.files), snapshot.part_paths()
    for path, said in sorted(described.files.items()):
        is_data = not path.partition("/")[2].startswith(delta.LOG)
        if path not in there:
            if _is_entry(path) and _is_needed(snapshot, path):
                yield _error(path, "is missing", _LOST_LOG)
        elif not is_data or path in parts:
            with snapshot.storage.open(path) as file:
                is_right = sums.digest_of(file) == said["sha256"]
            if not is_right:
                remedy = BACKUP if is_data else _LOST_LOG if _is_entry(path) else _AGAIN
                yield _error(path, _WRONG, remedy)
    for table in TABLES:
        for path in snapshot.logs(table):
            if path not in described.files:
                yield _unsummed(path)


def _is_entry(path: str) -> bool:
    return path.endswith(".json")


def _version(path: str) -> int:
    return int(path.rpartition("/")[2].partition(".")[0])


def _is_needed(snapshot: Snapshot, path: str) -> bool:
    """Tell whether an entry is still needed; what lies before a checkpoint may be cleared away."""
    prefix = path.rpartition("/")[0]
    checkpoints = [
        _version(one)
        for one in snapshot.files
        if one.startswith(prefix) and one.endswith(".checkpoint.parquet")
    ]
    return _version(path) > max(checkpoints, default=-1)


def _parts(snapshot: Snapshot, table: str, described: _Described) -> Iterator[Finding]:
    storage = snapshot.storage
    for where in map(storage.path_of, snapshot.parts.get(table, ())):
        try:
            if where in described.files:
                storage.info(where)  # its content was looked at
            elif not sums.is_named_by_content(where):
                # Another program's: its pages have sums, where it gave them any.
                with storage.open(where) as file:
                    pq.read_table(file, page_checksum_verification=True)
                yield _unsummed(where)
            elif not sums.is_what_its_name_says(storage, where):
                yield _error(where, "its content is not what its name says", BACKUP)
        except (OSError, pa.ArrowException) as error:
            yield _error(where, reason(error), BACKUP)


def _foreign(snapshot: Snapshot) -> Iterator[Finding]:
    named = snapshot.part_paths()
    for path in snapshot.files:
        if not _OURS.fullmatch(path):
            yield _warning(path, "is no file of Sitrep's", "move it elsewhere, if nobody needs it")
        elif _is_orphan(snapshot, path, named):
            yield _warning(
                path, "was written for a commit that never came", "the next crawl removes it"
            )


def _is_orphan(snapshot: Snapshot, path: str, named: set[str]) -> bool:
    table, _, name = path.partition("/")
    if table not in snapshot.parts or not name.startswith("part-") or path in named:
        return False
    # What a later operation took out of the table is older than its last entry.
    written = snapshot.storage.info(path).modified
    return all(written > snapshot.storage.info(log).modified for log in snapshot.logs(table)[-1:])


def _unsummed(path: str) -> Finding:
    return _warning(path, "nothing says what its content was", "the next crawl writes its sum down")


def _error(where: str, what: str, remedy: str) -> Finding:
    return Finding(check="files", level="error", where=where, what=what, remedy=remedy)


def _warning(where: str, what: str, remedy: str) -> Finding:
    return Finding(check="files", level="warning", where=where, what=what, remedy=remedy)
