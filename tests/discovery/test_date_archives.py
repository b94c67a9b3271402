"""Which date archives and parts of an index a backfill follows."""

from datetime import date
from typing import Any

import pytest

from crawler.date_archives import archives_on, are_all_days_in, wanted_archives, wanted_parts
from crawler.discovery.periods import Period, archive_period, path_period
from crawler.site import Site
from pipelines.model import Kind, Link

MAY = (date(2024, 5, 1), date(2024, 5, 31))
SPRING = (date(2024, 3, 1), date(2024, 5, 31))
TODAY = date(2025, 3, 20)
HOME = "https://gazette.example"
SITE = Site(name="g", publisher="G", home=f"{HOME}/", time_zone="UTC", article_url=r"/\d{4}/\d\d/")


def found(*paths: str) -> dict[str, Period]:
    links = [Link(url=HOME + path, found_at=HOME, kind=Kind.LISTING) for path in paths]
    return archives_on(links, site=SITE)


def wanted(*paths: str, at: str = "/news/", dates: Any = MAY, **page: bool) -> list[str]:
    page = {"is_paged": False, "is_fruitful": True, **page}
    urls = wanted_archives(found(*paths), at=HOME + at, dates=dates, today=TODAY, **page)
    return [url.removeprefix(HOME) for url in urls]


@pytest.mark.parametrize(
    ("path", "days"),
    [
        ("/2024/", (date(2024, 1, 1), date(2024, 12, 31))),
        ("/2024/02", (date(2024, 2, 1), date(2024, 2, 29))),
        ("/2024/may/", MAY),
        ("/blog/2024/5/17/", (date(2024, 5, 17), date(2024, 5, 17))),
        ("/archive/2024-05", MAY),
        ("/?m=20240517", (date(2024, 5, 17), date(2024, 5, 17))),
        ("/list?year=2024&month=5", MAY),
        ("/2024/13/", None),
        ("/2024/02/30/", None),
        ("/2024/05/story-of-the-day/", None),
        ("/2024/05/?print=1", None),
        ("/story-2024/", None),
    ],
)
def test_an_archive_is_an_address_that_ends_in_its_days(path: str, days: Any) -> None:
    assert archive_period(HOME + path) == (Period(*days) if days else None)


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/2024/05/17/refit/", date(2024, 5, 17)),
        ("/2024/05/17-ships-refitted/", date(2024, 5, 1)),
        ("/news/refit-2024-05-17.html", date(2024, 5, 17)),
        ("/2024/refit/", None),
        ("/news/2024-25-budget/", None),
        ("/news/20240517/", None),
    ],
)
def test_the_path_of_a_story_says_its_day_or_its_month(path: str, first: date | None) -> None:
    period = path_period(HOME + path)
    assert (period.first if period else None) == first


def test_neither_an_archive_nor_a_page_of_one_is_a_story_but_a_year_may_be() -> None:
    paths = ("/2024/05/", "/2024/05/page/2/", "/2024/05/refit/", "/reports/2024")
    assert list(found(*paths)) == [HOME + "/2024/05/", HOME + "/reports/2024"]


def test_archives_of_other_days_are_not_followed() -> None:
    assert wanted("/2024/04/", "/2024/05/", "/2024/06/", "/2025/") == ["/2024/05/"]


def test_of_archives_within_each_other_the_days_are_asked_once() -> None:
    year = (date(2024, 1, 1), date(2024, 12, 31))
    assert wanted("/2024/", "/2024/05/", "/2024/05/17/", dates=year) == ["/2024/"]
    assert wanted("/2024/", "/2024/05/", "/2024/05/17/") == ["/2024/05/"]
    assert wanted("/2024/", "/2024/05/", dates=SPRING) == ["/2024/", "/2024/05/"]
    assert wanted("/2024/", "/navy/2024/05/", dates=year) == ["/2024/", "/navy/2024/05/"]


def test_a_paged_archive_leads_to_none_of_its_parts_and_one_without_pages_to_all() -> None:
    days = ("/2024/05/03/", "/2024/05/17/")
    assert wanted(*days, at="/2024/05/", is_paged=True) == []
    assert wanted(*days, at="/2024/05/") == list(days)


def test_an_archive_without_a_story_of_its_own_leads_to_its_parts_alone() -> None:
    beside = ("/2024/04/", "/2024/05/", "/2025/")
    assert wanted(*beside, at="/2024/", dates=SPRING, is_fruitful=False) == [
        "/2024/04/",
        "/2024/05/",
    ]
    assert wanted(*beside, at="/2024/03/", dates=SPRING, is_fruitful=False) == []


@pytest.mark.parametrize(
    ("paths", "at", "dates", "whole"),
    [
        (["/2024/05/"], "/news/", MAY, True),
        (["/2024/"], "/news/", MAY, True),
        (["/archive/2024/05"], "/news/", MAY, True),
        (["/2024/03/", "/2024/05/"], "/news/", SPRING, False),
        (["/2024/03/", "/2024/04/", "/2024/05/"], "/news/", SPRING, True),
        (["/2024/05/03/", "/2024/05/17/"], "/news/", MAY, False),
        (["/tag/fleet/2024/05/"], "/news/", MAY, False),
        (["/news/2024/05/"], "/news/", MAY, True),
        (["/2024/05/", "/2024/"], "/news/", (None, MAY[1]), False),
        ([], "/news/", MAY, False),
    ],
)
def test_a_listing_is_paged_through_unless_archives_hold_all_the_days(
    paths: list[str], at: str, dates: Any, whole: bool
) -> None:
    assert are_all_days_in(found(*paths), at=HOME + at, dates=dates, today=TODAY) is whole


# --- the parts of a sitemap index ---------------------------------------------------------------


def parts(*names: str, dates: Any = MAY, **lastmods: str) -> list[str]:
    changed = {f"/{name}.xml": when for name, when in lastmods.items()}
    return wanted_parts([f"/{name}.xml" for name in names], lastmods=changed, dates=dates)


def test_a_part_that_last_changed_before_the_days_is_left_out() -> None:
    said = {"a": "2024-04-29", "b": "2024-04-30T22:00:00Z", "c": "2024-05-20", "d": "2025-01-01"}
    assert parts("a", "b", "c", "d", "e", **said) == ["/b.xml", "/c.xml", "/d.xml", "/e.xml"]


def test_where_all_parts_changed_at_once_that_says_nothing() -> None:
    assert parts("a", "b", a="2024-01-01", b="2024-01-01") == ["/a.xml", "/b.xml"]


def test_a_part_that_is_named_after_other_days_is_left_out() -> None:
    months = [f"post-2024-{m:02}" for m in range(1, 13)]
    # A day more on either side: it is the site's zone that files them.
    assert parts(*months) == [f"/post-2024-{m}.xml" for m in ("04", "05", "06")]
    assert parts("s-2022", "s-2023", "s-2024") == ["/s-2024.xml"]
    assert parts("s-202403", "s-202405", "pages") == ["/s-202405.xml", "/pages.xml"]


@pytest.mark.parametrize(
    "names",
    [
        ["s-2019"],  # one alone may have all
        ["s-1", "s-2", "s-2019"],  # parts are counted
        ["s-2024-5", "s-2024-14"],
    ],
)
def test_numbers_that_are_no_dates_for_sure_leave_nothing_out(names: list[str]) -> None:
    assert parts(*names) == [f"/{name}.xml" for name in names]
