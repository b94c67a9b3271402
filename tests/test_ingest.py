"""One story under many addresses, many stories under one: told apart and held together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

from crawler import extraction_pool
from crawler.extraction_pool import ExtractionPool
from crawler.ingest import Outcome
from crawler.run import Run, new_run_id, open_lake_and_state
from crawler.settings import Settings
from crawler.site import Site, read_site
from pipelines.archive_writer import Exchange
from pipelines.doctor import Finding, examine
from pipelines.lake import Lake
from pipelines.model import Kind, Page
from pipelines.sql import rows_of
from pipelines.views import connect
from tests import sick_extractor
from tests.living_site import Answer, LivingSite, Story, page, paragraphs, settle_in, story

NOON = datetime(2024, 5, 20, 12, tzinfo=UTC)


class Desk:
    """Lake, state and a run over a living site: all but Scrapy, so that a test takes no seconds."""

    def __init__(self, folder: Path, pool: ExtractionPool, *sites: LivingSite):
        self._settings = Settings(
            lake=str(folder / "lake"), state=f"sqlite:///{folder}/state/sitrep.db"
        )
        self._pool = pool
        self._sites = {site.name: site for site in sites}
        settle_in(folder, *sites)
        self._files = {name: read_site(folder / "sites" / f"{name}.toml") for name in self._sites}
        self._minutes = count()
        self.now = lambda: NOON + timedelta(minutes=next(self._minutes))

    def fetch(self, site: LivingSite, *paths: str) -> list[Outcome]:
        """Fetch pages in one run, in this order, and decide on all of them at the same time."""
        return asyncio.run(self._fetch([(site, path) for path in paths]))

    async def _fetch(self, wanted: list[tuple[LivingSite, str]]) -> list[Outcome]:
        lake, state = open_lake_and_state(self._settings)
        self.run = Run(
            run_id=new_run_id(self.now()),
            settings=self._settings,
            clock=self.now,
            lake=lake,
            state=state,
            pool=self._pool,
            sites=tuple(self._files.values()),
        )
        self.run.ingest.ask = self._ask
        pages = [await self._page(site, path) for site, path in wanted]
        outcomes = await asyncio.gather(
            *(self.run.take(page, self._files[page.site]) for page in pages)
        )
        await self.run.end()
        state.close()
        return outcomes

    async def _page(self, site: LivingSite, path: str) -> Page:
        """Archive what a path answers, and where it leads, as the spider would."""
        at = path
        while True:
            answer = site.answer(at)
            exchange = Exchange(
                site=site.name,
                kind=Kind.ARTICLE,
                run_id=self.run.run_id,
                requested_url=site.url(path),
                url=site.url(at),
                status=answer.status,
                headers=tuple(answer.headers.items()),
                payload=answer.body,
                fetched_at=self.now(),
                revisit_of=self.run.revisit_of(site.name, site.url(at)),
            )
            page = await self.run.archive(exchange)
            if "Location" not in answer.headers or answer.status >= 400:
                return page
            at = answer.headers["Location"]

    async def _ask(self, url: str, site: Site) -> tuple[int, str | None]:
        living = self._sites[site.name]
        answer = living.answer(url.removeprefix(living.url()))
        target = answer.headers.get("Location")
        await asyncio.sleep(0.05)  # others may come in between
        return answer.status, living.url(target) if target else None

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with connect(Lake.open(self._settings.lake)) as connection:
            return rows_of(connection, sql)

    @property
    def articles(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM articles ORDER BY url")

    def examine(self) -> list[Finding]:
        lake, state = open_lake_and_state(self._settings)
        try:
            return list(examine(lake, state, spool=self._settings.spool_folder))
        finally:
            state.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[ExtractionPool]:
    with ExtractionPool(2) as running:
        yield running


@pytest.fixture
def site() -> Iterator[LivingSite]:
    with LivingSite() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, pool: ExtractionPool, site: LivingSite) -> Iterator[Desk]:
    """A desk for the one site. Whatever a test does to it, its parts agree at the end."""
    desk = Desk(tmp_path, pool, site)
    yield desk
    assert desk.examine() == []


def _at(one: Story, path: str, **changes: Any) -> Story:
    return replace(one, path=path, **changes)


# --- other forms of one address -----------------------------------------------------------------


@pytest.mark.parametrize("amp_first", [True, False], ids=["amp first", "amp last"])
def test_amp_tracking_and_redirects_are_one_article_in_any_order(site, desk, amp_first):
    one = story(1, canonical=site.url(story(1).path))
    site.put(one, listed=False)
    for form in (f"{one.path}amp/", f"{one.path}?utm_source=feed"):
        site.answers[form] = Answer(body=page(one, site.url()))
    site.redirect("/?p=411", one.path)
    paths = [f"{one.path}amp/", "/?p=411", one.path, f"{one.path}?utm_source=feed"]
    for path in paths if amp_first else reversed(paths):
        [said] = desk.fetch(site, path)
        assert said.verdict in {"new", "unchanged"}
    [row] = desk.articles
    assert (row["canonical_url"].endswith("/2024/05/story-1"), row["revision"]) == (True, 1)


@pytest.mark.parametrize("print_first", [True, False], ids=["print first", "print last"])
def test_a_print_version_is_its_story_by_a_canonical_link_that_is_right(site, desk, print_first):
    one = story(1, canonical=site.url(story(1).path))
    printed = _at(one, "/print/123", description=None, authors=())
    site.put(one, printed, listed=False)
    paths = [printed.path, one.path] if print_first else [one.path, printed.path]
    for path in [*paths, *paths]:
        desk.fetch(site, path)
    [row] = desk.articles
    assert row["revision"] == 1
    assert row["authors"] == list(one.authors)
    assert row["url"] == site.url(one.path)


@pytest.mark.parametrize(
    "target", ["/", "https://elsewhere.example/x/", "/2024/05/story-1/", "/latest/"]
)
def test_a_canonical_link_that_is_wrong_merges_nothing(site, desk, target):
    """Every page of the site names the same address: home, a stranger's, a story's, nobody's."""
    canonical = target if "://" in target else site.url(target)
    stories = [story(n, canonical=canonical, published="2024-05-06") for n in (3, 2, 1)]
    site.put(*stories)
    for one in stories:  # the story that is named comes last
        assert desk.fetch(site, one.path)[0].verdict == "new"
    rows = desk.articles
    assert [row["revision"] for row in rows] == [1, 1, 1]
    assert {row["headline"] for row in rows} == {one.headline for one in stories}


