"""A crawl is a guest: what a host asks for is kept, in this run and in the next ones."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from crawler.manners import (
    CALM,
    FIRST_REST,
    MOST_REST,
    MOST_WISH,
    after_answer,
    after_trouble,
    after_wish,
    rest_of,
)
from crawler.reservations import reservations_of
from pipelines.archive import read_pages
from pipelines.host_state import HostState
from tests.hostile_server import Answer, HostileServer, slowly, story, story_html
from tests.installation import Installation

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)
HOST = HostState(host="https://gazette.example")


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def user(tmp_path: Path) -> Installation:
    return Installation(folder=tmp_path)


def setup(user: Installation, server: HostileServer, **keys: Any) -> None:
    server.write_site_file(user.folder / "sites", feeds=["/feed"], **keys)


def crawl(user: Installation) -> dict[str, Any]:
    done = user.run("crawl", "hostile", "--json", check=False)
    [site] = json.loads(done.stdout)["sites"]
    return dict(site)


def later(user: Installation, **when: float) -> None:
    """Have the state believe that what it knows of hosts is older, by so much."""
    back = timedelta(**when)
    with sqlite3.connect(user.folder / "state" / "sitrep.db") as state:
        for column in ("robots_at", "left_until"):
            for host, said in state.execute(f"SELECT host, {column} FROM hosts").fetchall():
                if said:
                    then = (datetime.fromisoformat(said) - back).isoformat(timespec="microseconds")
                    state.execute(f"UPDATE hosts SET {column} = ? WHERE host = ?", (then, host))


def robots(text: str, encoding: str = "utf-8") -> Answer:
    return Answer(text.encode(encoding), content_type="text/plain")


# --- robots.txt ---------------------------------------------------------------------------------


def test_robots_txt_is_asked_once_a_day_and_obeyed_in_every_run(user, server):
    server.routes["/robots.txt"] = robots("User-agent: *\nDisallow: /news/2/\n")
    server.serve_feed(server.stories(1, 2))
    setup(user, server)
    assert crawl(user)["skipped"] == {"robots": 1}
    server.serve_feed(server.stories(1, 2, 3))
    assert crawl(user)["new"] == 1
    assert server.asked("/robots.txt") == 1
    assert server.asked("/news/2/") == 0
    server.routes["/robots.txt"] = robots("User-agent: *\nDisallow: /news/4/\n")
    server.serve_feed(server.stories(1, 2, 3, 4))
    later(user, hours=25)
    assert crawl(user)["skipped"].get("robots") == 1
    assert server.asked("/robots.txt") == 2
    assert server.asked("/news/4/") == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_robots_txt_in_another_encoding_forbids_what_it_says(user, server, encoding):
    server.routes["/robots.txt"] = robots("User-agent: *\nDisallow: /news/2/\n", encoding)
    server.serve_feed(server.stories(1, 2))
    setup(user, server)
    site = crawl(user)
    assert site["skipped"] == {"robots": 1}
    said = [one["warning"] for one in site["warnings"]]
    assert ["UTF-16" in line for line in said] == ([] if encoding == "utf-8-sig" else [True])


# --- who asks to be left alone, and who is down -------------------------------------------------


def test_host_that_asks_for_an_hour_has_it_also_from_the_next_runs(user, server):
    server.serve_feed(["/news/1/", *server.stories(2, 3)])
    server.routes["/news/1/"] = Answer(b"", 503, {"Retry-After": "3600"})
    setup(user, server, delay="100ms")
    crawl(user)
    asked = len(server.requests)
    site = crawl(user)
    assert site["skipped"].get("retry_after") or "asks to be left alone" in str(site["errors"])
    done = user.run("recrawl", server.url("/news/2/"), check=False)
    assert (done.returncode, len(server.requests)) == (1, asked)
    assert "asks to be left alone" in done.stdout
    later(user, hours=1)
    server.routes["/news/1/"] = story(1)
    crawl(user)
    assert len(user.rows("SELECT 1 AS one FROM articles")) == 3


def test_short_wait_that_a_kill_cut_off_is_waited_for_by_the_next_run(user, server):
    server.serve_feed(server.stories(1))
    setup(user, server)
    crawl(user)
    with sqlite3.connect(user.folder / "state" / "sitrep.db") as state:
        until = (datetime.now(UTC) + timedelta(seconds=4)).isoformat(timespec="microseconds")
        state.execute("UPDATE hosts SET left_until = ?, is_wish = 1", (until,))
    server.requests.clear()
    server.serve_feed(server.stories(1, 2))
    assert crawl(user)["new"] == 1
    assert datetime.now(UTC) >= datetime.fromisoformat(until)


@pytest.mark.soak
def test_host_that_is_down_is_left_alone_for_longer_each_time_and_asked_by_name(user, server):
    paths = [f"/news/{n}/" for n in range(CALM + 3)]
    server.serve_feed(paths)
    server.routes |= {path: Answer(b"", 503) for path in paths}
    setup(user, server)
    site = crawl(user)
    assert (site["failed"], site["skipped"]["resting"]) == (CALM, 3)
    asked = len(server.requests)
    site = crawl(user)
    assert len(server.requests) == asked
    assert "did not answer in order" in str(site["errors"])
    server.stories(1)
    [said] = user.json("recrawl", server.url("/news/1/"))["results"]
    assert said["outcome"] == "new"


def test_never_faster_after_an_error(user, server):
    server.serve_feed(server.stories(*range(5)))
    server.routes["/news/1/"] = [Answer(b"", 429), story(1)]
    setup(user, server, delay="200ms")
    assert crawl(user)["new"] == 5
    at = [one.at for one in server.requests if one.path.startswith("/news/")]
    places = [n for n, one in enumerate(server.requests) if one.path == "/news/1/"]
    first = places[0] - (len(server.requests) - len(at))
    gaps = [b - a for a, b in pairwise(at)]
    assert min(gaps[first + 1 :]) >= 0.44


@pytest.mark.parametrize(("connections", "most"), [(1, 1), (3, 3)])
def test_so_many_requests_at_once_as_the_site_file_says_and_no_more(
    user, server, connections, most
):
    paths = server.stories(*range(6))
    server.routes |= {path: slowly(story(n), 0.5) for n, path in enumerate(paths)}
    server.serve_feed(paths)
    setup(user, server, connections=connections)
    assert crawl(user)["new"] == 6
    at = sorted(one.at for one in server.requests if one.path.startswith("/news/"))
    at_once = max(sum(0 <= one - start < 0.45 for one in at) for start in at)
    assert at_once == most


@pytest.mark.parametrize(
    ("troubles", "rest"),
    [
        (0, None),
        (CALM - 2, None),
        (CALM - 1, FIRST_REST),
        (CALM, 2 * FIRST_REST),
        (CALM + 2, 8 * FIRST_REST),
        (CALM + 40, MOST_REST),
    ],
)
def test_rest_doubles_up_to_a_day(troubles, rest):
    after = after_trouble(HostState(host="a", troubles=troubles), now=NOON)
    assert rest_of(after, now=NOON, by_name=False) == rest
    assert rest_of(after, now=NOON, by_name=True) is None
    assert after_answer(after, now=NOON).troubles == 0


def test_wish_holds_through_answers_and_also_for_what_is_asked_by_name():
    asked = after_wish(HOST, seconds=600, now=NOON)
    assert rest_of(after_answer(asked, now=NOON), now=NOON, by_name=True) == timedelta(minutes=10)
    over = NOON + timedelta(minutes=10)
    assert rest_of(asked, now=over, by_name=False) is None
    assert after_answer(asked, now=over) == HOST


def test_clock_put_back_makes_no_rest_longer_than_any_that_is_given():
    asked = after_wish(HOST, seconds=1e9, now=NOON)
    assert rest_of(asked, now=NOON, by_name=False) == MOST_WISH
    assert rest_of(asked, now=NOON - timedelta(days=365), by_name=False) is None


# --- what publishers reserve --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "head", "expected"),
    [
        ({}, "", ()),
        ({"x-robots-tag": "noarchive, nofollow"}, "", ("noarchive",)),
        ({"x-robots-tag": "none"}, "", ("noindex",)),
        ({"x-robots-tag": "otherbot: noindex, noarchive"}, "", ()),
        ({"x-robots-tag": "otherbot: noindex, sitrep: noarchive"}, "", ("noarchive",)),
        ({"x-robots-tag": "unavailable_after: 25 Jun 2030 15:00:00 PST"}, "", ()),
        ({"x-robots-tag": "max-snippet: 20, noai"}, "", ("noai",)),
        ({"tdm-reservation": "1"}, "", ("tdm",)),
        ({"tdm-reservation": "0"}, "", ()),
        ({}, '<meta name="robots" content="noindex, max-image-preview:large">', ("noindex",)),
        ({}, "<META CONTENT='NoArchive' NAME='ROBOTS'>", ("noarchive",)),
        ({}, "<meta name=otherbot content=noindex>", ()),
        ({}, '<meta name="sitrep" content="noindex">', ("noindex",)),
        ({}, '<meta name="tdm-reservation" content="1">', ("tdm",)),
        ({}, '<meta name="description" content="noindex is a word of this story">', ()),
    ],
)
def test_reservations_are_read_as_they_are_meant(headers, head, expected):
    assert reservations_of(headers, f"<html><head>{head}</head>".encode()) == expected


def test_reservations_are_on_record_and_obeyed_as_the_settings_say(user, server):
    marked = story_html(2).replace("<head>", '<head><meta name="robots" content="noarchive">')
    assert "noarchive" in marked
    server.stories(1)
    server.routes["/news/2/"] = Answer(marked.encode())
    server.routes["/news/3/"] = Answer(story_html(3).encode(), headers={"TDM-Reservation": "1"})
    server.serve_feed(["/news/1/", "/news/2/", "/news/3/"])
    setup(user, server)
    site = crawl(user)
    assert (site["new"], site["skipped"]) == (2, {"refused:reserved_tdm": 1})
    rows = user.rows("SELECT url, reserved, withheld FROM reservations ORDER BY url")
    assert [(row["reserved"], row["withheld"]) for row in rows] == [
        (["noarchive"], None),
        (["tdm"], "tdm"),
    ]
    [warc] = (user.folder / "lake" / "warc").rglob("*.warc.gz")
    [kept] = [page for page in read_pages(warc) if page.url.endswith("/news/3/")]
    assert (kept.body, kept.withheld, kept.headers["tdm-reservation"]) == (b"", "tdm", "1")
    assert user.run("doctor").returncode == 0

    user.settings["SITREP_RESERVATIONS"] = "none"
    [said] = user.json("recrawl", server.url("/news/3/"))["results"]
    assert said["outcome"] == "new"
    user.settings["SITREP_RESERVATIONS"] = "noarchive"
    done = user.run("recrawl", server.url("/news/2/"), check=False)
    assert "refused: reserved_noarchive" in done.stdout
    # What was read before it was reserved stays as it was.
    assert len(user.rows("SELECT 1 AS one FROM articles")) == 3


def test_reservation_that_does_not_exist_is_an_error_that_names_those_that_do(user):
    done = user.run("status", check=False, settings={"SITREP_RESERVATIONS": "nofollow"})
    assert done.returncode == 2
    assert "noarchive" in done.stderr
