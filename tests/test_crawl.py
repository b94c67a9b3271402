"""The main job, run as users run it: `sitrep crawl` against real sites on loopback."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from tests.installation import Installation


def _path(url: str) -> str:
    return urlsplit(url).path


@pytest.fixture(scope="module")
def articles(crawled: Installation) -> dict[tuple[str, str], dict[str, object]]:
    rows = crawled.rows("SELECT * FROM articles")
    return {(str(row["site"]), _path(str(row["url"]))): row for row in rows}


def test_every_article_of_the_newsroom_is_in_the_lake_and_nothing_else(crawled, articles):
    expected = {
        (one.site, _path(one.url))
        for site in crawled.newsroom.sites
        for one in crawled.newsroom.expected(site)
    }
    assert set(articles) == expected


@pytest.mark.parametrize(
    "name",
    ["headline", "description", "article_body", "in_language", "is_accessible_for_free",
     "time_zone_assumed", "date_published_source"],
)  # fmt: skip
def test_each_article_is_as_its_newsroom_wrote_it(crawled, articles, name):
    wrong = {}
    for site in crawled.newsroom.sites:
        for one in crawled.newsroom.expected(site):
            got = articles[one.site, _path(one.url)][name]
            if got != getattr(one, name):
                wrong[one.url] = (getattr(one, name), got)
    assert wrong == {}


def test_each_article_has_its_authors_and_its_time_in_utc(crawled, articles):
    wrong = {}
    for site in crawled.newsroom.sites:
        for one in crawled.newsroom.expected(site):
            row = articles[one.site, _path(one.url)]
            when = one.date_published.isoformat().replace("+00:00", "Z")
            if (tuple(row["authors"]), row["date_published"]) != (tuple(one.authors), when):
                wrong[one.url] = (one.authors, when, row["authors"], row["date_published"])
    assert wrong == {}


def test_no_line_of_noise_is_in_a_body(crawled, articles):
    found = {}
    for site in crawled.newsroom.sites:
        for one in crawled.newsroom.expected(site):
            lines = str(articles[one.site, _path(one.url)]["article_body"]).splitlines()
            if left := [noise for noise in one.noise if noise in lines]:
                found[one.url] = left
    assert found == {}


def test_the_second_crawl_asks_only_for_what_is_new_or_changed(crawled):
    first, second = crawled.reports
    assert first["totals"]["changed"] == 0
    assert second["totals"]["fetched"] < first["totals"]["fetched"] / 2
    asked = second["totals"]
    assert asked["new"] + asked["changed"] + asked["unchanged"] == asked["fetched"]


def test_counts_of_a_report_add_up(crawled):
    for report in crawled.reports:
        for site in report["sites"]:
            kept = {k: n for k, n in site["skipped"].items() if not k.startswith("refused:")}
            no_links = kept.pop("not_article", 0) + kept.pop("foreign_host", 0)
            done = site["fetched"] + site["not_modified"] + site["failed"] + sum(kept.values())
            assert site["discovered"] == done, (site, no_links)


def test_an_edit_is_a_revision_that_names_what_changed(crawled):
    url = crawled.newsroom.special["edited"]
    [edit] = crawled.rows(f"SELECT * FROM edits WHERE url = '{url}'")
    assert edit["change"] == ["body"]
    assert "three corvettes" in edit["previous_body"]
    assert "five corvettes" in edit["article_body"]


def test_a_figure_that_was_changed_is_told_with_its_sentence_before_and_after(crawled):
    url = crawled.newsroom.special["edited"]
    changed = (
        "SELECT s.* FROM (SELECT url, kinds, unnest(sentences) AS s FROM edits) "
        f"WHERE url = '{url}' AND list_contains(kinds, 'numbers')"
    )
    [one] = crawled.rows(changed)
    assert (one["part"], one["kinds"]) == ("body", ["numbers"])
    assert (one["words_before"], one["words_after"]) == (["three"], ["five"])
    assert one["before"].startswith("The Lathen shipyard will build three corvettes")
    assert one["after"] == one["before"].replace("three", "five")
    [first, _] = crawled.rows(f"SELECT recorded_at FROM revisions WHERE url = '{url}' ORDER BY 1")
    then = crawled.json("query", changed, "--as-of", first["recorded_at"])
    assert then["rows"] == []


def test_cosmetic_changes_make_no_revision(crawled):
    url = crawled.newsroom.special["cosmetic"]
    rows = crawled.rows(f"SELECT revision FROM revisions_all WHERE url = '{url}'")
    assert [row["revision"] for row in rows] == [1]
    verdicts = crawled.rows(f"SELECT verdict FROM captures WHERE url = '{url}' ORDER BY fetched_at")
    assert [row["verdict"] for row in verdicts] == ["new", "unchanged"]


def test_an_article_that_falls_off_its_feed_stays_as_it_was(crawled, articles):
    fallen = crawled.newsroom.special["fallen"]
    [row] = [row for row in articles.values() if row["url"] == fallen]
    assert row["revision"] == 1


def test_one_text_on_three_sites_is_one_cluster_with_one_original(crawled):
    urls = crawled.newsroom.special["copied_story"]
    listed = ", ".join(f"'{url}'" for url in urls)
    rows = crawled.rows(
        f"SELECT cluster_id, cluster_relation FROM articles WHERE url IN ({listed})"
    )
    assert len({row["cluster_id"] for row in rows}) == 1
    assert sorted(row["cluster_relation"] for row in rows) == ["exact", "exact", "original"]
    assert crawled.reports[0]["totals"]["duplicates"] == 2
    [cluster] = crawled.rows("SELECT * FROM clusters WHERE members > 1")
    assert (cluster["members"], cluster["independent_sources"]) == (3, 1)
    assert (cluster["original_by"], cluster["first_sites"]) == (
        "earliest", [cluster["original_site"]],
    )  # fmt: skip
    assert {one["url"] for one in cluster["member_articles"]} == set(urls)


def test_the_original_is_the_copy_that_was_published_first_whoever_was_fetched_first(crawled):
    listed = ", ".join(f"'{url}'" for url in crawled.newsroom.special["copied_story"])
    rows = crawled.rows(
        "SELECT cluster_relation FROM articles "
        f"WHERE url IN ({listed}) ORDER BY date_published, cluster_relation"
    )
    assert [row["cluster_relation"] for row in rows] == ["original", "exact", "exact"]


def test_a_redirect_is_recorded_and_its_article_stored_once(crawled):
    special = crawled.newsroom.special
    old, new = special["redirect"], special["redirect_target"]
    hops = crawled.rows(f"SELECT status, verdict FROM captures WHERE url = '{old}'")
    assert {"status": 301, "verdict": "discovery"} in hops
    assert len(crawled.rows(f"SELECT 1 AS one FROM articles WHERE url = '{new}'")) == 1


def test_a_story_that_moved_keeps_its_id_and_takes_the_new_address(crawled):
    old, new = crawled.newsroom.special["moved"]
    rows = crawled.rows(
        f"SELECT article_id, canonical_url FROM revisions_all WHERE url IN ('{old}', '{new}')"
    )
    assert len({row["article_id"] for row in rows}) == 1
    [article] = crawled.rows(f"SELECT url, revision FROM articles WHERE url = '{new}'")
    assert article["revision"] == 1
    asked = crawled.rows(f"SELECT status FROM captures WHERE url = '{old}' AND status = 301")
    assert asked == [{"status": 301}]


@pytest.mark.parametrize("kind", ["missing", "soft_404", "forbidden"])
def test_what_is_no_article_is_not_stored(crawled, kind):
    url = crawled.newsroom.special[kind]
    assert crawled.rows(f"SELECT 1 AS one FROM articles WHERE url = '{url}'") == []


def test_a_soft_404_is_refused_with_its_reason(crawled):
    url = crawled.newsroom.special["soft_404"]
    rows = crawled.rows(f"SELECT verdict FROM captures WHERE requested_url = '{url}'")
    assert rows[0] == {"verdict": "refused:soft_404"}


def test_what_robots_txt_forbids_is_never_asked_for(crawled):
    forbidden = _path(crawled.newsroom.special["forbidden"])
    assert all(_path(request.path) != forbidden for request in crawled.newsroom.requests)
    assert crawled.reports[0]["totals"]["skipped"]["robots"] == 1


def test_an_article_that_is_gone_stays_with_its_last_state(crawled):
    url = crawled.newsroom.special["gone"]
    [row] = crawled.rows(f"SELECT revision, article_body FROM articles WHERE url = '{url}'")
    assert row["revision"] == 1
    assert row["article_body"]
    [last] = crawled.rows(
        f"SELECT status, verdict FROM captures WHERE url = '{url}' ORDER BY fetched_at DESC LIMIT 1"
    )
    assert last == {"status": 410, "verdict": "failed:http_410"}


def test_a_third_crawl_of_an_unchanged_newsroom_changes_nothing(installation):
    installation.crawl()
    installation.newsroom.forget_requests()
    again = installation.crawl()
    totals = again["totals"]
    assert (totals["new"], totals["changed"], totals["fetched"]) == (0, 0, 0)
    asked = [r for r in installation.newsroom.requests if "robots.txt" not in r.path]
    assert asked
    assert {request.status for request in asked} == {304}


def test_limit_leaves_the_rest_pending_and_the_next_crawl_takes_it(installation):
    first = installation.json("crawl", "fjord_monitor", "--limit", "4")
    assert first["totals"]["new"] == 4
    assert first["totals"]["skipped"]["limit"] == 8
    second = installation.crawl("fjord_monitor")
    assert second["totals"]["new"] == 8


def test_a_dry_run_says_what_it_would_ask_for_and_stores_nothing(installation):
    said = installation.json("crawl", "harbour_gazette", "--dry-run")
    [site] = said["sites"]
    assert len(site["would_ask"]) >= 12
    assert {ask["reason"] for ask in site["would_ask"]} == {"new"}
    assert not (installation.folder / "lake").exists()
    assert not (installation.folder / "state").exists()


def test_recrawl_fetches_now_and_tells_new_changed_and_unchanged(installation):
    newsroom = installation.newsroom
    edited = newsroom.special["edited"]
    say = lambda: installation.json("recrawl", edited)["results"][0]  # noqa: E731
    assert say()["outcome"] == "new"
    assert say()["outcome"] == "unchanged"
    newsroom.state = 2
    changed = say()
    assert (changed["outcome"], changed["revision"]) == ("changed", 2)


def test_recrawl_of_an_address_that_no_site_claims_fails_with_advice(installation):
    done = installation.run("recrawl", "http://127.0.0.1:9/story", "--json", check=False)
    assert done.returncode == 1
    assert "sites add" in done.stdout


def test_recrawl_reads_addresses_from_standard_input(installation):
    url = installation.newsroom.special["edited"]
    said = installation.json("recrawl", "-", stdin=f"{url}\n\n")
    assert [one["url"] for one in said["results"]] == [url]


def test_all_crawls_the_sites_whose_files_are_right_and_names_the_one_that_is_wrong(installation):
    sites = installation.folder / "sites"
    for file in sites.glob("*.toml"):
        if file.stem != "fjord_monitor":
            file.unlink()
    (sites / "broken.toml").write_text('publisher = "Broken"\nhomes = "x"\n')
    # The bundled sites are real ones: here they are files of the same name that nobody serves.
    for name in ("breaking_defense", "defence_redefined", "naval_news"):
        text = (sites / "fjord_monitor.toml").read_text()
        (sites / f"{name}.toml").write_text(text)
    done = installation.run("crawl", "--all", "--json", check=False)
    assert done.returncode == 1
    report = {site["site"]: site for site in json.loads(done.stdout)["sites"]}
    assert report["fjord_monitor"]["new"] == 12
    [error] = report["broken"]["errors"]
    assert error["url"].endswith("broken.toml")
    assert "did you mean 'home'" in error["error"]
