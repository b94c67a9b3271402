"""A page that hangs, eats memory or crashes its worker costs that page alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.installation import Installation
from tests.living_site import Answer, LivingSite, settle_in, story

SICK = {
    "hangs-for-ever": "failed:extraction_timeout",
    "hangs-in-c": "failed:extraction_timeout",
    "allocates-without-end": "failed:extraction_memory",
    "crashes-the-parser": "failed:extraction_crash",
}
HEALTHY = range(1, 21)


@dataclass
class Crawled:
    installation: Installation
    site: LivingSite
    report: dict[str, Any]

    def verdicts(self, path: str) -> list[str]:
        url = self.site.url(path)
        rows = self.installation.rows(
            f"SELECT verdict FROM captures WHERE url = '{url}' ORDER BY fetched_at"
        )
        return [row["verdict"] for row in rows]


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    """Twenty good pages with sick ones between them, and pages made to trip a parser."""
    with LivingSite() as site:
        for n in HEALTHY:
            site.put(story(n))
            if n % 5 == 0:
                word = list(SICK)[n // 5 - 1]
                site.put(story(100 + n, path=f"/2024/05/{word}/", extra=f"<p>{word}</p>"))
        site.put(story(201, path="/2024/05/links/"), story(202, path="/2024/05/nested/"))
        site.answers["/2024/05/links/"] = Answer(body=within(b"<p><a>" * (2_000_000 // 6)))
        site.answers["/2024/05/nested/"] = Answer(body=within(b"<div>" * 10_000))
        installation = settle_in(tmp_path_factory.mktemp("sick"), site)
        done = installation.run(
            "crawl", site.name, "--json", module="tests.sick_extractor", check=False
        )
        assert "Traceback" not in done.stderr
        [report] = json.loads(done.stdout)["sites"]
        yield Crawled(installation, site, report)


def within(markup: bytes) -> bytes:
    return b"<!doctype html><title>A title that says little</title><body>" + markup


def test_the_other_pages_of_the_crawl_are_stored(crawled):
    rows = crawled.installation.rows("SELECT url FROM articles")
    assert {row["url"] for row in rows} == {crawled.site.url(story(n).path) for n in HEALTHY}
    assert crawled.report["new"] == len(HEALTHY)


@pytest.mark.parametrize("word", SICK)
def test_a_page_that_a_worker_gave_up_on_has_its_verdict_and_is_reported(crawled, word):
    assert crawled.verdicts(f"/2024/05/{word}/") == [SICK[word]]
    errors = {one["url"]: one["error"] for one in crawled.report["errors"]}
    assert errors[crawled.site.url(f"/2024/05/{word}/")].startswith("extraction_")


@pytest.mark.parametrize("name", ["links", "nested"])
def test_markup_without_end_costs_that_page_alone(crawled, name):
    """It may be read, refused or given up; it is in the archive, with a verdict."""
    [verdict] = crawled.verdicts(f"/2024/05/{name}/")
    assert verdict.startswith(("refused:", "failed:extraction_"))


def test_what_was_given_up_is_in_the_archive_and_a_healthy_extractor_stores_it(crawled):
    installation, url = crawled.installation, crawled.site.url("/2024/05/crashes-the-parser/")
    assert list(crawled.installation.run("doctor").stderr.splitlines()) == []
    [said] = installation.json("recrawl", url)["results"]
    assert (said["outcome"], said["revision"]) == ("new", 1)
