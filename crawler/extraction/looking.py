"""A page looked at for what its site repeats: its blocks and boxes, and where the story is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from urllib.parse import urljoin

from lxml.html import HtmlElement

from crawler.extraction.blocks import Block, blocks_of
from crawler.extraction.document import decode, parse, text_of
from crawler.extraction.forms import prune_forms
from crawler.extraction.furniture import text_hash
from crawler.extraction.headline import find_h1
from crawler.extraction.jsonld import read_jsonld
from crawler.extraction.metadata import read_metadata
from crawler.extraction.noise import plain_line
from crawler.extraction.places import (
    A_SENTENCE,
    LANDMARKS,
    is_cards,
    label_of,
    link_share,
    place_of,
    upwards,
)
from crawler.extraction.prune import Story, prune_markup, prune_printed, prune_site, shorten
from crawler.site import Site
from pipelines.fingerprint import tokens

# Pages of reader's comments and live blogs have thousands; what is furniture comes soon enough.
_MOST_UNITS = 1_000
# The region holds nearly all of the paragraphs; they stand where this much of the story does.
_MOST_OF_FLOW, _FLOW = 0.9, 0.2
# How far up from a heading's follower the box may begin that it is the heading of.
_FAR = 4
# How far up from a line its box may begin: cards are small, a page may be nested very deep.
_DEEPEST = 8
_BOXES = frozenset((
    "div", "section", "aside", "ul", "ol", "p", "li", "figure", "article", "nav", "blockquote",
    "table", "header", "footer", "h2", "h3", "h4", "h5", "h6",
))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the lake has of a page's article: it tells which of the page's blocks are the story."""

    headline: str | None
    article_body: str
    topic: str = ""
    fetched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A block, or a box, which has no `text_hash`: it is known by its place alone.

    `zone` is `outside`, or `head`, `middle`, `tail` of the story; `is_flow`: it stands where the
    paragraphs do, or holds one; `is_in_body`: it was read as story. `above` are the places that a
    heading may be the heading of.
    """

    place: str
    text: str
    text_hash: str
    zone: str
    kind: str
    is_flow: bool
    is_in_body: bool
    link_share: float
    targets: tuple[str, ...] = ()
    words: int = 0
    above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One page. `story` has what tells two stories apart, `topic` where the site files it."""

    url: str
    layout: str
    topic: str
    headline: str
    fetched_at: datetime
    story: frozenset[str]
    units: tuple[Unit, ...]


def look_at(
    html: bytes,
    url: str,
    *,
    told: Told,
    site: Site | None = None,
    headers: Mapping[str, str] | None = None,
) -> Look | None:
    """Look at a page without what markup tells already; None where its story is not on it."""
    root = parse(decode(html, headers))
    if root is None:
        return None
    held = list(root.iter())  # see `extract`
    h1 = find_h1(root, metadata=read_metadata(root, url), jsonld=read_jsonld(root, url=url))
    story = Story(root, h1)
    prune_site(root, site.rules_at(told.fetched_at.date()).prune if site else ())
    prune_markup(root, story)
    prune_forms(root, story)
    prune_printed(root, story)
    found = _look(root, h1, url, told)
    held.clear()
    return found


def _look(root: HtmlElement, h1: HtmlElement | None, url: str, told: Told) -> Look | None:
    blocks = blocks_of(root)
    lines = {" ".join(tokens(line)) for line in told.article_body.splitlines()} - {""}
    of_story = [one for one in blocks if one.key in lines and one.kind != "h"]
    if not of_story:
        return None
    page = _Page(blocks, of_story, lines, url=url, h1=h1)
    return Look(
        url=url,
        layout=page.layout,
        topic=told.topic,
        headline=plain_line(told.headline or ""),
        fetched_at=told.fetched_at,
        story=frozenset(text_hash(one.key) for one in of_story if one.length >= A_SENTENCE),
        units=tuple(islice(page.units(), _MOST_UNITS)),
    )


