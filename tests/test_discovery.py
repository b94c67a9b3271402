"""What a site lists is found, all of it and once; what leads nowhere or on for ever is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hostile_server import Answer, Handler, HostileServer, feed, redirect, story
from tests.installation import Installation

RSS = "application/rss+xml"


def rss(*items: str, before: str = "", end: str = "</channel></rss>") -> Answer:
    inner = "".join(f"<item>{item}</item>" for item in items)
    text = f'<?xml version="1.0"?>{before}<rss version="2.0"><channel>{inner}{end}'
    return Answer(text.encode(), content_type=RSS)


def item(link: str, *, title: str = "A story", date: str = "") -> str:
    dated = f"<pubDate>{date}</pubDate>" if date else ""
    return f"<title>{title}</title><link>{link}</link>{dated}"


def page_of(*links: tuple[str, str], more: str = "") -> Answer:
    items = "".join(f'<article><h2><a href="{to}">{text}</a></h2></article>' for to, text in links)
    return Answer(f"<!doctype html><html><body><main>{items}{more}</main></body></html>".encode())


@dataclass
class Traps:
    """A site full of traps, crawled twice with nothing new in between but its session ids."""

    server: HostileServer
    foreign: HostileServer
    user: Installation
    first: dict[str, Any]
    second: dict[str, Any]

    def said(self, path: str) -> list[str]:
        url = self.server.url(path)
        return [one["warning"] for one in self.first["warnings"] if one["url"] == url]

    def urls(self) -> set[str]:
        rows = self.user.rows("SELECT url FROM articles")
        return {row["url"].partition(self.server.url(""))[2].partition("?")[0] for row in rows}


def at(n: int) -> str:
    return f"/2026/03/story-{n}-of-the-day/"


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traps]:
    with HostileServer() as server, HostileServer() as foreign:
        server.routes |= {at(n): story(n) for n in range(1, 14)} | feeds_of(server, foreign)
        user = Installation(folder=tmp_path_factory.mktemp("traps"))
        server.write_site_file(
            user.folder / "sites", article_url="", listings=["/front"],
            feeds=["/others", "/odd", "/cut", "/bomb", "/future", "/round"],
        )  # fmt: skip
        first = crawl(user)
        server.routes["/front"] = front("9k2m4q")
        yield Traps(server, foreign, user, first, crawl(user))


def crawl(user: Installation, *more: str, **options: Any) -> dict[str, Any]:
    done = user.run("crawl", "hostile", "--json", *more, check=False, **options)
    assert done.stdout, done.stderr
    [site] = json.loads(done.stdout)["sites"]
    return dict(site)


def front(session: str) -> Answer:
    """Return the front page: two stories that carry the reader's session, and a calendar."""
    days = [f"/calendar/2026/{month}/events-list/" for month in (11, 12)]
    days += ["/calendar/?id=202612", "/events/2026-12-05/", "/events/2026/12/month/"]
    return page_of(
        (f"{at(11)}?sid={session}", "Story 11 of the day"),
        (f"{at(12)}?sid={session}", "Story 12 of the day"),
        *((one, "What the fleet does that day") for one in days),
    )


def feeds_of(server: HostileServer, foreign: HostileServer) -> dict[str, Any]:
    bomb = '<!DOCTYPE rss [<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>'
    cut = rss(item(at(6)), item(at(7)), end=f"<item><title>Half</title><link>{at(8)[:9]}")
    return {
        "/others": rss(*(item(foreign.url(at(n))) for n in (1, 2, 3)), item(server.url(at(1)))),
        "/odd": rss(
            item(at(2)), item(server.url(at(3)).removeprefix("http:")), item(f"../..{at(4)}"),
            item(server.url(at(4)) + "?utm_source=feed"), item("mailto:desk@gazette.example"),
            item("javascript:void(0)"), item("http://[half"), "<title>No link at all</title>",
        ),
        "/cut": cut,
        "/bomb": rss(item(at(9), title="A &amp; B &c;"), before=bomb),
        "/future": rss(item(at(10), date="Thu, 01 Jan 2032 08:00:00 GMT"), item(at(13))),
        "/round": redirect("/round"),
        "/front": front("abc123"),
    }  # fmt: skip


def test_every_story_is_found_and_nothing_else(traps):
    assert traps.urls() == {at(n) for n in (1, 2, 3, 4, 6, 7, 9, 10, 11, 12, 13)}


def test_a_story_is_asked_for_once_whatever_session_its_links_carry(traps):
    asked = [path.partition("?")[0] for path in traps.server.paths() if "story" in path]
    assert len(asked) == len(set(asked)) == 11
    assert (traps.second["fetched"], traps.second["new"]) == (0, 0)


def test_pages_of_a_calendar_are_no_articles(traps):
    assert not [path for path in traps.server.paths() if "calendar" in path or "events" in path]
    assert traps.first["skipped"]["not_article"] == 5


def test_a_feed_of_other_peoples_articles_is_told_and_nobody_else_is_asked(traps):
    assert traps.foreign.requests == []
    assert traps.first["skipped"]["foreign_host"] == 3
    [line] = traps.said("/others")
    assert line.startswith("3 of 4 links lead to hosts that are not this site's, and are not asked")


def test_links_that_are_none_are_counted(traps):
    assert traps.said("/odd") == ["4 of 8 entries have no web address"]


def test_a_feed_cut_in_the_middle_is_told_with_what_could_be_read(traps):
    assert traps.said("/cut") == ["cut in the middle: 2 whole entries could be read"]


