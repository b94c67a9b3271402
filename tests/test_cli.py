"""The command line as its users meet it: help, wrong use, JSON, and what each verb prints."""

from __future__ import annotations

import csv
import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import pyarrow.parquet as pq
import pytest

from crawler.cli import cli, main
from fixtures.newsroom import Newsroom
from pipelines.lake import Lake
from pipelines.model import (
    Article,
    Batch,
    Capture,
    Kind,
    Page,
    RecordLocation,
    RelatedLink,
    Revision,
    Verdict,
)
from pipelines.publish import publish
from pipelines.schema import ARTICLES
from tests.installation import Installation, install
from tests.verbs import command_of, verbs

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


VERBS = verbs(cli)


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    """A user's folder with nothing in it."""
    return install(tmp_path)


class Said(NamedTuple):
    status: int
    stdout: str
    stderr: str


Sitrep = Callable[..., Said]


@pytest.fixture
def sitrep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Sitrep]:
    """The program, called in an empty folder without a process of its own, which takes a second."""
    handlers = logging.getLogger().handlers[:]
    monkeypatch.chdir(tmp_path)
    for name in [one for one in os.environ if one.startswith("SITREP_")]:
        monkeypatch.delenv(name)

    def run(*typed: str, **settings: str) -> Said:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["sitrep", *typed])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *capsys.readouterr())

    yield run
    logging.getLogger().handlers[:] = handlers


def only_object(text: str) -> dict[str, Any]:
    """Return the one JSON object that standard output may hold."""
    assert len(text.splitlines()) == 1
    said: dict[str, Any] = json.loads(text)
    return said


# --- help -------------------------------------------------------------------------------------


BY_ITSELF = """
import os, sys
import click
from crawler.cli import VERBS, cli
for verb in VERBS:
    if os.fork() == 0:
        assert cli.get_command(click.Context(cli), verb)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"{verb} cannot be loaded")
"""


def test_each_verb_can_be_loaded_by_itself():
    """The other tests load them in a process that has them all."""
    command = [sys.executable, "-c", BY_ITSELF]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_verb_with_what_it_does(here: Installation) -> None:
    lines = here.run("--help").stdout.splitlines()
    for words in VERBS:
        [line] = [one for one in lines if one.startswith(f"  {words[0]} ")]
        assert len(line.split()) > 3


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_help_of_a_verb_says_what_it_does_and_explains_each_option(
    words: tuple[str, ...],
) -> None:
    command = command_of(cli, *words)
    context = click.Context(command, info_name=" ".join(words))
    assert command.get_short_help_str(200)
    for option in (one for one in command.params if isinstance(one, click.Option)):
        assert option.help, option.name
    text = command.get_help(context)
    assert text.startswith(f"Usage: {' '.join(words)}")
    for flag in ("--json", "--lake", "--state", "--verbose", "--quiet"):
        assert flag in text


@pytest.mark.parametrize("words", [("crawl",), ("sites", "test")], ids=" ".join)
def test_help_is_printed_by_the_program_and_exits_0(
    words: tuple[str, ...], here: Installation
) -> None:
    done = here.run(*words, "--help")
    assert "Usage:" in done.stdout
    assert done.stderr == ""


def test_version_is_told(here: Installation) -> None:
    assert here.run("--version").stdout.startswith("sitrep, version 0.")


# --- wrong use --------------------------------------------------------------------------------

# (what is typed, what the one line on standard error must say)
WRONG = (
    (["crawl"], "no site named; name one"),
    (["crawl", "naval_new"], "no site is called 'naval_new'; did you mean 'naval_news'?"),
    (["crawl", "zzz"], "see `sitrep sites list`"),
    (["crawl", "naval_news", "--all"], "not both"),
    (["crawl", "naval_news", "--from", "2024-05-02", "--to", "2024-05-01"], "--to lies before"),
    (["crawl", "naval_news", "--give-up"], "--give-up needs the days of a backfill"),
    (["crawl", "naval_news", "--from", "2024-05-01", "--give-up", "--dry-run"], "asks nothing"),
    (["sites", "show", "naval"], "did you mean 'naval_news'?"),
    (["sites", "test", "nowhere"], "no site is called 'nowhere'"),
    (["extract", "no-such-file.html"], "no-such-file.html: cannot be read"),
    (["status", "--sites", "nowhere"], "nowhere: no such folder of site files"),
    (["status", "--workers", "0"], "flag workers"),
    (["status", "--state", "not a url"], "flag state"),
)


