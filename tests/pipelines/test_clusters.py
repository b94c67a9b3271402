"""Who carried a story, whose text it is, and who had it first: the view `clusters`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.fingerprint import content_hash
from pipelines.lake import Lake
from pipelines.model import Batch, Relation, Revision
from pipelines.publish import publish
from pipelines.sql import rows_of
from pipelines.views import connect
from tests.living_site import paragraphs

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)
TEXT = " ".join(paragraphs(1, n=4))
OWN = " ".join(paragraphs(2, n=8))

Story = Callable[..., Revision]
BatchOf = Callable[..., Batch]


class Desk:
    """Articles of one cluster, put down one by one; the first gives it its id."""

    def __init__(self, lake: Lake, story: Story, batch_of: BatchOf):
        self.lake = lake
        self._story = story
        self._batch_of = batch_of
        self.now = NOON
        self.n = 0

    def take(
        self,
        site: str,
        *,
        at: str | None,
        body: str = TEXT,
        seen: str = "2024-07-01T12:00",
        relation: str = "near",
        cluster: str | None = "story-00000",
        same_as: str | None = None,
        **fields: Any,
    ) -> str:
        """Store the article of a site, published `at` (a day, or to the minute)."""
        revision = self._story(self.n, seen=_time(seen), site=site)
        article = replace(
            revision.article,
            **{
                "url": f"https://{site}.example/{self.n}",
                "publisher": site.replace("_", " ").title(),
                "article_body": body,
                "content_hash": content_hash(body),
                "word_count": len(body.split()),
                "authors": (),
                "date_published": _time(at) if at else None,
                "date_published_precision": ("minute" if "T" in at else "day") if at else None,
                **fields,
            },
        )
        own = revision.article_id
        joined = Relation(
            article_id=own,
            cluster_id=cluster or own,
            relation=relation if (cluster or own) != own else "original",
            same_as=same_as,
        )
        name, self.n = f"r-{self.n}", self.n + 1
        batch = self._batch_of(name, [replace(revision, article=article)], relations=[joined])
        self.lake.commit(batch, now=self.now)
        self.now += timedelta(hours=1)
        return own

    def relate(self, article: str, cluster: str, *, relation: str, same_as: str | None) -> None:
        one = Relation(article_id=article, cluster_id=cluster, relation=relation, same_as=same_as)
        self.lake.commit(self._batch_of(f"s-{self.n}", [], relations=[one]), now=self.now)
        self.n += 1
        self.now += timedelta(hours=1)

    def clusters(self, *, as_of: datetime | None = None) -> list[dict[str, Any]]:
        publish(self.lake, now=self.now)
        with connect(self.lake, as_of=as_of) as connection:
            return rows_of(connection, "SELECT * FROM clusters ORDER BY cluster_id")

    def cluster(self) -> dict[str, Any]:
        [one] = self.clusters()
        return one


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def desk(lake: Lake, story: Story, batch_of: BatchOf) -> Desk:
    return Desk(lake, story, batch_of)


def _told(one: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(one[name] for name in names)


# --- who was first ------------------------------------------------------------------------------


def test_the_original_is_the_earliest_publication_whoever_was_crawled_first(desk: Desk) -> None:
    desk.take("late", at="2024-07-01T09:30")
    desk.take("early", at="2024-07-01T08:00")
    one = desk.cluster()
    assert _told(one, "original_site", "original_by", "first_sites") == (
        "early", "earliest", ["early"],
    )  # fmt: skip
    assert _told(one, "source", "agency", "members", "sites") == (
        "Early",
        None,
        2,
        ["early", "late"],
    )
    assert (one["first_published"], one["last_published"]) == (
        _time("2024-07-01T08:00"), _time("2024-07-01T09:30"),
    )  # fmt: skip
    assert [member["site"] for member in one["member_articles"]] == ["early", "late"]


def test_days_are_compared_as_days_and_of_one_day_the_fullest_stands(desk: Desk) -> None:
    desk.take("with_an_hour", at="2024-07-01T08:00", body=TEXT)
    desk.take("day_only", at="2024-07-01", body=TEXT + " And it has one sentence more.")
    desk.take("too_late", at="2024-07-01T11:00", body=TEXT + OWN)
    one = desk.cluster()
    assert _told(one, "original_site", "original_by") == ("day_only", "fullest")
    assert one["first_sites"] == ["day_only", "with_an_hour"]


def test_a_day_before_is_before(desk: Desk) -> None:
    desk.take("with_an_hour", at="2024-07-01T00:30", body=TEXT + " And it has one sentence more.")
    desk.take("day_before", at="2024-06-30")
    assert _told(desk.cluster(), "original_site", "original_by") == ("day_before", "earliest")


def test_nothing_between_two_copies_of_one_day_is_told_as_undecided(desk: Desk) -> None:
    desk.take("one", at="2024-07-01")
    desk.take("other", at="2024-07-01")
    one = desk.cluster()
    assert _told(one, "original_site", "original_by") == ("one", "undecided")
    assert one["first_sites"] == ["one", "other"]


def test_a_date_in_the_future_is_not_trusted_and_one_behind_the_sight_is_the_sight(
    desk: Desk,
) -> None:
    desk.take("honest", at="2024-07-01T10:00")
    desk.take("flagged", at="2023-07-01T10:00", date_published_flags=("future",))
    desk.take("moved_on", at="2025-07-01T10:00", seen="2024-07-01T09:00")
    one = desk.cluster()
    assert _told(one, "original_site", "first_sites") == ("moved_on", ["moved_on"])
    assert one["first_published"] == one["last_published"] == _time("2024-07-01T10:00")
    assert [_told(member, "site", "time", "time_is") for member in one["member_articles"]] == [
        ("moved_on", _time("2024-07-01T09:00"), "first_seen"),
        ("honest", _time("2024-07-01T10:00"), "minute"),
        ("flagged", _time("2024-07-01T12:00"), "first_seen"),
    ]


def test_a_date_by_a_clock_known_to_be_wrong_is_not_trusted(desk: Desk) -> None:
    desk.take("behind", at="2023-07-01T10:00", date_published_flags=("clock",))
    desk.take("honest", at="2024-07-01T10:00")
    one = desk.cluster()
    assert _told(one, "original_site", "first_sites") == ("honest", ["honest"])
    assert (one["first_published"], one["first_is_doubtful"]) == (_time("2024-07-01T10:00"), False)


@pytest.mark.parametrize(
    ("first", "seen", "further", "is_doubtful"),
    [
        ("2023-07-01T10:00", "2024-07-01T12:00", None, True),
        ("2023-07-01", "2024-07-02T12:00", None, True),
        ("2023-07-01T10:00", "2023-07-01T11:00", None, False),  # it was seen there
        ("2023-07-01T10:00", "2024-07-01T12:00", "2023-07-05T10:00", False),  # others had it too
        ("2024-06-01T10:00", "2024-07-01T12:00", None, False),
    ],
)
def test_who_was_first_by_a_date_long_before_all_others_that_nobody_bears_out_is_marked(
    desk: Desk, first: str, seen: str, further: str | None, is_doubtful: bool
) -> None:
    desk.take("first", at=first, seen=seen)
    if further:
        desk.take("further", at=further)
    desk.take("wire", at="2024-07-01T08:00", url="https://apnews.com/article/hull-7")
    desk.take("customer", at="2024-07-01T09:00", body=f"(AP) - {TEXT}")
    one = desk.cluster()
    assert _told(one, "first_sites", "first_is_doubtful") == (["first"], is_doubtful)


def test_a_story_without_copies_is_a_cluster_too(desk: Desk) -> None:
    desk.take("only", at=None)
    one = desk.cluster()
    assert _told(one, "original_by", "members", "independent_sources") == ("alone", 1, 1)
    assert one["first_is_doubtful"] is False
    assert one["first_published"] is None
    assert one["member_articles"][0]["coverage"] == 1.0


# --- whose text it is ---------------------------------------------------------------------------


def test_an_agency_that_a_copy_names_is_the_source_even_if_its_own_page_is_not_held(
    desk: Desk,
) -> None:
    desk.take("first_customer", at="2024-07-01T08:00")
    desk.take("honest_customer", at="2024-07-01T09:00", body=f"KYIV, July 1 (Reuters) - {TEXT}")
    one = desk.cluster()
    assert _told(one, "source", "agency") == ("Reuters", "Reuters")
    assert _told(one, "original_site", "original_by") == ("first_customer", "earliest")
    assert [member["agency"] for member in one["member_articles"]] == [None, "Reuters"]
    assert one["independent_sources"] == 1


def test_the_agencys_own_article_is_the_original_though_a_customer_that_names_it_was_faster(
    desk: Desk,
) -> None:
    desk.take("customer", at="2024-07-01T08:00", byline="By Ada Roe, Associated Press")
    desk.take("wire", at="2024-07-01T09:00", url="https://apnews.com/article/hull-7")
    one = desk.cluster()
    assert _told(one, "original_site", "original_by", "source") == ("wire", "agency", "AP")
    assert one["first_sites"] == ["customer"]


def test_what_was_out_before_the_agency_and_does_not_name_it_is_the_original(desk: Desk) -> None:
    desk.take("ministry", at="2024-07-01T07:00")
    desk.take("customer", at="2024-07-01T10:00", authors=("Ukrinform",))
    desk.take("wire", at="2024-07-01T09:00", url="https://www.ukrinform.net/rubric-a/1-hull.html")
    one = desk.cluster()
    assert _told(one, "original_site", "source", "agency") == ("ministry", "Ministry", "Ukrinform")
    assert one["independent_sources"] == 1


def test_the_agency_that_most_sites_name_is_the_clusters(desk: Desk) -> None:
    desk.take("one", at="2024-07-01T08:00", body=f"(AFP) - {TEXT}")
    desk.take("two", at="2024-07-01T09:00", body=f"BERLIN (dpa) - {TEXT}")
    desk.take("three", at="2024-07-01T10:00", body=f"{TEXT} (dpa)")
    assert _told(desk.cluster(), "agency", "source", "independent_sources") == ("dpa", "dpa", 1)


# --- copies and sources -------------------------------------------------------------------------


def test_coverage_tells_what_a_member_kept_and_what_it_added(desk: Desk) -> None:
    desk.take("original", at="2024-07-01T08:00")
    desk.take("exact", at="2024-07-01T09:00", relation="exact")
    half = TEXT[: len(TEXT) // 2]
    desk.take("excerpt", at="2024-07-01T10:00", body=half, relation="excerpt")
    desk.take("longer", at="2024-07-01T11:00", body=f"{TEXT} {OWN}")
    one = desk.cluster()
    shares = {
        m["site"]: (m["relation"], m["coverage"], m["copied"]) for m in one["member_articles"]
    }
    assert shares["original"] == ("original", 1.0, 1.0)
    assert shares["exact"] == ("exact", 1.0, 1.0)
    relation, coverage, copied = shares["excerpt"]
    assert (relation, copied > 0.95) == ("excerpt", True)
    assert coverage == pytest.approx(0.5, abs=0.05)
    assert shares["longer"][1] == 1.0
    assert shares["longer"][2] == pytest.approx(0.33, abs=0.05)


def test_copies_are_one_source_and_a_member_mostly_of_its_own_words_is_another(
    desk: Desk,
) -> None:
    desk.take("original", at="2024-07-01T08:00")
    for n in range(4):
        desk.take(f"copy_{n}", at="2024-07-01T09:00", relation="exact")
    desk.take("reporter", at="2024-07-01T11:00", body=f"{TEXT} {OWN}")
    desk.take("sister", at="2024-07-01T12:00", body=f"{OWN} {TEXT}", publisher="Reporter")
    one = desk.cluster()
    assert _told(one, "members", "independent_sources") == (7, 2)


def test_chinese_copies_are_compared_sign_by_sign(desk: Desk) -> None:
    text = "海军的新舰昨天离开了港口，没有人知道它去了哪里。" * 4
    desk.take("original", at="2024-07-01T08:00", body=text)
    desk.take("copy", at="2024-07-01T09:00", body=text.replace("昨天", "今天"))
    member = desk.cluster()["member_articles"][1]
    assert 0.7 < member["coverage"] < 1.0


def test_what_turned_out_to_be_made_of_two_stories_is_no_ones_original(desk: Desk) -> None:
    digest = desk.take("digest", at="2024-07-01T07:00", body=f"{OWN} {TEXT}", authors=("AFP",))
    desk.take("report", at="2024-07-01T08:00")
    desk.relate(digest, digest, relation="composite", same_as=None)
    one = desk.cluster()
    assert _told(one, "cluster_id", "original_site", "first_sites", "source") == (
        digest, "report", ["report"], "Report",
    )  # fmt: skip
    assert _told(one["member_articles"][0], "site", "relation") == (
        "digest", "composite",
    )  # fmt: skip


# --- clusters that turn out to be one -----------------------------------------------------------


def test_clusters_that_were_found_to_be_one_are_one_row_and_were_two_before(desk: Desk) -> None:
    desk.take("one", at="2024-07-01T09:00")
    second = desk.take("two", at="2024-07-01T08:00", cluster=None)
    desk.take("three", at="2024-07-01T10:00", cluster=second)
    third = desk.take("four", at="2024-07-01T11:00", cluster=None)
    between = desk.now
    desk.relate(second, second, relation="original", same_as="story-00000")
    desk.relate(third, third, relation="original", same_as=second)
    one = desk.cluster()
    assert one["cluster_id"] == "story-00000"
    assert one["cluster_ids"] == sorted(["story-00000", second, third])
    assert _told(one, "members", "original_site", "original_by") == (4, "two", "earliest")
    then = desk.clusters(as_of=between - timedelta(minutes=1))
    assert [(row["cluster_id"], row["members"]) for row in then] == [
        ("story-00000", 1), (second, 2), (third, 1),
    ]  # fmt: skip


def test_all_that_one_commit_finds_to_be_the_same_as_a_cluster_is_kept(
    desk: Desk, batch_of: BatchOf
) -> None:
    ids = [desk.take(name, at="2024-07-01", cluster=None) for name in ("one", "two", "three")]
    said = Relation(article_id=ids[0], cluster_id=ids[0], relation="original")
    relations = [replace(said, same_as=other) for other in ids[1:]]
    desk.lake.commit(batch_of("found", [], relations=[*relations, said]), now=desk.now)
    assert desk.cluster()["cluster_ids"] == sorted(ids)


def test_what_leaves_a_cluster_in_one_commit_takes_nothing_with_it_that_was_said_of_that(
    desk: Desk, batch_of: BatchOf
) -> None:
    both = desk.take("both", at="2024-07-01", cluster=None)
    one, two = (desk.take(name, at="2024-07-01", cluster=both) for name in ("one", "two"))
    said = Relation(article_id=both, cluster_id=both, relation="original", same_as=two)
    left = Relation(article_id=both, cluster_id=f"{both}-composite", relation="composite")
    desk.lake.commit(batch_of("found", [], relations=[said, left]), now=desk.now)
    members = [[m["article_id"] for m in row["member_articles"]] for row in desk.clusters()]
    assert sorted(map(sorted, members)) == sorted([[both], sorted([one, two])])


@pytest.mark.parametrize("turned", [False, True])
def test_a_ring_of_such_findings_is_one_cluster_by_the_oldest_id(desk: Desk, turned: bool) -> None:
    first = desk.take("one", at="2024-07-01T09:00", cluster=None)
    second = desk.take("two", at="2024-07-01T08:00", cluster=None)
    pairs = [(first, second), (second, first)]
    for cluster, other in reversed(pairs) if turned else pairs:
        desk.relate(cluster, cluster, relation="original", same_as=other)
    assert _told(desk.cluster(), "cluster_id", "members") == (first, 2)


def test_what_was_known_then_has_the_members_and_the_original_of_then(desk: Desk) -> None:
    desk.take("late", at="2024-07-01T09:30")
    then = desk.now - timedelta(minutes=1)
    desk.take("early", at="2024-07-01T08:00", body=f"(Reuters) - {TEXT}")
    [before] = desk.clusters(as_of=then)
    assert _told(before, "original_site", "members", "source") == ("late", 1, "Late")
    assert _told(desk.cluster(), "original_site", "members", "source") == ("early", 2, "Reuters")
    assert desk.clusters(as_of=desk.now) == desk.clusters()
    assert desk.clusters(as_of=NOON - timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("asked", "reads"),
    [
        ("count(*)", set()),
        ("cluster_id, members, sites, first_sites, first_is_doubtful, first_published", set()),
        ("source, original_headline", {"credit"}),
        ("independent_sources", {"credit", "shared"}),
        ("member_articles", {"credit", "shared"}),
    ],
)
def test_texts_are_read_only_where_a_query_asks_for_what_they_say(
    desk: Desk, asked: str, reads: set[str]
) -> None:
    """To count clusters must not take as long as to compare all their texts."""
    desk.take("one", at="2024-07-01T09:00")
    with connect(desk.lake) as connection:
        sql = f"EXPLAIN (FORMAT json) SELECT {asked} FROM clusters WHERE members > 1"
        [(_, plan)] = connection.execute(sql).fetchall()
    assert {name for name in ("credit", "shared") if re.search(rf"\b{name}\b", plan)} == reads
    assert ("article_body" in plan) == bool(reads)


def test_a_story_with_five_hundred_copies_is_told_at_once(desk: Desk, batch_of: BatchOf) -> None:
    begun = datetime.now(UTC)
    desk.take("original", at="2024-07-01T08:00")
    first = desk._story(0)
    copies = []
    for n in range(1, 501):
        body = TEXT.replace("on time.", f"on day {n}.", 3)
        article = replace(first.article, article_body=body, content_hash=content_hash(body))
        copies.append(replace(first, article_id=f"copy-{n:03}", article=article))
    relations = [
        Relation(article_id=one.article_id, cluster_id="story-00000", relation="near")
        for one in copies
    ]
    desk.lake.commit(batch_of("many", copies, relations=relations), now=desk.now)
    one = desk.cluster()
    assert _told(one, "members", "independent_sources") == (501, 1)
    assert datetime.now(UTC) - begun < timedelta(seconds=20)
