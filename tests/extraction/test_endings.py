"""What stands at the ends of a story and between its paragraphs, and is known by its form alone."""

from __future__ import annotations

import pytest

from crawler.extraction import extract

URL = "https://harbour.example/2026/11/convoy-leaves-port/"
HEADLINE = "First convoy of the winter leaves port"
STORY = (
    (
        "The first convoy of the winter left the port on Tuesday with nine ships, two of them "
        "carrying bridging equipment for the brigade in the north, the harbour master said."
    ),
    (
        "It is expected to reach the strait by Friday, weather permitting, and to be met there by "
        "a frigate and two patrol boats that have waited since the weekend for the ice to break."
    ),
    (
        "Insurers had asked for the escort after a tug was damaged last month, and the ministry "
        "agreed to it on condition that the owners share the cost of the fuel for the frigate."
    ),
    (
        "A second convoy of six is to follow in the first week of December, and a third one if the "
        "northern road is still closed by snow then, said the commander, Lena Marek."
    ),
)
CLEAN = "\n\n".join(STORY)


def page(*parts: str, head: str = "", before: str = "") -> bytes:
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{HEADLINE}</title>
{head}</head><body>{before}<main><article><h1>{HEADLINE}</h1><div class="zq-text">{"".join(parts)}
</div></article></main></body></html>""".encode()


def p(text: str) -> str:
    return f"<p>{text}</p>"


def body_of(html: bytes) -> str:
    return extract(html, URL).article_body


@pytest.mark.parametrize(
    "line",
    [
        "Ruth Olander in Varna and Piet Maas contributed reporting.",
        "Harbour Gazette writer Ruth Olander contributed to this report.",
        "Contributing: Ruth Olander; Piet Maas",
        "With additional reporting by Piet Maas in Lathen",
        "Mit Material von dpa",
        "(rol/dpa)",
        "Quelle: AFP",
        "Source: Harbour Gazette",
        "Contact Ruth Olander at r.olander@harbour.example.",
        "Ruth Olander can be reached at r.olander@harbour.example. Follow her on X @olander.",
        "Got a tip? Write to the desk.",
        "Sign up for the Harbour Letter, our newsletter on all things afloat.",
        "The Harbour Letter is a weekly newsletter for friends of the fleet.",
        "What do you make of the escort? Let us know in the comments.",
        "This article was originally published in the Lathen Courier.",
        "Originally published on 3 November.",
        "This interview has been edited for length and clarity.",
        "[Image via Lathen Courier]",
        "Filed under: convoys, ice",
        "We may receive a commission when you buy through our links.",
        'For more on the northern road, see <a href="/road/">our series</a>.',
    ],
)
def test_line_below_the_story_that_only_speaks_of_it_goes(line: str) -> None:
    article = extract(page(*map(p, STORY), p(line)), URL)
    assert article.article_body == CLEAN
    assert any(block.text.startswith(line[:12]) for block in article.removed_blocks) or "<" in line


def test_several_such_lines_go_together_and_each_is_reported() -> None:
    lines = ("Piet Maas contributed reporting.", "Filed under: ice", "Got a tip? Tell the desk.")
    article = extract(page(*map(p, STORY), *map(p, lines)), URL)
    assert article.article_body == CLEAN
    rules = {block.text: block.rule for block in article.removed_blocks}
    assert [rules[line] for line in lines] == [
        "ending:contributed",
        "ending:filed_under",
        "ending:contact",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Three yards contributed to this report on the state of the ice, which the ministry keeps.",
        "Contact with the last ship was lost at 18:40, and made again an hour later by the tug.",
        "Follow her, said the pilot, and you will be in the channel before the light goes.",
        "Readers who want to write may do so: desk@harbour.example is open day and night.",
        "Source: of the river, nobody has found it, and the old charts only guess at the place.",
    ],
)
def test_sentence_of_the_story_stays_though_it_begins_like_such_a_line(line: str) -> None:
    assert line in body_of(page(p(STORY[0]), p(line), *map(p, STORY[1:])))


def test_such_a_line_above_the_last_paragraph_is_the_storys_own() -> None:
    line = "Ruth Olander contributed to the report."
    assert line in body_of(page(p(STORY[0]), p(line), *map(p, STORY[1:])))


def test_affiliate_notice_above_the_story_goes() -> None:
    notice = "All products here are independently selected by our editors."
    assert body_of(page(p(notice), *map(p, STORY))) == CLEAN


def test_list_that_is_told_in_headings_keeps_its_end() -> None:
    items = [f"<h3>{n}. {text.split(',')[0]}</h3>" for n, text in enumerate(STORY, 1)]
    body = body_of(page(*map(p, STORY), *items, p("Originally published on 3 November.")))
    assert body.endswith(f"4. {STORY[3].split(',')[0]}")


# --- between the paragraphs ---------------------------------------------------------------------


def test_pull_quote_goes_with_who_said_it_and_a_quotation_stays() -> None:
    said = f"“{STORY[3].split(',')[0]}”"
    pulled = f"<blockquote><p>{said}</p><p>Lena Marek, commander</p></blockquote>"
    quoted = "<blockquote><p>We have never seen the ice so early, nor so thick.</p></blockquote>"
    body = body_of(page(p(STORY[0]), pulled, p(STORY[1]), quoted, p(STORY[2]), p(STORY[3])))
    own = "We have never seen the ice so early, nor so thick."
    assert body == "\n\n".join((STORY[0], STORY[1], own, STORY[2], STORY[3]))


def test_list_of_other_stories_goes_with_the_heading_over_it() -> None:
    titles = ("Tug damaged off the northern cape", "Ice closes the inner harbour for a week")
    items = "".join(
        f'<li>Seafaring: <a href="/2026/10/{n}/">{t}</a></li>' for n, t in enumerate(titles)
    )
    box = f"<h3>What else moves the port</h3><ul>{items}</ul>"
    article = extract(page(*map(p, STORY), box), URL)
    assert article.article_body == CLEAN
    assert [link.text for link in article.related_links] == list(titles)


def test_list_whose_items_link_to_their_sources_stays() -> None:
    items = "".join(
        f'<li>The ministry counted {n} ships, <a href="https://sea.example/{n}">it says</a>.</li>'
        for n in (9, 6, 4)
    )
    body = body_of(page(p(STORY[0]), p(STORY[1]), f"<ul>{items}</ul>", p(STORY[2])))
    assert "The ministry counted 6 ships, it says." in body


def test_caption_in_a_paragraph_of_its_own_goes_and_a_sentence_there_stays() -> None:
    picture = '<p><img src="/ice.jpg" alt=""></p>'
    captioned = picture + p("The frigate in the outer harbour of Lathen")
    body = body_of(page(p(STORY[0]), captioned, p(STORY[1]), picture, p(STORY[2]), p(STORY[3])))
    assert body == CLEAN


def test_heading_that_links_within_the_page_or_off_the_site_stays() -> None:
    parts = (
        p(STORY[0]), '<h3><a href="#ice">The ice</a></h3>', p(STORY[1]),
        '<h3><a href="https://tug.example/">The Tug Company</a></h3>', p(STORY[2]), p(STORY[3]),
    )  # fmt: skip
    body = body_of(page(*parts))
    assert body == "\n\n".join(
        (STORY[0], "The ice", STORY[1], "The Tug Company", STORY[2], STORY[3])
    )


def test_story_in_many_boxes_is_found_beside_a_long_list_of_titles() -> None:
    titles = "".join(
        f'<a class="zq-lateral" href="/2026/10/{n}/"><h2>Title number {n} of another story, which '
        f"speaks of a ship, a captain and the weather</h2></a><div>By Ada Quay</div>"
        for n in range(12)
    )
    days = [f"{text[:-1]}, as was said on day {n}." for n in range(2, 5) for text in STORY]
    parts = "".join(
        f'<div class="zq-part zq-markdown"><p>{text}</p></div><section class="zq-ad"></section>'
        for text in (*STORY, *days)
    )
    body = body_of(page(parts, before=f'<div class="zq-rail">{titles}</div>'))
    assert body.startswith(STORY[0])
    assert STORY[3] in body
    assert "Title number" not in body
