"""Which blocks are the story: trafilatura's judgement, checked against the page's own blocks."""

from __future__ import annotations

import copy
import logging
from collections import Counter

import trafilatura
from lxml.html import HtmlElement

from crawler.extraction.blocks import Block
from crawler.extraction.document import REMOVED
from pipelines.fingerprint import tokens

# trafilatura warns of every page without a text; the refusal says it better.
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)

# Below this, precision has cut a story short more often than it has found a short one.
_FEW_WORDS = 80
_MUCH_MORE = 2.0
# A shorter line inside a longer text may be there by chance.
_SURE_WORDS = 5
_MOST = 0.9


def select_story(root: HtmlElement, blocks: list[Block]) -> tuple[list[Block], str]:
    """Return the blocks of the story in order, and trafilatura's own text."""
    text = judged_text(root)
    chosen = _matched(blocks, text)
    found = sum(len(block.words) for block in chosen)
    if not chosen or found < 0.5 * len(tokens(text)):
        return [], text
    region = _region(chosen)
    inside = [block for block in blocks if region is None or _is_under(block.element, region)]
    return _with_missed(inside, {id(block) for block in chosen}), text


def judged_text(root: HtmlElement) -> str:
    """Return trafilatura's text: the precise one, or the default where that gives little."""
    pruned = copy.deepcopy(root)
    for element in pruned.xpath(f"//*[@{REMOVED}]"):
        element.drop_tree()
    precise = _run(pruned, precise=True)
    if len(precise.split()) >= _FEW_WORDS:
        return precise
    default = _run(pruned, precise=False)
    return default if len(default.split()) > _MUCH_MORE * len(precise.split()) else precise


def _run(tree: HtmlElement, *, precise: bool) -> str:
    document = trafilatura.bare_extraction(
        tree,
        favor_precision=precise,
        include_comments=False,
        include_tables=True,
        deduplicate=False,
        with_metadata=False,
    )
    return (document.text or "") if document is not None else ""


def _matched(blocks: list[Block], text: str) -> list[Block]:
    """Return the blocks whose words stand in `text`; of a text that is there twice, the later."""
    lines = {" ".join(tokens(line)) for line in text.splitlines()}
    whole = f" {' '.join(tokens(text))} "
    chosen: dict[str, list[Block]] = {}
    for block in blocks:
        key = block.key
        if key and (key in lines or (len(block.words) >= _SURE_WORDS and f" {key} " in whole)):
            chosen.setdefault(key, []).append(block)
    kept = {id(block) for same in chosen.values() for block in same}
    return [block for block in blocks if id(block) in kept]


def _region(chosen: list[Block]) -> HtmlElement | None:
    """Return the smallest element that holds nearly all of the matched text."""
    weights: Counter[HtmlElement] = Counter()
    seen: set[str] = set()
    total = 0
    for block in chosen:
        length = len(block.words)
        total += length
        for element in (block.element, *block.element.iterancestors()):
            weights[element] += length
        seen.add(block.key)
    best = [one for one, weight in weights.items() if weight >= _MOST * total]
    return max(best, key=lambda one: sum(1 for _ in one.iterancestors()), default=None)


def _is_under(element: HtmlElement, region: HtmlElement) -> bool:
    return element is region or any(one is region for one in element.iterancestors())


def path_of(element: HtmlElement) -> str:
    """Return the tags and classes down to `element`, three steps of it."""
    steps = [element, *list(element.iterancestors())[:2]]
    return ">".join(f"{one.tag}.{one.get('class') or ''}" for one in reversed(steps))


def _with_missed(blocks: list[Block], chosen: set[int]) -> list[Block]:
    """Put back, at their place, blocks that trafilatura dropped though they look like its own."""
    marked = [index for index, block in enumerate(blocks) if id(block) in chosen]
    if not marked:
        return []
    paths = {
        path_of(block.element) for block in blocks if id(block) in chosen and block.kind != "h"
    }
    parents = {block.element.getparent() for block in blocks if id(block) in chosen}
    first, last = marked[0], marked[-1]
    kept: list[Block] = []
    for index, block in enumerate(blocks):
        is_between = first < index < last
        if id(block) in chosen or (
            block.link_share < 0.5
            and (
                (
                    block.kind != "h"
                    and path_of(block.element) in paths
                    and block.element.getparent() in parents
                )
                or (
                    is_between
                    and block.kind in ("h", "li", "quote", "row")
                    and (block.element.getparent() in parents or block.kind != "h")
                )
            )
        ):
            kept.append(block)
    return kept
