"""Who wrote it: people are authors; a desk or the site's own name is a byline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lxml.html import HtmlElement

from crawler.extraction.document import text_of, visible
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from pipelines.fingerprint import tokens

_BY = re.compile(
    r"^\W*(?:(?:written|posted|story|reported|report) by|authors?\s*:|by\s*:|by\b"
    r"|von\b|par\b|por\b"
    r"|di\b|του\b|της\b|Автор\s*:|автор\b|Yazar\s*:)\s*",
    re.IGNORECASE,
)
_AND = re.compile(
    r"\s*(?:;|\||&|\band\b|\bund\b|\bet\b|\by\b|\be\b|\bκαι\b|\bта\b|\bі\b|\bи\b|,)\s*",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"\b(reporter|correspondent|editor|writer|staff|contributor|columnist|producer|analyst"
    r"|bureau|chief|senior|associate|director|special to|reuters|associated press|afp|\bap\b)\b",
    re.IGNORECASE,
)
_DESK = re.compile(
    r"\b(newsroom|staff|\w*desk|editors?|editorial|team|redaktion|rédaction|redaction|redacción"
    r"|redakcja|redazione|redação|news service|newswire|press release|admin|administrator|agencies"
    r"|agency|reporters?|correspondents?|web|wire|online|contributors?|bureau|webmaster"
    r"|редакц\w*|агентств\w*|редакція|σύνταξη|συντακτική|ομάδα)\b",
    re.IGNORECASE,
)
_AGENCIES = frozenset(
    (
        "reuters",
        "ap",
        "afp",
        "dpa",
        "upi",
        "ansa",
        "efe",
        "tass",
        "pap",
        "apa",
        "ukrinform",
        "xinhua",
        "yonhap",
        "interfax",
        "unian",
        "anadolu",
        "bloomberg",
        "dpa-afx",
        "press association",
        "associated press",
        "the associated press",
        "ria novosti",
    )
)
_NOT_A_NAME = re.compile(r"https?://|www\.|@|\d{2,}|[<>{}]|\b(updated|published|posted|min read)\b")
_PERSON_BLOCK = frozenset(("byline", "author", "authors", "bylines"))
_LONGEST_NAME, _LONGEST_BYLINE = 60, 200


@dataclass(frozen=True, slots=True)
class Credits:
    authors: tuple[str, ...] = ()
    byline: str | None = None


def find_credits(
    root: HtmlElement,
    *,
    metadata: Metadata,
    jsonld: JsonLd,
    publisher: str | None,
    hints: tuple[str, ...],
) -> Credits:
    """Read the people from JSON-LD, then meta tags, then the printed line, then the feed."""
    house = {
        " ".join(tokens(n))
        for n in (publisher, metadata.first("og:site_name"), jsonld.publisher)
        if n
    }
    printed = printed_bylines(root)
    found: list[str] = []
    for source in (jsonld.authors, from_meta(metadata), printed, hints):
        people = people_of(source, house)
        if len(people) > len(found) and set(people) >= set(found):
            # A later source may name all of the first one's people and more; never others instead.
            found = people
    fallback = [*jsonld.authors, *jsonld.organizations, *from_meta(metadata), *hints]
    byline = next(iter([*printed, *fallback]), None)
    return Credits(authors=tuple(found), byline=byline)


def from_meta(metadata: Metadata) -> list[str]:
    names = [
        value
        for value in metadata.all("author", "article:author", "article:author_name", "byl")
        if not value.startswith(("http", "/"))
    ]
    if (metadata.first("twitter:label1") or "").lower().startswith(("written by", "author", "by")):
        names += metadata.all("twitter:data1")[:1]
    return names or metadata.all(
        "parsely-author", "sailthru.author", "dc.creator", "dcterms.creator", "cxenseparse:author"
    )


def printed_bylines(root: HtmlElement) -> list[str]:
    """Return the lines that name authors, as printed, the first ones of the page."""
    found: list[str] = []
    for element in visible(root):
        if not _is_byline(element):
            continue
        text = text_of(element).strip(" -–—|·•,/")
        if text and len(text) <= _LONGEST_BYLINE and text not in found:
            found.append(text)
        if len(found) >= 3:
            break
    return found


def _is_byline(element: HtmlElement) -> bool:
    if element.tag in ("body", "html", "article", "main", "section", "meta", "link", "script"):
        return False
    if "author" in (element.get("rel") or "").split() or element.get("itemprop") == "author":
        return True
    names = (element.get("class") or "").lower().split()
    return any(
        name in _PERSON_BLOCK
        or name.endswith(("byline", "author", "author-name", "author__name", "author_name"))
        or name.startswith(("byline",))
        for name in names
    )


def people_of(lines: Iterable[str], house: set[str]) -> list[str]:
    """Return the names of people in `lines`: each once, without "By", titles and desks.

    >>> people_of(["By Anna Petrou and Tom Lee, Reuters"], set())
    ['Anna Petrou', 'Tom Lee']
    """
    people: list[str] = []
    for line in lines:
        for part in _AND.split(_BY.sub("", line.strip())):
            name = _BY.sub("", part.strip(" .,–—-·•\u00a0"))
            if is_person(name, house) and name not in people:
                people.append(name)
    return people


def is_person(name: str, house: set[str]) -> bool:
    plain = " ".join(tokens(name))
    if not plain or plain in house or plain in _AGENCIES or len(name) > _LONGEST_NAME:
        return False
    if _NOT_A_NAME.search(name.lower()) or _DESK.search(name) or _ROLE.search(name):
        return False
    return 1 <= len(name.split()) <= 6 and not (plain.isdigit() or len(plain) < 2)
