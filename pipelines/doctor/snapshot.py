"""The lake as it was at one moment, so that a crawl may go on while it is looked at.

Tables are only appended to and parts are named by content: what was there stays as it was.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import duckdb

from pipelines import delta, warc
from pipelines.errors import ArchiveError, LakeError
from pipelines.lake import Lake
from pipelines.schema import TABLES
from pipelines.storage import Storage

# What a WARC file without rows is, other than one whose rows are still to come.
Stray = Literal["copy", "foreign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`files` are all there are; `parts` the data files of each table that can be read.

    `strays` are WARC files that nobody will ever commit.
    """

    storage: Storage
    files: tuple[str, ...]
    parts: dict[str, list[str]]
    versions: dict[str, int]
    unreadable: dict[str, LakeError]
    strays: dict[str, Stray]

    @classmethod
    def of(cls, lake: Lake) -> Snapshot:
        """Take the snapshot; the lake must be kept still meanwhile."""
        parts, versions, unreadable = {}, {}, {}
        for table in TABLES:
            try:
                parts[table] = lake.files(table)
                found = lake.table(table)
                versions[table] = found.version() if found else -1
            except LakeError as error:
                unreadable[table] = error
        return cls(
            storage=lake.storage,
            files=tuple(lake.storage.list()),
            parts=parts,
            versions=versions,
            unreadable=unreadable,
            strays=_strays(lake),
        )

    def part_paths(self) -> set[str]:
        """Return the path within the lake of every data file that a table needs now."""
        every = (part for parts in self.parts.values() for part in parts)
        return {self.storage.path_of(part) for part in every}

    def logs(self, table: str) -> list[str]:
        """Return the log entries of a table, in order of their versions."""
        prefix = f"{table}/{delta.LOG}/"
        names = (one for one in self.files if one.startswith(prefix) and one.endswith(".json"))
        return [one for one in names if one.removeprefix(prefix)[:-5].isdigit()]


def _strays(lake: Lake) -> dict[str, Stray]:
    found: dict[str, Stray] = {}
    with suppress(LakeError, duckdb.Error, OSError):  # of captures, whose damage is told
        done = lake.committed_warcs()
        for path in lake.storage.list("warc"):
            first = lake.first_capture(path) if path not in done else None
            if first and lake.has_captures([first]):
                found[path] = "copy"
            elif path not in done and not _is_ours(lake.storage, path):
                found[path] = "foreign"
    return found


def _is_ours(storage: Storage, path: str) -> bool:
    try:
        with storage.open(path) as file:
            first = next(warc.records(file, where=path), None)
    except (ArchiveError, warc.CutError):
        return True  # whatever it was: its damage is told
    return first is not None and warc.is_ours(first)
