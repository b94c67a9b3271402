"""Which extractor made an article: an extractor's change is not a publisher's change."""

from __future__ import annotations

import hashlib

from crawler.extraction.furniture import furniture_hash
from crawler.extraction.prune import Furniture
from crawler.site import Site

# Raise it with every change after which a page may come out otherwise.
EXTRACTOR_VERSION = 4
NO_RULES = "0" * 12


def extractor_id(site: Site | None, furniture: Furniture | None = None) -> str:
    """Return the code's version and the hash of the site's rules, with what was learned of it.

    >>> extractor_id(None)
    'sitrep-4+000000000000'
    """
    rules, learned = site.rules_hash() if site else NO_RULES, furniture_hash(furniture)
    if learned is not None:
        rules = hashlib.sha256(f"{rules} {learned}".encode()).hexdigest()[: len(NO_RULES)]
    return f"sitrep-{EXTRACTOR_VERSION}+{rules}"
