"""Where a block or box stands on its page, in words that hold on the site's other pages too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from lxml.html import HtmlElement

from crawler.extraction.blocks import Block
from crawler.extraction.document import text_of

LANDMARKS = frozenset(("article", "main", "body", "html"))
# A line is links when half of it is. A sentence has so many words, a card's text no more than that.
LINKED, A_SENTENCE, SHORT = 0.5, 12, 40
# What a card may have beside its title in all, and how much of a box of cards is links.
_A_CARD, _TITLE, _CARD_LINKED = 60, 0.7, 0.3
_FEWEST_WORDS, _MOST_STEPS, _MOST_NAMES, _LONGEST_NAME = 3, 5, 4, 60
_IMAGE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|svg)$", re.IGNORECASE)
# Classes that speak of one page, post or state, and not of the box.
_OF_ONE_PAGE = ("has-", "no-", "with-", "is-", "js-", "post-", "category-", "tag-", "wp-image-")
_TITLES = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_DIGIT, _NUMBER = re.compile(r"\d"), re.compile(r"\d{3}")


def place_of(element: HtmlElement) -> str:
    """Return tags and names of the last steps down to an element, from a landmark at most.

    What differs from page to page (numbers, states, what a post is filed under) is left out.
    """
    steps: list[str] = []
    for one in upwards(element):
        steps.append(label_of(one))
        is_named = one is not element and "#" in steps[-1]
        if one.tag in LANDMARKS or is_named or len(steps) == _MOST_STEPS:
            break
    return ">".join(reversed(steps))


def upwards(element: HtmlElement) -> Iterator[HtmlElement]:
    yield element
    yield from element.iterancestors()


def label_of(element: HtmlElement) -> str:
    """Return an element's tag with its lasting id and classes.

    >>> from lxml.html import fragment_fromstring
    >>> label_of(fragment_fromstring('<div id="post-8127" class="zx-box is-open zx-9"></div>'))
    'div.zx-9.zx-box'
    """
    return _labelled(str(element.tag), element.get("id") or "", element.get("class") or "")


@lru_cache(maxsize=20_000)
def _labelled(tag: str, identity: str, classes: str) -> str:
    if tag in LANDMARKS:
        return tag  # filed under, written by, in which state: all of it stands there
    names = sorted({name for name in classes.split() if _is_lasting(name)})[:_MOST_NAMES]
    # A heading's id is made of its words.
    is_own = _is_lasting(identity) and tag not in _TITLES and not _DIGIT.search(identity)
    return f"{tag}{f'#{identity}' if is_own else ''}{''.join(f'.{name}' for name in names)}"


def _is_lasting(name: str) -> bool:
    is_plain = 0 < len(name) <= _LONGEST_NAME and ">" not in name and len(name.split()) == 1
    return is_plain and not _NUMBER.search(name) and not name.lower().startswith(_OF_ONE_PAGE)


def link_share(blocks: Sequence[Block]) -> float:
    """Return how much of the blocks' text is link, 0..1."""
    letters = sum(len(one.text.replace(" ", "")) for one in blocks)
    return sum(one.link_chars for one in blocks) / max(1, letters)


def is_cards(box: HtmlElement, blocks: Sequence[Block], *, url: str) -> bool:
    """Tell whether a box holds no more than titles of other pages of the site, and their cards.

    `blocks` are the box's own. A card has a title, or a picture, that is a link, and a sentence.
    """
    targets: set[str] = set()
    has_picture = False
    for link in box.iter("a"):
        if target := _other_page(link.get("href") or "", url):
            targets.add(target)
            has_picture = has_picture or not text_of(link)
    words = sum(one.length for one in blocks)
    if not targets or not 0 < words <= _A_CARD * len(targets):
        return False
    is_titled = any(
        one.link_share > _TITLE and one.length >= _FEWEST_WORDS and one.kind != "row"
        for one in blocks
    )
    sentences = sum(one.length >= A_SENTENCE and one.link_share < LINKED for one in blocks)
    is_short = words <= SHORT * len(targets)
    is_linked = link_share(blocks) >= _CARD_LINKED or is_short
    return (is_titled or has_picture) and sentences <= len(targets) and is_linked


def _other_page(href: str, url: str) -> str | None:
    """Return the path of another page of this site."""
    try:
        target, here = urlsplit(urljoin(url, href.strip())), urlsplit(url)
    except ValueError:
        return None
    if target.scheme not in ("http", "https") or _bare(target.netloc) != _bare(here.netloc):
        return None
    is_page = target.path.rstrip("/") not in ("", here.path.rstrip("/"))
    return target.path if is_page and not _IMAGE.search(target.path) else None


def _bare(netloc: str) -> str:
    return netloc.lower().removeprefix("www.")
