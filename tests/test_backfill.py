"""`crawl SITE --from --to`: the archive of a site, whole, once, and gone on with after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.archive import read_pages
from pipelines.errors import ArchiveError
from pipelines.host_state import hosts
from pipelines.model import Page
from pipelines.state import State
from tests.installation import Installation
from tests.living_site import Answer, LivingSite, Story, settle_in, story

MAY = ("--from", "2024-05-01", "--to", "2024-05-31")
PATIENCE_SECONDS = 120


class Archive(LivingSite):
    """A site whose stories of May 2024 stand in four kinds of source, each in one alone."""

    def __init__(self) -> None:
        super().__init__("old_slipway")
        self.keys: dict[str, str] = {}
        self.delay = "0s"

    def site_file(self, **_: Any) -> str:
        lines = [
            'publisher = "Slipway Post"', f'home = "{self.url("/")}"', 'in_language = "en"',
            'time_zone = "UTC"', f'delay = "{self.delay}"', r"article_url = '/\d{4}/\d\d/'",
            *(f"{key} = {value}" for key, value in self.keys.items()),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def answer(self, path: str) -> Answer:
        if path.startswith("/wp-json/"):
            return self._posts(int(parse_qs(urlsplit(path).query)["page"][0]))
        return super().answer(path)

    def publish(self, numbers: range, *, month: str = "2024-05") -> list[Story]:
        """Publish stories of a month; nothing lists them yet."""
        year, m = month.split("-")
        made = [
            story(
                n, path=f"/{year}/{m}/story-{n}/", published=f"{month}-{n % 27 + 1:02d}T08:00:00Z"
            )
            for n in numbers
        ]
        self.put(*made, listed=False)
        return made

    # Sources

    def sitemaps(self, **parts: tuple[list[Story], str]) -> None:
        """Serve an index of sitemaps, each with its stories and its `lastmod`."""
        entries = ""
        for name, (stories, changed) in parts.items():
            path = f"/{name.replace('_', '-')}.xml"
            entries += f"<sitemap><loc>{self.url(path)}</loc><lastmod>{changed}</lastmod></sitemap>"
            urls = "".join(f"<url><loc>{self.url(one.path)}</loc></url>" for one in stories)
            self.answers[path] = Answer(body=f"<urlset>{urls}</urlset>".encode())
        self.answers["/sitemap.xml"] = Answer(
            body=f"<sitemapindex>{entries}</sitemapindex>".encode()
        )
        self.keys["sitemaps"] = json.dumps([self.url("/sitemap.xml")])

    def wordpress(self, pages: list[list[Story]]) -> None:
        self.posts = pages
        self.keys["wordpress"] = f'"{self.url("/wp-json")}"'

    def _posts(self, page: int) -> Answer:
        posts = [
            {"link": self.url(one.path), "date_gmt": str(one.published).removesuffix("Z"),
             "title": {"rendered": one.headline}}
            for one in self.posts[page - 1]
        ]  # fmt: skip
        headers = {"Content-Type": "application/json", "X-WP-TotalPages": str(len(self.posts))}
        return Answer(body=json.dumps(posts).encode(), headers=headers)

    def page_of_links(
        self, path: str, stories: list[Story], *, further: str = "", dated: bool = True,
        links: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Serve a page of teasers with a pager, and with links to other pages at its side."""
        teasers = "".join(
            f'<article><h2><a href="{one.path}">{one.headline}</a></h2>'
            + (f'<time datetime="{one.published}">then</time>' if dated else "")
            + "</article>"
            for one in stories
        )
        pager = f'<a rel="next" href="{further}">Older</a>' if further else ""
        side = "".join(f'<li><a href="{url}">{url}</a></li>' for url in links)
        page = f"<html><body><main>{teasers}{pager}</main><ul>{side}</ul></body></html>"
        self.answers[path] = Answer(body=page.encode())

    def paths(self) -> list[str]:
        return [one.path for one in self.requests]


@pytest.fixture
def site() -> Iterator[Archive]:
    with Archive() as running:
        yield running


