"""Plain text of what feeds carry as HTML, escaped once or twice."""

from __future__ import annotations

import html
import re

from lxml import etree

# A longer one is the article's text, put where the standfirst belongs.
MAX_DESCRIPTION_CHARS = 2_000
_MAX_MARKUP_CHARS = 60_000
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--")
_TAGS = re.compile(r"<[^<>]*>")
_REFERENCE = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BREAKS = frozenset(
    {"p", "br", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "td", "tr", "table",
     "blockquote", "figure", "figcaption", "section", "article", "hr", "img"}
)  # fmt: skip
_UNSEEN = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object"})
# "[…]" ends an excerpt; behind a whole sentence it says nothing.
_CUT_MARK_IN_SENTENCE = re.compile(r"(?<![.!?…\s])\s*\[\s*(?:…|\.{3})\s*\]$")
_CUT_MARK = re.compile(r"([.!?…])\s*\[\s*(?:…|\.{3})\s*\]$")


def plain_text(text: str | None) -> str | None:
    """Return `text` without markup, its white space collapsed; None when nothing is left.

    >>> plain_text("<b>Navy</b> &amp;#8217;s new ship<br>sails")
    'Navy ’s new ship sails'
    >>> plain_text("Range < 500 km")
    'Range < 500 km'
    """
    if not text or len(text) > _MAX_MARKUP_CHARS:
        return None
    shown = _FORBIDDEN.sub("", text)
    shown = _text_of(shown) if _TAG.search(shown) else _unescaped(shown)
    return " ".join(_FORBIDDEN.sub("", _unescaped(shown)).split()) or None


def standfirst(text: str | None, *, link: str | None = None) -> str | None:
    """Return a feed's description as plain text, or None when it is none.

    `link` is the article's: a last paragraph that only links there, and says where the article
    appeared first, is the feed's own footer, in whatever language.
    """
    if not text or len(text) > _MAX_MARKUP_CHARS:
        return None
    shown = plain_text(_without_footer(text, link) if link else text)
    if shown is None or len(shown) > MAX_DESCRIPTION_CHARS:
        return None
    return _CUT_MARK.sub(r"\1", _CUT_MARK_IN_SENTENCE.sub("…", shown))


def _unescaped(text: str) -> str:
    # Names without their semicolon stay: in "R&D" or "Q&not" nothing was escaped.
    return _REFERENCE.sub(lambda match: html.unescape(match[0]), text)


def _text_of(markup: str) -> str:
    tree = _fragment(markup)
    return _TAGS.sub(" ", markup) if tree is None else "".join(_pieces(tree))


def _fragment(markup: str) -> etree._Element | None:
    try:
        return etree.fromstring(
            f"<html><body>{markup}</body></html>", etree.HTMLParser(no_network=True)
        )
    except etree.LxmlError:
        return None


def _pieces(tree: etree._Element) -> list[str]:
    pieces: list[str] = []
    unseen = 0
    for event, element in etree.iterwalk(tree, events=("start", "end", "comment", "pi")):
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            unseen += tag in _UNSEEN
            pieces += [" "] if tag in _BREAKS else []
            pieces += [element.text or ""] if not unseen else []
            continue
        if event == "end":
            unseen -= tag in _UNSEEN
            pieces += [" "] if tag in _BREAKS else []
        pieces += [element.tail or ""] if not unseen else []
    return pieces


def _without_footer(markup: str, link: str) -> str:
    at = markup.lower().rfind("<p")
    if at <= 0:
        return markup
    address = re.escape(html.escape(link.partition("?")[0].partition("#")[0]))
    footer = markup[at:]
    links_back = re.search(rf"""<a\s[^>]*href\s*=\s*["']?{address}""", footer)
    is_short = len(_TAGS.sub("", footer)) < 400
    return markup[:at] if links_back and footer.lower().count("<a") == 2 and is_short else markup
