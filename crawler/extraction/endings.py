"""What stands around a story though it is no part of it: who wrote it, how to reach them, where it
first appeared, what to subscribe to, and what the publisher earns by it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crawler.extraction.blocks import Block
from crawler.extraction.noise import noise

# A longer text says more than that.
_LONGEST_WORDS, _LONGEST_NOTE = 60, 120
_ADDRESS = re.compile(r"https?://|www\.|@\w|:\s*$")
_NAME_ENDS, _WORDS_BEFORE = 60, 2
_BEING = re.compile(
    r"\W{0,3}(?:is|was|has been|ist|war|est|es|è|jest|är|er|covers|writes|reports)\b", re.IGNORECASE
)
_ROLE = re.compile(
    r"\b(?:writer|reporter|editor|correspondent|journalist|columnist|author|contributor|producer"
    r"|photographer|analyst|professor|fellow|director|redakteur\w*|korrespondent\w*|autor\w*"
    r"|journaliste|rédact\w+|periodista|giornalista|dziennikar\w+|журналіст\w*|журналист\w*"
    r"|δημοσιογράφος|gazeteci|skribent|journalist\w*)\b",
    re.IGNORECASE,
)


def ending_rule(block: Block, authors: Sequence[str], *, is_tail: bool) -> str | None:
    """Return the rule of a line at either end of a story that speaks of it, not for it."""
    if block.kind == "row" or block.length > _LONGEST_NOTE:
        return None
    text = " ".join(block.text.split())
    for rule, places, form in noise().endings:
        is_here = places == "both" or is_tail
        if is_here and block.length <= _LONGEST_WORDS and form.fullmatch(text):
            return f"ending:{rule}"
    if is_tail and block.length <= _LONGEST_WORDS and _leads_on(block, text):
        return "ending:more"
    return "author_bio" if is_tail and _is_of_author(text, authors) else None


def _leads_on(block: Block, text: str) -> bool:
    """Tell "For more, see …" with a link or an address in it."""
    has_address = bool(block.links) or bool(_ADDRESS.search(text))
    return has_address and bool(noise().leads_on.match(text))


def _is_of_author(text: str, authors: Sequence[str]) -> bool:
    """Tell "Reporter Ada Quay is …", where Ada Quay wrote the story."""
    opening = text[:_NAME_ENDS]
    for name in authors:
        before, found, after = opening.partition(name)
        if found and len(name.split()) > 1 and len(before.split()) <= _WORDS_BEFORE:
            return bool(_BEING.match(after + text[_NAME_ENDS:])) and bool(_ROLE.search(text))
    return False
