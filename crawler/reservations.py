"""What a publisher reserves of a page, as its headers and its own markup say: pure.

`noindex`, `noarchive`, `nosnippet`, `noai` and `noimageai` are words of the robots meta tag and of
X-Robots-Tag; `tdm` is the reservation of text and data mining (TDMRep of the W3C's group, and
article 4 of directive (EU) 2019/790).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

NAMES = ("noindex", "noarchive", "nosnippet", "noai", "noimageai", "tdm")
# `none` is short for the first of these and `nofollow`, which is about links.
_SHORT = {"none": "noindex"}
# Such words stand in a page's head; a whole page of megabytes is not looked through.
_HEAD_BYTES = 256 << 10
_META = re.compile(rb"<meta\b[^>]{1,2000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    rb"""\b(name|http-equiv|content)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE
)
_AGENT = re.compile(r"\s*([\w.-]+)\s*:\s*(.*)", re.DOTALL)
# What has a colon behind it and is no crawler's name.
_WITH_VALUE = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)


def reservations_of(
    headers: Mapping[str, str], body: bytes, *, product: str = "sitrep"
) -> tuple[str, ...]:
    """Return what is reserved, of `NAMES`, in their order.

    Header names are lower-case. What is said to another crawler by its name does not count;
    `product` is the name of ours.

    >>> reservations_of({"x-robots-tag": "noarchive", "tdm-reservation": "1"}, b"")
    ('noarchive', 'tdm')
    """
    found = set(_of_header(headers.get("x-robots-tag", ""), product))
    if headers.get("tdm-reservation", "").strip() == "1":
        found.add("tdm")
    for name, content in _metas(body):
        if name in {"robots", product}:
            found.update(_words(content))
        elif name == "tdm-reservation" and content.strip() == "1":
            found.add("tdm")
    return tuple(name for name in NAMES if name in found)


def _of_header(value: str, product: str) -> Iterator[str]:
    # Several headers come as one, parted by commas; a name holds for what is behind it.
    is_ours = True
    for part in value.split(","):
        named = _AGENT.match(part)
        if named and named[1].lower() not in _WITH_VALUE:
            is_ours = named[1].lower() in {product, "*"}
            part = named[2]  # noqa: PLW2901 - the name is told apart
        if is_ours:
            yield from _words(part)


def _words(text: str) -> Iterable[str]:
    return (_SHORT.get(word, word) for word in re.findall(r"[a-z]+", text.lower()))


def _metas(body: bytes) -> Iterator[tuple[str, str]]:
    for tag in _META.findall(body[:_HEAD_BYTES]):
        attributes = {
            name.lower(): (double or single or bare).decode("utf-8", "replace")
            for name, double, single, bare in _ATTRIBUTE.findall(tag)
        }
        name = attributes.get(b"name") or attributes.get(b"http-equiv") or ""
        yield name.strip().lower(), attributes.get(b"content", "")
