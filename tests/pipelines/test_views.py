"""The views that an analyst asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from duckdb import DuckDBPyConnection

from pipelines.lake import Lake
from pipelines.model import Batch, Relation, Revision
from pipelines.publish import publish
from pipelines.schema import ARTICLES, CAPTURES, RELATIONS, REVISIONS, RUNS
from pipelines.views import connect as connecting

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
NOON_AFTER = NOW + timedelta(days=1)

Story = Callable[..., Revision]
BatchOf = Callable[..., Batch]

VIEWS = (
    "articles",
    "revisions",
    "revisions_all",
    "captures",
    "relations",
    "clusters",
    "edits",
    "removed_blocks",
    "runs",
)


_open = ExitStack()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    with _open:
        yield


def connect(lake: Lake | None, *, as_of: datetime | None = None) -> DuckDBPyConnection:
    """Connect until the test's end."""
    return _open.enter_context(connecting(lake, as_of=as_of))


@pytest.fixture
def edited(lake: Lake, story: Story, batch_of: BatchOf) -> Lake:
    copy = Relation(article_id="story-00001", cluster_id="story-00000", relation="exact")
    first = [story(0), story(1, site="sea_herald"), story(2)]
    lake.commit(batch_of("r-0", first, relations=[copy]), now=NOW)
    later = [story(2, revision=2), story(0, extraction=2)]
    lake.commit(batch_of("r-1", later), now=NOW + timedelta(hours=1))
    publish(lake, now=NOW)
    return lake


def _shape(lake: Lake | None) -> dict[str, list[tuple[str, str]]]:
    connection = connect(lake)
    found = {name: connection.table(name) for name in VIEWS}
    return {
        name: [(column, str(kind)) for column, kind in zip(one.columns, one.types, strict=True)]
        for name, one in found.items()
    }


