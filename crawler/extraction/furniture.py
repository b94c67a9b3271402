"""What a site is known to repeat, taken from a page: whole blocks and boxes, each with its rule."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from lxml.html import HtmlElement

from crawler.extraction.blocks import blocks_of
from crawler.extraction.document import text_of, visible
from crawler.extraction.noise import plain_line
from crawler.extraction.places import is_cards, label_of, place_of
from crawler.extraction.prune import Furniture, Removal, Story, is_gone, remove
from pipelines.furniture import TEXT, Learned

# A box that holds more of the page's paragraphs than this is not taken, whatever it looks like.
_LARGEST_SHARE = 0.3


def furniture_of(learned: Iterable[Learned]) -> Furniture:
    """Return what extraction needs of it.

    >>> furniture_of([]) == Furniture()
    True
    """
    places: dict[str, str] = {}
    texts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    inside: set[str] = set()
    for one in learned:
        if one.kind == TEXT:
            texts[one.place][one.text_hash] = one.rule
        else:
            places[one.place] = one.rule
        inside |= {one.place} if one.is_inside else set()
    found = Furniture(places=places, texts=dict(texts), inside=frozenset(inside))
    return replace(found, digest=_digest(found)) if places or texts else found


def furniture_hash(furniture: Furniture | None) -> str | None:
    """Return a hash of what is known, None of nothing: two that are alike read a page alike."""
    if furniture is None or not (furniture.blocks or furniture.places or furniture.texts):
        return None
    return furniture.digest or _digest(furniture)


def _digest(furniture: Furniture) -> str:
    texts = {place: sorted(some.items()) for place, some in furniture.texts.items()}
    said = [sorted(one.items()) for one in (furniture.blocks, furniture.places, texts)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def text_hash(text: str) -> str:
    """Return the hash by which texts are compared: of a whole block, as `plain_line` has it."""
    return hashlib.blake2b(plain_line(text).encode(), digest_size=8).hexdigest()


def prune_learned(
    root: HtmlElement, story: Story, furniture: Furniture | None, *, url: str
) -> list[Removal]:
    """Mark what the site is known to repeat; a box only where it is cards on this page too."""
    if furniture is None or not (furniture.places or furniture.texts):
        return []
    places = furniture.places.keys() | furniture.texts.keys()
    ends = {place.rpartition(">")[2] for place in places}
    removals: list[Removal] = []
    for element in visible(root):
        if label_of(element) not in ends or (place := place_of(element)) not in places:
            continue
        # What is within something that was taken since the walk began went with it.
        if element in story.holds_headline or is_gone(element):
            continue
        if rule := _rule_of(element, place, story, furniture, url):
            taken = remove(element, rule)
            for one in taken:
                one.is_related = place in furniture.places and place in furniture.inside
            removals += taken
    return removals


def _rule_of(
    element: HtmlElement, place: str, story: Story, furniture: Furniture, url: str
) -> str | None:
    texts = furniture.texts.get(place)
    if texts and (rule := texts.get(text_hash(text_of(element)))):
        return rule
    rule = furniture.places.get(place)
    if rule is None or story.share(element) > _LARGEST_SHARE:
        return None
    return rule if is_cards(element, list(blocks_of(element)), url=url) else None
