"""`articles/`: one row an article, for every reader, at every moment."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from glob import glob
from itertools import cycle
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import derived_articles, sums
from pipelines import lake as lakes
from pipelines import publish as publishing
from pipelines.errors import LakeError
from pipelines.in_place import InPlace
from pipelines.lake import Lake
from pipelines.model import Batch, Capture, Relation, Revision
from pipelines.publish import publish
from pipelines.published_check import articles_equal_revisions
from pipelines.schema import ARTICLES
from pipelines.views import connect

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
SOON = timedelta(minutes=1)

Story = Callable[..., Revision]
BatchOf = Callable[..., Batch]
Row = dict[str, object]


def _duckdb(source: str) -> list[Row]:
    connection = duckdb.connect()
    return list(connection.sql(f"FROM '{source}'").to_arrow_table().to_pylist())


def _globbed(pattern: str) -> list[str]:
    return sorted(glob(pattern, recursive=True))  # noqa: PTH207 - as analysts write it


def _pandas(frame: pd.DataFrame) -> list[Row]:
    frame = frame.astype({"published_month": "object"})
    return list(frame.to_dict("records"))


FOLDER: dict[str, Callable[[Path], list[Row]]] = {
    "pandas": lambda path: _pandas(pd.read_parquet(path)),
    "pyarrow": lambda path: pq.read_table(path).to_pylist(),
    "dataset": lambda path: ds.dataset(path).to_table().to_pylist(),
    "polars": lambda path: pl.read_parquet(path).to_dicts(),
    "polars lazy": lambda path: pl.scan_parquet(path).collect().to_dicts(),
    "duckdb": lambda path: _duckdb(f"{path}/*/*.parquet"),
}
GLOB: dict[str, Callable[[str], list[Row]]] = {
    "pandas": lambda g: _pandas(pd.read_parquet(_globbed(g))),
    "pyarrow": lambda g: pq.read_table(_globbed(g)).to_pylist(),
    "dataset": lambda g: ds.dataset(_globbed(g)).to_table().to_pylist(),
    "polars": lambda g: pl.read_parquet(g).to_dicts(),
    "polars lazy": lambda g: pl.scan_parquet(g).collect().to_dicts(),
    "duckdb": _duckdb,
}
ONE: dict[str, Callable[[Path], list[Row]]] = {
    **{name: read for name, read in FOLDER.items() if name != "duckdb"},
    "duckdb": lambda path: _duckdb(str(path)),
}


@pytest.fixture
def published(lake: Lake, story: Story, batch_of: BatchOf) -> Lake:
    lake.commit(batch_of("r-0", [story(n) for n in range(9)]), now=NOW)
    publish(lake, now=NOW)
    lake.commit(batch_of("r-1", [story(1, revision=2), story(20)]), now=NOW + SOON)
    publish(lake, now=NOW + SOON)
    return lake


def _folder(lake: Lake) -> Path:
    return lake.storage.folder / "articles"


def _rows(lake: Lake) -> dict[str, Row]:
    rows = pq.read_table(_folder(lake)).to_pylist()
    assert len({row["article_id"] for row in rows}) == len(rows)
    return {row["article_id"]: row for row in rows}


def _parts(lake: Lake) -> dict[str, int]:
    """Return each part's inode: a part that was not touched keeps its own."""
    found = _folder(lake).glob("*/*.parquet")
    return {path.relative_to(_folder(lake)).as_posix(): path.stat().st_ino for path in found}


def _check(rows: list[Row], expected: dict[str, Row]) -> None:
    assert Counter(row["article_id"] for row in rows) == Counter(expected.keys())
    for row in rows:
        right = expected[str(row["article_id"])]
        for name in ("revision", "headline", "article_body", "published_month", "recorded_at"):
            assert row[name] == right[name], name
        assert list(row) == ARTICLES.names


@pytest.mark.parametrize("reader", FOLDER)
def test_folder_read_with_defaults_is_one_right_row_an_article(
    published: Lake, reader: str
) -> None:
    rows = FOLDER[reader](_folder(published))
    assert len(rows) == 10
    _check(rows, _rows(published))


@pytest.mark.parametrize("reader", GLOB)
def test_glob_read_with_defaults_is_one_right_row_an_article(published: Lake, reader: str) -> None:
    rows = GLOB[reader](f"{_folder(published)}/**/*.parquet")
    _check(rows, _rows(published))


