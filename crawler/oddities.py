"""What is odd about the links of one source, in a line each. None of it is an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from crawler.discovery import Discovered, hint_time
from crawler.frontier import AHEAD
from crawler.site import Site
from pipelines.model import Kind, Link
from pipelines.urls import host_of

# More than a feed has in a month; a sitemap may have fifty thousand.
MOST_LINKS_OF_A_FEED = 1000
MOST_NAMED = 3


def oddities(kind: Kind, links: Sequence[Link], *, site: Site, now: datetime) -> Iterator[str]:
    """Yield what a user ought to know of a source that could be read."""
    foreign = [link for link in links if not site.owns(link.url)]
    if foreign and len(foreign) * 2 > len(links):
        hosts = list(dict.fromkeys(host_of(link.url) for link in foreign))
        more = ", …" if len(hosts) > MOST_NAMED else ""
        yield (
            f"{len(foreign)} of {len(links)} links lead to hosts that are not this site's, and are"
            f" not asked: {', '.join(hosts[:MOST_NAMED])}{more}"
        )
    future = [at for link in links if (at := _latest(link)) is not None and at > now + AHEAD]
    if future:
        yield (
            f"{len(future)} of {len(links)} links are dated in the future, up to"
            f" {max(future):%F}, which says nothing: a backfill asks for them whatever its days"
        )
    if kind is Kind.FEED and len(links) > MOST_LINKS_OF_A_FEED:
        yield f"lists {len(links)} links, which is a lot for a feed; all are taken, in their turn"


def is_unfollowed(found: Discovered, *, is_backfill: bool) -> bool:
    """Tell whether a source names others that a crawl would have asked, had it not been enough."""
    return bool(found.children or (is_backfill and found.next_pages))


def _latest(link: Link) -> datetime | None:
    times = (hint_time(link.hints.date_published), hint_time(link.hints.date_modified))
    return max((at for at in times if at is not None), default=None)
