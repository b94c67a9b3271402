"""What a run knows before it commits, and what the state knows after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.model import Revision
from pipelines.state import State
from pipelines.state_tables import ArticleState
from tests.pipelines.conftest import MORNING

FIRST, SECOND = "warc/2024/05/r-1.warc.gz", "warc/2024/05/r-2.warc.gz"


@pytest.fixture
def ledger(lake: Lake, state_url: str) -> Iterator[Ledger]:
    state = State.open(state_url)
    yield Ledger(lake, state)
    state.close()


def _add(ledger: Ledger, revision: Revision, warc_path: str, **state: Any) -> ArticleState:
    location = replace(revision.location, warc_path=warc_path)
    revision = replace(revision, location=location)
    known = ArticleState(
        **{
            "article_id": revision.article_id,
            "site": revision.article.site,
            "canonical_url": revision.canonical_url,
            "url": revision.article.url,
            "revision": revision.revision,
            "content_hash": revision.article.content_hash,
            "word_count": 80,
            "cluster_id": revision.article_id,
            "cluster_relation": "original",
            "first_seen": revision.first_seen,
            **state,
        }
    )
    ledger.add_revision(revision, article=known)
    return known


def test_an_article_changed_twice_in_one_run_is_known_by_its_last_version(ledger, story):
    one, two = story(1), story(1, revision=2)
    _add(ledger, one, FIRST)
    _add(ledger, two, SECOND)
    assert ledger.current(one.article_id).revision == 2
    for path in (FIRST, SECOND):
        ledger.commit(path, now=MORNING)
        ledger.forget(path)
        assert ledger.current(one.article_id).revision == 2
        found = ledger.article(one.article_id)
        assert found is not None
        assert found.revision == 2


def test_an_address_that_is_committed_before_its_article_leads_to_it(ledger, story):
    """The short link lies in the first file, the version that it led to in the second."""
    one = story(1)
    ledger.add_aliases(FIRST, "s", ["https://x.example/go/1"], one.article_id)
    _add(ledger, one, SECOND)
    for path in (FIRST, SECOND):
        found = ledger.article_at("s", "https://x.example/go/1")
        assert found is not None
        assert found.article_id == one.article_id
        ledger.commit(path, now=MORNING)
        ledger.forget(path)


def test_what_is_not_committed_is_not_in_the_state(ledger, story):
    one = story(1)
    _add(ledger, one, FIRST)
    ledger.add_aliases(FIRST, "s", ["https://x.example/1"], one.article_id)
    ledger.add_claim(FIRST, "s", "https://x.example/named", one.article_id)
    assert ledger.state.article_at("s", "https://x.example/1") is None
    assert [a.article_id for a in ledger.claimants("s", "https://x.example/named")] == [
        one.article_id
    ]
    ledger.forget(FIRST)
    assert ledger.article_at("s", "https://x.example/1") is None
    assert ledger.claimants("s", "https://x.example/named") == []


def test_a_batch_is_marked_when_it_is_in_lake_and_state(ledger, story):
    _add(ledger, story(1), FIRST)
    assert ledger.state.batches() == set()
    ledger.commit(FIRST, now=MORNING)
    assert ledger.state.batches() == {FIRST}


def test_followers_are_counted_once_wherever_they_are_known(ledger, story):
    head = _add(ledger, story(1), FIRST)
    _add(ledger, story(2), FIRST, cluster_id=head.article_id, cluster_relation="exact")
    ledger.commit(FIRST, now=MORNING)
    assert ledger.followers(head) == 1  # known twice: in the state, and not yet forgotten
    ledger.forget(FIRST)
    _add(ledger, story(3), SECOND, cluster_id=head.article_id, cluster_relation="exact")
    assert ledger.followers(head) == 2
