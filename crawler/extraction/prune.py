"""Takes away, by markup, what is no part of the story, and says what it took and by which rule."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

from lxml.cssselect import CSSSelector
from lxml.html import HtmlElement

from crawler.extraction.document import REMOVED, css_path, text_of
from crawler.extraction.noise import Markup, noise, plain_line
from pipelines.model import RemovedBlock

LONGEST_TEXT = 300
# Where pages without paragraphs have their text.
_TEXT_BOXES = ("div", "td", "section", "article")
_LONG_TEXT, _LONG_PIECE = 40, 40
_WORD = re.compile(r"[a-z0-9]+|[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_ROOTS = frozenset(("html", "head", "body", "main"))
_TITLES = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_MOST_OF_STORY = 0.4
_NAVIGATION = frozenset(("nav", "footer", "aside", "menu"))
_NAVIGATING = frozenset(("navigation", "banner", "contentinfo", "search"))
_NOT_PRUNED = frozenset(
    ("script", "style", "noscript", "template", "svg", "form", "iframe", "head")
)


@dataclass(frozen=True, slots=True)
class Furniture:
    """What a site repeats from page to page, each with the rule that it goes by.

    `blocks` has the whole text of a block, as `noise.plain_line` gives it, wherever it stands.
    What was learned goes by its place, as `places.place_of` gives it: `texts` by the hash of the
    text there, `places` whatever stands there; `inside` are those within the story's box. `digest`
    is their hash.
    """

    blocks: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    inside: frozenset[str] = frozenset()
    digest: str = ""


@dataclass(slots=True)
class Removal:
    """Something cleaned away: what is reported, and the element it was, for its links."""

    block: RemovedBlock
    element: HtmlElement
    is_related: bool = False  # its links are to other stories, whatever its rule


class Story:
    """Where the story stands, so that no rule takes it away with a wrapper."""

    def __init__(self, root: HtmlElement, headline: HtmlElement | None) -> None:
        self.holds_headline = set() if headline is None else {headline, *headline.iterancestors()}
        self.weights: dict[HtmlElement, int] = {}
        self.by_class: Counter[str] = Counter()
        seen: set[str] = set()
        for element in root.iter("p", *_TEXT_BOXES):
            text = text_of(element) if element.tag == "p" else _own_text(element)
            length = len(text)
            if length >= _LONG_TEXT:
                self._weigh(element, length, is_new=text not in seen)
                seen.add(text)
        self.total = max(1, self.weights.get(root, 0))

    def _weigh(self, element: HtmlElement, length: int, *, is_new: bool) -> None:
        for one in (element, *element.iterancestors()):
            self.weights[one] = self.weights.get(one, 0) + length
            if is_new and (names := one.get("class")):
                self.by_class[names] += length

    def share(self, element: HtmlElement) -> float:
        """Return the part of the page's paragraphs under `element`, 0..1."""
        return self.weights.get(element, 0) / self.total

    def is_its_class(self, element: HtmlElement) -> bool:
        """Tell whether boxes of the same class hold most of the story, which is parted into them.

        So do `paywall`, `ad-wrapper` and `sidebar-grid` on sites that class their paragraphs thus.
        """
        own = self.weights.get(element, 0)
        of_class = self.by_class[element.get("class") or ""] if own else 0
        return of_class > _MOST_OF_STORY * self.total and own < _MOST_OF_STORY * of_class


def _own_text(box: HtmlElement) -> str:
    """Return the text that stands in `box` itself, in pieces that are no labels."""
    pieces = [box.text, *[child.tail for child in box]]
    return "".join([one.strip() for one in pieces if one and len(one) >= _LONG_PIECE])


def prune_site(root: HtmlElement, selectors: tuple[str, ...]) -> list[Removal]:
    """Mark what the site file names; nothing protects the story from its own site's rules."""
    found: list[Removal] = []
    for selector in selectors:
        for element in select(root, selector):
            if not is_gone(element):
                found += remove(element, f"site:{selector}")
    return found


def select(root: HtmlElement, selector: str) -> list[HtmlElement]:
    """Return the elements that a site file's CSS selector names, in order."""
    found = _compiled(selector)(root)
    return [one for one in found if isinstance(one, HtmlElement)] if isinstance(found, list) else []


@lru_cache(maxsize=512)
def _compiled(selector: str) -> CSSSelector:
    return CSSSelector(selector, translator="html")


def prune_markup(root: HtmlElement, story: Story) -> list[Removal]:
    """Mark share, related, newsletter, advertising, consent, comment and such blocks."""
    return list(_prune(root, story, noise().markup, with_tags=True))


def prune_printed(root: HtmlElement, story: Story) -> list[Removal]:
    """Mark captions, bylines and dates: to be called after they have been read."""
    return list(_prune(root, story, noise().printed, with_tags=False))


