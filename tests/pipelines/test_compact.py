"""Compaction: fewer and larger files, the same rows, and everything that leans on them unharmed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake

from pipelines.compact import Compacted, compact
from pipelines.doctor.files import check_files
from pipelines.doctor.findings import Finding
from pipelines.doctor.snapshot import Snapshot
from pipelines.errors import LakeError
from pipelines.furniture import PAGES, marker_row
from pipelines.lake import Lake
from pipelines.model import Batch, Relation, Revision
from pipelines.publish import PublishReport, publish
from pipelines.published_check import articles_equal_revisions
from pipelines.schema import TABLES
from pipelines.sql import ask
from pipelines.storage import LocalStorage
from pipelines.views import connect

Story = Callable[..., Revision]
BatchOf = Callable[..., Batch]

COMMITS = 8
NOW = datetime(2024, 7, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def _batches(story: Story, batch_of: BatchOf) -> list[Batch]:
    def relation(n: int) -> Relation:
        return Relation(
            article_id=f"story-{n:05d}", cluster_id=f"story-{n:05d}", relation="original"
        )

    return [
        _reserving(batch_of(f"r-{n}", [story(n), story(n, extraction=2)], relations=[relation(n)]))
        for n in range(COMMITS)
    ]


def _reserving(batch: Batch) -> Batch:
    """Return a batch whose first page reserves something."""
    first, *rest = batch.captures
    page = replace(first.page, reserved=("noarchive",))
    return replace(batch, captures=(replace(first, page=page), *rest))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where `full` was made the first time."""
    return {"of": tmp_path_factory.mktemp("made")}


@pytest.fixture
def full(made: dict[str, Path], tmp_path: Path, story: Story, batch_of: BatchOf) -> Lake:
    """A lake of some commits, published."""
    if not any(made["of"].iterdir()):
        lake = Lake.open(str(made["of"] / "lake"), create=True)
        for n, batch in enumerate(_batches(story, batch_of)):
            lake.commit(batch, now=NOW + n * DAY)
            lake.add_run({"run_id": f"run-{n}", "started_at": NOW, "finished_at": NOW})
            looked = marker_row("gazette", PAGES, pages=n, until=NOW)
            lake.add_furniture([looked], app_id=f"run-{n}", now=NOW)
        publish(lake, now=NOW)
    shutil.copytree(made["of"] / "lake", tmp_path / "full lake", symlinks=True)
    return Lake.open(str(tmp_path / "full lake"))


def _compact(lake: Lake, *, after: timedelta = timedelta()) -> dict[str, Compacted]:
    """Compact, and keep what was replaced for seven days, that long after now."""
    now = datetime.now(UTC) + after
    return {done.table: done for done in compact(lake, now=now, keep=timedelta(days=7))}


