"""Sites are crawled when they are due, by a loop that outlives its crawls; stories again too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.register import BUNDLED
from pipelines.schedule_state import put_turn, turn_of
from pipelines.state import State
from pipelines.state_tables import articles, links
from tests.installation import Installation
from tests.living_site import LivingSite, story

PATIENCE_SECONDS = 60


@pytest.fixture
def site() -> Iterator[LivingSite]:
    with LivingSite() as running:
        running.put(story(1), story(2))
        yield running


def settle(folder: Path, *sites: LivingSite, **keys: Any) -> Installation:
    """Make a user's folder with a site file for each site, with further keys in it."""
    (folder / "sites").mkdir(exist_ok=True)
    for site in sites:
        write(folder, site, **keys)
    return Installation(folder=folder, settings={"SITREP_LOG_LEVEL": "info"})


def write(folder: Path, site: LivingSite, **keys: Any) -> None:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    text = site.site_file().replace("[extract]\n", f"{lines}[extract]\n")
    (folder / "sites" / f"{site.name}.toml").write_text(text, encoding="utf-8")


@contextmanager
def scheduled(installation: Installation, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run `sitrep schedule` beside the test; what is left of it at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crawler", "schedule", *words],
        cwd=installation.folder, env=installation.env, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@dataclass
class Ended:
    status: int
    said: dict[str, Any]
    log: str


def ended(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> Ended:
    process.send_signal(number)
    out, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in log, log
    return Ended(process.returncode, json.loads(out) if out.startswith("{") else {}, log)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it in a minute"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in found.split()]


@contextmanager
def state_of(installation: Installation) -> Iterator[State]:
    state = State.open(f"sqlite:///{installation.folder}/state/sitrep.db")
    try:
        yield state
    finally:
        state.close()


def age(installation: Installation, by: timedelta) -> None:
    """Have everything on record be so much older, as when the machine slept that long."""
    columns = [
        (articles, "first_seen", "article_id"), (links, "first_seen", "url_key"),
        (links, "last_fetched", "url_key"), (table("sources"), "asked_at", "url"),
        (table("sites"), "last_run", "site"), (table("turns"), "began_at", "site"),
    ]  # fmt: skip
    with state_of(installation) as state, state._engine.begin() as connection:
        for where, name, key in columns:
            for row in connection.execute(sa.select(where.c[key], where.c[name])).all():
                if row[1] is not None:
                    older = sa.update(where).where(where.c[key] == row[0])
                    connection.execute(older.values({name: row[1] - by}))


def table(name: str) -> sa.Table:
    return articles.metadata.tables[name]


def crawl_due(installation: Installation, site: LivingSite) -> dict[str, Any]:
    said = installation.json("crawl", site.name, "--due")
    found: dict[str, Any] = said["sites"][0] if said["sites"] else {}
    return found


# --- what is due ------------------------------------------------------------------------------


def test_a_site_is_due_once_every_has_passed_and_not_before(tmp_path, site):
    installation = settle(tmp_path, site, every="1h")
    assert crawl_due(installation, site)["new"] == 2
    assert crawl_due(installation, site) == {}
    age(installation, timedelta(minutes=59))
    assert crawl_due(installation, site) == {}
    age(installation, timedelta(minutes=2))
    site.put(story(3))
    assert crawl_due(installation, site)["new"] == 1


def test_a_story_is_looked_at_again_at_each_age_once_and_its_edit_is_found(tmp_path, site):
    installation = settle(tmp_path, site, every="10m")
    installation.crawl(site.name)
    looks = []
    site.put(story(2, body=story(22).body))
    for hours in (0.5, 0.6, 4, 2, 18, 24, 24 * 6, 24 * 23, 24 * 40):
        before = site.asked(story(1).path)
        age(installation, timedelta(hours=hours))
        report = crawl_due(installation, site)
        looks.append((site.asked(story(1).path) - before, report["changed"]))
    # After .5, 1.1, 5.1, 7.1, 25.1, 49.1, 193.1, 745.1 and 1705.1 hours.
    assert [n for n, _ in looks] == [0, 1, 0, 1, 1, 0, 1, 1, 0]
    assert [changed for _, changed in looks] == [0, 1, 0, 0, 0, 0, 0, 0, 0]


def test_ages_that_were_slept_through_come_to_one_look(tmp_path, site):
    installation = settle(tmp_path, site, every="10m")
    installation.crawl(site.name)
    age(installation, timedelta(days=9))
    site.requests.clear()
    crawl_due(installation, site)
    age(installation, timedelta(minutes=11))
    crawl_due(installation, site)
    assert site.asked(story(1).path) == site.asked(story(2).path) == 1


def test_a_story_that_is_gone_twice_is_not_looked_at_again(tmp_path, site):
    installation = settle(tmp_path, site, every="10m")
    installation.crawl(site.name)
    site.answers.pop(story(1).path)
    site.requests.clear()
    for hours in (1.1, 5, 18, 24 * 7, 24 * 24):
        age(installation, timedelta(hours=hours))
        installation.json("crawl", site.name, "--due", check=False)
    assert site.asked(story(1).path) == 2
    assert site.asked(story(2).path) == 5
    [row] = installation.rows("SELECT count(*) AS n FROM articles")
    assert row["n"] == 2


def test_a_budget_goes_to_the_youngest_and_is_of_a_day(tmp_path, site):
    for n in range(3, 9):
        site.put(story(n))
    installation = settle(tmp_path, site, every="10m", revisit_budget=4)
    installation.crawl(site.name)
    site.requests.clear()
    age(installation, timedelta(hours=2))
    spent = []
    for _ in range(6):
        before = len(site.requests)
        crawl_due(installation, site)
        looked = [one.path for one in site.requests[before:] if "story" in one.path]
        spent.append(looked)
        with state_of(installation) as state:  # only the sources fall due again
            sources = table("sources")
            with state._engine.begin() as connection:
                connection.execute(
                    sa.update(sources).values(asked_at=datetime.now(UTC) - timedelta(hours=1))
                )
    # A quarter a crawl, four a day; the youngest is the one that was published last.
    assert spent == [[story(n).path] for n in (8, 7, 6, 5)] + [[], []]


def test_after_a_rebuild_the_same_stories_are_due(tmp_path, site):
    installation = settle(tmp_path, site, every="10m")
    installation.crawl(site.name)
    installation.run("doctor", "--rebuild")
    age(installation, timedelta(hours=2))
    site.requests.clear()
    crawl_due(installation, site)
    assert site.asked(story(1).path) == site.asked(story(2).path) == 1


# --- the loop ---------------------------------------------------------------------------------


def test_once_crawls_what_is_due_and_ends(tmp_path, site):
    installation = settle(tmp_path, site, every="1h")
    said = installation.json("schedule", site.name, "--once")
    assert [(one["site"], one["crawls"], one["new"]) for one in said["sites"]] == [
        (site.name, 1, 2)
    ]
    assert installation.json("schedule", site.name, "--once")["sites"] == []
    assert site.asked("/feed/") == 1


def test_new_stories_and_new_site_files_are_found_while_it_runs(tmp_path, site):
    installation = settle(tmp_path, site, every="1s")
    for bundled in BUNDLED.glob("*.toml"):  # nothing of them is asked
        quiet = tmp_path / "sites" / bundled.name
        quiet.write_text('publisher = "P"\nhome = "http://127.0.0.1/"\ntime_zone = "UTC"\n')
    with LivingSite("second_post") as other, scheduled(installation, "--json") as process:
        other.put(story(31))
        wait_for(lambda: site.asked(story(2).path))
        site.put(story(3))
        write(installation.folder, other, every="1s")
        wait_for(lambda: site.asked(story(3).path) and other.asked(story(31).path))
        done = ended(process)
    assert done.status == 0
    assert {one["site"]: one["new"] for one in done.said["sites"] if one["new"]} == {
        site.name: 3, other.name: 1,
    }  # fmt: skip
    assert f"{site.name}: 2 new" in done.log


def test_two_loops_never_crawl_one_site_at_once(tmp_path, site):
    site.delay_seconds = 0.3
    installation = settle(tmp_path, site, every="1s")
    with scheduled(installation, site.name) as one, scheduled(installation, site.name) as other:
        wait_for(lambda: site.asked("/feed/") >= 3)
        assert ended(one).status == ended(other).status == 0
    runs = installation.rows("SELECT started_at, finished_at FROM runs ORDER BY started_at")
    assert len(runs) >= 3
    for before, after in pairwise(runs):
        assert before["finished_at"] <= after["started_at"]
    assert site.asked(story(1).path) == site.asked(story(2).path) == 1


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["sigterm", "ctrl_c"]
)
def test_a_signal_in_mid_crawl_loses_nothing_and_asks_nothing_twice(tmp_path, site, number, status):
    for n in range(3, 12):
        site.put(story(n))
    site.delay_seconds = 0.4
    installation = settle(tmp_path, site, every="1h")
    with scheduled(installation, site.name) as process:
        wait_for(lambda: len(site.requests) > 4)
        done = ended(process, number)
    assert done.status == status
    assert not list((tmp_path / "state" / "spool").glob("*.open"))
    asked = {one.path for one in site.requests if "story" in one.path}
    stored = installation.rows("SELECT url FROM articles")
    assert {site.url(path) for path in asked} == {row["url"] for row in stored}
    site.delay_seconds = 0
    installation.crawl(site.name)
    assert all(site.asked(story(n).path) == 1 for n in range(1, 12))


def test_a_second_signal_ends_all_at_once(tmp_path, site):
    installation = settle(tmp_path, site, every="1h")
    site.delay_seconds = 20
    with scheduled(installation, site.name) as process:
        wait_for(lambda: site.begun)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        done = ended(process, signal.SIGTERM)
        assert time.monotonic() - started < 6
    assert done.status == 130


def test_a_crawl_that_was_killed_is_begun_again_later_each_time(tmp_path, site):
    installation = settle(tmp_path, site, every="1s")
    site.delay_seconds = 1
    with scheduled(installation, site.name) as process:
        for failures in (1, 2):
            wait_for(lambda: children(process.pid) and site.requests)
            os.killpg(children(process.pid)[0], signal.SIGKILL)
            wait_for(lambda n=failures: failures_of(installation, site) == n)
            site.requests.clear()
        site.delay_seconds = 0
        wait_for(lambda: site.asked(story(2).path))
        wait_for(lambda: failures_of(installation, site) == 0)
        done = ended(process)
    assert "was ended by SIGKILL; tried again in 0:00:01" in done.log
    assert "was ended by SIGKILL; tried again in 0:00:02" in done.log
    assert {row["url"] for row in installation.rows("SELECT url FROM articles")} == {
        site.url(story(n).path) for n in (1, 2)
    }


def failures_of(installation: Installation, site: LivingSite) -> int:
    with state_of(installation) as state:
        return turn_of(state, site.name).failures


def test_a_laptop_that_slept_in_mid_crawl_goes_on_and_loses_nothing(tmp_path, site):
    for n in range(3, 9):
        site.put(story(n))
    site.delay_seconds = 0.3
    installation = settle(tmp_path, site, every="1s")
    with scheduled(installation, site.name) as process:
        wait_for(lambda: site.asked(story(2).path))
        group = [process.pid, *children(process.pid)]
        for pid in group:
            os.killpg(pid, signal.SIGSTOP)
        site.requests.clear()
        time.sleep(4)
        site.put(story(10))
        for pid in group:
            os.killpg(pid, signal.SIGCONT)
        wait_for(lambda: site.asked(story(10).path))
        feeds = [one.at for one in site.requests if one.path == "/feed/"]
        assert ended(process).status == 0
    # The four periods that were slept through come to one request.
    assert len([at for at in feeds if at - feeds[0] < 0.9]) <= 1
    [row] = installation.rows("SELECT count(*) AS n FROM articles")
    assert row["n"] == 9


def test_what_a_clock_ahead_of_time_wrote_does_not_stop_the_schedule(tmp_path, site):
    installation = settle(tmp_path, site, every="1h")
    installation.crawl(site.name)
    age(installation, timedelta(days=-365))
    with state_of(installation) as state:
        put_turn(state, turn_of(state, site.name))
    site.put(story(3))
    said = installation.json("schedule", site.name, "--once")
    assert said["sites"][0]["new"] == 1


def test_a_name_that_is_no_site_is_told_at_once(tmp_path, site):
    installation = settle(tmp_path, site)
    done = installation.run("schedule", "no_such_post", check=False)
    assert done.returncode in {1, 2}
    assert "no site is called 'no_such_post'" in done.stderr
