"""The lake as it was at one moment, so that a crawl may go on while it is looked at.

Tables are only appended to and parts are named by content: what was there stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines import delta
from pipelines.errors import LakeError
from pipelines.lake import Lake
from pipelines.schema import TABLES
from pipelines.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`files` are all there are; `parts` the data files of each table that can be read."""

    storage: Storage
    files: tuple[str, ...]
    parts: dict[str, list[str]]
    versions: dict[str, int]
    unreadable: dict[str, LakeError]

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
        )

    def logs(self, table: str) -> list[str]:
        """Return the log entries of a table, in order of their versions."""
        prefix = f"{table}/{delta.LOG}/"
        names = (one for one in self.files if one.startswith(prefix) and one.endswith(".json"))
        return [one for one in names if one.removeprefix(prefix)[:-5].isdigit()]