# --- moved --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 308, 404, 410])
def test_a_story_that_moved_is_one_article_with_its_id_and_its_new_address(site, desk, status):
    one = story(1)
    site.put(one)
    desk.fetch(site, one.path)
    [before] = desk.articles
    moved = _at(one, "/2024/05/new-slug/")
    site.entries = []
    site.put(moved)
    site.answers[one.path] = Answer(status=status, headers={"Location": moved.path})
    desk.fetch(site, moved.path)
    [after] = desk.articles
    assert after["article_id"] == before["article_id"]
    assert after["canonical_url"].endswith("/2024/05/new-slug")
    assert (after["url"], after["revision"]) == (site.url(moved.path), 1)


def test_an_old_address_that_still_answers_leaves_two_articles_of_one_cluster(site, desk):
    one = story(1)
    site.put(one)
    desk.fetch(site, one.path)
    site.put(_at(one, "/2024/05/new-slug/"))
    [said] = desk.fetch(site, "/2024/05/new-slug/")
    rows = desk.articles
    assert sorted(row["cluster_relation"] for row in rows) == ["exact", "original"]
    assert len({row["cluster_id"] for row in rows}) == 1
    [original] = [row for row in rows if row["cluster_relation"] == "original"]
    assert original["url"] == site.url(one.path)
    assert said.is_duplicate


