"""What makes two texts the same text, and how much of one lives on in another."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter

_TOKEN = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
# Editors' software swaps these back and forth; a reader does not see the difference.
_TYPOGRAPHY = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'", "ʼ": "'",
        "‹": "'", "›": "'", "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-",
        # What is not seen: soft hyphens, joiners, marks of direction and of byte order.
        "\u00ad": None, "\u200b": None, "\u200c": None, "\u200d": None, "\u200e": None,
        "\u200f": None, "\u2060": None, "\ufeff": None,
    }
)  # fmt: skip


def tokens(text: str) -> list[str]:
    """Return the words of `text`, lower-case, compatibility forms folded (NFKC).

    >>> tokens("The “F-35” costs €80m.")
    ['the', 'f', '35', 'costs', '80m']
    """
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _TOKEN.findall(folded.lower())


def content_hash(text: str) -> str:
    """Return 128 bits, in hex, that two texts share when their words are the same in order.

    White space, punctuation and case do not count: a copy that differs in those is a copy.
    """
    return hashlib.blake2b(" ".join(tokens(text)).encode(), digest_size=16).hexdigest()


def normalised(text: str | None) -> str:
    """Return `text` as it is compared for edits: one kind of quote, dash and space.

    Words, numbers, signs and case stay: changing those is an edit.

    >>> normalised("“Three\\u00a0ships” —  gone")
    '"Three ships" - gone'
    """
    # NFKC takes some of these signs apart, so they are folded first; a non-breaking hyphen and
    # its like are folded by it.
    folded = unicodedata.normalize("NFKC", (text or "").translate(_TYPOGRAPHY))
    return _SPACE.sub(" ", folded).strip()


def survival(old: str, new: str, *, n: int = 3) -> float:
    """Return the share (0..1) of the word `n`-grams of `old` that stand in `new`.

    1.0 when `old` has no words: nothing of it was lost.
    """
    before, after = _shingles(old, n), _shingles(new, n)
    total = before.total()
    return (before & after).total() / total if total else 1.0


def _shingles(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = tokens(text)
    n = max(1, min(n, len(words)))
    return (
        Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) if words else Counter()
    )
