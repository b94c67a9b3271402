"""DuckDB as the pipelines begin it: cheap where it is shared, and as if it were not."""

from __future__ import annotations

import duckdb
import pytest

from pipelines.sql import connect_offline


def test_who_shares_it_sees_nothing_of_the_others() -> None:
    with connect_offline(is_shared=True) as one, connect_offline(is_shared=True) as other:
        one.execute("CREATE VIEW t AS SELECT 1 AS n")
        other.execute("CREATE TABLE t AS SELECT 2 AS n")
        assert one.execute("FROM t").fetchall() == [(1,)]
        assert other.execute("FROM t").fetchall() == [(2,)]
    with connect_offline(is_shared=True) as third, pytest.raises(duckdb.CatalogException):
        third.execute("FROM t")


@pytest.mark.parametrize("is_shared", [True, False])
def test_it_speaks_utc_and_fetches_no_extension(is_shared: bool) -> None:
    names = ("TimeZone", "autoinstall_known_extensions", "autoload_known_extensions")
    with connect_offline(is_shared=is_shared) as connection:
        asked = ", ".join(f"current_setting('{name}')" for name in names)
        assert connection.execute(f"SELECT {asked}").fetchall() == [("UTC", False, False)]


def test_an_error_in_one_use_leaves_the_next_whole() -> None:
    with pytest.raises(duckdb.Error), connect_offline(is_shared=True) as connection:
        connection.execute("BEGIN; SELECT * FROM nowhere")
    with connect_offline(is_shared=True) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
