"""The archive read again: the same by the same rules, better by better ones, never a new edit."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.differences import COLUMNS
from crawler.extraction_pool import ExtractionPool
from crawler.reread import CHUNK, Rereader, plan_of
from crawler.run import Run, new_run_id, open_lake_and_state
from crawler.settings import Settings
from crawler.site import read_site
from fixtures.newsroom import Newsroom
from pipelines import workfile
from pipelines.archive_writer import Exchange
from pipelines.lake import Lake
from pipelines.lease import FileLease
from pipelines.ledger import Ledger
from pipelines.model import Hints, Kind
from pipelines.regroup import parted
from pipelines.state import State
from pipelines.state_tables import ArticleState
from tests.installation import Installation, install
from tests.living_site import Entry, LivingSite, Story, settle_in, story

CONTENT = ", ".join(name for name in COLUMNS)
VERSIONS = f"""
    SELECT article_id, revision, change, previous_revision, canonical_url, first_seen, fetched_at,
           published_month, warc_path, warc_offset, warc_record_id, extractor, {CONTENT}
    FROM revisions ORDER BY article_id, revision
"""
ROWS = VERSIONS.replace("change, previous_revision, ", "").replace(
    "FROM revisions", "FROM articles"
)
BOX = '<div class="yard-box"><p>A box that the theme puts in every text, unasked.</p></div>'


def snapshot(*folders: Path) -> dict[str, bytes]:
    """Return every file under folders, but for locks: what a command writes shows in it."""
    return {
        str(file): file.read_bytes()
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.endswith((".lock", "_lock"))
    }


def put_boxed(site: LivingSite, *stories: Story) -> None:
    """Publish stories with a box before their first paragraph: not to be told from a preface."""
    site.put(*stories)
    for one in stories:
        answer = site.answers[one.path]
        assert not callable(answer)
        body = answer.body.replace(b'content"><p>', f'content">{BOX}<p>'.encode(), 1)
        site.answers[one.path] = replace(answer, body=body)


def agrees(installation: Installation) -> bool:
    return installation.json("doctor")["findings"] == []


# --- the newsroom, shut down --------------------------------------------------------------------


@pytest.fixture(scope="module")
def shut_down(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The newsroom crawled in both of its states, and then closed. To be copied, never written."""
    with Newsroom(state=1) as newsroom:
        installation = install(tmp_path_factory.mktemp("shut_down"), newsroom)
        installation.crawl()
        newsroom.state = 2
        installation.crawl()
    return installation


