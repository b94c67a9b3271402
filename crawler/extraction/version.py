"""Which extractor made an article: an extractor's change is not a publisher's change."""

from __future__ import annotations

from crawler.site import Site

# Raise it with every change after which a page may come out otherwise.
EXTRACTOR_VERSION = 1
NO_RULES = "0" * 12


def extractor_id(site: Site | None) -> str:
    """Return the code's version and the hash of the site's rules.

    >>> extractor_id(None)
    'sitrep-1+000000000000'
    """
    return f"sitrep-{EXTRACTOR_VERSION}+{site.rules_hash() if site else NO_RULES}"
