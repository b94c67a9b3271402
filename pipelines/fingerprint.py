"""What makes two texts the same text."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_TOKEN = re.compile(r"\w+")


def tokens(text: str) -> list[str]:
    """Return the words of `text`, lower-case, compatibility forms folded (NFKC).

    >>> tokens("The “F-35” costs €80m.")
    ['the', 'f', '35', 'costs', '80m']
    """
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def content_hash(text: str) -> str:
    """Return 128 bits, in hex, that two texts share when their words are the same in order.

    White space, punctuation and case do not count: an edit of those is no edit of the story.
    """
    return hashlib.blake2b(" ".join(tokens(text)).encode(), digest_size=16).hexdigest()
