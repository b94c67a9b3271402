"""What a text is to others: the same, a copy, an excerpt, made of two, or nothing at all."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import permutations

import pytest

from tests.pipelines.copy_desk import BEGAN, Desk, Story
from tests.pipelines.copy_texts import LANGUAGES, reworded

ENGLISH = LANGUAGES["en"]
BY_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.state.close()


def takes(desk: Desk, **texts: str) -> dict[str, str]:
    """Take texts, each on a site of its own, and return the relation of each by its name."""
    desk.take_all(Story(name=name, text=text) for name, text in texts.items())
    return {name: article.cluster_relation for name, article in desk.articles().items()}


def other_story(desk_name: str = "quarry") -> str:
    return (
        "The quarry above Lower Hatch will close in the spring, its owners told the village on "
        "Thursday evening. Some 140 people work there, most of them from three valleys nearby, "
        "and the school bus is paid for by the company. Mayor Petra Lindqvale said that she had "
        f"learned of it from the {desk_name} radio.\n\nA buyer from Ostrava Bay looked at the "
        "pits in August and went away. The stone is too soft for roads now that lorries weigh 44"
        " tonnes, a geologist named Benno Harrach found, and too dear for walls. The union asks "
        "for a fund of 2 million crowns and for the tools to be left to the workshop in Upper "
        "Hatch.\n\nWhat becomes of the lake in the old pit nobody could say. Swimmers are asked "
        "to stay away from the east wall, which has lost some 300 cubic metres of rock since the"
        " thaw."
    )


def test_each_kind_of_copy_has_its_own_relation(desk):
    cut = "\n\n".join(ENGLISH.story[:1])
    both = f"{ENGLISH.text}\n\n{other_story()}"
    assert takes(
        desk,
        first=ENGLISH.text,
        same=ENGLISH.text.replace("\n\n", "\n").upper(),
        edited=ENGLISH.dateline + reworded(ENGLISH.text, every=12),
        cut=cut,
        quarry=other_story(),
        both=both,
    ) == {
        "first": "original",
        "same": "exact",
        "edited": "near",
        "cut": "excerpt",
        "quarry": "original",
        "both": "composite",
    }
    assert desk.groups() == [["cut", "edited", "first", "same"]]


@pytest.mark.parametrize("batch", [1, None])
@pytest.mark.parametrize("order", [*permutations(("first", "both", "quarry"))])
def test_a_text_of_two_stories_is_alone_whichever_of_them_came_first(desk, order, batch):
    texts = {
        "first": ENGLISH.text,
        "both": f"{ENGLISH.text}\n\n{other_story()}",
        "quarry": other_story(),
    }
    stories = [Story(name=name, text=texts[name]) for name in order]
    desk.take_all([*stories, Story(name="again", text=other_story("valley"))], batch=batch)
    assert desk.relation_of("both") == "composite"
    assert desk.groups() == [["again", "quarry"]]


def test_an_exact_copy_of_a_text_of_two_stories_leaves_with_it(desk):
    both = f"{ENGLISH.text}\n\n{other_story()}"
    takes(desk, both=both, twin=both, first=ENGLISH.text, quarry=other_story())
    assert desk.groups() == [["both", "twin"]]
    relations = {name: one.cluster_relation for name, one in desk.articles().items()}
    assert relations == {
        "both": "composite",
        "twin": "exact",
        "first": "original",
        "quarry": "original",
    }


def test_an_edit_that_two_clusters_have_in_common_tells_that_they_are_one(desk):
    first, second, third = ENGLISH.story
    top, end = f"{first}\n\n{second}", f"{second}\n\n{third}"
    takes(desk, top=top, more=f"{top} It was so.", end=end)
    assert desk.groups() == [["more", "top"]]
    desk.edit("top", ENGLISH.text)
    assert desk.groups() == [["end", "more", "top"]]


def test_an_edit_that_is_what_another_site_has_already_is_found_before_it_is_committed(desk):
    edited = reworded(ENGLISH.text, every=12)
    takes(desk, first=ENGLISH.text, other=edited)
    desk.edit("first", edited)
    takes(desk, cut="\n\n".join(ENGLISH.story[:2]))
    assert desk.groups() == [["cut", "first", "other"]]


def test_the_earlier_one_is_the_original_of_copies_that_differ(desk):
    edited = reworded(ENGLISH.text, every=12)
    desk.take_all(
        [
            Story(name="late", text=edited, published=BEGAN),
            Story(name="early", text=ENGLISH.text, published=BEGAN - timedelta(hours=2)),
        ]
    )
    assert (desk.relation_of("late"), desk.relation_of("early")) == ("near", "original")


def test_clusters_that_turn_out_to_be_one_story_keep_their_ids_and_are_told_to_be_the_same(desk):
    first, second, third = ENGLISH.story
    takes(desk, top=f"{first}\n\n{second}", end=f"{second}\n\n{third}")
    one, two = (desk.articles()[name].cluster_id for name in ("top", "end"))
    assert one != two
    desk.take_all([Story(name="whole", text=ENGLISH.text)])
    assert {desk.articles()[name].cluster_id for name in ("top", "end", "whole")} == {one, two}
    assert [row.same_as for row in desk.relations if row.same_as] in ([one], [two])
    assert desk.groups() == [["end", "top", "whole"]]
    assert desk.groups(follow=False) == [["top", "whole"]]


@BY_LANGUAGE
def test_copies_are_known_in_every_language(desk, language):
    relations = takes(
        desk,
        first=language.text,
        wired=f"{language.dateline}{language.text}\n\n{language.closing}",
        edited=reworded(language.text, every=14),
        cut="\n\n".join([language.dateline + language.story[0], language.story[1]]),
    )
    assert desk.groups() == [["cut", "edited", "first", "wired"]], relations


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_with_one_sign_in_seven_replaced_is_known_by_its_signs(desk, seed):
    text = LANGUAGES["zh"].text
    rng = random.Random(seed)  # noqa: S311 - an edit, no secret
    signs = [sign for sign in text if sign.isalpha()]
    edited = "".join(
        rng.choice(signs) if sign.isalpha() and rng.random() < 0.15 else sign for sign in text
    )
    takes(desk, first=text, edited=edited)
    assert desk.groups() == [["edited", "first"]]


@BY_LANGUAGE
def test_notices_from_one_template_never_join_in_any_language(desk, language):
    takes(desk, **{f"n{i}": text for i, text in enumerate(language.notices)})
    assert desk.groups() == []


@BY_LANGUAGE
def test_notices_that_differ_in_names_alone_never_join_in_any_language(desk, language):
    takes(desk, **{f"n{i}": text for i, text in enumerate(language.namesakes)})
    assert desk.groups() == []


@BY_LANGUAGE
def test_a_notice_and_its_copy_are_found_among_others_of_its_template(desk, language):
    one, two, three = language.notices
    copied = f"{language.dateline}{two}\n\n{language.closing}"
    takes(desk, one=one, two=two, three=three, copy=copied)
    assert desk.groups() == [["copy", "two"]]


def test_results_of_two_quarters_and_two_firms_never_join(desk):
    def results(firm: str, *figures: str) -> str:
        a, b, c, d, e = figures
        return (
            f"{firm} reported net sales of {a} million crowns for the quarter, driven by "
            f"deliveries to the coastal forces and by spare parts. Operating profit came to {b} "
            f"million crowns and the order book stood at {c} million crowns at the end of the "
            f"period, the company said in a statement. Cash flow was {d} million crowns. The "
            f"board expects sales to grow by {e} percent over the full year and will propose an "
            "unchanged dividend to the annual meeting of the shareholders in the spring. Orders "
            "are taken into the book when they are signed, and cancellations are shown apart."
        )

    takes(
        desk,
        spring=results("Brandt Yards", "412", "38", "2,904", "55", "4"),
        summer=results("Brandt Yards", "431", "41", "2,870", "18", "5"),
        rival=results("Sellick Optics", "87", "6", "313", "9", "11"),
    )
    assert desk.groups() == []


def test_daily_reports_of_one_site_that_repeat_much_are_reports_of_their_own(desk):
    lasting = "\n\n".join(ENGLISH.story[1:])
    news = (
        "Patrols met 12 boats. The pumps at Tarn Hill failed, and Colonel Ivo Stahl left.",
        "The road to Kestrel is open. Sergeant Una Bright found a mine in the reeds.",
        "Fog kept the 14 ferries in. General Aster Moll spoke to the council of elders.",
    )
    days = [f"Situation on {n} March. {one}\n\n{lasting}" for n, one in enumerate(news, 3)]
    desk.take_all([Story(name=f"d{i}", text=day, site="daily") for i, day in enumerate(days)])
    assert desk.groups() == []


def test_one_event_told_by_two_writers_with_one_quotation_is_no_copy(desk):
    quotation = (
        "“We have waited for these ships since the spring, and we shall not wait through another "
        "winter with two old tugs and a prayer,” Captain Ilse Vandermoor told reporters."
    )
    one = (
        "A row broke out in Port Ellery over late deliveries to the coastal service. The yard "
        f"said steel had been short and promised the first hull for May. {quotation} The "
        "opposition wants a hearing, and members of the committee asked to see the contract "
        "before the holidays begin."
    )
    two = (
        "Late, dear and still not afloat: the new patrol craft were the talk of the quay this "
        f"week. Welders walked out twice over pay, people at the gate recalled. {quotation} On "
        "the market hill few believed the date given, least of all the fishmongers, who have "
        "heard it before."
    )
    takes(desk, one=one, two=two)
    assert desk.groups() == []


@pytest.mark.parametrize("words", [1, 12, 39])
def test_texts_too_short_to_tell_apart_join_nothing(desk, words):
    text = " ".join(ENGLISH.text.split()[:words])
    takes(desk, one=text, two=text, three=text + " indeed" if words < 39 else text)
    assert desk.groups() == []


def test_what_a_site_writes_under_everything_joins_nothing(desk):
    closing = other_story()  # longer than the briefs above it
    briefs = [
        "A buoy of the Vigil class came loose off Tarn Hill; anglers found it and nobody was hurt.",
        "Lieutenant Una Bright won the rowing cup of the flotilla for the third year in a row.",
        "The lighthouse on Crane Rock is dark until Sunday, the pilots of Westhaven said.",
        "Two sailors of the Heron were lost in fog near Ostermark and walked home by the reeds.",
        "The museum of knots in Kestrel Bay has a new roof, paid for by a widow named Haldt.",
    ]
    desk.take_all(
        [
            Story(name=f"b{i}", text=f"{brief} {brief.lower()}\n\n{closing}", site="briefs")
            for i, brief in enumerate(briefs)
        ]
    )
    assert desk.groups() == []


def test_under_a_sites_closing_words_a_copy_is_still_a_copy(desk):
    closing = other_story()
    briefs = [
        Story(name=f"b{i}", text=f"{text}\n\n{closing}", site="partner")
        for i, text in enumerate(LANGUAGES["en"].notices)
    ]
    desk.take_all(briefs)
    cut = f"{ENGLISH.story[0]}\n\n{closing}"
    desk.take_all(
        [Story(name="first", text=ENGLISH.text), Story(name="cut", text=cut, site="partner")]
    )
    assert desk.groups() == [["cut", "first"]]


def test_a_copy_of_what_the_state_keeps_no_text_of_is_found_in_the_lake(desk, monkeypatch):
    monkeypatch.setattr("pipelines.copy_tables.TEXTS_KEPT", 0)
    takes(desk, first=ENGLISH.text)
    desk.commit()
    desk.forget_texts()
    takes(desk, edited=reworded(ENGLISH.text, every=12))
    assert desk.groups() == [["edited", "first"]]
