"""What is acknowledged is on the disk, in the order of the contract, whenever the power fails."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.doctor import examine
from pipelines.lake import Lake
from pipelines.sql import ask
from pipelines.state import State
from pipelines.views import connect
from tests.forgetful_disk import ForgetfulDisk, Names
from tests.installation import Installation
from tests.living_site import LivingSite, settle_in, story
from tests.strace import Call, traced

pytestmark = pytest.mark.service

TRUTH = {
    "revisions": """SELECT url, revision, extraction, change, headline, authors, article_body,
        date_published, published_month FROM revisions_all ORDER BY ALL""",
    "articles": "SELECT url, revision, headline, cluster_relation FROM articles ORDER BY ALL",
    "relations": "SELECT count(DISTINCT article_id) FROM relations",
    "captures": """SELECT count(*) - count(DISTINCT warc_record_id),
        count(*) FILTER (verdict = 'new') FROM captures""",
}
TABLES = ("revisions", "relations", "captures")


@dataclass(frozen=True, slots=True)
class Crawl:
    """A crawl that was traced, from the folder as it was to what came of it."""

    site: LivingSite
    before: Path
    after: Path
    calls: list[Call]
    truth: dict[str, Any]

    def played(self) -> Iterator[tuple[int, Call, ForgetfulDisk]]:
        """Yield each call about the user's files, before it is done, and once more at the end."""
        disk = ForgetfulDisk(self.before)
        for n, call in enumerate(self.calls):
            yield n, call, disk
            disk.play(call)
        yield len(self.calls), Call("exit", (), 0), disk


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawl]:
    folder = tmp_path_factory.mktemp("durability")
    with LivingSite() as site:
        copy = replace(story(3), path="/2024/05/copy/", published="2024-05-27T08:15:00+00:00")
        site.put(*(story(n) for n in range(1, 4)), copy)
        after = settle_in(folder / "user", site)
        after.settings["SITREP_WORKERS"] = "1"
        before = shutil.copytree(after.folder, folder / "before")
        command = [sys.executable, "-m", "crawler", "crawl", site.name]
        calls = traced(command, folder=after.folder, env=after.env, log=folder / "log")
        mine = [_moved(call, after.folder, before) for call in calls]
        yield Crawl(site, before, after.folder, mine, _truth(after.folder))


def _moved(call: Call, source: Path, target: Path) -> Call:
    """Tell a call as if it had been about another folder."""

    def moved(one: bytes | Path | str) -> bytes | Path | str:
        if isinstance(one, Path) and one.is_relative_to(source):
            return target / one.relative_to(source)
        if isinstance(one, bytes) and one.startswith(bytes(source)):
            return bytes(target) + one.removeprefix(bytes(source))
        return one

    return replace(call, arguments=tuple(map(moved, call.arguments)))


def _truth(folder: Path) -> dict[str, Any]:
    with connect(Lake.open(str(folder / "lake"))) as connection:
        return {name: ask(connection, sql)[1] for name, sql in TRUTH.items()}


def _names(call: Call) -> str:
    """Return the last path that a call names."""
    said = [one.decode("utf-8", "replace") for one in call.arguments if isinstance(one, bytes)]
    return said[-1] if said else ""


def _step(call: Call) -> str | None:
    """Return what a call lets the world see: a WARC file, a table's entry, articles, the state."""
    path = _names(call)
    if call.name.startswith(("rename", "link")):
        if "/warc/" in path and path.endswith(".warc.gz"):
            return "warc"
        if "_delta_log" in path and path.endswith(".json"):
            return path.rpartition("lake/")[2].partition("/")[0]
        if path.endswith("lake/articles"):
            return "articles"
    is_wal = call.arguments and str(call.arguments[0]).endswith("-wal")
    if call.name == "pwrite64" and is_wal and b"warc/" in bytes(call.arguments[1]):  # type: ignore[arg-type]
        return "state"
    return None


