"""Whether a story goes on at another address: its second page, its third."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import parse_qsl, urlencode, urlsplit

from lxml.html import HtmlElement

from crawler.extraction.document import text_of
from crawler.extraction.metadata import absolute

# What WordPress, Drupal and others put behind the address of a story's further pages.
_SUFFIX = re.compile(r"(?:/(?:page|seite|p)?[-/]?(\d{1,2})|[-_,](?:page|seite|p)?-?(\d{1,2}))/?")
_NUMBERED = frozenset(("page", "p", "pg", "seite", "pagina", "strona", "start"))
_LINKS = frozenset(
    ("page-links", "post-page-numbers", "page-link", "pagelink", "multipage", "article-pagination")
)
# No address that goes on with a number is without one here.
_NUMBERED_END = re.compile(r"\d/?\s*(?:$|[?#&;])")
# An address that does not name the story is written from it on: "2/", "?page=2".
_LONGEST_RELATIVE = 20
_LONGEST_LABEL = 20
_TENTH = re.compile(r"/([1-9]\d)/?$")


def next_page(root: HtmlElement, url: str) -> str | None:
    """Return the address of the page after this one of the same story, or None.

    Only an address that is this one's with a number behind it: a theme also calls the story
    that was published next `rel=next`.
    """
    links = [
        address
        for href in _candidates(root, urlsplit(url).path)
        if (address := absolute(href, url))
    ]
    own, story = _own_number(url), url
    if own is None and (found := _TENTH.search(urlsplit(url).path)):
        # A number of two digits is a slug where no pager leads to the address without it.
        first = _first_of(url, found)
        if any(urlsplit(one).path.rstrip("/") == urlsplit(first).path for one in links):
            own, story = int(found[1]), first
    return next((one for one in links if _number(one, story) == (own or 1) + 1), None)


def _first_of(url: str, number: re.Match[str]) -> str:
    return urlsplit(url)._replace(path=number.string[: number.start()]).geturl()


def is_further_page(url: str, *, of: str) -> bool:
    """Tell whether `url` is the form of an address at which the story at `of` goes on."""
    return (_number(url, of) or 0) > 1


def first_pages_of(url: str) -> tuple[str, ...]:
    """Return the addresses that a story may have whose further page `url` has the form of."""
    parts = urlsplit(url)
    base, query = _base(parts.path), parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in query if not _is_page(name, value)]
    if base == parts.path.rstrip("/") and kept == query:
        return ()
    path = base if base != parts.path.rstrip("/") else parts.path
    paths = dict.fromkeys((path, f"{base}/", base))
    return tuple(parts._replace(path=one, query=urlencode(kept)).geturl() for one in paths)


def _is_page(name: str, value: str) -> bool:
    return name.lower() in _NUMBERED and value.isdigit() and int(value) > 1


def _candidates(root: HtmlElement, path: str) -> Iterator[str]:
    tenth = _TENTH.search(path)
    stems = {_base(path), path[: tenth.start()] if tenth else _base(path)}
    names = [stem.rpartition("/")[2] for stem in stems]
    for element in root.iter("link", "a"):
        href = element.get("href")
        if not href or not (len(href) <= _LONGEST_RELATIVE or any(one in href for one in names)):
            continue
        # Beside a tenth page its first one is sought, too.
        may_be_it = tenth is not None or _NUMBERED_END.search(href) is not None
        if may_be_it and (_is_next(element) or _is_pager(element)):
            yield href


def _is_next(link: HtmlElement) -> bool:
    return "next" in (link.get("rel") or "").lower().split()


def _is_pager(link: HtmlElement) -> bool:
    """Tell a link in a story's own pager, whose text is a number or next to nothing."""
    if link.tag != "a":
        return False
    around = (link, *islice(link.iterancestors(), 3))
    is_in_pager = any(_LINKS & set((one.get("class") or "").lower().split()) for one in around)
    return is_in_pager and len(text_of(link)) <= _LONGEST_LABEL


def _number(address: str, url: str) -> int | None:
    """Return the number that makes `url` its own further page at `address`."""
    there, here = urlsplit(address), urlsplit(url)
    if there.netloc != here.netloc:
        return None
    base = _base(here.path)
    if there.path.rstrip("/") == here.path.rstrip("/"):
        added = set(parse_qsl(there.query)) - set(parse_qsl(here.query))
        numbers = [v for name, v in added if name.lower() in _NUMBERED and v.isdigit()]
        return int(numbers[0]) if len(added) == len(numbers) == 1 else None
    found = _SUFFIX.fullmatch(there.path[len(base) :]) if there.path.startswith(base) else None
    return int(found[1] or found[2]) if found and base else None


def _own_number(url: str) -> int | None:
    path = urlsplit(url).path
    found = _SUFFIX.fullmatch(path[len(_base(path)) :])
    return int(found[1] or found[2]) if found else None


def _base(path: str) -> str:
    """Return the path of the first page: without a small number, and a slash, behind it."""
    path = path.rstrip("/")
    return re.sub(r"/(?:page[-/])?[2-9]$|/(?:page[-/])[1-9]\d?$", "", path)
