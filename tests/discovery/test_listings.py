"""Listing pages in the markup of common themes."""

from urllib.parse import urlsplit

import pytest

from crawler.discovery import Discovered, discover
from crawler.site import Site
from pipelines.errors import DiscoveryError
from pipelines.model import Kind

URL = "https://gazette.example/news/"


def read(site: Site, body: str, url: str = URL) -> Discovered:
    return discover(Kind.LISTING, body.encode(), url, site=site)


CARDS = """<!doctype html><html><head><title>News</title></head><body>
<nav><a href="/">Home</a><a href="/category/navy/">Navy</a><a href="/contact">Contact</a></nav>
<main>
 <article class="card">
  <a href="/news/refit-begins/"><img src="/img/1.jpg" alt=""></a>
  <a href="/category/navy/" class="tag">Navy</a>
  <h3 class="card__title"><a href="/news/refit-begins/">Refit of the frigates begins</a></h3>
  <p>Work on the first hull. <a href="/news/refit-begins/#more">Read more →</a></p>
  <div class="meta"><a href="/author/e-markou/">E. Markou</a>
   <time datetime="2025-03-14T08:15:00+02:00">14 Mar</time></div>
 </article>
 <article class="card">
  <a class="card__link" href="https://www.gazette.example/news/exercise-ends/">
   <span class="post-date">13 Μαρτίου 2025</span><h3>Η άσκηση έληξε</h3><p>Τρεις φρεγάτες.</p></a>
 </article>
 <article class="card">
  <h3><a href="/news/no-date-here/">A story that prints no date</a></h3>
 </article>
</main>
<aside><a href="https://other.example/x-y-z">Elsewhere</a><a href="/media/report.pdf">Report</a>
<a href="mailto:desk@gazette.example">Mail</a><a href="javascript:void(0)">Menu</a>
<a href="#top">Up</a></aside>
<nav class="pagination"><span class="current">1</span><a href="/news/page/2/">2</a>
<a href="/news/page/3/">3</a><a class="next page-numbers" href="/news/page/2/">Next</a></nav>
</body></html>"""


def test_a_teaser_gives_its_headline_and_its_own_date(site: Site) -> None:
    found = {link.url: link.hints for link in read(site, CARDS).links}
    refit = found["https://gazette.example/news/refit-begins/"]
    assert refit.source == "listing"
    assert refit.headline == "Refit of the frigates begins"
    assert refit.date_published == "2025-03-14T08:15:00+02:00"
    exercise = found["https://www.gazette.example/news/exercise-ends/"]
    assert exercise.headline == "Η άσκηση έληξε"
    assert exercise.date_published == "13 Μαρτίου 2025"
    assert found["https://gazette.example/news/no-date-here/"].date_published is None


def test_foreign_links_files_and_scripts_are_left_out_and_menus_stay(site: Site) -> None:
    assert [link.url for link in read(site, CARDS).links] == [
        "https://gazette.example/",
        "https://gazette.example/category/navy/",
        "https://gazette.example/contact",
        "https://gazette.example/news/refit-begins/",
        "https://gazette.example/author/e-markou/",
        "https://www.gazette.example/news/exercise-ends/",
        "https://gazette.example/news/no-date-here/",
        "https://gazette.example/news/page/2/",
        "https://gazette.example/news/page/3/",
    ]


def test_only_the_next_page_is_named(site: Site) -> None:
    assert read(site, CARDS).next_pages == ("https://gazette.example/news/page/2/",)


