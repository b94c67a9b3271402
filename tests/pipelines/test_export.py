"""Articles as one file: whole, the same in each form, and harmless to a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.errors import LakeError, QueryError, UsageError
from pipelines.export import export_articles
from pipelines.lake import Lake
from pipelines.publish import publish
from tests.pipelines.conftest import MORNING

HEADLINES = ["=1+1", "+49 ships", "-minus", "@handle", "\ttab", "plain, with “quotes” and\nlines"]


@pytest.fixture
def full(lake: Lake, story: Callable[..., Any], batch_of: Callable[..., Any]) -> Lake:
    stories = [
        replace(one, article=replace(one.article, headline=headline))
        for headline, one in zip(HEADLINES, (story(n) for n in range(6)), strict=True)
    ]
    lake.commit(batch_of("r-0", stories), now=MORNING)
    publish(lake, now=MORNING)
    return lake


def _csv(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def _jsonl(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


READ = {".csv": _csv, ".jsonl": _jsonl, ".parquet": lambda f: pq.read_table(f).to_pylist()}


@pytest.mark.parametrize("ending", READ)
def test_each_form_holds_every_article_and_column(full, tmp_path, ending):
    file = tmp_path / f"out{ending}"
    assert export_articles(full, file) == 6
    rows = READ[ending](file)
    assert len(rows) == 6
    assert list(rows[0])[:3] == ["article_id", "revision", "extraction"]
    assert {str(row["headline"]).removeprefix("'") for row in rows} == set(HEADLINES)


def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(full, tmp_path):
    export_articles(full, tmp_path / "out.csv")
    said = {row["headline"] for row in _csv(tmp_path / "out.csv")}
    assert said == {*(f"'{text}" for text in HEADLINES[:5]), HEADLINES[5]}


def test_only_what_the_condition_holds_for_is_written(full, tmp_path):
    assert export_articles(full, tmp_path / "out.jsonl", where="headline LIKE '@%'") == 1


@pytest.mark.parametrize(
    "where", ["colour = 1", "headline =", "1=1; DROP VIEW articles", "headline = 'x", "1) --"]
)
def test_a_wrong_condition_is_one_line_and_leaves_the_old_file(full, tmp_path, where):
    file = tmp_path / "out.csv"
    file.write_text("what was there")
    with pytest.raises(QueryError) as raised:
        export_articles(full, file, where=where)
    assert "\n" not in str(raised.value)
    assert file.read_text() == "what was there"
    assert [one.name for one in tmp_path.iterdir() if "out" in one.name] == ["out.csv"]


def test_a_condition_may_end_in_a_comment_or_hold_an_or(full, tmp_path):
    file = tmp_path / "out.csv"
    assert export_articles(full, file, where="headline = '=1+1' OR headline = '-minus' -- two") == 2


def test_a_folder_that_is_not_there_and_an_unknown_ending_are_errors(full, tmp_path):
    with pytest.raises(LakeError, match="folder that exists"):
        export_articles(full, tmp_path / "none" / "out.csv")
    with pytest.raises(UsageError, match="unknown ending"):
        export_articles(full, tmp_path / "out.xlsx")


def test_an_empty_lake_gives_a_file_with_columns_and_no_rows(lake, tmp_path):
    assert export_articles(lake, tmp_path / "out.csv") == 0
    assert (tmp_path / "out.csv").read_text().startswith("article_id,")
