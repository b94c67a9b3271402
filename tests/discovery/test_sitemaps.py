"""Sitemaps, indexes and news sitemaps; packed, cut, endless."""

import gzip
import time

import pytest

from crawler.discovery import Discovered, discover
from crawler.site import Site
from pipelines.errors import DiscoveryError
from pipelines.model import Hints, Kind

URL = "https://gazette.example/sitemap.xml"
NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def read(site: Site, body: str | bytes) -> Discovered:
    return discover(Kind.SITEMAP, body.encode() if isinstance(body, str) else body, URL, site=site)


def urlset(*urls: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><urlset {NS}>{"".join(urls)}</urlset>'


def test_a_news_sitemap_gives_publication_date_and_never_takes_lastmod_for_it(site: Site) -> None:
    body = f"""<urlset {NS} xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"
      xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
      <url><loc> https://gazette.example/a?x=1&amp;y=2
      </loc><lastmod>2025-03-15</lastmod>
      <news:news><news:publication><news:name>G</news:name><news:language>el</news:language>
      </news:publication><news:publication_date>2025-03-14T08:00:00+02:00</news:publication_date>
      <news:title>Navy &amp;amp; Army</news:title><news:keywords>navy, army ,navy</news:keywords>
      </news:news><image:image><image:loc>/img/a.jpg</image:loc></image:image></url>
      <url><loc>https://gazette.example/b</loc><lastmod>2025-03-16</lastmod></url></urlset>"""
    first, second = read(site, body).links
    assert first.url == "https://gazette.example/a?x=1&y=2"
    assert first.hints == Hints(
        source="sitemap",
        headline="Navy & Army",
        date_published="2025-03-14T08:00:00+02:00",
        date_modified="2025-03-15",
        in_language="el",
        keywords=("navy", "army"),
        image_url="https://gazette.example/img/a.jpg",
    )
    assert (second.hints.date_published, second.hints.date_modified) == (None, "2025-03-16")


def test_an_index_names_all_its_sitemaps_on_the_sites_hosts(site: Site) -> None:
    locs = [
        "/s-1.xml",
        "https://old-gazette.example/s-2.xml.gz",
        "https://cdn.example/s-3.xml",
        URL,
    ]
    entries = "".join(
        f"<sitemap><loc>{one}</loc><lastmod>2001-01-01</lastmod></sitemap>" for one in locs
    )
    found = read(site, f"<sitemapindex {NS}>{entries}</sitemapindex>")
    assert found.children == (
        "https://gazette.example/s-1.xml",
        "https://old-gazette.example/s-2.xml.gz",
    )
    assert found.links == ()
    assert found.warnings == ("1 sitemaps lie on hosts that are not this site's, and are left out",)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_packed_sitemap_is_read_by_its_bytes_not_its_name(site: Site, layers: int) -> None:
    body = urlset("<url><loc>https://gazette.example/a</loc></url>").encode()
    for _ in range(layers):
        body = gzip.compress(body)
    assert len(read(site, body).links) == 1


def test_a_cut_gzip_gives_what_is_in_it_and_says_so(site: Site) -> None:
    rows = "".join(
        f"<url><loc>https://gazette.example/{n * 7919 % 10_007}</loc></url>" for n in range(2_000)
    )
    packed = gzip.compress(urlset(rows).encode())
    found = read(site, packed[: len(packed) // 2])
    assert 100 < len(found.links) < 2_000
    assert found.warnings[0] == "the gzip was cut: what could be unpacked was read"


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(site: Site) -> None:
    bomb = gzip.compress(b"<urlset>" + b" " * (80 << 20))
    with pytest.raises(DiscoveryError, match="unpacks to more than 50 MB"):
        read(site, bomb)


def test_fifty_thousand_entries_are_read_within_seconds(site: Site) -> None:
    row = "<url><loc>https://gazette.example/news/a-story-{}/</loc><lastmod>2025-03-14</lastmod></url>"
    body = urlset(*(row.format(n) for n in range(50_001)))
    start = time.process_time()
    found = read(site, body)
    assert time.process_time() - start < 10
    assert len(found.links) == 50_001
    assert found.links[-1].url == "https://gazette.example/news/a-story-50000/"
    assert "more than the 50000 that the protocol allows" in found.warnings[0]


def test_a_plain_text_sitemap_is_a_list_of_addresses(site: Site) -> None:
    found = read(site, "\ufeffhttps://gazette.example/a\r\n\r\nhttps://gazette.example/b\r\n")
    assert [link.url for link in found.links] == [
        "https://gazette.example/a",
        "https://gazette.example/b",
    ]


def test_a_feed_in_a_sitemaps_place_is_read_as_the_feed_it_is(site: Site) -> None:
    body = "<rss><channel><item><link>/a</link></item></channel></rss>"
    (link,) = read(site, body).links
    assert (link.kind, link.hints.source) == (Kind.SITEMAP, "feed")


def test_a_cut_sitemap_gives_no_half_address(site: Site) -> None:
    body = urlset(
        "<url><loc>https://gazette.example/a</loc></url>",
        "<url><loc>https://gazette.example/second</loc></url>",
    )
    found = read(site, body[: body.index("cond")])
    assert [link.url for link in found.links] == ["https://gazette.example/a"]
    assert found.warnings == ("cut in the middle: 1 whole entries could be read",)


def test_the_same_address_twice_is_one_link(site: Site) -> None:
    url = "<url><loc>https://gazette.example/a</loc></url>"
    assert len(read(site, urlset(url, url)).links) == 1


def test_an_error_page_is_no_sitemap(site: Site) -> None:
    with pytest.raises(DiscoveryError, match="is an HTML page, not a sitemap"):
        read(site, "<html><body>https://gazette.example/a</body></html>")
