"""From the bytes of a feed, sitemap, listing or WordPress answer to the links in them.

Pure: no network, no clock. What a crawl asks for of what is found is decided in `crawler.frontier`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from crawler.discovery.decoding import decoded, unpacked
from crawler.discovery.discovered import Discovered, Source
from crawler.discovery.hint_dates import hint_time
from crawler.discovery.listings import read_listing
from crawler.discovery.sitemaps import read_sitemap
from crawler.discovery.wordpress import posts_url, read_posts
from crawler.site import Site
from pipelines.model import Kind

__all__ = ["Discovered", "discover", "hint_time", "posts_url"]

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_READERS: Mapping[Kind, Callable[[Source], Discovered]] = {
    Kind.FEED: read_sitemap,  # sites move: either format is read in the other's place
    Kind.SITEMAP: read_sitemap,
    Kind.LISTING: read_listing,
    Kind.WORDPRESS: read_posts,
}


def discover(
    kind: Kind, body: bytes, url: str, *, site: Site, headers: Mapping[str, str] = NO_HEADERS
) -> Discovered:
    """Return what the response `body` of `url` leads to; header names are lower-case.

    Raises DiscoveryError when the bytes are none of what `kind` says.
    """
    content, is_cut = unpacked(body, where=url)
    text = decoded(content, headers)
    found = _READERS[kind](Source(kind=kind, text=text, url=url, site=site, headers=headers))
    if is_cut:
        warning = "the gzip was cut: what could be unpacked was read"
        return replace(found, warnings=(warning, *found.warnings))
    return found
