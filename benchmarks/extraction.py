"""How well articles are read: body, headline, authors, date and cost, beside trafilatura's own.

    SITREP_BENCH_DATA=FOLDER python benchmarks/extraction.py [SET…] [--json] [--worst N]

The folder holds one Parquet file a set of public pages with the columns key, url, html (bytes) and
gold (JSON). Each page is read by Sitrep's extractor and by `trafilatura.bare_extraction`, in turn,
in one process; what the figures mean is in `scoring.py`. An exception is a page without anything.
Exits 1 when the news mean F1, over the sets of news, falls below trafilatura's own, 93.7.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

import pyarrow.parquet as pq
import trafilatura
from measuring import own_peak_mb
from scoring import Reading, Score, Summary, score, summarise

from crawler.extraction import extract

SETS = ("zyte", "fundus80", "atf", "fixtures", "traf", "wcxb")
NEWS = SETS[:4]
# trafilatura's own mean over NEWS, with its defaults, in per cent.
LEAST = 93.7


def sitrep(html: bytes, url: str) -> Reading:
    article = extract(html, url)
    return Reading(
        article_body=article.article_body,
        headline=article.headline,
        authors=article.authors,
        date_published=article.date_published,
    )


def plain_trafilatura(html: bytes, url: str) -> Reading:
    found: Any = trafilatura.bare_extraction(html, url=url, with_metadata=True)
    if found is None:
        return Reading()
    return Reading(
        article_body=found.text or "",
        headline=found.title,
        authors=found.author or (),
        date_published=found.date,
    )


EXTRACTORS = {"sitrep": sitrep, "trafilatura": plain_trafilatura}


@dataclass(slots=True)
class Side:
    """What one extractor made of a set."""

    scores: list[Score] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    errors: int = 0

    def read(self, extractor: Callable[[bytes, str], Reading], row: Mapping[str, Any]) -> None:
        start = process_time()
        try:
            reading = extractor(row["html"], row["url"])
        except Exception as error:  # noqa: BLE001 - a benchmark counts whatever goes wrong
            reading = Reading()
            self.errors += 1
            print(f"{row['key']}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
        self.cpu_seconds += process_time() - start
        self.scores.append(score(json.loads(row["gold"]), reading))
        self.keys.append(row["key"])

    def worst(self, most: int) -> list[str]:
        """Return the keys of the pages whose body came out worst."""
        pairs = zip(self.keys, self.scores, strict=True)
        f1 = {key: summarise([one]).f1 for key, one in pairs}
        return sorted(f1, key=lambda key: f1[key])[:most]


def measure(file: Path) -> dict[str, Side]:
    sides = {name: Side() for name in EXTRACTORS}
    for row in _rows(file):
        for name, extractor in EXTRACTORS.items():
            sides[name].read(extractor, row)
    return sides


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=50):
            yield from batch.to_pylist()


def figures(side: Side) -> dict[str, Any]:
    """Return the figures of one extractor on one set; shares in per cent."""
    found = summarise(side.scores)
    return {
        "pages": found.pages,
        **{name: round(100 * value, 2) for name, value in shares(found).items()},
        "errors": side.errors,
        "ms_a_page": round(1000 * side.cpu_seconds / max(1, found.pages), 1),
    }


def shares(found: Summary) -> dict[str, float]:
    return {"P": found.precision, "R": found.recall, "F1": found.f1, **found.fields}


def news_mean(sides: Mapping[str, Mapping[str, Side]], name: str) -> dict[str, float] | None:
    """Return F1 and exact bodies of an extractor, in per cent, if all sets of news were read."""
    if any(news not in sides for news in NEWS):
        return None
    found = [summarise(sides[news][name].scores) for news in NEWS]
    exact = mean(one.fields.get("exact", 0.0) for one in found)
    return {"F1": 100 * mean(one.f1 for one in found), "exact": 100 * exact}


def line(name: str, extractor: str, found: Mapping[str, Any]) -> str:
    known = ("P", "R", "F1", "exact", "headline", "authors", "date")
    cells = " ".join(f"{one} {found[one]:6.2f}" for one in known if one in found)
    cost = f"{found['ms_a_page']} ms, {found['errors']} errors"
    return f"{name:<9} {found['pages']:4} pages  {extractor:<11} {cells}  {cost}"


def main() -> int:
    options = _options()
    folder = os.environ.get("SITREP_BENCH_DATA")
    if not folder:
        print("skipped: SITREP_BENCH_DATA names no folder with the benchmarks", file=sys.stderr)
        if options.json:
            print(json.dumps({"skipped": "SITREP_BENCH_DATA is not set"}))
        return 0
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    people = sys.stderr if options.json else sys.stdout
    sides: dict[str, dict[str, Side]] = {}
    for name in options.sets or SETS:
        sides[name] = measure(Path(folder) / f"{name}.parquet")
        for extractor, side in sides[name].items():
            print(line(name, extractor, figures(side)), file=people, flush=True)
        if options.worst:
            print("  worst:", *sides[name]["sitrep"].worst(options.worst), file=people)
    return _end(sides, people=people, as_json=options.json)


def _end(sides: Mapping[str, Mapping[str, Side]], *, people: Any, as_json: bool) -> int:
    news = {name: found for name in EXTRACTORS if (found := news_mean(sides, name))}
    for name, found in news.items():
        print(f"news mean {name:<11} F1 {found['F1']:.2f} exact {found['exact']:.2f}", file=people)
    ok = not news or news["sitrep"]["F1"] >= LEAST
    if not news:
        print(f"no news mean: it needs the sets {', '.join(NEWS)}", file=people)
    elif not ok:
        print(f"FAILED: the news mean of sitrep is below {LEAST}", file=people)
    print(f"peak memory, of both extractors in one process: {own_peak_mb():.0f} MB", file=people)
    if as_json:
        sets = {
            name: {one: figures(side) for one, side in both.items()} for name, both in sides.items()
        }
        said = {"ok": ok, "least": LEAST, "news": news, "sets": sets}
        print(json.dumps(said | {"peak_mb": round(own_peak_mb())}, indent=1))
    return 0 if ok else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; all")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--worst", type=int, default=0, help="name the worst pages of each set")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
