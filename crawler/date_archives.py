"""Which date archives, and which parts of a sitemap index, a backfill follows: pure decisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from urllib.parse import urlsplit

from crawler.discovery.hint_dates import hint_time
from crawler.discovery.periods import Period, archive_period, archive_series, named_periods
from crawler.frontier import Dates, is_date_archive
from crawler.site import Site
from pipelines.model import Link

# Words before the date that single out no part of a site.
_ALL = frozenset({"archive", "archives", "archiv", "archivo", "archivio", "arhiv", "date", "all"})
# A day here may be the one before or after it there.
_ZONES = timedelta(days=1)


def archives_on(links: Sequence[Link], *, site: Site) -> dict[str, Period]:
    """Return the date archives that a page links to, by address."""
    found = {
        link.url: archive_period(link.url) for link in links if is_date_archive(link, site=site)
    }
    return {url: period for url, period in found.items() if period is not None}


def wanted_archives(
    found: Mapping[str, Period],
    *,
    at: str,
    dates: Dates,
    today: date,
    is_paged: bool,
    is_fruitful: bool,
) -> list[str]:
    """Return which archives a backfill follows from the page `at`: of its days, and none twice.

    An archive that is paged lists all of its own days. Of those that are linked, one whose days are
    all wanted holds those inside it; of one with others too, its parts do. A page that brought no
    story of its own leads on only to its own parts: calendars have no end.
    """
    own = archive_period(at)
    wanted = {
        url: period
        for url, period in found.items()
        if url != at and period != own and period.meets(*dates)
    }
    if own is not None:
        inside = {url for url, period in wanted.items() if _is_part(url, period, of=(at, own))}
        if is_paged and _is_inside(own, dates):
            wanted = {url: period for url, period in wanted.items() if url not in inside}
        elif not is_fruitful:
            wanted = {url: period for url, period in wanted.items() if url in inside}
    whole = {url: period for url, period in wanted.items() if _is_inside(period, dates)}
    return [
        url
        for url, period in wanted.items()
        if not any(_is_part(url, period, of=one) for one in whole.items())
        and (url in whole or not _hold(_parts(wanted, (url, period)), period, dates, today))
    ]


def _parts(found: Mapping[str, Period], of: tuple[str, Period]) -> list[Period]:
    return [period for url, period in found.items() if _is_part(url, period, of=of)]


def _is_part(url: str, period: Period, *, of: tuple[str, Period]) -> bool:
    other, longer = of
    is_same = archive_series(url) == archive_series(other)
    return is_same and period != longer and longer.holds(period)


def are_all_days_in(found: Mapping[str, Period], *, at: str, dates: Dates, today: date) -> bool:
    """Tell whether archives hold all days wanted of the page `at`: then it needs no next page."""
    own = archive_period(at) or Period(date.min, today)
    by_series: defaultdict[str, list[Period]] = defaultdict(list)
    for url, period in found.items():
        if _is_over(archive_series(url), at):
            by_series[archive_series(url)].append(period)
    return any(_hold(some, own, dates, today) for some in by_series.values())


def _is_over(series: str, at: str) -> bool:
    """Tell whether the archives of `series` have all that a page lists: its own, or the site's."""
    path = urlsplit(at).path
    words = [one for one in series.split("/") if one]
    return path == series or path.startswith(f"{series}/") or set(words) <= _ALL


def _hold(periods: Sequence[Period], own: Period, dates: Dates, today: date) -> bool:
    first = max(own.first, dates[0] or date.min)
    last = min(own.last, dates[1] or today, today)
    for period in sorted(periods, key=lambda one: (one.first, one.last)):
        if period.first > first:
            return False
        first = max(first, period.last + timedelta(days=1))
        if first > last:
            return True
    return False


def _is_inside(period: Period, dates: Dates) -> bool:
    return (dates[0] is None or dates[0] <= period.first) and (
        dates[1] is None or period.last <= dates[1]
    )


def wanted_parts(
    children: Sequence[str], *, lastmods: Mapping[str, str], dates: Dates
) -> list[str]:
    """Return the parts of a sitemap index that may hold what was published on the days asked for.

    Left out is what surely does not: a part that is named after other days, and one that last
    changed before them. Where all parts changed at once, that was the index being made.
    """
    first, last = dates
    early = first - _ZONES if first and first > date.min else first
    late = last + _ZONES if last and last < date.max else last
    named = named_periods(children)
    changed = _days_of(children, lastmods)
    return [
        url
        for url in children
        if (url not in named or named[url].meets(early, late))
        and (early is None or url not in changed or changed[url] >= early)
    ]


def _days_of(children: Sequence[str], lastmods: Mapping[str, str]) -> dict[str, date]:
    times = {url: when for url in children if (when := hint_time(lastmods.get(url)))}
    if len(set(times.values())) < 2:
        return {}
    return {url: when.date() for url, when in times.items()}
