"""What an analyst's questions to `clusters` and `edits` cost.

    python benchmarks/views.py [--rows 100000] [--characters 3500] [--batch 10000] [--json]

A lake of invented articles (`lake_rows.py`) is filled in a temporary folder: three in ten of them
carry a text that others carry too, in clusters of two to twelve, a third of these copies word for
word and the rest cut and changed here and there; one text stands on 500 pages; half of the shared
ones begin with an agency's dateline. One article in fifty was edited. Then each question is asked
twice, and the second time counts: its CPU and wall seconds, and how many rows it gave.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lake_rows import Plan, article_id, batch

from pipelines.fingerprint import content_hash
from pipelines.lake import Lake
from pipelines.lease import Free
from pipelines.model import Batch, Relation, Revision
from pipelines.publish import publish
from pipelines.views import connect

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
VIRAL = 500
SHARED = 0.3
EDITED = 50
QUESTIONS = {
    "count the shared": "SELECT count(*) FROM clusters WHERE members > 1",
    "sites": "SELECT cluster_id, sites FROM clusters WHERE len(sites) > 3",
    "originals": "SELECT original_headline, original_by FROM clusters WHERE members > 1",
    "sources": "SELECT source, count(*) FROM clusters GROUP BY source",
    "one cluster": f"SELECT * FROM clusters WHERE cluster_id = '{article_id(VIRAL)}'",  # noqa: S608
    "the viral one": f"SELECT * FROM clusters WHERE cluster_id = '{article_id(0)}'",  # noqa: S608
    "independent sources": "SELECT independent_sources FROM clusters WHERE members > 1",
    "everything": "SELECT * FROM clusters",
    "count the edits": "SELECT count(*) FROM edits",
    "figures changed": "SELECT url FROM edits WHERE list_contains(kinds, 'numbers')",
}


def clusters(rows: int) -> Iterator[tuple[int, int]]:
    """Yield each article's number and that of the first of its cluster."""
    chance = random.Random(1)  # noqa: S311 - sizes, no secrets
    first = last = 0
    for number in range(rows):
        if number > last:
            size = chance.randint(2, 12) if number < rows * SHARED else 1
            first, last = number, number + size - 1
        if number == 0:
            last = min(VIRAL, rows) - 1
        yield number, first


def told(plan: Plan, numbers: Sequence[tuple[int, int]], *, name: str) -> Batch:
    """Return these articles, the copies with the text of the first of their cluster."""
    own = batch(plan, [number for number, _ in numbers], name=name)
    bodies = {first: _body(plan, first) for _, first in numbers}
    revisions = tuple(
        _copy(one, bodies[first], number) if number != first else _with_body(one, bodies[first])
        for one, (number, first) in zip(own.revisions, numbers, strict=True)
    )
    relations = tuple(
        Relation(
            article_id=article_id(number),
            cluster_id=article_id(first),
            relation="original" if number == first else "near",
        )
        for number, first in numbers
    )
    return replace(own, revisions=revisions, relations=relations)


def _body(plan: Plan, first: int) -> str:
    [one] = batch(plan, [first], name="body").revisions
    is_agencys = first % 2 == 0 and first < plan.rows * SHARED
    return "KYIV, May 3 (Reuters) - " * is_agencys + one.article.article_body


def _copy(revision: Revision, body: str, number: int) -> Revision:
    if number % 3 == 0:
        return _with_body(revision, body)
    chance = random.Random(number)  # noqa: S311 - texts, no secrets
    words = body.split(" ")
    for _ in range(len(words) // 25):
        words[chance.randrange(len(words))] = "changed"
    return _with_body(revision, " ".join(words[: int(len(words) * chance.uniform(0.6, 1))]))


def _with_body(revision: Revision, body: str) -> Revision:
    article = replace(
        revision.article,
        article_body=body,
        content_hash=content_hash(body),
        word_count=len(body.split()),
    )
    return replace(revision, article=article)


def _edit(revision: Revision, body: str) -> Revision:
    return _with_body(revision, body.replace(".", ", and 7 more.", 1).replace(" ", " rather ", 2))


def edits(plan: Plan) -> Batch:
    """Return a second version of one article in fifty: a sentence of it, and a figure in that."""
    numbers = range(plan.rows - 1, int(plan.rows * SHARED), -EDITED)
    own = batch(plan, numbers, name="2026/01/edits", revision=2)
    bodies = (_body(plan, number) for number in numbers)
    revisions = tuple(map(_edit, own.revisions, bodies))
    return replace(own, revisions=revisions)


def filled(folder: str, plan: Plan, *, size: int) -> Lake:
    lake = Lake.open(folder, create=True)
    lake.guard = Free()
    everything = list(clusters(plan.rows))
    for n, at in enumerate(range(0, plan.rows, size)):
        some = told(plan, everything[at : at + size], name=f"2026/01/load-{n:06}")
        lake.commit(some, now=BEGAN + timedelta(minutes=n))
    lake.commit(edits(plan), now=BEGAN + timedelta(days=1))
    publish(lake, now=BEGAN + timedelta(days=1))
    return lake


def asked(lake: Lake, sql: str) -> dict[str, Any]:
    for _ in range(2):
        with connect(lake) as connection:
            cpu, wall = time.process_time(), time.monotonic()
            rows = connection.execute(sql).fetchall()
            spent = time.process_time() - cpu, time.monotonic() - wall
    return {"cpu_seconds": round(spent[0], 3), "seconds": round(spent[1], 3), "rows": len(rows)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=3_500)
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    plan = Plan(rows=arguments.rows, characters=arguments.characters)
    with tempfile.TemporaryDirectory() as folder:
        lake = filled(f"{folder}/lake", plan, size=arguments.batch)
        found = {name: asked(lake, sql) for name, sql in QUESTIONS.items()}
    if arguments.json:
        print(json.dumps({"rows": plan.rows, "questions": found}))
        return
    for name, one in found.items():
        print(f"{name:20} {one['cpu_seconds']:8.2f} s CPU {one['seconds']:8.2f} s  {one['rows']}")


if __name__ == "__main__":
    main()
