"""The bundled newsroom's pages, as they come over the wire, against its own truth."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.extraction import extract
from crawler.site import Site, read_site
from fixtures.newsroom import Newsroom
from fixtures.newsroom.truth import Expected
from pipelines.model import Article

FIELDS = ("headline", "description", "authors", "article_body", "in_language", "date_published")
SITES = (
    "harbour_gazette",
    "meridian_defence",
    "northwall_news",
    "granit_bulletin",
    "fjord_monitor",
)


@pytest.fixture(scope="module")
def newsroom() -> Iterator[Newsroom]:
    with Newsroom(state=1) as running:
        yield running


def articles(
    newsroom: Newsroom, name: str, folder: Path
) -> Iterator[tuple[Expected, Article, Site]]:
    newsroom.write_site_files(folder)
    site = read_site(folder / f"{name}.toml")
    for expected in newsroom.expected(name):
        with urllib.request.urlopen(expected.url) as response:  # noqa: S310 - loopback only
            html, headers = response.read(), dict(response.headers)
        yield expected, extract(html, expected.url, site=site, headers=headers), site


@pytest.mark.parametrize("name", SITES)
def test_every_page_gives_the_article_that_the_newsroom_wrote(
    newsroom: Newsroom, name: str, tmp_path: Path
) -> None:
    wrong = [
        (expected.url, field, getattr(expected, field), getattr(article, field))
        for expected, article, _ in articles(newsroom, name, tmp_path)
        for field in FIELDS
        if getattr(expected, field) != getattr(article, field)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", SITES)
def test_no_line_of_noise_is_in_a_body_and_every_page_says_what_was_removed(
    newsroom: Newsroom, name: str, tmp_path: Path
) -> None:
    for expected, article, _ in articles(newsroom, name, tmp_path):
        assert set(article.article_body.splitlines()).isdisjoint(expected.noise)
        assert article.removed_blocks
        assert article.refusal is None


@pytest.mark.parametrize("name", SITES)
def test_related_links_are_other_stories_of_the_same_site(
    newsroom: Newsroom, name: str, tmp_path: Path
) -> None:
    for expected, article, site in articles(newsroom, name, tmp_path):
        assert all(site.owns(link.url) and link.text for link in article.related_links)
        assert expected.url not in {link.url for link in article.related_links}


def test_source_and_zone_of_each_date_are_the_newsrooms(newsroom: Newsroom, tmp_path: Path) -> None:
    for name in SITES:
        for expected, article, _ in articles(newsroom, name, tmp_path):
            # What only the feed states is not on the page.
            if expected.date_published_source not in ("feed", "sitemap"):
                assert article.date_published_source == expected.date_published_source
                assert article.time_zone_assumed == expected.time_zone_assumed
