"""What a crawl asks for, and why the rest not."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from crawler.frontier import Ask, Known, Skip, decide, has_article_shape
from crawler.site import Site
from pipelines.model import Hints, Kind, Link

NOW = datetime(2025, 3, 20, 12, 0, tzinfo=UTC)
URL = "https://gazette.example/2025/03/refit-begins/"


def a_site(**keys: Any) -> Site:
    keys = {"article_url": r"/\d{4}/\d{2}/[^/]+/$", "max_age": "30d", **keys}
    return Site(name="g", publisher="G", home="https://gazette.example/", time_zone="UTC", **keys)


def a_link(url: str = URL, kind: Kind = Kind.SITEMAP, **hints: Any) -> Link:
    return Link(url=url, found_at="https://gazette.example/x", kind=kind, hints=Hints(**hints))


def decided(link: Link, known: Known | None = None, **more: Any) -> Ask | Skip:
    site = more.pop("site", None) or a_site()
    return decide(link, site=site, known=known, now=NOW, **more)


def done(**record: Any) -> Known:
    return Known(status="done", **{"last_fetched": NOW - timedelta(days=1), **record})


def test_an_unknown_article_is_asked_for() -> None:
    assert decided(a_link()) == Ask("new")


def test_a_foreign_host_is_never_asked_even_from_the_sites_own_feed() -> None:
    foreign = a_link("https://other.example/2025/03/refit-begins/", Kind.FEED)
    assert decided(foreign) == Skip("foreign_host")
    assert decided(foreign, Known(status="pending")) == Skip("foreign_host")


def test_article_url_is_searched_in_the_address_as_linked() -> None:
    site = a_site(article_url=r"^http://www\.gazette\.example/.*\?p=\d+$")
    assert decided(a_link("http://www.gazette.example/?p=5"), site=site) == Ask("new")
    assert decided(a_link("https://gazette.example/?p=5"), site=site) == Skip("not_article")


def test_what_the_sites_feed_lists_is_tried_whatever_its_address() -> None:
    assert decided(a_link("https://gazette.example/odd", Kind.FEED)) == Ask("new")
    assert decided(a_link("https://gazette.example/odd", Kind.WORDPRESS)) == Skip("not_article")


def test_without_article_url_wordpress_is_trusted_and_listings_are_judged_by_shape() -> None:
    site = a_site(article_url="")
    assert decided(a_link("https://gazette.example/odd", Kind.WORDPRESS), site=site) == Ask("new")
    odd = a_link("https://gazette.example/odd", Kind.LISTING)
    assert decided(odd, site=site) == Skip("not_article")
    story = a_link("https://gazette.example/refit-of-frigates", Kind.LISTING)
    assert decided(story, site=site) == Ask("new")


@pytest.mark.parametrize(
    "path",
    ["/news/refit-of-frigates/", "/defense/1929001", "/2025/3/14/gaza", "/a/refit_of_frigates.html",
     "/view.php?id=5", "/?p=4711", "/%CE%B1-%CE%B2-%CE%B3/", "/ναυτικό-νέα-φρεγάτα/"],
)  # fmt: skip
def test_addresses_of_articles_have_the_shape(path: str) -> None:
    assert has_article_shape("https://gazette.example" + path)


@pytest.mark.parametrize(
    "path",
    ["/", "/el/", "/news/", "/about-us", "/2025/", "/2025/03/", "/2025/03/14/", "/page/2000/",
     "/tag/navy-and-marines/", "/author/a-b-c/", "/?page=2", "/terms-and-conditions",
     "/category/air/page/12345/", "/--", "/search/refit-of-frigates",
     "/calendar/2026/12/events-list/", "/calendar/?id=202612", "/calendar/navy-day-in-souda/",
     "/events/2026/12/list/", "/events/2026-12-05/", "/2026/12/month/", "/events/2026-12"],
)  # fmt: skip
def test_addresses_of_lists_do_not_have_the_shape(path: str) -> None:
    assert not has_article_shape("https://gazette.example" + path)


@pytest.mark.parametrize(
    ("hints", "decision"),
    [
        ({"date_published": "2025-02-17"}, Skip("too_old")),
        ({"date_published": "Mon, 24 Feb 2025 10:00:00 +0200"}, Ask("new")),
        ({"date_published": "2025-02-01", "date_modified": "2025-03-19"}, Skip("too_old")),
        ({"date_modified": "2024-01-01"}, Skip("too_old")),
        ({"date_modified": "2025-03-19"}, Ask("new")),
        ({"date_published": "2031-01-01"}, Ask("new")),
        ({"date_published": "last week"}, Ask("new")),
        ({}, Ask("new")),
    ],
)
def test_a_link_is_too_old_by_the_date_that_it_carries(
    hints: dict[str, str], decision: Ask | Skip
) -> None:
    assert decided(a_link(**hints)) == decision
    assert decided(a_link(**hints), site=a_site(max_age="")) == Ask("new")


@pytest.mark.parametrize(
    ("hints", "decision"),
    [
        ({"date_published": "2024-05-01"}, Ask("new")),
        ({"date_published": "2024-05-31T23:59:59Z"}, Ask("new")),
        ({"date_published": "2024-06-01"}, Skip("out_of_range")),
        ({"date_published": "2024-04-30"}, Skip("out_of_range")),
        ({"date_modified": "2024-04-30"}, Skip("out_of_range")),
        ({"date_modified": "2025-01-01"}, Ask("new")),
        ({}, Ask("new")),
        ({"date_published": "2099-01-01"}, Ask("new")),
    ],
)
def test_a_backfill_takes_its_days_whatever_their_age(
    hints: dict[str, str], decision: Ask | Skip
) -> None:
    days = (date(2024, 5, 1), date(2024, 5, 31))
    link = a_link("https://gazette.example/news/refit-begins/", **hints)
    assert decided(link, site=a_site(article_url="/news/"), dates=days) == decision


@pytest.mark.parametrize(
    ("path", "hints", "decision"),
    [
        ("/2024/05/31/refit-begins/", {}, Ask("new")),
        ("/2024/05/refit-begins/", {"date_modified": "2025-01-01"}, Ask("new")),
        ("/2024/06/01/refit-begins/", {}, Skip("out_of_range")),
        ("/2024/06/refit-begins/", {"date_modified": "2025-01-01"}, Skip("out_of_range")),
        ("/2024/04/30-ships-refitted/", {}, Skip("out_of_range")),
        ("/news/2024-06-01-refit-begins/", {}, Skip("out_of_range")),
        ("/2024/06/refit-begins/", {"date_published": "2024-05-31"}, Ask("new")),
        ("/2024/06/refit-begins/", {"date_published": "2099-01-01"}, Skip("out_of_range")),
        ("/2024/refit-begins/", {}, Ask("new")),
    ],
)
def test_where_nothing_else_is_said_a_backfill_goes_by_the_date_in_the_path(
    path: str, hints: dict[str, str], decision: Ask | Skip
) -> None:
    days = (date(2024, 5, 1), date(2024, 5, 31))
    link = a_link(f"https://gazette.example{path}", **hints)
    assert decided(link, site=a_site(article_url="/"), dates=days) == decision


def test_what_is_pending_is_asked_for_however_old_it_became() -> None:
    assert decided(a_link(date_published="2020-01-01"), Known(status="pending")) == Ask("pending")


def test_what_failed_is_tried_again_but_not_for_ever() -> None:
    assert decided(a_link(), Known(status="failed", attempts=4)) == Ask("retry")
    assert decided(a_link(), Known(status="failed", attempts=5)) == Skip("failed")
    changed = Known(status="failed", attempts=5, listed_modified="2025-03-01")
    assert decided(a_link(date_modified="2025-03-02"), changed) == Ask("modified")


@pytest.mark.parametrize("status", ["gone", "refused"])
def test_what_is_gone_or_refused_stays_so_until_its_listing_changes(status: Any) -> None:
    known = Known(status=status, listed_headline="Refit begins")
    assert decided(a_link(headline="Refit begins"), known) == Skip(status)
    assert decided(a_link(headline="Refit delayed"), known) == Ask("headline")


@pytest.mark.parametrize(
    ("recorded", "listed", "decision"),
    [
        ("2025-03-14T10:00:00Z", "2025-03-14T10:00:00Z", Skip("known")),
        ("2025-03-14T10:00:00Z", "Fri, 14 Mar 2025 12:00:00 +0200", Skip("known")),
        ("2025-03-14T10:00:00Z", "2025-03-14", Skip("known")),
        ("2025-03-14T10:00:00Z", "2025-03-14T10:00:01Z", Ask("modified")),
        ("2025-03-14T10:00:00Z", "2025-03-15", Ask("modified")),
        ("2025-03-14", "2025-03-15", Ask("modified")),
        ("2025-03-19", "2025-03-19T20:00:00Z", Ask("modified")),
        ("2025-03-19", "2025-03-19T02:00:00Z", Skip("known")),
        # A cache's older copy says nothing that has not been fetched.
        ("2025-03-14T10:00:00Z", "2025-03-13T10:00:00Z", Skip("known")),
        ("2031-01-01T00:00:00Z", "2025-03-18T10:00:00Z", Ask("modified")),
        # Dates that lie ahead, and move on with each poll, say nothing either.
        ("2031-01-01T00:00:00Z", "2031-01-02T00:00:00Z", Skip("known")),
        ("2025-03-14T10:00:00Z", "2031-01-02T00:00:00Z", Skip("known")),
        (None, "2031-01-02", Skip("known")),
        ("week 11", "week 12", Ask("modified")),
        ("week 11", "week 11", Skip("known")),
        (None, "2025-03-20T10:00:00Z", Ask("modified")),
        (None, "2025-03-10T10:00:00Z", Skip("known")),
        ("2025-03-14T10:00:00Z", None, Skip("known")),
    ],
)
def test_a_known_article_is_asked_for_again_when_its_date_of_change_differs(
    recorded: str | None, listed: str | None, decision: Ask | Skip
) -> None:
    assert decided(a_link(date_modified=listed), done(listed_modified=recorded)) == decision


@pytest.mark.parametrize(
    ("recorded", "listed", "decision"),
    [
        ("Refit begins", "Refit begins", Skip("known")),
        ("Refit “begins”", 'REFIT "begins" ', Skip("known")),
        ("Refit of the frigates begins", "Refit of the frig…", Skip("known")),
        ("Refit of the fri...", "Refit of the frigates begins", Skip("known")),
        ("Refit begins", "Refit delayed", Ask("headline")),
        (None, "Refit begins", Skip("known")),
        ("Refit begins", None, Skip("known")),
    ],
)
def test_a_known_article_is_asked_for_again_when_its_listed_headline_differs(
    recorded: str | None, listed: str | None, decision: Ask | Skip
) -> None:
    assert decided(a_link(headline=listed), done(listed_headline=recorded)) == decision


def test_a_known_article_is_not_forgotten_for_its_age_or_address() -> None:
    known = done(listed_modified="2025-03-14")
    old = a_link(
        "https://gazette.example/odd", date_published="2019-01-01", date_modified="2025-03-19"
    )
    assert decided(old, known) == Ask("modified")