class _Page:
    """Where a page's paragraphs stand, and what stands around them."""

    def __init__(
        self,
        blocks: list[Block],
        of_story: list[Block],
        lines: set[str],
        *,
        url: str,
        h1: HtmlElement | None,
    ) -> None:
        self.url, self.blocks, self.lines = url, blocks, lines
        self.above_headline = set() if h1 is None else {h1, *h1.iterancestors()}
        self.places = {block.element: place_of(block.element) for block in blocks}
        self.flow, self.layout = self._flow(of_story)
        ids = {id(one) for one in of_story}
        self.in_flow = [id(one) in ids and self.places[one.element] in self.flow for one in blocks]
        marked = [place for place, is_in in enumerate(self.in_flow) if is_in]
        self.first, self.last = marked[0], marked[-1]
        self.region = self._region()
        self.inside = set(self.region.iter())  # by identity: `look_at` holds them all

    def _flow(self, of_story: list[Block]) -> tuple[set[str], str]:
        """Return the places where the paragraphs stand, and the one that has most of them."""
        weights: Counter[str] = Counter()
        for block in of_story:
            weights[self.places[block.element]] += block.length
        top = max(sorted(weights), key=lambda one: weights[one])
        least = _FLOW * weights.total()
        return {one for one, weight in weights.items() if weight >= least} | {top}, top

    def _region(self) -> HtmlElement:
        """Return the smallest element that holds nearly all of the paragraphs."""
        weights: Counter[HtmlElement] = Counter()
        for block, is_in in zip(self.blocks, self.in_flow, strict=True):
            if is_in:
                for one in block.element.iterancestors():
                    weights[one] += max(1, block.length)
        least = _MOST_OF_FLOW * max(weights.values())
        held = [one for one, weight in weights.items() if weight >= least]
        return max(held, key=lambda one: sum(1 for _ in one.iterancestors()))

    def units(self) -> Iterator[Unit]:
        """Yield the boxes around links, then the blocks that are whole elements."""
        for box, places in self._boxes().items():
            own = [self.blocks[place] for place in places]
            yield Unit(
                place=place_of(box),
                text=shorten(" ".join(one.text for one in own)),
                text_hash="",
                zone=self._zone(places[0], box),
                kind="cards" if is_cards(box, own, url=self.url) else "box",
                is_flow=any(self.in_flow[place] for place in places),
                is_in_body=any(one.key in self.lines for one in own),
                link_share=link_share(own),
                words=sum(one.length for one in own),
            )
        for place, block in enumerate(self.blocks):
            plain = plain_line(block.text)
            if plain and plain == plain_line(text_of(block.element)):
                yield self._text(place, block)

    def _text(self, place: int, block: Block) -> Unit:
        return Unit(
            place=self.places[block.element],
            text=shorten(block.text),
            text_hash=text_hash(block.text),
            zone=self._zone(place, block.element),
            kind=block.kind,
            is_flow=self.places[block.element] in self.flow,
            is_in_body=block.key in self.lines,
            link_share=block.link_share,
            targets=tuple(_joined(self.url, href) for _, href in block.links),
            words=block.length,
            above=self._above(place + 1) if block.kind == "h" else (),
        )

    def _above(self, place: int) -> tuple[str, ...]:
        if place >= len(self.blocks):
            return ()
        return tuple(place_of(one) for one in islice(upwards(self.blocks[place].element), _FAR))

    def _zone(self, place: int, element: HtmlElement) -> str:
        if element not in self.inside:
            return "outside"
        # The first paragraph counts with it: there stand prefaces and datelines.
        if place <= self.first:
            return "head"
        return "tail" if place >= self.last else "middle"

    def _boxes(self) -> dict[HtmlElement, list[int]]:
        """Return the boxes that are smaller than the story's, each with its blocks' numbers."""
        boxes: dict[HtmlElement, list[int]] = {}
        for place, block in enumerate(self.blocks):
            for element in islice(upwards(block.element), _DEEPEST):
                if element in self.above_headline or element.tag in LANDMARKS:
                    break
                if element is self.region:
                    break
                # What has no name of its own cannot be told from the paragraphs' boxes.
                if element.tag in _BOXES and label_of(element) != element.tag:
                    boxes.setdefault(element, []).append(place)
        return boxes


def _joined(url: str, href: str) -> str:
    try:
        return urljoin(url, href)
    except ValueError:  # "//[": no address, and none is made of it
        return href