@pytest.mark.parametrize(("typed", "said"), WRONG, ids=[" ".join(one[0]) for one in WRONG])
def test_wrong_use_exits_2_with_one_line_that_says_what_to_do(
    typed: list[str], said: str, sitrep: Sitrep
) -> None:
    done = sitrep(*typed)
    assert done.status == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("sitrep: ")
    assert said in line


@pytest.mark.parametrize("typed", [["crawl", "--alll"], ["crawll"], ["crawl", "--limit", "-1"]])
def test_words_that_are_no_command_or_option_exit_2_without_a_traceback(
    typed: list[str], sitrep: Sitrep
) -> None:
    done = sitrep(*typed)
    assert done.status == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("sitrep: ")
    assert "--help" in line
    assert "Traceback" not in done.stderr


def test_wrong_use_is_told_by_the_program_as_it_is_installed(here: Installation) -> None:
    done = here.run("crawl", "naval_new", "--json", check=False)
    assert done.returncode == 2
    assert only_object(done.stdout)["error"]["remedy"] == "did you mean 'naval_news'?"
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "typed",
    [
        ["crawl", "naval_new"],
        ["crawl", "--alll"],
        ["crawll"],
        ["query", "SELECT 1"],
        ["show", "https://www.navalnews.com/x/"],
        ["explain", "https://www.navalnews.com/x/"],
        ["export", "x.csv"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_error_with_json_is_one_object_on_standard_output(typed: list[str], sitrep: Sitrep) -> None:
    done = sitrep(*typed, "--json")
    assert done.status in {1, 2}
    said = only_object(done.stdout)
    assert list(said) == ["error"]
    assert set(said["error"]) == {"message", "where", "remedy"}
    assert said["error"]["message"]
    assert said["error"]["remedy"]


# --- settings ---------------------------------------------------------------------------------


def test_unknown_variable_is_named_with_the_one_that_was_meant(sitrep: Sitrep) -> None:
    done = sitrep("status", SITREP_LAEK="x")
    assert done.status == 2
    assert "SITREP_LAEK; did you mean SITREP_LAKE?" in done.stderr


def test_impossible_value_names_the_variable(sitrep: Sitrep) -> None:
    done = sitrep("status", "--json", SITREP_LOG_FORMAT="xml")
    assert done.status == 2
    assert only_object(done.stdout)["error"]["where"] == "SITREP_LOG_FORMAT"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('laek = "x"', "unknown setting laek; did you mean lake?"),
        ('workers = "many"', "sitrep.toml workers"),
        ("lake = ", "cannot be read"),
    ],
)
def test_bad_settings_file_is_one_line_with_file_and_key(
    text: str, said: str, sitrep: Sitrep
) -> None:
    Path("sitrep.toml").write_text(text, encoding="utf-8")
    done = sitrep("status")
    assert done.status == 2
    [line] = done.stderr.splitlines()
    assert "sitrep.toml" in line
    assert said in line


def test_flag_goes_before_environment_and_environment_before_file(sitrep: Sitrep) -> None:
    Path("sitrep.toml").write_text('lake = "of the file"', encoding="utf-8")
    told = [
        sitrep("status", "--json"),
        sitrep("status", "--json", SITREP_LAKE="of the environment"),
        sitrep("status", "--json", "--lake", "of the flag", SITREP_LAKE="of the environment"),
    ]
    lakes = [only_object(one.stdout)["lake"] for one in told]
    assert lakes == ["of the file", "of the environment", "of the flag"]


# --- a lake that is not there, or is empty ----------------------------------------------------


@pytest.mark.parametrize("typed", [["query", "SELECT 1"], ["export", "x.csv"], ["doctor"]])
def test_missing_lake_exits_1_and_says_how_to_make_one(typed: list[str], sitrep: Sitrep) -> None:
    done = sitrep(*typed)
    assert done.status == 1
    [line] = done.stderr.splitlines()
    assert f"{Path.cwd() / 'lake'}: there is no lake here; run sitrep crawl first" in line
    assert not Path("lake").exists()


def test_status_before_the_first_crawl_shows_the_sites_with_nothing(sitrep: Sitrep) -> None:
    said = only_object(sitrep("status", "--json").stdout)
    assert said["articles"] == 0
    assert said["pending_captures"] == 0
    assert said["disk"]["free_bytes"] > 0
    assert {one["last_run"] for one in said["sites"]} == {None}


