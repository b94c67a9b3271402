"""Printed text as dates are sought in it: plain digits and letters, and where each stood."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

# A page prints the same letter in many ways; one stands for all.
_ALIKE = {
    "ı": "i",
    "ς": "σ",
    "’": "'",
    "ʼ": "'",
    "‘": "'",
    "−": "-",
    "‐": "-",
    "‑": "-",
    "،": ",",
    "、": ",",
    "。": ".",
    "ـ": "",
    "\n": " ",
}
# Full-width forms, and Arabic letters in the shape they take beside each other.
_COMPATIBLE = (range(0xFB50, 0xFE00), range(0xFE70, 0xFF00), range(0xFF00, 0xFFF0))


@cache
def _plain(char: str) -> str:
    if "가" <= char <= "힣":
        return char
    is_shape = any(ord(char) in one for one in _COMPATIBLE)
    parts = unicodedata.normalize("NFKD" if is_shape else "NFD", char)
    return "".join(_plain_part(part) for part in parts)


def _plain_part(char: str) -> str:
    if char in _ALIKE:
        return _ALIKE[char]
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if kind == "Zs":
        return " "
    # Accents, and marks that no reader sees, such as those that turn the direction.
    return "" if kind in ("Mn", "Cf") else char


def fold(text: str) -> tuple[str, Sequence[int]]:
    """Return `text` without accents, its digits 0 to 9, and the place in `text` of each character.

    The places have one more at the end, that of the end.

    >>> fold("١٩ août")
    ('19 aout', [0, 1, 2, 3, 4, 5, 6, 7])
    """
    if text.isascii():
        return text.replace("\n", " "), range(len(text) + 1)
    pieces = [_plain(char) for char in text]
    places = [at for at, piece in enumerate(pieces) for _ in piece]
    return "".join(pieces), [*places, len(text)]


def fold_word(word: str) -> str:
    """Return `word` as names are kept: folded, in lower case, with single spaces."""
    lower = fold(" ".join(word.split()))[0].lower()
    return lower.replace("ς", "σ")
