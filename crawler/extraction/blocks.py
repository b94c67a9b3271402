"""A page as the blocks that a reader sees: paragraphs, headings, list items, table rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml.html import HtmlElement

from crawler.extraction.document import REMOVED, text_of
from pipelines.fingerprint import tokens

INLINE = frozenset((
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em",
    "font", "i", "ins", "kbd", "label", "mark", "nobr", "q", "s", "samp", "small", "span",
    "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "img", "br", "ruby", "rt",
    "rp", "rb", "o:p",
))  # fmt: skip
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
SILENT = frozenset((
    "script", "style", "noscript", "template", "svg", "head", "iframe", "object", "button",
    "select", "input", "textarea", "option", "canvas", "audio", "video", "map", "math", "dialog",
    "rt", "rp",
))  # fmt: skip
_SPACE = re.compile(r"[^\S\n]+")
# Han, kana, Thai, Lao, Khmer, Burmese: scripts without spaces between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_PARTED = re.compile(r"\n{2,}")
_AROUND_BREAK = re.compile(r" ?\n ?")
# Links among which those of one part are sought: every part against every link is a square.
_MOST_LINKS = 200
# Cells longer than this hold layout, not data.
_LONGEST_CELL = 400


@dataclass(slots=True)
class Block:
    """One paragraph, heading, list item or table row. `kind` is p, h, li, quote or row.

    `link_share` is how much of the text is link, 0..1.
    `is_story` is False where it stands in the story's box but was not taken for story text.
    `length` is in words, also where the script puts no spaces between them.
    """

    element: HtmlElement
    text: str
    kind: str
    link_chars: int = 0
    links: list[tuple[str, str]] = field(default_factory=list)
    group: HtmlElement | None = None
    words: tuple[str, ...] = ()
    is_story: bool = True
    length: int = field(init=False)
    key: str = field(init=False)
    link_share: float = field(init=False)

    def __post_init__(self) -> None:
        self.length = length_in_words(self.words)
        self.key = " ".join(self.words)
        letters = len(self.text) - self.text.count(" ") if self.link_chars else 0
        self.link_share = self.link_chars / max(1, letters)


def blocks_of(root: HtmlElement) -> list[Block]:
    """Return the blocks under `root` in order, without what is marked as removed."""
    return _Walker().walk(root)


class _Walker:
    """Walks the tree without recursion: markup can be nested deeper than Python's stack."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.link_pieces: list[str] | None = None
        self.link_chars = 0
        self.owners: list[HtmlElement] = []
        self.found: list[Block] = []

    def walk(self, root: HtmlElement) -> list[Block]:
        stack: list[tuple[HtmlElement, bool]] = [(root, False)]
        while stack:
            element, leaving = stack.pop()
            tag = element.tag
            if leaving:
                self._leave(element, tag)
                self._say(element.tail if element is not root else None)
            elif not isinstance(tag, str) or tag in SILENT or element.get(REMOVED) is not None:
                self._say(element.tail)
            elif tag == "table" and is_data_table(element):
                self._flush()
                self.found += _rows(element)
                self._say(element.tail)
            else:
                self._enter(element, tag)
                stack.append((element, True))
                stack.extend([(child, False) for child in reversed(element)])
        self._flush()
        return self.found

    def _enter(self, element: HtmlElement, tag: str) -> None:
        if tag == "br":
            self.pieces.append("\n")
        elif tag == "a":
            self.link_pieces = []
        elif tag not in INLINE:
            self._flush()
            self.owners.append(element)
        self._say(element.text)

    def _leave(self, element: HtmlElement, tag: str) -> None:
        if tag == "a" and self.link_pieces is not None:
            text = " ".join("".join(self.link_pieces).split())
            if text:
                self.links.append((text, element.get("href") or ""))
            self.link_pieces = None
        elif tag not in INLINE:
            self._flush()
            self.owners.pop()

    def _say(self, text: str | None) -> None:
        if text:
            self.pieces.append(text.replace("\n", " "))
            if self.link_pieces is not None:
                self.link_pieces.append(text)
                self.link_chars += len("".join(text.split()))

    def _flush(self) -> None:
        if not self.pieces:
            self.links = []
            return
        raw, links, chars = "".join(self.pieces), self.links, self.link_chars
        self.pieces, self.links, self.link_chars = [], [], 0
        if raw.isspace():
            return
        text = _AROUND_BREAK.sub("\n", _SPACE.sub(" ", raw)).strip()
        if not text or not self.owners:
            return
        # Two line breaks in a row are how old pages part their paragraphs.
        parts = [text]
        if "\n\n" in text:
            parts = [part.strip() for part in _PARTED.split(text) if part.strip()]
        first = 0
        for part in parts:
            near = links[first : first + _MOST_LINKS]
            own = links if len(parts) == 1 else [link for link in near if link[0] in part]
            if own and len(links) > _MOST_LINKS:
                first = links.index(own[0], first)
            share = chars if len(parts) == 1 else sum(len("".join(t.split())) for t, _ in own)
            self.found.append(_block(self.owners, part, own, share))


def _block(
    owners: list[HtmlElement], text: str, links: list[tuple[str, str]], link_chars: int
) -> Block:
    element = owners[-1]
    kind, group = "p", None
    for owner in reversed(owners[-6:]):
        if owner.tag in HEADINGS:
            kind = "h"
        elif owner.tag in ("li", "dt", "dd"):
            kind, group = "li", owner.getparent()
        elif owner.tag == "blockquote":
            kind = "quote"
        else:
            continue
        break
    return Block(element, text, kind, link_chars, links, group, tuple(tokens(text)))


def is_data_table(table: HtmlElement) -> bool:
    """Tell a table of figures from one that lays out a page."""
    cells = 0
    for node in table.iter("table", "td", "th", "p", "h1", "h2", "article"):
        if node.tag in ("table", "h1", "h2", "article") and node is not table:
            return False
        if node.tag in ("td", "th"):
            cells += 1
            if len(node.findall(".//p")) > 2 or len(text_of(node)) > _LONGEST_CELL:
                return False
    return cells > 1


def _rows(table: HtmlElement) -> Iterator[Block]:
    for row in table.iter("tr", "caption"):
        if row.tag == "caption" or row.get(REMOVED) is not None:
            continue
        cells = [text_of(cell) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            text = " | ".join(cells).strip(" |")
            yield Block(row, text, "row", 0, [], table, tuple(tokens(text)))


def length_in_words(words: tuple[str, ...] | list[str]) -> int:
    """Count words; of Chinese, Japanese and Thai, two signs as one.

    >>> length_in_words(("巡逻将持续到十一月", "2026"))
    6
    """
    if not _UNSPACED.search("".join(words)):
        return len(words)
    return len(words) + sum(
        len(word) // 2 for word in words if not word.isascii() and _UNSPACED.search(word)
    )


def render(blocks: list[Block]) -> str:
    """Return the text: a blank line between blocks, one line between items of a list or table."""
    parts: list[str] = []
    last: HtmlElement | None = None
    for block in blocks:
        if parts:
            parts.append("\n" if block.group is not None and block.group is last else "\n\n")
        parts.append(block.text)
        last = block.group
    return "".join(parts)
