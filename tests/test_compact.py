"""`sitrep compact` over a lake that was crawled: what it says and leaves, also in a power cut."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.doctor import Finding, examine
from pipelines.lake import Lake
from pipelines.schema import TABLES
from pipelines.sql import ask
from pipelines.state import State
from pipelines.views import connect
from tests.forgetful_disk import ForgetfulDisk, Names
from tests.installation import Installation
from tests.living_site import LivingSite, settle_in, story
from tests.s3 import Store
from tests.strace import Call, traced

# As long ago as what is to be cleared away was replaced.
LONG_AGO = 30 * 86_400


# Four stories are too few to learn from.
UNUSED = {"furniture", "reservations"}


@dataclass(frozen=True, slots=True)
class Crawled:
    """A lake of several commits, some of them compacted long ago, and what it says."""

    site: LivingSite
    folder: Path
    truth: dict[str, Any]


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    folder = tmp_path_factory.mktemp("crawled")
    with LivingSite() as site:
        site.put(*(story(n) for n in range(1, 4)))
        installation = settle_in(folder, site)
        installation.crawl(site.name)
        _edited(installation, site, 1)
        installation.run("compact")
        _age(folder / "lake")
        site.put(story(4))
        installation.crawl(site.name)
        _edited(installation, site, 2)
        yield Crawled(site, folder, _truth(folder))


def _edited(installation: Installation, site: LivingSite, n: int) -> None:
    site.put(story(n, headline=f"An edit of story {n}, so that there is something new"))
    installation.run("recrawl", site.url(story(n).path))


def _age(lake: Path) -> None:
    """Make everything that lies in the tables old."""
    for file in (one for name in TABLES for one in (lake / name).rglob("*")):
        at = file.stat().st_mtime - LONG_AGO
        os.utime(file, (at, at))


def _truth(folder: Path) -> dict[str, Any]:
    with connect(Lake.open(str(folder / "lake"))) as connection:
        return {
            name: ask(connection, f"SELECT * FROM {name} ORDER BY ALL")[1]
            for name in ("revisions_all", "articles", "relations", "captures", "runs", "edits")
        }


def _findings(folder: Path) -> list[Finding]:
    lake = Lake.open(str(folder / "lake"))
    state = State.open_to_read(f"sqlite:///{folder}/state/sitrep.db")
    try:
        return list(examine(lake, state, spool=folder / "state" / "spool"))
    finally:
        state.close()


@pytest.fixture
def user(crawled: Crawled, tmp_path: Path) -> Installation:
    shutil.copytree(crawled.folder, tmp_path / "user", symlinks=True)
    return Installation(folder=tmp_path / "user")


def _kept_few(folder: Path) -> None:
    """Hold that what was replaced long ago is gone, and the log before it."""
    log = folder / "lake" / "revisions" / "_delta_log"
    assert not (log / f"{0:020d}.json").exists()
    assert (log / "_last_checkpoint").exists()


def test_it_says_what_it_did_and_the_doctor_has_nothing_to_say(crawled, user):
    said = user.json("compact", "--keep", "10d")
    assert said["keep"] == "10d"
    assert [one["table"] for one in said["tables"]] == list(TABLES)
    for one in said["tables"]:
        if one["table"] in UNUSED:
            assert one["files_before"] == 0
            continue
        files = list((user.folder / "lake" / one["table"]).glob("*.parquet"))
        assert one["files_before"] > one["files_after"] == 1, one
        # Of relations there was one file when the others were compacted for the first time.
        is_first = one["table"] == "relations"
        assert one["vacuumed_files"] >= (0 if is_first else 2)
        assert len(files) == one["files_before"] + 1, "what was replaced now is still there"
        assert (one["log_entries_after"] < one["log_entries_before"]) != is_first
        assert one["left"] is None
        assert pl.scan_delta(str(user.folder / "lake" / one["table"])).collect().height > 0
    _kept_few(user.folder)
    assert _truth(user.folder) == crawled.truth
    assert user.json("doctor")["findings"] == []


def test_people_read_a_line_a_table(user):
    done = user.run("compact")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == list(TABLES)
    assert "vacuumed" in done.stdout
    again = user.run("compact")
    assert again.stdout.splitlines() == [f"{name}: nothing to do" for name in TABLES]


def test_an_empty_lake_has_nothing_to_do(tmp_path):
    Lake.open(str(tmp_path / "lake"), create=True)
    done = Installation(folder=tmp_path).run("compact")
    assert "nothing to do" in done.stdout


@pytest.mark.parametrize("keep", ["0s", "9m", "soon", ""])
def test_readers_are_given_ten_minutes_at_least(tmp_path, keep):
    done = Installation(folder=tmp_path).run("compact", "--keep", keep, check=False)
    assert done.returncode == 2
    assert "--keep" in done.stderr


def test_the_next_crawl_goes_on_where_it_was(crawled, user):
    user.run("compact")
    report = user.crawl(crawled.site.name)
    assert (report["totals"]["new"], report["totals"]["changed"]) == (0, 0)
    assert _truth(user.folder)["revisions_all"] == crawled.truth["revisions_all"]
    shutil.rmtree(user.folder / "state")
    user.run("doctor", "--rebuild")
    assert user.json("doctor")["findings"] == []


@pytest.mark.parametrize(("step", "n"), [("rows_written", 2), ("acknowledged", 2)])
def test_killed_in_the_middle_it_is_made_good_by_the_next_crawl(crawled, user, step, n):
    done = user.killed_at(step, n, "compact")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert _truth(user.folder) == crawled.truth
    user.crawl(crawled.site.name)
    assert user.json("doctor")["findings"] == []
    assert _truth(user.folder)["revisions_all"] == crawled.truth["revisions_all"]


# --- in a bucket ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cloud(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A lake of several commits in a bucket."""
    with LivingSite() as site:
        site.put(*(story(n) for n in range(1, 4)))
        installation = settle_in(tmp_path_factory.mktemp("cloud"), site)
        installation.settings |= store.environment | {"SITREP_LAKE": store.url("lake")}
        installation.crawl(site.name)
        _edited(installation, site, 1)
        _edited(installation, site, 2)
        yield installation


