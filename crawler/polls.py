"""What a run learned of the sources that it asked: when, what was new, what they say of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crawler.discovery import Discovered, hint_time
from crawler.freshness import freshness, hub
from crawler.rhythm import Rhythm, arrival, learned
from pipelines.model import Kind, Link, Page
from pipelines.schedule_tables import SourceState
from pipelines.state_tables import fitted


@dataclass(slots=True)
class _Poll:
    kind: Kind
    at: datetime
    is_failed: bool = False
    listed: list[datetime | None] = field(default_factory=list)
    fresh: timedelta | None = None
    wish: timedelta | None = None
    hub: str | None = None


class Polls:
    """The sources that were asked in a run, by the address in the site file."""

    def __init__(self) -> None:
        self._polls: dict[tuple[str, str], _Poll] = {}
        # What else was asked of which something may be said: a robots.txt.
        self._beside: set[tuple[str, str]] = set()

    def answered(
        self, page: Page, found: Discovered, *, new: Iterable[Link], root: str | None = None
    ) -> None:
        """Note an answer, and the links in it that were new.

        They count for `root` too, the source of the site file that led here: an index is asked
        for what is in its parts.
        """
        poll = self._poll(page.site, page.requested_url, page.kind, page.fetched_at)
        poll.is_failed = False
        poll.fresh = freshness(page.headers, now=page.fetched_at)
        poll.wish = found.wish
        poll.hub = found.hub or hub(page.headers, base=page.url)
        listed = [hint_time(one.hints.date_published) for one in new]
        for url in {page.requested_url, root or page.requested_url}:
            self._poll(page.site, url, page.kind, page.fetched_at).listed += listed

    def failed(self, site: str, url: str, kind: Kind, *, at: datetime) -> None:
        self._poll(site, url, kind, at).is_failed = True

    def beside(self, site: str, url: str) -> None:
        self._beside.add((site, url))

    def asked(self, site: str) -> set[str]:
        """Return all of a site that was asked, and of which warnings are known anew."""
        return {url for name, url in self._polls.keys() | self._beside if name == site}

    def _poll(self, site: str, url: str, kind: Kind, at: datetime) -> _Poll:
        return self._polls.setdefault((site, url), _Poll(kind=kind, at=at))

    def of(self, site: str, known: Mapping[str, SourceState]) -> list[SourceState]:
        """Return what is on record of a site's sources after this run; `known` is as it was."""
        return [
            _after(known.get(fitted(url)), SourceState(
                site=name, url=url, kind=poll.kind.value, asked_at=poll.at), poll)
            for (name, url), poll in self._polls.items()
            if name == site
        ]  # fmt: skip


def _after(before: SourceState | None, new: SourceState, poll: _Poll) -> SourceState:
    known = before or new
    if poll.is_failed:
        return replace(known, asked_at=poll.at, failures=known.failures + 1)
    rhythm = Rhythm(hours=known.hours or (0.0,) * 24, days=known.days)
    # What a source listed when it was first asked, or by a clock since set back, came any time.
    if before is not None and before.asked_at <= poll.at:
        times = [arrival(one, since=before.asked_at, until=poll.at) for one in poll.listed]
        rhythm = learned(rhythm, since=before.asked_at, until=poll.at, arrivals=times)
    return replace(
        known,
        asked_at=poll.at,
        failures=0,
        hours=rhythm.hours,
        days=rhythm.days,
        fresh_seconds=poll.fresh.total_seconds() if poll.fresh else None,
        wish_seconds=poll.wish.total_seconds() if poll.wish else None,
        hub=poll.hub,
    )