def _prune(
    root: HtmlElement, story: Story, rules: tuple[Markup, ...], *, with_tags: bool
) -> Iterator[Removal]:
    stack = [root]
    while stack:
        element = stack.pop()
        tag = element.tag
        if tag in _NOT_PRUNED or not isinstance(tag, str) or element.get(REMOVED) is not None:
            continue
        named = _rule_of(element, story, rules)
        if named is None:
            rule = _by_tag(element, story) if with_tags else _printed_tag(element, story)
            named = (rule, rule in ("navigation", "hidden")) if rule else None
        if named is None:
            stack.extend(reversed(element))
            continue
        rule, silent = named
        name = rule if rule in ("caption", "byline") else f"markup:{rule}"
        removals = remove(element, name)
        if not silent:
            yield from removals


def _rule_of(
    element: HtmlElement, story: Story, rules: tuple[Markup, ...]
) -> tuple[str, bool] | None:
    classes, identity = element.get("class") or "", element.get("id") or ""
    if not (classes or identity):
        return None
    # The id of a heading is made of its words, which are the story's.
    identity = "" if element.tag in _TITLES else identity
    matches = _matches(classes, identity, rules is noise().markup)
    if not matches or element.tag in _ROOTS or element in story.holds_headline:
        return None
    for index in matches:
        rule = rules[index]
        is_parted = rule.parts and story.is_its_class(element)
        if story.share(element) <= rule.share and not is_parted:
            return rule.rule, rule.silent
    return None


@lru_cache(maxsize=20_000)
def _matches(classes: str, identity: str, of_markup: bool) -> tuple[int, ...]:
    """Return the places of the rules that the names meet, in the order of the rules."""
    found: list[int] = []
    for name in classes.split():
        found += _named(name, of_markup, False)
    if identity := identity.strip():
        found += _named(identity, of_markup, True)
    return tuple(sorted(set(found))) if found else ()


@lru_cache(maxsize=50_000)
def _named(name: str, of_markup: bool, is_id: bool) -> tuple[int, ...]:
    index, lower = _index(of_markup), name.lower()
    found = [*(index.ids if is_id else index.classes).get(lower, ())]
    if lower.startswith(index.starts):
        found += [place for prefix, place in index.prefixes if lower.startswith(prefix)]
    if not name.startswith(_NOT_OF_A_BOX):
        for word in _WORD.findall(name):
            found += index.words.get(word.lower(), ())
    return tuple(found)


# Prefixes of classes that speak of the page, the post or its state, not of what a box holds.
_NOT_OF_A_BOX = ("has-", "no-", "with-", "is-", "js-", "post-", "category-", "tag-")


@dataclass(frozen=True, slots=True)
class _Index:
    """Where each name is spoken of: name → places in the list of rules."""

    classes: Mapping[str, list[int]]
    ids: Mapping[str, list[int]]
    words: Mapping[str, list[int]]
    prefixes: tuple[tuple[str, int], ...]
    starts: tuple[str, ...]


@cache
def _index(of_markup: bool) -> _Index:
    rules = noise().markup if of_markup else noise().printed
    classes, ids, words = (defaultdict[str, list[int]](list) for _ in range(3))
    for place, rule in enumerate(rules):
        for names, table in ((rule.classes, classes), (rule.ids, ids), (rule.words, words)):
            for name in names:
                table[name].append(place)
    prefixes = tuple((one, place) for place, rule in enumerate(rules) for one in rule.prefixes)
    starts = tuple(prefix for prefix, _ in prefixes)
    return _Index(dict(classes), dict(ids), dict(words), prefixes, starts)


def _by_tag(element: HtmlElement, story: Story) -> str | None:
    tag, role = element.tag, element.get("role")
    is_hidden = element.get("hidden") is not None or _HIDDEN_STYLE.search(
        element.get("style") or ""
    )
    if not (is_hidden or tag in _NAVIGATION or role in _NAVIGATING):
        return None
    if element in story.holds_headline or tag in _ROOTS:
        return None
    share = story.share(element)
    if tag in _NAVIGATION and share < 0.3:
        in_story = tag == "aside" and share > 0
        return "aside" if in_story else "navigation"
    if role in _NAVIGATING and share < 0.2:
        return "navigation"
    # A story that scripts uncover later is hidden too: only what is a small part of the page.
    is_small = share < 0.2 and not story.is_its_class(element)
    return "hidden" if is_hidden and is_small else None


def _printed_tag(element: HtmlElement, story: Story) -> str | None:
    if element.tag == "figcaption" and story.share(element) < 0.2:
        return "caption"
    if element.tag == "address" or element.get("rel") == "author":
        return "byline"
    return None


def remove(element: HtmlElement, rule: str) -> list[Removal]:
    """Mark `element` and report it, unless nothing in it can be read."""
    element.set(REMOVED, rule)
    text = text_of(element)
    if not text:
        return []
    block = RemovedBlock(text=shorten(text), rule=rule, selector=css_path(element))
    return [Removal(block, element)]


def shorten(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1].rstrip() + "…"


def is_gone(element: HtmlElement) -> bool:
    return element.get(REMOVED) is not None or any(
        one.get(REMOVED) is not None for one in element.iterancestors()
    )


def furniture_rule(text: str, furniture: Furniture | None) -> str | None:
    """Return the rule of a block that the site is known to repeat."""
    if furniture is None or not furniture.blocks:
        return None
    rule = furniture.blocks.get(plain_line(text)) or furniture.blocks.get(text)
    return f"furniture:{rule}" if rule else None
