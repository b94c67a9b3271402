"""What is an edit and what is none, as pure comparisons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.fingerprint import content_hash, normalised, survival
from pipelines.model import Article
from pipelines.revise import changes, is_another_story, settled

DAY = datetime(2024, 5, 6, tzinfo=UTC)


def _article(**fields: object) -> Article:
    return Article(**{"url": "https://x.example/a", "headline": "One", **fields})  # type: ignore[arg-type] # a test's own fields


def _dated(when: datetime | None, precision: str | None = None, **fields: object) -> Article:
    return _article(date_published=when, date_published_precision=precision, **fields)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("“Last” hull", '"Last" hull'),
        ("„Last“ hull", "«Last» hull"),
        ("the yard’s", "the yard's"),
        ("п’ять", "пʼять"),
        ("the yard`s", "the yard´s"),
        ("2019–2021", "2019-2021"),
        ("gone — they", "gone ― they"),
        ("thirty\u00a0knots  more\n\nat sea", "thirty knots more at sea"),
        ("co\u00adoperate\u200b", "cooperate"),
        ("wait…", "wait..."),
        ("ﬁnal", "final"),
    ],
)
def test_typography_alone_is_no_edit(one, other):
    assert normalised(one) == normalised(other)
    assert changes(_article(article_body=one), _article(article_body=other)) == ()


@pytest.mark.parametrize(
    ("one", "other"), [("12 hulls", "21 hulls"), ("US", "us"), ("40%", "40"), ("50 m", "50 km")]
)
def test_words_numbers_signs_and_case_are_edits(one, other):
    assert changes(_article(article_body=one), _article(article_body=other)) == ("body",)


@given(st.text())
def test_normalising_twice_is_normalising_once(text):
    assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize(
    ("before", "after", "is_change"),
    [
        (_dated(DAY, "day"), _dated(DAY + timedelta(hours=8), "second"), False),
        (_dated(DAY + timedelta(hours=8), "second"), _dated(DAY, "day"), False),
        (_dated(DAY + timedelta(hours=-10), "second"), _dated(DAY, "day"), False),
        (_dated(DAY, "day"), _dated(DAY + timedelta(days=1), "day"), True),
        (_dated(DAY, "minute"), _dated(DAY + timedelta(seconds=42), "second"), False),
        (_dated(DAY, "minute"), _dated(DAY + timedelta(seconds=61), "second"), True),
        (_dated(DAY, "second"), _dated(DAY + timedelta(seconds=5), "second"), True),
        (_dated(None), _dated(DAY, "day"), True),
        (_dated(DAY, "day"), _dated(None), False),
    ],
)
def test_dates_that_agree_are_no_change(before, after, is_change):
    assert (changes(before, after) == ("date",)) is is_change


def test_the_finer_of_two_dates_that_agree_is_kept_with_all_that_is_said_of_it():
    fine = _dated(DAY + timedelta(hours=8), "second", date_published_source="feed")
    for coarse in (_dated(DAY, "day", date_published_source="html"), _dated(None)):
        kept = settled(fine, coarse)
        assert (kept.date_published, kept.date_published_source) == (fine.date_published, "feed")
        assert settled(coarse, fine) == fine


def test_another_story_differs_in_text_headline_and_date():
    old = _dated(DAY, "day", article_body="the yard moved two tenders before dawn " * 9)
    other = {"headline": "Two", "article_body": "nobody sold any crane to a squadron " * 9}
    assert is_another_story(old, _dated(DAY + timedelta(days=30), "day", **other))
    assert not is_another_story(old, _dated(DAY, "day", **other))
    same_headline = {**other, "headline": "One"}
    assert not is_another_story(old, _dated(DAY + timedelta(days=30), "day", **same_headline))
    grown = {"headline": "Two", "article_body": old.article_body + other["article_body"]}
    assert not is_another_story(old, _dated(DAY + timedelta(days=30), "day", **grown))


def test_survival_is_the_share_of_the_old_text():
    assert survival("a b c d e", "a b c d e and more") == 1
    assert survival("a b c d e", "quite other words") == 0
    assert survival("", "anything") == 1


def test_a_copy_that_differs_in_case_and_signs_is_a_copy():
    assert content_hash("The Yard’s “last” hull.") == content_hash("the yard's last HULL")
    assert content_hash("The yard's last hull") != content_hash("The yard's first hull")
