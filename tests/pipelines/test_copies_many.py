"""Many texts: in any batches and any order the same, after a loss too, and never slow."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from datetime import timedelta
from itertools import combinations

import pytest
import sqlalchemy as sa

from pipelines.copy_rebuild import index_again
from pipelines.copy_tables import put_texts
from pipelines.ledger import Ledger
from pipelines.state import COPIES, State
from pipelines.state_tables import (
    SCHEMA_VERSION,
    article_state,
    articles,
    copy_keys,
    copy_texts,
)
from tests.living_site import paragraphs
from tests.pipelines.copy_desk import BEGAN, Desk, Story
from tests.pipelines.copy_texts import LANGUAGES, reworded

ENGLISH = LANGUAGES["en"]
SITES = ("gazette", "courier", "beacon", "ledger", "tide")
UNDER = {site: " ".join(paragraphs(900 + n)[0].split()) for n, site in enumerate(SITES)}


def told(n: int) -> str:
    return "\n\n".join(paragraphs(n))


def copies_of(n: int) -> list[str]:
    """Return a story and what others made of it: whole, reworded, cut, shortened, with more."""
    text, parts = told(n), paragraphs(n)
    return [
        text,
        f"PORT {n} (Coastal Wire) — {text}",
        reworded(text, every=14),
        "\n\n".join(parts[:3]),
        "\n\n".join(parts[:5]),
        f"{text}\n\n{paragraphs(500 + n)[2]}",
    ]


def newsday(stories: int) -> list[Story]:
    """Return stories and copies on five sites, each with its closing words, and texts of two."""
    day = [
        Story(name=f"s{n}c{i}", text=text, site=SITES[(n + i) % len(SITES)])
        for n in range(stories)
        for i, text in enumerate(copies_of(n))
    ]
    day += [
        Story(name=f"both{n}", text=f"{told(n)}\n\n{told(n + 1)}", site=SITES[n % 5])
        for n in range(0, stories - 1, 5)
    ]
    random.Random(3).shuffle(day)  # noqa: S311 - an order, no secret
    return [
        Story(name=one.name, text=f"{one.text}\n\n{UNDER[one.site]}", site=one.site) for one in day
    ]


def pairs(groups: Iterable[Iterable[str]]) -> set[tuple[str, str]]:
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def assigned(desk: Desk) -> dict[str, tuple[str, str]]:
    names = desk.names
    return {
        name: (names[article.cluster_id], article.cluster_relation)
        for name, article in desk.articles().items()
    }


def test_copies_are_found_and_stories_are_kept_apart(tmp_path):
    desk = Desk(tmp_path)
    desk.take_all(newsday(20))
    right = pairs([f"s{n}c{i}" for i in range(6)] for n in range(20))
    found = pairs(desk.groups())
    assert len(found & right) >= 0.97 * len(right)
    assert found <= right


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.soak), 7, 1_000])
def test_other_batches_give_the_same_assignments(tmp_path, batch):
    stories = newsday(6)
    one, other = Desk(tmp_path / "one"), Desk(tmp_path / "other")
    one.take_all(stories, batch=20)
    other.take_all(stories, batch=batch)
    assert assigned(one) == assigned(other)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_other_orders_give_the_same_stories(tmp_path, seed):
    stories = newsday(16)
    one, other = Desk(tmp_path / "one"), Desk(tmp_path / "other")
    one.take_all(stories)
    if seed:
        random.Random(seed).shuffle(stories)  # noqa: S311 - an order, no secret
    else:
        stories.reverse()
    other.take_all(stories)
    mine, theirs = (pairs(desk.groups()) for desk in (one, other))
    assert len(mine & theirs) >= 0.99 * len(mine | theirs)


def test_another_process_finds_what_the_last_one_put_down(tmp_path):
    stories = newsday(6)
    one, other = Desk(tmp_path / "one"), Desk(tmp_path / "other")
    one.take_all(stories)
    other.take_all(stories[:20], batch=20)
    other.forget_texts()
    other.take_all(stories[20:])
    assert assigned(one) == assigned(other)


def test_an_index_made_again_from_the_lake_finds_what_the_lost_one_would_have(tmp_path):
    stories = newsday(6)
    one, other = Desk(tmp_path / "one"), Desk(tmp_path / "other")
    one.take_all(stories)
    other.take_all(stories[:20], batch=20)
    with other.state.transaction() as transaction:
        transaction.empty(copy_keys)
        transaction.empty(copy_texts)
        transaction.drop_note(COPIES)
    other.forget_texts()
    index_again(other.ledger, [])
    assert other.state.note(COPIES)
    other.take_all(stories[20:])
    assert assigned(one) == assigned(other)


def test_an_index_of_another_algorithm_is_made_anew(tmp_path, monkeypatch):
    desk = Desk(tmp_path)
    desk.take_all([Story(name="first", text=told(1))], batch=1)
    index_again(desk.ledger, [])
    before = list(desk.state.rows(copy_keys))
    monkeypatch.setattr("pipelines.copy_rebuild.PARAMETERS", "another")
    index_again(Ledger(desk.lake, desk.state), [])
    assert desk.state.note(COPIES) == "another"
    assert list(desk.state.rows(copy_keys)) == before


def test_a_state_of_the_first_schema_finds_copies_of_what_it_had(tmp_path, state_url):
    desk = Desk(tmp_path, state=state_url)
    desk.take_all([Story(name="first", text=told(1))], batch=1)
    engine = sa.create_engine(state_url)
    with engine.begin() as connection:
        for what in (
            "INDEX articles_by_number",
            "INDEX articles_by_text_seen",
            "TABLE copy_keys",
            "TABLE copy_texts",
        ):
            connection.execute(sa.text(f"DROP {what}"))
        connection.execute(sa.text("DELETE FROM meta WHERE key = 'copies'"))
        connection.execute(sa.text("ALTER TABLE articles DROP COLUMN number"))
    engine.dispose()
    desk.state.set_note("schema_version", "1")
    desk.state.close()
    desk.state = State.open(state_url)
    desk.forget_texts()
    assert desk.state.note("schema_version") == str(SCHEMA_VERSION)
    index_again(desk.ledger, [])
    desk.take_all([Story(name="edited", text=reworded(told(1), every=14))], batch=1)
    assert desk.groups() == [["edited", "first"]]


def test_of_the_texts_that_are_kept_the_oldest_goes_first(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.copy_tables.TEXTS_KEPT", 3)
    desk = Desk(tmp_path)
    for names in ("ab", "cd"):
        with desk.state.transaction() as transaction:
            put_texts(transaction, dict.fromkeys(names, ("hash", b"text")))
    assert {row["article_id"] for row in desk.state.rows(copy_texts)} == set("bcd")


def test_a_story_with_many_copies_stays_whole_and_takes_no_more_room_with_each(tmp_path):
    desk = Desk(tmp_path)
    desk.take_all([Story(name="first", text=ENGLISH.text)], batch=1)
    kept = len(list(desk.state.rows(copy_keys)))
    started = time.process_time()
    desk.take_all(
        [
            Story(name=f"c{n}", text=f"PORT {n} — {ENGLISH.text}\n\nSeen by {n} readers.")
            for n in range(500)
        ],
        batch=500,
    )
    assert time.process_time() - started < 15
    assert len(desk.groups()[0]) == 501
    assert len(list(desk.state.rows(copy_keys))) < 20 * kept
    assert {article_state(row).cluster_id for row in desk.state.rows(articles)} == {
        article.cluster_id for article in desk.articles().values()
    }


def test_a_site_whose_clock_is_a_year_off_changes_who_is_first_and_joins_nothing_else(tmp_path):
    desk = Desk(tmp_path)
    year = timedelta(days=365)
    desk.take_all(
        [
            Story(name="first", text=ENGLISH.text, published=BEGAN),
            Story(name="ahead", text=f"{ENGLISH.text} More soon.", published=BEGAN + year),
            Story(
                name="behind",
                text=f"{ENGLISH.text} More to come.",
                published=BEGAN - year,
                flags=("clock",),
            ),
            Story(name="other", text=told(1), published=BEGAN + year),
        ]
    )
    assert desk.groups() == [["ahead", "behind", "first"]]
    assert desk.relation_of("first") == "original"


@pytest.mark.parametrize("text", ["word", "", "\x00\ufeff\u200b", "— — —", "word " * 39])
def test_what_is_hardly_a_text_is_taken_and_joins_nothing(tmp_path, text):
    desk = Desk(tmp_path)
    desk.take_all([Story(name="one", text=text), Story(name="two", text=text)], batch=2)
    assert desk.groups() == []


@pytest.mark.parametrize("text", ["word " * 100_000, "三艘船" * 30_000, "a" * 500_000])
def test_what_repeats_itself_for_ever_is_taken_at_once(tmp_path, text):
    desk = Desk(tmp_path)
    started = time.process_time()
    desk.take_all([Story(name="one", text=text), Story(name="two", text=f"{text} and an end")])
    assert time.process_time() - started < 5


@pytest.mark.soak
def test_ten_thousand_identical_pages_are_one_cluster_and_never_slow(tmp_path):
    desk = Desk(tmp_path)
    started = time.process_time()
    for n in range(10_000):
        desk.take(Story(name=f"p{n}", text=ENGLISH.text, site=SITES[n % 5]))
        if n % 2_000 == 1_999:
            desk.commit()
    assert time.process_time() - started < 300
    assert len({article.cluster_id for article in desk.articles().values()}) == 1


@pytest.mark.soak
def test_texts_of_a_million_words_are_compared_by_their_beginning(tmp_path):
    long = "\n\n".join(told(n) for n in range(7_000))
    desk = Desk(tmp_path)
    started = time.process_time()
    desk.take_all([Story(name="one", text=long), Story(name="two", text=f"PORT — {long}")], batch=2)
    assert time.process_time() - started < 60
    assert desk.groups() == [["one", "two"]]
