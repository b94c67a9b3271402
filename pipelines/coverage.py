"""How much of one text stands in another: what a copy kept, and what it added."""

from __future__ import annotations

import re
from functools import lru_cache

from pipelines.fingerprint import tokens

# Signs of scripts that put no space between words are words here.
_SIGN = "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_UNSPACED = re.compile(_SIGN)
_SIGN_OR_WORD = re.compile(rf"{_SIGN}|(?:(?!{_SIGN}).)+")
# Words in a row that two texts must share; a single one stands in any text.
ROW = 3


def coverage(of: str, in_: str) -> float:
    """Return the share (0..1) of the words of `of` that stand in `in_` too, three in a row.

    1.0 when `of` has no words.

    >>> round(coverage("the ship left the quay at dawn", "at noon the ship left the quay"), 2)
    0.71
    """
    n = min(ROW, len(_words(of)))
    rows = _rows(of, n)
    # A byte a row: 1 where the other text has it. Shifted and put together, a byte a word.
    is_there = int.from_bytes(map(_all_rows(in_, n).__contains__, rows), "little")
    covered = 0
    for at in range(n):
        covered |= is_there << 8 * at
    return covered.bit_count() / len(_words(of)) if n else 1.0


# An original is compared with each of its copies, one after the other.
@lru_cache(maxsize=8)
def _words(text: str) -> tuple[str, ...]:
    found = tokens(text)
    if not _UNSPACED.search(text):
        return tuple(found)
    return tuple(piece for word in found for piece in _SIGN_OR_WORD.findall(word))


@lru_cache(maxsize=8)
def _rows(text: str, n: int) -> list[int]:
    """Return each `n` words in a row, as a number of 64 bits."""
    words = _words(text)
    return list(map(hash, zip(*(words[at:] for at in range(n)), strict=False)))


@lru_cache(maxsize=8)
def _all_rows(text: str, n: int) -> frozenset[int]:
    return frozenset(_rows(text, n))
