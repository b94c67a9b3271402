"""Which address a page may say is its own: none but one of its site's, and no front page."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.addresses import key_of, named_key
from crawler.site import Site, read_site

KEY = "https://gazette.example/2025/03/frigate-refit"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    file = tmp_path / "harbour_gazette.toml"
    file.write_text(
        'publisher = "Harbour Gazette"\nhome = "https://www.gazette.example/"\n'
        'in_language = "en"\ntime_zone = "UTC"\ncountry = "GR"\nevery = "1h"\n'
        'feeds = ["https://www.gazette.example/feed/"]\narticle_url = "/"\n'
        'hosts = ["old-gazette.example", "m.gazette.example"]\n',
        encoding="utf-8",
    )
    return read_site(file)


@pytest.mark.parametrize(
    "url",
    [
        KEY,
        f"{KEY}/amp/",
        f"{KEY}/?utm_source=feed",
        "http://www.gazette.example/2025/03/frigate-refit/",
        "https://www.old-gazette.example/2025/03/frigate-refit/",
        "https://m.gazette.example/2025/03/frigate-refit/print/",
    ],
)
def test_an_address_of_any_of_the_sites_hosts_names_its_story(url: str, site: Site) -> None:
    assert named_key(url, site) == key_of(url, site) == KEY


@pytest.mark.parametrize(
    "url",
    [
        "https://www.gazette.example/",
        "https://www.gazette.example/?utm_source=canonical",
        "https://www.gazette.example/el/",
        "https://old-gazette.example",
        "https://elsewhere.example/2025/03/frigate-refit/",
        "https://gazette.example.elsewhere.example/2025/03/frigate-refit/",
        "https://notgazette.example/2025/03/frigate-refit/",
        "https://www.gazette.example:8443/2025/03/frigate-refit/",
        "mailto:desk@gazette.example",
        "https://[::1",
        "",
    ],
)
def test_a_front_page_a_stranger_and_what_is_no_address_name_none(url: str, site: Site) -> None:
    assert named_key(url, site) is None
