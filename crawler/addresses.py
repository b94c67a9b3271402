"""Addresses of a site: the key that each is known by, and the one that a page says is its own."""

from __future__ import annotations

import re
from collections.abc import Callable

from crawler.site import Site
from pipelines.catch_up import KeyOf
from pipelines.model import Kind, Page
from pipelines.urls import canonical_url, is_home


def key_of(url: str, site: Site) -> str:
    """Return the key of an address of `site`, its further hosts folded into the first."""
    return canonical_url(url, aliases=site.aliases())


def keys_of(find: Callable[[str], Site | None]) -> KeyOf:
    """Return what gives the key of an address by its site's name; `find` finds the site.

    It gives None for a site that is no more, and for what is no address.
    """

    def key(site_name: str, url: str) -> str | None:
        site = find(site_name)
        try:
            return key_of(url, site) if site else None
        except ValueError:
            return None

    return key


def named_key(url: str, site: Site) -> str | None:
    """Return the key of an address that a page or a header names; None when it is none of ours."""
    try:
        return key_of(url, site) if site.owns(url) and not is_home(url) else None
    except ValueError:
        return None


_CANONICAL = re.compile(rb"<link\b[^>]{0,1000}canonical[^>]{0,1000}>", re.IGNORECASE)
_HREF = re.compile(rb"\bhref\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE)


def names_another_address(page: Page) -> bool:
    """Tell, at a glance, whether an article's page may name another address as its canonical."""
    if page.kind is not Kind.ARTICLE or page.status != 200:
        return False
    tag = _CANONICAL.search(page.body)
    href = _HREF.search(tag[0]) if tag else None
    own = {page.url.encode(), page.requested_url.encode()}
    return href is not None and href[1] not in own