def _is_passing(path: str) -> bool:
    """Tell whether a file is on its way to its name, or nobody's loss."""
    name = path.rpartition("/")[2]
    return name.startswith(".") or "#" in name or name == "_lock"


def test_each_step_is_taken_when_what_it_leans_on_is_on_the_disk(crawl):
    steps = []
    for _, call, disk in crawl.played():
        if step := _step(call):
            steps.append(step)
            unsafe = {one for one in disk.unsafe("lake") if not _is_passing(one)}
            assert unsafe == set(), f"before {step}"
            # The folders themselves, and what is about to be moved out of them.
            rest = {one for one in disk.unsafe(".") if one.count("/") == 1 or "/spool/" in one}
            assert {one for one in rest if not _is_passing(one)} == set(), f"before {step}"
        if call.name == "exit":
            assert {one for one in disk.unsafe("lake") if not _is_passing(one)} == set()
    firsts = list(dict.fromkeys(steps))
    assert firsts == ["warc", *TABLES, "articles", "state", "runs"]


def _moments(crawl: Crawl) -> list[int]:
    """Return the calls before which the power may fail: all that change what the disk has."""
    found, disk = [], ForgetfulDisk(crawl.before)
    for n, call in enumerate(crawl.calls):
        if disk.play(call) and call.name not in {"write", "pwrite64", "openat"}:
            found.append(n + 1)
    return found


def _steps(crawl: Crawl) -> list[int]:
    return [n + 1 for n, call in enumerate(crawl.calls) if _step(call)]


def _cut_at(crawl: Crawl, folder: Path, *, after: int, names: Names) -> Installation:
    """Leave the user with what a power cut leaves after so many calls."""
    disk = ForgetfulDisk(crawl.before)
    for call in crawl.calls[:after]:
        disk.play(call)
    disk.write_out(folder, names=names)
    return Installation(folder=folder, settings={"SITREP_WORKERS": "1"})


def _recovers(crawl: Crawl, folder: Path, *, after: int, names: Names) -> None:
    """Hold that one ordinary crawl brings it all back; without its site, what was moved."""
    installation = _cut_at(crawl, folder, after=after, names=names)
    is_moved = any((folder / "lake" / "warc").rglob("*.warc.gz"))
    entries, answers = crawl.site.entries, crawl.site.answers
    try:
        if is_moved:
            crawl.site.entries, crawl.site.answers = [], {}
        installation.crawl(crawl.site.name)
    finally:
        crawl.site.entries, crawl.site.answers = entries, answers
    assert _truth(folder) == crawl.truth, f"cut after {after}, {names}"
    lake, state = Lake.open(str(folder / "lake")), State.open(f"sqlite:///{folder}/state/sitrep.db")
    try:
        assert list(examine(lake, state, spool=folder / "state" / "spool")) == []
    finally:
        state.close()


# With all names, those are there that the disk was not told of, without their content: what was
# seen then has to be taken back.
@pytest.mark.parametrize("step", ["warc", "revisions", "captures", "articles", "state"])
def test_after_a_power_cut_one_crawl_makes_the_lake_what_it_would_have_been(crawl, tmp_path, step):
    after = max(n for n in _steps(crawl) if _step(crawl.calls[n - 1]) == step)
    names: Names = "those synced" if step in {"warc", "state"} else "all"
    _recovers(crawl, tmp_path / "user", after=after, names=names)


@pytest.mark.soak
@pytest.mark.parametrize("names", ["those synced", "all"])
@pytest.mark.parametrize("n", range(15))
def test_after_a_power_cut_at_any_moment_the_lake_is_as_it_would_have_been(
    crawl, tmp_path, n, names
):
    moments = _moments(crawl)
    chance = random.Random(n)  # noqa: S311 - moments, no secrets
    span = len(moments) / 15
    after = moments[int(span * n + chance.random() * span)]
    _recovers(crawl, tmp_path / "user", after=after, names=names)
