"""What the views ask of Python: functions that DuckDB calls, a column at a time.

DuckDB calls them only for the rows and columns that a query asks for: whoever counts clusters pays
for no comparison of texts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from pipelines.agencies import credit_of
from pipelines.coverage import coverage
from pipelines.edits import Telling, changes_between, kinds_of

Asked = dict[str, Any]
_STRINGS = pa.list_(pa.string())
_CREDIT = pa.struct([("agency", pa.string()), ("is_own", pa.bool_())])
_COVERAGE = pa.struct([("coverage", pa.float64()), ("copied", pa.float64())])
_EDIT = pa.struct(
    [
        ("kinds", _STRINGS),
        (
            "sentences",
            pa.list_(
                pa.struct(
                    [
                        ("part", pa.string()),
                        ("kinds", _STRINGS),
                        ("before", pa.string()),
                        ("after", pa.string()),
                        ("words_before", _STRINGS),
                        ("words_after", _STRINGS),
                    ]
                )
            ),
        ),
    ]
)
_TELLING = (
    "STRUCT(headline VARCHAR, description VARCHAR, article_body VARCHAR, authors VARCHAR[], "
    '"date" VARCHAR, "access" VARCHAR, in_language VARCHAR)'
)


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Teach a connection `edit_between`, `credit_of` and `coverage`: of a struct each."""
    _teach(
        connection,
        "edit_between",
        _edit,
        f'STRUCT(parts VARCHAR[], "before" {_TELLING}, "after" {_TELLING})',
        "STRUCT(kinds VARCHAR[], sentences STRUCT(part VARCHAR, kinds VARCHAR[], "
        '"before" VARCHAR, "after" VARCHAR, words_before VARCHAR[], words_after VARCHAR[])[])',
        _EDIT,
    )
    _teach(
        connection,
        "credit_of",
        _credit,
        "STRUCT(url VARCHAR, authors VARCHAR[], byline VARCHAR, head VARCHAR, tail VARCHAR)",
        "STRUCT(agency VARCHAR, is_own BOOLEAN)",
        _CREDIT,
    )
    _teach(
        connection,
        "coverage",
        _coverage,
        "STRUCT(original VARCHAR, member VARCHAR)",
        "STRUCT(coverage DOUBLE, copied DOUBLE)",
        _COVERAGE,
    )


def _teach(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    function: Callable[[Asked], Any],
    parameter: str,
    result: str,
    made_as: pa.DataType,
) -> None:
    connection.create_function(
        name,
        # DuckDB evaluates what annotations there are, and pyarrow's are for the type checker alone.
        lambda column: _answered(column, function, made_as),
        [parameter],
        result,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def _answered(
    column: pa.ChunkedArray[Any], function: Callable[[Asked], Any], made_as: pa.DataType
) -> pa.Array[Any]:
    rows: list[Any] = column.to_pylist()
    return pa.array([function(row) for row in rows], made_as)


def _edit(asked: Asked) -> dict[str, Any]:
    before, after = _telling(asked["before"]), _telling(asked["after"])
    found = changes_between(before, after, parts=asked["parts"] or ())
    names = [field.name for field in _EDIT.field("sentences").type.value_type]
    sentences = [{name: getattr(one, name) for name in names} for one in found]
    return {"kinds": kinds_of(found), "sentences": sentences}


def _telling(row: Asked) -> Telling:
    return Telling(**{**row, "authors": tuple(row["authors"] or ())})


def _credit(asked: Asked) -> dict[str, Any] | None:
    found = credit_of(
        url=asked["url"] or "",
        authors=asked["authors"] or (),
        byline=asked["byline"],
        head=asked["head"] or "",
        tail=asked["tail"] or "",
    )
    return {"agency": found.agency, "is_own": found.is_own} if found else None


def _coverage(asked: Asked) -> dict[str, float]:
    original, member = asked["original"] or "", asked["member"] or ""
    return {"coverage": coverage(original, member), "copied": coverage(member, original)}
