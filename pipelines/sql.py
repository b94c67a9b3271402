"""DuckDB as it is used here: offline, in UTC, over exactly the files that it is given."""

from __future__ import annotations

import atexit
import itertools
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.errors import LakeError, QueryError
from pipelines.storage import LocalStorage, Storage


@contextmanager
def connect_offline(
    storage: Storage | None = None, *, is_shared: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an empty DuckDB that speaks UTC and never fetches an extension; it is closed then.

    It reads the files of `storage`, and any folder's. Raises LakeError for what goes wrong there.
    With `is_shared` it costs next to nothing to begin, over folders; whoever asks for that adds no
    functions to it, and changes no settings.
    """
    has_files = storage is None or isinstance(storage, LocalStorage)
    with _shared() if is_shared and has_files else _begun({}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if storage is None:
            yield connection
            return
        storage.attach(connection)
        try:
            yield connection
        except duckdb.Error as error:
            if told := storage.refused(error, storage.url):
                raise told from error
            raise


def _begun(settings: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            # Where it puts what its memory does not hold; by default, the working folder.
            "temp_directory": str(Path(tempfile.gettempdir()) / f"sitrep-duckdb-{os.getpid()}"),
            **settings,
        }
    )


# One for each process, also for one that was forked: the threads of another's are not in it, and
# to let go of that one would wait for them.
_of_process: dict[int, duckdb.DuckDBPyConnection] = {}
_lock = threading.Lock()
_numbers = itertools.count()


@contextmanager
def _shared() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a room in the DuckDB of this process, and clear it out then.

    To begin one takes 15 ms of CPU, and a commit asks a dozen times.
    """
    with _lock:
        if (pid := os.getpid()) not in _of_process:
            # What it keeps of a file it tells from a changed one by the time alone.
            _of_process[pid] = _begun({"enable_external_file_cache": False})
            atexit.register(_end, pid)
        room, name = _of_process[pid].cursor(), f"room_{next(_numbers)}"
    with room:
        room.execute(f"ATTACH ':memory:' AS {name}")
        room.execute(f"USE {name}")
        try:
            yield room
        finally:
            try:
                room.execute("USE memory")
                room.execute(f"DETACH {name}")
            except duckdb.Error:  # it is broken, whatever broke it; the next begins another
                with _lock:
                    _of_process.pop(pid, None)


def _end(pid: int) -> None:
    if pid == os.getpid() and pid in _of_process:
        _of_process[pid].close()


def scan(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    schema: pa.Schema,
    *,
    filename: bool = False,
) -> duckdb.DuckDBPyRelation:
    """Return the rows of exactly these Parquet files; of none, no rows, but the columns.

    `filename` adds a column of that name.
    """
    if files:
        # The folders' names say nothing that is not in the files.
        try:
            return connection.read_parquet(list(files), hive_partitioning=False, filename=filename)
        except duckdb.Error as error:
            if _is_of_storage(error):
                raise
            raise LakeError(
                f"a file cannot be read ({str(error).splitlines()[0]})",
                where=files[0].rpartition("/")[0],
                remedy="run sitrep doctor",
            ) from error
    empty = connection.from_arrow(schema.empty_table())
    kinds = dict(zip(empty.columns, empty.types, strict=True)) | (
        {"filename": "VARCHAR"} if filename else {}
    )
    kinds |= {name: "VARCHAR" for name in ("published_month",) if name in kinds}
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in kinds.items())
    return connection.sql(f"SELECT {columns} WHERE false")


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and rows that `sql` gives. Raises QueryError, in one line."""
    try:
        result = connection.execute(sql)
        columns = [one[0] for one in result.description or ()]
        return columns, [list(row) for row in result.fetchall()] if columns else []
    except duckdb.Error as error:
        if _is_of_storage(error):
            raise
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise QueryError(
            lines[0] if lines else "was refused",
            where="SQL",
            remedy="see `sitrep query --help` for the views",
        ) from error


def rows_of(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()
) -> list[dict[str, Any]]:
    """Return rows as dictionaries, times aware in UTC."""
    table: pa.Table = connection.sql(sql, params=list(parameters)).to_arrow_table()
    return table.to_pylist()


def _is_of_storage(error: duckdb.Error) -> bool:
    """Tell whether an error was raised by files of our own: `connect_offline` tells of it."""
    return str(error).startswith("Traceback")
