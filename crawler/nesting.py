"""Markup nested deeper than the parser goes, made flat, in time that grows with the page alone.

libxml2 stops at 256 open elements (they would cost it and every walk up the tree a square of
their number) and says nothing of what stands below: the story, where each of a page's boxes was
opened and none closed. Here the tags that would lead too deep are left out, and a break put where
they parted text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

# A page needs some thirty levels. Boxes may go less deep than what stands in the last of them.
_DEEPEST_BOX, _DEEPEST = 24, 32
# The parser gives up at ten million characters in one piece; a picture in an attribute has them.
_LONGEST_PIECE = 1_000_000
# Never two quantifiers over the same character: a tag that does not end is read once.
_TAG = re.compile(r"<(?:(!--)|(/?)([a-zA-Z][\w:-]*)[^<>]*>?)")
_EMPTY = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
))  # fmt: skip
_RAW = frozenset(("script", "style", "textarea", "title", "noscript", "iframe", "xmp"))
_BOXES = frozenset((
    "div", "section", "article", "main", "center", "table", "tbody", "tr", "td", "ul", "ol", "font",
    "span", "form", "fieldset", "dl", "aside", "header", "footer", "nav", "frameset",
))  # fmt: skip
_INLINE = frozenset((
    "a", "abbr", "b", "big", "cite", "code", "em", "font", "i", "label", "mark", "q", "s", "small",
    "span", "strike", "strong", "sub", "sup", "tt", "u",
))  # fmt: skip
# Which one more of the same ends (HTML, "optional tags").
_ENDS_ITSELF = frozenset((
    "p", "li", "td", "th", "tr", "dt", "dd", "option", "a", "h1", "h2", "h3", "h4", "h5", "h6",
))  # fmt: skip
# An end tag does not reach out of these.
_WALLS = {"div": 1, "td": 2, "th": 2, "tr": 3, "tbody": 4, "table": 5, "body": 6, "html": 7}


def has_left_off(parser: etree.HTMLParser) -> bool:
    """Tell whether the parser, after its page, says that it stopped at one of its limits."""
    return any(error.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in parser.error_log)


def flatten(text: str) -> str:
    """Return `text` without the tags that lead too deep, and without pieces that are too long."""
    return "".join(_flat(text))


def _flat(text: str) -> Iterator[str]:
    levels = _Levels()
    at = 0
    is_parted = True
    while match := _TAG.search(text, at):
        start, at = match.span()
        if between := text[match.pos : start][:_LONGEST_PIECE]:
            yield between
            is_parted = False
        comment, ends, name = match[1], match[2], (match[3] or "").lower()
        if comment:
            at = _after(text, "-->", at)
        elif levels.takes(name, is_end=bool(ends)):
            yield match[0] if at - start < _LONGEST_PIECE else f"<{name}>"
            if name in _RAW and not ends:
                end = _after(text, f"</{name}", at, before=True)
                yield text[at:end][:_LONGEST_PIECE]
                at = end
        elif name not in _INLINE and not is_parted:
            # One break for all that parts two texts: a break for each is as long as the page.
            yield "<br><br>"
            is_parted = True
    yield text[at:][:_LONGEST_PIECE]


def _after(text: str, sign: str, at: int, *, before: bool = False) -> int:
    """Return where `sign` ends (or begins) after `at`, or the end of the text."""
    found = text.find(sign, at)
    if found < 0:
        return len(text)
    return found if before else found + len(sign)


class _Levels:
    """What is open at a place, as the parser would have it, but for what was left out."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def takes(self, name: str, *, is_end: bool) -> bool:
        """Open or close `name`; tell whether its tag is to stay."""
        if name in _EMPTY:
            return True
        if is_end:
            return self._close(name)
        if name in _ENDS_ITSELF and self._open and self._open[-1] == name:
            return True
        if len(self._open) >= (_DEEPEST_BOX if name in _BOXES else _DEEPEST):
            return False
        self._open.append(name)
        return True

    def _close(self, name: str) -> bool:
        """Close `name` with what is open in it. At most `_DEEPEST` are looked at."""
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place] == name:
                del self._open[place:]
                return True
            if _WALLS.get(self._open[place], 0) > _WALLS.get(name, 0):
                return False
        return False
