"""The bundled newsroom keeps its promises: what the demo and the crawl's tests lean on."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import lxml.etree
import lxml.html
import pytest
from protego import Protego

from crawler.site import read_site
from fixtures.newsroom import Expected, Newsroom
from pipelines.fingerprint import content_hash, tokens

SITES = (
    "harbour_gazette",
    "meridian_defence",
    "northwall_news",
    "granit_bulletin",
    "fjord_monitor",
)
ATOM = "{http://www.w3.org/2005/Atom}"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


class _Follow(HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_named: object) -> None:
        return None


_opener = build_opener(_Follow)


def get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, Message, bytes]:
    try:
        with _opener.open(Request(url, headers=dict(headers or {})), timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.fixture(scope="module")
def newsroom() -> Iterator[Newsroom]:
    with Newsroom() as running:
        yield running


@pytest.fixture(params=[1, 2])
def state(newsroom: Newsroom, request: pytest.FixtureRequest) -> Iterator[int]:
    newsroom.state = request.param
    yield request.param
    newsroom.state = 1


def page_text(url: str) -> str:
    tree = lxml.html.fromstring(get(url)[2])
    for script in tree.xpath("//script|//style|//template|//svg"):
        script.drop_tree()
    # Blocks that touch in the markup are words apart on the screen.
    return " ".join(tokens(" ".join(tree.itertext())))


def listed_addresses(newsroom: Newsroom, site: str) -> set[str]:
    match site:
        case "harbour_gazette":
            return {
                node.text or ""
                for path in ("/feed/", "/el/feed/")
                for node in parse_xml(newsroom.url(site, path)).iter("link")
            } - {newsroom.url(site)}
        case "meridian_defence":
            index = parse_xml(newsroom.url(site, "/sitemap_index.xml"))
            parts = [node.text or "" for node in index.iter(f"{SITEMAP}loc")]
            return {n.text or "" for part in parts for n in parse_xml(part).iter(f"{SITEMAP}loc")}
        case "northwall_news":
            root = parse_xml(newsroom.url(site, "/arc/outboundfeeds/news-sitemap/?outputType=xml"))
            return {node.text or "" for node in root.iter(f"{SITEMAP}loc")}
        case "granit_bulletin":
            return listing_links(newsroom, "/news/") | listing_links(newsroom, "/uk/news/")
        case _:
            posts = json.loads(get(newsroom.url(site, "/wp-json/wp/v2/posts?per_page=100"))[2])
            return {post["link"] for post in posts}


def listing_links(newsroom: Newsroom, path: str) -> set[str]:
    tree = lxml.html.fromstring(get(newsroom.url("granit_bulletin", path))[2])
    return {str(link) for link in tree.xpath("//div[@class='news_item']//a/@href")}


def parse_xml(url: str) -> lxml.etree._Element:
    body = get(url)[2]
    body = gzip.decompress(body) if url.endswith(".gz") else body
    return lxml.etree.fromstring(body, lxml.etree.XMLParser(resolve_entities=False))


def odd_addresses(newsroom: Newsroom) -> set[str]:
    special = newsroom.special
    return {special[key] for key in ("redirect", "missing", "soft_404", "forbidden", "gone")}


@pytest.mark.parametrize("site", SITES)
def test_each_site_has_at_least_twelve_articles_that_its_lists_lead_to(
    newsroom: Newsroom, state: int, site: str
) -> None:
    assert newsroom.sites == SITES
    expected = newsroom.expected(site, state=state)
    assert len([one for one in expected if one.is_listed]) >= 12


@pytest.mark.parametrize("site", SITES)
def test_lists_lead_to_what_is_expected_and_to_the_odd_addresses(
    newsroom: Newsroom, state: int, site: str
) -> None:
    listed = listed_addresses(newsroom, site)
    expected = {one.url for one in newsroom.expected(site, state=state) if one.is_listed}
    assert expected - listed <= {newsroom.special["redirect_target"]}
    assert listed - expected <= odd_addresses(newsroom)


@pytest.mark.parametrize("site", SITES)
def test_every_expected_body_stands_in_its_page_in_order(
    newsroom: Newsroom, state: int, site: str
) -> None:
    for one in newsroom.expected(site, archive=True):
        if one.url == newsroom.special["gone"] and state == 2:
            continue
        text, at = page_text(one.url), 0
        for paragraph in one.article_body.split("\n\n"):
            words = " ".join(tokens(paragraph))
            at = text.find(words, at)
            assert at >= 0, (one.url, paragraph)


@pytest.mark.parametrize("site", SITES)
def test_noise_stands_on_the_page_and_is_no_line_of_the_body(
    newsroom: Newsroom, state: int, site: str
) -> None:
    for one in newsroom.expected(site):
        if one.url == newsroom.special["gone"] and state == 2:
            continue
        text = page_text(one.url)
        assert one.noise
        assert not set(one.noise) & set(one.article_body.splitlines())
        missing = [line for line in one.noise if " ".join(tokens(line)) not in text]
        assert not missing, one.url


def test_pages_weigh_what_real_ones_do(newsroom: Newsroom) -> None:
    for site in SITES:
        for one in newsroom.expected(site):
            assert 20_000 <= len(get(one.url)[2]) <= 80_000, one.url


def test_a_good_part_is_in_greek_or_ukrainian(newsroom: Newsroom, state: int) -> None:
    everything = [one for site in SITES for one in newsroom.expected(site, state=state)]
    assert len(everything) >= 60
    assert sum(one.in_language in {"el", "uk"} for one in everything) >= 8


def test_no_two_addresses_hold_the_same_words_but_the_three_copies(newsroom: Newsroom) -> None:
    by_text: dict[str, list[Expected]] = {}
    for site in SITES:
        for one in newsroom.expected(site, state=2, archive=True):
            by_text.setdefault(content_hash(one.article_body), []).append(one)
    repeated = [group for group in by_text.values() if len(group) > 1]
    assert [sorted(one.url for one in group) for group in repeated] == [
        sorted(newsroom.special["copied_story"])
    ]
    assert len({one.headline for one in repeated[0]}) == 2


def test_odd_addresses_answer_oddly(newsroom: Newsroom) -> None:
    special = newsroom.special
    status, headers, _ = get(special["redirect"])
    assert (status, headers["Location"]) == (301, special["redirect_target"])
    assert get(special["missing"])[0] == 404
    status, _, body = get(special["soft_404"])
    assert status == 200
    assert b"Page not found" in body
    assert get(special["forbidden"])[0] == 200
    assert get(special["gone"])[0] == 200
    old, new = special["moved"]
    assert get(old)[0] == 200
    assert get(new)[0] == 404


def test_two_days_later_one_is_gone_one_has_moved_and_one_has_fallen_off_its_feed(
    newsroom: Newsroom,
) -> None:
    newsroom.state = 2
    try:
        special = newsroom.special
        old, new = special["moved"]
        status, headers, _ = get(old)
        assert (status, headers["Location"]) == (301, new)
        assert get(new)[0] == 200
        assert get(special["gone"])[0] == 410
        assert get(special["fallen"])[0] == 200
        assert special["fallen"] not in listed_addresses(newsroom, "harbour_gazette")
    finally:
        newsroom.state = 1


def test_robots_txt_forbids_what_the_feed_lists(newsroom: Newsroom) -> None:
    robots = Protego.parse(get(newsroom.url("harbour_gazette", "/robots.txt"))[2].decode())
    forbidden = newsroom.special["forbidden"]
    assert forbidden in listed_addresses(newsroom, "harbour_gazette")
    assert not robots.can_fetch(forbidden, "Sitrep")
    assert forbidden not in {one.url for one in newsroom.expected("harbour_gazette")}


@pytest.mark.parametrize("site", SITES)
def test_a_known_page_answers_304_and_no_body(newsroom: Newsroom, site: str) -> None:
    url = newsroom.expected(site)[0].url
    _, headers, body = get(url)
    validators = {"If-None-Match": headers["ETag"], "If-Modified-Since": headers["Last-Modified"]}
    known = {name: value for name, value in validators.items() if value}
    assert known
    status, _, nothing = get(url, known)
    assert (status, nothing) == (304, b"")
    stale = {"If-None-Match": '"other"'} if headers["ETag"] else {
        "If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"
    }  # fmt: skip
    assert get(url, stale)[2] == body


@pytest.mark.parametrize(
    ("site", "path"),
    [
        ("harbour_gazette", "/feed/"),
        ("meridian_defence", "/feed/atom/"),
        ("meridian_defence", "/post-sitemap2.xml.gz"),
        ("northwall_news", "/arc/outboundfeeds/rss/?outputType=xml"),
        ("granit_bulletin", "/news/"),
        ("fjord_monitor", "/wp-json/wp/v2/posts"),
    ],
)
def test_a_list_answers_304_until_the_state_changes(
    newsroom: Newsroom, site: str, path: str
) -> None:
    _, headers, before = get(newsroom.url(site, path))
    known = {"If-None-Match": headers["ETag"], "If-Modified-Since": headers["Last-Modified"]}
    known = {name: value for name, value in known.items() if value}
    assert get(newsroom.url(site, path), known)[0] == 304
    newsroom.state = 2
    try:
        status, _, after = get(newsroom.url(site, path), known)
    finally:
        newsroom.state = 1
    assert status == 200
    assert after != before


def test_edited_stories_differ_as_claimed(newsroom: Newsroom) -> None:
    before, after = (
        {e.url: e for s in SITES for e in newsroom.expected(s, state=n)} for n in (1, 2)
    )
    edited = newsroom.special["edited"]
    assert "three corvettes" in before[edited].article_body
    assert after[edited].article_body == before[edited].article_body.replace(
        "three corvettes", "five corvettes"
    )
    headline = newsroom.special["headline_edited"]
    assert before[headline].headline != after[headline].headline
    assert before[headline].article_body == after[headline].article_body
    added = newsroom.special["paragraph_added"]
    assert after[added].article_body.startswith(before[added].article_body + "\n\n")


def test_a_cosmetic_change_gives_a_new_page_and_validator_but_the_same_story(
    newsroom: Newsroom,
) -> None:
    url = newsroom.special["cosmetic"]
    first = get(url)
    newsroom.state = 2
    try:
        second = get(url, {"If-Modified-Since": first[1]["Last-Modified"]})
    finally:
        newsroom.state = 1
    assert second[0] == 200
    assert first[2] != second[2]
    stories = [
        {one.url: one for one in newsroom.expected("meridian_defence", state=n)}[url]
        for n in (1, 2)
    ]
    assert stories[0] == stories[1]


def test_most_pages_do_not_change_between_the_states(newsroom: Newsroom) -> None:
    urls = [one.url for site in SITES for one in newsroom.expected(site, state=1)]
    before = {url: get(url)[2] for url in urls}
    newsroom.state = 2
    try:
        same = [url for url in urls if get(url)[2] == before[url]]
    finally:
        newsroom.state = 1
    assert len(urls) * 2 // 3 < len(same) < len(urls) - 10


def test_site_files_are_accepted_and_own_their_pages(newsroom: Newsroom, tmp_path: Path) -> None:
    files = newsroom.write_site_files(tmp_path / "sites")
    assert [file.stem for file in files] == list(SITES)
    for file in files:
        site = read_site(file)
        assert site.delay.total_seconds() == 0
        for one in newsroom.expected(site.name):
            assert site.owns(one.url)
            assert re.search(site.article_url, one.url)


def test_wordpress_pages_through_its_posts_and_refuses_the_page_after_the_last(
    newsroom: Newsroom,
) -> None:
    base = newsroom.url("fjord_monitor", "/wp-json/wp/v2/posts?per_page=5&_fields=id,link")
    status, headers, body = get(base)
    assert (status, headers["X-WP-Total"], headers["X-WP-TotalPages"]) == (200, "12", "3")
    assert {key for post in json.loads(body) for key in post} == {"id", "link"}
    assert len(json.loads(get(f"{base}&page=3")[2])) == 2
    status, _, body = get(f"{base}&page=4")
    assert status == 400
    assert json.loads(body)["code"] == "rest_post_invalid_page_number"


def test_a_short_link_leads_to_its_story(newsroom: Newsroom) -> None:
    [post] = json.loads(get(newsroom.url("fjord_monitor", "/wp-json/wp/v2/posts?per_page=1"))[2])
    status, headers, _ = get(newsroom.url("fjord_monitor", f"/?p={post['id']}"))
    assert (status, headers["Location"]) == (301, post["link"])


def test_older_stories_are_on_the_second_listing_page_only(newsroom: Newsroom) -> None:
    plain = {one.url for one in newsroom.expected("granit_bulletin")}
    archive = {one.url for one in newsroom.expected("granit_bulletin", archive=True)}
    assert archive - plain == listing_links(newsroom, "/news/page/2/")
    assert get(newsroom.url("granit_bulletin", "/news/page/3/"))[0] == 404


def test_pages_are_compressed_where_asked(newsroom: Newsroom) -> None:
    url = newsroom.expected("northwall_news")[0].url
    _, headers, body = get(url, {"Accept-Encoding": "gzip, deflate"})
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == get(url)[2]


def test_requests_are_logged_with_state_and_headers(newsroom: Newsroom) -> None:
    newsroom.forget_requests()
    get(newsroom.url("fjord_monitor", "/nowhere/"), {"User-Agent": "Sitrep test"})
    [request] = newsroom.requests
    assert (request.site, request.method, request.path) == ("fjord_monitor", "GET", "/nowhere/")
    assert request.status == 404
    assert request.headers["user-agent"] == "Sitrep test"


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            Newsroom(base_port=port).start()
