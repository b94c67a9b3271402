"""Whether the time to read a page grows with the page alone: hostile pages of n, 2n and 4n pieces.

    python benchmarks/hostile.py [--pieces N] [--json]

Each page is one piece of markup over and over. `growth` is the time for 4n over that for n: 4 is
in proportion. What is refused by name (`too_many_tags`) costs nothing, so choose N below a
quarter of that limit to see the reading. `<p><a>` of 2 MB is read besides. Exits 1 where any growth
is above 8, or the 2 MB take a second.
"""

from __future__ import annotations

import argparse
import json
import sys
from time import process_time
from typing import Any

from crawler.extraction import extract

URL = "https://gazette.example/2026/11/17/story-at-sea/"
SENTENCE = "The convoy left the port on Tuesday with nine ships, the harbour master said. "
PIECES = {
    "open links": "<p><a>",
    "open links with words": "<p><a href='/x'>word",
    "open boxes": "<div>",
    "open spans": "<b>",
    "paragraphs of open spans": "<p><b>",
    "links": "<a>",
    "items": "<li>",
    "nested lists": "<ul><li>",
    "nested tables": "<table><td>",
    "open fonts": "<p><font>",
    "ends": "</p>",
    "crossed ends": "<b>x</p>",
    "headings": "<h1><p>x",
    "names of a headline": "<h3 class='headline'>x y z</h3>",
    "no end of a tag": "<a ",
    "comments": "<!--",
    "scripts": "<script>",
    "sentences": SENTENCE,
    "paragraphs": f"<p>{SENTENCE}</p>",
    "lines": f"{SENTENCE}<br><br>",
    "titles": "<div><h3><a href='/a'>Some title of a story</a></h3></div>",
    "forms": "<form><input type=email></form>",
    "dates": "<time>17/11/2026 10:14</time>",
    "bylines": "<p class=byline>By Anna Petrou</p>",
    "addresses": "<a class=__cf_email__ data-cfemail=2a>x</a>",
    "structured data": '<script type="application/ld+json">{"@type":"Article"}</script>',
}
MOST_GROWTH, MOST_SECONDS = 8.0, 1.0
# Below this a clock and a collection of garbage say more than the page.
LEAST_SECONDS = 0.05


def seconds(html: bytes) -> float:
    start = process_time()
    extract(html, URL)
    return process_time() - start


def measure(name: str, pieces: int) -> dict[str, Any]:
    page = "<html><body><h1>A convoy leaves the port</h1>{}"
    times = [seconds(page.format(PIECES[name] * (pieces * many)).encode()) for many in (1, 2, 4)]
    growth = times[2] / max(times[0], LEAST_SECONDS)
    return {"page": name, "seconds": times, "growth": growth}


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    asked.add_argument("--pieces", type=int, default=4000)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    seconds(f"<p>{SENTENCE * 10}</p>".encode())  # what is loaded once
    rows = [measure(name, given.pieces) for name in PIECES]
    two_megabytes = seconds(b"<p><a>" * 333_000)
    if given.json:
        print(json.dumps({"pages": rows, "two_megabytes_seconds": two_megabytes}))
    else:
        _show(rows, two_megabytes)
    is_square = any(row["growth"] > MOST_GROWTH for row in rows)
    return int(is_square or two_megabytes > MOST_SECONDS)


def _show(rows: list[dict[str, Any]], two_megabytes: float) -> None:
    print(f"{'page':26}{'n':>8}{'2n':>8}{'4n':>8}{'growth':>8}")
    for row in rows:
        times = row["seconds"]
        print(f"{row['page']:26}" + "".join(f"{one:8.2f}" for one in (*times, row["growth"])))
    print(f"2 MB of <p><a>: {two_megabytes:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
