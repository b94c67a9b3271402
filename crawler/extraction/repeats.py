"""What a story's box says again, and the lists in it that a label gives to other stories."""

from __future__ import annotations

from itertools import takewhile

from lxml.html import HtmlElement

from crawler.extraction.blocks import Block
from crawler.extraction.noise import noise, plain_line

# Shorter sentences may stand in a story twice, shorter quotations by chance.
_SENTENCE, _PULLED = 12, 5
# Who said it, below a quotation.
_NAME = 12


def repeated_blocks(blocks: list[Block]) -> set[int]:
    """Return the ids of the blocks that say a whole sentence again, as captions and offers do."""
    seen: set[tuple[str, str]] = set()
    again: list[Block] = []
    for block in blocks:
        if block.is_story and block.kind != "row" and block.length >= _SENTENCE:
            if (block.kind, block.key) in seen:
                again.append(block)
            seen.add((block.kind, block.key))
    again += _pull_quotes(blocks)
    return {id(block) for block in again}


def _pull_quotes(blocks: list[Block]) -> list[Block]:
    """Return the quotations that the story's own paragraphs have too, with who said them below."""
    story = [block for block in blocks if block.is_story]
    told = f" {' | '.join(block.key for block in story if block.kind != 'quote')} "
    quotes = [one for one in story if one.kind == "quote" and one.length >= _PULLED]
    found = [block for block in quotes if f" {block.key} " in told]
    boxes = {id(box) for one in found if (box := _quotation(one)) is not None}
    said_by = [b for b in blocks if b.length <= _NAME and id(_quotation(b)) in boxes]
    return [*found, *said_by]


def _quotation(block: Block) -> HtmlElement | None:
    if block.kind != "quote":
        return None
    around = (block.element, *block.element.iterancestors())
    return next((one for one in around if one.tag == "blockquote"), None)


def announced_blocks(blocks: list[Block]) -> set[int]:
    """Return the ids of a label such as "Read next:" and of the list below it, all of links."""
    found: set[int] = set()
    for place, block in enumerate(blocks[:-1]):
        group = blocks[place + 1].group
        if block.links or group is None or plain_line(block.text) not in noise().also_read:
            continue
        items = _items(blocks[place + 1 :], group)
        if all(one.kind == "li" and one.links for one in items):
            found.update(id(one) for one in (block, *items))
    return found


def _items(blocks: list[Block], group: HtmlElement) -> list[Block]:
    return list(takewhile(lambda block: block.group is group, blocks))
