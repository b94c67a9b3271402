"""What one feed, sitemap, listing or WordPress answer leads to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urljoin, urlsplit

from crawler.site import Site
from pipelines.model import Kind, Link
from pipelines.urls import host_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """Links in document order, absolute, each address once.

    `children` belong to this address and are always followed; `next_pages` only by a backfill.
    `lastmods` has when a child last changed, as it is printed. `wish` is how long a feed asks
    to be left alone, `hub` the WebSub hub that it names.
    """

    links: tuple[Link, ...] = ()
    children: tuple[str, ...] = ()
    next_pages: tuple[str, ...] = ()
    lastmods: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    wish: timedelta | None = None
    hub: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A response to read: `text` decoded, without what XML and HTML forbid."""

    kind: Kind
    text: str
    url: str
    site: Site
    headers: Mapping[str, str] = field(default_factory=dict)


def absolute(raw: str | None, base: str) -> str | None:
    """Return the http(s) address that `raw` means on `base`, or None when it means none."""
    text = "".join((raw or "").split("\n")).replace("\t", "").strip()
    if not text:
        return None
    try:
        joined = urljoin(base, text)
        urlsplit(joined)
        host_of(joined)
    except ValueError:
        return None
    return joined


def each_once(links: Iterable[Link]) -> tuple[Link, ...]:
    """Return the first link of each address, in order."""
    found: dict[str, Link] = {}
    for link in links:
        found.setdefault(link.url, link)
    return tuple(found.values())


def followable(addresses: Iterable[str], source: Source) -> tuple[str, ...]:
    """Return the addresses on the site's hosts, or on that of `source` itself, each once.

    A crawl of a site touches no other host, whatever its sitemap index names.
    """
    own = host_of(source.url)
    kept = (
        one
        for one in addresses
        if one != source.url and (source.site.names_host_of(one) or host_of(one) == own)
    )
    return tuple(dict.fromkeys(kept))