def test_a_bomb_of_entities_is_told_and_does_not_go_off(traps):
    assert traps.said("/bomb") == ["declares 3 entities of its own, which are not expanded"]
    rows = traps.user.rows("SELECT url, headline FROM articles")
    [headline] = [row["headline"] for row in rows if row["url"].endswith(at(9))]
    assert headline == "Story 9 of the day"


def test_dates_in_the_future_are_told_and_not_believed(traps):
    (said,) = traps.said("/future")
    assert said.startswith("1 of 2 links are dated in the future, up to 2032-01-01")
    rows = traps.user.rows("SELECT url, date_published FROM articles")
    [when] = [row["date_published"] for row in rows if row["url"].endswith(at(10))]
    assert when.startswith("2026-03-11")


def test_a_feed_that_redirects_for_ever_is_given_up(traps):
    [error] = [one["error"] for one in traps.first["errors"] if one["url"].endswith("/round")]
    assert "redirect" in error.lower()
    assert traps.server.asked("/round") <= 2 * 11


def test_status_tells_what_was_odd_until_the_source_is_in_order(traps):
    [site] = [one for one in traps.user.json("status")["sites"] if one["site"] == "hostile"]
    odd = {"/others", "/odd", "/cut", "/bomb", "/future"}
    assert {one["url"] for one in site["warnings"]} == {traps.server.url(path) for path in odd}
    assert "cut in the middle" in traps.user.run("status").stdout
    traps.server.routes["/cut"] = rss(item(at(6)))
    crawl(traps.user)
    [site] = [one for one in traps.user.json("status")["sites"] if one["site"] == "hostile"]
    assert traps.server.url("/cut") not in {one["url"] for one in site["warnings"]}


# --- sources without end, or without rest -------------------------------------------------------


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def user(tmp_path: Path) -> Installation:
    return Installation(folder=tmp_path)


def test_pages_that_lead_on_for_ever_come_to_an_end_that_is_told(user, server):
    def older(handler: Handler) -> None:
        n = int(handler.path.rpartition("=")[2]) if "=" in handler.path else 1
        late = f'<p class="date">1 May 2024</p><a rel="next" href="/front?page={n + 1}">Next</a>'
        handler.answer(page_of((f"/news/{n}/", f"Story {n} of the day"), more=late))

    server.routes["/front"] = older
    server.write_site_file(user.folder / "sites", listings=["/front"])
    dates = ("--from", "2024-03-01", "--to", "2024-03-02")
    site = crawl(user, *dates, module="tests.few_pages")
    assert len([path for path in server.paths() if path.startswith("/front")]) == 7
    [warning] = site["warnings"]
    assert warning["url"] == server.url("/front?page=7")
    assert "leads on beyond 6" in warning["warning"]


def test_a_feed_whose_guids_change_each_day_is_read_once(user, server):
    paths = server.stories(1, 2, 3)
    server.write_site_file(user.folder / "sites", feeds=["/feed"])
    asked = []
    for day in ("monday", "tuesday"):
        server.routes["/feed"] = rss(
            *(f'{item(path)}<guid isPermaLink="false">{day}-{path}</guid>' for path in paths)
        )
        asked.append(crawl(user)["fetched"])
    assert asked == [3, 0]


def test_a_feed_of_five_thousand_links_is_told_and_taken_in_turn(user, server):
    server.stories(*range(12))
    server.routes["/feed"] = feed(server.url(f"/news/{n}/") for n in range(5000))
    server.write_site_file(user.folder / "sites", feeds=["/feed"])
    first, second = (crawl(user, "--limit", "4") for _ in range(2))
    assert (first["discovered"], first["new"], second["new"]) == (5000, 4, 4)
    assert first["skipped"] == {"limit": 4996}
    [warning] = first["warnings"]
    assert warning["warning"].startswith("lists 5000 links")
    [site] = [one for one in user.json("status")["sites"] if one["site"] == "hostile"]
    assert site["pending_links"] == 4992


# --- sessions -----------------------------------------------------------------------------------


def test_a_parameter_that_was_shown_to_be_a_session_is_one_from_then_on(user, server):
    server.routes |= {at(n): story(n) for n in (1, 2)}
    server.write_site_file(user.folder / "sites", article_url="", listings=["/front"])
    said = []
    for session in ("8f3k2q", "p0c4m1", "77xq2b"):
        links = [(f"{at(n)}?zx={session}", f"Story {n} of the day") for n in (1, 2)]
        server.routes["/front"] = page_of(*links)
        said.append(crawl(user))
        user.run("doctor", "--rebuild")  # what was shown is in the lake
    assert [site["fetched"] for site in said] == [2, 2, 0]
    assert said[2]["skipped"] == {"session": 2}
    [warning] = said[2]["warnings"]
    assert "`zx=`" in warning["warning"]
    assert len(user.rows("SELECT url FROM articles")) == 2
    assert user.run("doctor", check=False).returncode == 0


def test_a_parameter_that_chooses_the_story_never_becomes_a_session(user, server):
    papers = [f"/2026/03/read-the-paper/?doc={doc}" for doc in ("ab12cd", "ef34gh", "ij56kl")]
    server.routes |= {path: story(n) for n, path in enumerate(papers, start=1)}
    server.write_site_file(user.folder / "sites", article_url="", listings=["/front"])
    for shown in (1, 2, 3):
        server.routes["/front"] = page_of(
            *((path, "A paper of the day") for path in papers[:shown])
        )
        assert crawl(user)["new"] == 1
    assert len(user.rows("SELECT url FROM articles")) == 3
