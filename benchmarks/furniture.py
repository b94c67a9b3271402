"""What is gained, and what is lost, by learning what a site's pages repeat.

    SITREP_BENCH_DATA=FOLDER python benchmarks/furniture.py [--json] [--verbose]

Each page is read without and with what the site's other pages teach, itself left out: the pages of
the bundled newsroom, as they are and with every class and id renamed, so that no rule for markup
knows them; and, where SITREP_BENCH_DATA names their folder, the public sets' sites of three pages
or more. There so few pages are asked to teach as there are, two; a site in use needs five. Of each
group: body F1 and exact bodies without and with it, and the precision of what was taken: the share
of its words that is no part of the truth. Exits 1 where F1 falls or precision is below 99.5 %.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
from scoring import A_SHINGLE, Reading, Score, score, summarise, words

from crawler.extraction import Furniture, extract
from crawler.extraction.furniture import furniture_of
from crawler.extraction.looking import Look, Told, look_at
from crawler.extraction.recurrence import FEWEST_STORIES, learn
from pipelines.model import Article

# The newsroom is no installed package: this finds it from whichever folder the command is run.
sys.path.append(str(Path(__file__).parents[1]))
from fixtures.newsroom.pages import Edition
from fixtures.newsroom.stories import read_outlets
from fixtures.newsroom.truth import expected

NEWS = ("zyte", "fundus80", "atf", "fixtures")
FEWEST_PAGES = 3
LEAST_PRECISION = 0.995
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = re.compile(r"""\b(class|id)=(["'])(.*?)\2""")


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its truth, as `scoring.score` takes it."""

    url: str
    html: bytes
    truth: dict[str, Any]


@dataclass(slots=True)
class Group:
    """The pages of some sites, read without and with what was learned."""

    without: list[Score] = field(default_factory=list)
    with_it: list[Score] = field(default_factory=list)
    taken: list[tuple[str, str, bool]] = field(default_factory=list)  # rule, text, of the story
    looked: float = 0.0
    read: float = 0.0

    def add(self, pages: Sequence[Page], *, fewest: int) -> None:
        begun = process_time()
        before = [extract(one.html, one.url) for one in pages]
        between = process_time()
        looks = [_look(*both, n) for n, both in enumerate(zip(pages, before, strict=True))]
        self.read += between - begun
        self.looked += process_time() - between
        for n, (page, article) in enumerate(zip(pages, before, strict=True)):
            others = [one for place, one in enumerate(looks) if place != n and one is not None]
            learned = [one for one in learn(others, fewest=fewest) if one.is_in_force]
            self._compare(page, article, furniture_of(learned))

    def _compare(self, page: Page, before: Article, furniture: Furniture) -> None:
        after = extract(page.html, page.url, furniture=furniture)
        self.without.append(score(page.truth, Reading(article_body=before.article_body)))
        self.with_it.append(score(page.truth, Reading(article_body=after.article_body)))
        for block in after.removed_blocks:
            if block.rule.startswith("learned:"):
                self.taken.append((block.rule, block.text, _is_story(block.text, page.truth)))

    @property
    def precision(self) -> float:
        all_words = sum(len(words(text)) for _, text, _ in self.taken)
        wrong = sum(len(words(text)) for _, text, is_story in self.taken if is_story)
        return 1 - wrong / all_words if all_words else 1.0

    @property
    def is_ok(self) -> bool:
        gain = summarise(self.with_it).f1 - summarise(self.without).f1
        return gain > -1e-9 and self.precision >= LEAST_PRECISION

    def figures(self) -> dict[str, Any]:
        without, with_it = summarise(self.without), summarise(self.with_it)
        return {
            "pages": len(self.without),
            "F1": [round(100 * one.f1, 2) for one in (without, with_it)],
            "exact": [round(100 * one.fields.get("exact", 0), 2) for one in (without, with_it)],
            "removed_blocks": len(self.taken),
            "precision": round(100 * self.precision, 2),
            "ms_a_look": round(1000 * self.looked / max(1, len(self.without)), 1),
            "ms_a_reading": round(1000 * self.read / max(1, len(self.without)), 1),
        }


def _look(page: Page, article: Article, n: int) -> Look | None:
    told = Told(
        headline=article.headline,
        article_body=article.article_body,
        topic=article.article_section or "",
        fetched_at=BEGUN + timedelta(hours=n),
    )
    return look_at(page.html, page.url, told=told)


def _is_story(text: str, truth: dict[str, Any]) -> bool:
    """Tell whether a text is a line of the truth, or, from four words on, within one."""
    # Longer texts are kept cut, in the middle of a word.
    said = words(text)[:-1] if text.endswith("…") else words(text)
    lines = [words(line) for line in _text(truth).splitlines()]
    within = f" {' '.join(word for line in lines for word in line)} "
    return said in lines or (len(said) >= A_SHINGLE and f" {' '.join(said)} " in within)


def _text(truth: dict[str, Any]) -> str:
    if "paras" in truth:
        return "\n".join(" ".join(one) if isinstance(one, list) else one for one in truth["paras"])
    return str(truth.get("text") or "")


def newsroom(*, renamed: bool) -> Iterator[list[Page]]:
    """Yield the pages of each site of the newsroom, as a backfill finds them in its first state."""
    for number, name in enumerate(read_outlets()):
        origin = f"http://127.0.0.1:{9100 + number}"
        edition = Edition(name, state=1, origin=origin)
        pages = []
        for one in expected(name, state=1, origin=origin, archive=True):
            answer = edition.answer(one.url.removeprefix(origin))
            if answer.status == 200:
                html = _renamed(answer.body, name) if renamed else answer.body
                pages.append(Page(one.url, html, {"text": one.article_body}))
        yield pages


def _renamed(html: bytes, site: str) -> bytes:
    """Give every class and id of a site another name, which says nothing and is always the same."""

    def another(match: re.Match[str]) -> str:
        names = " ".join(_name(site, one) for one in match[3].split())
        return f"{match[1]}={match[2]}{names}{match[2]}"

    return _NAMES.sub(another, html.decode("utf-8")).encode()


def _name(site: str, name: str) -> str:
    if name[-1:].isdigit():  # numbered, by post or by place: of one page alone
        return name
    digest = hashlib.sha256(f"{site} {name}".encode()).hexdigest()[:8]
    return digest.translate(str.maketrans("0123456789", "ghijklmnop"))


def public(folder: Path) -> Iterator[list[Page]]:
    """Yield the pages of each site that the public sets of news have enough pages of."""
    sites: defaultdict[str, list[Page]] = defaultdict(list)
    for name in NEWS:
        for row in pq.read_table(folder / f"{name}.parquet").to_pylist():
            host = urlsplit(row["url"] or "").netloc.lower().removeprefix("www.")
            sites[host].append(Page(row["url"], row["html"], json.loads(row["gold"])))
    for host, pages in sorted(sites.items()):
        if host and len(pages) >= FEWEST_PAGES:
            yield pages


def main() -> int:
    options = _options()
    logging.getLogger("crawler").setLevel(logging.ERROR)
    people = sys.stderr if options.json else sys.stdout
    groups = {"newsroom": Group(), "newsroom, renamed": Group()}
    for name, is_renamed in zip(groups, (False, True), strict=True):
        for pages in newsroom(renamed=is_renamed):
            groups[name].add(pages, fewest=FEWEST_STORIES)
    if folder := os.environ.get("SITREP_BENCH_DATA"):
        groups["public"] = Group()
        for pages in public(Path(folder)):
            groups["public"].add(pages, fewest=FEWEST_PAGES - 1)
    else:
        print("public: skipped, SITREP_BENCH_DATA names no folder", file=sys.stderr)
    for name, group in groups.items():
        print(f"{name:<18}{group.figures()}{'' if group.is_ok else '  FAILED'}", file=people)
        for rule, text, is_story in group.taken if options.verbose else ():
            print("   ", "STORY" if is_story else "     ", f"{rule}: {text[:150]}", file=people)
    is_ok = all(group.is_ok for group in groups.values())
    if options.json:
        said = {name: group.figures() for name, group in groups.items()}
        print(json.dumps({"ok": is_ok, "groups": said}, indent=1))
    return 0 if is_ok else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--verbose", action="store_true", help="say all that was taken")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