@pytest.mark.parametrize(
    ("markup", "url", "following"),
    [
        ('<link rel="next" href="?page=1">', URL, URL + "?page=1"),
        ('<a rel="next nofollow" href="/n/2">x</a>', URL, "https://gazette.example/n/2"),
        ('<ul class="pager"><li><a href="?p=9">Επόμενη</a></ul>', URL, URL + "?p=9"),
        ('<div class="nav-previous"><a href="/older/2">← Older posts</a></div>', URL,
         "https://gazette.example/older/2"),
        ('<div class="pages paging"><a href="/page/2/">2</a><a href="/page/4/">4</a></div>',
         "https://gazette.example/page/3/", "https://gazette.example/page/4/"),
        ('<div class="pager"><a href="https://other.example/2">Next</a></div>', URL, None),
        ('<p><a href="/next-generation">Next</a></p>', URL, None),
    ],
)  # fmt: skip
def test_the_next_page_is_found_in_the_pagers_of_common_themes(
    site: Site, markup: str, url: str, following: str | None
) -> None:
    found = read(site, f"<html><body><a href='/a-b-c'>x</a>{markup}</body></html>", url)
    assert found.next_pages == ((following,) if following else ())


def test_in_a_flat_list_each_headline_has_the_date_that_follows_it(site: Site) -> None:
    rows = "".join(
        f'<h4><a href="/s/{n}">Story number {n} of the day</a></h4><p class="date">{n} May 2025</p>'
        for n in (1, 2, 3)
    )
    dates = [link.hints.date_published for link in read(site, f"<div>{rows}</div>").links]
    assert dates == ["1 May 2025", "2 May 2025", "3 May 2025"]


def test_in_a_flat_list_that_begins_with_a_date_each_headline_has_the_one_before(
    site: Site,
) -> None:
    rows = "".join(
        f'<span class="date">{n} May 2025</span><h4><a href="/s/{n}">Story number {n}</a></h4>'
        for n in (1, 2, 3)
    )
    dates = [link.hints.date_published for link in read(site, f"<div>{rows}</div>").links]
    assert dates == ["1 May 2025", "2 May 2025", "3 May 2025"]


def test_a_table_of_plain_links_is_read_row_by_row(site: Site) -> None:
    rows = "".join(
        f"<tr><td class='time'>0{n}:15</td>"
        f"<td><a href='/d/{n}'>Fleet report of the day {n}</a></td></tr>"
        for n in (1, 2)
    )
    found = read(site, f"<table>{rows}</table>").links
    assert [(link.hints.headline, link.hints.date_published) for link in found] == [
        ("Fleet report of the day 1", "01:15"),
        ("Fleet report of the day 2", "02:15"),
    ]


def test_the_base_of_the_page_is_obeyed(site: Site) -> None:
    body = '<html><head><base href="/el/"></head><body><a href="a-b-c">Ναυτικό</a></body></html>'
    assert read(site, body).links[0].url == "https://gazette.example/el/a-b-c"


def test_links_in_boxes_that_are_never_closed_are_found_to_the_last(site: Site) -> None:
    """The parser leaves off at 256 open elements, and says nothing."""
    boxes = [
        f'<div><h2><a href="/news/story-{n}/">Story {n} of the fleet</a></h2>' for n in range(400)
    ]
    found = read(site, f"<html><body><main>{''.join(boxes)}</main></body></html>")
    assert [urlsplit(one.url).path for one in found.links] == [
        f"/news/story-{n}/" for n in range(400)
    ]


def test_a_page_in_another_encoding_keeps_its_letters(site: Site) -> None:
    body = (
        '<html><head><meta charset="windows-1251"></head><a href="/a-b-c">Нові корвети</a></html>'
    )
    found = discover(Kind.LISTING, body.encode("cp1251"), URL, site=site)
    assert found.links[0].hints.headline == "Нові корвети"


def test_a_page_made_by_scripts_alone_is_warned_of(site: Site) -> None:
    found = read(site, "<html><body><div id='app'></div><script>go()</script></body></html>")
    assert found.links == ()
    assert found.warnings == ("no link to the site's own hosts; is it made by JavaScript?",)


@pytest.mark.parametrize("body", ["", '{"posts": []}', "%PDF-1.7", "<rss><channel/></rss>"])
def test_what_is_no_page_is_refused(site: Site, body: str) -> None:
    with pytest.raises(DiscoveryError) as raised:
        read(site, body)
    assert raised.value.where == URL
