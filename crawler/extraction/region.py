"""Which blocks are the story: trafilatura's judgement, checked against the page's own blocks."""

from __future__ import annotations

import copy
import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import trafilatura
from lxml import etree
from lxml.html import HtmlElement
from trafilatura.settings import Extractor

from crawler.extraction.blocks import Block, length_in_words
from crawler.extraction.document import REMOVED
from pipelines.fingerprint import tokens

# trafilatura warns of every page without a text; the refusal says it better.
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)

# Below this, precision has cut a story short more often than it has found a short one.
_FEW_WORDS = 80
_MUCH_MORE = 2.0
_SEEN = 0.5
# The longest live blogs have some two thousand blocks; what has more is read at its densest.
_MOST_BLOCKS = 6000
# Less than this in one box is no story that trafilatura could have missed.
_FEWEST_WORDS = 30
# A shorter line inside a longer text may be there by chance.
_SURE_WORDS = 5
_MOST = 0.9
_SENTENCE_END = re.compile(r"[.!?…。][\"'”’»)\]]*$")
_LINKED = 0.5
_LONG = 12
# Structured data stay: trafilatura reads them where a page has no other text.
_UNREAD = f"//*[@{REMOVED}] | //style | //link | //script[not(contains(@type, 'json'))]"
_GONE = "style"
# The witnesses, by the names under which they are told.
TRAFILATURA, TRAFILATURA_TEXT = "trafilatura", "trafilatura_text"
DENSEST, FAMILY = "densest_box", "largest_family"
SITE_FILE = "site_file"


@dataclass(frozen=True, slots=True)
class Selection:
    """The blocks of the story's box in order, each marked, and who says that they are it.

    `text` is trafilatura's own. `witnesses` has the words of prose that each of them found.
    """

    blocks: list[Block]
    text: str
    witness: str
    region: HtmlElement | None = None
    witnesses: Mapping[str, int] = field(default_factory=dict)


def select_story(
    root: HtmlElement, blocks: list[Block], *, h1: HtmlElement | None = None, host: str = ""
) -> Selection:
    judged = judged_text(root, blocks) if len(blocks) <= _MOST_BLOCKS else NOTHING
    text = judged.text
    if not text:
        dense = _densest(blocks)
        return Selection(dense, text, DENSEST, region_of(dense), {DENSEST: _prose_words(dense)})
    chosen = _below_headline(_matched(blocks, judged), blocks, h1)
    witness, chosen, witnesses = _rather_dense(chosen, blocks, h1)
    found = sum(block.length for block in chosen)
    if not chosen or found < 0.5 * judged.length:
        return Selection([], text, TRAFILATURA_TEXT, None, witnesses)
    region = region_of(chosen)
    if region is None:
        return Selection(chosen, text, witness, None, witnesses)
    whole = _enclosing(region)
    inside = [
        block
        for block in blocks
        if _is_under(block.element, region) or _is_under(block.element, whole)
    ]
    marked = _with_missed(inside, {id(block) for block in chosen}, region, host=host)
    return Selection(marked, text, witness, region, witnesses)


def _rather_dense(
    chosen: list[Block], blocks: list[Block], h1: HtmlElement | None
) -> tuple[str, list[Block], dict[str, int]]:
    """Return the densest box instead of `chosen` where that is mostly other stories' titles.

    Named, and with the words of prose that each witness found.
    """
    total = sum(block.length for block in chosen)
    is_of_titles = _prose_words(chosen) < _LINKED * total
    # Only beside titles: readers' comments are the largest family of many a page.
    found = {DENSEST: _densest(blocks)} | (
        {FAMILY: _largest_family(blocks)} if is_of_titles else {}
    )
    candidates = {name: _below_headline(one, blocks, h1) for name, one in found.items()}
    words = {name: _prose_words(one) for name, one in candidates.items()}
    best = max(words, key=lambda name: words[name])
    text = words[best]
    is_titles = is_of_titles and text > _MUCH_MORE * total
    is_denser = text > _FEW_WORDS and (is_titles or text > 2 * _MUCH_MORE * total)
    witness, taken = (best, candidates[best]) if is_denser else (TRAFILATURA, chosen)
    return witness, taken, {TRAFILATURA: _prose_words(chosen), **words}


