"""A table of written dates and zones, each read to the instant it means, or not at all."""

from __future__ import annotations

import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.extraction.dates import DateHabits, Moment, read_moment

TABLE = Path(__file__).with_name("date_forms.toml")


class Row(NamedTuple):
    text: str
    meaning: str
    habits: DateHabits


def _rows() -> list[Row]:
    groups = tomllib.loads(TABLE.read_text(encoding="utf-8"))["forms"]
    return [
        Row(text, meaning, DateHabits(group.get("zone"), group.get("day_first")))
        for group in groups
        for text, meaning in group["rows"]
    ]


ROWS = _rows()


def _meaning(moment: Moment | None) -> str:
    if moment is None:
        return "null"
    assert moment.when.tzinfo is UTC
    form = {"day": "%Y-%m-%d", "minute": "%Y-%m-%dT%H:%MZ", "second": "%Y-%m-%dT%H:%M:%SZ"}
    return " ".join((moment.when.strftime(form[moment.precision]), *moment.flags))


@pytest.mark.parametrize("row", ROWS, ids=[row.text for row in ROWS])
def test_written_date_is_read_to_what_it_means(row: Row) -> None:
    for source in ("html", "meta"):
        assert _meaning(read_moment(row.text, source=source, habits=row.habits)) == row.meaning


def test_table_is_as_long_as_it_claims() -> None:
    assert len({(row.text, row.habits) for row in ROWS}) == len(ROWS) >= 400


@pytest.mark.parametrize("row", ROWS, ids=[row.text for row in ROWS])
def test_zone_is_the_assumed_one_exactly_where_that_is_flagged(row: Row) -> None:
    moment = read_moment(row.text, source="html", habits=row.habits)
    is_flagged = moment is not None and "zone_assumed" in moment.flags
    assert (moment.time_zone_assumed if moment else None) == (
        row.habits.zone if is_flagged else None
    )


@pytest.mark.parametrize("row", ROWS, ids=[row.text for row in ROWS])
def test_time_without_a_zone_is_not_told_where_the_sites_zone_is_not_known(row: Row) -> None:
    habits = DateHabits(None, row.habits.day_first)
    moment = read_moment(row.text, source="html", habits=habits)
    if "zone_assumed" in row.meaning:
        assert moment is not None
        assert moment.precision == "day"
        assert moment.when.time() == datetime.min.time()


PIECES = st.sampled_from(
    [
        "1",
        "04",
        "05",
        "19",
        "23",
        "12",
        "30",
        "2023",
        "60",
        "99999",
        ":",
        ".",
        "/",
        "-",
        ",",
        "T",
        "Z",
        "+",
        "(",
        ")",
        "|",
        "am",
        "p.m.",
        "μ.μ.",
        "ص",
        "م",
        "下午",
        "年",
        "月",
        "日",
        "時",
        "April",
        "Απριλίου",
        "квітня",
        "نيسان",
        "كانون",
        "الثاني",
        "IST",
        "CST",
        "GMT",
        "Europe/Paris",
        "Europe/Nowhere",
        "W16",
        "de",
        "la",
        "Thursday",
        "середа",
        "Uhr",
        "h",
        "h15",
        "'23",
        "²",
        "½",
        "١",
        "\u200f",
        "\x00",
        "İ",
        "ſ",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(PIECES | st.sampled_from(["", " "]) | st.text(max_size=3), max_size=30),
    zone=st.sampled_from([None, "Europe/Athens", "America/New_York"]),
    day_first=st.sampled_from([None, True, False]),
)
def test_no_text_breaks_the_reading_or_gets_a_zone_that_nobody_names(
    pieces: list[str], zone: str | None, day_first: bool | None
) -> None:
    text = "".join(pieces)
    moment = read_moment(text, source="html", habits=DateHabits(zone, day_first))
    if moment is None:
        return
    assert 1990 <= moment.when.year <= 2101
    assert moment.raw in text
    assert moment.time_zone_assumed == (zone if "zone_assumed" in moment.flags else None)
    assert moment.precision != "day" or moment.when.time() == datetime.min.time()


@pytest.mark.parametrize(
    "piece",
    ["1", "1/", "19.", "april ", "19 April ", "10:15 ", "كانون ", "19 April 2023 08:15 (", "\n"],
)
def test_two_megabytes_on_a_line_cost_no_more_than_its_beginning(piece: str) -> None:
    text = piece * (2_000_000 // len(piece))
    begin = time.process_time()
    read_moment(text, source="html", habits=DateHabits("Asia/Nicosia", True))
    assert time.process_time() - begin < 0.5
