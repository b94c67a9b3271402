"""Tell copies from originals in a file of texts, as a crawl would; and what that costs.

    python benchmarks/dedup.py FILE.parquet --assignments OUT.jsonl [--batch 200] [--as-assigned]
    python benchmarks/dedup.py FILE.parquet --orders 5
    python benchmarks/dedup.py --scale 100000 1000000 [--new 500] [--json]

FILE has the columns id, url, site and text, in order of arrival, and may have title. Each text goes
the way of a page that was just read: known by its address or new, deduplicated, and put into a lake
and a state of their own, in commits of `--batch`. OUT gets {"id", "cluster_id", "relation"} a line;
`cluster_id` has what was found later to be the same story under one id (`same_as` followed), with
`--as-assigned` each as it was first assigned. A text at the address of another is a `revision`.

`--orders N` takes FILE in the given order, reversed, and in N - 1 shuffles (`dedup_orders.py`): the
share of joined pairs that is joined in both, and, where FILE has the column `cluster`, how right.

`--scale N` fills a state with N invented articles (`dedup_scale.py`) and measures the index: bytes
an article, and CPU seconds for `--new` more, a fifth of them copies: fingerprint, look-up,
verification and writing them down. A million take some minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from dedup_orders import agreement, joined, orders, rightness
from dedup_scale import Scale, measure

from pipelines.deduplicate import deduplicated, put_down
from pipelines.fingerprint import content_hash
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.model import Article, RecordLocation, Relation, Revision
from pipelines.revise import article_id, changes, first_revision, is_another_story, next_revision
from pipelines.state import State
from pipelines.state_tables import ArticleState
from pipelines.urls import canonical_url

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Assignment:
    id: Any
    article_id: str
    cluster_id: str
    relation: str


class Desk:
    """Takes texts in order, like the ingest of a crawl, which takes pages."""

    def __init__(self, lake: Lake, state: State, *, batch: int):
        self.ledger = Ledger(lake, state)
        self.batch = batch
        self.taken = 0
        self.relations: list[Relation] = []
        self.cpu_seconds = 0.0

    @property
    def name(self) -> str:
        return f"warc/2026/01/dedup-{self.taken // self.batch}.warc.gz"

    def take(self, row: dict[str, Any]) -> Assignment:
        assignment = self._take(row, BEGAN + timedelta(seconds=self.taken), self.name)
        self.taken += 1
        if self.taken % self.batch == 0:
            self.commit(self.taken - 1)
        return assignment

    def commit(self, last: int) -> None:
        name = f"warc/2026/01/dedup-{last // self.batch}.warc.gz"
        self.ledger.commit(name, now=BEGAN + timedelta(days=1, seconds=last))
        self.ledger.forget(name)

    def _take(self, row: dict[str, Any], now: datetime, batch: str) -> Assignment:
        article, key = _article(row), canonical_url(row["url"])
        location = RecordLocation(
            warc_path=batch, warc_offset=self.taken, warc_length=0, warc_record_id=str(self.taken)
        )
        known = self.ledger.article_at(article.site or "", key)
        if known is None:
            revision = first_revision(article, canonical_url=key, fetched_at=now, location=location)
            return self._recorded(row["id"], revision, None, batch)
        before = self.ledger.current(known.article_id)
        if is_another_story(before.article, article):
            ordinal = 2
            while self.ledger.article(article_id(key, ordinal)):
                ordinal += 1
            revision = first_revision(
                article, canonical_url=key, ordinal=ordinal, fetched_at=now, location=location
            )
            return self._recorded(row["id"], revision, None, batch)
        if change := changes(before.article, article):
            revision = next_revision(
                before, article, change=change, canonical_url=key, fetched_at=now, location=location
            )
            self._recorded(row["id"], revision, known, batch)
        known = self.ledger.article(known.article_id) or known
        return Assignment(row["id"], known.article_id, known.cluster_id, "revision")

    def _recorded(
        self, name: Any, revision: Revision, known: ArticleState | None, batch: str
    ) -> Assignment:
        site = revision.article.site or ""
        started = time.process_time()
        found = deduplicated(self.ledger, revision, site=site, current=known)
        state, _ = put_down(self.ledger, batch, revision, found, site=site, current=known)
        self.cpu_seconds += time.process_time() - started
        self.ledger.add_aliases(batch, site, [revision.canonical_url], revision.article_id)
        self.relations += found.relations
        return Assignment(name, state.article_id, state.cluster_id, state.cluster_relation)

    def as_known_now(self, one: Assignment) -> Assignment:
        """Return what a text is by what came after it: one of two stories has left its cluster."""
        article = self.ledger.article(one.article_id)
        if article is None:
            return one
        relation = one.relation if one.relation == "revision" else article.cluster_relation
        return replace(one, cluster_id=article.cluster_id, relation=relation)


def _article(row: dict[str, Any]) -> Article:
    return Article(
        url=row["url"],
        site=row["site"],
        headline=row.get("title") or None,
        article_body=row["text"],
        word_count=len(row["text"].split()),
        content_hash=content_hash(row["text"]),
        extractor="benchmark",
    )


def assigned(
    rows: Sequence[dict[str, Any]], *, batch: int, follow: bool
) -> tuple[list[Assignment], float]:
    """Return what each row was found to be, and the CPU seconds that deciding it took."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(f"{folder}/lake", create=True)
        state = State.open(f"sqlite:///{folder}/state.sqlite")
        desk = Desk(lake, state, batch=batch)
        found = [desk.take(row) for row in rows]
        if desk.taken % batch:
            desk.commit(desk.taken - 1)
        if follow:
            found = [desk.as_known_now(one) for one in found]
        state.close()
    if follow:
        one_id = followed(desk.relations)
        for assignment in found:
            assignment.cluster_id = one_id.get(assignment.cluster_id, assignment.cluster_id)
    return found, desk.cpu_seconds