def _is_text(block: Block) -> bool:
    return block.link_share < _LINKED and block.length >= _LONG


def _prose_words(blocks: list[Block]) -> int:
    return sum(block.length for block in blocks if _is_text(block))


def _largest_family(blocks: list[Block]) -> list[Block]:
    """Return the paragraphs that stand in boxes of the same names, the most text of a page.

    A story that is parted into many boxes has no one that holds it alone.
    """
    paths = [path_of(block.element) for block in blocks]
    weights: Counter[str] = Counter()
    for block, path in zip(blocks, paths, strict=True):
        if _is_text(block):
            weights[path] += block.length
    if not weights:
        return []
    [(largest, _)] = weights.most_common(1)
    return [block for block, path in zip(blocks, paths, strict=True) if path == largest]


def _densest(blocks: list[Block]) -> list[Block]:
    """Return what stands in the box with the most unlinked text, where trafilatura finds none."""
    weights: Counter[HtmlElement] = Counter()
    for block in blocks:
        parent = block.element.getparent()
        if block.link_share < _LINKED and block.length >= _SURE_WORDS:
            weights[block.element] += block.length
            if parent is not None and parent.tag not in ("body", "html"):
                weights[parent] += block.length
    box = max(weights, key=lambda one: weights[one], default=None)
    if box is None or weights[box] < _FEWEST_WORDS:
        # A page without any box: its paragraphs stand in the body itself, none long by itself.
        bare = [one for one in blocks if _is_bare(one)]
        return bare if _prose_words(bare) >= _FEWEST_WORDS else []
    return [block for block in blocks if _is_under(block.element, box)]


def _is_bare(block: Block) -> bool:
    parent = block.element.getparent()
    return parent is not None and parent.tag == "body"


def _below_headline(
    chosen: list[Block], blocks: list[Block], h1: HtmlElement | None
) -> list[Block]:
    """Drop what stands above the headline, where most of the text stands below it."""
    top = next((i for i, block in enumerate(blocks) if block.element is h1), None)
    if h1 is None or top is None:
        return chosen
    below = {id(block) for block in blocks[top:]}
    kept = [block for block in chosen if id(block) in below]
    is_most = sum(b.length for b in kept) > 0.7 * sum(b.length for b in chosen)
    return kept if is_most else chosen


def _enclosing(region: HtmlElement) -> HtmlElement:
    """Return the article that `region` is a part of: some sites part a story into many boxes."""
    for element in (region, *region.iterancestors()):
        if element.tag in ("article", "main") or element.get("itemprop") == "articleBody":
            return element
    parent = region.getparent()
    return region if parent is None or parent.tag in ("body", "html") else parent


# None of 1,781 public pages has as many tags.
_MOST_ELEMENTS = 20_000


class Judged:
    """A text as trafilatura gives it, and the words of each of its lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = [tokens(line) for line in text.splitlines()]
        self.length = length_in_words([word for line in self.lines for word in line])


NOTHING = Judged("")


def judged_text(root: HtmlElement, blocks: list[Block]) -> Judged:
    """Return trafilatura's text: the precise one, or the default where that gives little.

    Its comparison with other extractors costs as much as its own work, and is asked only where
    that has found less than half of what looks like text. Of a page without blocks, or with more
    elements than pages of people have, nothing is asked: its cost is many times all of ours.
    """
    if not blocks or root.xpath("count(//*)") > _MOST_ELEMENTS:
        return NOTHING
    pruned = _for_judgement(root)
    precise = _run(pruned, precise=True, compare=False)
    if precise.length < _SEEN * sum(block.length for block in blocks if _is_text(block)):
        precise = _run(pruned, precise=True, compare=True)
    if precise.length >= _FEW_WORDS:
        return precise
    default = _run(pruned, precise=False, compare=True)
    return default if len(default.text) > _MUCH_MORE * len(precise.text) else precise


def _for_judgement(root: HtmlElement) -> HtmlElement:
    """Return a copy without what was removed and what is never read: it is searched many times."""
    pruned = copy.deepcopy(root)
    for element in pruned.xpath(_UNREAD):
        element.tag = _GONE
    etree.strip_elements(pruned, _GONE, with_tail=False)
    return pruned


def _run(tree: HtmlElement, *, precise: bool, compare: bool) -> Judged:
    document = trafilatura.bare_extraction(tree, options=_options(precise, compare))
    return Judged(str(getattr(document, "text", None) or ""))


@cache
def _options(precise: bool, compare: bool) -> Extractor:
    """Return what trafilatura is to do; put together for each page, it costs a page's twentieth."""
    return Extractor(
        output_format="python",
        fast=not compare,
        precision=precise,
        comments=False,
        tables=True,
        dedup=False,
        with_metadata=False,
    )


