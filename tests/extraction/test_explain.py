"""Where each field comes from is told by what decided, with all that it decided among."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crawler.extraction import extract
from crawler.extraction.explain import FIELDS, Explanation, explain
from crawler.extraction.furniture import furniture_of
from crawler.extraction.recurrence import learn
from crawler.site import ExtractRules, Site
from pipelines.model import Hints
from tests.unknown_site import PROMO, looked_at, promo, tale
from tests.unknown_site import page as written

URL = "https://skerry.example/2026/04/09/tug-fleet-renewed/"
NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)
HINTS = Hints(
    source="feed",
    headline="Tug fleet is to be renewed",
    date_published="Thu, 09 Apr 2026 06:15:30 GMT",
    authors=("Ines Holm", "Per Aune"),
    keywords=("Tugs",),
)
STORY = (
    "The harbour board will replace its nine tugs within four years, and sell the oldest three.",
    "The first of the new boats is to be laid down in autumn at a yard that nobody has named.",
    "Crews will train on a simulator until then, said the harbour master, who has asked for two.",
    "No ferry route will be cut while the work goes on, according to the plan that was published.",
    "The board expects to spend a third less on fuel, and to sell what it saves as allowances.",
    "A vote on the plan was put off twice last year, since neither side could agree on its cost.",
)
JSONLD = """<script type="application/ld+json">{"@type": "NewsArticle",
 "headline": "Tug fleet renewed", "author": {"@type": "Person", "name": "Ines Holm"},
 "datePublished": "2026-04-09T06:15Z", "isAccessibleForFree": "True"}</script>"""


def page(*, head: str = JSONLD, below: str = "") -> bytes:
    text = "".join(f"<p>{one}</p>" for one in STORY)
    return f"""<!doctype html><html lang="en"><head><title>Tug fleet renewed | Skerry Post</title>
