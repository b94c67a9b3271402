"""Which words tell one story from another of the same form: its names and numbers.

Two notices made from one template share nearly all their words, but not these. Numbers tell in any
script. Capitals tell names from the rest only where not every noun has one: in German nouns are
looked at and fewer may differ, as with all words where there are no capitals, and all pairs of
signs where there are no spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pipelines.shingles import is_sign, word_hash

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


def writing_of(written: Sequence[str]) -> Writing:
    letters = [word for word in written if word[0].isalpha()]
    if not letters:
        return Writing.NO_CAPITALS
    if sum(map(is_sign, letters)) > len(letters) / 2:
        return Writing.SIGNS
    cased = [word for word in letters if word.lower() != word.upper()]
    if len(cased) < len(letters) / 2:
        return Writing.NO_CAPITALS
    capitals = sum(word[0].isupper() for word in cased)
    if capitals in (0, len(cased)):
        return Writing.NO_CAPITALS
    return Writing.DENSE_CAPITALS if capitals > _DENSE * len(cased) else Writing.CAPITALS


def coded(written: Sequence[str]) -> tuple[Codes, Writing]:
    """Return each word as 30 bits of its hash and two that say what it tells."""
    writing = writing_of(written)
    hashed = np.fromiter(map(word_hash, written), np.uint32, len(written)) << np.uint32(2)
    numbers = np.fromiter((word[0].isdigit() for word in written), np.bool_, len(written))
    if writing in (Writing.NO_CAPITALS, Writing.SIGNS):
        names = np.ones(len(written), np.bool_)
    else:
        # What begins a sentence is no name for it, if it is written small elsewhere.
        small = {word for word in written if word[0].islower()}
        names = np.fromiter(
            (word[0].isupper() and word.lower() not in small for word in written),
            np.bool_,
            len(written),
        )
    names |= numbers
    return hashed | (names * NAME) | (numbers * NUMBER), writing
