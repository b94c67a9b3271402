"""The benchmarks: what the scorer's figures mean, and that each command still runs."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.scoring import Counts, Reading, score, summarise
from pipelines.model import Article, RemovedBlock
from tests.pipelines.copy_texts import LANGUAGES

CHECKOUT = Path(__file__).parents[1]
# The benchmarks are scripts, which find each other beside themselves.
sys.path.append(str(CHECKOUT / "benchmarks"))
causes, floors = (importlib.import_module(name) for name in ("causes", "floors"))
NEWS = ("zyte", "fundus80", "atf", "fixtures")
OTHERS = ("traf", "wcxb")


def body(want: str, got: str) -> Counts:
    return score({"text": want}, Reading(article_body=got)).body


def test_body_is_counted_in_runs_of_four_words() -> None:
    # abcd, bcde are wanted; abcd, bcdx, cdxy are given.
    assert body("a b c d e", "a b c d x y") == Counts(right=1, wrong=2, missing=1)


def test_run_of_words_counts_as_often_as_it_stands_there() -> None:
    assert body("a a a a a", "a a a a a a a") == Counts(right=2, wrong=2, missing=0)


def test_text_of_fewer_than_four_words_is_one_run() -> None:
    assert body("a b", "a b") == Counts(1, 0, 0)
    assert body("a b", "a c") == Counts(0, 1, 1)


def test_nothing_wanted_and_nothing_given_is_whole() -> None:
    counts = body("", "…")
    assert counts == Counts(0, 0, 0)
    assert (counts.precision, counts.recall) == (1.0, 1.0)


def test_set_averages_precision_over_pages_with_text_and_recall_over_those_that_want_it() -> None:
    texts = [
        ("a b c d e", "a b c d x y"),  # precision 1/3, recall 1/2
        ("a b c d", ""),  # no precision, recall 0
        ("", "a b c d"),  # precision 0, no recall
    ]
    scores = [score({"text": want}, Reading(article_body=got)) for want, got in texts]
    found = summarise(scores)
    assert found.precision == pytest.approx((1 / 3 + 0) / 2)
    assert found.recall == pytest.approx((1 / 2 + 0) / 2)
    assert found.f1 == pytest.approx(2 * (1 / 6) * (1 / 4) / (1 / 6 + 1 / 4))
    assert found.fields == {"exact": 0.0}


def test_paragraph_in_brackets_is_wanted_only_where_it_was_taken() -> None:
    truth = {"paras": ["One two three four.", "[Five six seven eight.]"]}
    short, long = (
        score(truth, Reading(article_body=text))
        for text in ("One two three four", "One two three four. Five six seven eight.")
    )
    assert short.body == Counts(1, 0, 0)
    assert long.body == Counts(5, 0, 0)
    assert short.fields["exact"]
    assert long.fields["exact"]


def test_snippets_are_counted_over_the_whole_set_and_their_spaces_do_not_count() -> None:
    truth = {"with": ["the  yard", "a quay"], "without": ["Share this"]}
    texts = ("The fleet and the\nyard. Share this", "the yard, a quay")
    found = summarise([score(truth, Reading(article_body=text)) for text in texts])
    # Three of four wanted are there, and one that is not.
    assert found.precision == pytest.approx(3 / 4)
    assert found.recall == pytest.approx(3 / 4)
    assert found.fields == {}


def test_exact_body_has_the_same_words_in_order_whatever_stands_between_them() -> None:
    truth = {"text": "Ships, and yards."}
    assert score(truth, Reading(article_body="Ships and\n\nyards")).fields["exact"]
    assert not score(truth, Reading(article_body="yards and Ships")).fields["exact"]
    assert not score(truth, Reading(article_body="ships and yards")).fields["exact"]


def fields(reading: Reading, **truth: Any) -> dict[str, bool]:
    known = score({"text": ""} | truth, reading).fields
    return {name: ok for name, ok in known.items() if name != "exact"}


def test_headline_is_compared_without_case_and_punctuation() -> None:
    assert fields(Reading(headline="«Fleet» returns"), title="FLEET returns!")["headline"]
    assert not fields(Reading(headline=None), title="Fleet returns")["headline"]


@pytest.mark.parametrize("people", [("Mara Lind", "Jo Reh"), "By Jo Reh and Mara Lind"])
def test_authors_are_a_set_however_they_are_written(people: Any) -> None:
    assert fields(Reading(authors=people), authors=["mara lind", "By Jo Reh"])["authors"]
    assert not fields(Reading(authors=("Mara Lind",)), authors=["Mara Lind", "Jo Reh"])["authors"]


def test_field_that_the_truth_does_not_know_is_not_counted() -> None:
    found = fields(Reading(headline="A", authors=("B",)), title="", authors=[], published=None)
    assert found == {}


@pytest.mark.parametrize(
    ("want", "got", "ok"),
    [
        ("2026-03-02", "2026-03-02", True),
        ("2026-03-02", "2026-03-03", False),
        ("2026-03-02", None, False),
        # Of an instant in UTC, any day that some zone had then.
        ("2026-03-02", datetime.fromisoformat("2026-03-01T20:00:00Z"), True),
        ("2026-03-02", datetime.fromisoformat("2026-03-03T20:00:00Z"), False),
        # Midnight in UTC stands for a bare day.
        ("2026-03-02", datetime.fromisoformat("2026-03-03T00:00:00Z"), False),
        ("2026-03-02T23:30:00-05:00", "2026-03-03T04:30:00Z", True),
        ("2026-03-02T23:30:00-05:00", date(2026, 3, 2), True),
        ("printed on 2026-03-02 in port", "2026-03-02", True),
    ],
)
def test_date_is_right_to_the_day(want: str, got: Any, ok: bool) -> None:
    assert fields(Reading(date_published=got), published=want)["date"] is ok


# That the commands still run


def run(name: str, *options: str, check: bool = True, **settings: str) -> tuple[int, Any]:
    """Run a benchmark; return its exit status and its one object."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SITREP_")}
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "benchmarks" / name), *options, "--json"],
        env=clean | {"PYTHONPATH": str(CHECKOUT)} | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        pytest.fail(f"{name} exited {done.returncode}:\n{done.stderr}")
    return done.returncode, json.loads(done.stdout)