<meta property="og:title" content="Tug fleet renewed | Skerry Post">
<meta property="og:image" content="/tug.jpg"><meta name="keywords" content="tugs, harbour, tugs">
<meta property="article:published_time" content="2026-04-01">{head}</head><body>
<main><article id="story-7"><h1 class="title">Tug fleet renewed</h1>
<p class="byline">By Ines Holm</p><div class="copy">{text}
<div class="sharedaddy"><p>Share this story with the harbour</p></div></div></article></main>
{below}</body></html>""".encode()


@pytest.fixture
def told() -> Explanation:
    return explain(page(), URL, hints=HINTS, fetched_at=NOON)


def lost(told: Explanation, field: str) -> dict[tuple[str, str], str]:
    found = told.of(field).candidates
    return {(one.source, one.at): one.why for one in found if not one.is_chosen}


def test_every_field_has_its_source_and_what_stood_there(told: Explanation) -> None:
    said = {one.field: (one.source, one.at, one.raw) for one in told.fields if one.source}
    assert tuple(one.field for one in told.fields) == FIELDS
    assert said["headline"] == ("html", "h1.title", "Tug fleet renewed")
    assert said["date_published"] == ("feed", "date_published", "Thu, 09 Apr 2026 06:15:30 GMT")
    assert said["byline"] == ("html", "p.byline", "By Ines Holm")
    assert said["image_url"] == ("meta", "og:image", "/tug.jpg")
    assert said["keywords"] == ("meta", "keywords", "tugs, harbour, tugs")
    assert said["is_accessible_for_free"] == ("json-ld", "isAccessibleForFree", True)
    assert told.of("keywords").value == ("tugs", "harbour")


def test_what_explain_reads_is_what_extract_reads(told: Explanation) -> None:
    article = extract(page(), URL, hints=HINTS, fetched_at=NOON)
    assert told.article == article
    assert all(one.value == getattr(article, one.field) for one in told.fields)


def test_dates_that_lost_say_why(told: Explanation) -> None:
    assert told.of("date_published").value == datetime(2026, 4, 9, 6, 15, 30, tzinfo=UTC)
    why = lost(told, "date_published")
    assert why["json-ld", "datePublished"] == "is less precise than the winner"
    assert why["meta", "article:published_time"].startswith("names another time")
    assert why["url", "path"] == "is less precise than the winner"


def test_a_later_source_that_names_all_authors_wins_over_the_first(told: Explanation) -> None:
    authors = told.of("authors")
    assert (authors.source, authors.value) == ("feed", ("Ines Holm", "Per Aune"))
    assert lost(told, "authors")["json-ld", "author"] == "the winner says the same, and more"


def test_a_candidate_that_cannot_be_used_says_so() -> None:
    html = page(
        head='<meta property="og:image" content="data:,"><meta name="author" content="Admin">'
    )
    told = explain(html.replace(b'content="/tug.jpg"', b'content="data:,"'), URL)
    image = told.of("image_url")
    assert (image.value, image.source) == (None, None)
    assert image.candidates[0].why == "nothing in it can be used"
    assert "names nobody" in lost(told, "authors")["meta", "author"]


def test_a_description_that_repeats_the_story_is_told_as_such() -> None:
    head = f'<meta name="description" content="{STORY[0][:60]}…">'
    description = explain(page(head=head), URL).of("description")
    assert description.value is None
    assert "repeats how the article_body begins" in description.candidates[0].why


def test_the_body_tells_its_region_its_witness_and_each_removal(told: Explanation) -> None:
    assert told.of("article_body").source == "html"
    assert told.witness == "trafilatura"
    assert told.region == "html > body > main > article#story-7 > div.copy"
    [share] = [one for one in told.removed_blocks if "Share this" in one.text]
    assert (share.selector, share.source) == ("div.sharedaddy", "html")
    assert share.rule.startswith("markup:")


def test_what_the_site_file_says_has_the_site_as_its_source() -> None:
    rules = ExtractRules(body="div.copy", prune=("div.sharedaddy",))
    site = Site(
        name="skerry", publisher="The Skerry Post", home="https://skerry.example/",
        country="NO", extract=rules, time_zone="UTC",
    )  # fmt: skip
    told = explain(page(), URL, site=site)
    sources = {one.field: one.source for one in told.fields}
    assert {sources[name] for name in ("publisher", "country", "article_body")} == {"site"}
    assert (told.witness, told.region) == (
        "site_file",
        "html > body > main > article#story-7 > div.copy",
    )
    assert ("site:div.sharedaddy", "site") in [(b.rule, b.source) for b in told.removed_blocks]


def test_what_was_learned_of_the_site_has_that_as_its_source() -> None:
    tales = [tale(n, within=((2, promo()),)) for n in range(6)]
    known = furniture_of(one for one in learn([looked_at(one) for one in tales]) if one.is_in_force)
    one = tale(9, within=((2, promo()),))
    told = explain(written(one), one.url, furniture=known)
    [block] = [one for one in told.removed_blocks if one.source == "learned"]
    assert block.rule.startswith("learned:text 6/6")
    assert block.text.startswith(PROMO)


def test_an_agency_is_the_winner_only_where_nobody_else_is_named() -> None:
    authors = explain(page(head='<meta name="author" content="Reuters">'), URL).of("authors")
    assert (authors.value, authors.source) == (("Ines Holm",), "html")
    html = page(head='<meta name="author" content="Reuters">').replace(b"By Ines Holm", b"")
    authors = explain(html, URL).of("authors")
    assert (authors.value, authors.source, authors.raw) == (("Reuters",), "meta", "Reuters")


def test_a_cut_body_tells_what_shows_it() -> None:
    head = JSONLD.replace('"headline"', '"wordCount": 900, "headline"')
    cut = explain(page(head=head), URL).of("is_truncated")
    assert (cut.value, cut.source, cut.raw) == (True, "json-ld", 900)


def test_a_page_that_cannot_be_read_has_all_fields_and_no_source() -> None:
    told = explain(b" ", URL)
    assert told.article.refusal == "empty"
    assert {one.source for one in told.fields} == {None}


def test_the_page_as_it_is_without_any_hint_differs_only_where_the_feed_spoke() -> None:
    with_feed = explain(page(), URL, hints=HINTS, fetched_at=NOON).article
    bare = explain(page(), URL, hints=replace(HINTS, authors=()), fetched_at=NOON).article
    assert (with_feed.authors, bare.authors) == (("Ines Holm", "Per Aune"), ("Ines Holm",))


def test_bundled_pages_are_explained_without_a_field_of_unknown_source() -> None:
    pages = sorted(Path("fixtures/sites").rglob("*.html"))
    assert pages
    for file in pages:
        told = explain(file.read_bytes(), "https://skerry.example/a/")
        filled = [one for one in told.fields if one.value not in (None, (), "", False)]
        assert all(one.source for one in filled), file