def fill(site: Archive) -> set[str]:
    """Serve all four kinds of source; return the paths of the stories of May."""
    site.sitemaps(
        part_1=(site.publish(range(6)), "2024-08-01"),
        part_2=(site.publish(range(6, 12), month="2024-07"), "2024-08-01"),
        part_3=(site.publish(range(12, 15), month="2024-02"), "2024-03-01"),
    )
    posts = site.publish(range(20, 29))
    site.wordpress([posts[:3], posts[3:6], posts[6:]])
    front = site.publish(range(30, 34), month="2024-06")
    pages = site.publish(range(34, 42))
    site.page_of_links("/news/", front, further="/news/p2")
    site.page_of_links("/news/p2", pages[:4], further="/news/p3")
    site.page_of_links("/news/p3", pages[4:], further="/news/p4")
    site.page_of_links("/news/p4", site.publish(range(42, 44), month="2024-04"), further="/news/p5")
    site.page_of_links("/all/", front, links=("/2024/", "/2024/06/", "/2024/05/", "/2024/04/"))
    month = site.publish(range(50, 56))
    site.page_of_links("/2024/05/", month[:3], further="/2024/05/page/2/", dated=False)
    site.page_of_links("/2024/05/page/2/", month[3:], dated=False, links=("/2024/04/",))
    site.keys["listings"] = json.dumps([site.url("/news/"), site.url("/all/")])
    return {path for path in site.answers if path.startswith("/2024/05/story-")}


def stored(user: Installation) -> set[str]:
    return {urlsplit(str(row["url"])).path for row in user.rows("SELECT url FROM articles")}


def test_a_backfill_takes_the_days_asked_for_from_each_kind_of_source_and_none_else(tmp_path, site):
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    said = user.json("crawl", site.name, *MAY)
    assert stored(user) == of_may
    [report] = said["sites"]
    assert (report["errors"], report["new"]) == ([], len(of_may))
    assert report["backfill"] == {
        "asked": len(of_may), "left": 0, "sources_left": 0, "is_done": True
    }  # fmt: skip
    assert set(Counter(site.paths()).values()) == {1}
    # Older than May by its own account; of other days; of a page before it, all is older.
    for path in ("/part-3.xml", "/2024/04/", "/2024/06/", "/2024/", "/news/p5"):
        assert site.asked(path) == 0, path