def page(words: str) -> bytes:
    return (
        f"<html><head><title>Yard</title></head><body><article><h1>Yard</h1><p>{words}</p>"
        "</article></body></html>"
    ).encode()


def sets(folder: Path, *, truth: str) -> None:
    """Write the sets of news, of one page each."""
    words = (
        "The yard launched a second patrol boat on Monday, and a third is to follow in May. " * 5
    )
    row = {"key": "one", "url": "https://gazette.example/1", "html": page(words)}
    gold = json.dumps({"text": truth or words, "title": "Yard"})
    for name in NEWS:
        pq.write_table(pa.Table.from_pylist([row | {"gold": gold}]), folder / f"{name}.parquet")


def test_extraction_benchmark_passes_where_pages_are_read_well(tmp_path: Path) -> None:
    sets(tmp_path, truth="")
    _, said = run("extraction.py", *NEWS, SITREP_BENCH_DATA=str(tmp_path))
    assert said["ok"]
    assert said["news"]["sitrep"] == {"F1": 100.0, "exact": 100.0}
    assert said["sets"]["zyte"]["trafilatura"]["pages"] == 1
    assert said["peak_mb"] > 0


def test_extraction_benchmark_fails_where_the_news_mean_falls(tmp_path: Path) -> None:
    sets(tmp_path, truth="Nothing of what stands there is what should stand there.")
    status, said = run("extraction.py", *NEWS, check=False, SITREP_BENCH_DATA=str(tmp_path))
    assert status == 1
    assert not said["ok"]


def test_extraction_benchmark_says_that_it_was_skipped_without_data() -> None:
    _, said = run("extraction.py")
    assert said == {"skipped": "SITREP_BENCH_DATA is not set"}


def test_what_is_learned_of_the_newsroom_is_furniture_and_no_story() -> None:
    _, said = run("furniture.py")
    assert said["ok"]
    for group in said["groups"].values():
        assert group["pages"] == 64
        assert group["precision"] == 100.0
        assert group["F1"][1] >= group["F1"][0]
    renamed = said["groups"]["newsroom, renamed"]
    assert renamed["exact"][1] > renamed["exact"][0]
    assert renamed["removed_blocks"] > 200


# The floors


@pytest.mark.parametrize("sets", [NEWS, pytest.param(OTHERS, marks=pytest.mark.soak)])
def test_articles_are_read_as_well_as_they_ever_were(sets: Sequence[str]) -> None:
    """Every figure on the public sets, against `benchmarks/floors.toml`."""
    folder = os.environ.get("SITREP_BENCH_DATA")
    if not folder:
        pytest.skip("SITREP_BENCH_DATA names no folder with the public sets")
    status, said = run("extraction.py", *sets, "--gate", check=False, SITREP_BENCH_DATA=folder)
    if "skipped" in said:
        pytest.skip(said["skipped"])
    assert (status, said["below"]) == (0, [])
    assert set(sets) <= said["figures"].keys()