def followed(relations: Sequence[Relation]) -> dict[str, str]:
    """Return the one id of clusters that were told to be the same: that of the first told of."""
    chosen: dict[str, str] = {}

    def of(cluster_id: str) -> str:
        while cluster_id in chosen:
            cluster_id = chosen[cluster_id]
        return cluster_id

    for relation in relations:
        if relation.same_as is not None:
            one, other = of(relation.cluster_id), of(relation.same_as)
            if one != other:
                chosen[other] = one
    return {cluster_id: of(cluster_id) for cluster_id in chosen}


def compared(rows: Sequence[dict[str, Any]], *, batch: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield what the texts are in each order, against what they are in the given one."""
    given: set[tuple[Any, Any]] | None = None
    for name, ordered in orders(rows, count=count):
        found, seconds = assigned(ordered, batch=batch, follow=True)
        cluster_of = {one.id: one.cluster_id for one in found}
        pairs = joined(cluster_of)
        given = pairs if given is None else given
        said = {"order": name, "pairs": len(pairs), "agreement": round(agreement(given, pairs), 4)}
        if rows and "cluster" in rows[0]:
            said |= rightness(rows, cluster_of)
        yield said | {"cpu_ms_a_document": round(1000 * seconds / max(1, len(found)), 2)}


def _lines(assignments: Sequence[Assignment]) -> Iterator[str]:
    for one in assignments:
        said = {"id": one.id, "cluster_id": one.cluster_id, "relation": one.relation}
        yield json.dumps(said) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--assignments", type=Path)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--as-assigned", action="store_true")
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--scale", type=int, nargs="+", default=[])
    parser.add_argument("--new", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.assignments is None and not args.scale and not args.orders:
        parser.error("--assignments, --orders or --scale")
    if (args.assignments is not None or args.orders) and args.file is None:
        parser.error("--assignments and --orders need a file of texts")
    rows = pq.read_table(args.file).to_pylist() if args.file else []
    said: dict[str, Any] = {}
    if args.assignments is not None:
        found, seconds = assigned(rows, batch=args.batch, follow=not args.as_assigned)
        args.assignments.write_text("".join(_lines(found)), encoding="utf-8")
        said = {"documents": len(found), "cpu_ms_a_document": round(1000 * seconds / len(found), 2)}
    if args.orders:
        said["orders"] = list(compared(rows, batch=args.batch, count=args.orders))
    if args.scale:
        said["scale"] = [measure(Scale(articles=n, new=args.new)) for n in args.scale]
    if args.json:
        print(json.dumps(said))
        return
    for key, value in said.items():
        lines = [f"\n  {one}" for one in value] if isinstance(value, list) else [f" {value}"]
        sys.stdout.write(f"{key}:{''.join(lines)}\n")


if __name__ == "__main__":
    main()
