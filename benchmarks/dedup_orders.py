"""The same texts in other orders: how far what is joined stays the same, and how right it is.

Agreement is that of the pairs that are joined in the given order and in the other one, after
`same_as` is followed: those joined in both, of those joined in either. Right is what the column
`cluster` of the file says; pairs of a text of two stories with its parents count neither way.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any

Row = dict[str, Any]
Pair = tuple[Any, Any]


def orders(rows: Sequence[Row], *, count: int) -> Iterator[tuple[str, list[Row]]]:
    """Yield the given order, it reversed, and shuffles of it: so many besides the given one."""
    yield "given", list(rows)
    for n in range(count):
        other = list(reversed(rows))
        if n:
            random.Random(n).shuffle(other)  # noqa: S311 - an order, no secret
        yield f"shuffled {n}" if n else "reversed", other


def joined(cluster_of: dict[Any, Hashable]) -> set[Pair]:
    """Return the pairs of names that are in one cluster."""
    groups: dict[Hashable, list[Any]] = defaultdict(list)
    for name, cluster in cluster_of.items():
        groups[cluster].append(name)
    return {pair for names in groups.values() for pair in combinations(sorted(names), 2)}


def agreement(one: set[Pair], other: set[Pair]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0


def rightness(rows: Sequence[Row], found: dict[Any, Hashable]) -> dict[str, float]:
    """Return pair precision and recall and the adjusted Rand index, by the column `cluster`."""
    gold = {row["id"]: row["cluster"] for row in rows}
    said, right = joined(found) - _neither(rows), joined(gold)
    return {
        "precision": round(len(said & right) / max(1, len(said)), 4),
        "recall": round(len(said & right) / max(1, len(right)), 4),
        "ari": round(_adjusted_rand_index(gold, found), 4),
    }


def _neither(rows: Sequence[Row]) -> set[Pair]:
    members: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        members[row["cluster"]].append(row["id"])
    return {
        (min(row["id"], other), max(row["id"], other))
        for row in rows
        for parent in row.get("parents") or ()
        for other in members[parent]
    }


def _adjusted_rand_index(gold: dict[Any, Hashable], found: dict[Any, Hashable]) -> float:
    both, left, right = (
        len(joined(one)) for one in ({n: (gold[n], found[n]) for n in gold}, gold, found)
    )
    expected, mean = left * right / comb(len(gold), 2), (left + right) / 2
    return (both - expected) / (mean - expected) if mean != expected else 1.0
