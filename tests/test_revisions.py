"""What makes a revision, told by pages that change between two fetches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.installation import Installation
from tests.living_site import Entry, LivingSite, Story, paragraphs, settle_in, story

QUOTED = (*paragraphs(900, n=4), "“It's the yard’s ‘last’ hull” — built 2019–2021, she said.")
REQUOTED = (*paragraphs(900, n=4), "\"It’s the yard's 'last' hull\" - built 2019-2021, she said.")

ALSO_READ = (
    '<aside class="related-posts"><h3>Also read</h3><ul>'
    '<li><a href="/2024/05/story-1/">Another hull is sold</a></li></ul></aside>'
)
SHARE = '<div class="sharedaddy"><span class="share-count">{n}</span> shares</div>'
ADVERT = '<div class="advertisement"><a href="/ad">Buy {what} today</a></div>'
CLOCK = '<div class="site-clock">It is {when} in the harbour</div>'

# name: (how the story is at first, what is changed of it)
EDITS: dict[tuple[str, ...], list[tuple[str, dict[str, Any], dict[str, Any]]]] = {
    ("body",): [
        ("a paragraph rewritten", {}, {"body": (*paragraphs(1, n=5), paragraphs(77)[0])}),
        ("a number in the text", {"body": (*paragraphs(2), "They sold 12 hulls for cash.")},
         {"body": (*paragraphs(2), "They sold 21 hulls for cash.")}),
        ("a paragraph added", {}, {"body": paragraphs(3, n=7)}),
    ],
    ("headline",): [("another headline", {}, {"headline": "The slipway is empty once more"})],
    ("description",): [("another standfirst", {}, {"description": "Quite another standfirst."})],
    ("authors",): [
        ("another author", {}, {"authors": ("Orla Tamm",)}),
        ("an author more", {}, {"authors": ("Ines Harrow", "Orla Tamm")}),
        ("the author dropped", {}, {"authors": ()}),
    ],
    ("date",): [
        ("another day", {}, {"published": "2024-06-20T08:15:00+00:00"}),
        ("a date at last", {"published": None}, {"published": "2024-05-06T08:15:00+00:00"}),
    ],
    ("access",): [("behind the wall now", {}, {"is_free": False})],
    ("body", "headline"): [
        ("two at once", {}, {"headline": "Two things changed today", "body": paragraphs(4, n=8)}),
    ],
    (): [
        ("quotes and dashes", {"body": QUOTED}, {"body": REQUOTED}),
        ("quotes in the headline", {"headline": "“Last” hull – the yard’s own"},
         {"headline": "\"Last\" hull - the yard's own"}),
        ("white space", {}, {"body": tuple(f"  {p.replace(' ', '  ')}\n" for p in paragraphs(0))}),
        ("modified date", {}, {"modified": "2024-05-30T10:00:00+00:00"}),
        ("keywords", {}, {"keywords": "navy, yards, hulls"}),
        ("image", {}, {"image": "/img/two.jpg"}),
        ("section", {}, {"section": "Industry"}),
        ("authors in another order", {"authors": ("Ines Harrow", "Orla Tamm")},
         {"authors": ("Orla Tamm", "Ines Harrow")}),
        ("related links", {}, {"extra": ALSO_READ}),
        ("share counters", {"extra": SHARE.format(n=4)}, {"extra": SHARE.format(n=977)}),
        ("adverts", {"extra": ADVERT.format(what="rope")}, {"extra": ADVERT.format(what="tar")}),
        ("clocks", {"extra": CLOCK.format(when="noon")}, {"extra": CLOCK.format(when="dusk")}),
        ("nothing at all", {}, {}),
    ],
}  # fmt: skip
CASES = [(expected, *case) for expected, cases in EDITS.items() for case in cases]
NUMBERS = {name: n for n, (_, name, _, _) in enumerate(CASES, start=10)}


@dataclass
class Recrawled:
    """The site crawled, changed, and every story asked for again."""

    installation: Installation
    site: LivingSite
    rows: dict[str, list[dict[str, Any]]]

    def versions(self, path: str) -> list[dict[str, Any]]:
        return self.rows.get(self.site.url(path), [])


def _first(name: str, first: dict[str, Any]) -> Story:
    n = NUMBERS[name]
    return story(n, **{"body": paragraphs(n), **first})


def _second(name: str, first: dict[str, Any], change: dict[str, Any]) -> Story:
    if name == "white space":
        change = {"body": tuple(f"  {p.replace(' ', '  ')}\n" for p in _first(name, first).body)}
    return replace(_first(name, first), **change)


FED = story(1, description=None, published="2024-05-02", authors=())
FEED_SAYS = Entry(
    path=FED.path,
    title=FED.headline,
    description="Only the feed has this standfirst of story one.",
    author="Pavel Stone",
    published="Thu, 02 May 2024 09:41:27 +0300",
)
BACK = story(2)
UNLISTED = story(3)


@pytest.fixture(scope="module")
def recrawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recrawled]:
    with LivingSite() as site:
        site.put(FED, BACK, UNLISTED, *(_first(name, first) for _, name, first, _ in CASES))
        site.entries = [FEED_SAYS, *site.entries[1:]]
        installation = settle_in(tmp_path_factory.mktemp("revisions"), site)
        installation.crawl(site.name)
        site.put(*(_second(name, first, change) for _, name, first, change in CASES))
        site.put(replace(BACK, body=paragraphs(2, n=8)))
        site.entries = []
        paths = [FED.path, BACK.path, *(_first(name, first).path for _, name, first, _ in CASES)]
        installation.json("recrawl", *(site.url(path) for path in paths))
        site.put(BACK, listed=False)
        installation.json("recrawl", site.url(BACK.path))
        installation.crawl(site.name)
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in installation.rows("SELECT * FROM revisions_all ORDER BY url, revision"):
            rows.setdefault(str(row["url"]), []).append(row)
        yield Recrawled(installation, site, rows)


@pytest.mark.parametrize(
    ("expected", "name", "first"),
    [pytest.param(e, n, f, id=n) for e, n, f, _ in CASES],
)
def test_a_revision_names_what_its_publisher_changed_and_nothing_else(
    recrawled, expected, name, first
):
    versions = recrawled.versions(_first(name, first).path)
    changes = [tuple(row["change"]) for row in versions]
    assert changes == [("new",), expected] if expected else changes == [("new",)]


def test_each_revision_names_the_one_before_it_and_keeps_its_id_and_month(recrawled):
    for versions in recrawled.rows.values():
        assert [row["previous_revision"] for row in versions] == [None, 1, 2][: len(versions)]
        assert len({(row["article_id"], row["published_month"]) for row in versions}) == 1


def test_an_edit_and_its_undoing_are_two_revisions_and_the_third_text_is_the_first(recrawled):
    first, second, third = recrawled.versions(BACK.path)
    assert [row["change"] for row in (first, second, third)] == [["new"], ["body"], ["body"]]
    assert third["article_body"] == first["article_body"] != second["article_body"]


def test_what_only_the_feed_said_is_no_edit_when_the_feed_says_it_no_more(recrawled):
    [only] = recrawled.versions(FED.path)
    assert only["description"] == FEED_SAYS.description
    assert only["authors"] == ["Pavel Stone"]


def test_the_feeds_second_is_kept_over_the_pages_day(recrawled):
    [only] = recrawled.versions(FED.path)
    assert only["date_published_precision"] in {"second", "minute"}
    assert only["date_published"] == "2024-05-02T06:41:27Z"


def test_an_article_off_its_feed_is_left_alone(recrawled):
    [only] = recrawled.versions(UNLISTED.path)
    assert only["change"] == ["new"]
    assert recrawled.site.asked(UNLISTED.path) == 1


def test_the_lake_agrees_with_itself_after_all_that(recrawled):
    assert recrawled.installation.json("doctor")["findings"] == []


# --- like with like -----------------------------------------------------------------------------


def test_a_new_rule_is_no_edit_and_an_edit_made_with_it_is_told_alone(tmp_path):
    """The rules of a site change between two crawls, while its publisher edits one story."""
    boxed = '<div class="yard-box"><p>A box that the theme puts in every text, unasked.</p></div>'
    with LivingSite() as site:
        stories = story(1), story(2)
        site.put(*stories)
        for one in stories:
            _with_box(site, one, boxed)
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        before = _rows(installation)
        assert all("unasked" in row["article_body"] for row in before.values())

        settle_in(tmp_path, site, prune=["div.yard-box"])
        edited = replace(story(2), headline="Story number 2 is told once more")
        site.put(edited)
        _with_box(site, edited, boxed)
        urls = [site.url(one.path) for one in stories]
        said = installation.json("recrawl", *urls)["results"]

        assert [one["outcome"] for one in said] == ["unchanged", "changed"]
        after = _rows(installation)
        same, changed = (after[url] for url in urls)
        assert same == before[urls[0]]
        assert (changed["change"], changed["revision"]) == (["headline"], 2)
        assert "unasked" not in changed["article_body"]
        assert changed["extractor"] != same["extractor"]
        assert changed["extraction"] == 1


def test_where_the_old_bytes_are_gone_the_old_row_is_compared(tmp_path):
    with LivingSite() as site:
        site.put(story(1))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        for file in (tmp_path / "lake" / "warc").rglob("*.warc.gz"):
            file.unlink()
        settle_in(tmp_path, site, prune=["div.none-such"])
        done = installation.run("recrawl", site.url(story(1).path), "--json")
        assert '"unchanged"' in done.stdout
        assert "cannot be read" in done.stderr


def _with_box(site: LivingSite, one: Story, box: str) -> None:
    answer = site.answers[one.path]
    assert not callable(answer)
    site.answers[one.path] = replace(
        answer, body=answer.body.replace(b"</p>\n", f"</p>{box}\n".encode(), 1)
    )


def _rows(installation: Installation) -> dict[str, dict[str, Any]]:
    newest_last = "SELECT * EXCLUDE (last_seen) FROM revisions ORDER BY revision"
    found = installation.rows(newest_last)
    return {str(row["url"]): row for row in found}
