"""The lines in which a page prints who wrote it: named so by markup, or beside its headline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from lxml.html import HtmlElement

from crawler.extraction.document import text_of

_AUTHOR_PAGE = re.compile(
    r"/(?:authors?|by|people|profile|staff|writers?|contributors?|team|journalists?|autor(?:en)?"
    r"|auteurs?|autores)/",
    re.IGNORECASE,
)
# What others did to the story than write it, up to the next "by", or a separator.
OTHER_WORK = re.compile(
    r"\b(?:(?:medically|fact|expert)[\s-])?(?:(?:reviewed|edited|checked|translated|photographed"
    r"|photographs?|photography|photos?|illustrated|illustrations?|video|graphics?) by"
    r"|(?:fotos?|bearbeitet|übersetzt|redigiert) von|(?:photos?|traduit|relu) par"
    r"|(?:fotos?|editado|traducido|traduzido) por)\b"
    r"[^|•·;]*?(?=(?:\bwritten |\breported )?\bby\b|[|•·;]|$)",
    re.IGNORECASE,
)
# What a build puts behind a class: "Header--authName--2GjjR", "NameLink-sc-10pl2l7-1".
_HASH = re.compile(
    r"(?:-sc-[a-z0-9]+-\d+|[-_]{1,2}(?=[A-Za-z]{0,6}\d|[A-Za-z]{0,5}[a-z][A-Z])[A-Za-z0-9]{5,7})$"
)
_AUTHOR_CLASSES = (
    *("byline", "author", "author-name", "author__name", "author_name", "authorname", "authname"),
    *("authorlink", "authornamelink"),
)
_PERSON_BLOCK = frozenset(("byline", "author", "authors", "bylines"))
_LONGEST_BYLINE = 200
# "By Ada Quay" in a line of its own, so near to the headline (in elements) that it is the story's.
_BEGINS_BYLINE = re.compile(
    r"(?:by:?|von:?|par:?|por:?|autor(?:in)?(?:/-?autor(?:in)?)?:?|author:|auteur:|автор:?)\s+"
    r"(?-i:[^\W\d_a-z])",
    re.IGNORECASE,
)
_BEFORE_H1, _AFTER_H1, _LONGEST_LINE, _MOST_PARTS = 15, 40, 8, 4
_STORY_WORDS = 20


def byline_elements(shown: Sequence[HtmlElement]) -> list[HtmlElement]:
    """Return the first element that names authors, and those that stand beside it."""
    found: list[HtmlElement] = []
    for element in shown:
        if found and element.getparent() is not found[0].getparent():
            continue
        if _is_byline(element) and 0 < len(printed_line(element)) <= _LONGEST_BYLINE:
            found.append(element)
    return found


def printed_line(element: HtmlElement) -> str:
    return text_of(element).strip(" -–—|·•,/")


def author_links(element: HtmlElement) -> list[str]:
    links = [element] if element.tag == "a" else element.iter("a")
    writers = OTHER_WORK.sub(" ", text_of(element))
    return [
        name
        for link in links
        if "author" in (link.get("rel") or "").split()
        or _AUTHOR_PAGE.search(link.get("href") or "")
        if (name := text_of(link)) in writers
    ]


def _is_byline(element: HtmlElement) -> bool:
    if element.tag in ("body", "html", "article", "main", "section", "meta", "link", "script"):
        return False
    rel = element.get("rel")
    if (rel and "author" in rel.split()) or element.get("itemprop") == "author":
        return True
    lower = (element.get("class") or "").lower()
    if "auth" not in lower and "byline" not in lower:
        return False
    classes = (element.get("class") or "").split()
    names = [name.lower() for one in classes for name in dict.fromkeys((one, _HASH.sub("", one)))]
    return any(
        name in _PERSON_BLOCK or name.endswith(_AUTHOR_CLASSES) or name.startswith(("byline",))
        for name in names
    )


def lines_beside(elements: Sequence[HtmlElement], h1: HtmlElement | None) -> list[str]:
    """Return the lines close to the headline that name an author without a class that says so."""
    if h1 is None:
        return []
    at = next((place for place, one in enumerate(elements) if one is h1), None)
    if at is None:
        return []
    below = takewhile(lambda one: not _is_story(one), elements[at : at + _AFTER_H1])
    near = [*elements[max(0, at - _BEFORE_H1) : at], *below]
    lines = [line for one in near for line in (_line_of_authors(one), _line_behind(one))]
    return [line for line in lines if line]


def _line_behind(element: HtmlElement) -> str | None:
    """Return the line of authors that stands bare behind a date, say, in a box that is no text."""
    text, box = " ".join((element.tail or "").split()), element.getparent()
    if not text or box is None or not _is_byline_text(text):
        return None
    return text if len(text_of(box).split()) < _STORY_WORDS * 2 else None


def _is_byline_text(text: str) -> bool:
    return len(text.split()) <= _LONGEST_LINE and bool(_BEGINS_BYLINE.match(text))


def _is_story(element: HtmlElement) -> bool:
    return element.tag == "p" and len(text_of(element).split()) >= _STORY_WORDS


def _line_of_authors(element: HtmlElement) -> str | None:
    if element.tag == "a":
        is_author = bool(_AUTHOR_PAGE.search(element.get("href") or ""))
        return text_of(element) or None if is_author else None
    if element.tag not in ("p", "span", "div", "li", "address") or len(element) > _MOST_PARTS:
        return None
    text = text_of(element)
    return text if _is_byline_text(text) else None
