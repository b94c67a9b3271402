"""The state on PostgreSQL: the same crawl, by URL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.newsroom import Newsroom
from tests import postgres
from tests.installation import install

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres.server() as url:
        yield url


def test_a_crawl_with_its_state_on_postgresql_gives_the_same_articles(
    tmp_path: Path, newsroom: Newsroom, url: str
):
    installation = install(tmp_path, newsroom, SITREP_STATE=url)
    first = installation.crawl()
    newsroom.state = 2
    second = installation.crawl()
    stored = {(row["site"], row["url"]) for row in installation.rows("FROM articles")}
    expected = {(e.site, e.url) for site in newsroom.sites for e in newsroom.expected(site)}
    assert stored == expected
    assert first["totals"]["duplicates"] == 2
    assert second["totals"]["changed"] >= 5
    assert installation.json("doctor")["ok"]