def running(user: Installation, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", "crawl", *arguments], cwd=user.folder, env=user.env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def killed_after(user: Installation, site: Archive, n: int, *arguments: str) -> set[str]:
    """Kill a crawl and its workers once `n` requests were answered; return what was in flight.

    That is what was asked, and did not come into the archive.
    """
    one = running(user, *arguments)
    wait_for(lambda: len(site.requests) >= n, one)
    os.killpg(one.pid, signal.SIGKILL)
    one.wait()
    there = {urlsplit(page.url)._replace(scheme="", netloc="").geturl() for page in archived(user)}
    return set(site.paths()) - there


def wait_for(is_there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_there() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    assert is_there(), "the crawl had ended before"


def archived(user: Installation) -> Iterator[Page]:
    spool, lake = user.folder / "state" / "spool", user.folder / "lake" / "warc"
    for file in (*lake.rglob("*.warc.gz"), *spool.glob("*.open")):
        with suppress(ArchiveError):
            yield from read_pages(file)


def test_killed_again_and_again_a_backfill_is_gone_on_with_and_asks_nothing_twice(tmp_path, site):
    site.delay = "20ms"
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    in_flight = Counter[str]()
    for n in (6, 12, 30):  # amid the sources, and amid the stories
        lost = killed_after(user, site, n, site.name, *MAY)
        assert len(lost) <= 3
        in_flight.update(lost)
    [report] = user.json("crawl", site.name, *MAY)["sites"]
    assert stored(user) == of_may
    assert report["backfill"]["is_done"]
    assert Counter(site.paths()) - Counter(set(site.paths())) <= in_flight


def test_a_limit_ends_a_run_and_the_next_asks_the_stories_that_are_left_and_no_source(
    tmp_path, site
):
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    said = user.run("crawl", site.name, *MAY, "--limit", "10").stdout
    left = len(of_may) - 10
    assert f"old_slipway: 10 of about {len(of_may)} stories; about " in said
    assert "the same command goes on with it" in said
    assert len(stored(user)) == 10
    site.requests.clear()
    [second] = user.json("crawl", site.name, *MAY)["sites"]
    assert (second["new"], second["backfill"]["is_done"]) == (left, True)
    assert set(site.paths()) < of_may
    site.requests.clear()
    user.json("crawl", site.name, *MAY)
    assert "/sitemap.xml" in site.paths()
    assert not of_may & set(site.paths())


def test_what_a_backfill_has_left_is_not_asked_by_a_crawl_without_dates(tmp_path, site):
    site.put(story(70))  # in the feed
    fill(site)
    site.keys["feeds"] = json.dumps([site.url("/feed/")])
    user = settle_in(tmp_path, site)
    user.json("crawl", site.name, *MAY, "--limit", "10")
    for name in ("sitemaps", "wordpress", "listings"):
        del site.keys[name]
    settle_in(tmp_path, site)
    site.requests.clear()
    site.put(story(71))
    user.json("crawl", site.name)
    assert {path for path in site.paths() if "story" in path} <= {story(n).path for n in (70, 71)}
    assert site.asked(story(71).path) == 1


def status_of(user: Installation, site: Archive) -> Any:
    [known] = [one for one in user.json("status")["sites"] if one["site"] == site.name]
    return known


def test_a_backfill_that_is_given_up_leaves_what_is_stored_and_nothing_to_ask(tmp_path, site):
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    user.json("crawl", site.name, *MAY, "--limit", "10")
    left = len(of_may) - 10
    assert "backfill 2024-05-01..2024-05-31, begun 20" in (said := user.run("status").stdout)
    assert f": {left} stories and 0 sources left" in said
    [backfill] = status_of(user, site)["backfills"]
    assert (backfill["stories"], backfill["sources"]) == (left, 0)
    site.requests.clear()
    wrong = user.run("crawl", site.name, "--from", "2024-05-01", "--give-up", check=False)
    assert wrong.returncode == 1
    assert "no backfill of 2024-05-01.. is unfinished (2024-05-01..2024-05-31 is)" in wrong.stdout
    [given_up] = user.json("crawl", site.name, *MAY, "--give-up")["given_up"]
    assert (given_up["site"], given_up["stories"]) == (site.name, left)
    assert not site.requests
    known = status_of(user, site)
    assert (known["backfills"], known["pending_links"], known["articles"]) == ([], 0, 10)
    [again] = user.json("crawl", site.name, *MAY)["sites"]  # a backfill like any other
    assert (again["new"], again["backfill"]["is_done"]) == (left, True)
    assert stored(user) == of_may


def test_a_backfill_that_was_killed_can_be_given_up_with_all_that_it_had_found(tmp_path, site):
    site.delay = "20ms"
    fill(site)
    user = settle_in(tmp_path, site)
    killed_after(user, site, 6, site.name, *MAY)
    user.json("crawl", site.name, *MAY, "--give-up")
    known = status_of(user, site)
    assert (known["backfills"], known["pending_links"]) == ([], 0)
    assert user.run("doctor", check=False).returncode == 0


def test_what_another_backfill_waits_for_too_is_left_to_it(tmp_path, site):
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    spring = ("--from", "2024-04-01", "--to", "2024-05-31")
    for days in (MAY, spring):
        user.json("crawl", site.name, *days, "--limit", "0")
    user.json("crawl", site.name, *MAY, "--give-up")
    user.json("crawl", site.name, *spring)
    assert stored(user) >= of_may


def test_a_source_that_is_down_is_asked_again_by_the_next_run_and_it_alone(tmp_path, site):
    of_may = fill(site)
    part, site.answers["/part-1.xml"] = site.answers["/part-1.xml"], Answer(status=500)
    user = settle_in(tmp_path, site)
    [first] = user.json("crawl", site.name, *MAY)["sites"]
    assert (first["backfill"]["sources_left"], first["backfill"]["is_done"]) == (1, False)
    site.answers["/part-1.xml"] = part
    site.requests.clear()
    user.json("crawl", site.name, *MAY)
    assert {path for path in site.paths() if "story" not in path} == {"/part-1.xml"}
    assert stored(user) == of_may


def test_a_host_that_asks_to_be_left_alone_is_and_the_next_run_goes_on(tmp_path, site):
    site.delay = "50ms"
    of_may = fill(site)
    busy = "/2024/05/story-3/"
    there, wish = site.answers[busy], {"Retry-After": "300"}
    site.answers[busy] = Answer(status=503, headers=wish)
    user = settle_in(tmp_path, site)
    [first] = user.json("crawl", site.name, *MAY, check=False)["sites"]
    assert busy in site.paths()[-4:]  # before it was read, the next were on their way
    left = len(of_may) - first["new"]
    said = {"asked": first["new"], "left": left, "sources_left": 0, "is_done": False}
    assert first["backfill"] == said
    site.answers[busy] = there
    state = State.open(f"sqlite:///{tmp_path}/state/sitrep.db")
    with state.transaction() as transaction:  # five minutes later
        transaction.empty(hosts)
    state.close()
    user.json("crawl", site.name, *MAY)
    assert stored(user) == of_may


def test_ended_in_order_a_backfill_is_gone_on_with_and_asks_nothing_twice(tmp_path, site):
    site.delay = "20ms"
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    one = running(user, site.name, *MAY)
    wait_for(lambda: len(site.requests) >= 20, one)
    one.send_signal(signal.SIGTERM)
    assert one.wait(PATIENCE_SECONDS) == 130
    user.json("crawl", site.name, *MAY)
    assert stored(user) == of_may
    assert set(Counter(site.paths()).values()) == {1}


def test_a_dry_run_says_which_stories_a_backfill_would_ask(tmp_path, site):
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    [said] = user.json("crawl", site.name, *MAY, "--dry-run")["sites"]
    assert {urlsplit(one["url"]).path for one in said["would_ask"]} == of_may


# Counts what waits in Scrapy's scheduler, and leaves the most that it ever was in a file.
_COUNTED = """
import sys
from pathlib import Path
from scrapy.core import scheduler
from crawler import backfill, cli
backfill.MOST_IN_LINE = 20
most, put = 0, scheduler.Scheduler.enqueue_request
def counted(self, request):
    global most
    done = put(self, request)
    most = max(most, len(self))
    Path("most").write_text(str(most))
    return done
scheduler.Scheduler.enqueue_request = counted
cli.main()
"""


def test_never_more_than_some_requests_are_queued_however_many_links_there_are(tmp_path, site):
    urls = "".join(f"<url><loc>{site.url(f'/2024/05/gone-{n}/')}</loc></url>" for n in range(3000))
    site.sitemaps(part_1=(site.publish(range(2)), "2024-08-01"))
    site.answers["/part-1.xml"] = Answer(body=f"<urlset>{urls}</urlset>".encode())
    user = settle_in(tmp_path, site)
    command = [sys.executable, "-c", _COUNTED, "crawl", site.name, *MAY, "--limit", "60"]
    subprocess.run(command, cwd=tmp_path, env=user.env, capture_output=True, check=False)
    assert 10 <= int((tmp_path / "most").read_text()) <= 20
    assert sum("gone" in path for path in site.paths()) == 60


def test_a_backfill_keeps_the_delay_between_any_two_requests(tmp_path, site):
    site.delay = "100ms"
    of_may = fill(site)
    user = settle_in(tmp_path, site)
    user.json("crawl", site.name, *MAY)
    assert of_may <= set(site.paths())
    times = [one.at for one in site.requests]
    # One that was held up on its way here comes closer to the next, and later than the last.
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[-1] - times[0] >= 0.1 * len(gaps)
    assert median(gaps) >= 0.1


def test_a_date_in_the_future_hides_no_story_and_is_reported(tmp_path, site):
    one, two = site.publish(range(2))
    ahead = replace(one, published="2199-05-02T08:00:00Z")
    site.wordpress([[ahead, two]])
    user = settle_in(tmp_path, site)
    [report] = user.json("crawl", site.name, *MAY)["sites"]
    assert report["new"] == 2
    assert ["in the future" in one["warning"] for one in report["warnings"]] == [True]


def test_a_calendar_without_end_is_left_at_the_first_month_without_a_story(tmp_path, site):
    def month(n: int) -> str:
        return f"/cal/{2000 + n // 12}/{n % 12 + 1:02d}/"

    latest = site.publish(range(3))
    for n in range(288, 300):  # the year 2024
        shown = site.publish(range(50, 52)) if n == 292 else []
        site.page_of_links(
            month(n), latest + shown, links=(month(n - 1), month(n + 1)), dated=False
        )
    site.page_of_links("/all/", latest, links=(month(292),))
    site.keys["listings"] = json.dumps([site.url("/all/")])
    user = settle_in(tmp_path, site)
    user.json("crawl", site.name, "--from", "2024-01-01", "--to", "2024-12-31")
    assert stored(user) == {f"/2024/05/story-{n}/" for n in (0, 1, 2, 50, 51)}
    assert sum(path.startswith("/cal/") for path in site.paths()) == 3
