"""How well articles are read: body, headline, authors, date and cost, on public benchmarks.

    SITREP_BENCH_DATA=… python benchmarks/extraction.py [SET…]

The folder holds one Parquet file a set with the columns key, url, html (bytes) and gold (JSON).
P, R and F1 compare four-word shingles of a page's body with the gold's (precision and recall
averaged over pages, as Zyte's article-extraction-benchmark does; the set `traf`, which names only
snippets that must and must not be there, counts those). `exact` is the share of pages whose words
are the gold's in order; the fields are exact up to case and punctuation, dates up to the day.
"""

from __future__ import annotations

import json
import logging
import os
import re
import statistics
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import process_time
from typing import Any

import pyarrow.parquet as pq
import trafilatura

from crawler.extraction import extract
from pipelines.model import Article

SETS = ("zyte", "fundus80", "atf", "fixtures", "traf", "wcxb")
NEWS = SETS[:4]
Counts = tuple[int, int, int]
_NAME_PARTING = re.compile(r"\s*(?:;|,|\||&|/|\band\b|\bund\b|\n)\s*")
_NAME_LABEL = re.compile(r"^(?:by|von|par|por) ")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def shingles(text: str) -> Counter[tuple[str, ...]]:
    tokens = words(text)
    count = max(1, len(tokens) - 3)
    return Counter(one for one in (tuple(tokens[i : i + 4]) for i in range(count)) if one)


def plain(text: object) -> str:
    return " ".join(words(unicodedata.normalize("NFKC", str(text or "")).lower()))


def names(people: object) -> set[str]:
    parts = _NAME_PARTING.split(people) if isinstance(people, str) else list(_as_list(people))
    return {name for name in (_NAME_LABEL.sub("", plain(one)) for one in parts) if name}


def _as_list(people: object) -> Iterator[object]:
    return iter(people) if isinstance(people, list | tuple) else iter(())


def gold_body(gold: dict[str, Any], got: str) -> str:
    """Return the gold's text; its paragraphs in brackets count only where they were taken."""
    if "paras" not in gold:
        return str(gold["text"])
    taken = " ".join(words(got))
    kept = []
    for paragraph in gold["paras"]:
        is_optional = paragraph[:1] == "[" and paragraph[-1:] == "]"
        text = paragraph[1:-1] if is_optional else paragraph
        if not is_optional or " ".join(words(text)) in taken:
            kept.append(text)
    return "\n\n".join(kept)


def body_counts(gold: dict[str, Any], got: str) -> Counts:
    """Return what is right, what is too much and what is missing."""
    if "with" in gold:
        text = " ".join(got.split())
        right = sum(" ".join(one.split()) in text for one in gold["with"])
        wrong = sum(" ".join(one.split()) in text for one in gold["without"])
        return right, wrong, len(gold["with"]) - right
    want, have = shingles(gold_body(gold, got)), shingles(got)
    right = (want & have).total()
    return right, have.total() - right, want.total() - right


def ratios(counts: Counts) -> tuple[float, float]:
    """Return precision and recall; of nothing wanted and nothing given, both are whole."""
    right, wrong, missing = counts
    if wrong == missing == 0:
        return 1.0, 1.0
    return (right / (right + wrong), right / (right + missing)) if right else (0.0, 0.0)


def moment(value: object) -> date | None:
    """Read a day, or a time where there is one."""
    if isinstance(value, date):
        return value
    text = str(value or "").strip()
    try:
        return datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    except ValueError:
        match = _DAY.search(text)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def days(value: date) -> set[date]:
    """Return the days that it can mean: of a time in UTC, each that some zone had then."""
    if not isinstance(value, datetime):
        return {value}
    if value.tzinfo is None:
        return {value.date()}
    utc = value.astimezone(UTC)
    is_utc = value.utcoffset() == timedelta(0) and utc.time() != time(0)
    hours = range(-12, 15) if is_utc else (0,)
    return {value.date()} | {(utc + timedelta(hours=hour)).date() for hour in hours}


