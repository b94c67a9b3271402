"""The state: an index that many may read, one may write, and that belongs to one lake."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from crawler.run import open_lake_and_state
from crawler.settings import Settings
from pipelines.errors import StateError
from pipelines.hints import merged_hints
from pipelines.model import Hints, Kind, Link
from pipelines.state import State
from pipelines.state_tables import LinkState, Listed
from pipelines.transaction import Transaction

NOW = datetime(2024, 5, 6, 8, 15, 1, 250_000, tzinfo=UTC)


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    state = State.open(state_url)
    yield state
    state.close()


def _link(key: str, **changes: object) -> LinkState:
    hints = Hints(source="feed", headline="Φρεγάτα — «Кораблі» 🚢", authors=("Ί. Ω.",))
    link = Link(url=key, found_at="https://x.example/feed/", kind=Kind.ARTICLE, hints=hints)
    said = {"https://x.example/feed/": Listed(modified="2024-05-06", headline="Φρεγάτα")}
    data = {"site": "s", "url_key": key, "link": link, "status": "pending", "listed": said,
            "first_seen": NOW, **changes}  # fmt: skip
    return LinkState(**data)


@pytest.mark.parametrize(
    "key",
    ["https://x.example/a", "https://x.example/ναυτικό/", "https://x.example/" + "long-" * 800],
    ids=["plain", "Greek", "4,000 characters"],
)
def test_a_link_comes_back_as_it_was_put_down(state, key):
    link = _link(key)
    with state.transaction() as transaction:
        transaction.put_links([link])
    assert state.links("s", [key, "https://x.example/other"]).keys() == {key}
    found = state.link("s", key)
    assert found is not None
    assert (found.link, found.listed, found.first_seen) == (link.link, link.listed, NOW)
    assert [one.link.url for one in state.pending_links("s")] == [key]


def test_a_title_cut_in_the_middle_of_an_emoji_is_kept(state):
    link = Link(url="https://x.example/a", found_at="x", kind=Kind.ARTICLE,
                hints=Hints(headline="cut \ud83d"))  # fmt: skip
    with state.transaction() as transaction:
        transaction.put_links([_link(link.url, link=link)])
    found = state.link("s", link.url)
    assert found is not None
    assert found.link.hints == link.hints


def test_long_addresses_that_begin_alike_are_told_apart(state):
    keys = ["https://x.example/" + "long-" * 800 + end for end in "ab"]
    with state.transaction() as transaction:
        transaction.put_aliases("s", dict(zip(keys, ("one", "two"), strict=True)))
    assert [state.article_id_at("s", key) for key in keys] == ["one", "two"]


def test_a_transaction_holds_whole_or_not_at_all(state):
    bad = _link("https://x.example/b", status=None)  # which no column takes
    with pytest.raises(StateError), state.transaction() as transaction:
        _put_one_by_one(transaction, _link("https://x.example/a"), bad)
    assert state.pending_links("s") == []


def _put_one_by_one(transaction: Transaction, *links: LinkState) -> None:
    for link in links:
        transaction.put_links([link])


def test_a_database_that_another_program_holds_is_an_error_with_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.state.BUSY_MILLISECONDS", 50)
    state = State.open(f"sqlite:///{tmp_path}/sitrep.db")
    other = sqlite3.connect(tmp_path / "sitrep.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateError, match="locked") as raised, state.transaction() as transaction:
        transaction.put_links([_link("https://x.example/a")])
    assert "sitrep.db" in str(raised.value)
    other.execute("ROLLBACK")
    other.close()


def test_what_is_no_database_is_an_error_with_its_name(tmp_path):
    (tmp_path / "sitrep.db").write_text("these are not the pages you are looking for" * 30)
    with pytest.raises(StateError, match="cannot be opened"):
        State.open(f"sqlite:///{tmp_path}/sitrep.db")


def test_a_state_of_another_lake_is_refused_and_nothing_is_written(tmp_path, state_url):
    first = Settings(lake=str(tmp_path / "one"), state=state_url)
    open_lake_and_state(first)[1].close()
    other = first.model_copy(update={"lake": str(tmp_path / "two")})
    with pytest.raises(StateError, match="not there"):
        open_lake_and_state(other)
    assert not (tmp_path / "two").exists()
    fresh = other.model_copy(update={"state": f"sqlite:///{tmp_path}/two.db"})
    open_lake_and_state(fresh)[1].close()
    with pytest.raises(StateError, match="another lake"):
        open_lake_and_state(other)


def test_a_state_of_a_newer_program_is_refused(state_url, state):
    state.set_note("schema_version", "99")
    with pytest.raises(StateError, match="newer"):
        State.open(state_url)


def test_what_is_cleared_is_empty_and_still_the_state_of_its_lake(state):
    state.belongs_to("a lake")
    with state.transaction() as transaction:
        transaction.put_links([_link("https://x.example/a")])
        transaction.put_batch("warc/2024/05/r-1.warc.gz")
    state.clear()
    assert (state.pending_links("s"), state.batches()) == ([], set())
    assert state.note("lake_id") == "a lake"


def test_the_better_source_speaks_and_what_is_gone_stays():
    listing = Hints(source="listing", headline="Cut to f…", date_published="6 May")
    feed = Hints(source="feed", headline="Cut to fit the page", authors=("A. B.",))
    for one, other in ((listing, feed), (feed, listing)):
        merged = merged_hints(one, other)
        assert (merged.headline, merged.authors) == (feed.headline, feed.authors)
        assert (merged.date_published, merged.source) == ("6 May", "listing")
    newer = Hints(source="feed", headline="Another title")
    assert merged_hints(feed, newer).headline == "Another title"
    assert merged_hints(feed, newer).authors == ("A. B.",)
