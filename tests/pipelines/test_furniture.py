"""Rows of `furniture`: the later over the earlier, and what a learning has to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.furniture import (
    MENDED,
    MOST_OF_A_SITE,
    PAGES,
    Known,
    Learned,
    furniture_row,
    known_of,
    marker_row,
)
from pipelines.lake import Lake

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def learned(n: int = 0, **changes: Any) -> Learned:
    one = Learned(
        kind="text",
        layout="article>p",
        place="article>div.qx>p",
        text=f"Promo {n}",
        text_hash=f"{n:016x}",
        is_inside=True,
        seen=5,
        looked_at=5,
        in_body=5,
        first_seen=NOW,
        last_seen=NOW + DAY,
        example_urls=("https://tarn.example/1",),
    )
    return replace(one, **changes)


def known(*rows: dict[str, Any]) -> Known:
    timed = [{**row, "recorded_at": NOW + n * HOUR} for n, row in enumerate(rows)]
    return known_of(timed)["tarn"]


def row(one: Learned) -> dict[str, Any]:
    return furniture_row("tarn", one)


def mended() -> dict[str, Any]:
    return marker_row("tarn", MENDED, pages=5, until=NOW)


def test_of_a_block_the_newest_row_holds() -> None:
    back = learned(is_in_force=False, seen=3, looked_at=12)
    assert known(row(learned()), row(learned(1))).in_force == [learned(), learned(1)]
    assert known(row(learned()), row(learned(1)), row(back)).in_force == [learned(1)]
    assert known(row(learned()), row(back), row(learned(seen=9))).in_force == [learned(seen=9)]


def test_what_came_in_force_or_was_taken_back_is_to_be_mended_until_it_was() -> None:
    assert known(row(learned())).is_unmended
    assert not known(row(learned()), mended()).is_unmended
    assert known(row(learned()), mended(), row(learned(is_in_force=False))).is_unmended
    assert not known(row(learned()), mended(), row(learned(last_seen=NOW + 90 * DAY))).is_unmended
    later = learned(1, first_seen=NOW + 2 * DAY)
    assert known(row(learned()), mended(), row(later)).unmended_from == NOW + 2 * DAY


def test_a_learning_writes_down_what_is_new_and_did_harm() -> None:
    harmless = learned(1, in_body=0)
    assert Known().news([learned(), harmless, learned(2, is_in_force=False)]) == [learned()]


def test_a_learning_takes_back_what_it_saw_to_be_none_and_leaves_what_it_did_not_see() -> None:
    before = known(row(learned()), row(learned(1)))
    none = learned(1, is_in_force=False, seen=4, looked_at=20)
    assert before.news([none]) == [none]


def test_counts_stay_as_they_were_learned_and_long_use_is_told() -> None:
    before = known(row(learned()))
    assert before.news([learned(seen=37, looked_at=40, last_seen=NOW + 2 * DAY)]) == []
    later = learned(seen=37, looked_at=40, last_seen=NOW + 60 * DAY)
    assert before.news([later]) == [learned(last_seen=NOW + 60 * DAY)]


def test_what_a_site_keeps_in_force_is_bounded_and_the_oldest_goes() -> None:
    many = [learned(n, last_seen=NOW + n * HOUR) for n in range(MOST_OF_A_SITE + 5)]
    found = known(*(row(one) for one in many)).in_force
    assert found == many[5:]


def test_a_lake_keeps_it_each_commit_later_than_the_last_and_none_twice(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path / "lake"), create=True)
    assert lake.furniture() == {}
    for _ in range(2):
        lake.add_furniture([row(learned())], app_id="furniture/one/learned", now=NOW)
    lake.add_furniture([mended()], app_id="furniture/one/mended", now=NOW)
    looked = marker_row("tarn", PAGES, pages=5, until=NOW + DAY)
    lake.add_furniture([looked], app_id="furniture/two/learned", now=NOW)
    found = lake.furniture()["tarn"]
    assert found.in_force == [learned()]
    assert not found.is_unmended
    assert (found.looked_at, found.looked_until) == (5, NOW + DAY)
    table = lake.table("furniture")
    assert table is not None
    assert table.count() == 3