def test_a_known_address_that_leads_on_for_good_has_moved(site, desk):
    one = story(1)
    site.put(one, listed=False)
    desk.fetch(site, one.path)
    moved = _at(one, "/2024/05/new-slug/", headline="Edited as it moved")
    site.put(moved, listed=False)
    site.redirect(one.path, moved.path)
    [said] = desk.fetch(site, one.path)
    assert said.verdict == "changed"
    [row] = desk.articles
    assert row["canonical_url"].endswith("new-slug")
    assert row["revision"] == 2


def test_a_removed_story_that_leads_to_another_does_not_become_it(site, desk):
    one, other = story(1, published="2024-05-06"), story(2, published="2024-05-06")
    site.put(one, listed=False)
    desk.fetch(site, one.path)
    site.put(other, listed=False)
    site.redirect(one.path, other.path)
    desk.fetch(site, one.path)
    rows = desk.articles
    assert [(row["headline"], row["revision"]) for row in rows] == [
        (one.headline, 1),
        (other.headline, 1),
    ]
    site.put(one, listed=False)  # and it comes back
    assert desk.fetch(site, one.path)[0].verdict == "unchanged"
    assert len(desk.articles) == 2


# --- an address used again ----------------------------------------------------------------------


def test_another_story_at_a_known_address_is_another_article(site, desk):
    old = story(1, path="/news/latest-briefing/")
    new = story(2, path=old.path)
    site.put(old, listed=False)
    [first] = desk.fetch(site, old.path)
    site.put(new, listed=False)
    [second] = desk.fetch(site, old.path)
    assert (second.verdict, second.capture.revision) == ("new", 1)
    assert second.capture.article_id != first.capture.article_id
    by_id = {row["article_id"]: row for row in desk.articles}
    assert by_id[first.capture.article_id]["replaced_at"] is not None
    assert by_id[second.capture.article_id]["replaced_at"] is None
    assert by_id[first.capture.article_id]["headline"] == old.headline
    site.put(replace(new, headline="The second story is edited"), listed=False)
    [third] = desk.fetch(site, old.path)
    assert (third.capture.article_id, third.capture.revision) == (second.capture.article_id, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"body": paragraphs(50)},
        {"body": paragraphs(50), "headline": "All of it rewritten"},
        {"headline": "A new day", "published": "2024-06-01T09:00:00+00:00",
         "body": (*paragraphs(51, n=2), *paragraphs(1, n=4))},
    ],
    ids=["text", "text and headline", "a live blog that grows"],
)  # fmt: skip
def test_a_rewritten_report_and_a_live_blog_keep_their_id(site, desk, change):
    site.put(story(1), listed=False)
    [first] = desk.fetch(site, story(1).path)
    site.put(story(1, **change), listed=False)
    [second] = desk.fetch(site, story(1).path)
    assert (second.capture.article_id, second.capture.revision) == (first.capture.article_id, 2)


def test_the_place_of_a_story_that_moved_is_free_for_another(site, desk):
    one, moved = story(1), _at(story(1), "/2024/05/new-slug/")
    site.put(one, listed=False)
    [first] = desk.fetch(site, one.path)
    site.put(moved, listed=False)
    site.redirect(one.path, moved.path)
    desk.fetch(site, moved.path)
    site.put(story(2, path=one.path), listed=False)
    [second] = desk.fetch(site, one.path)
    assert second.verdict == "new"
    assert second.capture.article_id != first.capture.article_id
    assert len(desk.articles) == 2


def test_an_article_has_the_same_id_in_another_lake(site, tmp_path, pool):
    site.put(story(1), story(2))
    ids = []
    for name in ("one", "two"):
        desk = Desk(tmp_path / name, pool, site)
        desk.fetch(site, story(1).path, story(2).path)
        ids.append([row["article_id"] for row in desk.articles])
    assert ids[0] == ids[1]


# --- at the same time ---------------------------------------------------------------------------


def test_many_pages_of_one_story_at_the_same_time_are_one_article(site, desk):
    one = story(1)
    site.put(one, story(2), story(3))
    for n in range(6):
        site.redirect(f"/go/{n}", one.path, status=302)
        site.put(_at(one, f"/print/{n}", canonical=site.url(one.path)))
    forms = [path for n in range(6) for path in (f"/print/{n}", f"/go/{n}")]
    said = desk.fetch(site, *forms, one.path, story(2).path, story(3).path)
    assert [one.verdict for one in said].count("new") == 3
    assert [row["url"] for row in desk.articles] == [
        site.url(path) for path in (one.path, story(2).path, story(3).path)
    ]


