"""Boxes and lines between the paragraphs that lead to other stories, though no class says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from lxml.html import HtmlElement

from crawler.extraction.blocks import Block
from crawler.extraction.region import is_on_site

_FEWEST_WORDS = 3
# What a card says beside its title: a date, a section, a sentence.
_LONGEST_CARD, _LONG = 45, 12
# How far up from a title its card may reach.
_DEEPEST = 6
# Cards that hold more of the text than this are the text: a round-up, a list of sources.
_MOST = 0.25
# Items of a list of related stories, and what stands above it.
_LONGEST_ITEM, _LIST_LINKED, _LONGEST_LABEL = 30, 0.4, 8


def find_teasers(blocks: list[Block], *, host: str) -> set[int]:
    """Return the places in `blocks` of the titles that lead elsewhere, with what is in their box.

    A title is a whole line that is a link to another page of the same site. Its box is the
    largest one around it in which no more than a card's text is left beside titles.
    """
    listed = _related_lists(blocks, host)
    titles = [block for block in blocks if _is_title(block, host)]
    if not titles or len(titles) == len(blocks):
        return _with_labels(listed, blocks)
    beside = _Beside(blocks, {id(block) for block in titles})
    # A title that shares its paragraph with other text goes alone.
    alone = {id(block) for block in titles if beside.words[block.element]}
    boxes = {beside.box_of(block.element) for block in titles if id(block) not in alone}
    found = listed | {
        place
        for place, block in enumerate(blocks)
        if id(block) in alone or any(one in boxes for one in _upwards(block.element))
    }
    total = sum(block.length for block in blocks)
    taken = sum(blocks[place].length for place in found)
    return _with_labels(found if taken <= _MOST * total else listed, blocks)


def _related_lists(blocks: list[Block], host: str) -> set[int]:
    """Return the items of lists of which each leads to another story, a few words beside its title.

    Such are "Climate: The title of a story", and a title with the name of its section behind it.
    """
    found: set[int] = set()
    for _, run in groupby(enumerate(blocks), key=lambda one: one[1].group):
        items = list(run)
        if len(items) > 1 and all(_is_list_title(block, host) for _, block in items):
            found.update(place for place, _ in items)
    total = sum(block.length for block in blocks)
    return found if sum(blocks[place].length for place in found) <= _MOST * total else set()


def _is_list_title(block: Block, host: str) -> bool:
    if block.kind != "li" or block.length > _LONGEST_ITEM or len(block.links) != 1:
        return False
    title, _ = block.links[0]
    text = block.text.strip(" .")
    is_at_edge = text.startswith(title) or text.endswith(title.strip(" ."))
    is_titled = len(title.split()) >= _FEWEST_WORDS and block.link_share >= _LIST_LINKED
    return is_titled and is_at_edge and is_on_site(block.links[0], host)


def _with_labels(found: set[int], blocks: list[Block]) -> set[int]:
    """Add the short line above what was found, which calls it "More on this" in whatever words."""
    labels = set()
    for place in found:
        above = place - 1
        if above in found or above < 0:
            continue
        block = blocks[above]
        is_label = block.kind == "h" or block.text.rstrip().endswith(":")
        if is_label and block.length <= _LONGEST_LABEL and _ends_a_part(place, found, blocks):
            labels.add(above)
    return found | labels


def _ends_a_part(place: int, found: set[int], blocks: list[Block]) -> bool:
    """Tell whether the text after a box goes on as if the box, and its label, were not there.

    A heading with text below the box is the text's own: "Where to read on" heads nothing else.
    """
    after = next((n for n in range(place, len(blocks)) if n not in found), len(blocks))
    return blocks[place].kind == "li" or after == len(blocks) or blocks[after].kind == "h"


def _is_title(block: Block, host: str) -> bool:
    if block.link_share <= 0.9 or block.length < _FEWEST_WORDS or len(block.links) != 1:
        return False
    return is_on_site(block.links[0], host)


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
