"""A crawl that was killed: nothing lost, nothing fetched twice, nothing stored twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixtures.newsroom import Newsroom
from pipelines.archive import read_pages
from pipelines.errors import ArchiveError
from tests.installation import Installation, install
from tests.living_site import LivingSite, settle_in, story

# What a lake says of a crawl that was killed must be what it says of one that was not, but for
# what names a run, a time or a place in the archive.
TRUTH = """
    SELECT site, url, canonical_url, revision, extraction, change, headline, description, authors,
           article_body, date_published, date_published_source, content_hash, published_month
    FROM revisions_all ORDER BY url, revision, extraction
"""
CLUSTERS = "SELECT url, cluster_relation FROM articles ORDER BY url"


def _start(installation: Installation, *names: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", "crawl", *names],
        cwd=installation.folder,
        env=installation.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # it was done before
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait_for(condition: Any, *, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _archived_articles(installation: Installation) -> Counter[str]:
    """Return how often the archive and the spool have a full answer of each article's address."""
    files = [
        *(installation.folder / "lake" / "warc").rglob("*.warc.gz"),
        *(installation.folder / "state" / "spool").glob("*.open"),
    ]
    found: Counter[str] = Counter()
    for file in files:
        # A file that was made this very moment has no first record yet.
        with suppress(ArchiveError, FileNotFoundError):
            pages = [p for p in read_pages(Path(file)) if p.kind == "article" and p.status == 200]
            found.update(page.url for page in pages)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Newsroom, list[Any]]]:
    """The newsroom on fixed ports, and what an undisturbed crawl of it says."""
    with Newsroom(state=1) as newsroom:
        installation = install(tmp_path_factory.mktemp("undisturbed"), newsroom)
        installation.crawl()
        yield newsroom, [installation.rows(TRUTH), installation.rows(CLUSTERS)]


def _killed_and_taken_up(folder: Path, newsroom: Newsroom, seed: int) -> Installation:
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    installation = install(folder, newsroom)
    newsroom.forget_requests()
    enough = chance.randrange(1, 95)
    process = _start(installation, *newsroom.sites)
    _wait_for(lambda: len(newsroom.requests) >= enough or process.poll() is not None)
    time.sleep(chance.choice((0, 0.02, 0.3, 1.5)))
    _kill(process)
    archived = _archived_articles(installation)
    newsroom.forget_requests()
    installation.crawl()
    again = {
        newsroom.url(request.site, request.path)
        for request in newsroom.requests
        if request.status == 200
    }
    assert archived.keys() & again == set(), f"killed after {enough} requests"
    return installation


def _compare(installation: Installation, truth: list[Any]) -> None:
    assert installation.rows(TRUTH) == truth[0]
    clusters = installation.rows(CLUSTERS)
    assert [row["url"] for row in clusters] == [row["url"] for row in truth[1]]
    # Which of three sites was read first is chance; that two follow one is not.
    assert _relations(clusters) == _relations(truth[1])
    assert installation.json("doctor")["findings"] == []
    assert list((installation.folder / "state" / "spool").glob("*.open")) == []


def _relations(clusters: list[dict[str, Any]]) -> Counter[str]:
    return Counter(row["cluster_relation"] for row in clusters)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_after_a_kill_at_any_moment_the_lake_is_as_it_would_have_been(tmp_path, undisturbed, seed):
    newsroom, truth = undisturbed
    _compare(_killed_and_taken_up(tmp_path, newsroom, seed), truth)


@pytest.mark.soak
def test_a_kill_between_lake_and_state_doubles_nothing(tmp_path):
    """The last step of a commit is missing: the lake has the articles, the state does not."""
    with LivingSite() as site:
        site.put(story(1), story(2))
        installation = settle_in(tmp_path, site)
        site.entries = []
        installation.crawl(site.name)
        before = shutil.copytree(tmp_path / "state", tmp_path / "before")
        site.put(story(1), story(2))
        installation.crawl(site.name)
        for file in before.glob("sitrep.db*"):
            shutil.copy(file, tmp_path / "state")
        found = installation.json("doctor", check=False)["findings"]
        assert [one["check"] for one in found] == ["state"]
        again = installation.crawl(site.name)
        assert again["totals"]["new"] == 0
        assert [row["revision"] for row in installation.rows("SELECT * FROM revisions_all")] == [
            1,
            1,
        ]
        assert installation.json("doctor")["findings"] == []
        assert site.asked(story(1).path) == 1