def test_every_view_is_there_on_an_empty_lake_with_its_columns(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    empty = _shape(lake)
    assert empty == _shape(None)
    for name in VIEWS:
        assert connect(lake).table(name).fetchall() == []
    for name, schema in {
        "articles": ARTICLES,
        "revisions_all": REVISIONS,
        "captures": CAPTURES,
        "relations": RELATIONS,
        "runs": RUNS,
    }.items():
        assert [column for column, _ in empty[name]] == schema.names
    relation = Relation(article_id="story-00001", cluster_id="story-00000", relation="exact")
    lake.commit(batch_of("r-0", [story(1)], relations=[relation]), now=NOW)
    lake.add_run({"run_id": "r", "started_at": NOW, "finished_at": NOW})
    publish(lake, now=NOW)
    assert _shape(lake) == empty


def test_articles_are_there_before_the_first_publish(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    lake.commit(batch_of("r-0", [story(1)]), now=NOW)
    assert connect(lake).sql("SELECT article_id FROM articles").fetchall() == [("story-00001",)]


def test_revisions_shows_the_newest_extraction_of_each(edited: Lake) -> None:
    connection = connect(edited)
    sql = "SELECT article_id, revision, extraction FROM {} ORDER BY ALL"
    assert connection.sql(sql.format("revisions")).fetchall() == [
        ("story-00000", 1, 2),
        ("story-00001", 1, 1),
        ("story-00002", 1, 1),
        ("story-00002", 2, 1),
    ]
    assert len(connection.sql(sql.format("revisions_all")).fetchall()) == 5


def test_as_of_shows_articles_as_a_publish_would_have_made_them_then(
    edited: Lake,
) -> None:
    sql = "SELECT article_id, revision, extraction FROM articles ORDER BY 1"
    then = connect(edited, as_of=NOW + timedelta(minutes=59)).sql(sql).fetchall()
    assert then == [("story-00000", 1, 1), ("story-00001", 1, 1), ("story-00002", 1, 1)]
    before = connect(edited, as_of=NOW - timedelta(seconds=1))
    assert [before.table(name).fetchall() for name in ("articles", "edits")] == [
        [],
        [],
    ]
    now = connect(edited, as_of=NOW + timedelta(days=1))
    everything = "SELECT * FROM articles ORDER BY 1"
    assert now.sql(everything).fetchall() == connect(edited).sql(everything).fetchall()


def test_clusters_name_the_original_and_count_the_copies(edited: Lake) -> None:
    sql = "SELECT cluster_id, original_article_id, original_site, members, sites FROM clusters"
    assert connect(edited).sql(f"{sql} WHERE members > 1").fetchall() == [
        ("story-00000", "story-00000", "harbour_gazette", 2, ["harbour_gazette", "sea_herald"])
    ]


def test_edits_show_what_was_and_what_is(edited: Lake) -> None:
    ((article_id, was, now, change, before, after),) = (
        connect(edited)
        .sql(
            "SELECT article_id, previous_headline, headline, change, previous_body, article_body "
            "FROM edits"
        )
        .fetchall()
    )
    assert (article_id, change) == ("story-00002", ["body", "headline"])
    assert (was, now) == ("Φρεγάτα 2, telling 1", "Φρεγάτα 2, telling 2")
    assert before.endswith("telling 1.1.")
    assert after.endswith("telling 2.1.")


def _edits(lake: Lake, *, as_of: datetime | None = None) -> list[tuple[object, ...]]:
    sql = """
        SELECT article_id, revision, kinds, s.part, s.kinds, s.before, s.after
        FROM (SELECT *, unnest(sentences) AS s FROM edits) ORDER BY ALL
    """
    return connect(lake, as_of=as_of).sql(sql).fetchall()


def test_edits_tell_the_sentences_that_changed_and_how(edited: Lake) -> None:
    assert _edits(edited) == [
        (
            "story-00002", 2, ["headline", "numbers"], "body", ["numbers"],
            "This is telling 1.1.", "This is telling 2.1.",
        ),
        (
            "story-00002", 2, ["headline", "numbers"], "headline", ["numbers"],
            "Φρεγάτα 2, telling 1", "Φρεγάτα 2, telling 2",
        ),
    ]  # fmt: skip


def test_edits_of_then_are_those_that_were_known_then(
    edited: Lake, story: Story, batch_of: BatchOf
) -> None:
    known = _edits(edited)
    edited.commit(batch_of("r-2", [story(2, revision=3)]), now=NOON_AFTER)
    assert len(_edits(edited)) == 2 * len(known)
    assert _edits(edited, as_of=NOON_AFTER - timedelta(seconds=1)) == known
    assert _edits(edited, as_of=NOW) == []


def test_edits_look_only_where_the_publisher_changed_something(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    """The two versions of a text may come from two extractors, which is no edit."""
    lake.commit(batch_of("r-0", [story(1)]), now=NOW)
    second = story(1, revision=2)
    second = replace(
        second, change=("headline",), article=replace(second.article, extractor="0.2.0+abc")
    )
    lake.commit(batch_of("r-1", [second]), now=NOW + timedelta(hours=1))
    [(_, _, kinds, part, *_)] = _edits(lake)
    assert (kinds, part) == (["headline", "numbers"], "headline")
    sql = "SELECT is_same_extractor, previous_fetched_at < fetched_at FROM edits"
    assert connect(lake).sql(sql).fetchall() == [(False, True)]


def test_removed_blocks_name_article_text_and_rule(edited: Lake) -> None:
    sql = "SELECT article_id, text, rule, selector FROM removed_blocks ORDER BY 1"
    assert connect(edited).sql(sql).fetchall()[0] == (
        "story-00000",
        "Share",
        "share",
        "div.share",
    )


def test_times_are_in_utc(edited: Lake) -> None:
    sql = "SELECT recorded_at, recorded_at::VARCHAR FROM revisions_all ORDER BY 1 LIMIT 1"
    ((when, text),) = connect(edited).sql(sql).fetchall()
    assert when == NOW
    assert when.utcoffset() == timedelta(0)
    assert text == "2024-07-01 12:00:00+00"


def test_connection_never_fetches_an_extension(lake: Lake) -> None:
    sql = "SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%known_extensions'"
    assert dict(connect(lake).sql(sql).fetchall()) == {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
