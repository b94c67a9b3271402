"""Invented stories and notices in several languages: nothing in them ever happened.

A story has three paragraphs. A notice is a template and what three authorities put into it: nearly
all words are the same, and it is another matter. The texts are in `copy_texts.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Language:
    story: Sequence[str]
    dateline: str
    closing: str
    notice: str
    fills: Sequence[Mapping[str, str]]

    @property
    def text(self) -> str:
        return "\n\n".join(self.story)

    @property
    def namesakes(self) -> list[str]:
        """Return notices that differ in names alone, not in numbers."""
        same = {what: self.fills[0][what] for what in ("sum", "count")}
        return [self.notice.format(**{**fill, **same}) for fill in self.fills]

    @property
    def notices(self) -> list[str]:
        return [self.notice.format(**fill) for fill in self.fills]


LANGUAGES = {
    name: Language(**said)
    for name, said in json.loads(
        Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    ).items()
}


def reworded(text: str, *, every: int) -> str:
    """Return a text with a word in so many left out, and another put in; of signs, left out."""
    if " " not in text:
        return "".join(sign for i, sign in enumerate(text) if i % every != 7 or sign.isdigit())
    written = text.split(" ")
    edited = []
    for i, word in enumerate(written):
        if i % every != every // 3:
            edited.append(word)
        if i % every == 2 * every // 3:
            edited.append(written[(i * 7) % len(written)])
    return " ".join(edited)
