"""How many pages a second of CPU a crawl reads, beside what one writes without Sitrep.

    python benchmarks/throughput.py [--pages 1000] [--pairs 3] [--json]

Some 1,000 pages in the markup of the newsroom's five sites, each with a text of its own, are served
on loopback by a process of its own. They are crawled in turn by `sitrep crawl` and by a Scrapy
spider with trafilatura inline that writes one Parquet file (`plain_spider.py`): the same pages and
server, no delay, robots.txt obeyed by both, the same number of requests at once. Seconds of CPU,
and memory, are of all processes of a side; the server's are in neither. Wall time is of this
machine's cores, which the server shares.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
from measuring import CHECKOUT, Cost, measured

HERE = Path(__file__).parent
# CONCURRENT_REQUESTS of crawler/scrapy_settings.py: what eight at once and site come to, at most.
CONCURRENCY = 32
BEYOND = {
    "sitrep": "every response archived in WARC and fsynced; metadata, dates with zone and source, "
    "language, what was removed and by which rule; copies and edits told; four tables committed "
    "and articles/ published; limits on time and memory of each page; a run that can be killed",
    "plain": "none of these",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One crawl by one side."""

    side: str
    articles: int
    pages: int
    most_at_once: int
    cpu_seconds: float
    seconds: float
    peak_mb: float

    @property
    def pages_per_cpu_second(self) -> float:
        return self.pages / self.cpu_seconds


class Served:
    """The process that serves the pages, and counts what is asked."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process
        self.about = self._read()

    def asked(self) -> dict[str, int]:
        """Return what was asked since the last look."""
        _of(self._process.stdin).write("\n")
        _of(self._process.stdin).flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(_of(self._process.stdout).readline())
        return said


def _of(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the server has no pipes")
    return stream


@contextmanager
def served(pages: int, site_files: Path) -> Iterator[Served]:
    command = [sys.executable, str(HERE / "newsroom_pages.py"), str(pages), str(site_files)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Served(process)
        finally:
            process.terminate()


def sitrep(folder: Path, site_files: Path) -> tuple[Cost, int]:
    """Crawl with Sitrep; return what it cost, and the articles in its lake."""
    names = [file.stem for file in sorted(site_files.glob("*.toml"))]
    settings = {
        "SITREP_SITES": str(site_files),
        "SITREP_ALLOW_PRIVATE_NETWORKS": "1",
        "SITREP_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "crawler", "crawl", *names, "-q"]
    cost = measured(command, folder=folder, settings=settings)
    return cost, ds.dataset(folder / "lake" / "articles").count_rows()


def plain(folder: Path, site_files: Path) -> tuple[Cost, int]:
    """Crawl without Sitrep; return what it cost, and the rows with any text."""
    file = folder / "articles.parquet"
    sites = [str(one) for one in sorted(site_files.glob("*.toml"))]
    command = [sys.executable, str(HERE / "plain_spider.py"), str(file), str(CONCURRENCY), *sites]
    cost = measured(command, folder=folder)
    texts = pq.read_table(file, columns=["text"])["text"].to_pylist()
    return cost, sum(bool(text) for text in texts)


SIDES: dict[str, Callable[[Path, Path], tuple[Cost, int]]] = {"sitrep": sitrep, "plain": plain}


def lap(side: str, server: Served, site_files: Path) -> Lap:
    with tempfile.TemporaryDirectory() as folder:
        cost, articles = SIDES[side](Path(folder), site_files)
    if cost.status:
        sys.exit(f"{side} exited {cost.status}")
    asked = server.asked()
    return Lap(
        side=side,
        articles=articles,
        pages=asked["articles"],
        most_at_once=asked["most_at_once"],
        cpu_seconds=cost.cpu_seconds,
        seconds=cost.seconds,
        peak_mb=cost.peak_mb,
    )


def summary(laps: list[Lap], about: Mapping[str, Any]) -> dict[str, Any]:
    sides = {side: _median([one for one in laps if one.side == side]) for side in SIDES}
    pairs = zip(*([one for one in laps if one.side == side] for side in SIDES), strict=True)
    ratios = [ours.pages_per_cpu_second / theirs.pages_per_cpu_second for ours, theirs in pairs]
    return {
        **about,
        "sides": sides,
        "ratio": round(median(ratios), 2),
        "ratios": [round(one, 2) for one in ratios],
        "laps": [asdict(one) for one in laps],
    }


def _median(laps: list[Lap]) -> dict[str, Any]:
    return {
        "pages_per_cpu_second": round(median(one.pages_per_cpu_second for one in laps), 1),
        "cpu_ms_a_page": round(median(1000 / one.pages_per_cpu_second for one in laps), 1),
        "cpu_seconds": round(median(one.cpu_seconds for one in laps), 1),
        "seconds": round(median(one.seconds for one in laps), 1),
        "peak_mb": round(max(one.peak_mb for one in laps)),
        "pages": min(one.pages for one in laps),
        "articles": min(one.articles for one in laps),
        "most_at_once": max(one.most_at_once for one in laps),
        "beyond": BEYOND[laps[0].side],
    }


def show(report: Mapping[str, Any]) -> None:
    columns = [name for name in report["sides"]["sitrep"] if name != "beyond"]
    print(f"{report['pages']} pages, {report['mean_kb']} KB each; {report['pairs']} pairs, medians")
    for side, figures in report["sides"].items():
        cells = "  ".join(f"{name.replace('_', ' ')} {figures[name]}" for name in columns)
        print(f"{side:<7} {cells}")
    for side, figures in report["sides"].items():
        print(f"{side:<7} does beyond the other: {figures['beyond']}")
    print(f"sitrep reads {report['ratio']} times the pages a second of CPU  {report['ratios']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as site_files, served(options.pages, Path(site_files)) as up:
        laps = [
            lap(side, up, Path(site_files))
            for pair in range(options.pairs)
            for side in (list(SIDES) if pair % 2 == 0 else list(reversed(SIDES)))
        ]
        report = summary(laps, up.about | {"pairs": options.pairs})
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        show(report)


if __name__ == "__main__":
    main()
