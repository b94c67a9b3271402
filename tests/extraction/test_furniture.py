"""What a site repeats is learned from its pages and goes; what a series repeats stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from crawler.extraction import Furniture
from crawler.extraction.furniture import furniture_hash, furniture_of, text_hash
from crawler.extraction.looking import Look
from crawler.extraction.recurrence import learn, stories_of
from pipelines.furniture import Learned
from tests.living_site import paragraphs
from tests.unknown_site import BEGUN, NOTE, PROMO, Tale, looked_at, promo, read, tale, teaser

PREFACE = "This is the daily log of the strait, kept from midnight to midnight by the pilots."


def in_force(looks: Sequence[Look]) -> list[Learned]:
    return [one for one in learn(looks) if one.is_in_force]


def furnished(tales: Sequence[Tale]) -> Furniture:
    return furniture_of(in_force([looked_at(one) for one in tales]))


def noisy(n: int, **changes: object) -> Tale:
    within = ((2, promo()), (4, teaser(n + 100, n + 101)))
    return tale(n, **{"within": within, **changes})


def rules(one: Tale, furniture: Furniture) -> dict[str, str]:
    blocks = read(one, furniture).removed_blocks
    return {block.rule: block.text for block in blocks if block.rule.startswith("learned:")}


def test_from_five_pages_on_a_promo_and_a_teaser_box_of_no_known_name_are_gone() -> None:
    before, after = furnished([noisy(n) for n in range(4)]), furnished([noisy(n) for n in range(5)])
    assert before == Furniture()
    one = noisy(9)
    assert read(one).article_body != one.body
    assert read(one, after).article_body == one.body


def test_a_removal_says_what_was_learned_and_how_often_it_was_seen() -> None:
    furniture = furnished(
        [*(noisy(n) for n in range(4)), tale(4), *(noisy(n) for n in range(5, 9))]
    )
    found = rules(noisy(11), furniture)
    assert found["learned:text 8/9"].startswith(PROMO)
    assert "What was built in yard 111 is afloat" in found["learned:place 8/9"]


def test_what_is_learned_names_its_pages_and_its_place() -> None:
    looks = [looked_at(noisy(n)) for n in range(6)]
    text = next(one for one in in_force(looks) if one.kind == "text")
    assert text.place == "div.page>div.wrap>div.copy>div.qx-mooring>p"
    assert (text.seen, text.looked_at) == (6, 6)
    assert text.example_urls == tuple(tale(n).url for n in (5, 4, 3, 2, 1))
    assert (text.first_seen, text.last_seen) == (BEGUN, BEGUN + timedelta(hours=5))
    assert text.text_hash == text_hash(text.text)


def test_the_titles_of_a_removed_box_are_related_links() -> None:
    article = read(noisy(9), furnished([noisy(n) for n in range(5)]))
    assert [link.url for link in article.related_links] == [
        "https://tarn.example/quays/109-at-the-slip",
        "https://tarn.example/quays/110-at-the-slip",
    ]


SERIES = {
    "a preface": lambda n: tale(n, paragraphs=(PREFACE, *paragraphs(n))),
    "a preface in a box of its own": lambda n: tale(
        n, paragraphs=paragraphs(n), within=((0, f'<div class="qx-log"><p>{PREFACE}</p></div>'),)
    ),
    "a column's title": lambda n: tale(
        n, within=((0, '<p class="qx-kick"><b>Letters From the Slip</b></p>'),)
    ),
    "a dateline": lambda n: tale(n, paragraphs=("TARNMOUTH, March 2 —", *paragraphs(n))),
    "a sentence that every report has": lambda n: tale(
        n, paragraphs=(*paragraphs(n)[:3], NOTE, *paragraphs(n)[3:])
    ),
    "the last line of every report": lambda n: tale(n, paragraphs=(*paragraphs(n), NOTE)),
    "sub-headings": lambda n: tale(
        n, within=((2, "<h2 class='qx-h'>What the pilots saw</h2>"), (4, "<h3>The count</h3>"))
    ),
    "a table's head": lambda n: tale(
        n,
        within=(
            (3, f"<table><tr><th>Hour</th><th>No</th></tr><tr><td>{n}</td><td>3</td></tr></table>"),
        ),
    ),
    "a list item": lambda n: tale(
        n, within=((3, f"<ul class='qx-li'><li>No ice was met.</li><li>Ships met: {n}</li></ul>"),)
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SERIES)
def test_what_a_series_repeats_within_its_stories_stays(kind: str) -> None:
    tales = [SERIES[kind](n) for n in range(20)]
    furniture = furnished(tales)
    for one in tales[:3]:
        assert read(one, furniture).article_body == read(one).article_body


def test_a_dateline_that_begins_the_paragraph_stays() -> None:
    def dated(n: int) -> Tale:
        first, *rest = paragraphs(n)
        return tale(n, paragraphs=(f"TARNMOUTH, March 2 — {first}", *rest))

    furniture = furnished([dated(n) for n in range(8)])
    assert read(dated(9), furniture).article_body == dated(9).body


def among_paragraphs(n: int, section: str) -> Tale:
    text = (*paragraphs(n)[:3], NOTE, *paragraphs(n)[3:])
    return tale(n, paragraphs=text, section=section)


def test_a_line_among_the_paragraphs_goes_only_when_many_stories_of_several_sections_have_it() -> (
    None
):
    both = furnished([among_paragraphs(n, ("quays", "rigs")[n % 2]) for n in range(12)])
    few = furnished([among_paragraphs(n, ("quays", "rigs")[n % 2]) for n in range(8)])
    alike = furnished([among_paragraphs(n, "quays") for n in range(12)])
    one = among_paragraphs(30, "quays")
    assert NOTE not in read(one, both).article_body
    assert NOTE in read(one, few).article_body
    assert NOTE in read(one, alike).article_body


def test_copies_and_versions_of_one_story_are_one_story() -> None:
    first = noisy(1)
    copies = [looked_at(noisy(1, section=section)) for section in ("a", "b", "c", "d", "e", "f")]
    edited = looked_at(noisy(1, paragraphs=(*first.paragraphs, "Nobody was hurt.")), hours=9)
    agency = looked_at(noisy(7, paragraphs=first.paragraphs), hours=10)
    assert set(stories_of([*copies, edited, agency])) == {0}
    assert not in_force([*copies, edited, agency])


def test_a_box_that_holds_story_text_elsewhere_is_not_taken() -> None:
    box = '<div class="qx-lee"><p>{}</p></div>'
    stories = [tale(n, within=((3, box.format(" ".join(paragraphs(n + 50)))),)) for n in range(3)]
    furniture = furnished([*(noisy(n) for n in range(5, 12)), *stories])
    # The cards within it go, wherever they are.
    assert [place.rpartition(">")[2] for place in furniture.places] == ["div.qx-c"]
    assert read(stories[0], furniture).article_body == read(stories[0]).article_body


def test_a_known_box_that_holds_text_on_this_page_stays() -> None:
    furniture = furnished([noisy(n) for n in range(6)])
    words = " ".join(paragraphs(77))
    one = tale(20, within=((3, f'<div class="qx-lee"><p>{words}</p></div>'),))
    assert words in read(one, furniture).article_body


def test_a_redesign_is_learned_and_the_captures_of_both_layouts_are_read_right() -> None:
    def new(n: int) -> Tale:
        return tale(n, within=((1, f'<div class="oar"><p>{NOTE} <a href="/x">Row</a></p></div>'),))

    old_looks = [looked_at(noisy(n)) for n in range(8)]
    new_looks = [looked_at(new(n), is_new=True) for n in range(20, 25)]
    furniture = furniture_of(in_force([*old_looks, *new_looks]))
    assert read(noisy(9), furniture).article_body == noisy(9).body
    assert read(new(30), furniture, is_new=True).article_body == new(30).body


def test_a_plea_that_ran_for_a_while_is_told_from_a_line_that_comes_and_goes() -> None:
    plea = [noisy(n) if 3 <= n < 10 else tale(n) for n in range(20)]
    now_and_then = [noisy(n) if n % 3 == 0 else tale(n) for n in range(20)]
    assert {one.kind for one in in_force([looked_at(one) for one in plea])} >= {"text"}
    assert not in_force([looked_at(one) for one in now_and_then])


def test_what_turns_out_to_come_and_go_is_taken_back() -> None:
    looks = [looked_at(noisy(n) if n % 3 == 0 else tale(n)) for n in range(20)]
    judged = {one.key: one for one in learn(looks) if one.kind == "text" and PROMO in one.text}
    assert [(one.seen, one.looked_at, one.is_in_force) for one in judged.values()] == [
        (7, 19, False)
    ]


def test_a_heading_above_what_is_learned_goes_with_it() -> None:
    def one(n: int) -> Tale:
        return tale(n, within=((4, f"<h4>Astern</h4>{teaser(n + 100)}"),))

    assert read(one(9), furnished([one(n) for n in range(6)])).article_body == one(9).body


def test_what_is_learned_does_not_depend_on_the_order_of_the_pages() -> None:
    looks = [looked_at(noisy(n)) for n in range(7)]
    assert learn(looks) == learn(looks[::-1])
    assert furniture_hash(furniture_of(learn(looks))) == furniture_hash(
        furniture_of(learn(looks[::-1]))
    )


def test_nothing_known_has_no_hash() -> None:
    assert furniture_hash(None) is None
    assert furniture_hash(Furniture()) is None