@pytest.mark.parametrize("reader", ONE)
def test_one_file_read_with_defaults_is_its_months_rows(published: Lake, reader: str) -> None:
    (path,) = _folder(published).glob("published_month=2024-05/*.parquet")
    expected = {k: r for k, r in _rows(published).items() if r["published_month"] == "2024-05"}
    assert len(expected) > 2
    _check(ONE[reader](path), expected)


def test_files_are_as_the_contract_says(published: Lake) -> None:
    (path,) = _folder(published).glob("published_month=2024-05/*.parquet")
    with pq.ParquetFile(path) as file:
        assert file.schema_arrow.equals(ARTICLES)
        column = file.metadata.row_group(0).column(0)
        assert column.compression == "ZSTD"
    sql = "SELECT DISTINCT path_in_schema FROM parquet_metadata($p) WHERE bloom_filter_offset > 0"
    found = {name for (name,) in duckdb.execute(sql, {"p": str(path)}).fetchall()}
    assert found == {"article_id", "url"}


def test_rows_say_what_the_revision_said(published: Lake, story: Story) -> None:
    row = _rows(published)["story-00001"]
    revision = story(1, revision=2)
    assert row["headline"] == revision.article.headline
    assert row["authors"] == ["Eleni Doe", "John Roe"]
    assert row["removed_blocks"] == [{"text": "Share", "rule": "share", "selector": "div.share"}]
    assert (row["warc_path"], row["warc_offset"]) == ("warc/2024/05/r-0.warc.gz", 1002)
    assert (row["cluster_id"], row["cluster_relation"]) == ("story-00001", "original")
    assert (row["last_seen"], row["replaced_at"]) == (revision.fetched_at, None)


def test_only_the_parts_that_hold_what_changed_are_written(
    published: Lake, story: Story, batch_of: BatchOf
) -> None:
    before = _parts(published)
    published.commit(batch_of("r-2", [story(0, revision=2)]), now=NOW)
    report = publish(published, now=NOW)
    after = _parts(published)
    assert (report.months, report.parts_written) == (("2024-05",), 1)
    changed = {name for name, _ in before.items() ^ after.items()}
    assert {name.partition("/")[0] for name in changed} == {"published_month=2024-05"}
    assert len(before) == len(after) == 4


def test_publishing_again_without_a_commit_changes_nothing(published: Lake) -> None:
    before = (_folder(published).readlink(), _parts(published))
    assert publish(published, now=NOW).parts_written == 0
    assert (_folder(published).readlink(), _parts(published)) == before


def test_empty_lake_publishes_nothing(lake: Lake) -> None:
    assert publish(lake, now=NOW).rows == 0
    assert articles_equal_revisions(lake) == []


@pytest.mark.parametrize(("limit", "most"), [("MOST_ROWS", 3), ("MOST_WORDS", 300)])
def test_full_part_is_followed_by_another_and_articles_stay_where_they_are(
    lake: Lake,
    story: Story,
    batch_of: BatchOf,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    most: int,
) -> None:
    monkeypatch.setattr(publishing, limit, most)
    seen = NOW
    stories = [story(5 * n + 4, seen=seen) for n in range(8)]
    lake.commit(batch_of("r-0", stories[:2]), now=NOW)
    publish(lake, now=NOW)
    first = {row["article_id"] for row in pq.read_table(_folder(lake)).to_pylist()}
    lake.commit(batch_of("r-1", stories[2:]), now=NOW)
    publish(lake, now=NOW)
    slots = {}
    for path in sorted(_folder(lake).glob("*/*.parquet")):
        slots[path.name[:9]] = {row["article_id"] for row in pq.read_table(path).to_pylist()}
    assert {name: len(ids) for name, ids in slots.items()} == {
        "part-0000": 3,
        "part-0001": 3,
        "part-0002": 2,
    }
    assert first < slots["part-0000"]


