"""The lake: what is committed is there once, whatever is killed or repeated."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import Transaction
from deltalake.exceptions import DeltaError

from pipelines import delta
from pipelines.errors import LakeError
from pipelines.lake import Lake
from pipelines.model import Batch, Relation, Revision
from pipelines.publish import publish
from pipelines.published_check import articles_equal_revisions
from pipelines.schema import TABLES, article_of, revision_of
from pipelines.storage import LocalStorage

NOW = datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=UTC)

Story = Callable[..., Revision]
BatchOf = Callable[..., Batch]


NONE = {"furniture": 0, "reservations": 0, "runs": 0}


def _counts(lake: Lake) -> dict[str, int]:
    tables = {name: lake.table(name) for name in TABLES}
    return {name: found.count() if found else 0 for name, found in tables.items()}


def test_lake_that_is_not_there_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="run sitrep crawl first"):
        Lake.open(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_lake_is_found_again_under_the_same_id(tmp_path: Path) -> None:
    made = Lake.open(str(tmp_path / "a" / "lake"), create=True)
    assert Lake.open(str(tmp_path / "a" / "lake"), create=True).lake_id == made.lake_id
    about = json.loads((tmp_path / "a" / "lake" / "_sitrep.json").read_text())
    assert set(about) == {"lake_id", "schema_version", "state_id", "created_at", "sha256"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://bucket/lake", "cannot lie on ftp://"),
        ("{tmp}/file/lake", "cannot be written"),
        ("{tmp}/odd[1]", "may not hold"),
        ("{tmp}/newer", "update Sitrep"),
        ("{tmp}/broken", "cannot be read"),
    ],
)
def test_lake_that_cannot_be_used_is_one_line_with_place_and_remedy(
    tmp_path: Path, url: str, says: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    for name, text in (("newer", '{"schema_version": 99}'), ("broken", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "_sitrep.json").write_text(text)
    with pytest.raises(LakeError, match=says) as caught:
        Lake.open(url.format(tmp=tmp_path), create=True)
    assert caught.value.where is not None
    assert caught.value.remedy is not None
    assert "\n" not in str(caught.value)


def test_batch_replayed_adds_nothing_and_keeps_its_time(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    batch = batch_of("r-0", [story(1), story(2)], relations=[_original("story-00001")])
    first = lake.commit(batch, now=NOW)
    before = _counts(lake)
    assert before == {"revisions": 2, "relations": 1, "captures": 2} | NONE
    again = Lake.open(lake.storage.url).commit(batch, now=NOW + timedelta(hours=1))
    assert (again, _counts(lake)) == (first, before)


def test_commit_that_was_killed_half_way_is_completed(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    batch = batch_of("r-0", [story(1)], relations=[_original("story-00001")])
    lake.commit(replace(batch, relations=(), captures=()), now=NOW)
    assert lake.committed_warcs() == set()
    lake.commit(batch, now=NOW)
    assert _counts(lake) == {"revisions": 1, "relations": 1, "captures": 1} | NONE
    assert lake.committed_warcs() == {"warc/2024/05/r-0.warc.gz"}


def test_recorded_at_grows_with_every_commit_even_when_the_clock_goes_back(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    clock = [NOW, NOW, NOW - timedelta(days=1), NOW + timedelta(days=1)]
    times = [lake.commit(batch_of(f"r-{n}", [story(n)]), now=t) for n, t in enumerate(clock)]
    assert times == sorted(set(times))
    assert lake.recorded_at() == times[-1] == NOW.replace(microsecond=123000) + timedelta(days=1)


def test_reader_that_filters_on_recorded_at_misses_nothing(
    tmp_path: Path, story: Story, batch_of: BatchOf
) -> None:
    # Polars finds no Delta table below a folder with a space in its name (2.1).
    lake = Lake.open(str(tmp_path / "lake"), create=True)
    at = lake.commit(batch_of("r-0", [story(1)]), now=NOW)
    just_before = at - timedelta(microseconds=1)
    table = lake.table("revisions")
    assert table is not None
    lazy = pl.scan_delta(lake.storage.table_url("revisions"))
    assert lazy.filter(pl.col("recorded_at") > just_before).collect().height == 1
    files = lake.files("revisions")
    sql = "SELECT count(*) FROM read_parquet($f) WHERE recorded_at > $t"
    assert duckdb.execute(sql, {"f": files, "t": just_before}).fetchall() == [(1,)]
    newer = pc.field("recorded_at") > just_before
    assert table.to_pyarrow_dataset().to_table(filter=newer).num_rows == 1


def test_what_is_in_is_still_known_after_a_checkpoint(lake: Lake) -> None:
    def commit(n: int) -> datetime:
        batch = Batch(warc_path=f"warc/{n}.warc.gz", relations=(_original(f"story-{n}"),))
        return lake.commit(batch, now=NOW)

    times = [commit(n) for n in range(105)]
    log = LocalStorage(Path(lake.storage.url)).list("relations/_delta_log")
    assert any(path.endswith(".checkpoint.parquet") for path in log)
    assert [commit(0), commit(104)] == [times[0], times[104]]
    assert _counts(lake)["relations"] == 105


def test_a_checkpoint_that_a_power_cut_tore_is_made_again(lake: Lake) -> None:
    def commit(n: int) -> None:
        batch = Batch(warc_path=f"warc/{n}.warc.gz", relations=(_original(f"story-{n}"),))
        lake.commit(batch, now=NOW)

    for n in range(100):
        commit(n)
    log = lake.storage.folder / "relations" / "_delta_log"
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    sums = lake.storage.folder / "_sums" / "relations" / f"{checkpoint.name.split('.')[0]}.json"
    sums.unlink()  # which come last
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    lake = Lake.open(lake.storage.url)
    commit(100)
    assert _counts(lake)["relations"] == 101
    (again,) = log.glob("*.checkpoint.parquet")
    assert pq.read_table(again).num_rows > 100


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _newest(lake: Lake, pattern: str) -> Path:
    found = (lake.storage.folder / "revisions").glob(pattern)
    return max(found, key=lambda path: path.stat().st_mtime_ns)


TORN: dict[str, Callable[[Lake], None]] = {
    "an empty entry": lambda lake: _newest(lake, "_delta_log/*.json").write_bytes(b"") and None,
    "a cut entry": lambda lake: _cut(_newest(lake, "_delta_log/*.json")),
    "no file": lambda lake: _newest(lake, "*.parquet").unlink(),
    "an empty file": lambda lake: _newest(lake, "*.parquet").write_bytes(b"") and None,
    "a cut file": lambda lake: _cut(_newest(lake, "*.parquet")),
}


@pytest.mark.parametrize("how", TORN)
@pytest.mark.parametrize("before", [0, 1])
def test_what_a_power_cut_tore_is_put_aside_and_committed_again(
    lake: Lake,
    story: Story,
    batch_of: BatchOf,
    caplog: pytest.LogCaptureFixture,
    how: str,
    before: int,
) -> None:
    for n in range(before):
        lake.commit(batch_of(f"r-{n}", [story(n)]), now=NOW)
    batch = batch_of("r-9", [story(9)])
    lake.commit(replace(batch, captures=()), now=NOW)
    entry = _newest(lake, "_delta_log/*.json")
    (lake.storage.folder / "_sums" / "revisions" / entry.name).unlink()  # which come last
    TORN[how](lake)
    Lake.open(lake.storage.url).commit(batch, now=NOW)
    assert _counts(lake)["revisions"] == _counts(lake)["captures"] == before + 1
    assert f"{entry}: torn by a power cut" in caplog.text
    assert (lake.storage.folder / "_torn" / f"revisions-{entry.name}").exists()
    parts = {path.name for path in (lake.storage.folder / "revisions").glob("*.parquet")}
    assert parts == {Path(one).name for one in lake.files("revisions")}


def test_an_entry_that_was_acknowledged_is_never_put_aside(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    """Its WARC file is committed: nobody would bring its rows again."""
    lake.commit(batch_of("r-0", [story(0)]), now=NOW)
    part = _newest(lake, "*.parquet")
    _cut(part)
    with Lake.open(lake.storage.url).lock():
        pass
    assert lake.files("revisions") == [str(part)]


def test_two_programs_that_append_at_once_lose_nothing(lake: Lake) -> None:
    """The lock keeps Sitrep's own writers apart; delta-rs the others."""
    batches = [Batch(warc_path=f"{n}", relations=(_original(f"story-{n}"),)) for n in range(2)]
    lake.commit(batches[0], now=NOW)
    stale = lake.table("relations")
    assert stale is not None
    lake.commit(batches[1], now=NOW)
    rows = pa.Table.from_pylist(
        [stale.to_pyarrow_table().to_pylist()[0] | {"article_id": "story-2"}],
        schema=TABLES["relations"],
    )
    append = {"table": stale, "statistics": ("recorded_at", "article_id")}
    delta.append(lake.storage, "relations", rows, transactions=[], **append)
    assert _counts(lake)["relations"] == 3
    same = [Transaction("x", 1)]
    delta.append(lake.storage, "relations", rows, transactions=same, **append)
    # As if the answer to it had been lost: it is found to be there.
    delta.append(lake.storage, "relations", rows, transactions=same, **append)
    assert _counts(lake)["relations"] == 3
    other = rows.set_column(0, "article_id", pa.array(["story-3"]))
    with pytest.raises(DeltaError):
        delta.append(lake.storage, "relations", other, transactions=same, **append)


