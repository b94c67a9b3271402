"""The checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.catch_up import KeyOf
from pipelines.doctor.archive import check_archive, check_spool
from pipelines.doctor.files import check_files
from pipelines.doctor.findings import BACKUP, Finding, bounded
from pipelines.doctor.snapshot import Snapshot
from pipelines.doctor.state import check_state
from pipelines.doctor.tables import check_articles, check_tables
from pipelines.errors import SitrepError
from pipelines.lake import Lake
from pipelines.state import State


def examine(
    lake: Lake, state: State, *, spool: Path, key_of: KeyOf | None = None
) -> Iterator[Finding]:
    """Yield what is wrong with the lake, its archive and its state.

    `key_of` gives the key of an address of a site; without it the keys are taken on trust.
    """
    with lake.kept_still():
        snapshot = Snapshot.of(lake)
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "files": lambda: check_files(snapshot),
        "tables": lambda: check_tables(snapshot),
        "articles": lambda: check_articles(lake),
        "archive": lambda: check_archive(snapshot),
        "state": lambda: check_state(lake, state, key_of=key_of),
        "spool": lambda: check_spool(spool),
    }
    for name, check in checks.items():
        yield from bounded(_told(name, check, lake))


def _told(name: str, check: Callable[[], Iterator[Finding]], lake: Lake) -> Iterator[Finding]:
    try:
        yield from check()
    except (SitrepError, duckdb.Error, pa.ArrowException, OSError) as error:
        yield _unreadable(name, error, lake)


def _unreadable(check: str, error: Exception, lake: Lake) -> Finding:
    if not isinstance(error, SitrepError):
        error = SitrepError(str(error).splitlines()[0] if str(error) else type(error).__name__)
    return Finding(
        check=check,
        level="error",
        where=error.where or lake.storage.url,
        what=error.message,
        remedy=error.remedy if error.remedy and "doctor" not in error.remedy else BACKUP,
    )