@pytest.fixture
def archive(shut_down: Installation, tmp_path: Path) -> Installation:
    shutil.copytree(shut_down.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Installation(folder=tmp_path)


@pytest.mark.parametrize("state", ["as it was", pytest.param("rebuilt", marks=pytest.mark.soak)])
def test_the_same_extractor_gives_the_same_rows_and_stores_nothing(archive, state):
    if state == "rebuilt":
        assert archive.json("doctor", "--rebuild")["ok"]
    lake = archive.folder / "lake"
    before = snapshot(lake)
    said = archive.json("reextract")
    rows = archive.rows("SELECT site, count(*) AS n FROM revisions GROUP BY site ORDER BY site")
    assert [(one["site"], one["rows"]) for one in said["sites"]] == [
        (row["site"], row["n"]) for row in rows
    ]
    assert said["pages"] >= 80
    assert said["pages_per_second_and_core"] > 0
    for site in said["sites"]:
        assert (site["differing"], site["unreadable"], site["stored"]) == (0, 0, 0), site
    assert snapshot(lake) == before


@pytest.mark.soak
@pytest.mark.parametrize("state", ["as it was", "rebuilt"])
def test_rules_that_change_and_change_back_lead_back_to_the_same_rows(archive, state):
    if state == "rebuilt":
        assert archive.json("doctor", "--rebuild")["ok"]
    versions, rows = archive.rows(VERSIONS), archive.rows(ROWS)
    clusters = _clusters(archive)
    assert max(map(len, clusters)) > 1
    files = {file: file.read_text() for file in (archive.folder / "sites").glob("*.toml")}
    for file, text in files.items():
        file.write_text(_other_rules(text))
    said = archive.json("reextract", "--accept")
    changed = {name for site in said["sites"] for name in site["changes"]}
    assert {"article_body", "word_count", "content_hash", "date_published"} <= changed
    assert archive.rows(VERSIONS) != versions
    assert agrees(archive)

    for file, text in files.items():
        file.write_text(text)
    archive.json("reextract", "--accept")
    assert archive.rows(VERSIONS) == versions
    assert archive.rows(ROWS) == rows
    assert _clusters(archive) == clusters
    assert agrees(archive)
    assert archive.json("reextract")["run_id"]
    made = archive.rows("SELECT run_id, sites, changed, failed FROM runs ORDER BY started_at")[-2:]
    assert all(row["run_id"].endswith("-reextract") for row in made)
    assert all((len(row["sites"]), row["changed"]) == (5, 0) for row in made)


def _other_rules(text: str) -> str:
    """Return a site file that reads every page otherwise: its text, its dates, its language."""
    head = re.sub(r'time_zone = ".*"', 'time_zone = "America/New_York"', text.split("[extract]")[0])
    return head + '[extract]\nprune = ["p:nth-of-type(3)"]\n'


def _clusters(installation: Installation) -> list[list[str]]:
    rows = installation.rows("SELECT list(url) AS urls FROM articles GROUP BY cluster_id")
    return sorted(sorted(row["urls"]) for row in rows)


def test_a_dry_run_shows_the_differences_and_writes_nothing(archive):
    for file in (archive.folder / "sites").glob("harbour*.toml"):
        file.write_text(_other_rules(file.read_text()))
    before = snapshot(archive.folder)
    said = archive.json("reextract", "harbour_gazette", "--dry-run", check=False)
    [site] = said["sites"]
    assert site["rows"] == 16
    assert 0 < max(site["changes"].values()) <= site["differing"] <= 16
    assert site["changes"]["article_body"] > 8
    shown = [one for one in site["examples"] if one["column"] == "article_body"]
    assert 1 <= len(shown) <= 3
    assert all(one["before"] != one["after"] and len(one["before"]) < 200 for one in shown)
    assert said["run_id"] is None
    people = archive.run("reextract", "harbour_gazette", "--dry-run", check=False).stdout
    assert "article_body differs in" in people
    assert "nothing was stored" in people
    assert snapshot(archive.folder) == before


def test_only_what_was_fetched_since_a_day_is_read_again(archive):
    assert archive.json("reextract", "--since", "2001-01-01")["pages"] >= 80
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    said = archive.json("reextract", "--since", tomorrow)
    assert said["pages"] == 0
    assert {reason for site in said["sites"] for reason in site["skipped"]} == {"no_rows"}


def test_a_site_without_a_file_is_skipped_and_a_wrong_file_is_an_error_of_that_site(archive):
    (archive.folder / "sites" / "fjord_monitor.toml").unlink()
    (archive.folder / "sites" / "granit_bulletin.toml").write_text("publisher = 3\n")
    said = archive.json("reextract", check=False)
    by_name = {site["site"]: site for site in said["sites"]}
    assert by_name["fjord_monitor"]["skipped"] == {"unknown_site": 1}
    assert "granit_bulletin.toml" in by_name["granit_bulletin"]["error"]
    assert by_name["harbour_gazette"]["rows"] == 16
    done = archive.run("reextract", check=False)
    assert done.returncode == 1
    assert "no site file has that name" in done.stdout


def test_a_site_that_is_being_crawled_is_skipped_and_the_others_are_read(archive):
    lease = FileLease(archive.folder / "state" / "locks" / "harbour_gazette.lock")
    assert lease.try_acquire()
    try:
        said = archive.json("reextract", "harbour_gazette", "fjord_monitor")
    finally:
        lease.release()
    by_name = {site["site"]: site for site in said["sites"]}
    assert by_name["harbour_gazette"]["skipped"] == {"busy": 1}
    assert by_name["fjord_monitor"]["rows"] == 16


def test_pages_whose_bytes_are_gone_are_named_and_their_rows_stay(archive):
    before = archive.rows(ROWS)
    [first, *_] = sorted((archive.folder / "lake" / "warc").rglob("*.warc.gz"))
    lost = archive.rows(f"SELECT 1 AS n FROM revisions WHERE warc_path LIKE '%{first.name}'")
    first.unlink()
    for file in (archive.folder / "sites").glob("*.toml"):
        file.write_text(re.sub('country = ".."', 'country = "SE"', file.read_text()))
    said = archive.json("reextract", check=False)
    assert sum(site["unreadable"] for site in said["sites"]) == len(lost) > 0
    errors = [error for site in said["sites"] for error in site["errors"]]
    assert all(error["url"] and first.name in error["error"] for error in errors)
    assert archive.run("reextract", check=False).returncode == 1
    after = archive.rows(ROWS)
    assert len(after) == len(before)
    gone = first.relative_to(archive.folder / "lake").as_posix()
    assert [row for row in after if row["warc_path"] == gone] == [
        row for row in before if row["warc_path"] == gone
    ]


# --- wrong use ----------------------------------------------------------------------------------


def test_wrong_use_is_said_in_one_line_and_writes_nothing(archive, tmp_path_factory):
    def failing(*arguments: str, status: int, **settings: str) -> str:
        before = snapshot(archive.folder)
        done = archive.run("reextract", *arguments, check=False, settings=settings)
        assert done.returncode == status, done.stderr
        assert snapshot(archive.folder) == before
        return done.stderr

    assert "did you mean 'fjord_monitor'?" in failing("fjord_monitr", status=2)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert "there is no lake here" in failing(status=1, SITREP_LAKE=str(elsewhere / "lake"))
    assert not (elsewhere / "lake").exists()
    about = archive.folder / "lake" / "_sitrep.json"
    text = about.read_text()
    about.write_text(text.replace('"schema_version": 1', '"schema_version": 99'))
    for further in ((), ("--dry-run",)):
        assert "schema 99" in failing(*further, status=1)
    about.write_text(json.dumps(json.loads(text) | {"lake_id": "another"}))
    for further in ((), ("--dry-run",)):
        assert "index of another lake" in failing(*further, status=1)


# --- one rule more ------------------------------------------------------------------------------


def test_a_new_rule_makes_an_extraction_and_no_edit_and_the_next_edit_is_told_alone(tmp_path):
    with LivingSite() as site:
        stories = story(1), story(2), story(3)
        put_boxed(site, *stories)
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        edited = replace(story(3), headline="Story number 3 is told once more")
        put_boxed(site, edited)
        installation.json("recrawl", site.url(story(3).path))
        before = {row["article_id"]: row for row in installation.rows(ROWS)}

        settle_in(tmp_path, site, prune=["div.yard-box"])
        said = installation.json("reextract")["sites"][0]
        assert (said["rows"], said["differing"], said["stored"], said["worse"]) == (4, 4, 4, 0)
        every = installation.rows("SELECT * FROM revisions_all ORDER BY url, revision, extraction")
        assert [(row["revision"], row["extraction"]) for row in every] == [
            (1, 1), (1, 2), (1, 1), (1, 2), (1, 1), (1, 2), (2, 1), (2, 2),
        ]  # fmt: skip
        shown = installation.rows("SELECT * FROM revisions ORDER BY url, revision")
        assert [row["change"] for row in shown] == [["new"], ["new"], ["new"], ["headline"]]
        assert all("unasked" not in row["article_body"] for row in shown)
        for row in installation.rows(ROWS):
            old = before[row["article_id"]]
            assert "unasked" in old["article_body"]
            assert "unasked" not in row["article_body"]
            assert row["word_count"] < old["word_count"]
            assert row["content_hash"] != old["content_hash"]
            assert row["extractor"] != old["extractor"]
            assert any("unasked" in block["text"] for block in row["removed_blocks"])
        assert agrees(installation)

        put_boxed(site, replace(story(2), description="Another standfirst, by its publisher."))
        urls = [site.url(one.path) for one in stories]
        again = installation.json("recrawl", *urls)["results"]
        assert [one["outcome"] for one in again] == ["unchanged", "changed", "unchanged"]
        [new] = installation.rows(
            f"SELECT * FROM revisions WHERE url = '{urls[1]}' AND revision = 2"
        )
        assert (new["change"], new["extraction"]) == (["description"], 1)
        assert agrees(installation)
        assert installation.json("reextract")["sites"][0]["differing"] == 0


@pytest.mark.soak
def test_what_only_a_feed_had_said_stays_though_a_later_capture_came_without_it(tmp_path):
    """The edit is fetched by a state that was rebuilt: neither it nor its capture has the hints."""
    told = story(1, description=None, published="2024-05-02", authors=())
    said = Entry(
        path=told.path, title=told.headline, author="Pavel Stone",
        description="Only the feed has this standfirst of story one.",
        published="Thu, 02 May 2024 09:41:27 +0300",
    )  # fmt: skip
    with LivingSite() as site:
        site.put(told)
        site.entries = [said]
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        assert installation.json("doctor", "--rebuild")["ok"]
        site.entries = []
        site.put(
            replace(told, headline="Its publisher calls story one otherwise now"), listed=False
        )
        [again] = installation.json("recrawl", site.url(told.path))["results"]
        assert (again["outcome"], again["revision"]) == ("changed", 2)
        before = installation.rows(VERSIONS)
        settle_in(tmp_path, site, prune=["h1"])
        installation.json("reextract", "--accept")
        settle_in(tmp_path, site)
        installation.json("reextract", "--accept")
        assert installation.rows(VERSIONS) == before
        assert before[1]["description"] == said.description
        assert before[1]["date_published"] == "2024-05-02T06:41:27Z"


@pytest.mark.soak
def test_an_article_that_moved_is_read_from_both_its_pages_and_keeps_what_it_was(tmp_path):
    with LivingSite() as site:
        put_boxed(site, story(1))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        # The new page tells only the day; the first one told the minute, and that stays.
        moved = replace(story(1), path="/2024/06/story-1-moved/", published="2024-05-02")
        put_boxed(site, moved)
        site.redirect(story(1).path, site.url(moved.path))
        installation.crawl(site.name)
        [row] = installation.rows(ROWS)
        assert (row["url"], row["date_published"]) == (site.url(moved.path), "2024-05-02T08:15:00Z")
        assert installation.json("reextract")["sites"][0]["differing"] == 0
        settle_in(tmp_path, site, prune=["div.yard-box"])
        installation.json("reextract")
        [new] = installation.rows("SELECT * FROM revisions")
        assert (new["revision"], new["extraction"], new["change"]) == (1, 3, ["new"])
        assert (new["url"], new["date_published"]) == (row["url"], row["date_published"])
        assert "unasked" not in new["article_body"]
        assert agrees(installation)


# --- copies -------------------------------------------------------------------------------------


def test_copies_are_the_same_text_when_a_box_goes_and_nearly_when_it_comes_back(tmp_path):
    with LivingSite("slipway_post") as one, LivingSite("dock_times") as other:
        put_boxed(one, story(1), story(2))
        copy = story(1, path="/copy/", published="2024-05-09T08:15:00+00:00")
        other.put(copy, story(3))
        installation = settle_in(tmp_path, one, other)
        installation.crawl(one.name, other.name)
    assert _relations(installation)[other.name] == [("near", 2), ("original", 1)]
    file = tmp_path / "sites" / "slipway_post.toml"
    boxed = file.read_text()

    file.write_text(boxed + "prune = ['div.yard-box']\n")
    assert installation.json("reextract", "slipway_post")["regrouped"] > 0
    assert _relations(installation) == {
        one.name: [("original", 2), ("original", 1)],
        other.name: [("exact", 2), ("original", 1)],
    }
    assert agrees(installation)

    file.write_text(boxed)
    installation.json("reextract", "slipway_post", "--accept")
    assert _relations(installation) == {
        one.name: [("original", 2), ("original", 1)],
        other.name: [("near", 2), ("original", 1)],
    }
    assert agrees(installation)
    assert _known(installation) == _derived(installation)


def _relations(installation: Installation) -> dict[str, list[tuple[str, int]]]:
    """Return, by site, each article's relation and how many are in its cluster, copies first."""
    rows = installation.rows(
        "SELECT site, cluster_relation, count(*) OVER (PARTITION BY cluster_id) AS n "
        "FROM articles ORDER BY site, n DESC"
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        found.setdefault(row["site"], []).append((row["cluster_relation"], row["n"]))
    return found


KNOWN = (
    "article_id, revision, content_hash, word_count, cluster_id, cluster_relation, canonical_url"
)


def _known(installation: Installation) -> list[tuple[Any, ...]]:
    """Return what the state knows of articles."""
    engine = sa.create_engine(f"sqlite:///{installation.folder}/state/sitrep.db")
    with engine.connect() as connection:
        sql = f"SELECT {KNOWN} FROM articles ORDER BY article_id"
        found = [tuple(row) for row in connection.execute(sa.text(sql))]
    engine.dispose()
    return found


def _derived(installation: Installation) -> list[tuple[Any, ...]]:
    """Return what the lake says of articles, as the state should know it."""
    rows = installation.rows(f"SELECT {KNOWN} FROM articles ORDER BY article_id")
    return [tuple(row.values()) for row in rows]


def _member(name: str, text: str, cluster: str, relation: str) -> ArticleState:
    return ArticleState(
        article_id=name, site="s", canonical_url=name, url=name, revision=1, content_hash=text,
        word_count=90, cluster_id=cluster, cluster_relation=relation,
        first_seen=datetime(2024, 5, 1, tzinfo=UTC),
    )  # fmt: skip


def test_who_had_the_text_of_a_copy_and_has_it_no_more_leaves_and_an_edited_copy_stays():
    original = _member("a", "new", "a", "original")
    copy, edited = _member("b", "old", "a", "exact"), _member("c", "edited", "a", "exact")
    found = parted([original, copy, edited], {"a": "old"})
    assert [(r.article_id, r.cluster_id, r.relation) for r in found] == [("b", "b", "original")]
    both = parted([original, replace(copy, content_hash="new")], {"a": "old", "b": "old"})
    assert both == ()


def test_where_the_original_leaves_another_takes_its_place():
    first, second = _member("a", "old", "a", "exact"), _member("b", "new", "a", "original")
    found = parted([first, second], {"b": "old"})
    assert [(r.article_id, r.cluster_id, r.relation) for r in found] == [
        ("b", "b", "original"),
        ("a", "a", "original"),
    ]


# --- the gate -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A site of two and a half chunks, whose server is closed. To be copied, never written."""
    folder = tmp_path_factory.mktemp("many")
    with LivingSite() as site:
        stories = [story(n) for n in range(CHUNK * 5 // 2)]
        put_boxed(site, *stories)
        installation = settle_in(folder, site)
        pages = [(site.url(one.path), site.answer(one.path).body) for one in stories]
        _archived(folder, site.name, pages)
    return installation


def _archived(folder: Path, name: str, pages: list[tuple[str, bytes]]) -> None:
    """Have a run archive and read pages, without fetching them."""
    settings = Settings(
        lake=str(folder / "lake"), state=f"sqlite:///{folder}/state/sitrep.db", workers=2
    )
    site = read_site(folder / "sites" / f"{name}.toml")
    minutes = count()
    start = datetime(2024, 5, 20, 12, tzinfo=UTC)

    async def go() -> None:
        lake, state = open_lake_and_state(settings)
        with ExtractionPool(settings.workers) as pool:
            run = Run(
                run_id=new_run_id(start), settings=settings, lake=lake, state=state, pool=pool,
                clock=lambda: start + timedelta(seconds=next(minutes)), sites=(site,),
            )  # fmt: skip
            taken = []
            for url, body in pages:
                exchange = Exchange(
                    site=name, kind=Kind.ARTICLE, run_id=run.run_id, requested_url=url, url=url,
                    status=200, headers=(("Content-Type", "text/html"),), payload=body,
                    fetched_at=run.clock(), hints=Hints(), revisit_of=None,
                )  # fmt: skip
                taken.append(run.take(await run.archive(exchange), site))
            await asyncio.gather(*taken)
            await run.end()
        state.close()

    asyncio.run(go())


@pytest.fixture
def large(many: Installation, tmp_path: Path) -> Installation:
    shutil.copytree(many.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Installation(folder=tmp_path)


def rule(installation: Installation, selector: str) -> None:
    file = installation.folder / "sites" / "slipway_post.toml"
    kept = file.read_text().split("[extract]")[0]
    file.write_text(f"{kept}[extract]\nprune = ['{selector}']\n")


def test_a_rule_that_cuts_bodies_is_refused_with_its_rows_until_it_is_accepted(large):
    rule(large, "div.entry-content > p + p + p")
    lake = large.folder / "lake"
    before = snapshot(lake)
    done = large.run("reextract", check=False)
    assert done.returncode == 1
    assert "refused, nothing of it was stored: 500 of 500 rows lose a fifth" in done.stdout
    assert done.stdout.count("loses words") == 200
    assert "and 300 rows more" in done.stdout
    assert "--accept" in done.stdout
    assert snapshot(lake) == before

    said = large.json("reextract", "--accept")
    [site] = said["sites"]
    # What the refused run had read was not read again.
    assert (site["resumed"], said["pages"]) == (500, 0)
    assert (site["stored"], site["worse"], site["refused"]) == (500, 500, None)
    assert large.rows("SELECT DISTINCT extraction FROM articles") == [{"extraction": 2}]
    assert agrees(large)


@pytest.mark.parametrize(
    ("selector", "said"),
    [("p.byline", "rows lose"), ("div.entry-content > p:nth-of-type(6)", "the median body falls")],
)
def test_the_gate_sees_lost_authors_and_a_median_that_falls(archive_of_nine, selector, said):
    rule(archive_of_nine, selector)
    [site] = archive_of_nine.json("reextract", "--dry-run", check=False)["sites"]
    assert said in site["refused"]
    assert archive_of_nine.json("reextract", "--dry-run", "--accept")["sites"][0]["refused"] is None


@pytest.fixture
def archive_of_nine(tmp_path: Path) -> Installation:
    with LivingSite() as site:
        site.put(*(story(n) for n in range(9)))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
    return installation


# --- killed, and stopped ------------------------------------------------------------------------


def _start(installation: Installation, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", "reextract", "--json", *arguments],
        cwd=installation.folder,
        env=installation.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _frames(installation: Installation) -> int:
    path = installation.folder / "state" / "reextract" / "slipway_post.work"
    # `WorkFile.opened` would drop as a cut tail what the process is just writing.
    try:
        with path.open("rb") as file:
            return sum(1 for _ in workfile._frames(file))
    except FileNotFoundError:
        return 0


@pytest.fixture(scope="module")
def undisturbed(
    many: Installation, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("undisturbed") / "copy"
    shutil.copytree(many.folder, folder, symlinks=True)
    installation = Installation(folder=folder)
    rule(installation, "div.yard-box")
    assert installation.json("reextract")["sites"][0]["stored"] == 500
    return installation.rows(VERSIONS)


def test_after_a_kill_while_reading_it_goes_on_where_it_was(large, undisturbed):
    rule(large, "div.yard-box")
    process = _start(large)
    _wait_for(lambda: _frames(large) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    work = large.folder / "state" / "reextract" / "slipway_post.work"
    with work.open("ab") as file:
        file.write(b"\0\0\0\7torn")  # as the last write is, when it is cut
    assert len(large.rows("SELECT 1 AS n FROM revisions_all")) == 500
    said = large.json("reextract")
    [site] = said["sites"]
    assert site["resumed"] >= CHUNK
    assert site["resumed"] + said["pages"] == site["rows"] == site["stored"] == 500
    assert large.rows(VERSIONS) == undisturbed
    assert not work.exists()
    assert agrees(large)


def test_after_a_kill_while_storing_nothing_is_doubled_and_the_state_follows(large, undisturbed):
    rule(large, "div.yard-box")
    log = large.folder / "lake" / "revisions" / "_delta_log"
    there = len(list(log.glob("*.json")))
    process = _start(large)
    _wait_for(lambda: len(list(log.glob("*.json"))) > there)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    said = large.json("reextract")
    assert said["sites"][0]["resumed"] == 500
    assert said["pages"] == 0
    assert large.rows(VERSIONS) == undisturbed
    assert len(large.rows("SELECT 1 AS n FROM revisions_all")) == 1000
    assert agrees(large)
    assert _known(large) == _derived(large)


@pytest.mark.soak
def test_a_crawl_after_a_kill_between_lake_and_state_brings_the_state_up(tmp_path):
    with LivingSite() as site:
        put_boxed(site, story(1), story(2))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        kept = (tmp_path / "state" / "sitrep.db").read_bytes()
        settle_in(tmp_path, site, prune=["div.yard-box"])
        installation.json("reextract")
        (tmp_path / "state" / "sitrep.db").write_bytes(kept)
        assert _known(installation) != _derived(installation)
        totals = installation.crawl(site.name)["totals"]
        assert (totals["new"], totals["changed"]) == (0, 0)
        assert _known(installation) == _derived(installation)


@pytest.mark.soak
def test_what_a_crawl_wrote_meanwhile_is_not_overwritten_by_work_that_was_ready(tmp_path):
    """Killed before storing; then the article moves, which takes the next extraction's number."""
    with LivingSite() as site:
        put_boxed(site, story(1), story(2))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        settle_in(tmp_path, site, prune=["div.yard-box"])
        ready = _ready_work(installation, site)
        moved = replace(story(1), path="/2024/06/story-1-moved/")
        put_boxed(site, moved)
        site.redirect(story(1).path, site.url(moved.path))
        [again] = installation.json("recrawl", site.url(story(1).path))["results"]
        assert again["outcome"] == "unchanged"
        work = tmp_path / "state" / "reextract" / f"{site.name}.work"
        work.parent.mkdir(exist_ok=True)
        work.write_bytes(ready)
        assert installation.json("reextract")["sites"][0]["stored"] == 1
        rows = installation.rows(
            "SELECT url, extraction FROM revisions_all ORDER BY url, extraction"
        )
        assert len(rows) == 4
        assert installation.rows(
            f"SELECT 1 AS n FROM articles WHERE url = '{site.url(moved.path)}'"
        )
        assert agrees(installation)


def _ready_work(installation: Installation, site: LivingSite) -> bytes:
    """Return the file of work that passed the gate, as a kill before storing would leave it."""
    copy = installation.folder.parent / f"{installation.folder.name}-copy"
    shutil.copytree(installation.folder, copy, symlinks=True)
    twin = Installation(folder=copy)
    process = _start(twin)
    path = copy / "state" / "reextract" / f"{site.name}.work"
    seen = b""
    while process.poll() is None:
        try:
            seen = max(seen, path.read_bytes(), key=len)
        except FileNotFoundError:
            time.sleep(0.001)
    shutil.rmtree(copy)
    assert b'"ready"' in seen
    return seen


@pytest.mark.soak
def test_ctrl_c_finishes_the_chunk_and_the_next_run_goes_on(large, undisturbed):
    rule(large, "div.yard-box")
    process = _start(large)
    _wait_for(lambda: _frames(large) >= 2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    said = json.loads(out)
    assert said["is_interrupted"]
    assert CHUNK <= said["sites"][0]["rows"] < 500
    again = large.json("reextract")
    assert again["sites"][0]["resumed"] == said["sites"][0]["rows"]
    assert large.rows(VERSIONS) == undisturbed


@pytest.mark.soak
def test_a_second_ctrl_c_stops_at_once_and_the_next_run_goes_on(large, undisturbed):
    rule(large, "div.yard-box")
    process = _start(large)
    _wait_for(lambda: _frames(large) >= 2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # for the first to be heard
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - sent < 2.5
    large.json("reextract")
    assert large.rows(VERSIONS) == undisturbed


def test_a_page_that_its_worker_gives_up_on_is_named_and_the_rest_goes_on(many):
    """No page of the archive takes as little time as these workers are given."""
    site = read_site(many.folder / "sites" / "slipway_post.toml")
    lake = Lake.open(str(many.folder / "lake"))
    plan = plan_of(lake, site, since=None)
    state = State.open("sqlite://")
    with ExtractionPool(2, timeout_seconds=0.001) as pool:
        reader = Rereader(Ledger(lake, state), pool, plan, at_once=4)
        done = asyncio.run(reader.chunk(plan.chunks - 1))
    state.close()
    assert (done.tally.unreadable, done.tally.rows) == (CHUNK // 2, 0)
    assert all("extraction_" in error["error"] for error in done.tally.errors)
    assert done.revisions == []
