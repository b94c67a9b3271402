"""Dates as feeds print them, read for comparing ages."""

import pytest

from crawler.discovery import hint_time


@pytest.mark.parametrize(
    ("raw", "utc"),
    [
        ("Fri, 14 Mar 2025 10:00:00 +0200", "2025-03-14T08:00:00+00:00"),
        ("Fri, 14 Mar 2025 10:00:00 EST", "2025-03-14T15:00:00+00:00"),
        ("14 Mar 2025 10:00 GMT", "2025-03-14T10:00:00+00:00"),
        ("2025-03-14T10:00:00Z", "2025-03-14T10:00:00+00:00"),
        ("2025-03-14t10:00:00z", "2025-03-14T10:00:00+00:00"),
        ("2025-03-14T10:00+02:00", "2025-03-14T08:00:00+00:00"),
        ("2025-03-14 10:00:00 +0200", "2025-03-14T08:00:00+00:00"),
        ("2025-03-14T10:00:00.1234567-05", "2025-03-14T15:00:00.123456+00:00"),
        ("2025-03-14", "2025-03-14T00:00:00+00:00"),
        ("2025-03-14T10:00:00", "2025-03-14T10:00:00+00:00"),
        (" 2025-03-14\n", "2025-03-14T00:00:00+00:00"),
    ],
)
def test_a_listed_date_is_read_as_its_instant(raw: str, utc: str) -> None:
    moment = hint_time(raw)
    assert moment is not None
    assert moment.isoformat() == utc


@pytest.mark.parametrize(
    "raw", [None, "", "yesterday", "2025-13-40", "0000-00-00T00:00:00", "0001-01-01T00:00+05:00"]
)
def test_what_is_no_date_is_none(raw: str | None) -> None:
    assert hint_time(raw) is None
