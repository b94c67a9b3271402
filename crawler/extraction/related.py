"""Where the "Also read" lines and related blocks pointed."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from crawler.extraction.document import text_of
from crawler.extraction.metadata import absolute
from crawler.extraction.prune import Removal
from crawler.site import Site
from pipelines.model import RelatedLink

_RELATED_RULES = (
    "related",
    "recirculation",
    "jetpack_related",
    "related_plugin",
    "newspaper",
    "arc",
    "brightspot",
    "aside",
)
# A story's link has a title: one or two words are a section, a tag or a button.
_FEWEST_WORDS, _LONGEST_TEXT = 3, 300


def links_of(removals: Iterable[Removal]) -> list[tuple[str, str]]:
    """Return text and address of the links in removed related blocks."""
    return [
        (text_of(link), link.get("href") or "")
        for removal in removals
        if removal.block.rule.removeprefix("markup:") in _RELATED_RULES
        or removal.block.rule.startswith("site:")
        or removal.is_related
        for link in removal.element.iter("a")
    ]


def related_links(
    links: Iterable[tuple[str, str]], *, url: str, site: Site | None
) -> tuple[RelatedLink, ...]:
    """Return the on-site stories among `links`, absolute, each once, in order."""
    found: dict[str, RelatedLink] = {}
    for text, href in links:
        address = absolute(href, url)
        if address is None or not _is_story(address, text, url=url, site=site):
            continue
        key = address.split("#")[0]
        found.setdefault(key, RelatedLink(text=text, url=key))
    return tuple(found.values())


def _is_story(address: str, text: str, *, url: str, site: Site | None) -> bool:
    target, here = urlsplit(address), urlsplit(url)
    on_site = site.owns(address) if site else _host(target.netloc) == _host(here.netloc)
    is_titled = len(text.split()) >= _FEWEST_WORDS and len(text) <= _LONGEST_TEXT
    is_elsewhere = target.path.rstrip("/") not in ("", here.path.rstrip("/"))
    return on_site and is_titled and is_elsewhere


def _host(netloc: str) -> str:
    return netloc.lower().removeprefix("www.")
