"""Why a body is not the truth's to the word: what is missing or too much, by where it stands.

A run of words that differs is put down to the field or the removed block that holds it: a truth
that counts headline, standfirst or captions in is a convention, and no fault of either. A page has
the cause of its longest run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from scoring import true_body, words

# A shorter piece of a run may stand anywhere by chance.
_LONG_ENOUGH = 4
# Rules whose name tells more than is asked here.
_FAMILIES = ("markup", "line", "ending", "learned", "furniture")


def count_causes(pages: Sequence[tuple[Mapping[str, Any], Any]]) -> Counter[str]:
    """Count pages by cause; `pages` are truth and article."""
    return Counter(cause for truth, article in pages if (cause := cause_of(truth, article)))


def cause_of(truth: Mapping[str, Any], article: Any) -> str | None:
    """Return the cause for one page, None where its body is exact or its truth is of snippets."""
    if "with" in truth:
        return None
    want, got = words(true_body(truth, article.article_body)), words(article.article_body)
    if want == got:
        return None
    weights: Counter[str] = Counter()
    for missing, extra in _differences(want, got):
        if missing:
            weights[_of_missing(missing, article)] += len(missing)
        if extra:
            weights[_of_extra(extra, want)] += len(extra)
    return max(weights, key=lambda cause: weights[cause])


def _differences(want: list[str], got: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    matcher = SequenceMatcher(None, want, got, autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind != "equal":
            yield want[i1:i2], got[j1:j2]


def _of_missing(missing: list[str], article: Any) -> str:
    for name, text in (("standfirst", article.description), ("headline", article.headline)):
        if _share(missing, text) > 0.7:
            return f"the truth counts in: {name}"
    for block in article.removed_blocks:
        if _is_in(missing, block.text):
            return f"the truth counts in: {_family(block.rule)}"
    return "text missing" if len(missing) >= _LONG_ENOUGH else "a few words missing"


def _of_extra(extra: list[str], want: list[str]) -> str:
    if len(extra) >= _LONG_ENOUGH and _is_in(extra, " ".join(want)):
        return "text twice"
    return "text too much" if len(extra) >= _LONG_ENOUGH else "a few words too much"


def _share(some: list[str], text: str | None) -> float:
    there = Counter(words(text or ""))
    return (Counter(some) & there).total() / max(1, len(some))


def _is_in(some: list[str], text: str) -> bool:
    """Tell whether one of the two is in the other: a removed block is shown cut."""
    whole, part = f" {' '.join(words(text))} ", f" {' '.join(some)} "
    shown = " ".join(words(text)[:_LONG_ENOUGH])
    return len(some) >= _LONG_ENOUGH and (part in whole or f" {shown} " in part)


def _family(rule: str) -> str:
    kind, _, name = rule.partition(":")
    return name.split()[0] if kind in _FAMILIES and name else kind
