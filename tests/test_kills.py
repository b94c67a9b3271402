"""kill -9 between any two steps: one ordinary run gives the lake of a run that nobody killed."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.archive import read_pages
from pipelines.doctor import examine
from pipelines.errors import ArchiveError
from pipelines.lake import Lake
from pipelines.state import State
from pipelines.views import connect, rows_of
from tests.installation import Installation
from tests.killed_crawl import CATCH_UP, NEVER_REACHED, RECOVERY, STEPS
from tests.living_site import Answer, Entry, LivingSite, settle_in, story

# What names a run, a time or a place in the archive differs from run to run; all else must not.
_OWN = {
    "first_seen", "last_seen", "fetched_at", "recorded_at", "replaced_at", "warc_path",
    "warc_offset", "warc_length", "warc_record_id", "run_id",
}  # fmt: skip
_KEYS = {"revisions_all": "article_id, revision, extraction", "articles": "article_id"}

Truth = dict[str, Any]


def truth_of(installation: Installation) -> Truth:
    """Return what a lake says, all tables, but for times, runs and places in the archive."""
    with connect(Lake.open(str(installation.folder / "lake"))) as connection:
        tables = {
            name: [
                _bare(row) for row in rows_of(connection, f"SELECT * FROM {name} ORDER BY {key}")
            ]
            for name, key in _KEYS.items()
        }
        clusters: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in rows_of(connection, "SELECT * FROM articles"):
            clusters[row["cluster_id"]].add((row["article_id"], row["cluster_relation"]))
        captures = rows_of(connection, "SELECT * FROM captures WHERE kind = 'article'")
        names = ("site", "url", "requested_url", "status", "payload_digest", "verdict",
                 "article_id", "revision")  # fmt: skip
        verdicts = Counter(tuple(row[name] for name in names) for row in captures)
    # Which of a cluster was stored first is chance; who is in it and who is its original is not.
    together = {frozenset(members) for members in clusters.values()}
    return {**tables, "clusters": together, "verdicts": verdicts}


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k not in _OWN and k != "cluster_id"}


@dataclass
class Start:
    """A user's folder before the crawl that is killed, and what comes of it when it is not."""

    folder: Path
    truth: Truth
    passages: dict[str, int]


@dataclass
class World:
    """Two sites, and two folders: a new one, and one that knows their first state."""

    sites: tuple[LivingSite, LivingSite]
    starts: dict[str, Start]

    @property
    def names(self) -> list[str]:
        return [site.name for site in self.sites]

    def installation(self, folder: Path, start: str) -> Installation:
        shutil.copytree(self.starts[start].folder, folder, symlinks=True, dirs_exist_ok=True)
        return Installation(folder=folder)

    def passage(self, start: str, step: str, share: float) -> int:
        """Return which passage of a step lies at a share of all that there are."""
        times = self.starts[start].passages.get(step, 0)
        assert times, f"{step} is never passed"
        return 1 + int(share * times)

    def forget_requests(self) -> None:
        for site in self.sites:
            site.requests.clear()

    def asked(self) -> set[str]:
        return {site.url(one.path) for site in self.sites for one in site.requests}


def first_state(ours: LivingSite, theirs: LivingSite) -> None:
    for site, numbers in ((ours, range(1, 5)), (theirs, range(11, 14))):
        for n in numbers:
            site.put(story(n), listed=False)
            site.entries.append(Entry(path=story(n).path, title=story(n).headline))


