"""Where a source leads on to: which of its addresses are sources themselves, and how far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from crawler.date_archives import archives_on, are_all_days_in, wanted_archives, wanted_parts
from crawler.discovery import Discovered
from crawler.discovery.periods import Period, archive_period
from crawler.frontier import Dates, is_article, is_behind, is_date_archive
from crawler.key_notes import KeyNotes
from crawler.site import Site
from pipelines.model import Kind, Link

# A backfill follows this many pages of one feed or listing at most, and indexes this deep: the
# protocol knows indexes of sitemaps, not of indexes, and a server that invents them has no end.
MOST_PAGES = 1000
MOST_DEPTH = 5
# One name for all date archives of a site: a story that stands on each of them is new once.
_ARCHIVES = "date archives"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """How a source was come to: from `root`, and `pages` on. A date archive is a root itself."""

    root: str
    pages: int = 0

    def next(self) -> Trail:
        return replace(self, pages=self.pages + 1)


class Trails:
    """Follows the sources of a run; `dates` are those of a backfill, which goes further."""

    def __init__(self, *, dates: Dates | None, now: datetime):
        self._dates = dates
        self._now = now
        self._seen = KeyNotes()

    def further(
        self, found: Discovered, *, at: str, kind: Kind, site: Site, trail: Trail
    ) -> Iterator[tuple[str, Trail]]:
        """Yield the sources that the answer of `at` leads to; pages end where one is not new."""
        if kind is Kind.SITEMAP:
            children = found.children if trail.pages < MOST_DEPTH else ()
            yield from ((url, trail.next()) for url in self._parts(children, found))
            return
        articles = [
            link
            for link in found.links
            if is_article(link, site=site) and not is_date_archive(link, site=site)
        ]
        is_new = self._is_new(articles, site, trail)
        archives = archives_on(found.links, site=site) if self._dates else {}
        if self._dates is not None and archives:
            is_paged = bool(found.next_pages) or trail.pages > 0
            wanted = wanted_archives(
                archives,
                at=trail.root,
                dates=self._dates,
                today=self._now.date(),
                is_paged=is_paged,
                is_fruitful=is_new,
            )
            yield from ((url, Trail(root=url)) for url in wanted if url != at)
        if not is_new or trail.pages >= MOST_PAGES:
            return
        yield from ((url, trail.next()) for url in found.children)
        if self._dates is not None and not self._is_enough(articles, archives, trail, self._dates):
            yield from ((url, trail.next()) for url in found.next_pages)

    def _parts(self, children: tuple[str, ...], found: Discovered) -> Iterable[str]:
        if self._dates is None:
            return children
        return wanted_parts(children, lastmods=found.lastmods, dates=self._dates)

    def _is_new(self, articles: Iterable[Link], site: Site, trail: Trail) -> bool:
        """Tell whether a page has an article that no earlier one of its trail has.

        The pager's own links are new on every page.
        """
        of = _ARCHIVES if archive_period(trail.root) else trail.root
        keys = [f"{site.name} {of} {link.url}" for link in articles]
        fresh = [key for key in keys if self._seen.get(key) is None]
        for key in fresh:
            self._seen.put(key, "")
        return bool(fresh)

    def _is_enough(
        self, articles: list[Link], archives: dict[str, Period], trail: Trail, dates: Dates
    ) -> bool:
        """Tell whether the next pages need not be turned: they are older, or archives hold them."""
        if are_all_days_in(archives, at=trail.root, dates=dates, today=self._now.date()):
            return True
        # An archive ends by itself, and may begin with its first day.
        return archive_period(trail.root) is None and is_behind(articles, dates, now=self._now)
