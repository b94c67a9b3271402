"""What commit, publish and an analyst's questions cost in a small lake and in a large one.

    python benchmarks/lake.py [--rows 10000 1000000] [--characters 3500] [--batch 10000]
                              [--lake URL] [--json]

For each size, a lake of invented articles (`lake_rows.py`: one year, twenty sites) is filled by
commits of `--batch`, then published whole; then 200 articles more are committed and published, then
a new version of 200 old ones out of all twelve months; then it is asked what analysts ask. A step
is a process of its own, forked off one that has everything imported: its seconds of CPU and wall
time are its own, its peak of memory is of the whole process (`nothing` has what the imports take,
of which some 60 MB of libraries' code come in only as they are used). Of a question asked three
times the median counts. A million rows take about ten minutes on two cores, and 4 GB of disk.

Without `--lake` the lakes lie in a temporary folder (TMPDIR says where) and are removed. With it,
each lies at URL/ROWS, a folder or `s3://bucket/prefix`, and stays; nobody else may write there
meanwhile. There are no WARC files: nothing here reads them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pandas as pd
import pyarrow.fs as fs
from lake_rows import SITES, Plan, article_id, batch
from measuring import measured, own_peak_mb

from pipelines.lake import Lake
from pipelines.lease import Free
from pipelines.publish import publish
from pipelines.storage import LocalStorage

NEW = 200
TIMES = 3
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = "2025-06"


@dataclass(slots=True)
class Clock:
    """What a step took so far: only what ran under `running`."""

    cpu_seconds: float = 0.0
    seconds: float = 0.0
    laps: list[float] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        cpu, wall = time.process_time(), time.monotonic()
        yield
        self.cpu_seconds += time.process_time() - cpu
        self.laps.append(time.monotonic() - wall)
        self.seconds += self.laps[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a step is told: the lake, and how large it is to be."""

    url: str
    plan: Plan
    batch: int

    def lake(self, *, create: bool = False) -> Lake:
        """Open the lake to write, as its only writer."""
        lake = Lake.open(self.url, create=create)
        lake.guard = lake.guard or Free()
        return lake

    @property
    def loads(self) -> int:
        return -(-self.plan.rows // self.batch)


Step = Callable[[Task, Clock], dict[str, Any]]


# Writing


def nothing(_task: Task, _clock: Clock) -> dict[str, Any]:
    return {}


def load(task: Task, clock: Clock) -> dict[str, Any]:
    """Fill the lake; making up the rows is not counted."""
    lake = task.lake(create=True)
    for at in range(task.loads):
        last = min(task.plan.rows, (at + 1) * task.batch)
        one = batch(task.plan, range(at * task.batch, last), name=f"2026/01/load-{at:06}")
        with clock.running():
            lake.commit(one, now=BEGAN + timedelta(minutes=at))
    return {
        "first_commit": clock.laps[0],
        "last_commit": clock.laps[-1],
        "commits": len(clock.laps),
    }


def open_to_write(task: Task, clock: Clock) -> dict[str, Any]:
    """Take the lock for the first time, as each run does: what is torn is looked for."""
    with clock.running(), task.lake().lock():
        pass
    return {}


def publish_all(task: Task, clock: Clock) -> dict[str, Any]:
    with clock.running():
        done = publish(task.lake(), now=_later(task, 0), rebuild=True)
    return {"parts": done.parts_written, "rows": done.rows}


def commit_new(task: Task, clock: Clock) -> dict[str, Any]:
    numbers = range(task.plan.rows, task.plan.rows + NEW)
    return _commit(task, clock, numbers, name="2026/02/new", revision=1)


def commit_edits(task: Task, clock: Clock) -> dict[str, Any]:
    numbers = range(0, task.plan.rows, max(1, task.plan.rows // NEW))[:NEW]
    return _commit(task, clock, numbers, name="2026/02/edits", revision=2)


def _commit(
    task: Task, clock: Clock, numbers: Sequence[int], *, name: str, revision: int
) -> dict[str, Any]:
    lake = task.lake()
    one = batch(task.plan, numbers, name=name, revision=revision)
    with lake.lock(), clock.running():
        lake.commit(one, now=_later(task, revision))
    return {"rows": len(numbers)}


def publish_rest(task: Task, clock: Clock) -> dict[str, Any]:
    lake = task.lake()
    with lake.lock(), clock.running():
        done = publish(lake, now=_later(task, 3))
    return {"months": len(done.months), "parts": done.parts_written, "rows": done.rows}


def _later(task: Task, hours: int) -> datetime:
    return BEGAN + timedelta(minutes=task.loads, hours=hours)


# Reading


def _sql(sql: str) -> Step:
    """Return the step that asks DuckDB, as an analyst does, of a bare glob."""

    def step(task: Task, clock: Clock) -> dict[str, Any]:
        storage = task.lake().storage
        values = {
            "glob": storage.address("articles/**/*.parquet"),
            "id": article_id(task.plan.rows // 3),
            "since": _later(task, 0),
            "site": SITES[7],
        }
        for _ in range(TIMES):
            with clock.running(), duckdb.connect() as connection:
                storage.attach(connection)
                connection.execute("SET enable_progress_bar = false")
                rows = len(connection.sql(sql.format(**values)).fetchall())
        return {"rows": rows}

    return step


def pandas_month(task: Task, clock: Clock) -> dict[str, Any]:
    address = task.lake().storage.address(f"articles/published_month={MONTH}")
    for _ in range(TIMES):
        with clock.running():
            # As pandas itself does with a folder; for s3:// it would ask for another package.
            filesystem, path = fs.FileSystem.from_uri(address)
            found = pd.read_parquet(path, filesystem=filesystem)
    return {"rows": len(found)}


def current(task: Task, clock: Clock) -> dict[str, Any]:
    lake = task.lake()
    for _ in range(TIMES):
        with clock.running():
            found = lake.current([article_id(task.plan.rows // 3)])
    return {"rows": len(found)}


STEPS: dict[str, Step] = {
    "nothing": nothing,
    "load": load,
    "open to write": open_to_write,
    "publish all": publish_all,
    "commit 200 new": commit_new,
    "publish 200 new": publish_rest,
    "commit 200 edits": commit_edits,
    "publish 200 edits": publish_rest,
    "month and site": _sql(
        "SELECT headline, article_body FROM '{glob}' WHERE site = '{site}' "
        "AND date_published >= '2025-06-01' AND date_published < '2025-07-01'"
    ),
    "new since": _sql(
        "SELECT article_id, headline, article_body FROM '{glob}' WHERE recorded_at > '{since}'"
    ),
    "one by id": _sql("SELECT * FROM '{glob}' WHERE article_id = '{id}'"),
    "count a site": _sql("SELECT site, count(*) FROM '{glob}' GROUP BY site"),
    "word in text": _sql(
        "SELECT site, count(*) FROM '{glob}' WHERE article_body ILIKE '%minesgar%' GROUP BY site"
    ),
    "pandas, a month": pandas_month,
    "Lake.current": current,
}

A_QUERY = "SELECT site, count(*) AS n FROM articles GROUP BY site"
A_READING = (
    f"SELECT headline, article_body FROM articles WHERE site = '{SITES[7]}' "  # noqa: S608 - ours
    "AND date_published >= '2025-02-01' AND date_published < '2025-03-01'"
)
# What `sitrep query` is asked; with True, as of the middle of the load.
QUERIES = {
    "sitrep query": (A_QUERY, False),
    "query --as-of": (A_QUERY, True),
    "query --as-of, texts": (A_READING, True),
}


def query(task: Task, sql: str, *, is_as_of: bool) -> dict[str, Any]:
    """Run `sitrep query`, start and imports counted."""
    when = BEGAN + timedelta(minutes=task.loads // 2)
    command = [sys.executable, "-m", "crawler", "query", sql, "--lake", task.url, "--json"]
    command += ["--as-of", f"{when:%Y-%m-%dT%H:%M:%SZ}"] if is_as_of else []
    with tempfile.TemporaryDirectory() as folder:
        cost = measured(command, folder=Path(folder))
    if cost.status:
        sys.exit(f"sitrep query exited {cost.status}")
    return {
        "cpu_seconds": cost.cpu_seconds,
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        "rows": len(json.loads(cost.stdout)["rows"]),
    }


# Running


def run_step(name: str, task: Task) -> dict[str, Any]:
    clock = Clock()
    more = STEPS[name](task, clock)
    is_question = more and len(clock.laps) == TIMES and "commits" not in more
    return {
        "cpu_seconds": clock.cpu_seconds / (TIMES if is_question else 1),
        "seconds": median(clock.laps) if is_question else clock.seconds,
        "peak_mb": own_peak_mb(),
        **more,
    }


def in_a_process(name: str, task: Task) -> dict[str, Any]:
    """Run a step in a process that is new but for the imports. An error in it ends everything."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["duckdb", "lake_rows", "pandas", "pipelines.publish"])
    with ProcessPoolExecutor(1, mp_context=processes, initializer=_leave_stdout) as pool:
        return pool.submit(run_step, name, task).result()


def _leave_stdout() -> None:
    # In a process made by a fork server DuckDB believes that somebody looks on, and draws a bar.
    os.dup2(2, 1)


def measure(task: Task, *, say: Callable[[str, Mapping[str, Any]], None]) -> dict[str, Any]:
    steps: dict[str, Any] = {}
    for name in STEPS:
        steps[name] = in_a_process(name, task)
        say(name, steps[name])
    for name, (sql, is_as_of) in QUERIES.items():
        steps[name] = query(task, sql, is_as_of=is_as_of)
        say(name, steps[name])
    return {"rows": task.plan.rows, "steps": steps, "mb": sizes(task.lake())}


def sizes(lake: Lake) -> dict[str, int]:
    """Return what lies under each folder of the lake, in mebibytes."""
    found = Counter[str]()
    for one in lake.storage.infos():
        folder, _, below = one.path.partition("/")
        # A part that several generations share is one file on disk.
        found[folder] += one.size_bytes // _links(lake, one.path) if below else 0
    return {folder: size >> 20 for folder, size in sorted(found.items()) if size}


def _links(lake: Lake, path: str) -> int:
    storage = lake.storage
    return (storage.folder / path).stat().st_nlink if isinstance(storage, LocalStorage) else 1


def say(name: str, step: Mapping[str, Any], *, people: Any) -> None:
    more = {key: value for key, value in step.items() if key not in {*COSTS}}
    cells = "  ".join(f"{key} {_round(value)}" for key, value in more.items())
    costs = f"{step['cpu_seconds']:9.2f} {step['seconds']:9.2f} {step['peak_mb']:8.0f}"
    print(f"{name:<21}{costs}  {cells}", file=people, flush=True)


COSTS = ("cpu_seconds", "seconds", "peak_mb")


def _round(value: float) -> float:
    return round(value, 2) if isinstance(value, float) else value


def measure_all(options: argparse.Namespace, home: str) -> list[dict[str, Any]]:
    people = sys.stderr if options.json else sys.stdout
    found = []
    for rows in options.rows:
        task = Task(
            url=f"{home}/{rows}",
            plan=Plan(rows=rows, characters=options.characters),
            batch=min(options.batch, rows),
        )
        print(f"{rows} rows of {options.characters} characters", file=people)
        print(f"{'':<21}{'CPU s':>9} {'wall s':>9} {'peak MB':>8}", file=people)
        found.append(measure(task, say=lambda name, step: say(name, step, people=people)))
        print("MB on disk:", found[-1]["mb"], file=people)
    return found


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        sizes_found = measure_all(options, options.lake or folder)
    if options.json:
        about = {"characters": options.characters, "batch": options.batch}
        print(json.dumps(about | {"lakes": sizes_found}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--characters", type=int, default=3_500, help="of text, in each row")
    parser.add_argument("--batch", type=int, default=10_000, help="rows a commit of the load")
    parser.add_argument("--lake", metavar="URL", help="where the lakes go, to stay")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    return parser.parse_args()


if __name__ == "__main__":
    main()