def _rows(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, in their order."""
    return {
        name: [row for file in _in_order(lake, name) for row in pq.read_table(file).to_pylist()]
        for name in TABLES
    }


def _in_order(lake: Lake, name: str) -> list[str]:
    table = lake.table(name)
    assert table is not None
    adds = pa.table(table.get_add_actions()).sort_by("modification_time")
    return [f"{lake.storage.url}/{name}/{path}" for path in adds["path"].to_pylist()]


def _findings(lake: Lake) -> list[Finding]:
    """Return what the doctor says of the files; the archive is none here."""
    return list(check_files(Snapshot.of(Lake.open(lake.storage.url))))


def _everything(lake: Lake) -> dict[str, tuple[int, int]]:
    there = [one for one in Path(lake.storage.url).rglob("*") if one.is_file()]
    return {str(one): (one.stat().st_mtime_ns, one.stat().st_size) for one in there}


def _log(lake: Lake, name: str) -> list[str]:
    return sorted(one.name for one in Path(lake.storage.url, name, "_delta_log").iterdir())


def _entry(lake: Lake, name: str) -> list[dict[str, Any]]:
    last = max(Path(lake.storage.url, name, "_delta_log").glob("*.json"))
    return [json.loads(line) for line in last.read_text().splitlines()]


# --- what does not change ---------------------------------------------------------------------


def test_small_files_become_one_and_every_row_stays_where_it_was(full: Lake) -> None:
    before = _rows(full)
    done = _compact(full)
    counts = {name: (one.files_before, one.files_after) for name, one in done.items()}
    assert counts == dict.fromkeys(TABLES, (COMMITS, 1))
    assert all(one.bytes_after < one.bytes_before for one in done.values())
    assert _rows(full) == before
    assert _findings(full) == []


def test_every_time_in_the_past_is_as_it_was(full: Lake) -> None:
    def then(n: int) -> list[list[Any]]:
        with connect(full, as_of=NOW + n * DAY) as connection:
            return ask(connection, "SELECT * FROM articles ORDER BY article_id")[1]

    before = [then(n) for n in range(COMMITS)]
    _compact(full)
    assert [then(n) for n in range(COMMITS)] == before
    assert [len(rows) for rows in before] == list(range(1, COMMITS + 1))


def test_nothing_is_to_be_published_afterwards(full: Lake) -> None:
    _compact(full)
    assert publish(full, now=NOW) == PublishReport()
    assert articles_equal_revisions(full) == []


@pytest.mark.parametrize("after", [timedelta(), 8 * DAY])
def test_what_was_committed_is_known_by_its_transaction(
    full: Lake, story: Story, batch_of: BatchOf, after: timedelta
) -> None:
    before = _rows(full)
    _compact(full)
    _compact(full, after=after)
    again = Lake.open(full.storage.url)
    for n, batch in enumerate(_batches(story, batch_of)):
        assert again.commit(batch, now=NOW + 99 * DAY) == NOW + n * DAY
    assert _rows(full) == before
    later = again.commit(batch_of("r-99", [story(99)]), now=NOW)
    assert later > NOW + (COMMITS - 1) * DAY
    assert _findings(full) == []


def test_files_are_as_the_contract_has_them(lake: Lake) -> None:
    for n in range(5):
        relations = [
            Relation(article_id=f"a-{n}-{k}", cluster_id=f"a-{n}-{k}", relation="original")
            for k in range(5_000)
        ]
        lake.commit(
            Batch(warc_path=f"warc/{n}.warc.gz", relations=tuple(relations)), now=NOW + n * DAY
        )
    _compact(lake)
    (path,) = lake.files("relations")
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
        assert [group.num_rows for group in groups] == [10_000, 10_000, 5_000]
        assert file.read().schema.equals(TABLES["relations"])
        assert groups[0].column(0).compression == "ZSTD"
    sql = "SELECT DISTINCT path_in_schema FROM parquet_metadata($p) WHERE bloom_filter_offset > 0"
    assert duckdb.execute(sql, {"p": path}).fetchall() == [("article_id",)]
    table = lake.table("relations")
    assert table is not None
    [said] = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    assert (said["num_records"], said["min.article_id"]) == (25_000, "a-0-0")
    assert (said["min.recorded_at"], said["max.recorded_at"]) == (NOW, NOW + 4 * DAY)
    newer = pc.field("recorded_at") > NOW + 3 * DAY
    assert table.to_pyarrow_dataset().to_table(filter=newer).num_rows == 5_000


def test_a_program_that_follows_the_tables_changes_sees_none(full: Lake) -> None:
    _compact(full)
    actions = [one for name in TABLES for one in _entry(full, name)]
    changes = [
        one[kind]["dataChange"] for one in actions for kind in ("add", "remove") if kind in one
    ]
    assert len(changes) == len(TABLES) * (COMMITS + 1)
    assert not any(changes)


def test_delta_readers_read_it(full: Lake) -> None:
    _compact(full)
    for name in TABLES:
        place = f"{full.storage.url}/{name}"
        rows = 2 * COMMITS if name in {"revisions", "captures"} else COMMITS
        assert DeltaTable(place).to_pyarrow_table().num_rows == rows


# --- how often, and how much --------------------------------------------------------------------


def test_done_again_it_writes_nothing(full: Lake) -> None:
    _compact(full)
    before = _everything(full)
    assert all(done.is_nothing for done in _compact(full).values())
    assert _everything(full) == before


def test_an_empty_lake_has_nothing_to_do(lake: Lake) -> None:
    with lake.lock():
        pass
    before = _everything(lake)
    assert [done.is_nothing for done in _compact(lake).values()] == [True] * len(TABLES)
    assert _everything(lake) == before


def test_a_file_that_is_large_enough_is_not_written_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, story: Story, batch_of: BatchOf
) -> None:
    monkeypatch.setattr("pipelines.compact.MOST_ROWS", 5)
    for n, batch in enumerate(_batches(story, batch_of)):
        lake.commit(batch, now=NOW + n * DAY)
    assert _compact(lake)["revisions"].files_after == 4
    before = set(lake.files("revisions"))
    lake.commit(batch_of("r-98", [story(98)]), now=NOW)
    _compact(lake)
    # Two rows fit beside one of the last four, and of the others none is touched.
    assert len(before & set(lake.files("revisions"))) == 3
    assert len(lake.files("revisions")) == 4


# --- what goes ----------------------------------------------------------------------------------


def test_what_was_replaced_stays_for_those_who_read_it_and_goes_in_time(full: Lake) -> None:
    before, rows = set(full.files("revisions")), _rows(full)
    reader = DeltaTable(f"{full.storage.url}/revisions")
    version = reader.version()
    _compact(full)
    assert all(Path(file).exists() for file in before)
    assert reader.to_pyarrow_table().num_rows == 2 * COMMITS
    assert DeltaTable(f"{full.storage.url}/revisions", version=version).count() == 2 * COMMITS
    done = _compact(full, after=8 * DAY)["revisions"]
    assert (done.vacuumed_files, done.files_before, done.files_after) == (COMMITS, 1, 1)
    assert not any(Path(file).exists() for file in before)
    with pytest.raises(FileNotFoundError):
        reader.to_pyarrow_table()
    assert _rows(full) == rows
    assert _findings(full) == []


def test_the_log_before_a_checkpoint_goes_in_time_with_its_sums(
    full: Lake, story: Story, batch_of: BatchOf
) -> None:
    _compact(full)
    first = DeltaTable(f"{full.storage.url}/revisions").version()
    assert all(done.log_entries_after == COMMITS + 2 for done in _compact(full).values())
    for n in range(3):
        full.commit(batch_of(f"s-{n}", [story(50 + n)]), now=NOW + 20 * DAY)
    rows = _rows(full)
    done = _compact(full, after=8 * DAY)
    # Not yet relations and runs: of two checkpoints, the older and what follows it stay.
    assert done["revisions"].log_entries_after == 5
    assert done["relations"].log_entries_after == COMMITS + 2
    assert _log(full, "revisions")[0] == f"{first:020d}.checkpoint.parquet"
    sums = sorted(one.stem for one in Path(full.storage.url, "_sums/revisions").iterdir())
    assert sums == [f"{n:020d}" for n in range(first, first + 5)]
    assert _rows(full) == rows
    assert _findings(full) == []
    assert DeltaTable(f"{full.storage.url}/revisions", version=first).count() == 2 * COMMITS


@pytest.mark.parametrize("which", [0, 1])
def test_of_a_log_that_was_cleared_any_checkpoint_may_be_lost(
    full: Lake, story: Story, batch_of: BatchOf, which: int
) -> None:
    _compact(full)
    full.commit(batch_of("s-0", [story(50)]), now=NOW + 20 * DAY)
    _compact(full, after=8 * DAY)
    rows, log = _rows(full), Path(full.storage.url, "revisions/_delta_log")
    assert not (log / f"{0:020d}.json").exists()
    checkpoint = sorted(log.glob("*.checkpoint.parquet"))[which]
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"x")
    assert [one.where for one in _findings(full)] == [f"revisions/_delta_log/{checkpoint.name}"]
    for name in (checkpoint.name, "_last_checkpoint"):  # as the doctor says
        (log / name).unlink()
    assert _rows(Lake.open(full.storage.url)) == rows
    Lake.open(full.storage.url).commit(batch_of("s-1", [story(51)]), now=NOW + 21 * DAY)
    assert _findings(full) == []


def test_a_checkpoint_that_is_damaged_is_not_leaned_on(
    full: Lake, story: Story, batch_of: BatchOf
) -> None:
    _compact(full)
    log = Path(full.storage.url, "revisions/_delta_log")
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    full.commit(batch_of("s-0", [story(50)]), now=NOW + 20 * DAY)
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"PAR1", b"PAR2"))
    (log / "_last_checkpoint").unlink()
    with pytest.raises(LakeError):
        _compact(full, after=8 * DAY)
    assert (log / f"{0:020d}.json").exists()


def test_what_points_to_the_checkpoint_may_be_torn_by_a_power_cut(
    full: Lake, story: Story, batch_of: BatchOf
) -> None:
    _compact(full)
    full.commit(batch_of("s-0", [story(50)]), now=NOW + 20 * DAY)
    _compact(full)
    rows, version = _rows(full), DeltaTable(f"{full.storage.url}/revisions").version()
    Path(full.storage.url, "_sums/revisions", f"{version:020d}.json").unlink()  # which come last
    Path(full.storage.url, "revisions/_delta_log/_last_checkpoint").write_bytes(b"")
    with Lake.open(full.storage.url).lock():
        pass
    assert _findings(full) == []
    assert _rows(full) == rows


# --- what must not happen -----------------------------------------------------------------------


def test_a_damaged_file_is_told_and_never_written_again_under_a_good_name(full: Lake) -> None:
    damaged = Path(full.files("captures")[2])
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    before = full.files("captures")
    with pytest.raises(LakeError, match="its content is not what its sum says") as raised:
        _compact(full)
    assert raised.value.where == str(damaged)
    assert full.files("captures") == before
    assert [one.where for one in _findings(full)] == [f"captures/{damaged.name}"]


class _Busy(LocalStorage):
    """A folder in which another program acts on `revisions` just when we are about to."""

    def __init__(self, folder: Path, acts: list[Any]):
        super().__init__(folder)
        self._acts = acts

    def replace(self, path: str, data: bytes) -> None:
        super().replace(path, data)
        if path.startswith("revisions/part-") and self._acts:
            self._acts.pop()(DeltaTable(self.table_url("revisions")))


def _append(table: DeltaTable) -> None:
    row = table.to_pyarrow_table().slice(0, 1)
    index = row.column_names.index("article_id")
    other = row.set_column(index, "article_id", pa.array(["theirs"]))
    write_deltalake(table, other, mode="append")


def _delete(table: DeltaTable) -> None:
    table.delete("article_id = 'story-00003'")


def _optimize(table: DeltaTable) -> None:
    table.optimize.compact(writer_properties=WriterProperties(compression="ZSTD"))


@pytest.mark.parametrize(
    ("act", "change"), [(_append, {"theirs": 1}), (_delete, {"story-00003": -2}), (_optimize, {})]
)
def test_another_program_that_writes_meanwhile_loses_and_doubles_nothing(
    full: Lake, act: Any, change: dict[str, int]
) -> None:
    def counts() -> dict[str, int]:
        ids = DeltaTable(f"{full.storage.url}/revisions").to_pyarrow_table()["article_id"]
        return {one["values"]: one["counts"] for one in ids.value_counts().to_pylist()}

    before = counts()
    full.storage = _Busy(Path(full.storage.url), [act])
    assert _compact(full)["revisions"].files_after == 1
    expected = {name: before.get(name, 0) + change.get(name, 0) for name in before | change}
    assert counts() == {name: n for name, n in expected.items() if n}
    with Lake.open(full.storage.url).lock():
        pass  # as any crawl begins
    assert _findings(full) == []


def test_another_program_that_never_stops_is_told_and_nothing_changes(full: Lake) -> None:
    full.storage = _Busy(Path(full.storage.url), [_append] * 10)
    before = set(full.files("revisions"))
    with pytest.raises(LakeError, match="another program goes on writing"):
        _compact(full)
    assert before < set(full.files("revisions"))
    with Lake.open(full.storage.url).lock():
        pass
    assert _findings(full) == []


def test_the_sums_of_another_programs_files_stay_as_long_as_they(
    full: Lake, story: Story, batch_of: BatchOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    _optimize(DeltaTable(f"{full.storage.url}/revisions"))
    _compact(full)
    (theirs,) = map(Path, full.files("revisions"))
    assert "-c000" in theirs.name
    # Theirs is large enough, and stays, while the log before and after it is compacted.
    monkeypatch.setattr("pipelines.compact.MOST_ROWS", 2 * COMMITS)
    for n in range(3):
        full.commit(batch_of(f"s-{n}", [story(50 + 2 * n), story(51 + 2 * n)]), now=NOW + 20 * DAY)
        full.commit(batch_of(f"t-{n}", [story(70 + 2 * n), story(71 + 2 * n)]), now=NOW + 20 * DAY)
        _compact(full, after=8 * DAY * (n + 1))
    assert str(theirs) in full.files("revisions")
    assert not Path(full.storage.url, f"revisions/_delta_log/{COMMITS + 1:020d}.json").exists()
    assert _findings(full) == []
    data = bytearray(theirs.read_bytes())
    data[len(data) // 3] ^= 1
    theirs.write_bytes(data)
    assert [one.where for one in _findings(full)] == [f"revisions/{theirs.name}"]
    monkeypatch.undo()
    with pytest.raises(LakeError, match="its content is not what its sum says"):
        _compact(full)


def _partitioned(place: str, rows: pa.Table) -> None:
    write_deltalake(place, rows, mode="overwrite", schema_mode="overwrite", partition_by=["site"])


def _widened(place: str, rows: pa.Table) -> None:
    more = rows.append_column("mood", pa.array(["calm"] * len(rows)))
    write_deltalake(place, more, mode="append", schema_mode="merge")


def _given_features(place: str, rows: pa.Table) -> None:
    del rows
    DeltaTable(place).alter.add_constraint({"positive": "revision > 0"})


@pytest.mark.parametrize(
    ("change", "why"),
    [(_partitioned, "partitioned"), (_widened, "columns"), (_given_features, "features")],
)
def test_a_table_that_another_program_has_made_its_own_is_left_alone(
    full: Lake, change: Any, why: str
) -> None:
    place = f"{full.storage.url}/revisions"
    change(place, DeltaTable(place).to_pyarrow_table())
    before = full.files("revisions")
    done = _compact(full, after=30 * DAY)
    assert why in (done["revisions"].left or "")
    assert done["captures"].files_after == 1
    assert full.files("revisions") == before
    assert all(Path(file).exists() for file in before)


# --- killed -------------------------------------------------------------------------------------

# Compacts each lake it is given, killed at the n-th time that Python touches the file system
# (delta-rs does so unseen, in between). Forks before any library has its threads.
KILLED = """
    import os, signal, sys
    from datetime import datetime, timedelta, UTC
    from pipelines.compact import compact
    from pipelines.lake import Lake
    touches = {"open", "os.rename", "os.remove", "fcntl.flock"}
    def work(url, n):
        lake = Lake.open(url)
        left = n
        def count(event, arguments):
            nonlocal left
            if event in touches:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        list(compact(lake, now=datetime.now(UTC) + timedelta(days=8)))
        print(n - left, flush=True)
        os._exit(0)
    for line in sys.stdin:
        n, url = line.rstrip().split(" ", 1)
        child = os.fork()
        if child == 0:
            work(url, int(n))
        if os.waitpid(child, 0)[1] == signal.SIGKILL:
            print("killed", flush=True)
"""


def _killed_at(lakes: dict[int, Lake]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED)],
        input="".join(f"{n} {lake.storage.url}\n" for n, lake in lakes.items()),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def _is_unharmed_by_kills(lake: Lake, folder: Path, *, share: int, last: Batch) -> None:
    """Hold that a kill at every `share`-th step loses and doubles nothing."""
    _compact(lake)
    lake.commit(last, now=NOW + 20 * DAY)

    def copy(name: str) -> Lake:
        shutil.copytree(lake.storage.url, folder / name, symlinks=True)
        return Lake.open(str(folder / name))

    rows = _rows(lake)
    (steps,) = map(int, _killed_at({100_000: copy("whole")}))
    lakes = {n: copy(f"killed-{n}") for n in range(0, steps, share)}
    assert _killed_at(lakes) == ["killed"] * len(lakes)
    for n, one in lakes.items():
        assert _rows(one) == rows, f"killed at {n}"
        assert one.commit(last, now=NOW + 99 * DAY) == NOW + 20 * DAY
        assert _findings(one) == [], f"killed at {n}"
        assert all(done.files_after == 1 for done in _compact(one, after=8 * DAY).values())
        assert _rows(one) == rows, f"killed at {n}"
        shutil.rmtree(one.storage.url)


def _last(story: Story, batch_of: BatchOf) -> Batch:
    relation = Relation(article_id="story-00090", cluster_id="story-00090", relation="original")
    return batch_of("last", [story(90), story(91)], relations=[relation])


def test_killed_at_any_step_it_leaves_every_row_once(
    full: Lake, tmp_path: Path, story: Story, batch_of: BatchOf
) -> None:
    _is_unharmed_by_kills(full, tmp_path, share=53, last=_last(story, batch_of))


@pytest.mark.soak
def test_killed_at_each_step_it_leaves_every_row_once(
    full: Lake, tmp_path: Path, story: Story, batch_of: BatchOf
) -> None:
    _is_unharmed_by_kills(full, tmp_path, share=1, last=_last(story, batch_of))