def second_state(ours: LivingSite, theirs: LivingSite) -> None:
    """An edit, new stories, a copy, an original found late, a story that moved, pages of none."""
    edited = story(1, headline="The yard takes its words back", body=story(21).body)
    ours.put(edited, listed=False)
    ours.entries[0] = Entry(path=edited.path, title=edited.headline)
    ours.put(*(story(n) for n in (5, 6, 7, 8)))
    copy = story(2, path="/2024/05/copied/", published="2024-05-20T10:00:00+00:00")
    earlier = story(12, path="/2024/05/the-original/", published="2024-04-01T10:00:00+00:00")
    theirs.put(copy, story(14), story(15))
    ours.put(earlier)
    ours.put(replace(story(3), path="/2024/05/moved/"))
    ours.redirect(story(3).path, ours.url("/2024/05/moved/"))
    theirs.answers["/2024/05/short/"] = Answer(body=b"<h1>Soon</h1><p>More to come.</p>")
    theirs.entries += [Entry(path="/2024/05/short/"), Entry(path="/2024/05/nothing/")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with LivingSite("slipway_post") as ours, LivingSite("dock_times") as theirs:
        folders = {name: tmp_path_factory.mktemp(name) for name in ("new", "known")}
        first_state(ours, theirs)
        for folder in folders.values():
            settle_in(folder, ours, theirs)
        Installation(folder=folders["known"]).crawl(ours.name, theirs.name)
        second_state(ours, theirs)
        made = World((ours, theirs), {})
        for name, folder in folders.items():
            made.starts[name] = start = Start(folder, {}, {})
            undisturbed = made.installation(tmp_path_factory.mktemp("undisturbed"), name)
            start.passages = count(undisturbed, made)
            start.truth = truth_of(undisturbed)
        yield made


def count(installation: Installation, world: World) -> dict[str, int]:
    """Crawl, undisturbed; return how often each step was passed."""
    file = installation.folder / "passages.json"
    program = ("-m", "tests.killed_crawl", "count", str(file))
    installation.run("crawl", *world.names, program=program)
    return dict(json.loads(file.read_text()))


def killed(folder: Path, world: World, start: str, step: str, share: float) -> Installation:
    """Crawl, killed at a share of a step's passages; fails when the step is never reached.

    What is in one file is chance, and so how often some steps are passed: one less is tried then.
    """
    for n in range(world.passage(start, step, share), 0, -1):
        installation = world.installation(folder / str(n), start)
        done = crawl_to(installation, world, step, n)
        if done.returncode == -signal.SIGKILL:
            return installation
        assert done.returncode == NEVER_REACHED, done.stderr
    pytest.fail(f"{step} is never reached")


def crawl_to(
    installation: Installation, world: World, step: str, n: int
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.killed_crawl", step, str(n), "crawl", *world.names],
        cwd=installation.folder, env=installation.env, capture_output=True, text=True,
        start_new_session=True, timeout=120, check=False,
    )  # fmt: skip


def archived(installation: Installation) -> Counter[str]:
    """Return the article pages that archive and spool hold, of any answer."""
    files = [
        *(installation.folder / "lake" / "warc").rglob("*.warc.gz"),
        *(installation.folder / "state" / "spool").glob("*.open"),
    ]
    found: Counter[str] = Counter()
    for file in files:
        with suppress(ArchiveError):
            found.update(page.url for page in read_pages(file) if page.kind == "article")
    return found


def take_up(installation: Installation, world: World, start: str) -> None:
    """Crawl once, undisturbed, and hold all that came of it against the truth."""
    kept = archived(installation) - archived(Installation(folder=world.starts[start].folder))
    world.forget_requests()
    report = installation.crawl(*world.names)
    assert report["totals"]["skipped"].get("busy") is None
    assert kept.keys() & world.asked() == set()
    assert_undisturbed(installation, world.starts[start].truth)


def assert_undisturbed(installation: Installation, truth: Truth) -> None:
    found = truth_of(installation)
    for name in truth.keys() - {"verdicts"}:
        assert found[name] == truth[name], name
    more, less = found["verdicts"] - truth["verdicts"], truth["verdicts"] - found["verdicts"]
    assert sorted(more.items()) == sorted(less.items()) == []
    state = State.open(f"sqlite:///{installation.folder}/state/sitrep.db")
    spool = installation.folder / "state" / "spool"
    lake = Lake.open(str(installation.folder / "lake"))
    assert list(examine(lake, state, spool=spool)) == []
    state.close()
    assert list(spool.glob("*.open")) == []


def drawn(n: int, *, seed: int) -> list[tuple[str, str, float]]:
    """Draw `n` kills: where, each step once before any comes again, how far into its passages."""
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    steps: list[str] = []
    while len(steps) < n:
        steps += chance.sample(sorted(STEPS), k=len(STEPS))
    return [
        (chance.choice(("new", "known")), step, round(chance.random(), 2)) for step in steps[:n]
    ]


def killed_and_taken_up(folder: Path, world: World, start: str, step: str, share: float) -> None:
    take_up(killed(folder, world, start, step, share), world, start)


@pytest.mark.parametrize(("start", "step", "share"), drawn(8, seed=1))
def test_killed_between_two_steps_a_crawl_is_made_good_by_the_next(
    tmp_path, world, start, step, share
):
    killed_and_taken_up(tmp_path, world, start, step, share)


@pytest.mark.soak
@pytest.mark.parametrize(("start", "step", "share"), drawn(100, seed=2))
def test_killed_between_any_two_steps_a_crawl_is_made_good_by_the_next(
    tmp_path, world, start, step, share
):
    killed_and_taken_up(tmp_path, world, start, step, share)


# What is left to recover: of one, everything is in the spool; of the other, the lake has a
# commit that the state lacks.
LEFT = {"recovery": ("extracted", RECOVERY), "catch_up": ("within_saving", CATCH_UP)}


def drawn_again(n: int, *, seed: int) -> list[tuple[str, str, float]]:
    """Draw `n` kills of the run that takes up what a kill left."""
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    steps = [(left, step) for left, (_, own) in LEFT.items() for step in own]
    steps += [(left, step) for left in LEFT for step in ("flipped", "revisions_in", "saved")]
    return [(*chance.choice(steps), round(chance.random(), 2)) for _ in range(n)]


def killed_twice(folder: Path, world: World, left: str, step: str, share: float) -> None:
    first = killed(folder, world, "known", LEFT[left][0], 0.9)
    counted = shutil.copytree(first.folder, folder / "counted", symlinks=True)
    passages = count(Installation(folder=counted), world)
    world.starts[left] = Start(first.folder, world.starts["known"].truth, passages)
    take_up(killed(folder / "again", world, left, step, share), world, left)


@pytest.mark.parametrize(("left", "step", "share"), drawn_again(2, seed=1))
def test_killed_as_it_recovers_a_crawl_is_made_good_by_the_next(tmp_path, world, left, step, share):
    killed_twice(tmp_path, world, left, step, share)


@pytest.mark.soak
@pytest.mark.parametrize(("left", "step", "share"), drawn_again(25, seed=2))
def test_killed_at_any_step_of_a_recovery_a_crawl_is_made_good_by_the_next(
    tmp_path, world, left, step, share
):
    killed_twice(tmp_path, world, left, step, share)


def test_a_kill_at_a_step_that_is_not_there_or_not_reached_is_told(tmp_path, world):
    installation = world.installation(tmp_path, "known")
    assert "KeyError: 'no_such_step'" in crawl_to(installation, world, "no_such_step", 1).stderr
    done = crawl_to(installation, world, "run_in", 2)
    assert (done.returncode, done.stderr) == (NEVER_REACHED, "passed 1 times, not 2\n")