@pytest.fixture
def empty(sitrep: Sitrep) -> Sitrep:
    """The program in a folder whose lake has no article."""
    Lake.open("lake", create=True)
    return sitrep


@pytest.mark.parametrize(
    "view",
    [
        "articles", "revisions", "revisions_all", "captures", "relations", "clusters", "edits",
        "removed_blocks", "runs",
    ],
)  # fmt: skip
def test_query_of_an_empty_lake_has_columns_and_no_rows(view: str, empty: Sitrep) -> None:
    said = only_object(empty("query", f"SELECT * FROM {view}", "--json").stdout)
    assert said["rows"] == []
    assert len(said["columns"]) > 3
    if view == "articles":
        assert said["columns"] == ARTICLES.names


def test_export_of_an_empty_lake_is_a_file_with_its_columns(empty: Sitrep) -> None:
    assert only_object(empty("export", "x.parquet", "--json").stdout)["rows"] == 0
    assert pq.read_schema("x.parquet").names == ARTICLES.names


def test_wrong_sql_exits_1_with_one_line(empty: Sitrep) -> None:
    done = empty("query", "SELECT headlines FROM articles")
    assert done.status == 1
    [line] = done.stderr.splitlines()
    assert "headlines" in line
    assert "sitrep query --help" in line


# --- export -----------------------------------------------------------------------------------

FORMULAS = ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", "\rx")


def filled(folder: Path) -> None:
    """Make a lake of articles whose headlines a spreadsheet would run, and a plain one."""
    lake = Lake.open(str(folder), create=True)
    stories = [story(n, headline) for n, headline in enumerate((*FORMULAS, "Φρεγάτα, “plain”"))]
    captures = tuple(Capture(page=page(one), verdict=str(Verdict.NEW)) for one in stories)
    lake.commit(
        Batch(warc_path=stories[0].location.warc_path, revisions=tuple(stories), captures=captures),
        now=NOON,
    )
    publish(lake, now=NOON)


def story(n: int, headline: str) -> Revision:
    url = f"https://gazette.example/2024/05/story-{n}/"
    article = Article(
        url=url,
        site="harbour_gazette",
        headline=headline,
        authors=("Eleni Doe",),
        article_body="One paragraph.\n\nAnother.",
        date_published=NOON,
        word_count=3,
        related_links=(RelatedLink(text="=1+1", url=url),),
    )
    return Revision(
        article_id=f"{n:032x}",
        revision=1,
        extraction=1,
        change=("new",),
        previous_revision=None,
        canonical_url=url,
        article=article,
        first_seen=NOON,
        fetched_at=NOON,
        published_month="2024-05",
        location=RecordLocation(
            warc_path="warc/2024/05/r-1.warc.gz",
            warc_offset=n,
            warc_length=1,
            warc_record_id=f"<urn:uuid:{n}>",
        ),
    )


def page(revision: Revision) -> Page:
    return Page(
        site="harbour_gazette",
        kind=Kind.ARTICLE,
        run_id="r",
        url=revision.article.url,
        requested_url=revision.article.url,
        status=200,
        fetched_at=NOON,
        payload_digest="sha1:X",
        payload_bytes=1,
        location=revision.location,
    )


@pytest.fixture
def shop(sitrep: Sitrep) -> Sitrep:
    """The program in a folder whose lake has such articles."""
    filled(Path("lake"))
    return sitrep