def test_two_new_addresses_of_a_moved_story_at_the_same_time_are_one_move(site, desk):
    one = story(1)
    site.put(one)
    desk.fetch(site, one.path)
    site.answers[one.path] = Answer(status=410)
    site.put(_at(one, "/2024/05/new-slug/"), _at(one, "/2024/05/other-slug/"))
    said = desk.fetch(site, "/2024/05/new-slug/", "/2024/05/other-slug/")
    assert sorted(one.verdict for one in said) == ["new", "unchanged"]
    assert sorted(row["cluster_relation"] for row in desk.articles) == ["exact", "original"]


# --- what gave no article is asked again --------------------------------------------------------


def test_a_page_that_failed_is_not_settled_by_a_304(site, desk):
    """Its address has validators from the failed answer: the next request must not send them."""
    one = story(1)
    whole = page(one, site.url())
    headers = {"ETag": '"same"', "Content-Encoding": "gzip"}
    site.answers[one.path] = Answer(body=b"this is not gzip", headers=headers)
    [said] = desk.fetch(site, one.path)
    assert said.verdict == "failed:broken_encoding"
    known = desk.run.ledger.response(site.name, site.url(one.path))
    assert known is not None
    assert not known.settled
    site.answers[one.path] = Answer(status=304)
    assert desk.fetch(site, one.path)[0].verdict == "failed:not_modified_unknown"
    site.answers[one.path] = Answer(body=whole)
    assert desk.fetch(site, one.path)[0].verdict == "new"
    site.answers[one.path] = Answer(status=304)
    assert desk.fetch(site, one.path)[0].verdict == "not_modified"


# --- pages that hurt their reader ---------------------------------------------------------------


def test_a_page_that_takes_too_long_costs_that_page_alone(tmp_path, site, monkeypatch):
    """No page of today takes as long, so the reader is slow here, and all else is real."""
    monkeypatch.setattr(extraction_pool, "_extract", sick_extractor.extract)
    site.put(*(story(n) for n in range(1, 7)))
    site.answers["/long/"] = Answer(body=b"<html><body><p>It hangs-for-ever.")
    with ExtractionPool(2, timeout_seconds=2.5) as pool:
        desk = Desk(tmp_path, pool, site)
        desk.fetch(site, *(story(n).path for n in range(3, 7)))  # the workers have loaded all
        said = desk.fetch(site, "/long/", story(1).path, story(2).path)
    assert [one.verdict for one in said] == ["failed:extraction_timeout", "new", "new"]


def test_workers_that_are_killed_are_replaced(tmp_path, site):
    """As the kernel does when memory runs out, whether they read a page or wait for one."""
    site.put(*(story(n) for n in range(1, 4)))
    with ExtractionPool(2) as pool:
        desk = Desk(tmp_path, pool, site)
        assert desk.fetch(site, story(1).path)[0].verdict == "new"
        servers = [one for one in psutil.Process().children() if "forkserver" in str(one.cmdline())]
        for worker in (one for server in servers for one in server.children()):
            worker.kill()
        said = desk.fetch(site, story(2).path, story(3).path)
    assert [one.verdict for one in said] == ["new", "new"]


def test_a_title_cut_in_the_middle_of_an_emoji_keeps_no_batch_out_of_the_lake(site, desk):
    said = b"""<script type="application/ld+json">{"@type": "NewsArticle",
        "author": {"name": "Cut \\ud83d Short"}, "keywords": "cut \\ud83d"}</script></head>"""
    one = story(1, authors=(), keywords="")
    site.put(one, story(2))
    whole = page(one, site.url())
    site.answers[one.path] = Answer(body=whole.replace(b"</head>", said))
    assert [one.verdict for one in desk.fetch(site, one.path, story(2).path)] == ["new", "new"]
    assert desk.articles[0]["authors"] == ["Cut \ufffd Short"]
    assert [one.verdict for one in desk.fetch(site, one.path)] == ["unchanged"]