def _told(installation: Installation) -> list[list[Any]]:
    names = ("revisions_all", "articles", "relations", "captures", "runs")
    sql = " UNION ALL ".join(
        f"SELECT '{name}' AS name, to_json(t)::VARCHAR AS row FROM {name} t" for name in names
    )
    rows: list[list[Any]] = installation.json("query", f"{sql} ORDER BY ALL")["rows"]
    return rows


def test_a_lake_in_a_bucket_is_compacted_likewise(cloud, store):
    before = _told(cloud)
    said = {one["table"]: one for one in cloud.json("compact")["tables"]}
    for name in UNUSED:
        assert said.pop(name)["files_after"] == 0
    assert {one["files_after"] for one in said.values()} == {1}
    assert said["revisions"]["files_before"] == 3
    assert _told(cloud) == before
    assert cloud.json("doctor")["findings"] == []
    there = store.objects("lake")
    assert cloud.run("compact").stdout.splitlines() == [f"{name}: nothing to do" for name in TABLES]
    assert store.objects("lake") == there


def test_a_lake_in_a_bucket_is_compacted_only_by_the_state_that_may_write_it(cloud):
    other = {"SITREP_STATE": f"sqlite:///{cloud.folder}/other/sitrep.db"}
    done = cloud.run("compact", settings=other, check=False)
    assert done.returncode == 1
    assert "another state writes this lake" in done.stderr


# --- the power fails ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compaction:
    """A compaction that was traced, and its folder as it was before."""

    before: Path
    calls: list[Call]


@pytest.fixture(scope="module")
def compaction(crawled: Crawled, tmp_path_factory: pytest.TempPathFactory) -> Compaction:
    folder = tmp_path_factory.mktemp("compaction")
    user = Installation(folder=shutil.copytree(crawled.folder, folder / "user", symlinks=True))
    command = [sys.executable, "-m", "crawler", "compact"]
    calls = traced(command, folder=user.folder, env=user.env, log=folder / "log")
    _kept_few(user.folder)
    # The calls are about this path: it is made again what it was.
    user.folder.rename(folder / "after")
    shutil.copytree(crawled.folder, user.folder, symlinks=True)
    return Compaction(user.folder, calls)


def _moments(compaction: Compaction) -> list[int]:
    """Return after how many calls the power may fail: each that changes what the disk has."""
    found, disk = [], ForgetfulDisk(compaction.before)
    for n, call in enumerate(compaction.calls):
        if disk.play(call) and call.name not in {"write", "pwrite64", "openat"}:
            found.append(n + 1)
    return found


def _recovers(
    compaction: Compaction, crawled: Crawled, folder: Path, *, after: int, names: Names
) -> None:
    disk = ForgetfulDisk(compaction.before)
    for call in compaction.calls[:after]:
        disk.play(call)
    disk.write_out(folder, names=names)
    with Lake.open(str(folder / "lake")).lock():
        pass  # as any crawl begins
    assert _truth(folder) == crawled.truth, f"cut after {after}, {names}"
    assert _findings(folder) == [], f"cut after {after}, {names}"


@pytest.mark.service
def test_each_file_is_on_the_disk_before_the_log_names_it_and_the_log_before_its_sums(compaction):
    disk, seen = ForgetfulDisk(compaction.before), 0
    for call in compaction.calls:
        path = str(call.arguments[-2 if call.name == "renameat2" else -1])
        if call.name.startswith(("rename", "link")) and "_sums" in path:
            seen += 1
            # What was deleted may come again: nobody needs it, and nobody is misled by it.
            there = {one for one in disk.unsafe("lake") if disk.has(one)}
            assert {one for one in there if "/." not in one and "#" not in one} == set(), path
        disk.play(call)
    assert seen >= len(TABLES) - len(UNUSED)


@pytest.mark.service
@pytest.mark.parametrize("names", ["those synced", "all"])
@pytest.mark.parametrize("share", [0.2, 0.45, 0.7, 0.95])
def test_after_a_power_cut_the_next_crawl_finds_every_row_once(
    compaction, crawled, tmp_path, share, names
):
    moments = _moments(compaction)
    after = moments[int(share * len(moments))]
    _recovers(compaction, crawled, tmp_path / "user", after=after, names=names)


@pytest.mark.soak
@pytest.mark.service
@pytest.mark.parametrize("names", ["those synced", "all"])
@pytest.mark.parametrize("n", range(20))
def test_after_a_power_cut_at_any_moment_the_next_crawl_finds_every_row_once(
    compaction, crawled, tmp_path, n, names
):
    moments = _moments(compaction)
    chance = random.Random(n)  # noqa: S311 - moments, no secrets
    for k in range(5):
        after = chance.choice(moments)
        _recovers(compaction, crawled, tmp_path / f"user-{k}", after=after, names=names)
