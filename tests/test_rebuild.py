"""The state is an index: lost, it is made again from the lake, and the next crawl is as polite."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from fixtures.newsroom import Newsroom
from tests import postgres
from tests.installation import Installation, install
from tests.living_site import LivingSite, settle_in, story

Asked = Counter[tuple[str, str, int]]


def _asked_by_a_crawl(installation: Installation, newsroom: Newsroom) -> Asked:
    """Count what a crawl asks for. robots.txt, good for a day, is on record in the state alone."""
    newsroom.forget_requests()
    installation.crawl()
    asked = Counter((one.site, one.path, one.status) for one in newsroom.requests)
    return Counter({one: n for one, n in asked.items() if one[1] != "/robots.txt"})


def _lose_state(installation: Installation, server: str | None) -> None:
    """Leave the user without a state: its folder gone, or a database that is empty."""
    if server is None:
        shutil.rmtree(installation.folder / "state")
        return
    installation.settings["SITREP_STATE"] = postgres.fresh_database(server, "fresh")


def test_after_a_rebuild_a_crawl_asks_what_it_would_have_asked(tmp_path, newsroom, server):
    settings = {"SITREP_STATE": server} if server else {}
    installation = install(tmp_path, newsroom, **settings)
    installation.crawl()
    undisturbed = _asked_by_a_crawl(installation, newsroom)
    rows = installation.rows("FROM revisions_all ORDER BY article_id, revision")
    _lose_state(installation, server)
    assert installation.json("doctor", "--rebuild") == {"ok": True, "findings": []}
    again = _asked_by_a_crawl(installation, newsroom)
    # One feed lists what robots.txt forbids. What was never asked left no trace in the lake: so it
    # is found as new, forbidden once more, and until then that feed is asked for whole.
    whole = ("harbour_gazette", "/feed/")
    assert again - undisturbed == Counter({(*whole, 200): 1})
    assert undisturbed - again == Counter({(*whole, 304): 1})
    assert sum(status == 304 for _, _, status in again.elements()) >= 8
    assert installation.rows("FROM revisions_all ORDER BY article_id, revision") == rows
    assert _asked_by_a_crawl(installation, newsroom) == undisturbed
    assert installation.json("doctor")["ok"]


@pytest.mark.parametrize("how", ["by the next crawl", "by doctor"])
def test_a_print_version_is_still_its_story_when_the_state_was_lost(tmp_path, how):
    """The printed page came first and named an address that nobody had fetched."""
    with LivingSite() as site:
        one = story(1, canonical=site.url(story(1).path))
        printed = story(1, path="/print/1/", canonical=site.url(one.path))
        site.put(printed)
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        shutil.rmtree(tmp_path / "state")
        if how == "by doctor":
            installation.json("doctor", "--rebuild")
        site.put(one)
        installation.crawl(site.name)
        [row] = installation.rows("SELECT * FROM articles")
        assert row["canonical_url"].endswith("/2024/05/story-1")


def test_a_page_that_never_answered_well_is_not_asked_for_ever_after_a_loss(tmp_path: Path):
    with LivingSite() as site:
        site.put(story(1), story(2))
        installation = settle_in(tmp_path, site)
        site.answers[story(2).path] = site.answer("/nowhere")
        installation.crawl(site.name)
        shutil.rmtree(tmp_path / "state")
        site.requests.clear()
        installation.crawl(site.name)
        assert site.asked(story(1).path) == site.asked(story(2).path) == 0
