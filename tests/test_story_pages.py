"""A story that its publisher cut into pages is one article, whole, by whatever way it came."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.captures import Captures
from tests.installation import Installation
from tests.living_site import Answer, LivingSite, Story, page, paragraphs, settle_in, story

WHOLE = paragraphs(7, n=9)
FIRST = story(7, body=WHOLE[:3])


def part(n: int, **changes: Any) -> Story:
    """Return page `n` of three of the story, from 1."""
    body = changes.pop("body", WHOLE[3 * n - 3 : 3 * n])
    path = FIRST.path if n == 1 else f"{FIRST.path}{n}/"
    return replace(FIRST, path=path, body=body, **changes)


def paged(site: LivingSite, one: Story, *, last: int = 3) -> bytes:
    """Return a page of the story with the pager that WordPress puts below its text."""
    number = 1 if one.path == FIRST.path else int(one.path.rstrip("/").rpartition("/")[2])
    links = "".join(
        f'<span class="current">{n}</span> '
        if n == number
        else f'<a href="{FIRST.path}{f"{n}/" if n > 1 else ""}" class="post-page-numbers">{n}</a> '
        for n in range(1, last + 1)
    )
    pager = f'<div class="page-links">Pages: {links}</div></div>\n</article>'
    return page(one, site.url()).replace(b"</div>\n</article>", pager.encode())


def publish(site: LivingSite, *parts: Story) -> None:
    site.put(FIRST)
    for one in parts or (part(1), part(2), part(3)):
        site.answers[one.path] = Answer(body=paged(site, one))


@pytest.fixture
def site() -> Iterator[LivingSite]:
    with LivingSite() as running:
        publish(running)
        yield running


@pytest.fixture
def installation(tmp_path: Path, site: LivingSite) -> Installation:
    return settle_in(tmp_path, site)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, LivingSite]]:
    """Give a site with the story, crawled; for tests that leave both as they are."""
    with LivingSite() as running:
        publish(running)
        there = settle_in(tmp_path_factory.mktemp("pages"), running)
        there.crawl(running.name)
        yield there, running


def only(installation: Installation, table: str = "articles") -> dict[str, Any]:
    [row] = installation.rows(f"SELECT * FROM {table}")
    return row


def captured(installation: Installation) -> list[list[Any]]:
    return installation.json(
        "query",
        "SELECT kind, verdict, article_id IS NOT NULL FROM captures "
        "WHERE kind IN ('article', 'further') ORDER BY fetched_at",
    )["rows"]


def test_story_of_three_pages_is_one_whole_article(crawled):
    installation, _ = crawled
    report = installation.reports[0]
    row = only(installation)
    assert row["article_body"].split("\n\n") == list(WHOLE)
    assert row["is_truncated"] is False
    assert row["word_count"] == sum(len(one.split()) for one in WHOLE)
    assert (report["totals"]["discovered"], report["totals"]["new"]) == (1, 1)
    assert captured(installation) == [
        ["article", "new", True],
        ["further", "unchanged", True],
        ["further", "unchanged", True],
    ]
    assert installation.json("doctor")["findings"] == []


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "another_story",
        pytest.param("broken", marks=pytest.mark.soak),
        pytest.param("led_back", marks=pytest.mark.soak),
    ],
)
def test_story_whose_second_page_is_not_to_be_had_is_stored_and_told_truncated(
    installation, site, how
):
    site.answers[part(2).path] = {
        "missing": Answer(status=404, body=b"<h1>Not here</h1>"),
        "another_story": Answer(body=b"<html><body><p>Nothing here yet.</p></body></html>"),
        "broken": Answer(body=b"not gzip at all", headers={"Content-Encoding": "gzip"}),
        "led_back": Answer(status=301, headers={"Location": FIRST.path}),
    }[how]
    installation.crawl(site.name)
    row = only(installation)
    assert row["article_body"].split("\n\n") == list(WHOLE[:3])
    assert row["is_truncated"] is True
    assert installation.json("doctor")["findings"] == []


def test_edit_on_the_last_page_is_a_revision_and_an_unchanged_story_is_none(installation, site):
    installation.crawl(site.name)
    [same] = installation.json("recrawl", site.url(FIRST.path))["results"]
    assert (same["outcome"], same["revision"]) == ("unchanged", 1)
    edited = (*WHOLE[6:8], "The ministry has since said that it will pay for the third boat.")
    site.answers[part(3).path] = Answer(body=paged(site, part(3, body=edited)))
    [changed] = installation.json("recrawl", site.url(FIRST.path))["results"]
    assert (changed["outcome"], changed["revision"]) == ("changed", 2)
    row = only(installation)
    assert row["article_body"].split("\n\n") == [*WHOLE[:6], *edited]
    assert installation.json("doctor")["findings"] == []


def test_further_page_that_fails_later_takes_nothing_from_the_story(installation, site):
    installation.crawl(site.name)
    site.answers[part(2).path] = Answer(status=404, body=b"<h1>Not here</h1>")
    [said] = installation.json("recrawl", site.url(FIRST.path))["results"]
    assert (said["outcome"], said["revision"]) == ("unchanged", 1)
    assert only(installation)["article_body"].split("\n\n") == list(WHOLE)


def test_address_of_a_further_page_is_the_story_itself(crawled):
    installation, site = crawled
    [said] = installation.json("recrawl", site.url(part(2).path))["results"]
    row = only(installation)
    assert (said["outcome"], said["article_id"]) == ("unchanged", row["article_id"])
    assert row["article_body"].split("\n\n") == list(WHOLE)


def test_pager_without_end_is_bounded(installation, site):
    def endless(n: int) -> Answer:
        one = part(1, body=paragraphs(100 + n, n=2))
        one = replace(one, path=FIRST.path if n == 1 else f"{FIRST.path}{n}/")
        return Answer(body=paged(site, one, last=99))

    for n in range(1, 100):
        site.answers[FIRST.path if n == 1 else f"{FIRST.path}{n}/"] = endless(n)
    installation.crawl(site.name)
    asked = [one for one in site.requests if one.path.startswith(FIRST.path)]
    assert len(asked) == 30
    assert only(installation)["is_truncated"] is True


def test_reextraction_and_explain_read_the_whole_story_from_the_archive(crawled):
    installation, site = crawled
    asked = len(site.requests)
    file = installation.folder / "sites" / f"{site.name}.toml"
    file.write_text(file.read_text() + 'prune = ["div.none-such"]\n')
    [said] = installation.json("reextract", site.name)["sites"]
    assert (said["rows"], said["worse"]) == (1, 0)
    row = only(installation)
    assert row["article_body"].split("\n\n") == list(WHOLE)
    told = installation.json("explain", site.url(FIRST.path), "article_body")
    assert site.url(part(3).path) in str(told)
    assert len(site.requests) == asked


def test_preview_shows_the_whole_story(crawled):
    installation, site = crawled
    said = installation.json("extract", site.url(FIRST.path))
    assert said["article_body"].split("\n\n") == list(WHOLE)


def test_lost_state_and_an_import_elsewhere_give_the_same_story(crawled, tmp_path):
    installation, site = crawled
    first = only(installation)
    for file in (installation.folder / "state").glob("*.sqlite*"):
        file.unlink()
    installation.json("doctor", "--rebuild")
    [said] = installation.json("recrawl", site.url(part(3).path))["results"]
    assert (said["outcome"], said["article_id"]) == ("unchanged", first["article_id"])

    elsewhere = settle_in(tmp_path / "elsewhere", site)
    asked = len(site.requests)
    files = sorted((installation.folder / "lake" / "warc").rglob("*.warc.gz"))
    elsewhere.json("import", str(files[0]))
    row = only(elsewhere)
    assert row["article_body"] == first["article_body"]
    assert elsewhere.json("doctor")["findings"] == []
    assert len(site.requests) == asked


def test_pages_in_an_archive_of_another_crawler_are_one_story(installation, site, tmp_path):
    captures = Captures()
    for n in (2, 1, 3):
        captures.add(site.url(part(n).path), paged(site, part(n)), at=f"2024-05-06T09:0{n}:00Z")
    installation.json("import", str(captures.save(tmp_path / "theirs.warc.gz")))
    assert only(installation)["article_body"].split("\n\n") == list(WHOLE)
    assert installation.json("doctor")["findings"] == []


# Archived one after the other: robots.txt, the feed, the first page, the second, the third.
BETWEEN = [("archived", 4), ("archived", 5)]
MOMENTS = [(step, n) for step in ("archived", "decided") for n in range(1, 7)]


@pytest.mark.parametrize(
    ("step", "n"),
    [
        pytest.param(*moment, marks=() if moment in BETWEEN else pytest.mark.soak)
        for moment in MOMENTS
    ],
)
def test_killed_between_its_pages_the_story_comes_out_whole(installation, site, step, n):
    killed = installation.killed_at(step, n, "crawl", site.name)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    installation.crawl(site.name)
    assert only(installation)["article_body"].split("\n\n") == list(WHOLE)
    assert only(installation)["is_truncated"] is False
    assert installation.json("doctor")["findings"] == []


def test_interrupted_between_its_pages_it_is_left_to_the_next_run(installation, site):
    slow = site.answers[part(2).path]

    def late() -> Answer:
        time.sleep(2)
        assert not callable(slow)
        return slow

    site.answers[part(2).path] = late
    process = subprocess.Popen(
        [sys.executable, "-m", "crawler", "crawl", site.name],
        cwd=installation.folder,
        env=installation.env,
        stderr=subprocess.DEVNULL,
    )
    while not site.asked(FIRST.path):
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert [row for row in installation.rows("SELECT * FROM articles") if row["is_truncated"]] == []
    installation.crawl(site.name)
    assert only(installation)["article_body"].split("\n\n") == list(WHOLE)
