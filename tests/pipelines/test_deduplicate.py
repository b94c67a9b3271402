"""Which cluster a text joins, and which of its copies is the original."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.deduplicate import relations_of
from pipelines.model import Article, RecordLocation, Revision
from pipelines.revise import first_revision
from pipelines.state_tables import ArticleState

NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)


def copy(name: str, published: datetime | None, *, precision: str = "minute", words: int = 80):
    article = Article(
        url=f"https://{name}.example/story",
        article_body="word " * words,
        word_count=words,
        date_published=published,
        date_published_precision=precision if published else None,
    )
    return first_revision(
        article,
        canonical_url=article.url,
        fetched_at=NOON + timedelta(hours=6),
        location=RecordLocation(warc_path="", warc_offset=0, warc_length=0, warc_record_id=name),
    )


def on_record(revision: Revision, *, cluster: str | None = None, relation: str = "original"):
    return ArticleState(
        article_id=revision.article_id,
        site="a",
        canonical_url=revision.canonical_url,
        url=revision.article.url,
        revision=1,
        content_hash="",
        word_count=revision.article.word_count,
        cluster_id=cluster or revision.article_id,
        cluster_relation=relation,
        date_published=revision.article.date_published,
        date_published_precision=revision.article.date_published_precision,
        first_seen=revision.first_seen,
    )


def told(relations, *revisions: Revision) -> list[tuple[str, str]]:
    names = {one.article_id: one.location.warc_record_id for one in revisions}
    return [(names[one.article_id], one.relation) for one in relations]


def test_a_later_copy_joins_the_cluster_and_leaves_its_original():
    first, later = copy("first", NOON), copy("later", NOON + timedelta(hours=1))
    relations = relations_of(later, same_text=[on_record(first)], current=None)
    assert told(relations, first, later) == [("later", "exact")]
    assert relations[0].cluster_id == first.article_id


def test_an_earlier_copy_that_is_found_later_is_the_original_in_the_same_cluster():
    first, earlier = copy("first", NOON), copy("earlier", NOON - timedelta(minutes=35))
    relations = relations_of(earlier, same_text=[on_record(first)], current=None)
    assert told(relations, first, earlier) == [("earlier", "original"), ("first", "exact")]
    assert {one.cluster_id for one in relations} == {first.article_id}


@pytest.mark.parametrize(
    ("mine", "precision"), [(None, ""), (NOON.replace(hour=0), "day"), (NOON, "minute")]
)
def test_a_copy_whose_date_does_not_tell_leaves_the_original_where_it_is(mine, precision):
    first, other = copy("first", NOON), copy("other", mine, precision=precision)
    relations = relations_of(other, same_text=[on_record(first)], current=None)
    assert told(relations, first, other) == [("other", "exact")]


def test_a_day_before_is_earlier_whatever_the_hour():
    first = copy("first", NOON)
    other = copy("other", NOON.replace(day=11, hour=0), precision="day")
    relations = relations_of(other, same_text=[on_record(first)], current=None)
    assert told(relations, first, other) == [("other", "original"), ("first", "exact")]


def test_an_article_that_others_follow_stays_in_its_cluster():
    first, led = copy("first", NOON), copy("led", NOON)
    current = on_record(led)
    assert relations_of(led, same_text=[on_record(first)], current=current, followers=1) == ()
    alone = relations_of(led, same_text=[on_record(first)], current=current, followers=0)
    assert told(alone, first, led) == [("led", "exact")]


def test_a_relation_that_still_holds_is_not_said_again():
    first, known = copy("first", NOON), copy("known", NOON)
    current = replace(on_record(known), cluster_id=first.article_id, cluster_relation="exact")
    assert relations_of(known, same_text=[on_record(first)], current=current) == ()


def test_an_article_whose_copies_are_on_record_before_it_is_their_original():
    first, other = copy("first", NOON), copy("other", NOON)
    followers = on_record(other, cluster=first.article_id, relation="exact")
    relations = relations_of(first, same_text=[followers], current=None)
    assert told(relations, first, other) == [("first", "original")]