def test_what_a_table_has_forgotten_to_have_is_not_appended_again(
    lake: Lake, story: Story, batch_of: BatchOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transactions are kept for 90 days: else each checkpoint would hold all there ever were."""
    old = batch_of("20240501T101530Z-7adcb0-1", [story(1)])
    with monkeypatch.context() as patch:
        long_ago = NOW.timestamp()
        patch.setattr("pipelines.lake.time.time", lambda: long_ago)
        lake.commit(old, now=NOW)
    new = batch_of("20260501T101530Z-7adcb0-1", [story(2)])
    lake.commit(new, now=NOW + timedelta(days=700))
    for name in ("revisions", "captures"):
        table = lake.table(name)
        assert table is not None
        assert table.transaction_version(old.warc_path) is None
        assert table.transaction_version(new.warc_path) is not None
    lake.commit(old, now=NOW + timedelta(days=701))
    counts = _counts(lake)
    assert (counts["revisions"], counts["captures"]) == (2, 2)


def test_tables_files_are_as_the_contract_says(lake: Lake, story: Story, batch_of: BatchOf) -> None:
    lake.commit(batch_of("r-0", [story(1)], relations=[_original("story-00001")]), now=NOW)
    for name, filtered in {
        "revisions": {"article_id", "url"},
        "captures": {"article_id", "url"},
        "relations": {"article_id"},
    }.items():
        (path,) = lake.files(name)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        assert Path(path).name == f"part-{digest[:32]}.parquet"
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            assert file.read().schema.equals(TABLES[name])
            assert file.metadata.row_group(0).column(0).compression == "ZSTD"
        sql = "SELECT path_in_schema FROM parquet_metadata($p) WHERE bloom_filter_offset > 0"
        assert {one for (one,) in duckdb.execute(sql, {"p": path}).fetchall()} == filtered


def test_two_revisions_under_one_number_are_refused_and_nothing_is_written(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    with pytest.raises(LakeError, match="comes 2 times"):
        lake.commit(batch_of("r-0", [story(1), story(1)]), now=NOW)
    assert _counts(lake)["revisions"] == 0


def test_current_is_the_newest_extraction_of_the_newest_revision(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    assert lake.current(["story-00001"]) == {}
    lake.commit(batch_of("r-0", [story(1), story(2)]), now=NOW)
    lake.commit(batch_of("r-1", [story(1, revision=2)]), now=NOW)
    newest = story(1, revision=2, extraction=2)
    at = lake.commit(batch_of("r-2", [newest, story(1, extraction=2)]), now=NOW)
    rows = lake.current(["story-00001", "story-00099"])
    assert set(rows) == {"story-00001"}
    row = rows["story-00001"]
    assert row["recorded_at"] == at
    assert article_of(row) == newest.article
    assert revision_of(row) == replace(newest, location=replace(newest.location, warc_length=0))


def test_captures_are_found_by_record_and_by_file(
    lake: Lake, story: Story, batch_of: BatchOf
) -> None:
    assert (lake.has_captures(["<urn:x>"]), lake.committed_warcs()) == (set(), set())
    lake.commit(batch_of("r-0", [story(1)]), now=NOW)
    assert lake.has_captures(["<urn:x>", "<urn:story:1:1:1>"]) == {"<urn:story:1:1:1>"}
    assert lake.committed_warcs() == {"warc/2024/05/r-0.warc.gz"}


def test_warc_file_is_moved_into_place_once(lake: Lake, tmp_path: Path) -> None:
    spool = tmp_path / "r-0.warc.gz.open"
    spool.write_bytes(b"bytes")
    lake.add_warc(spool, "warc/2024/05/r-0.warc.gz")
    lake.add_warc(spool, "warc/2024/05/r-0.warc.gz")
    assert not spool.exists()
    assert lake.storage.read("warc/2024/05/r-0.warc.gz") == b"bytes"
    with pytest.raises(LakeError):
        lake.add_warc(spool, "warc/2024/05/r-1.warc.gz")


def test_warc_file_moved_but_not_committed_is_known(
    lake: Lake, tmp_path: Path, story: Story, batch_of: BatchOf
) -> None:
    assert lake.uncommitted_warcs() == []
    for n in range(2):
        (tmp_path / "spooled").write_bytes(b"bytes")
        lake.add_warc(tmp_path / "spooled", f"warc/2024/05/r-{n}.warc.gz")
    lake.commit(batch_of("r-0", [story(1)]), now=NOW)
    assert lake.uncommitted_warcs() == ["warc/2024/05/r-1.warc.gz"]


def test_run_is_recorded_once_with_its_totals(lake: Lake) -> None:
    run = {
        "run_id": "r",
        "started_at": NOW,
        "finished_at": NOW,
        "version": "0.1.0",
        "settings_hash": "abc",
        "sites": ["harbour_gazette"],
        "totals": {"new": 3, "failed": 1, "skipped": {"busy": 1}},
        "exit_status": 0,
    }
    lake.add_run(run)
    lake.add_run(run)
    table = lake.table("runs")
    assert table is not None
    (row,) = table.to_pyarrow_table().to_pylist()
    assert (row["new"], row["failed"], row["skipped"]) == (3, 1, '{"busy": 1}')


def test_second_process_waits_for_the_lock_and_a_killed_one_frees_it(lake: Lake) -> None:
    script = """
        import sys, time
        from pipelines.lake import Lake
        with Lake.open(sys.argv[1]).lock():
            print("held", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), lake.storage.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(LakeError, match="another process"),
            lake.lock(patience=timedelta(seconds=0.1)),
        ):
            pass
        holder.kill()
    began = time.monotonic()
    with lake.lock(), lake.lock():
        assert time.monotonic() - began < 1


