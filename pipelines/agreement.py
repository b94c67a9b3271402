"""Which words tell one story from another of the same form: its names and numbers.

Two notices made from one template share nearly all their words, but not these. Numbers tell in any
script. Capitals tell names from the rest only where not every noun has one: in German nouns are
looked at, and fewer may differ. Where there are no capitals, all words are; where there are no
spaces, all signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipelines.shingles import is_among, is_sign, word_hash

Codes = npt.NDArray[np.uint32]

# Above the share of capitals in English news (.10 to .28), below that of German (.33 to .40).
_DENSE = 0.30
NAME, NUMBER = np.uint32(1), np.uint32(2)


class Writing(IntEnum):
    """How a text tells its names."""

    CAPITALS = 0
    DENSE_CAPITALS = 1
    NO_CAPITALS = 2
    SIGNS = 3


def coded(written: Sequence[str]) -> tuple[Codes, Writing]:
    """Return each word as 30 bits of its hash and two that say what it tells."""
    looked_at = np.fromiter(map(_looked_at, written), np.int64, len(written))
    writing = _writing_of(looked_at)
    hashed = (looked_at >> _BITS).astype(np.uint32)
    numbers = _have(looked_at, _DIGIT)
    if writing in (Writing.NO_CAPITALS, Writing.SIGNS):
        names = np.ones(len(written), np.bool_)
    else:
        # What begins a sentence is no name for it, if it is written small elsewhere.
        names = _have(looked_at, _CAPITAL) & ~is_among(
            hashed, np.sort(hashed[_have(looked_at, _SMALL)])
        )
        names |= numbers
    return (hashed << np.uint32(2)) | (names * NAME) | (numbers * NUMBER), writing


# What a word is, in the lowest bits beside its hash: each is looked at once, and kept in mind.
_LETTER, _SIGN, _SMALL, _CAPITAL, _DIGIT = 1, 2, 4, 8, 16
_BITS = 5


@lru_cache(maxsize=200_000)
def _looked_at(word: str) -> int:
    first = word[0]
    is_small = first.islower()
    is_capital = first.isupper() or first.istitle()
    said = (
        _LETTER * first.isalpha()
        | _SIGN * is_sign(word)
        | _SMALL * is_small
        | _CAPITAL * is_capital
        | _DIGIT * first.isdigit()
    )
    return word_hash(word) << _BITS | said


def _have(looked_at: npt.NDArray[np.int64], bit: int) -> npt.NDArray[np.bool_]:
    had: npt.NDArray[np.bool_] = (looked_at & bit) != 0
    return had


def _writing_of(looked_at: npt.NDArray[np.int64]) -> Writing:
    letters, signs, small, capital = (
        int(np.count_nonzero(looked_at & bit)) for bit in (_LETTER, _SIGN, _SMALL, _CAPITAL)
    )
    if signs > letters / 2:
        return Writing.SIGNS
    if small + capital < letters / 2 or not small or not capital:
        return Writing.NO_CAPITALS
    return Writing.DENSE_CAPITALS if capital > _DENSE * (small + capital) else Writing.CAPITALS
