"""What a site repeats is learned as it is crawled, and what was stored before that is mended."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crawler.differences import losses
from crawler.learning import Stored, chosen
from pipelines.furniture import Known
from pipelines.model import Article, RemovedBlock
from tests.installation import Installation
from tests.living_site import Answer, Entry, LivingSite, settle_in
from tests.unknown_site import NOTE, PROMO, Tale, page, pictures, promo, tale

ARTICLES = "SELECT url, revision, extraction, article_body, removed_blocks FROM articles"


def noisy(n: int, **changes: Any) -> Tale:
    within = ((2, promo()), (4, pictures(n + 100, n + 101)))
    return tale(n, **{"within": within, **changes})


FIVE = [noisy(n) for n in range(5)]


def publish(site: LivingSite, *tales: Tale, is_new: bool = False) -> None:
    for one in tales:
        path = "/" + one.url.partition("//")[2].partition("/")[2]
        site.answers[path] = Answer(body=page(one, is_new=is_new))
        if path not in {entry.path for entry in site.entries}:
            site.entries.append(Entry(path=path))


def bodies(installation: Installation) -> dict[str, str]:
    """Return the stored text of each story, by its number."""
    rows = installation.rows("SELECT url, article_body FROM articles")
    return {row["url"].rpartition("/")[2].partition("-")[0]: row["article_body"] for row in rows}


def truth(*tales: Tale) -> dict[str, str]:
    return {str(one.n): one.body for one in tales}


@pytest.fixture(scope="module")
def running() -> Iterator[LivingSite]:
    with LivingSite("tarn_signal") as site:
        yield site


@pytest.fixture
def site(running: LivingSite) -> Iterator[LivingSite]:
    """The site, without a story."""
    running.answers, running.entries = {}, []
    return running


@pytest.fixture(scope="module")
def crawled(running: LivingSite, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Five stories crawled, and learned from. To be copied, never written."""
    running.answers, running.entries = {}, []
    publish(running, *FIVE)
    installation = settle_in(tmp_path_factory.mktemp("crawled"), running)
    installation.crawl(running.name)
    return installation


@pytest.fixture
def learned(site: LivingSite, crawled: Installation, tmp_path: Path) -> Installation:
    publish(site, *FIVE)
    shutil.copytree(crawled.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Installation(folder=tmp_path)


def test_four_pages_are_mended_when_the_fifth_has_told_what_the_site_repeats(site, tmp_path):
    publish(site, *FIVE[:4])
    installation = settle_in(tmp_path, site)
    installation.crawl(site.name)
    assert all(PROMO in body for body in bodies(installation).values())
    publish(site, FIVE[4])
    said = installation.crawl(site.name)
    assert bodies(installation) == truth(*FIVE)
    # Nobody edited anything: no revision, no change counted.
    assert said["totals"]["changed"] == 0
    rows = installation.rows("SELECT revision, extraction FROM revisions_all")
    assert {row["revision"] for row in rows} == {1}
    assert sorted(row["extraction"] for row in rows) == [1] * 5 + [2] * 5
    assert installation.json("doctor")["findings"] == []


def test_pages_that_come_after_are_read_clean_and_say_why(site, learned):
    publish(site, noisy(5))
    learned.crawl(site.name)
    [row] = learned.rows(f"{ARTICLES} WHERE url LIKE '%/5-at-the-slip'")
    assert row["article_body"] == noisy(5).body
    assert row["extraction"] == 1
    rules = {block["rule"]: block["text"] for block in row["removed_blocks"]}
    assert rules["learned:text 5/5"].startswith(PROMO)
    assert rules["learned:place 5/5"].endswith("and what came of it in the end.")


def test_what_was_learned_is_data(site, learned):
    rows = learned.rows("SELECT * FROM furniture WHERE is_in_force AND kind = 'text'")
    [row] = [row for row in rows if PROMO in row["text"]]
    assert (row["site"], row["seen"], row["looked_at"], row["in_body"]) == (site.name, 5, 5, 5)
    assert row["place"].endswith("div.qx-mooring>p")
    assert len(row["example_urls"]) == 5
    then = learned.json("query", "SELECT count(*) FROM furniture", "--as-of", "2020-01-01")
    assert then["rows"] == [[0]]


def test_what_was_read_before_learning_is_compared_as_it_is_read_now(site, tmp_path):
    """Mended or not: a site that lost its promo has edited nothing, one that wrote a line has."""
    publish(site, *FIVE[:4])
    installation = settle_in(tmp_path, site)
    installation.crawl(site.name)
    # What four pages repeat is known to be nobody's story as soon as a fifth comes with an edit.
    publish(site, FIVE[4], tale(0), edited := noisy(1, paragraphs=(*FIVE[1].paragraphs, "More.")))
    urls = [row["url"] for row in installation.rows("SELECT url FROM articles ORDER BY url")]
    installation.crawl(site.name)
    again = installation.json("recrawl", *urls[:2])
    assert [one["outcome"] for one in again["results"]] == ["unchanged", "changed"]
    assert bodies(installation)["1"] == edited.body
    assert [row["change"] for row in installation.rows("SELECT change FROM edits")] == [["body"]]


def test_a_redesign_is_learned_and_both_layouts_are_read_right(site, learned):
    def new(n: int) -> Tale:
        line = f'<div class="oar"><p>{NOTE} Boats need oars. <a href="/x">Row with us</a></p></div>'
        return tale(n, within=((2, line),))

    redesigned = [new(n) for n in range(20, 26)]
    publish(site, *redesigned, is_new=True)
    learned.crawl(site.name)
    assert bodies(learned) == truth(*FIVE, *redesigned)
    said = learned.json("reextract")
    assert [(one["rows"], one["differing"]) for one in said["sites"]] == [(11, 0)]
    rules = {row["rule"] for row in learned.rows("SELECT rule FROM removed_blocks")}
    assert rules >= {"learned:text 5/5", "learned:place 5/5", "learned:text 6/6"}


def test_a_state_made_anew_has_the_same_furniture(site, learned):
    shutil.rmtree(learned.folder / "state")
    assert learned.json("doctor", "--rebuild")["ok"]
    publish(site, noisy(5))
    learned.crawl(site.name)
    assert bodies(learned) == truth(*FIVE, noisy(5))
    assert len(learned.rows("SELECT * FROM furniture WHERE kind = 'pages'")) == 1


def test_a_preview_reads_with_what_is_known(site, learned):
    publish(site, noisy(5))
    url = site.url("/quays/5-at-the-slip")
    assert learned.json("extract", url)["article_body"] == noisy(5).body
    (learned.folder / "saved.html").write_bytes(page(noisy(5)))
    said = learned.json("extract", "saved.html", "--url", url)
    assert said["article_body"] == noisy(5).body


def test_what_recurs_in_a_series_is_stored_whole(site, tmp_path):
    preface = "This is the daily log of the strait, kept from midnight to midnight by the pilots."

    def report(n: int) -> Tale:
        one = tale(n)
        return replace(one, paragraphs=(preface, *one.paragraphs))

    publish(site, *(report(n) for n in range(12)))
    installation = settle_in(tmp_path, site)
    installation.crawl(site.name)
    assert bodies(installation) == truth(*(report(n) for n in range(12)))
    assert installation.rows("SELECT * FROM furniture WHERE kind IN ('text', 'place')") == []


KILLED_AT: dict[str, tuple[str, int]] = {
    "before it looks": ("looking", 1),
    "as it looks": ("looked", 3),
    "before it is written down": ("furniture_next", 1),
    "when it is written down": ("furniture_in", 1),
    "before what was stored is mended": ("mending", 1),
    "in the midst of mending": ("unit_stored", 1),
    "before it is written down that all is mended": ("furniture_next", 2),
}
_EVERY_TIME = ("looked", "unit_stored")


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(one, marks=[] if KILLED_AT[one][0] in _EVERY_TIME else pytest.mark.soak)
        for one in KILLED_AT
    ],
)
def test_killed_as_it_learns_a_crawl_is_made_good_by_the_next(site, tmp_path, moment):
    tales = [noisy(n) for n in range(6)]
    publish(site, *tales)
    installation = settle_in(tmp_path, site)
    step, n = KILLED_AT[moment]
    done = installation.killed_at(step, n, "crawl", site.name)
    assert done.returncode == -signal.SIGKILL, done.stderr
    installation.crawl(site.name)
    assert bodies(installation) == truth(*tales)
    rows = installation.rows("SELECT revision, extraction FROM revisions_all")
    assert sorted((row["revision"], row["extraction"]) for row in rows) == sorted(
        [(1, 1)] * 6 + [(1, 2)] * 6
    )
    assert installation.json("doctor")["findings"] == []
    kinds = installation.rows("SELECT kind, count(*) AS n FROM furniture GROUP BY kind")
    assert {row["kind"]: row["n"] for row in kinds}["mended"] == 1


