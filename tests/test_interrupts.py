"""Ctrl-C and SIGTERM: once, and what is in flight is finished; twice, and all stops at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.installation import Installation
from tests.killed_crawl import HELD_SECONDS
from tests.living_site import LivingSite, settle_in, story
from tests.undisturbed import World, archived, take_up, undisturbed_world

Send = Callable[[int, int], None]
# A second, and what a machine under load adds to it; far less than what is waited for otherwise.
AT_ONCE_SECONDS = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with undisturbed_world(tmp_path_factory, "known") as made:
        yield made


@dataclass
class Ended:
    status: int
    said: str
    seconds: float


def start(installation: Installation, world: World, *runner: str) -> subprocess.Popen[str]:
    program: Sequence[str] = ("tests.killed_crawl", *runner) if runner else ("crawler",)
    return subprocess.Popen(
        [sys.executable, "-m", *program, "crawl", *world.names],
        cwd=installation.folder, env=installation.env, text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it in a minute"
        time.sleep(0.02)


def end(process: subprocess.Popen[str], *signals: int, send: Send) -> Ended:
    """Send signals, a moment between them, and wait; nobody of its session may be left."""
    at = time.monotonic()
    for number in signals:
        at = time.monotonic()
        send(process.pid, number)
        time.sleep(0.3)
    _, said = process.communicate(timeout=60)
    seconds = time.monotonic() - at
    wait_for(lambda: not session(process.pid))
    assert "Traceback" not in said, said
    return Ended(process.returncode, said, seconds)


def session(leader: int) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter():
        try:
            if os.getsid(one.pid) == leader and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def held(installation: Installation, world: World, step: str, n: int) -> subprocess.Popen[str]:
    """Start a crawl that stays at a step; return when it is there."""
    file = installation.folder / "held"
    process = start(installation, world, f"held:{step}", str(n))
    wait_for(file.exists)
    file.unlink()
    return process


@pytest.fixture
def installation(tmp_path: Path, world: World) -> Iterator[Installation]:
    yield world.installation(tmp_path, "known")
    for site in world.sites:
        site.delay_seconds = 0


TO = {"process": os.kill, "group": os.killpg}
SIGNALS = {"ctrl_c": signal.SIGINT, "sigterm": signal.SIGTERM}


@pytest.mark.parametrize(("number", "to"), [("ctrl_c", "group"), ("sigterm", "group")])
def test_once_what_is_in_flight_is_finished_and_committed(installation, world, number, to):
    """To the whole group, as a terminal and a service manager send it: the workers too."""
    for site in world.sites:
        site.delay_seconds = 0.4
    world.forget_requests()
    process = start(installation, world)
    wait_for(lambda: len(archived(installation)) > len(archived_before(world)) + 1)
    ended = end(process, SIGNALS[number], send=TO[to])
    assert ended.status == 130
    rows = installation.rows("SELECT url, verdict FROM captures WHERE kind = 'article'")
    assert archived(installation).keys() <= {row["url"] for row in rows}
    assert not [row for row in rows if "extraction" in row["verdict"]]
    assert not list((installation.folder / "state" / "spool").glob("*.open"))
    for site in world.sites:
        site.delay_seconds = 0
    take_up(installation, world, "known")


# So many turns of the event loop after the last page was decided on; some of them are a moment
# before Scrapy finds nothing to ask for. To stop it there once ended it without its last commits.
AFTER_THE_LAST = [
    pytest.param(f"decided+{n}", marks=[] if n == 4 else pytest.mark.soak) for n in range(12)
]


IDLE = pytest.param("idle", marks=pytest.mark.soak)


@pytest.mark.parametrize("step", ["opened", IDLE, *AFTER_THE_LAST])
def test_once_where_the_crawl_just_begins_or_is_about_to_end(installation, world, step):
    n = world.starts["known"].passages[step.partition("+")[0]]
    ended = end(start(installation, world, f"interrupted:{step}", str(n)), send=os.kill)
    assert ended.status == 130
    rows = installation.rows("SELECT url FROM captures WHERE kind = 'article'")
    assert archived(installation).keys() <= {row["url"] for row in rows}
    assert not list((installation.folder / "state" / "spool").glob("*.open"))
    take_up(installation, world, "known")


def archived_before(world: World) -> object:
    return archived(Installation(folder=world.starts["known"].folder))


@pytest.mark.parametrize(
    ("number", "to", "step", "n"),
    [
        ("ctrl_c", "process", "revisions_in", 1),  # while committing, in a thread
        ("sigterm", "group", "flipping", 2),
        pytest.param(
            "ctrl_c", "group", "extracted", 2, marks=pytest.mark.soak
        ),  # in the event loop
    ],
)
def test_twice_all_stops_at_once_and_nothing_is_lost(installation, world, number, to, step, n):
    process = held(installation, world, step, n)
    ended = end(process, SIGNALS[number], SIGNALS[number], send=TO[to])
    assert ended.status == 130
    assert ended.said == "sitrep: stopped at once; the next crawl takes up what was fetched\n"
    assert ended.seconds < min(AT_ONCE_SECONDS, HELD_SECONDS)
    take_up(installation, world, "known")


def test_twice_a_server_that_answers_slowly_is_not_waited_for(installation, world):
    for site in world.sites:
        site.delay_seconds = 20
    before = sum(site.begun for site in world.sites)
    process = start(installation, world)
    wait_for(lambda: sum(site.begun for site in world.sites) > before)
    ended = end(process, signal.SIGINT, signal.SIGINT, send=os.killpg)
    assert ended.status == 130
    assert ended.seconds < AT_ONCE_SECONDS
    for site in world.sites:
        site.delay_seconds = 0
    take_up(installation, world, "known")


@pytest.mark.parametrize("times", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_a_recovery_is_left_to_the_next_run(installation, world, times):
    interrupted = held(installation, world, "extracted", 5)
    os.killpg(interrupted.pid, signal.SIGKILL)
    interrupted.communicate()
    process = held(installation, world, "page_begun", 6)
    ended = end(process, *[signal.SIGTERM] * times, send=os.killpg)
    assert ended.status == 130
    assert times == 1 or ended.seconds < AT_ONCE_SECONDS
    take_up(installation, world, "known")


@pytest.mark.parametrize(
    "word", [pytest.param("hangs-for-ever", marks=pytest.mark.soak), "hangs-in-c"]
)
def test_twice_a_worker_that_hangs_is_not_waited_for_and_dies_with_its_crawler(tmp_path, word):
    with LivingSite() as site:
        site.put(story(1), story(2, extra=f"<p>{word}</p>"))
        installation = settle_in(tmp_path, site)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.sick_extractor", "crawl", site.name],
            cwd=tmp_path, env=installation.env, text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        wait_for(lambda: archived(installation).total() == 2)
        time.sleep(1)
        ended = end(process, signal.SIGINT, signal.SIGINT, send=os.killpg)
        assert ended.status == 130
        assert ended.seconds < AT_ONCE_SECONDS
        installation.crawl(site.name)
        assert len(installation.rows("SELECT url FROM articles")) == 2
        assert site.asked(story(2).path) == 1