def test_older_story_at_an_address_says_when_it_was_replaced_and_no_longer_when_the_other_moves(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    address = "https://gazette.example/live/"
    lake.commit(batch_of("r-0", [story(0, address=address), story(1)]), now=NOW)
    publish(lake, now=NOW)
    younger = story(9, address=address)
    lake.commit(batch_of("r-1", [younger]), now=NOW)
    publish(lake, now=NOW)
    rows = _rows(lake)
    assert rows["story-00000"]["replaced_at"] == younger.first_seen
    assert rows["story-00009"]["replaced_at"] is None
    assert rows["story-00001"]["replaced_at"] is None
    lake.commit(batch_of("r-2", [story(9, revision=2)]), now=NOW)
    publish(lake, now=NOW)
    assert _rows(lake)["story-00000"]["replaced_at"] is None
    assert articles_equal_revisions(lake) == []


def test_later_found_original_needs_no_revision(published: Lake) -> None:
    for cluster, relation in (("story-00003", "exact"), ("story-00002", "exact")):
        one = Relation(article_id="story-00004", cluster_id=cluster, relation=relation)
        published.commit(Batch(warc_path=f"warc/{cluster}", relations=(one,)), now=NOW)
    publish(published, now=NOW)
    row = _rows(published)["story-00004"]
    assert (row["cluster_id"], row["cluster_relation"]) == ("story-00002", "exact")


def test_last_seen_is_the_last_capture_when_the_part_is_next_written(
    published: Lake, story: Story, batch_of: BatchOf
) -> None:
    later = story(0, seen=NOW)
    (capture,) = batch_of("x", [later]).captures
    seen = Capture(page=capture.page, verdict="not_modified", article_id=later.article_id)
    published.commit(Batch(warc_path="warc/seen", captures=(seen,)), now=NOW)
    assert publish(published, now=NOW).parts_written == 0
    assert articles_equal_revisions(published) == []
    published.commit(batch_of("r-2", [story(1, revision=3)]), now=NOW)
    publish(published, now=NOW)
    assert _rows(published)["story-00000"]["last_seen"] == later.fetched_at


# What may happen between two publishes: stories told anew, extracted anew, at an address that
# others have or had, found to be copies, or just seen.
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from(["told", "extracted", "related", "seen"]),
        st.sampled_from(["", "live", "blog"]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda change: change[0],
)
HISTORIES = st.lists(st.lists(CHANGES, min_size=1, max_size=2), min_size=2, max_size=3)


@dataclass
class Desk:
    """Commits what a history says; a day passes with each."""

    lake: Lake
    story: Story
    batch_of: BatchOf
    newest: dict[int, Revision] = field(default_factory=dict)
    # Later than any of the stories was fetched: what is asked for as of a day knows no later one.
    now: datetime = NOW + timedelta(days=30)

    def commit(self, changes: list[tuple[int, str, str]]) -> None:
        self.now += timedelta(days=1)
        told, related, seen = [], [], []
        for n, what, address in changes:
            before = self.newest.get(n)
            if before is None or what in {"told", "extracted"}:
                told.append(self._next(n, what, address))
            elif what == "related":
                other = f"story-{min(self.newest):05d}"
                related.append(
                    Relation(article_id=before.article_id, cluster_id=other, relation="near")
                )
            else:
                (capture,) = self.batch_of("x", [before]).captures
                page = replace(capture.page, fetched_at=self.now)
                seen.append(replace(capture, page=page, verdict="unchanged"))
        one = self.batch_of(f"{self.now:%j}", told, relations=related)
        self.lake.commit(replace(one, captures=(*one.captures, *seen)), now=self.now)

    def _next(self, n: int, what: str, address: str) -> Revision:
        before = self.newest.get(n)
        is_extracted = before is not None and what == "extracted"
        self.newest[n] = self.story(
            n,
            revision=before.revision + (not is_extracted) if before else 1,
            extraction=before.extraction + 1 if before and is_extracted else 1,
            address=f"https://gazette.example/{address}/" if address else None,
        )
        return self.newest[n]

    def rows(self) -> dict[str, Row]:
        with connect(self.lake) as connection:
            rows = connection.sql("FROM articles").to_arrow_table().to_pylist()
        assert len({row["article_id"] for row in rows}) == len(rows)
        return {row["article_id"]: row for row in rows}


@pytest.fixture(params=["in a folder", "in a bucket"])
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    # Small enough that a history has several stretches and slices, and full parts.
    monkeypatch.setattr(derived_articles, "STRETCH_ROWS", 4)
    for name, most in {"MOST_ROWS": 3, "SLICE_ROWS": 5}.items():
        monkeypatch.setattr(publishing, name, most)
    return str(request.param)


History = list[list[list[tuple[int, str, str]]]]
_DRAWN = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(_DRAWN, max_examples=4)
@given(history=HISTORIES)
def test_publishing_step_by_step_equals_publishing_all_at_the_end(
    history: History,
    layout: str,
    story: Story,
    batch_of: BatchOf,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    _publish_in_steps_and_anew(history, layout, story, batch_of, tmp_path_factory)


@pytest.mark.soak
@settings(_DRAWN, max_examples=40)
@given(history=HISTORIES)
def test_publishing_any_steps_equals_publishing_all_at_the_end(
    history: History,
    layout: str,
    story: Story,
    batch_of: BatchOf,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    _publish_in_steps_and_anew(history, layout, story, batch_of, tmp_path_factory)


def _publish_in_steps_and_anew(
    history: History,
    layout: str,
    story: Story,
    batch_of: BatchOf,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lake = Lake.open(str(tmp_path_factory.mktemp("a lake")), create=True)
    if layout == "in a bucket":
        lake.published = InPlace(lake.storage)
    desk = Desk(lake, story, batch_of)
    places: dict[str, str] = {}
    for commits in history:
        for changes in commits:
            desk.commit(changes)
        publish(lake, now=desk.now)
        places = _places(lake, before=places)
        assert articles_equal_revisions(lake) == []
    with connect(lake, as_of=desk.now + SOON) as connection:
        derived = connection.sql("FROM articles").to_arrow_table().to_pylist()
    step_by_step = desk.rows()
    publish(lake, now=desk.now, rebuild=True)
    _places(lake, before=places)
    anew = desk.rows()
    assert anew == {row["article_id"]: row for row in derived}
    for row in (*step_by_step.values(), *anew.values()):
        row.pop("last_seen")
    assert step_by_step == anew


def _places(lake: Lake, *, before: dict[str, str]) -> dict[str, str]:
    """Return the slot of each article. None has left that where it was `before`."""
    now = {
        row["article_id"]: f"{path.split('/')[-2]}/{path.split('/')[-1][:9]}"
        for path in lake.published.parts() or ()
        for row in pq.read_table(path, columns=["article_id"], partitioning=None).to_pylist()
    }
    assert before.items() <= now.items()
    return now


def test_what_changed_is_found_in_files_without_statistics(
    published: Lake, story: Story, batch_of: BatchOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lakes, "_STATISTICS", dict.fromkeys(lakes._STATISTICS, ()))
    published.commit(batch_of("r-2", [story(0, revision=2)]), now=NOW + 2 * SOON)
    publish(published, now=NOW)
    assert _rows(published)["story-00000"]["revision"] == 2


def test_lost_manifest_is_built_anew(published: Lake) -> None:
    expected = _rows(published)
    for path in (published.storage.folder / "_articles").glob("*.json"):
        path.write_text("{")
    assert publish(published, now=NOW).rows == 10
    assert _rows(published) == expected


def test_old_generations_stay_for_those_who_read_them_and_go_then(
    published: Lake, story: Story, batch_of: BatchOf
) -> None:
    def generations() -> int:
        return sum(path.is_dir() for path in (published.storage.folder / "_articles").iterdir())

    for n in range(4):
        published.commit(batch_of(f"s-{n}", [story(30 + n)]), now=NOW)
        publish(published, now=NOW + SOON * n)
    assert generations() == 6
    publish(published, now=NOW + SOON * 30)
    assert generations() == 2


def test_a_folder_that_no_publish_made_is_left_alone(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    _folder(lake).mkdir()
    lake.commit(batch_of("r-0", [story(0)]), now=NOW)
    with pytest.raises(LakeError, match="is no link"):
        publish(lake, now=NOW)


def test_doctor_is_told_what_differs(published: Lake) -> None:
    (path,) = _folder(published).glob("published_month=2024-05/*.parquet")
    table = pq.read_table(path, partitioning=None)
    rows = table.to_pylist()
    rows[0]["headline"] = "forged"
    forged = pa.Table.from_pylist([*rows[:-1], rows[0]], schema=ARTICLES)
    path.unlink()
    pq.write_table(forged, path)
    assert "content is not what was published" in articles_equal_revisions(published)[0]
    _resealed(published, path)
    found = articles_equal_revisions(published)
    first, last = rows[0]["article_id"], rows[-1]["article_id"]
    assert f"{first}: 2 rows in articles" in found
    assert f"{first}: articles differs in headline" in found
    assert f"{last}: in revisions, not in articles" in found


def _resealed(lake: Lake, part: Path) -> None:
    """Have the manifest say of a part what it holds now."""
    manifest = _folder(lake).resolve().with_suffix(".json")
    said = sums.unsealed(manifest.read_bytes())
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    said["digests"] |= {f"{part.parent.name}/{part.name}": digest}
    manifest.write_bytes(sums.sealed(said))


# What a reader may meet while a part is replaced: it says so, and is asked again.
LOUD = (
    OSError,
    duckdb.Error,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    pa.ArrowException,
)


def _read_until(
    done: threading.Event, read: Callable[[], list[Row]], problems: list[str], reads: Counter[str]
) -> None:
    while not done.is_set():
        try:
            rows = read()
        except LOUD:
            reads["loud"] += 1
            continue
        reads["quiet"] += 1
        ids = [row["article_id"] for row in rows]
        if len(set(ids)) != len(ids) or len(ids) < 9:
            problems.append(f"{len(ids)} rows, {len(set(ids))} articles")
        problems += [
            f"{row['article_id']} is of two revisions"
            for row in rows
            if f"telling {row['revision']}" not in str(row["headline"])
        ]


def _edits(story: Story, batch_of: BatchOf) -> Iterator[Batch]:
    for n in range(2, 10_000):
        yield batch_of(f"e-{n}", [story(k, revision=n) for k in range(4)] + [story(20 + n)])


def test_what_a_reader_has_listed_is_there_after_a_publish(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    # pyarrow and pandas leave out, without a word, what is gone between listing and looking.
    lake.commit(batch_of("r-0", [story(n) for n in range(9)]), now=NOW)
    publish(lake, now=NOW)
    listed = [*_folder(lake).glob("*/*.parquet")]
    before = {path: path.read_bytes() for path in listed}
    lake.commit(batch_of("e-1", [story(n, revision=2) for n in range(9)]), now=NOW)
    publish(lake, now=NOW)
    assert listed
    assert all(path.read_bytes() != before[path] for path in listed)


def test_articles_stay_in_their_parts_when_all_is_built_anew(
    lake: Lake, story: Story, batch_of: BatchOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.commit(batch_of("r-0", [story(n) for n in range(9)]), now=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "MOST_ROWS", 3)
        publish(lake, now=NOW)
    places = _places(lake, before={})
    # With the room that there is now, they would lie otherwise.
    publish(lake, now=NOW + SOON, rebuild=True)
    assert _places(lake, before=places) == places
    assert any(place.endswith("part-0001") for place in places.values())


@pytest.mark.parametrize("reader", FOLDER)
def test_readers_see_old_or_new_or_a_loud_error_while_parts_are_replaced(
    lake: Lake, story: Story, batch_of: BatchOf, reader: str
) -> None:
    lake.commit(batch_of("r-0", [story(n) for n in range(9)]), now=NOW)
    publish(lake, now=NOW)
    done, problems, reads = threading.Event(), list[str](), Counter[str]()
    pattern = f"{_folder(lake)}/**/*.parquet"
    ways = (lambda: FOLDER[reader](_folder(lake)), lambda: GLOB[reader](pattern))
    threads = [
        threading.Thread(target=_read_until, args=(done, way, problems, reads)) for way in ways
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 1
    for batch in _edits(story, batch_of):
        lake.commit(batch, now=NOW)
        publish(lake, now=NOW)
        if time.monotonic() > end:
            break
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert reads["quiet"] > 0


def _flip(link: Path, targets: list[Path]) -> None:
    draft = link.with_name(".flipping")
    for target in cycle(targets):
        draft.symlink_to(target)
        draft.replace(link)
        time.sleep(0.0005)


@pytest.mark.soak
@pytest.mark.parametrize("reader", FOLDER)
def test_readers_see_old_or_new_or_a_loud_error_at_two_thousand_flips_a_second(
    lake: Lake, story: Story, batch_of: BatchOf, reader: str
) -> None:
    for revision in range(1, 9):
        batch = batch_of(f"e-{revision}", [story(n, revision=revision) for n in range(9)])
        lake.commit(batch, now=NOW)
        publish(lake, now=NOW)
    link, problems, reads, done = _folder(lake), list[str](), Counter[str](), threading.Event()
    generations = sorted(path for path in link.resolve().parent.iterdir() if path.is_dir())
    flipping = multiprocessing.Process(target=_flip, args=(link, generations), daemon=True)
    flipping.start()
    threading.Timer(10, done.set).start()
    _read_until(done, lambda: FOLDER[reader](link), problems, reads)
    flipping.kill()
    flipping.join()
    assert problems == []
    assert reads["quiet"] > 5
