"""Who wrote it and what it is called, on pages that say so in ways of their own."""

from __future__ import annotations

import json
from time import process_time

import pytest

from crawler.extraction import extract
from pipelines.model import Article

URL = "https://gazette.example/2026/11/yard/"
TEXT = (
    "The Lathen yard will deliver a second patrol boat in May, a year later than it had said, and "
    "build a third one for the coast guard, which has waited for it since the spring."
)
HEADLINE = "Lathen yard delivers a patrol boat late"


def read(
    *, h1: str = HEADLINE, byline: str = "", ld: dict[str, object] | None = None, head: str = ""
) -> Article:
    data = json.dumps({"@context": "https://schema.org", "@type": "NewsArticle", **(ld or {})})
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">{head}
<meta property="og:site_name" content="Harbour Gazette">
<script type="application/ld+json">{data}</script></head><body>
<header><a href="/">Harbour Gazette</a></header><main><article><h1>{h1}</h1>{byline}
<div class="zq-story"><p>{TEXT}</p><p>{TEXT[:-1]}, its owners said.</p></div></article></main>
</body></html>"""
    return extract(page.encode(), URL)


@pytest.mark.parametrize(
    ("byline", "authors"),
    [
        ('<p class="zq-1">By Ada Quay</p>', ("Ada Quay",)),
        ('<div class="zq-2"><a href="/author/ada-quay/">Ada Quay</a></div>', ("Ada Quay",)),
        ('<span class="byline">business by Ada Quay 05. November 2026</span>', ("Ada Quay",)),
        ('<p class="byline">von Ada Quay, Harbour Gazette North</p>', ("Ada Quay",)),
        ('<p class="byline">By Ada Quay/Piet Maas</p>', ("Ada Quay", "Piet Maas")),
        ('<p class="byline">Ada Quay</p><p class="byline">Journalist</p>', ("Ada Quay",)),
        ('<p class="byline">By Ada QuayDecember 5, 2026</p>', ("Ada Quay",)),
        ('<p class="byline">By April May Dec. 5, 2026</p>', ("April May",)),
        ('<p class="byline">By Ada Quay | Edited by Piet Maas</p>', ("Ada Quay",)),
        ('<p class="byline">Photos by Piet Maas</p>', ()),
        ('<p class="byline">Reviewed by Piet Maas, by Ada Quay</p>', ("Ada Quay",)),
        ('<p class="byline">von Ada Quay; Fotos von Piet Maas</p>', ("Ada Quay",)),
        ('<h4>By <span class="Head--authName--2GjjR">Ada Quay</span></h4>', ("Ada Quay",)),
        (
            '<div class="sc-1a AuthorLink-sc-10pl2l7-4"><a href="/x/q">Ada Quay</a></div>',
            ("Ada Quay",),
        ),
        ('<ul><li class="zq">Von: <a href="/ada-quay">Ada Quay</a></li></ul>', ("Ada Quay",)),
        ("<div><small>posted 5 November</small> by Ada Quay </div>", ("Ada Quay",)),
        ('<p class="byline">By Harbour Gazette</p>', ()),
        ('<p class="byline">Newsroom</p>', ()),
        ('<p class="zq-3">By the time it sailed, the boat was old</p>', ()),
    ],
)
def test_people_are_authors_however_they_are_printed(byline: str, authors: tuple[str, ...]) -> None:
    assert read(byline=byline).authors == authors


def test_agency_is_the_author_where_no_person_is_named() -> None:
    article = read(byline='<p class="byline">By Associated Press</p>')
    assert article.authors == ("Associated Press",)


def test_agency_is_named_beside_people_as_the_page_itself_does() -> None:
    people = [{"@type": "Organization", "name": "Reuters"}, {"@type": "Person", "name": "Ada Quay"}]
    assert set(read(ld={"author": people}).authors) == {"Ada Quay", "Reuters"}


def test_people_in_one_node_of_the_pages_data_are_all_authors() -> None:
    person = {"@type": "Person", "name": ["Ada Quay", "Piet Maas"]}
    assert read(ld={"author": person}).authors == ("Ada Quay", "Piet Maas")


def test_editors_that_the_pages_data_list_with_the_authors_are_none_as_printed() -> None:
    people = [{"@type": "Person", "name": name} for name in ("Ada Quay", "Piet Maas")]
    line = '<p class="byline">By Ada Quay | Edited by Piet Maas</p>'
    assert read(ld={"author": people}, byline=line).authors == ("Ada Quay",)


def test_author_who_took_the_photographs_too_stays_one() -> None:
    people = [{"@type": "Person", "name": name} for name in ("Ada Quay", "Piet Maas")]
    line = '<p class="byline">By Ada Quay and Piet Maas | Photos by Piet Maas</p>'
    assert read(ld={"author": people}, byline=line).authors == ("Ada Quay", "Piet Maas")


@pytest.mark.parametrize("account", ["105092", "a.quay@gazette.example"])
def test_account_in_the_head_is_no_author_and_hides_none(account: str) -> None:
    head = f'<meta name="author" content="{account}">'
    assert read(head=head).byline is None
    head += '<meta name="twitter:misc:Written by" content="Ada Quay">'
    assert read(head=head).authors == ("Ada Quay",)


@pytest.mark.parametrize("value", ["@" * 200_000 + " x", "reviewed by " * 20_000, "A" * 200_000])
def test_long_credits_cost_no_more_than_their_length(value: str) -> None:
    start = process_time()
    read(head=f'<meta name="author" content="{value}">', byline=f'<p class="{value}">{value}</p>')
    assert process_time() - start < 2


def test_agency_that_owns_the_site_is_its_own_name() -> None:
    head = '<meta property="og:site_name" content="Reuters">'
    article = read(head=head, ld={"author": {"@type": "Organization", "name": "Reuters"}})
    assert article.authors == ()


def test_authors_of_other_stories_further_down_are_not_this_ones() -> None:
    cards = "".join(f'<div><a href="/author/{n}/">Other Name</a></div>' for n in range(3))
    page = read(byline="").article_body
    assert page
    below = f"<p>{TEXT}</p>" * 30 + cards
    assert read(byline=f'<div class="zq-body">{below}</div>').authors == ()


# --- headlines ----------------------------------------------------------------------------------


def titled(title: str, *, og: str | None = None) -> str:
    return (
        f"<title>{title} | Harbour Gazette</title>"
        f'<meta property="og:title" content="{og or title}">'
    )


def test_words_over_the_heading_are_part_of_it_where_the_pages_data_agree() -> None:
    whole = f"Coast guard: {HEADLINE}"
    assert read(head=titled(whole), ld={"headline": whole}).headline == whole


def test_section_before_a_bar_is_no_part_of_the_headline() -> None:
    html = f"<span>Opinion</span>{HEADLINE}"
    told = f"Opinion | {HEADLINE}"
    assert read(h1=html, head=titled(told), ld={"headline": HEADLINE}).headline == HEADLINE


def test_short_heading_is_the_headline_though_the_title_has_the_sites_name_behind_it() -> None:
    head = "<title>„Late again“ – The New Lathen Daily</title>"
    head += '<meta property="og:title" content="„Late again“ - The New Lathen Daily">'
    assert read(h1="„Late again“", head=head).headline == "„Late again“"
