"""Whatever the bytes: links, or one DiscoveryError that says where."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.discovery import discover, hint_time
from crawler.site import Site
from pipelines.errors import DiscoveryError
from pipelines.model import Kind

KINDS = [Kind.FEED, Kind.SITEMAP, Kind.LISTING, Kind.WORDPRESS]
URL = "https://gazette.example/x"
SITE = Site(name="g", publisher="G", home="https://gazette.example/", time_zone="UTC")

WHOLE = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><link>https://gazette.example/</link><item>
<title>Ναυτικό &amp; <![CDATA[<b>x</b>]]></title>
<link>https://gazette.example/a</link><dc:creator>Ann</dc:creator><description>&lt;p&gt;y&lt;/p&gt;
</description><pubDate>Fri, 14 Mar 2025 10:00:00 +0200</pubDate></item></channel></rss>""".encode()
PIECES = st.sampled_from(
    [b"<rss>", b"<item>", b"</item>", b"<link>", b"</link>", b"https://", b"http://[", b"<url>",
     b"<loc>", b"<urlset>", b"</urlset>", b"<a href='", b"'>", b"<![CDATA[", b"]]>", b"&", b"&#0;",
     b"&#x110000;", b"&#9999999;", b"&nbsp;", b"\x00", b"\xff\xfe", b"\x1f\x8b\x08", b"<!--",
     b"<?xml ",
     b"encoding='hex'?>", b"encoding='utf-7'?>", b"[", b"{", b'"', b":", b'{"link":', b"<html>",
     b"<time>",
     b"<h2>", b"\xed\xa0\x80", b"<feed>", b"<entry>", b"xml:base='http://['",
     b"<!DOCTYPE", b"\\ud800"]
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(PIECES, st.binary(max_size=4)), max_size=25).map(b"".join),
    st.tuples(st.integers(0, len(WHOLE)), st.binary(max_size=3), st.integers(0, 9)).map(
        lambda cut: WHOLE[: cut[0]] + cut[1] + WHOLE[cut[0] + cut[2] :]
    ),
    st.integers(0, len(WHOLE)).map(lambda cut: WHOLE[:cut]),
)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(KINDS),
    BODIES,
    st.sampled_from(["", "text/xml; charset=x", "a; charset=utf-16"]),
)
def test_no_bytes_raise_anything_but_a_discovery_error(
    kind: Kind, body: bytes, content_type: str
) -> None:
    with contextlib.suppress(DiscoveryError):
        for link in discover(
            kind, body, URL, site=SITE, headers={"content-type": content_type}
        ).links:
            assert link.url.startswith(("http://", "https://"))
            SITE.owns(link.url)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.{0,8}")))
def test_no_date_raises_and_each_that_is_read_is_in_utc(raw: str) -> None:
    moment = hint_time(raw)
    assert moment is None or moment.utcoffset() is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body", [b"<rss>" + b"<a>" * 50_000, b"<html>" + b"<div>" * 50_000, b"<rss><item>" * 20_000]
)
def test_endless_nesting_ends(site: Site, kind: Kind, body: bytes) -> None:
    with contextlib.suppress(DiscoveryError):
        discover(kind, body, URL, site=site)


@pytest.mark.parametrize(
    "body",
    [
        b"<rss><channel>" + b"<item><link>/a</link>" * 10_000 + b"</channel></rss>",
        b"<rss><channel>" + b"<item" * 100_000,
        b"<rss><channel>" + b"<![CDATA[" * 50_000 + b"</channel></rss>",
        b"<rss " * 100_000,
    ],
)
def test_no_feed_takes_a_time_that_grows_with_its_square(site: Site, body: bytes) -> None:
    start = time.process_time()
    with contextlib.suppress(DiscoveryError):
        discover(Kind.FEED, body, URL, site=site)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("name", ["hex", "zip", "undefined", "idna", "punycode", "no-such"])
def test_an_encoding_that_is_none_of_text_is_not_believed(name: str) -> None:
    item = "<item><title>Café \x80</title><link>https://gazette.example/a</link></item>"
    text = f"<?xml version='1.0' encoding='{name}'?><rss><channel>{item}</channel></rss>"
    [link] = discover(Kind.FEED, text.encode("cp1252", "replace") + b"\x80", URL, site=SITE).links
    assert link.url == "https://gazette.example/a"