# When, and from what

NOW, HOUR = datetime(2026, 3, 2, 8, tzinfo=UTC), timedelta(hours=1)


def stored(n: int) -> list[Stored]:
    return [Stored(article_id=f"{one:04d}", fetched_at=NOW + one * HOUR) for one in range(n)]


@pytest.mark.parametrize(
    ("there", "looked_at", "of_them", "chosen_pages"),
    [
        (4, 0, 0, 0),  # fewer than five
        (5, 0, 0, 5),
        (9, 5, 5, 0),  # five were looked at, four are new
        (10, 5, 5, 10),
        (29, 20, 20, 0),  # of twenty, half as many
        (30, 20, 20, 20),
        (400, 0, 0, 40),
    ],
)
def test_a_site_is_learned_from_when_enough_is_new(
    there: int, looked_at: int, of_them: int, chosen_pages: int
) -> None:
    until = NOW + (of_them - 1) * HOUR if of_them else None
    before = Known(looked_at=looked_at, looked_until=until)
    assert len(chosen(stored(there), before)) == chosen_pages


def test_of_many_new_pages_some_of_every_time_are_looked_at() -> None:
    found = [int(one.article_id) for one in chosen(stored(400), Known())]
    assert found == list(range(0, 400, 10))


# What is lost, and what is not


def read_twice(*, promo: str, text: str) -> tuple[Article, Article]:
    """Return a story as it was read, with a promo at its end, and without it."""
    before, rule = f"{text}\n\n{promo}", "learned:text 5/5"
    block = RemovedBlock(text=promo, rule=rule, selector="p")
    return (
        Article(url="u", article_body=before, word_count=len(before.split())),
        Article(
            url="u", article_body=text, word_count=len(text.split()), removed_blocks=(block,)
        ),
    )  # fmt: skip


def test_words_that_were_taken_for_what_the_site_repeats_are_no_loss() -> None:
    assert losses(*read_twice(text="one two three four", promo="join us")) == ()


def test_more_than_half_of_a_text_is_a_loss_whatever_it_was_taken_for() -> None:
    assert losses(*read_twice(text="one two three", promo="join us now or")) == ("words",)


def test_words_that_went_with_what_the_site_repeats_are_a_loss() -> None:
    before, after = read_twice(text="one two three four five six", promo="join us")
    shorter = replace(after, article_body="one two three four", word_count=4)
    assert losses(before, shorter) == ("words",)
