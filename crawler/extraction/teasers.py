"""Boxes and lines between the paragraphs that lead to other stories, though no class says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

from lxml.html import HtmlElement

from crawler.extraction.blocks import Block

_FEWEST_WORDS = 3
# What a card says beside its title: a date, a section, a sentence.
_LONGEST_CARD, _LONG = 45, 12
# How far up from a title its card may reach.
_DEEPEST = 6
# Cards that hold more of the text than this are the text: a round-up, a list of sources.
_MOST = 0.25


def find_teasers(blocks: list[Block], *, host: str) -> set[int]:
    """Return the places in `blocks` of the titles that lead elsewhere, with what is in their box.

    A title is a whole line that is a link to another page of the same site. Its box is the
    largest one around it in which no more than a card's text is left beside titles.
    """
    titles = [block for block in blocks if _is_title(block, host)]
    if not titles or len(titles) == len(blocks):
        return set()
    beside = _Beside(blocks, {id(block) for block in titles})
    # A title that shares its paragraph with other text goes alone.
    alone = {id(block) for block in titles if beside.words[block.element]}
    boxes = {beside.box_of(block.element) for block in titles if id(block) not in alone}
    found = {
        place
        for place, block in enumerate(blocks)
        if id(block) in alone or any(one in boxes for one in _upwards(block.element))
    }
    total = sum(block.length for block in blocks)
    taken = sum(blocks[place].length for place in found)
    return found if taken <= _MOST * total else set()


def _is_title(block: Block, host: str) -> bool:
    if block.link_share <= 0.9 or block.length < _FEWEST_WORDS or len(block.links) != 1:
        return False
    target = urlsplit(block.links[0][1].strip())
    is_page = target.scheme in ("", "http", "https") and len(target.path) > 1
    return is_page and (not target.netloc or _bare(target.netloc) == _bare(host))


def _bare(netloc: str) -> str:
    return netloc.lower().removeprefix("www.")


def _upwards(element: HtmlElement) -> Iterable[HtmlElement]:
    """Yield `element` and the few above it: a card is small, a page may be nested very deep."""
    for _ in range(_DEEPEST):
        yield element
        parent = element.getparent()
        if parent is None or parent.tag in ("body", "html", "main", "article"):
            return
        element = parent


class _Beside:
    """How much stands in each box that is no title."""

    def __init__(self, blocks: list[Block], titles: set[int]) -> None:
        self.words: Counter[HtmlElement] = Counter()
        self.long: Counter[HtmlElement] = Counter()
        for block in blocks:
            if id(block) in titles:
                continue
            for element in _upwards(block.element):
                self.words[element] += block.length
                self.long[element] += block.length >= _LONG

    def box_of(self, title: HtmlElement) -> HtmlElement:
        box = title
        for element in _upwards(title):
            if self.words[element] > _LONGEST_CARD or self.long[element] > 1:
                break
            box = element
        return box