FIGURES = {"zyte": {"F1": 97.0, "exact": 50.0}, "news": {"F1": 96.5}}


@pytest.fixture
def floors_file(tmp_path: Path) -> Path:
    (tmp_path / "zyte.parquet").write_bytes(b"pages")
    file = tmp_path / "floors.toml"
    file.write_text('lowered = []\n[corpus]\nzyte = ""\n[floors.news]\nF1 = 96.0\n')
    assert floors.pin(FIGURES, tmp_path, lower=None, file=file) == []
    return file


def test_floor_rises_with_the_figures_and_a_figure_below_it_is_named(floors_file: Path) -> None:
    assert floors.pinned(floors_file) == FIGURES
    assert floors.fallen(FIGURES, floors_file) == []
    worse = {"zyte": {"F1": 96.9, "exact": 50.0}, "news": {"F1": 96.5}}
    [said] = floors.fallen(worse, floors_file)
    assert said.startswith("zyte F1: 96.90")


def test_floor_is_lowered_only_by_a_line_that_the_changelog_has(floors_file: Path) -> None:
    worse = {"zyte": {"F1": 96.9, "exact": 50.0}, "news": {"F1": 96.5}}
    folder = floors_file.parent
    assert floors.pin(worse, folder, lower=None, file=floors_file)
    assert floors.pin(worse, folder, lower="No such line.", file=floors_file)
    assert floors.pinned(floors_file) == FIGURES
    line = "Articles come out clean"
    assert floors.pin(worse, folder, lower=line, file=floors_file) == []
    assert floors.pinned(floors_file)["zyte"]["F1"] == 96.9
    assert line in floors_file.read_text()


def test_floors_are_those_of_the_very_pages_that_they_were_measured_on(floors_file: Path) -> None:
    folder = floors_file.parent
    assert floors.other_corpus(folder, floors_file) == []
    (folder / "zyte.parquet").write_bytes(b"other pages")
    assert floors.other_corpus(folder, floors_file) == ["zyte"]


# Why a body is not exact


def test_inexact_body_is_put_down_to_what_the_truth_counts_in() -> None:
    story = "The yard launched a second patrol boat on Monday, and a third is to follow in May."
    noise = "A list of other stories that nobody asked for here."
    article = Article(
        url="https://gazette.example/1",
        article_body=story,
        description="What the yard did this spring, in one sentence.",
        removed_blocks=(
            RemovedBlock(text="The boat at sea. Photo: A. Quay", rule="caption", selector="p"),
        ),
    )
    caption = "The boat at sea. Photo: A. Quay"
    for text, cause in (
        (story, None),
        (f"{article.description}\n\n{story}", "the truth counts in: standfirst"),
        (f"{story}\n\n{caption}", "the truth counts in: caption"),
        (f"{story}\n\n{noise}", "text missing"),
        (story.partition(",")[0], "text too much"),
    ):
        assert causes.cause_of({"text": text}, article) == cause


@pytest.mark.soak
def test_throughput_benchmark_gets_every_article_on_both_sides() -> None:
    _, said = run("throughput.py", "--pages", "10", "--pairs", "1")
    for side in said["sides"].values():
        assert side["pages"] == side["articles"] == 10
        assert side["cpu_seconds"] > 0
        assert side["peak_mb"] > 0
    assert said["ratio"] > 0


def test_lake_benchmark_finds_what_it_put_in() -> None:
    _, said = run("lake.py", "--rows", "400", "--batch", "150", "--characters", "300")
    steps = said["lakes"][0]["steps"]
    assert steps["load"]["commits"] == 3
    assert steps["publish all"]["rows"] == 400
    assert steps["publish 200 edits"]["months"] == 12
    assert steps["count a site"]["rows"] == steps["query --as-of"]["rows"] == 20
    assert steps["one by id"]["rows"] == steps["Lake.current"]["rows"] == 1
    assert steps["new since"]["rows"] == 400
    assert steps["pandas, a month"]["rows"] > 0


