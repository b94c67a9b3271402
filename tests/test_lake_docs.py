"""What docs/lake.md shows works: in a bucket too, and day after day."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.schema import ARTICLES, TABLES
from tests.installation import Installation
from tests.living_site import LivingSite, settle_in, story
from tests.s3 import NO_CLOUD, Store

TEXT = (Path(__file__).parents[1] / "docs" / "lake.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


IN_A_BUCKET = [one for one in blocks("python") if "s3://" in one]


def run(program: str, folder: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", program],
        cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- in a bucket ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(crawled: Installation, moto: Store) -> Store:
    """The newsroom's lake in a bucket."""
    store = moto.with_bucket()
    for folder in ("articles", *TABLES):
        root = (crawled.folder / "lake" / folder).resolve()
        for file in (one for one in root.rglob("*") if one.is_file()):
            key = f"lake/{folder}/{file.relative_to(root).as_posix()}"
            store.client().upload_file(str(file), store.bucket, key)
    return store


def _environment(store: Store) -> dict[str, str]:
    """Return what the document says that a reader is told by."""
    asked = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    keys = {name: store.environment[name] for name in asked}
    place = {"AWS_ENDPOINT_URL": store.endpoint, "AWS_ALLOW_HTTP": "true"}
    assert all(f"`{name}" in TEXT for name in place)
    return NO_CLOUD | keys | place | {"AWS_REGION": store.region}


# What the last name of an example holds, in words that a test can compare.
_COUNT = """
_last = [one for one in list(globals()) if not one.startswith("_")][-1]
_value = globals()[_last]
print(_last, getattr(_value, "num_rows", None) or len(_value))
"""


@pytest.mark.parametrize("program", IN_A_BUCKET, ids=lambda one: one.splitlines()[0])
def test_an_example_for_a_bucket_reads_the_newsrooms_lake(program, crawled, bucket, tmp_path):
    here = program.replace("s3://newsroom", f"s3://{bucket.bucket}")
    name, n = run(here + _COUNT, tmp_path, **_environment(bucket)).split()
    counted = {
        "articles": "SELECT count(*) AS n FROM articles",
        "headlines": "SELECT count(*) AS n FROM articles WHERE word_count > 300",
        "newest": "SELECT least(20, count(*)) AS n FROM articles",
        "counts": "SELECT count(DISTINCT site) AS n FROM articles",
        "revisions": "SELECT count(*) AS n FROM revisions_all"
        + " WHERE revision > 1" * ("filter" in program),
    }
    assert int(n) == crawled.rows(counted[name])[0]["n"] > 0


def test_each_reader_that_the_suite_can_run_has_an_example_for_a_bucket():
    modules = {
        name
        for one in IN_A_BUCKET
        for name in re.findall(r"^(?:import|from) (\w+)", one, re.MULTILINE)
    }
    assert {"pandas", "pyarrow", "polars", "duckdb", "deltalake"} <= modules


# --- what the suite cannot run --------------------------------------------------------------------


def _hive(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _hive(kind.value_type)
    if pa.types.is_list(kind):
        return f"array<{_hive(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{one.name}:{_hive(one.type)}' for one in kind)}>"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    plain = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint", pa.bool_(): "boolean"}
    return plain[kind]


def test_athena_is_told_every_column_and_its_type():
    table = blocks("hiveql")[0]
    told = re.findall(r"^  (\w+) (\S+?),?$", table, re.MULTILINE)
    assert told == [(one.name, _hive(one.type)) for one in ARTICLES]


# --- day after day --------------------------------------------------------------------------------


def _new(folder: Path, program: str) -> list[Any]:
    return [line.split()[1:] for line in run(program, folder).splitlines()]


def test_what_is_new_comes_once_whatever_happens_to_the_lake_meanwhile(tmp_path):
    (program,) = (one for one in blocks("python") if "watermark.txt" in one)
    program = program.replace("demo/lake", "lake")
    with LivingSite() as site:
        site.put(*(story(n) for n in range(1, 4)))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        assert len(_new(tmp_path, program)) == 3
        assert _new(tmp_path, program) == []
        site.put(story(4))
        installation.crawl(site.name)
        installation.run("compact")
        site.put(story(1, headline="The yard takes back its words"))
        installation.run("recrawl", site.url(story(1).path))
        new = [" ".join(one) for one in _new(tmp_path, program)]
        assert ["['new']" in one for one in new] == [True, False]
        assert "['headline']" in new[1]
        assert new[1].endswith("The yard takes back its words")
        assert _new(tmp_path, program) == []
