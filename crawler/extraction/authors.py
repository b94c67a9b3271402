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
    r"^\W*(?:(?:written|posted|story|reported|report) by|authors?\s*:|autor(?:in|en)?\s*:"
    r"|texte?\s*:|by\s*:|by\b"
    r"|view all posts by|all posts by|more from"
    r"|von\b|par\b|por\b"
    r"|di\b|του\b|της\b|Автор\s*:|автор\b|Yazar\s*:)\s*",
    re.IGNORECASE,
)
_AND = re.compile(
    r"\s*(?:;|\||&|\band\b|\bund\b|(?-i:\bet\b|\by\b|\be\b)|\bκαι\b|\bта\b|\bі\b|\bи\b|,)\s*",
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
# What stands behind a name: a degree, the initials that sign its pieces, the agency it is of.
_BEHIND = re.compile(
    r"\s*(?:\([^()]{1,12}\)|,?\s\b(?-i:MS|MA|MD|RD|RDN|LD|CPT|Ph\.?D\.?|M\.?Sc\.?)"
    r"|\s(?:the )?associated press|\sreuters|\safp)\W*$",
    re.IGNORECASE,
)
_DEGREE = re.compile(r"(?:[A-Z]\.?){2,4}")
_PAPER = re.compile(
    r"\b(?:times|news|gazette|tribune|journal|herald|magazine|chronicle|media|network|report"
    r"|observer)$",
    re.IGNORECASE,
)
_NOT_A_NAME = re.compile(
    r"https?://|www\.|@|\d|[<>{}]|\.(?:com|org|net|de|uk)$|^the "
    r"|\b(updated|published|posted|min read)\b"
)
_AUTHOR_PAGE = re.compile(
    r"/(?:authors?|by|people|profile|staff|writers?|contributors?|team|journalists?|autor(?:en)?"
    r"|auteurs?|autores)/",
    re.IGNORECASE,
)
# Where a printed line stops naming people: its date, its separators.
_LINE_END = re.compile(r"\s*(?:[|•·]|\d|\bupdated\b|\bpublished\b|\bposted\b)", re.IGNORECASE)
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
    elements = byline_elements(root)
    printed = [_printed(element) for element in elements]
    linked = [name for element in elements for name in _author_links(element)]
    sources = (jsonld.authors, from_meta(metadata), linked or printed, hints)
    found: list[str] = []
    for people in (people_of(source, house) for source in sources):
        # A later source may name all of the first one's people and more; never others instead.
        if len(people) > len(found) and set(people) >= set(found):
            found = people
    fallback = [*jsonld.authors, *jsonld.organizations, *from_meta(metadata), *hints]
    byline = next(iter([*printed, *fallback]), None)
    return Credits(authors=tuple(found), byline=byline)


def from_meta(metadata: Metadata) -> list[str]:
    # The narrower name first: `author` is often the house that owns the site.
    sources = (metadata.all(name) for name in ("article:author", "author", "byl"))
    named = ([one for one in values if not one.startswith(("http", "/"))] for values in sources)
    names = next((values for values in named if values), [])
    if (metadata.first("twitter:label1") or "").lower().startswith(("written by", "author", "by")):
        names += metadata.all("twitter:data1")[:1]
    return names or metadata.all(
        "parsely-author", "sailthru.author", "dc.creator", "dcterms.creator", "cxenseparse:author"
    )


def byline_elements(root: HtmlElement) -> list[HtmlElement]:
    """Return the first element that names authors, and those that stand beside it."""
    found: list[HtmlElement] = []
    for element in visible(root):
        if found and element.getparent() is not found[0].getparent():
            continue
        if _is_byline(element) and 0 < len(_printed(element)) <= _LONGEST_BYLINE:
            found.append(element)
    return found


def _printed(element: HtmlElement) -> str:
    return text_of(element).strip(" -–—|·•,/")


def _author_links(element: HtmlElement) -> list[str]:
    links = [element] if element.tag == "a" else element.iter("a")
    return [
        text_of(link)
        for link in links
        if "author" in (link.get("rel") or "").split()
        or _AUTHOR_PAGE.search(link.get("href") or "")
    ]


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
        people += [name for name in _people_in(line, house) if name not in people]
    return people


def _people_in(line: str, house: set[str]) -> Iterable[str]:
    line, is_named = _BY.sub("", line.strip()), False
    for part in _AND.split(_LINE_END.split(line)[0]):
        name = _BEHIND.sub("", _BY.sub("", part.strip(" .,–—-·•\u00a0")))
        if is_person(name, house):
            is_named = True
            yield name
        elif name and is_named:
            # What follows is a title or a paper: "Ann Lee, Chief Officer and Head of Harbours".
            return


def is_person(name: str, house: set[str]) -> bool:
    plain = " ".join(tokens(name))
    if not plain or plain in house or plain in _AGENCIES or len(name) > _LONGEST_NAME:
        return False
    if _NOT_A_NAME.search(name.lower()) or _DESK.search(name) or _ROLE.search(name):
        return False
    if _DEGREE.fullmatch(name) or _PAPER.search(name):
        return False
    if name[0].islower() and name[0] != "d":
        return False
    return 1 <= len(name.split()) <= 6 and not (plain.isdigit() or len(plain) < 2)
