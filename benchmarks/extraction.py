"""How well articles are read: body, headline, authors, date and cost, beside trafilatura's own.

    SITREP_BENCH_DATA=FOLDER python benchmarks/extraction.py [SET…] [--json] [--worst N] [--causes]
    SITREP_BENCH_DATA=FOLDER python benchmarks/extraction.py [SET…] --gate
    SITREP_BENCH_DATA=FOLDER python benchmarks/extraction.py --pin [--lower LINE]

The folder holds one Parquet file a set of public pages with the columns key, url, html (bytes) and
gold (JSON). Each page is read by Sitrep's extractor and by `trafilatura.bare_extraction`, in turn,
in one process; what the figures mean is in `scoring.py`. An exception is a page without anything.
Exits 1 when the news mean F1, over the sets of news, falls below trafilatura's own, 93.7.

`--causes` counts the bodies that are not right to the word by what is wrong with them. `spread` is
the news mean over five parts of the sites, so that no figure rests on a few of them. `--gate` reads
with Sitrep alone and exits 1 where a figure is below its floor; `--pin` raises the floors.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import pyarrow.parquet as pq
import trafilatura
from causes import count_causes
from floors import fallen, other_corpus, pin
from measuring import own_peak_mb
from scoring import Reading, Score, Summary, score, summarise

from crawler.extraction import extract
from pipelines.model import Article

SETS = ("zyte", "fundus80", "atf", "fixtures", "traf", "wcxb")
NEWS = SETS[:4]
PARTS = 5
# trafilatura's own mean over NEWS, with its defaults, in per cent.
LEAST = 93.7


def reading_of(article: Article) -> Reading:
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


EXTRACTORS: dict[str, Callable[[bytes, str], Reading | Article]] = {
    "sitrep": extract,
    "trafilatura": plain_trafilatura,
}


@dataclass(slots=True)
class Side:
    """What one extractor made of a set. `articles`, with their truths, are of Sitrep's alone."""

    scores: list[Score] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    articles: list[tuple[Mapping[str, Any], Article]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    errors: int = 0

    def read(
        self, extractor: Callable[[bytes, str], Reading | Article], row: Mapping[str, Any]
    ) -> None:
        start, truth = process_time(), json.loads(row["gold"])
        found: Reading | Article = Reading()
        try:
            found = extractor(row["html"], row["url"])
        except Exception as error:  # noqa: BLE001 - a benchmark counts whatever goes wrong
            self.errors += 1
            print(f"{row['key']}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
        self.cpu_seconds += process_time() - start
        if isinstance(found, Article):
            self.articles.append((truth, found))
            found = reading_of(found)
        self.scores.append(score(truth, found))
        self.keys.append(row["key"])
        self.hosts.append(urlsplit(row["url"] or "").netloc or row["key"].partition("_")[0])

    def worst(self, most: int) -> list[str]:
        """Return the keys of the pages whose body came out worst."""
        pairs = zip(self.keys, self.scores, strict=True)
        f1 = {key: summarise([one]).f1 for key, one in pairs}
        return sorted(f1, key=lambda key: f1[key])[:most]


def measure(file: Path, extractors: Sequence[str] = tuple(EXTRACTORS)) -> dict[str, Side]:
    sides = {name: Side() for name in extractors}
    for row in _rows(file):
        for name in extractors:
            sides[name].read(EXTRACTORS[name], row)
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


def spread(sides: Mapping[str, Mapping[str, Side]]) -> list[float]:
    """Return Sitrep's news mean F1, in per cent, over each of five parts of the sites."""
    return [
        100 * mean(_part_f1(sides[name]["sitrep"], part) for name in NEWS) for part in range(PARTS)
    ]


def _part_f1(side: Side, part: int) -> float:
    pairs = zip(side.hosts, side.scores, strict=True)
    scores = [one for host, one in pairs if crc32(host.encode()) % PARTS == part]
    # A small set may have no site in a part: its whole stands for it.
    return summarise(scores or side.scores).f1


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
    if options.gate or options.pin:
        return _hold_floors(Path(folder), options)
    people = sys.stderr if options.json else sys.stdout
    sides: dict[str, dict[str, Side]] = {}
    for name in options.sets or SETS:
        sides[name] = measure(Path(folder) / f"{name}.parquet")
        for extractor, side in sides[name].items():
            print(line(name, extractor, figures(side)), file=people, flush=True)
        if options.worst:
            print("  worst:", *sides[name]["sitrep"].worst(options.worst), file=people)
        if options.causes:
            for cause, pages in count_causes(sides[name]["sitrep"].articles).most_common():
                print(f"  {pages:4} {cause}", file=people)
    return _end(sides, people=people, as_json=options.json)


def _hold_floors(folder: Path, options: argparse.Namespace) -> int:
    """Hold Sitrep's figures to the floors, or the floors to them."""
    if (other := other_corpus(folder)) and not options.pin:
        said = f"the floors are of other pages than {', '.join(other)} in {folder}"
        print(json.dumps({"skipped": said}) if options.json else f"skipped: {said}")
        return 0
    chosen = SETS if options.pin else options.sets or SETS
    sides = {name: measure(folder / f"{name}.parquet", ["sitrep"]) for name in chosen}
    found = {name: _floored(figures(both["sitrep"])) for name, both in sides.items()}
    if news := news_mean(sides, "sitrep"):
        found["news"] = {name: round(value, 2) for name, value in news.items()}
    if options.pin:
        wrong = pin(found, folder, lower=options.lower)
    else:
        wrong = fallen(found, sets=found if options.sets else None)
    if options.json:
        print(json.dumps({"ok": not wrong, "below": wrong, "figures": found}, indent=1))
    else:
        print(*(f"{name:<9} {one}" for name, one in found.items()), *wrong, sep="\n")
    return 1 if wrong else 0


def _floored(found: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: found[name]
        for name in ("F1", "exact", "headline", "authors", "date")
        if name in found
    }


def _end(sides: Mapping[str, Mapping[str, Side]], *, people: Any, as_json: bool) -> int:
    news = {name: found for name in EXTRACTORS if (found := news_mean(sides, name))}
    for name, found in news.items():
        print(f"news mean {name:<11} F1 {found['F1']:.2f} exact {found['exact']:.2f}", file=people)
    if news:
        parts = " ".join(f"{one:.2f}" for one in spread(sides))
        print(f"spread of sitrep's over five parts of the sites: {parts}", file=people)
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
    parser.add_argument("--causes", action="store_true", help="count inexact bodies by cause")
    parser.add_argument("--gate", action="store_true", help="exit 1 below a floor of floors.toml")
    parser.add_argument("--pin", action="store_true", help="raise the floors to what is found")
    parser.add_argument("--lower", metavar="LINE", help="of CHANGELOG.md: with --pin, lower too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
