"""URL keys against pairs of addresses: `python benchmarks/urls.py PAIRS.tsv`.

A row of the file is `label`, `url_a`, `url_b` and what the pair is a `case` of, parted by tabs
under a line of these names; the label is `same` or `diff`. A false merge loses an article, a missed
one is still caught by its text: they are counted apart, and only a false merge (or a key that is
not its own key) makes the exit code 1.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.urls import canonical_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many of `pairs` have the keys that their label asks for, and which have not."""

    pairs: int
    right: int
    false_merges: tuple[str, ...]
    missed: tuple[str, ...]
    not_idempotent: tuple[str, ...]


def score(rows: Iterable[dict[str, str]]) -> Score:
    pairs = list(rows)
    merged = [one for one in pairs if canonical_url(one["url_a"]) == canonical_url(one["url_b"])]
    false_merges = tuple(_named(one) for one in merged if one["label"] != "same")
    missed = tuple(_named(one) for one in pairs if one["label"] == "same" and one not in merged)
    addresses = dict.fromkeys(url for one in pairs for url in (one["url_a"], one["url_b"]))
    return Score(
        pairs=len(pairs),
        right=len(pairs) - len(false_merges) - len(missed),
        false_merges=false_merges,
        missed=missed,
        not_idempotent=tuple(url for url in addresses if not _is_fixed(canonical_url(url))),
    )


def _is_fixed(key: str) -> bool:
    return canonical_url(key) == key


def _named(row: dict[str, str]) -> str:
    return f"{row.get('case') or 'pair'}: {row['url_a']} | {row['url_b']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with arguments.pairs.open(encoding="utf-8", newline="") as file:
        found = score(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if arguments.json:
        print(json.dumps(asdict(found)))
    else:
        _tell(found)
    return 1 if found.false_merges or found.not_idempotent else 0


def _tell(found: Score) -> None:
    print(f"{found.right} of {found.pairs} pairs right")
    for what in ("false_merges", "missed", "not_idempotent"):
        cases: tuple[str, ...] = getattr(found, what)
        print(f"{what.replace('_', ' ')}: {len(cases)}")
        for case in cases:
            print(f"  {case}")


if __name__ == "__main__":
    raise SystemExit(main())