def test_csv_defuses_each_text_that_a_spreadsheet_would_run(shop: Sitrep) -> None:
    said = only_object(shop("export", "x.csv", "--json").stdout)
    assert said == {"file": "x.csv", "rows": 7}
    with Path("x.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["headline"] for row in rows] == [*(f"'{f}" for f in FORMULAS), "Φρεγάτα, “plain”"]
    assert rows[0]["date_published"] == "2024-05-01T12:00:00Z"
    assert json.loads(rows[0]["authors"]) == ["Eleni Doe"]
    assert rows[0]["article_body"] == "One paragraph.\n\nAnother."


def test_parquet_and_json_lines_keep_every_text_as_it_is(shop: Sitrep) -> None:
    assert (shop("export", "x.parquet").status, shop("export", "x.jsonl").status) == (0, 0)
    table = pq.read_table("x.parquet")
    lines = Path("x.jsonl").read_text(encoding="utf-8").splitlines()
    assert table.column("headline").to_pylist()[:6] == list(FORMULAS)
    assert [json.loads(line)["headline"] for line in lines][:6] == list(FORMULAS)
    assert json.loads(lines[0])["related_links"][0]["text"] == "=1+1"


def test_export_takes_a_condition(shop: Sitrep) -> None:
    done = shop("export", "some.jsonl", "--where", "headline LIKE '%plain%'", "--json")
    assert only_object(done.stdout)["rows"] == 1


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        (["x.xlsx"], 2, "use .parquet, .csv, .jsonl"),
        (["nowhere/x.csv"], 1, "nowhere/x.csv: cannot be written"),
        (["x.csv", "--where", "headlin = 1"], 1, "headlin"),
    ],
)
def test_export_that_cannot_be_made_leaves_no_file(
    typed: list[str], status: int, said: str, shop: Sitrep
) -> None:
    before = set(Path().iterdir())
    done = shop("export", *typed)
    assert done.status == status
    [line] = done.stderr.splitlines()
    assert said in line
    assert set(Path().iterdir()) == before


# --- on a lake that was crawled ---------------------------------------------------------------


@pytest.fixture
def there(sitrep: Sitrep, crawled: Installation, monkeypatch: pytest.MonkeyPatch) -> Sitrep:
    """The program in the folder where the newsroom was crawled twice."""
    monkeypatch.chdir(crawled.folder)
    return sitrep


def rows(there: Sitrep, sql: str) -> list[dict[str, Any]]:
    said = only_object(there("query", sql, "--json").stdout)
    return [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]


def newsroom(crawled: Installation) -> Newsroom:
    assert crawled.newsroom
    return crawled.newsroom


def test_status_counts_the_articles_of_each_site(there: Sitrep) -> None:
    said = only_object(there("status", "--json").stdout)
    found = rows(there, "SELECT site, count(*) AS n FROM articles GROUP BY site")
    counts = {row["site"]: row["n"] for row in found}
    told = [one for one in said["sites"] if one["articles"]]
    assert {one["site"]: one["articles"] for one in told} == counts
    assert said["articles"] == sum(counts.values())
    assert said["disk"]["lake_bytes"] > 0
    assert all(one["last_success"].endswith("Z") for one in told)


def test_status_for_people_has_a_line_a_site_and_the_disk(
    there: Sitrep, crawled: Installation
) -> None:
    text = there("status").stdout
    for part in (*newsroom(crawled).sites, "captures pending", "free"):
        assert part in text


def test_doctor_finds_nothing_wrong_after_two_crawls(there: Sitrep) -> None:
    assert only_object(there("doctor", "--json").stdout) == {"ok": True, "findings": []}


def test_doctor_names_what_is_wrong_with_its_remedy_and_exits_1(
    there: Sitrep, tmp_path: Path
) -> None:
    copy = tmp_path / "sitrep.db"
    original = sqlite3.connect("state/sitrep.db")
    with closing(original) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        one = "SELECT min(article_id) FROM articles"
        target.execute(f"DELETE FROM articles WHERE article_id IN ({one})")
        target.commit()
    done = there("doctor", "--json", "--state", f"sqlite:///{copy}")
    said = only_object(done.stdout)
    assert done.status == 1
    assert said["ok"] is False
    [finding] = [one for one in said["findings"] if one["level"] == "error"]
    assert set(finding) == {"check", "level", "where", "what", "remedy"}
    assert finding["check"] == "state"


def test_json_of_a_query_gives_times_in_utc_and_lists_as_lists(there: Sitrep) -> None:
    sql = "SELECT date_published, authors, removed_blocks FROM articles WHERE len(authors) > 0 "
    [row] = rows(there, sql + "AND len(removed_blocks) > 0 ORDER BY article_id LIMIT 1")
    assert row["date_published"].endswith("Z")
    assert isinstance(row["authors"], list)
    assert set(row["removed_blocks"][0]) == {"text", "rule", "selector"}


def test_show_takes_an_address_or_an_id_and_tells_what_was_removed(there: Sitrep) -> None:
    sql = "SELECT article_id, url, headline FROM articles WHERE len(removed_blocks) > 0"
    row = rows(there, f"{sql} ORDER BY article_id LIMIT 1")[0]
    by_url, by_id = (there("show", row[key]).stdout for key in ("url", "article_id"))
    assert by_url == by_id
    assert row["headline"] in by_url
    assert "removed" in by_url


