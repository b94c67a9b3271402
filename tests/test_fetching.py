"""`sitrep crawl` against servers that break the rules: what arrives, what is told, what is kept."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings as ScrapySettings

from tests.hostile_server import (
    Answer,
    HostileServer,
    a_byte_a_second,
    atom,
    conditional,
    endless,
    feed,
    no_http,
    redirect,
    reset_mid_body,
    shorter_than_it_says,
    sitemap,
    slowly,
    story,
    story_html,
)
from tests.installation import Installation

GZIPPED = {"Content-Encoding": "gzip"}
# Three workers with everything loaded, and room for one body of the size limit and its decoding.
MOST_RSS_KILOBYTES = 600_000


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def user(tmp_path: Path) -> Installation:
    return Installation(folder=tmp_path)


def crawl(
    user: Installation, *arguments: str, measured: bool = False
) -> tuple[int, dict[str, Any]]:
    """Return the exit status of `sitrep crawl hostile --json`, and its one site."""
    run = user.measured if measured else user.run
    done = run("crawl", "hostile", *arguments, "--json", check=False)
    assert "Traceback" not in done.stderr, done.stderr
    [site] = json.loads(done.stdout)["sites"]
    return done.returncode, site


def setup(user: Installation, server: HostileServer, **keys: Any) -> None:
    server.write_site_file(user.folder / "sites", **keys)


def errors_of(site: dict[str, Any]) -> dict[str, str]:
    return {one["url"]: one["error"] for one in site["errors"]}


# --- one crawl of every kind of bad answer ------------------------------------------------------


@dataclass
class Ordeal:
    user: Installation
    server: HostileServer
    foreign: HostileServer
    status: int
    site: dict[str, Any]
    good: list[str]
    peak_kilobytes: int

    def error(self, path: str) -> str | None:
        return errors_of(self.site).get(self.server.url(path))

    def verdicts(self, path: str) -> list[str]:
        url = self.server.url(path)
        rows = self.user.rows(
            f"SELECT verdict FROM captures WHERE requested_url = '{url}' ORDER BY fetched_at"
        )
        return [str(row["verdict"]) for row in rows]


@pytest.fixture(scope="module")
def ordeal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ordeal]:
    user = Installation(folder=tmp_path_factory.mktemp("ordeal"))
    with HostileServer() as server, HostileServer() as foreign:
        foreign.stories(9)
        good = server.stories(*range(100, 110))
        _misbehave(server, foreign)
        listed = [p for p in server.routes if not p.startswith("/news/hop") or p == "/news/hop0"]
        server.serve_feed([*listed, "/news/missing"])
        hosts = [f"127.0.0.1:{_closed_port()}"]
        setup(user, server, feeds=["/feed"], hosts=hosts, connections=8)
        status, site = crawl(user, measured=True)
        yield Ordeal(user, server, foreign, status, site, good, user.peak_kilobytes)


def _misbehave(server: HostileServer, foreign: HostileServer) -> None:
    packed = gzip.compress(story_html(1).encode())
    server.routes |= {
        "/news/loop": redirect("/news/pool"),
        "/news/pool": redirect("/news/loop"),
        **{f"/news/hop{n}": redirect(f"/news/hop{n + 1}") for n in range(15)},
        "/news/hop15": story(2),
        "/news/abroad": redirect(foreign.url("/news/9/")),
        "/news/to-file": redirect("file:///etc/hostname"),
        "/news/to-data": redirect("data:text/html,<p>hello"),
        "/news/to-nowhere": Answer(b"<p>moved</p>", 302),
        "/news/to-closed": redirect(f"http://127.0.0.1:{_closed_port()}/news/3/"),
        "/news/reset": reset_mid_body,
        "/news/short": shorter_than_it_says,
        "/news/endless": endless,
        "/news/large": Answer(b"x" * (40 << 20)),
        "/news/cut-gzip": Answer(packed[: len(packed) // 2], headers=GZIPPED),
        "/news/bomb": Answer(gzip.compress(b"<p>a</p>" * 40_000_000, 1), headers=GZIPPED),
        "/news/no-gzip": Answer(story_html(4).encode(), headers=GZIPPED),
        "/news/no-http": no_http,
        "/news/empty": Answer(b""),
        "/news/204": lambda handler: handler.head(204, {}),
        "/news/206": Answer(story_html(5).encode(), 206),
        "/news/403": Answer(b"no", 403),
        "/news/429": Answer(b"slower", 429, {"Retry-After": "1"}),
        "/news/500-once": [Answer(b"", 500), story(6)],
        "/news/503": Answer(b"", 503),
        "/news/says-utf-16": Answer(
            story_html(7, note="Le porte-avions est arrivé.").encode(),
            content_type="text/html; charset=utf-16",
        ),
        "/news/says-utf-8": Answer(
            story_html(8, note="Le sous-marin “Émeraude” a coulé.").encode("cp1252"),
            content_type="text/html; charset=utf-8",
        ),
    }


_CLOSED: list[socket.socket] = []


def _closed_port() -> int:
    """Return a port that is bound, so that nobody else has it, and that nobody listens at."""
    if not _CLOSED:
        _CLOSED.append(socket.socket())
        _CLOSED[0].bind(("127.0.0.1", 0))
    return int(_CLOSED[0].getsockname()[1])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/news/loop", "redirects without end"),
        ("/news/hop0", "redirects without end"),
        ("/news/abroad", "no host of this site"),
        ("/news/to-file", "HTTP 302 to file:///etc/hostname"),
        ("/news/to-data", "HTTP 302 to data:text/html"),
        ("/news/to-nowhere", "HTTP 302 to nowhere"),
        ("/news/to-closed", "the connection was refused"),
        ("/news/reset", "shorter than its Content-Length"),
        ("/news/short", "shorter than its Content-Length"),
        ("/news/endless", "larger than the limit"),
        ("/news/large", "larger than the limit"),
        ("/news/cut-gzip", "not what its Content-Encoding says"),
        ("/news/bomb", "not what its Content-Encoding says"),
        ("/news/no-gzip", "not what its Content-Encoding says"),
        ("/news/no-http", "no HTTP"),
        ("/news/empty", "the body is empty"),
        ("/news/204", "HTTP 204"),
        ("/news/206", "HTTP 206"),
        ("/news/403", "HTTP 403"),
        ("/news/429", "HTTP 429"),
        ("/news/503", "HTTP 503"),
        ("/news/missing", "HTTP 404"),
    ],
)
def test_what_gave_no_usable_response_is_named_with_its_reason(ordeal, path, said):
    assert said in (ordeal.error(path) or "")


def test_what_a_report_counts_adds_up_and_names_each_failure_once(ordeal):
    site = ordeal.site
    assert site["discovered"] == site["fetched"] + site["failed"]
    assert len(site["errors"]) == len(errors_of(site)) == site["failed"]
    assert site["new"] == len(ordeal.good) + 3


def test_more_than_a_tenth_of_failures_exits_1(ordeal):
    assert ordeal.status == 1


def test_every_response_has_one_row_with_its_verdict(ordeal):
    doubled = "SELECT warc_record_id FROM captures GROUP BY 1 HAVING count(*) > 1"
    assert ordeal.user.rows(doubled) == []
    assert ordeal.verdicts("/news/503") == ["failed:http_503"] * 3
    assert ordeal.verdicts("/news/500-once") == ["failed:http_500", "new"]
    assert ordeal.verdicts("/news/to-file") == ["discovery"]
    assert ordeal.user.run("doctor", check=False).returncode == 0


def test_a_redirect_to_a_host_that_is_not_the_sites_is_never_dialled(ordeal):
    assert ordeal.foreign.requests == []


def test_a_redirect_is_followed_ten_times_at_most(ordeal):
    assert ordeal.server.asked("/news/hop10") == 1
    assert ordeal.server.asked("/news/hop11") == 0


def test_retry_after_is_waited_for_and_a_page_is_asked_three_times_at_most(ordeal):
    at = [one.at for one in ordeal.server.requests if one.path == "/news/429"]
    assert len(at) == 3
    assert min(at[1] - at[0], at[2] - at[1]) >= 1.0


def test_a_text_is_read_in_the_encoding_that_it_has_whatever_its_header_claims(ordeal):
    bodies = " ".join(str(r["article_body"]) for r in ordeal.user.rows("SELECT * FROM articles"))
    assert "Le porte-avions est arrivé." in bodies
    assert "Le sous-marin “Émeraude” a coulé." in bodies


def test_no_process_of_a_crawl_grows_with_what_is_sent_to_it(ordeal):
    assert ordeal.peak_kilobytes < MOST_RSS_KILOBYTES


@pytest.mark.soak
def test_a_failing_page_is_tried_on_five_crawls_and_a_missing_one_on_one(user, server):
    good = server.stories(*range(20))
    server.routes["/news/403"] = Answer(b"no", 403)
    server.serve_feed([*good, "/news/403", "/news/missing"])
    setup(user, server, feeds=["/feed"])
    for _ in range(6):
        crawl(user)
    assert server.asked("/news/403") == 5
    assert server.asked("/news/missing") == 1


# --- slow, silent, busy -------------------------------------------------------------------------


@pytest.mark.soak
def test_a_server_that_sends_a_byte_a_second_is_given_up_after_the_time_limit(user, server):
    good = server.stories(1, 2)
    server.routes["/news/slow"] = a_byte_a_second
    server.serve_feed([*good, "/news/slow"])
    setup(user, server, feeds=["/feed"])
    # The setting is no one's but ours; a test of thirty seconds, three times over, is too long.
    program = "from crawler import cli, scrapy_settings as s; s.DOWNLOAD_TIMEOUT = 1.5; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "crawl", "hostile"],
        cwd=user.folder, env=user.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "no whole answer in time" in done.stdout
    assert done.returncode == 0
    assert len(user.rows("SELECT 1 AS one FROM articles")) == 2


def test_ctrl_c_finishes_what_is_in_flight_commits_it_and_exits_130(user, server):
    for n, path in enumerate(server.stories(*range(40))):
        server.routes[path] = slowly(story(n), 0.4)
    server.serve_feed([f"/news/{n}/" for n in range(40)])
    setup(user, server, feeds=["/feed"], delay="300ms")
    running = subprocess.Popen(
        [sys.executable, "-m", "crawler", "crawl", "hostile", "--json"],
        cwd=user.folder, env=user.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    _wait_until(lambda: server.requests and server.requests[-1].path.startswith("/news/"))
    asked_at = time.monotonic()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert time.monotonic() - asked_at < 8
    assert b"Traceback" not in said
    asked = {one.path for one in server.requests if one.path.startswith("/news/")}
    assert len(asked) < 20
    assert len(user.rows("SELECT 1 AS one FROM articles")) == len(asked)
    assert user.run("doctor", check=False).returncode == 0
    server.requests.clear()
    for n in range(40):
        server.routes[f"/news/{n}/"] = story(n)
    setup(user, server, feeds=["/feed"])
    status, site = crawl(user)
    assert (status, site["new"]) == (0, 40 - len(asked))
    assert not asked & set(server.paths())


def test_a_second_crawl_of_a_site_that_is_busy_skips_it_and_recrawl_says_so(user, server):
    go_on = threading.Event()

    def held(handler: Any) -> None:
        go_on.wait(60)
        handler.answer(story(1))

    server.routes["/news/1/"] = held
    server.serve_feed(["/news/1/"])
    setup(user, server, feeds=["/feed"])
    running = subprocess.Popen(
        [sys.executable, "-m", "crawler", "crawl", "hostile"],
        cwd=user.folder, env=user.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_until(lambda: server.asked("/news/1/"))
        status, site = crawl(user)
        again = user.run("recrawl", server.url("/news/1/"), check=False)
    finally:
        go_on.set()
        assert running.wait(timeout=30) == 0
    assert (status, site["skipped"]) == (0, {"busy": 1})
    assert again.returncode == 1
    assert "being crawled by another process" in again.stdout
    assert server.asked("/news/1/") == 1


def _wait_until(holds: Any) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("nothing came of it in 15 seconds")


def test_a_retry_after_of_an_hour_leaves_the_rest_pending_for_a_crawl_after_it(user, server):
    good = server.stories(*range(5))
    server.routes["/news/0/"] = Answer(b"", 503, {"Retry-After": "3600"})
    server.serve_feed(["/news/0/", *good[1:]])
    setup(user, server, feeds=["/feed"], delay="200ms")
    _, first = crawl(user)
    assert server.asked("/news/0/") == 1
    assert first["skipped"].get("retry_after", 0) + first["new"] == 4
    server.routes["/news/0/"] = story(0)
    with sqlite3.connect(user.folder / "state" / "sitrep.db") as state:
        state.execute("UPDATE hosts SET left_until = NULL")  # the hour is over
    status, second = crawl(user)
    assert (status, first["new"] + second["new"]) == (0, 5)


# --- robots.txt ---------------------------------------------------------------------------------


def robots(text: str) -> Answer:
    return Answer(text.encode(), content_type="text/plain")


def test_robots_txt_that_fails_forbids_its_host_and_the_site_fails_until_it_is_back(user, server):
    server.serve_feed(server.stories(1, 2))
    server.routes["/robots.txt"] = Answer(b"", 500)
    setup(user, server, feeds=["/feed"])
    status, site = crawl(user)
    assert status == 1
    assert set(server.paths()) == {"/robots.txt"}
    assert "robots.txt cannot be had" in errors_of(site)[server.url("/feed")]
    server.routes["/robots.txt"] = Answer(b"", 404)
    status, site = crawl(user)
    assert (status, site["new"]) == (0, 2)


def test_links_stay_pending_while_robots_txt_of_their_host_is_down(user, server):
    with HostileServer() as desk:
        paths = server.stories(1, 2, 3)
        desk.routes["/feed"] = feed(server.url(path) for path in paths)
        server.routes["/robots.txt"] = Answer(b"", 503)
        setup(user, server, hosts=[f"127.0.0.1:{desk.port}"])
        file = user.folder / "sites" / "hostile.toml"
        file.write_text(file.read_text() + f'feeds = ["{desk.url("/feed")}"]\n')
        status, site = crawl(user)
        assert (status, site["skipped"]) == (1, {"silent_host": 3})
        assert len(site["errors"]) == 1
        server.routes["/robots.txt"] = Answer(b"", 404)
        status, site = crawl(user)
    assert (status, site["new"]) == (0, 3)


def test_robots_txt_is_followed_through_a_redirect_and_obeyed_by_name(user, server):
    server.routes["/robots.txt"] = redirect("/rules.txt", 301)
    server.routes["/rules.txt"] = robots(
        "\ufeffUser-agent: sitrep\nDisallow: /news/2/\nCrawl-delay: 0.7\n\n"
        "User-agent: *\nDisallow: /\n"
    )
    server.serve_feed(server.stories(1, 2, 3, 4))
    setup(user, server, feeds=["/feed"])
    status, site = crawl(user)
    assert (status, site["new"], site["skipped"]) == (0, 3, {"robots": 1})
    assert server.asked("/news/2/") == 0
    at = [one.at for one in server.requests if one.path not in {"/robots.txt", "/rules.txt"}]
    assert min(b - a for a, b in pairwise(at)) >= 0.65


def test_of_a_robots_txt_of_a_megabyte_the_first_500_kib_are_obeyed(user, server):
    filler = "".join(f"Disallow: /archive/{n:07}/\n" for n in range(40_000))
    server.routes["/robots.txt"] = robots(
        f"User-agent: *\nDisallow: /news/1/\n{filler}Disallow: /news/2/\n"
    )
    server.serve_feed(server.stories(1, 2, 3))
    setup(user, server, feeds=["/feed"])
    status, site = crawl(user)
    assert (status, site["new"], site["skipped"]) == (0, 2, {"robots": 1})
    assert [one["warning"] for one in site["warnings"]] == [
        "longer than 500 KiB: what is beyond is not obeyed"
    ]


def test_a_feed_that_robots_txt_disallows_is_not_asked_and_is_named(user, server):
    server.stories(1)
    server.serve_feed(["/news/1/"])
    server.routes["/map"] = sitemap([server.url("/news/1/")])
    server.routes["/robots.txt"] = robots("User-agent: *\nDisallow: /feed\n")
    setup(user, server, feeds=["/feed"], sitemaps=["/map"])
    status, site = crawl(user)
    assert (status, site["new"]) == (0, 1)
    assert server.asked("/feed") == 0
    assert errors_of(site) == {server.url("/feed"): "robots.txt forbids it"}


# --- private addresses --------------------------------------------------------------------------

SPELLINGS = ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]",
             "[::1]", "localhost", "0.0.0.0")  # fmt: skip # noqa: S104 - asked for, not bound


def test_no_spelling_of_a_private_address_is_dialled_unless_the_setting_allows_it(user, server):
    server.serve_feed(server.stories(1))
    names = [f"spelling{n}" for n in range(len(SPELLINGS))]
    for name, host in zip(names, SPELLINGS, strict=True):
        server.write_site_file(user.folder / "sites", name, host=host, feeds=["/feed"])
    off = {"SITREP_ALLOW_PRIVATE_NETWORKS": "0"}
    said = user.json("crawl", *names, check=False, settings=off)
    lines = [error["error"] for site in said["sites"] for error in site["errors"]]
    assert len(lines) == len(SPELLINGS)
    assert all("SITREP_ALLOW_PRIVATE_NETWORKS" in line for line in lines)
    shown = user.run("extract", server.url(host="127.1"), check=False, settings=off)
    assert shown.returncode == 1
    assert "SITREP_ALLOW_PRIVATE_NETWORKS" in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1
    assert server.requests == []


def test_nobody_can_give_a_crawl_orders_and_no_cookie_is_kept():
    settings = ScrapySettings()
    settings.setmodule("crawler.scrapy_settings", priority="project")
    kinds = ("EXTENSIONS", "DOWNLOADER_MIDDLEWARES")
    parts = {one for kind in kinds for one in settings.get_component_priority_dict_with_base(kind)}
    assert not [one for one in parts if one.endswith(("Control", "Console", "CookiesMiddleware"))]
    assert "crawler.middlewares.archive.ArchiveMiddleware" in parts


# --- sources ------------------------------------------------------------------------------------


def test_a_broken_source_beside_a_good_one_is_named_and_does_no_harm(user, server):
    server.routes |= {
        "/page": Answer(b"<!doctype html><html><body><h1>News</h1></body></html>"),
        "/map": sitemap(server.url(path) for path in server.stories(1, 2)),
        "/empty": Answer(b""),
        "/moved": Answer(b"", 302),
    }
    setup(user, server, feeds=["/page", "/lost", "/empty", "/moved"], sitemaps=["/map"])
    status, site = crawl(user)
    assert (status, site["new"]) == (0, 2)
    said = errors_of(site)
    assert "is an HTML page, not a feed" in said[server.url("/page")]
    assert said[server.url("/lost")] == "HTTP 404"
    assert said[server.url("/empty")] == "is empty"
    assert said[server.url("/moved")] == "HTTP 302 to nowhere"
    assert user.run("doctor", check=False).returncode == 0


def test_a_site_of_which_every_source_is_broken_exits_1(user, server):
    server.routes["/page"] = Answer(b"<!doctype html><html><body><h1>News</h1></body></html>")
    server.routes["/index"] = sitemap([server.url("/lost-map")], index=True)
    setup(user, server, feeds=["/page", "/lost"], sitemaps=["/index"])
    status, site = crawl(user)
    assert status == 1
    assert set(errors_of(site)) == {server.url(p) for p in ("/page", "/lost", "/lost-map")}


@pytest.mark.parametrize("size", [5_000, pytest.param(50_000, marks=pytest.mark.soak)])
def test_a_large_sitemap_is_taken_a_few_at_a_time(user, server, size):
    paths = [f"/news/{n}/" for n in range(size)]
    server.stories(*range(20))
    server.routes["/map"] = sitemap(server.url(path) for path in paths)
    setup(user, server, sitemaps=["/map"])
    status, first = crawl(user, "--limit", "5")
    assert (status, first["discovered"], first["new"]) == (0, size, 5)
    assert first["skipped"] == {"limit": size - 5}
    asked = [path for path in server.paths() if path.startswith("/news/")]
    assert len(asked) == 5
    status, second = crawl(user, "--limit", "5", measured=True)
    assert (status, second["new"]) == (0, 5)
    assert len({path for path in server.paths() if path.startswith("/news/")}) == 10
    assert user.peak_kilobytes < MOST_RSS_KILOBYTES


def test_sitemap_indexes_that_name_each_other_without_end_are_read_once(user, server):
    def grown(handler: Any) -> None:
        n = int(handler.path.removeprefix("/grow"))
        handler.answer(sitemap([server.url(f"/grow{n + 1}")], index=True))

    server.routes |= {
        "/a": sitemap([server.url("/b"), server.url("/grow0")], index=True),
        "/b": sitemap([server.url("/a"), server.url("/b"), server.url("/leaf")], index=True),
        "/leaf": sitemap(server.url(path) for path in server.stories(1, 2)),
        **{f"/grow{n}": grown for n in range(30)},
    }
    setup(user, server, sitemaps=["/a"])
    status, site = crawl(user)
    assert (status, site["new"], site["errors"]) == (0, 2, [])
    assert [server.asked(path) for path in ("/a", "/b", "/leaf")] == [1, 1, 1]
    assert len(server.requests) < 15


def test_foreign_relative_and_doubled_links_of_a_feed_are_told_apart(user, server):
    server.stories(1, 2)
    with HostileServer() as foreign:
        ours = ["/news/1/", "../news/2/", server.url("/news/1/?utm_source=rss&utm_medium=feed")]
        others = [foreign.url("/news/9/"), "mailto:desk@gazette.example", "javascript:void(0)"]
        server.routes["/feed"] = feed([*ours, *others])
        setup(user, server, feeds=["/feed"])
        status, site = crawl(user)
        assert foreign.requests == []
    assert (status, site["new"], site["discovered"]) == (0, 2, 2)
    assert site["skipped"] == {"foreign_host": 1}


def test_an_article_that_is_listed_in_five_forms_is_one_that_is_fetched_once(user, server):
    server.routes["/news/yard-launches-frigate/"] = story(1)
    clean = server.url("/news/yard-launches-frigate/")
    form = lambda tail: clean + tail  # noqa: E731
    server.routes |= {
        "/feed": feed([form("?utm_source=rss")], titles=["Story 1 of the day"]),
        "/atom": atom([(form("#comments"), "2026-03-02T08:00:00Z")]),
        "/map": sitemap([form("amp/"), clean]),
        "/front": Answer(f'<html><h2><a href="{clean}">The day has one story</a></h2>'.encode()),
    }
    setup(user, server, feeds=["/feed", "/atom"], sitemaps=["/map"], listings=["/front"])
    status, site = crawl(user)
    assert (status, site["discovered"], site["fetched"], site["new"]) == (0, 1, 1, 1)
    again = crawl(user)[1]
    assert (again["discovered"], again["fetched"], again["skipped"]) == (1, 0, {"known": 1})
    assert sum(path.startswith("/news/") for path in server.paths()) == 1


def test_an_entry_whose_updated_moves_is_asked_again_and_a_304_is_counted(user, server):
    server.routes["/news/1/"] = conditional(story(1), '"v1"')
    link = server.url("/news/1/")
    server.routes["/feed"] = atom([(link, "2026-03-02T08:00:00Z")])
    setup(user, server, feeds=["/feed"])
    crawl(user)
    assert crawl(user)[1]["skipped"] == {"known": 1}
    server.routes["/feed"] = atom([(link, "2026-03-02T09:30:00Z")])
    status, site = crawl(user)
    assert (status, site["not_modified"], site["fetched"]) == (0, 1, 0)
    assert server.asked("/news/1/") == 2


def test_a_feed_is_asked_with_its_validator_only_when_all_its_links_are_settled(user, server):
    server.stories(1, 2)
    server.routes["/news/3/"] = Answer(b"", 403)
    server.routes["/feed"] = conditional(feed(server.url(f"/news/{n}/") for n in (1, 2, 3)), '"f"')
    setup(user, server, feeds=["/feed"])
    crawl(user, "--limit", "1")
    crawl(user)
    crawl(user)
    server.stories(3)
    last = crawl(user)[1]
    assert last["new"] == 1
    settled = crawl(user)[1]
    assert settled["errors"] == []
    sent = [one.headers.get("if-none-match") for one in server.requests if one.path == "/feed"]
    assert sent == [None, None, None, None, '"f"']


def test_a_change_that_a_limit_kept_from_being_asked_for_is_asked_for_later(user, server):
    links = [server.url(path) for path in server.stories(1, 2)]
    server.routes["/feed"] = atom([(link, "2026-03-02T08:00:00Z") for link in links])
    setup(user, server, feeds=["/feed"])
    crawl(user)
    server.routes["/feed"] = atom([(link, "2026-03-02T09:30:00Z") for link in links])
    assert crawl(user, "--limit", "1")[1]["fetched"] == 1
    assert crawl(user)[1]["fetched"] == 1
    assert [server.asked(f"/news/{n}/") for n in (1, 2)] == [2, 2]
    assert crawl(user)[1]["fetched"] == 0


def test_a_feed_behind_a_redirect_is_asked_with_its_own_validator(user, server):
    server.stories(1)
    server.routes["/feed"] = redirect("/rss/", 301)
    server.routes["/rss/"] = conditional(feed([server.url("/news/1/")]), '"rss"')
    setup(user, server, feeds=["/feed"])
    crawl(user)
    status, again = crawl(user)
    assert (status, again["skipped"]) == (0, {"known": 1})
    sent = [(one.path, one.headers.get("if-none-match")) for one in server.requests]
    assert [one for one in sent if one[0] in {"/feed", "/rss/"}] == [
        ("/feed", None),
        ("/rss/", None),
        ("/feed", None),
        ("/rss/", '"rss"'),
    ]


def test_an_address_that_leads_elsewhere_takes_no_validator_along(user, server):
    server.routes["/news/1/"] = conditional(story(1), '"same"')
    server.routes["/news/2/"] = conditional(story(2), '"same"')
    server.routes["/feed"] = atom([(server.url("/news/1/"), "2026-03-02T08:00:00Z")])
    setup(user, server, feeds=["/feed"])
    crawl(user)
    server.routes["/news/1/"] = redirect("/news/2/")
    server.routes["/feed"] = atom([(server.url("/news/1/"), "2026-03-02T10:00:00Z")])
    status, site = crawl(user)
    assert (status, site["fetched"], site["not_modified"]) == (0, 1, 0)


def test_one_failure_never_fails_a_site_and_a_tenth_is_tolerated(user, server):
    good = server.stories(*range(19))
    server.routes |= {"/news/a": Answer(b"", 403), "/news/b": Answer(b"", 403)}
    server.serve_feed([good[0], "/news/a"])
    setup(user, server, feeds=["/feed"])
    status, site = crawl(user)
    assert (status, site["failed"]) == (0, 1)
    server.serve_feed([*good, "/news/a", "/news/b"])
    status, site = crawl(user)
    assert (status, site["failed"]) == (0, 2)
    assert set(errors_of(site)) == {server.url("/news/a"), server.url("/news/b")}


# --- backfill -----------------------------------------------------------------------------------

BACKFILL = ("--from", "2026-03-01", "--to", "2026-03-31")


def test_a_backfill_follows_a_wordpress_feed_to_its_404_which_is_no_error(user, server):
    generator = "<generator>https://wordpress.org/?v=6.5</generator><item>"
    for page in (1, 2, 3):
        paged = feed(server.url(p) for p in server.stories(2 * page, 2 * page + 1))
        with_generator = Answer(paged.body.replace(b"<item>", generator.encode(), 1), 200)
        server.routes["/feed" if page == 1 else f"/feed?paged={page}"] = with_generator
    server.routes["/feed?paged=4"] = Answer(b"no more", 404)
    setup(user, server, feeds=["/feed"])
    assert crawl(user)[1]["new"] == 2
    status, site = crawl(user, *BACKFILL)
    assert (status, site["new"], site["errors"]) == (0, 4, [])
    assert server.asked("/feed?paged=4") == 1


def test_a_backfill_ends_where_a_further_page_brings_nothing_new(user, server):
    def listing(handler: Any) -> None:
        page = int(handler.path.rpartition("=")[2]) if "=" in handler.path else 1
        links = "".join(f'<h2><a href="/news/{n}/">Story {n} of the day</a></h2>' for n in (1, 2))
        text = f'{links}<a rel="next" href="/front?page={page + 1}">Next</a>'
        handler.answer(Answer(f"<html><body>{text}</body></html>".encode()))

    server.stories(1, 2)
    server.routes["/front"] = listing
    setup(user, server, listings=["/front"])
    status, site = crawl(user, *BACKFILL)
    assert (status, site["new"]) == (0, 2)
    assert [path for path in server.paths() if path.startswith("/front")] == [
        "/front", "/front?page=2",
    ]  # fmt: skip


def test_a_backfill_stops_at_a_page_that_is_older_than_what_is_asked_for(user, server):
    def listing(handler: Any) -> None:
        page = int(handler.path.rpartition("=")[2]) if "=" in handler.path else 1
        day = f"2026-{5 - page:02d}-10" if page < 5 else "2025-01-01"
        block = (
            f'<article><h2><a href="/news/{page}/">Story {page} of the day</a></h2>'
            f'<time datetime="{day}T08:00:00Z">{day}</time></article>'
        )
        text = f'{block}<a rel="next" href="/front?page={page + 1}">Next</a>'
        handler.answer(Answer(f"<html><body>{text}</body></html>".encode()))

    server.stories(*range(10))
    server.routes["/front"] = listing
    setup(user, server, listings=["/front"])
    status, site = crawl(user, *BACKFILL)
    assert (status, site["new"], site["skipped"]) == (0, 1, {"not_article": 3, "out_of_range": 2})
    assert server.asked("/news/2/") == 1
    assert server.asked("/front?page=4") == 0


def test_a_backfill_of_the_newsroom_finds_what_only_further_pages_and_old_posts_have(installation):
    newsroom = installation.newsroom
    said = installation.json(
        "crawl", "granit_bulletin", "fjord_monitor", "--from", "2020-01-01", "--to", "2026-12-31"
    )
    assert said["totals"]["errors"] == []
    got = {str(row["url"]) for row in installation.rows("SELECT url FROM articles")}
    for site in ("granit_bulletin", "fjord_monitor"):
        assert {one.url for one in newsroom.expected(site, archive=True)} <= got
    asked = [r.path for r in newsroom.requests if "wp/v2/posts" in r.path]
    assert asked
    assert all("after=2019-12-31T" in path and "before=2027-01-02T" in path for path in asked)


@pytest.mark.parametrize("place", ["link_queue:LinkQueue.waiting", "timetable:Timetable.revisits"])
def test_an_error_of_our_own_while_asking_is_no_crawl_that_went_well(user, server, place):
    server.routes["/news/1/"] = story(1)
    server.serve_feed(["/news/1/"])
    setup(user, server, feeds=["/feed"])
    module, _, name = place.partition(":")
    broken = f"""
import sys
from crawler import cli
from crawler.{module} import {name.partition(".")[0]}
def fail(*_):
    raise RuntimeError("something that nobody foresaw")
{name} = fail
sys.argv = ["sitrep", "crawl", "hostile", "--json"]
sys.exit(cli.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", broken],
        cwd=user.folder, env=user.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "something that nobody foresaw" in done.stderr
    assert crawl(user)[0] == 0
    assert user.run("status", check=False).returncode == 0
