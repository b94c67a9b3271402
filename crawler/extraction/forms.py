"""Boxes that ask the reader for something: a form for an address, with what is said around it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml.html import HtmlElement

from crawler.extraction.document import REMOVED, text_of
from crawler.extraction.prune import Removal, Story, is_gone, remove

_MAIL = re.compile(r"e-?mail|newsletter", re.IGNORECASE)
# What stands around a form that asks for an address is its offer, while it is as short as this.
_LONGEST_OFFER = 500
_MOST_FORMS = 30


def prune_forms(root: HtmlElement, story: Story) -> list[Removal]:
    """Mark the boxes that ask for an e-mail address, with the offer that stands in them."""
    found: list[Removal] = []
    for field in _fields(root):
        if not is_gone(field) and (box := _box_of(field, story)) is not None:
            found += remove(box, "markup:form")
    return found


def _fields(root: HtmlElement) -> Iterator[HtmlElement]:
    fields = [field for field in root.iter("input") if _asks_for_mail(field)]
    return iter(fields[:_MOST_FORMS])


def _asks_for_mail(field: HtmlElement) -> bool:
    kind = (field.get("type") or "text").lower()
    said = " ".join(field.get(key) or "" for key in ("name", "id", "placeholder", "aria-label"))
    return kind == "email" or (kind == "text" and bool(_MAIL.search(said)))


def _box_of(field: HtmlElement, story: Story) -> HtmlElement | None:
    """Return the largest box around `field` that holds no more than an offer."""
    box: HtmlElement | None = None
    for element in field.iterancestors():
        if element.tag in ("body", "html", "main", "article") or element in story.holds_headline:
            break
        if story.share(element) > _MOST_OF_STORY or len(text_of(element)) > _LONGEST_OFFER:
            break
        if element.get(REMOVED) is None:
            box = element
    return box


# An offer may be written in a paragraph as long as the story's own.
_MOST_OF_STORY = 0.25