def is_same_day(want: date, got: date | None) -> bool:
    if got is None:
        return False
    if isinstance(want, datetime) and isinstance(got, datetime) and want.tzinfo and got.tzinfo:
        return want.astimezone(UTC).date() == got.astimezone(UTC).date()
    return bool(days(want) & days(got))


@dataclass(slots=True)
class Tally:
    """What was counted over the pages of one set. Times are in seconds of CPU."""

    bodies: list[Counts] = field(default_factory=list)
    is_snippets: bool = False
    shares: dict[str, list[bool]] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_trafilatura: float = 0.0
    pages: int = 0

    def note(self, name: str, *, ok: bool) -> None:
        self.shares.setdefault(name, []).append(ok)

    def body(self) -> tuple[float, float, float]:
        """Return precision, recall and F1."""
        if self.is_snippets:
            right, wrong, missing = (sum(one[i] for one in self.bodies) for i in range(3))
            precision, recall = ratios((right, wrong, missing))
        else:
            given = [one for one in self.bodies if one[0] + one[1]]
            wanted = [one for one in self.bodies if one[0] + one[2]]
            precision = statistics.mean([ratios(one)[0] for one in given] or [0.0])
            recall = statistics.mean([ratios(one)[1] for one in wanted] or [0.0])
        total = precision + recall
        return precision, recall, 2 * precision * recall / total if total else 0.0


def count(tally: Tally, gold: dict[str, Any], article: Article) -> None:
    tally.pages += 1
    tally.bodies.append(body_counts(gold, article.article_body))
    tally.is_snippets = "with" in gold
    if not tally.is_snippets:
        want = gold_body(gold, article.article_body)
        tally.note("exact", ok=words(want) == words(article.article_body))
    if gold.get("title"):
        tally.note("headline", ok=plain(gold["title"]) == plain(article.headline))
    if names(gold.get("authors")):
        tally.note("authors", ok=names(gold["authors"]) == names(article.authors))
    published = moment(gold.get("published"))
    if published is not None:
        tally.note("date", ok=is_same_day(published, article.date_published))


def measure(file: Path) -> Tally:
    tally = Tally()
    for row in pq.read_table(file).to_pylist():
        start = process_time()
        article = extract(row["html"], row["url"])
        middle = process_time()
        trafilatura.bare_extraction(row["html"], url=row["url"], with_metadata=True)
        tally.seconds += middle - start
        tally.seconds_trafilatura += process_time() - middle
        count(tally, json.loads(row["gold"]), article)
    return tally


def line(name: str, tally: Tally) -> str:
    precision, recall, f1 = tally.body()
    figures = {"P": precision, "R": recall, "F1": f1}
    figures |= {key: statistics.mean(values) for key, values in tally.shares.items()}
    cells = " ".join(f"{key} {100 * value:6.2f}" for key, value in figures.items())
    ours, theirs = (
        1000 * seconds / max(1, tally.pages)
        for seconds in (tally.seconds, tally.seconds_trafilatura)
    )
    return f"{name:<9} {tally.pages:4} pages  {cells}  {ours:.1f} ms (trafilatura {theirs:.1f})"


def main(chosen: list[str]) -> int:
    folder = os.environ.get("SITREP_BENCH_DATA")
    if not folder:
        print("skipped: SITREP_BENCH_DATA names no folder with the benchmarks")
        return 0
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    news: list[tuple[float, float]] = []
    for name in chosen or SETS:
        tally = measure(Path(folder) / f"{name}.parquet")
        print(line(name, tally), flush=True)
        if name in NEWS:
            news.append((tally.body()[2], statistics.mean(tally.shares["exact"])))
    if news:
        f1, exact = (100 * statistics.mean(column) for column in zip(*news, strict=True))
        print(f"news mean F1 {f1:.2f} exact {exact:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
