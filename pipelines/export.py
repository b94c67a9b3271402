"""Articles as one file: Parquet, CSV or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LakeError, QueryError, UsageError
from pipelines.lake import Lake
from pipelines.views import connect

# What makes a spreadsheet take a text for a formula, or break out of its cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BATCH_ROWS = 2_000

Write = Callable[[pa.RecordBatchReader, Path], int]


def export_articles(lake: Lake, file: Path, *, where: str | None = None) -> int:
    """Write the articles that `where` holds for to `file`, whole or not at all; return how many.

    Raises UsageError for an ending that is not known, QueryError for a wrong condition.
    """
    write = _WRITERS.get(file.suffix.lower())
    if write is None:
        known = ", ".join(_WRITERS)
        raise UsageError(f"unknown ending {file.suffix!r}", where=str(file), remedy=f"use {known}")
    condition = f"WHERE {where}" if where else ""
    sql = f"SELECT * FROM articles {condition} ORDER BY site, date_published, article_id"  # noqa: S608 - the condition is the user's own
    part = file.with_name(f".{file.name}.part")
    try:
        with connect(lake) as connection:
            rows = write(connection.sql(sql).to_arrow_reader(_BATCH_ROWS), part)
        part.replace(file)
    except duckdb.Error as error:
        message = str(error).splitlines()[0]
        raise QueryError(message, where="--where", remedy="name columns of `articles`") from error
    except OSError as error:
        raise LakeError(
            f"cannot be written ({error.strerror})",
            where=str(file),
            remedy="name a file in a folder that exists and can be written",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def _parquet(reader: pa.RecordBatchReader, file: Path) -> int:
    rows = 0
    with pq.ParquetWriter(file, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _csv(reader: pa.RecordBatchReader, file: Path) -> int:
    rows = 0
    with file.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target)
        writer.writerow(reader.schema.names)
        for row in _rows(reader):
            writer.writerow([_cell(value) for value in row.values()])
            rows += 1
    return rows


def _jsonl(reader: pa.RecordBatchReader, file: Path) -> int:
    rows = 0
    with file.open("w", encoding="utf-8") as target:
        for row in _rows(reader):
            target.write(json.dumps(row, ensure_ascii=False, default=_time) + "\n")
            rows += 1
    return rows


_WRITERS: Mapping[str, Write] = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}


def _rows(reader: pa.RecordBatchReader) -> Iterable[dict[str, Any]]:
    for batch in reader:
        yield from batch.to_pylist()


def _cell(value: object) -> object:
    if isinstance(value, (list, dict)):
        return _cell(json.dumps(value, ensure_ascii=False, default=_time))
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no form in JSON")