def _matched(blocks: list[Block], judged: Judged) -> list[Block]:
    """Return the blocks whose words were judged story; of a text printed twice, that in company."""
    lines = {" ".join(line) for line in judged.lines}
    whole = f" {' '.join(word for line in judged.lines for word in line)} "
    chosen: dict[str, list[Block]] = {}
    for block in blocks:
        key = block.key
        if key and (key in lines or (block.length >= _SURE_WORDS and f" {key} " in whole)):
            chosen.setdefault(key, []).append(block)
    company: Counter[HtmlElement | None] = Counter()
    for same in chosen.values():
        company.update({block.element.getparent(): block.length for block in same})
    kept = {
        id(max(same, key=lambda block: company[block.element.getparent()]))
        for same in chosen.values()
    }
    return [block for block in blocks if id(block) in kept]


def region_of(chosen: list[Block]) -> HtmlElement | None:
    """Return the smallest element that holds nearly all of the matched text."""
    weights: Counter[HtmlElement] = Counter()
    seen: set[str] = set()
    total = 0
    for block in chosen:
        length = block.length
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


def _with_missed(
    blocks: list[Block], chosen: set[int], region: HtmlElement, *, host: str
) -> list[Block]:
    """Mark as story what trafilatura took, and what it dropped though it looks like its own."""
    marked = [index for index, block in enumerate(blocks) if id(block) in chosen]
    if not marked:
        return []
    own = [block for block in blocks if id(block) in chosen]
    paths = {path_of(block.element) for block in own if block.kind != "h"}
    parents = {block.element.getparent() for block in own}
    span = range(marked[0], marked[-1])
    for index, block in enumerate(blocks):
        block.is_story = id(block) in chosen or (
            _may_be_missed(block, host)
            and _is_missed(block, paths, parents, is_between=index in span, region=region)
        )
    return blocks


def _may_be_missed(block: Block, host: str) -> bool:
    """Tell whether its links let a block be story: a sentence may be one, and so may a heading."""
    if block.kind == "h":
        return block.link_share < _LINKED or not any(is_on_site(one, host) for one in block.links)
    is_sentence = block.length >= _SURE_WORDS and bool(_SENTENCE_END.search(block.text))
    return block.link_share < (_MOST if is_sentence and block.kind == "p" else _LINKED)


def is_on_site(link: tuple[str, str], host: str) -> bool:
    """Tell a link to another page of the site from one within the page, or off the site."""
    try:
        target = urlsplit(link[1].strip())
    except ValueError:  # "//[": no address
        return False
    is_page = target.scheme in ("", "http", "https") and len(target.path) > 1
    return is_page and (not target.netloc or _bare(target.netloc) == _bare(host))


def _bare(netloc: str) -> str:
    return netloc.lower().removeprefix("www.")


def _is_missed(
    block: Block,
    paths: set[str],
    parents: set[HtmlElement | None],
    *,
    is_between: bool,
    region: HtmlElement,
) -> bool:
    is_sibling = block.element.getparent() in parents
    if block.kind == "h":
        return is_between and (is_sibling or _is_under(block.element, region))
    looks_alike = path_of(block.element) in paths
    if looks_alike and (is_sibling or block.length >= _LONG):
        return True
    return is_between and block.kind in ("li", "quote", "row") and _is_under(block.element, region)
