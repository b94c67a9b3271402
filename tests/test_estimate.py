"""What a backfill says of how long it takes: no less than it knows, and no more."""

from datetime import UTC, datetime, timedelta

import pytest

from crawler.estimate import Pace, Standing, duration, told

START = datetime(2025, 3, 20, tzinfo=UTC)


def pace(*seconds: float) -> Pace:
    made, now = Pace(), START
    made.answered(now)
    for one in seconds:
        now += timedelta(seconds=one)
        made.answered(now)
    return made


def test_the_pace_is_that_of_the_last_answers() -> None:
    assert pace(*[60] * 50, *[3] * 200).seconds_each(least=2) == 3


def test_no_pace_is_faster_than_the_delay() -> None:
    assert pace(0.1, 0.1).seconds_each(least=2) == 2
    assert pace().seconds_each(least=2) == 2


def test_a_night_that_the_machine_slept_through_is_no_pace() -> None:
    assert pace(3, 3, 8 * 3600, 3).seconds_each(least=2) == 3


@pytest.mark.parametrize(
    ("standing", "line"),
    [
        (
            {"asked": 1240, "left": 7060},
            "1,240 of about 8,300 stories; about 3 h 55 min at this pace",
        ),
        (
            {"left": 100, "sources_left": 3},
            "0 of at least 100 stories; 3 sources left; at least 3 min at this pace",
        ),
        (
            {"asked": 5, "left": 7060, "most": 100},
            "5 of about 7,065 stories; about 3 min to this run's limit at this pace",
        ),
        ({"asked": 1}, "1 of about 1 story"),
    ],
)
def test_a_line_says_at_least_while_sources_may_list_more(
    standing: dict[str, int], line: str
) -> None:
    assert told(Standing(**standing, seconds_each=2.0)) == line


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (89, "89 s"), (3590, "1 h"), (7260, "2 h 1 min"), (180_000, "2 d 2 h")],
)
def test_a_time_is_said_to_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said
