"""Dates as newsrooms print them, in many languages and zones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crawler.extraction.dates import DateHabits, Evidence, day_first, read_moment, url_date

NICOSIA, NEW_YORK, KYIV = "Asia/Nicosia", "America/New_York", "Europe/Kyiv"

# raw, zone of the site, day first?, instant in UTC, precision
FORMS = [
    ("2023-04-19T08:15:00+03:00", None, None, "2023-04-19T05:15:00", "second"),
    ("2023-04-19T08:15:00Z", None, None, "2023-04-19T08:15:00", "second"),
    ("2023-04-19T08:15:00.123Z", None, None, "2023-04-19T08:15:00", "second"),
    ("2023-04-19T08:15:00.123456+0000", None, None, "2023-04-19T08:15:00", "second"),
    ("2023-04-19T00:00:00Z", None, None, "2023-04-19T00:00:00", "second"),
    ("2023-04-19T00:00:00+03:00", None, None, "2023-04-18T21:00:00", "second"),
    ("2023-04-19T08:15-04:00", None, None, "2023-04-19T12:15:00", "minute"),
    ("2023-04-19T08:15", NICOSIA, None, "2023-04-19T05:15:00", "minute"),
    ("2023-04-19 08:15:30", NICOSIA, None, "2023-04-19T05:15:30", "second"),
    ("2023-04-19 08:15:30", None, None, "2023-04-19T00:00:00", "day"),
    ("2023-04-19T08:15:00", None, None, "2023-04-19T00:00:00", "day"),
    ("2023-04-19", NICOSIA, None, "2023-04-19T00:00:00", "day"),
    ("20230419T081500Z", None, None, "2023-04-19T08:15:00", "second"),
    ("Wed, 19 Apr 2023 08:15:00 +0300", None, None, "2023-04-19T05:15:00", "second"),
    ("Wed, 19 Apr 2023 08:15:00 GMT", None, None, "2023-04-19T08:15:00", "second"),
    ("Wed, 19 Apr 2023 08:15:00 EDT", None, None, "2023-04-19T12:15:00", "second"),
    ("19/04/2023 at 08:15", NICOSIA, True, "2023-04-19T05:15:00", "minute"),
    ("Published on 19/04/2023 at 08:15", NICOSIA, True, "2023-04-19T05:15:00", "minute"),
    ("19/01/2023 at 08:15", NICOSIA, True, "2023-01-19T06:15:00", "minute"),
    ("05/04/2023", None, True, "2023-04-05T00:00:00", "day"),
    ("05/04/2023", None, False, "2023-05-04T00:00:00", "day"),
    ("19/04/2023", None, False, "2023-04-19T00:00:00", "day"),
    ("04/19/2023", None, True, "2023-04-19T00:00:00", "day"),
    ("04.05.2023", None, False, "2023-05-04T00:00:00", "day"),
    ("19.04.2023, 08:15 Uhr", "Europe/Berlin", True, "2023-04-19T06:15:00", "minute"),
    ("19.04.23", None, None, "2023-04-19T00:00:00", "day"),
    ("19-04-2023 08:15", "Asia/Kolkata", True, "2023-04-19T02:45:00", "minute"),
    ("2023/04/19 08:15", KYIV, None, "2023-04-19T05:15:00", "minute"),
    ("2023.04.19", None, None, "2023-04-19T00:00:00", "day"),
    ("08:15, 19.04.2023", KYIV, True, "2023-04-19T05:15:00", "minute"),
    ("April 19, 2023", NEW_YORK, False, "2023-04-19T00:00:00", "day"),
    ("Apr. 19, 2023, 08:15 AM", NEW_YORK, False, "2023-04-19T12:15:00", "minute"),
    ("Apr 7, 2022, 01:10 PM", NEW_YORK, False, "2022-04-07T17:10:00", "minute"),
    ("September 12, 2023 3:40 pm", NEW_YORK, False, "2023-09-12T19:40:00", "minute"),
    ("Sept. 12, 2023 at 3:40 p.m. ET", None, False, "2023-09-12T19:40:00", "minute"),
    ("December 12, 2023 3:40 p.m. ET", None, False, "2023-12-12T20:40:00", "minute"),
    ("December 12, 2023 at 3 p.m. EST", None, False, "2023-12-12T20:00:00", "minute"),
    ("12:00 AM EST, Dec 12, 2023", None, False, "2023-12-12T05:00:00", "minute"),
    ("12:30 p.m. GMT, Dec 12, 2023", None, False, "2023-12-12T12:30:00", "minute"),
    ("March 4, 2024 12:05 AM PST", None, False, "2024-03-04T08:05:00", "minute"),
    ("March 4, 2024 1415 GMT", None, False, "2024-03-04T14:15:00", "minute"),
    ("19 April 2023", None, True, "2023-04-19T00:00:00", "day"),
    ("19th of April 2023", None, True, "2023-04-19T00:00:00", "day"),
    ("Wednesday 19 April 2023 08:15 BST", None, True, "2023-04-19T07:15:00", "minute"),
    ("19 Apr 2023 - 08:15 CEST", None, True, "2023-04-19T06:15:00", "minute"),
    ("19 Jan 2023 08:15 CET", None, True, "2023-01-19T07:15:00", "minute"),
    ("19 April 2023 | 08:15 (UTC+3)", None, True, "2023-04-19T05:15:00", "minute"),
    ("19 April 2023 08:15 GMT+03:00", None, True, "2023-04-19T05:15:00", "minute"),
    ("06 Feb 2024", "Europe/Paris", True, "2024-02-06T00:00:00", "day"),
    ("19-Apr-2023", None, True, "2023-04-19T00:00:00", "day"),
    ("2023 April 19", None, None, "2023-04-19T00:00:00", "day"),
    ("19 Απριλίου 2023, 08:15", "Europe/Athens", True, "2023-04-19T05:15:00", "minute"),
    ("Δημοσιεύθηκε στις 19/04/2023 στις 08:15", NICOSIA, True, "2023-04-19T05:15:00", "minute"),
    ("19 Μαΐου 2023 8:15 μμ", "Europe/Athens", True, "2023-05-19T17:15:00", "minute"),
    ("19 Ιαν 2023", None, True, "2023-01-19T00:00:00", "day"),
    ("19 квітня 2023, 08:15", KYIV, True, "2023-04-19T05:15:00", "minute"),
    ("19 листопада 2023 о 18:05", KYIV, True, "2023-11-19T16:05:00", "minute"),
    ("19 мая 2023 в 08:15 MSK", None, True, "2023-05-19T05:15:00", "minute"),
    ("19 января 2023 г.", None, True, "2023-01-19T00:00:00", "day"),
    ("19 avril 2023 à 08h15", "Europe/Paris", True, "2023-04-19T06:15:00", "minute"),
    ("Publié le 1er février 2023", None, True, "2023-02-01T00:00:00", "day"),
    ("3 août 2023", None, True, "2023-08-03T00:00:00", "day"),
    ("19. April 2023, 08:15 Uhr", "Europe/Berlin", True, "2023-04-19T06:15:00", "minute"),
    ("3. März 2023 um 8.15 Uhr", "Europe/Berlin", True, "2023-03-03T07:15:00", "minute"),
    ("19 de abril de 2023 a las 08:15", "Europe/Madrid", True, "2023-04-19T06:15:00", "minute"),
    ("19 de março de 2023", None, True, "2023-03-19T00:00:00", "day"),
    ("19 aprile 2023 alle 08:15", "Europe/Rome", True, "2023-04-19T06:15:00", "minute"),
    ("19 kwietnia 2023 08:15", "Europe/Warsaw", True, "2023-04-19T06:15:00", "minute"),
    ("3 września 2023", None, True, "2023-09-03T00:00:00", "day"),
    ("19 Nisan 2023 08:15", "Europe/Istanbul", True, "2023-04-19T05:15:00", "minute"),
    ("3 Şubat 2023", None, True, "2023-02-03T00:00:00", "day"),
    ("2023年4月19日", None, None, "2023-04-19T00:00:00", "day"),
]


@pytest.mark.parametrize(("raw", "zone", "first", "instant", "precision"), FORMS)
def test_printed_form_is_read_to_the_instant_it_means(
    raw: str, zone: str | None, first: bool | None, instant: str, precision: str
) -> None:
    moment = read_moment(raw, source="feed", habits=DateHabits(zone=zone, day_first=first))
    assert moment is not None
    assert moment.when == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert moment.precision == precision
    assert moment.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "yesterday",
        "2 hours ago",
        "31/02/2023",
        "2023-13-40",
        "version 1.2.3",
        "192.168.10.12",
        "tel. 22-33-4455",
        "May be 12 of them",
        "99/99/9999",
    ],
)
def test_what_is_no_date_gives_none(raw: str) -> None:
    assert read_moment(raw, source="html", habits=DateHabits(zone=NICOSIA, day_first=True)) is None


def test_day_and_month_that_could_be_either_way_round_give_no_date() -> None:
    assert read_moment("04/05/2023", source="html", habits=DateHabits()) is None


def test_month_in_the_address_settles_which_way_round_a_date_is() -> None:
    moment = read_moment(
        "04/05/2023", source="html", habits=DateHabits(), evidence=Evidence(month=(2023, 4))
    )
    assert moment is not None
    assert moment.when == datetime(2023, 4, 5, tzinfo=UTC)


def test_same_day_and_month_is_not_ambiguous() -> None:
    moment = read_moment("04/04/2023", source="html", habits=DateHabits())
    assert moment is not None
    assert moment.when == datetime(2023, 4, 4, tzinfo=UTC)


def test_assumed_zone_is_named_and_flagged() -> None:
    moment = read_moment("19/04/2023 08:15", source="html", habits=DateHabits(NICOSIA, True))
    assert moment is not None
    assert moment.time_zone_assumed == NICOSIA
    assert moment.flags == ("zone_assumed",)


def test_printed_zone_is_no_assumption() -> None:
    moment = read_moment("2023-04-19 08:15 EEST", source="html", habits=DateHabits(NICOSIA, True))
    assert moment is not None
    assert moment.time_zone_assumed is None
    assert moment.flags == ()


def test_time_in_the_doubled_hour_is_the_earlier_and_flagged() -> None:
    moment = read_moment("29/10/2023 03:30", source="html", habits=DateHabits(NICOSIA, True))
    assert moment is not None
    assert moment.when == datetime(2023, 10, 29, 0, 30, tzinfo=UTC)
    assert moment.flags == ("zone_assumed", "ambiguous")


def test_doubled_hour_with_its_offset_printed_is_not_ambiguous() -> None:
    moment = read_moment("2023-10-29T03:30:00+02:00", source="html", habits=DateHabits(NICOSIA))
    assert moment is not None
    assert moment.when == datetime(2023, 10, 29, 1, 30, tzinfo=UTC)
    assert moment.flags == ()


def test_format_of_the_site_is_found_inside_a_longer_line() -> None:
    habits = DateHabits(NICOSIA, False, ("%d/%m/%Y at %H:%M",))
    moment = read_moment(
        "Published on 05/04/2023 at 08:15 in Cyprus",
        source="html",
        habits=habits,
        formats=habits.formats,
    )
    assert moment is not None
    assert moment.when == datetime(2023, 4, 5, 5, 15, tzinfo=UTC)
    assert moment.raw == "05/04/2023 at 08:15"


def test_format_with_a_month_name_reads_it_in_the_language_of_the_site() -> None:
    habits = DateHabits(KYIV, True, ("%d %B, %Y о %H:%M",))
    moment = read_moment(
        "19 квітня, 2023 о 08:15", source="html", habits=habits, formats=habits.formats
    )
    assert moment is not None
    assert moment.when == datetime(2023, 4, 19, 5, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("country", "language", "url", "first"),
    [
        ("US", "en-US", "https://a.com/", False),
        ("CY", "en-US", "https://a.com.cy/", True),
        ("CA", "en", "https://a.ca/", None),
        (None, "en-US", "https://a.com/", False),
        (None, "en-GB", "https://a.com/", True),
        (None, "el", "https://a.com/", True),
        (None, "en", "https://a.co.uk/", True),
        (None, "en", "https://a.com/", None),
        (None, None, "https://a.com/", None),
    ],
)
def test_order_of_day_and_month_comes_from_country_then_language_then_host(
    country: str | None, language: str | None, url: str, first: bool | None
) -> None:
    assert day_first(country=country, language=language, url=url) is first


@pytest.mark.parametrize(
    ("url", "day"),
    [
        ("https://a.com/2026/11/14/slug/", "2026-11-14"),
        ("https://a.com/news/2026-11-14-slug", "2026-11-14"),
        ("https://a.com/20261114/slug", "2026-11-14"),
        ("https://a.com/2026/11/slug", None),
        ("https://a.com/2026/13/40/slug", None),
        ("https://a.com/story-1234567890", None),
    ],
)
def test_day_in_the_address_is_read_and_nothing_else_is_taken_for_one(
    url: str, day: str | None
) -> None:
    assert url_date(url) == day