# --- copies -------------------------------------------------------------------------------------


def test_copies_that_were_cut_or_reworded_join_are_counted_and_stay_what_they_are(tmp_path, pool):
    with LivingSite("slipway_post") as one, LivingSite("dock_times") as two:
        desk = Desk(tmp_path, pool, one, two)
        one.put(story(1), story(2))
        desk.fetch(one, story(1).path, story(2).path)
        told = story(1).body
        reworded = (f"DOCK TOWN (Quay Wire) - {told[0]}", *told[1:4], *told[5:])
        two.put(
            _at(story(1), "/wire/cut/", body=told[:3]),
            _at(story(1), "/wire/more/", body=reworded, headline="Another headline"),
            story(3),
        )
        paths = ("/wire/cut/", "/wire/more/", story(3).path)
        said = desk.fetch(two, *paths)
        assert [one.is_duplicate for one in said] == [True, True, False]
        rows = {row["url"]: row for row in desk.articles}
        relations = [rows[two.url(path)]["cluster_relation"] for path in paths]
        assert relations == ["excerpt", "near", "original"]
        original = rows[one.url(story(1).path)]["article_id"]
        assert {rows[two.url(path)]["cluster_id"] for path in paths[:2]} == {original}

        before = desk.rows("FROM relations ORDER BY article_id")
        desk.fetch(two, *paths)
        assert desk.rows("FROM relations ORDER BY article_id") == before
        assert desk.examine() == []


def test_a_site_that_names_one_canonical_for_every_page_has_articles_of_their_own(site, desk):
    stories = [story(n, canonical=site.url("/2024/05/story-1/")) for n in range(1, 7)]
    site.put(*stories)
    desk.fetch(site, *(one.path for one in stories))
    assert len({row["article_id"] for row in desk.articles}) == len(stories)
    assert {row["cluster_relation"] for row in desk.articles} == {"original"}


def test_copies_across_sites_follow_the_first_seen_and_stay_when_edited(tmp_path, pool):
    with LivingSite("slipway_post") as one, LivingSite("dock_times") as two:
        desk = Desk(tmp_path, pool, one, two)
        short = ("This notice is short and says the same on every site there is.",) * 2
        notice = story(8, headline="A notice to all readers of this site", body=short)
        one.put(story(1), story(3), notice)
        desk.fetch(one, story(1).path, story(3).path, notice.path)
        two.put(_at(story(1), "/wire/copied/"), story(4), _at(notice, "/notice/8/"))
        said = desk.fetch(two, "/wire/copied/", story(4).path, "/notice/8/")
        assert [one.is_duplicate for one in said] == [True, False, False]
        rows = {row["url"]: row for row in desk.articles}
        original, copy = rows[one.url(story(1).path)], rows[two.url("/wire/copied/")]
        assert (original["cluster_relation"], copy["cluster_relation"]) == ("original", "exact")
        assert copy["cluster_id"] == original["cluster_id"] == original["article_id"]
        notices = [row for url, row in rows.items() if url.endswith("8/")]
        assert len({row["cluster_id"] for row in notices}) == len(notices)

        # The copy is edited and stays; another article becomes a copy, and joins.
        two.put(_at(story(1), "/wire/copied/", body=paragraphs(60)))
        two.put(story(4, body=story(3).body))
        desk.fetch(two, "/wire/copied/", story(4).path)
        rows = {row["url"]: row for row in desk.articles}
        assert rows[two.url("/wire/copied/")]["cluster_id"] == original["article_id"]
        joined = rows[two.url(story(4).path)]
        assert joined["cluster_id"] == rows[one.url(story(3).path)]["article_id"]
        assert joined["cluster_relation"] == "exact"
        sql = "SELECT count(*) AS n FROM relations GROUP BY article_id, cluster_id"
        assert {row["n"] for row in desk.rows(sql)} == {1}
        assert desk.examine() == []