# Commits and publishes in each lake it is given, killed at the n-th time that Python touches the
# file system (delta-rs does so unseen, in between). Forks before any library has its threads.
KILLED = """
    import os, signal, sys
    from datetime import datetime, UTC
    sys.path[:0] = [sys.argv[1]]
    from conftest import _batch, _story
    from pipelines.lake import Lake
    from pipelines.model import Relation
    from pipelines.publish import publish
    now = datetime(2024, 7, 2, tzinfo=UTC)
    touches = {"open", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove",
        "shutil.rmtree", "fcntl.flock"}
    def work(url, n):
        lake = Lake.open(url)
        relation = Relation(article_id="story-00001", cluster_id="story-00000", relation="exact")
        batch = _batch("r-1", [_story(0, revision=2), _story(7)], relations=[relation])
        left = n
        def count(event, arguments):
            nonlocal left
            if event in touches:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        lake.commit(batch, now=now)
        publish(lake, now=now)
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


def _work_killed_at(lakes: dict[int, Lake]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(Path(__file__).parent)],
        input="".join(f"{n} {lake.storage.url}\n" for n, lake in lakes.items()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_killed_at_any_step_of_commit_and_publish_it_leaves_the_old_or_the_new_view(
    lake: Lake, tmp_path: Path, story: Story, batch_of: BatchOf
) -> None:
    def copy(name: str) -> Lake:
        shutil.copytree(lake.storage.url, tmp_path / name, symlinks=True)
        return Lake.open(str(tmp_path / name))

    lake.commit(batch_of("r-0", [story(n) for n in range(4)]), now=NOW)
    publish(lake, now=NOW)
    old = [(f"story-{n:05d}", 1) for n in range(4)]
    new = [("story-00000", 2), *old[1:], ("story-00007", 1)]
    (steps,) = map(int, _work_killed_at({10_000: copy("whole")}))
    points = sorted({*range(0, steps, steps // 7), *range(steps - 2, steps)})
    lakes = {n: copy(f"killed-{n}") for n in points}
    assert _work_killed_at(lakes) == ["killed"] * len(points)
    found = [_published(one) for one in lakes.values()]
    assert [old] * found.count(old) + [new] * found.count(new) == found
    assert old in found
    assert new in found
    relation = Relation(article_id="story-00001", cluster_id="story-00000", relation="exact")
    batch = batch_of("r-1", [story(0, revision=2), story(7)], relations=[relation])
    for one in lakes.values():
        one.commit(batch, now=NOW)
        publish(one, now=NOW)
        assert _published(one) == new
        assert articles_equal_revisions(one) == []
        assert _counts(one) == {"revisions": 6, "relations": 1, "captures": 6} | NONE


def _published(lake: Lake) -> list[tuple[str, int]]:
    sql = "SELECT article_id, revision FROM read_parquet($files) ORDER BY 1"
    files = f"{lake.storage.url}/articles/**/*.parquet"
    return duckdb.execute(sql, {"files": files}).fetchall()


def _original(article_id: str) -> Relation:
    return Relation(article_id=article_id, cluster_id=article_id, relation="original")