@pytest.mark.parametrize("batch", ["2", "200"])
def test_dedup_benchmark_tells_copies_in_a_file_of_texts(tmp_path: Path, batch: str) -> None:
    told = LANGUAGES["en"].text
    texts = [told, f"PORT ELLERY (Wire) — {told}", told, LANGUAGES["tr"].text, told + " More soon."]
    urls = [f"https://s{n}.example/story-{n}/" for n in range(4)]
    urls.append(urls[0] + "?utm_source=feed")
    rows = [
        {"id": n, "url": url, "site": url[8:18], "title": "", "text": text}
        for n, (url, text) in enumerate(zip(urls, texts, strict=True))
    ]
    file, out = tmp_path / "texts.parquet", tmp_path / "out.jsonl"
    pq.write_table(pa.Table.from_pylist(rows), file)
    run("dedup.py", str(file), "--assignments", str(out), "--batch", batch)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one["id"] for one in found] == [0, 1, 2, 3, 4]
    relations = ["original", "near", "exact", "original", "revision"]
    assert [one["relation"] for one in found] == relations
    assert len({one["cluster_id"] for one in found}) == 2


def test_dedup_benchmark_compares_orders_of_arrival(tmp_path: Path) -> None:
    told = LANGUAGES["en"].text
    texts = [told, f"PORT ELLERY (Wire) — {told}", LANGUAGES["tr"].text]
    rows = [
        {"id": n, "url": f"https://s{n}.example/{n}/", "site": f"s{n}", "title": "", "text": text}
        | {"cluster": n // 2, "parents": None}
        for n, text in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "texts.parquet")
    _, said = run("dedup.py", str(tmp_path / "texts.parquet"), "--orders", "2")
    assert [one["order"] for one in said["orders"]] == ["given", "reversed", "shuffled 1"]
    for one in said["orders"]:
        assert (one["pairs"], one["agreement"]) == (1, 1.0)
        assert (one["precision"], one["recall"], one["ari"]) == (1.0, 1.0, 1.0)


def test_dedup_benchmark_measures_an_index() -> None:
    _, said = run("dedup.py", "--scale", "2000", "--new", "50")
    [scale] = said["scale"]
    assert scale["copies"] == 10
    assert scale["copies_found"] >= 9
    assert scale["bytes_an_article"] > 0
    assert scale["cpu_seconds"] > 0


def test_views_benchmark_asks_of_clusters_and_edits() -> None:
    _, said = run("views.py", "--rows", "700", "--characters", "300")
    found = {name: one["rows"] for name, one in said["questions"].items()}
    assert found["the viral one"] == found["count the shared"] == 1
    assert found["everything"] == 201
    assert found["figures changed"] > 0


def test_memory_benchmark_crawls_every_page() -> None:
    _, said = run("memory.py", "--pages", "30", "--every", "0.1")
    assert (said["pages"], said["exit_status"]) == (30, 0)
    assert said["peak_mb"] > 0


def test_memory_benchmark_of_a_backfill_lists_every_page_once_and_fetches_its_limit() -> None:
    _, said = run("memory.py", "--backfill", "--pages", "2000", "--limit", "5", "--every", "0.1")
    assert (said["links"], said["pages"], said["exit_status"]) == (2000, 5, 0)


def test_no_hostile_page_takes_more_than_its_length_asks_for() -> None:
    _, said = run("hostile.py", "--pieces", "400")
    assert len(said["pages"]) > 20
    assert max(row["growth"] for row in said["pages"]) < 8
    assert said["two_megabytes_seconds"] < 5


def test_url_benchmark_fails_for_a_false_merge_and_only_counts_what_it_missed(
    tmp_path: Path,
) -> None:
    tracked, missed, merged = (
        ("same", "https://post.example/a-b", "https://post.example/a-b?utm_source=x"),
        ("same", "https://post.example/a-b", "https://post.example/a-b?edition=7"),
        ("diff", "https://post.example/a-b", "https://post.example/a-b?fbclid=7"),
    )
    file = tmp_path / "pairs.tsv"
    for pairs, right, status in (([tracked], 1, 0), ([tracked, missed], 1, 0), ([merged], 0, 1)):
        lines = ["label\turl_a\turl_b\tcase", *("\t".join([*pair, "own"]) for pair in pairs)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        exit_status, said = run("urls.py", str(file), check=False)
        assert (exit_status, said["right"], said["pairs"]) == (status, right, len(pairs))


def test_discovery_benchmark_finds_what_a_site_publishes_and_nothing_else() -> None:
    _, said = run("discovery.py", "--days", "0.75", "--site", "northwall_news")
    site = said["sites"]["northwall_news"]
    assert site["found"] == site["published"] > 3
    assert site["strangers"] == 0
    assert site["delay_minutes_median"] < 60
    assert site["answered_304_share"] >= 0.8
