"""kill -9 between any two steps: one ordinary run gives the lake of a run that nobody killed."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Installation
from tests.killed_crawl import CATCH_UP, NEVER_REACHED, RECOVERY, STEPS
from tests.undisturbed import Start, World, count, take_up, undisturbed_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with undisturbed_world(tmp_path_factory, "new", "known") as made:
        yield made


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
    return installation.killed_at(step, n, "crawl", *world.names)


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


@pytest.mark.parametrize(("start", "step", "share"), drawn(5, seed=1))
def test_killed_between_two_steps_a_crawl_is_made_good_by_the_next(
    tmp_path, world, start, step, share
):
    killed_and_taken_up(tmp_path, world, start, step, share)


@pytest.mark.soak
@pytest.mark.parametrize(("start", "step", "share"), drawn(80, seed=2))
def test_killed_between_any_two_steps_a_crawl_is_made_good_by_the_next(
    tmp_path, world, start, step, share
):
    killed_and_taken_up(tmp_path, world, start, step, share)


# What is left to recover: of one, all is in the archive; of the other, the lake has the first
# commit and the state does not.
LEFT = {"recovery": ("extracted", 0.9, RECOVERY), "catch_up": ("within_saving", 0.0, CATCH_UP)}


def drawn_again(n: int, *, seed: int) -> list[tuple[str, str, float]]:
    """Draw `n` kills of the run that takes up what a kill left."""
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    steps = [(left, step) for left, (_, _, own) in LEFT.items() for step in own]
    steps += [(left, step) for left in LEFT for step in ("flipped", "revisions_in", "saved")]
    return [(*chance.choice(steps), round(chance.random(), 2)) for _ in range(n)]


def killed_twice(folder: Path, world: World, left: str, step: str, share: float) -> None:
    if left not in world.starts:
        world.starts[left] = left_by_a_kill(world, left)
    take_up(killed(folder, world, left, step, share), world, left)


def left_by_a_kill(world: World, left: str) -> Start:
    """Return what a kill of a crawl left, and how often a crawl then passes each step."""
    known = world.starts["known"]
    folder = known.folder.with_name(left)
    step, share, _ = LEFT[left]
    first = killed(folder, world, "known", step, share)
    counted = shutil.copytree(first.folder, folder / "counted", symlinks=True)
    passages = count(Installation(folder=counted), world)
    return Start(first.folder, known.before, known.truth, passages)


@pytest.mark.parametrize(("left", "step", "share"), drawn_again(2, seed=1))
def test_killed_as_it_recovers_a_crawl_is_made_good_by_the_next(tmp_path, world, left, step, share):
    killed_twice(tmp_path, world, left, step, share)


@pytest.mark.soak
@pytest.mark.parametrize(("left", "step", "share"), drawn_again(20, seed=2))
def test_killed_at_any_step_of_a_recovery_a_crawl_is_made_good_by_the_next(
    tmp_path, world, left, step, share
):
    killed_twice(tmp_path, world, left, step, share)


def test_a_kill_at_a_step_that_is_not_there_or_not_reached_is_told(tmp_path, world):
    installation = world.installation(tmp_path, "known")
    assert "KeyError: 'no_such_step'" in crawl_to(installation, world, "no_such_step", 1).stderr
    done = crawl_to(installation, world, "run_in", 2)
    assert (done.returncode, done.stderr) == (NEVER_REACHED, "passed 1 times, not 2\n")
