"""Weeks of trouble with hosts, and clocks that are wrong: bounded, told, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.installation import CHECKOUT, Installation


@pytest.fixture
def user(tmp_path: Path) -> Installation:
    return Installation(folder=tmp_path)


def played(user: Installation, name: str) -> dict[str, Any]:
    """Play a scene of `tests/simulated.py`; return what came of it."""
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tests" / "simulated.py"), name, str(user.folder)],
        env=user.env, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_robots_txt_that_answers_500_for_a_week_is_asked_seldom_and_then_all_goes_on(user):
    said = played(user, "robots_down")
    # Each time three tries; a day apart in the end.
    assert set(said["asked"]) == {"/robots.txt"}
    assert 21 <= said["asked"]["/robots.txt"] <= 60
    assert 0 < said["held_hours"] <= 24
    assert said["last_error"].endswith("nothing there is asked: HTTP 500")
    assert said["articles"] == 3


def test_a_server_whose_clock_is_a_year_off_is_polled_as_any_other(user):
    said = played(user, "clock_a_year_off")
    # Six hours, a story an hour, `every` half an hour.
    assert said["behind"] == {"polls": 12, "conditional": 11, "articles": 6}
    assert said["ahead"] == {"polls": 12, "conditional": 12, "articles": 12}
    assert said["seen_by_our_clock"]


def test_a_laptop_that_slept_for_two_days_in_mid_crawl_tells_of_it_and_loses_nothing(user):
    said = played(user, "slept")
    assert said["articles"] == 8
    # What was on its way is asked for again, and robots.txt, which is good for a day.
    assert (said["asked_twice"], said["robots_asked"]) == (["/news/4/"], 2)
    assert said["errors"] == []
    [warning] = said["warnings"]
    assert warning.startswith("the clock went on by 2 days, 0:00:0")
    assert "slept" in warning


def test_the_wait_of_a_source_and_the_rest_of_its_host_do_not_add_up(user):
    said = played(user, "asks_for_a_day")
    assert said == {"within": 0, "articles": 2}