def test_explain_tells_where_a_field_comes_from_and_what_lost(there: Sitrep) -> None:
    row = rows(there, "SELECT article_id, url, headline FROM articles ORDER BY url LIMIT 1")[0]
    by_url, by_id = (there("explain", row[key]).stdout for key in ("url", "article_id"))
    assert by_url == by_id
    assert f"headline: {row['headline']}" in by_url
    said = only_object(there("explain", row["url"], "headline", "--json").stdout)
    headline = said["fields"].pop("headline")
    assert said["fields"] == {}
    assert headline["value"] == headline["stored"] == row["headline"]
    assert [one["is_chosen"] for one in headline["candidates"]].count(True) == 1
    assert all(one["why"] for one in headline["candidates"])


def test_explain_reads_the_archive_as_it_was_stored(there: Sitrep) -> None:
    sql = "SELECT article_id, date_published_source FROM articles ORDER BY article_id LIMIT 8"
    for row in rows(there, sql):
        said = only_object(there("explain", row["article_id"], "--json").stdout)
        assert [n for n, one in said["fields"].items() if not one["is_as_stored"]] == []
        assert said["fields"]["date_published"]["source"] == row["date_published_source"]
        assert said["witness"]


def test_explain_of_a_version_reads_the_page_of_that_version(
    there: Sitrep, crawled: Installation
) -> None:
    address = newsroom(crawled).special["edited"]
    bodies = [
        only_object(there("explain", address, "article_body", "--revision", n, "--json").stdout)
        for n in ("1", "2")
    ]
    first, second = (one["fields"]["article_body"] for one in bodies)
    assert first["value"] != second["value"]
    assert first["is_as_stored"]
    assert second["is_as_stored"]


def test_explain_of_an_unknown_field_names_the_one_that_was_meant(there: Sitrep) -> None:
    [row] = rows(there, "SELECT article_id FROM articles LIMIT 1")
    done = there("explain", row["article_id"], "autors", "--json")
    assert done.status == 2
    assert only_object(done.stdout)["error"] == {
        "message": "no such field of an article",
        "where": "autors",
        "remedy": "did you mean 'authors'?",
    }


def test_show_of_an_edit_is_a_difference(there: Sitrep, crawled: Installation) -> None:
    url = newsroom(crawled).special["edited"]
    *_, kinds, before, after = there("show", url, "--diff").stdout.splitlines()
    assert kinds == "@@ body: numbers @@"
    assert before.startswith("-The Lathen shipyard will build three corvettes")
    assert after.startswith("+The Lathen shipyard will build five corvettes")
    said = only_object(there("show", url, "--diff", "--json").stdout)
    assert (said["change"], said["kinds"]) == (["body"], ["numbers"])
    assert said["sentences"][0]["words_after"] == ["five"]


def test_sites_list_names_the_bundled_and_the_users_own(
    there: Sitrep, crawled: Installation
) -> None:
    names = {one["site"] for one in only_object(there("sites", "list", "--json").stdout)["sites"]}
    assert {"naval_news", *newsroom(crawled).sites} <= names


def test_sites_test_tells_field_by_field(sitrep: Sitrep) -> None:
    said = only_object(sitrep("sites", "test", "naval_news", "--json").stdout)
    assert said["ok"] is True
    assert {"headline", "article_body"} <= {one["field"] for one in said["fields"]}


def test_sites_test_exits_1_and_shows_what_was_expected_and_got(
    sitrep: Sitrep, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("<h1>Quay opened</h1><p>It was opened today.</p>")
    expected = {"url": "https://www.navalnews.com/2024/05/x/", "article": {"headline": "Other"}}
    (tmp_path / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    done = sitrep("sites", "test", "naval_news", "--page", str(tmp_path))
    assert done.status == 1
    assert "'Other'" in done.stdout
    assert "'Quay opened'" in done.stdout


def test_extract_of_a_saved_page_stores_nothing(sitrep: Sitrep) -> None:
    page = Path(__file__).parents[1] / "fixtures" / "sites" / "naval_news" / "page.html"
    said = only_object(sitrep("extract", str(page), "--json").stdout)
    assert said["site"] == "naval_news"
    assert said["headline"]
    assert said["refusal"] is None
    assert list(Path().iterdir()) == []