@pytest.mark.soak
@pytest.mark.parametrize("how", ["the next crawl", "doctor --rebuild"])
def test_a_lost_state_is_made_again_from_the_lake(tmp_path, how):
    with LivingSite() as site:
        site.put(*(story(n) for n in range(1, 6)))
        installation = settle_in(tmp_path, site)
        installation.json("crawl", site.name, "--limit", "3")
        site.put(story(1, headline="An edit that came before the loss"))
        installation.json("recrawl", site.url(story(1).path))
        shutil.rmtree(tmp_path / "state")
        said = installation.json("doctor", check=False)
        assert [(one["check"], one["level"]) for one in said["findings"]] == [("state", "error")]
        site.entries = []  # what was pending is listed nowhere now
        if how == "doctor --rebuild":
            assert installation.json("doctor", "--rebuild")["ok"]
        again = installation.crawl(site.name)
        assert (again["totals"]["new"], again["totals"]["unchanged"]) == (2, 0)
        assert max(row["n"] for row in installation.rows(
            "SELECT count(*) AS n FROM revisions_all GROUP BY article_id, revision"
        )) == 1  # fmt: skip
        [said] = installation.json("recrawl", site.url(story(1).path))["results"]
        assert (said["outcome"], said["revision"]) == ("unchanged", 2)
        assert installation.json("doctor")["findings"] == []


def test_links_of_a_feed_that_was_archived_before_the_kill_are_not_lost(tmp_path):
    """Killed with its feed in the archive and no article asked; the feed then lists others."""
    with LivingSite() as site:
        site.put(story(1), story(2))
        installation = settle_in(tmp_path, site)
        site.delay_seconds = 0.5
        process = _start(installation, site.name)
        assert _wait_for(lambda: site.asked("/feed/") == 1)
        spool = tmp_path / "state" / "spool"
        assert _wait_for(lambda: _feeds_in(spool) == 1)
        _kill(process)
        site.delay_seconds = 0
        shutil.copy(tmp_path / "state" / "sitrep.db", tmp_path / "kept.db")
        site.entries = []
        installation.crawl(site.name)
        assert len(installation.rows("SELECT 1 AS n FROM articles")) == 2


def _feeds_in(spool: Path) -> int:
    return sum(page.kind == "feed" for file in spool.glob("*.open") for page in read_pages(file))


def test_no_process_outlives_a_crawler_that_was_killed(tmp_path):
    """Only the crawler itself is killed, as the kernel does when memory runs out."""
    with LivingSite() as site:
        site.put(story(1), story(2))
        installation = settle_in(tmp_path, site)
        process = _start(installation, site.name)
        # Workers are made when the first page has come, and are there until its run ends: the
        # kill is for that time, which is long enough to be seen and too short to be waited for.
        family: list[psutil.Process] = []

        def has_workers() -> bool:
            family[:] = psutil.Process(process.pid).children(recursive=True)
            return len(family) >= 3  # the fork server, its tracker, and a worker

        assert _wait_for(has_workers)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        for one in alive:
            one.kill()
        assert alive == []


@pytest.mark.soak
def test_a_spool_file_that_a_live_process_writes_is_left_alone(tmp_path):
    with LivingSite("slipway_post") as slow, LivingSite("dock_times") as other:
        slow.put(story(1))
        other.put(story(2))
        installation = settle_in(tmp_path, slow, other)
        installation.crawl("dock_times")
        slow.delay_seconds = 2
        process = _start(installation, "slipway_post")
        spool = tmp_path / "state" / "spool"
        assert _wait_for(lambda: list(spool.glob("*.open")))
        installation.crawl("dock_times")
        [file] = spool.glob("*.open")
        assert process.wait(timeout=60) == 0
        assert not file.exists()
        assert len(installation.rows("SELECT 1 AS n FROM articles")) == 2


def test_a_cut_record_is_asked_for_again_and_the_whole_ones_are_not(tmp_path):
    with LivingSite() as site:
        site.put(*(story(n) for n in range(1, 5)))
        installation = settle_in(tmp_path, site)
        site.delay_seconds = 0.3
        process = _start(installation, site.name)
        spool = tmp_path / "state" / "spool"
        assert _wait_for(lambda: len(_archived_articles(installation)) >= 2)
        _kill(process)
        time.sleep(2 * site.delay_seconds)  # for the server to note what was on its way
        site.delay_seconds = 0
        archived = _archived_articles(installation)
        [file] = spool.glob("*.open")
        os.truncate(file, file.stat().st_size - 40)
        site.requests.clear()
        installation.crawl(site.name)
        rows = installation.rows("SELECT url FROM articles")
        assert len(rows) == 4
        asked = sum(site.asked(story(n).path) for n in range(1, 5))
        assert asked == 4 - len(archived) + 1
        assert installation.json("doctor")["findings"] == []


def test_a_warc_file_copied_back_into_the_spool_doubles_nothing(tmp_path):
    with LivingSite() as site:
        site.put(story(1), story(2))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        captures = installation.rows("FROM captures ORDER BY warc_record_id")
        [file] = (tmp_path / "lake" / "warc").rglob("*.warc.gz")
        copy = tmp_path / "state" / "spool" / "20240501T000000Z-abcdef-1.warc.gz.open"
        shutil.copy(file, copy)
        done = installation.run("status")
        assert "Traceback" not in done.stderr
        site.entries = []
        said = installation.run("crawl", site.name).stderr
        assert "in the lake already" in said
        assert "remove it" in said
        rows = installation.rows("FROM captures ORDER BY warc_record_id")
        assert [row for row in rows if row["kind"] == "article"] == [
            row for row in captures if row["kind"] == "article"
        ]
        assert installation.json("doctor")["ok"]
        assert copy.exists()
