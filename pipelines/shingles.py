"""A text as numbers: its words in any script, and the few of its word sequences it is found by.

Broder's shingles (1997), sampled as FracMinHash does: a hash below a fixed bound is kept in every
text, so that what two texts keep is a fair sample of what they share, however long either is.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.scripts import UNSPACED

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

# Raised with anything here or in `agreement` that changes a key or a code: those of two versions
# do not meet, so an index of another version is made anew.
ALGORITHM = 1
SHINGLE = 5
# One in so many is kept, but so many at least, that a brief has enough of them, and at most: what
# a text of a million words shares with another is seen in some hundreds as well.
ONE_IN = 24
FEWEST, MOST = 8, 400
# No more of a text is looked at: a copy of so long a text is told by so much of it.
MOST_WORDS = 20_000
PARAMETERS = f"{ALGORITHM}: {SHINGLE}-grams, 1 in {ONE_IN}, {FEWEST} to {MOST}, {MOST_WORDS} words"

# A sign of a script without spaces is a word, and about two of them make one of another language.
SIGNS_A_WORD = 2
# A number is one word whatever parts its thousands: it tells one notice from the next.
_WORD = re.compile(rf"\d+(?:[.,]\d+)+|[^\W{UNSPACED}]+|[{UNSPACED}]")
_ASCII_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+", re.ASCII)
_SIGN = re.compile(rf"[{UNSPACED}]")
# What Arabic, Hebrew and Greek write or leave out, and the stretched letter.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]")

_BOUND = np.uint64((1 << 64) // ONE_IN)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
# The finaliser of splitmix64 (Steele, Lea, Flood 2014).
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def words(text: str, *, most: int = MOST_WORDS) -> list[str]:
    """Return the first words of `text` as they are written, compatibility forms folded (NFKC).

    >>> words("The “F-35” costs €1,500.5; 三艘船")
    ['The', 'F', '35', 'costs', '1,500.5', '三', '艘', '船']
    """
    some = text[: most * 40]  # no words are longer on average, in any script
    if some.isascii():
        return _ASCII_WORD.findall(some)[:most]
    return _WORD.findall(_MARKS.sub("", unicodedata.normalize("NFKC", some)))[:most]


def is_sign(word: str) -> bool:
    return _SIGN.match(word) is not None


def folded(word: str) -> str:
    """Return a word as it is compared: without case, accents, or the dots of a Turkish i.

    >>> folded("İSTANBUL") == folded("istanbul"), folded("Σκοπός") == folded("ΣΚΟΠΟΣ")
    (True, True)
    """
    # Upper-case Greek goes without its accents; a dotted capital I comes apart in two.
    plain = unicodedata.normalize("NFD", word.lower())
    return _MARKS.sub("", plain).replace("ς", "σ").replace("ı", "i")


def word_hash(word: str) -> int:
    """Return 30 bits of a word as it is compared."""
    digest = hashlib.blake2b(folded(word).encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 2


def grams(of: Hashes, n: int) -> Hashes:
    """Return 64 bits for each sequence of `n` words, in order; nothing of fewer words."""
    count = len(of) - n + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    mixed = of[:count] + _FACTOR
    for i in range(1, n):
        mixed = mixed * _FACTOR + of[i : i + count]
    for shift, factor in zip((30, 27), _MIX, strict=True):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
    return mixed ^ (mixed >> np.uint64(31))


def sampled(shingles: Hashes) -> list[int]:
    """Return the keys of a text, 32 bits each, as signed integers: its smallest shingles."""
    below = np.sort(shingles[shingles < _BOUND])
    # What is said twice counts once: few texts have that among their smallest.
    kept = below if len(below) > 2 * FEWEST else np.sort(shingles)
    kept = kept[np.append(True, kept[1:] != kept[:-1])] if len(kept) else kept
    kept = kept[: min(max(int(np.searchsorted(kept, _BOUND)), FEWEST), MOST)]
    return list(dict.fromkeys(_low(kept)))


def among(keys: Sequence[int], shingles: Hashes) -> list[int]:
    """Return which of a text's keys are those of some of its shingles."""
    there = set(_low(shingles))
    return [key for key in keys if key in there]


def _low(shingles: Hashes) -> list[int]:
    # The upper bits of the smallest are all zeros; the lower ones tell them apart.
    low: list[int] = (shingles & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.int32).tolist()
    return low


def is_among(hashes: npt.NDArray[Any], there: npt.NDArray[Any]) -> Mask:
    """Tell of each hash whether it is in `there`, which is sorted."""
    if not len(there) or not len(hashes):
        return np.zeros(len(hashes), np.bool_)
    at = np.searchsorted(there, hashes)
    at[at == len(there)] = 0
    found: Mask = there[at] == hashes
    return found
