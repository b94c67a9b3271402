"""Whole pages with more than one date on them: which is the story's."""

# ruff: noqa: E501 - markup reads best as it stands on a page

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crawler.extraction import extract
from crawler.site import Site
from pipelines.model import Article

URL = "https://quay.example/patrol-boats-return/"
FETCHED = datetime(2023, 4, 20, 9, 0, tzinfo=UTC)
OWN = datetime(2023, 4, 19, 5, 15, tzinfo=UTC)
BYLINE = '<div class="entry-meta">By Nikos Vassos <span class="date">19/04/2023 08:15</span></div>'
STORY = "".join(
    f"<p>{text}</p>"
    for text in (
        (
            "Both patrol boats came home to the inner quay on Tuesday after eleven weeks in the strait, "
            "where they had kept watch over the cable ship and its two tenders, the squadron said."
        ),
        (
            "Their crews will rest for a fortnight before the older boat goes into dry dock, where her "
            "second engine is to be taken out and the plating under the stern is to be renewed."
        ),
        (
            "The yard has promised to hand her back before the autumn, when the squadron is to take "
            "over the watch on the southern approaches from the border guard for the whole winter."
        ),
    )
)
LONG = "that the inspectors had counted on the quay before the storm of that winter closed the port"


def site(**changes: object) -> Site:
    data: dict[str, object] = {
        "name": "quay",
        "publisher": "Quay Observer",
        "home": "https://quay.example/",
        "in_language": "en",
        "time_zone": "Asia/Nicosia",
        "country": "CY",
    }
    return Site.model_validate(data | changes)


def page(
    *, top: str = "", byline: str = BYLINE, body: str = STORY, foot: str = "", head: str = ""
) -> bytes:
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Patrol boats return to the inner quay | Quay Observer</title>
<meta property="og:title" content="Patrol boats return to the inner quay">{head}</head><body>
<header class="masthead"><nav><ul><li><a href="/sea/">Sea</a></li></ul></nav></header>{top}
<main><article><h1>Patrol boats return to the inner quay</h1>{byline}
<div class="entry-content">{body}</div></article></main>{foot}
<footer><p>© Quay Observer 2011-2023. All rights reserved.</p></footer></body></html>""".encode()


def read(html: bytes, *, url: str = URL, **changes: object) -> Article:
    return extract(html, url, site=site(**changes), fetched_at=FETCHED)


OTHERS = {
    "embedded post in a quotation": '<blockquote class="twitter-tweet"><p lang="en">Home at last!</p>'
    '— Harbour Watch (@harbourwatch) <a href="https://posts.example/1">March 2, 2021</a></blockquote>',
    "embedded post in a box": '<div class="embedded-post"><div class="post-header">Harbour Watch'
    '<time datetime="2021-03-02T10:00:00Z">Mar 2, 2021</time></div><p>Home at last!</p></div>',
    "embedded post in a figure": '<figure class="wp-block-embed"><div>Home at last! 10:00 AM · Mar 2, 2021'
    "</div></figure>",
    "related box of links": '<div class="more-on-this"><ul><li><a href="/tug/">Tug sinks off the cape</a>'
    '<time datetime="2021-03-02T10:00:00Z">2 March 2021</time></li><li><a href="/oil/">Oil on the '
    'beach</a><time datetime="2021-03-01T10:00:00Z">1 March 2021</time></li></ul></div>',
    "sidebar of latest stories": '<aside><div class="latest"><a href="/tug/">Tug sinks off the cape</a>'
    '<span class="date">02/03/2021 10:00</span></div></aside>',
    "card of another story": '<div class="card"><a href="/tug/"><h3>Tug sinks off the cape</h3></a>'
    '<p class="card-date">Published on 02/03/2021 at 10:00</p></div>',
    "caption": '<figure><img src="/boat.jpg" alt=""><figcaption>The older boat at sea, 2 March 2021. '
    "Photo: Quay Observer</figcaption></figure>",
    "note on the author": '<div class="author-bio"><p>Nikos Vassos has written for the Observer since '
    "2 March 2021.</p></div>",
    "comment": '<div class="comment"><span class="comment-author">Petros</span><time '
    'datetime="2021-03-02T10:00:00Z" itemprop="datePublished">2 March 2021</time><p>Well done.</p></div>',
    "event": '<div class="event"><span class="event-date">Open day: 2 March 2021, 10:00</span></div>',
    "copyright": "<p>© Quay Observer, 2 March 2021</p>",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("place", ["top", "before the byline", "after the byline", "body", "foot"])
def test_date_of_something_else_does_not_stand_for_the_storys_own(other: str, place: str) -> None:
    places = {
        "top": page(top=other),
        "before the byline": page(byline=other + BYLINE),
        "after the byline": page(byline=BYLINE + other),
        "body": page(body=STORY.replace("</p>", f"</p>{other}", 1)),
        "foot": page(foot=other),
    }
    article = read(places[place])
    assert article.date_published == OWN
    assert article.date_published_raw == "19/04/2023 08:15"
    assert article.time_zone_assumed == "Asia/Nicosia"
    assert article.date_modified is None


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("place", ["top", "under the headline", "body", "foot"])
def test_story_without_a_date_takes_none_from_something_else(other: str, place: str) -> None:
    places = {
        "top": page(top=other, byline=""),
        "under the headline": page(byline=other),
        "body": page(byline="", body=STORY.replace("</p>", f"</p>{other}", 1)),
        "foot": page(byline="", foot=other),
    }
    assert read(places[place]).date_published is None


@pytest.mark.parametrize(
    "clock",
    [
        '<div class="topbar">Thursday, 20 April 2023</div>',
        '<div class="current-date">20/04/2023</div>',
        '<header><span id="today">Thursday 20 April 2023, 12:00</span></header>',
        '<div class="today"><time datetime="2023-04-20T12:00:00+03:00">20 April 2023</time></div>',
    ],
)
@pytest.mark.parametrize("byline", [BYLINE, ""])
def test_todays_date_over_the_page_is_not_the_storys(clock: str, byline: str) -> None:
    article = read(page(top=clock, byline=byline))
    assert article.date_published == (OWN if byline else None)


@pytest.mark.parametrize(
    "body",
    [
        f"<p>On 2 March 2021 the two boats took over from the tugs {LONG} and for weeks after.</p>{STORY}",
        f"<p>2 March 2021 was the day the two boats took over from the tugs {LONG} and more.</p>{STORY}",
        f"<p><strong>The boats left on 2 March 2021.</strong></p>{STORY}",
        f"<h2>What began on 2 March 2021</h2>{STORY}",
        f"<ul><li>2 March 2021: the boats leave</li><li>18 April 2023: they return</li></ul>{STORY}",
    ],
)
@pytest.mark.parametrize("byline", [BYLINE, ""])
def test_day_that_the_story_tells_of_is_not_its_own(body: str, byline: str) -> None:
    article = read(page(byline=byline, body=body))
    assert article.date_published == (OWN if byline else None)


@pytest.mark.parametrize(
    "line",
    [
        "Published: 19/04/2023 08:15 | Updated: 20/04/2023 07:00",
        "Updated: 20/04/2023 07:00 | Published: 19/04/2023 08:15",
        "19/04/2023 08:15 (updated 20/04/2023 07:00)",
        "19/04/2023 08:15 - Last update: 20/04/2023 07:00",
        "First published 19/04/2023 08:15, last modified on 20/04/2023 07:00",
        "Updated 20/04/2023 07:00 First published 19/04/2023 08:15",
        "Δημοσίευση: 19/04/2023 08:15 Τελευταία ενημέρωση: 20/04/2023 07:00",
        "Опубліковано 19.04.2023 08:15, оновлено 20.04.2023 07:00",
        "Опубликовано 19.04.2023 08:15 Обновлено 20.04.2023 07:00",
        "Publié le 19/04/2023 à 08h15, mis à jour le 20/04/2023 à 07h00",
        "Veröffentlicht am 19.04.2023 um 08:15 Uhr, aktualisiert am 20.04.2023 um 07:00 Uhr",
        "Publicado el 19/04/2023 a las 08:15. Actualizado el 20/04/2023 a las 07:00",
        "Opublikowano: 19.04.2023, 08:15; zaktualizowano: 20.04.2023, 07:00",
        "Yayınlanma: 19.04.2023 08:15 Güncelleme: 20.04.2023 07:00",
        "Giriş: 19.04.2023 - 08:15 Son güncelleme: 20.04.2023 - 07:00",
        "Publicado em 19/04/2023 às 08h15 - Atualizado em 20/04/2023 às 07h00",
        "Pubblicato il 19/04/2023 alle 08:15, aggiornato il 20/04/2023 alle 07:00",
        "نشر في 19/04/2023 08:15 - آخر تحديث 20/04/2023 07:00",
        "发布时间：2023-04-19 08:15 更新时间：2023-04-20 07:00",
    ],
)
def test_published_and_updated_on_one_line_are_kept_apart(line: str) -> None:
    article = read(page(byline=f'<p class="post-info">{line}</p>'))
    assert article.date_published == OWN
    assert article.date_modified == datetime(2023, 4, 20, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "byline",
    [
        (
            '<p>Updated: <time datetime="2023-04-20T07:00:00+03:00">20 April</time></p>'
            '<p>Published: <time datetime="2023-04-19T08:15:00+03:00">19 April</time></p>'
        ),
        (
            '<time class="updated" datetime="2023-04-20T07:00:00+03:00">20 April</time>'
            '<time class="published" datetime="2023-04-19T08:15:00+03:00">19 April</time>'
        ),
        "<dl><dt>Updated</dt><dd>20/04/2023 07:00</dd><dt>Published</dt><dd>19/04/2023 08:15</dd></dl>",
        (
            '<span class="label">Last update:</span> <span>20/04/2023 07:00</span>'
            '<span class="label">Posted:</span> <span>19/04/2023 08:15</span>'
        ),
    ],
)
def test_update_printed_before_the_publication_is_not_taken_for_it(byline: str) -> None:
    article = read(page(byline=f'<div class="meta">{byline}</div>'))
    assert article.date_published == OWN
    assert article.date_modified == datetime(2023, 4, 20, 4, 0, tzinfo=UTC)


def test_page_that_says_only_when_it_was_updated_has_no_date_of_publication() -> None:
    head = '<meta property="article:modified_time" content="2023-04-20T07:00:00+03:00">'
    article = read(page(head=head, byline='<p class="date">Updated 20/04/2023 07:00</p>'))
    assert article.date_published is None
    assert article.date_modified == datetime(2023, 4, 20, 4, 0, tzinfo=UTC)


def test_dates_of_other_stories_in_the_pages_data_are_not_this_ones() -> None:
    head = """<script type="application/ld+json">{"@graph": [
      {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item":
        {"@type": "NewsArticle", "headline": "Tug sinks off the cape",
         "url": "https://quay.example/tug/", "datePublished": "2021-03-02T10:00:00Z"}}]},
      {"@type": "NewsArticle", "headline": "Patrol boats return to the inner quay",
       "url": "https://quay.example/patrol-boats-return/",
       "datePublished": "2023-04-19T08:15:30+03:00", "dateModified": "2023-04-20T07:00:00+03:00"}]}
    </script>"""
    article = read(page(head=head))
    assert article.date_published == OWN.replace(second=30)
    assert article.date_published_source == "json-ld"
    assert article.date_published_flags == ()


@pytest.mark.parametrize(
    ("meta", "instant"),
    [
        ("1681892130", datetime(2023, 4, 19, 8, 15, 30, tzinfo=UTC)),
        ("1681892130000", datetime(2023, 4, 19, 8, 15, 30, tzinfo=UTC)),
        ("2023-W16-3T08:15:30Z", datetime(2023, 4, 19, 8, 15, 30, tzinfo=UTC)),
        ("Wed, 19 Apr 2023 08:15:30 +0300", datetime(2023, 4, 19, 5, 15, 30, tzinfo=UTC)),
    ],
)
def test_stamp_of_any_form_in_the_head_is_read(meta: str, instant: datetime) -> None:
    head = f'<meta property="article:published_time" content="{meta}">'
    article = read(page(head=head, byline=""))
    assert article.date_published == instant
    assert article.date_published_raw == meta
    assert article.date_published_source == "meta"


def test_telephone_number_on_a_line_of_its_own_is_no_stamp() -> None:
    assert read(page(byline='<p class="date">1681892130</p>')).date_published is None


AMBIGUOUS = '<div class="meta"><span class="date">05/04/2023</span></div>'


@pytest.mark.parametrize(
    ("byline", "head", "url", "day"),
    [
        (AMBIGUOUS, "", URL, None),
        (AMBIGUOUS, "", "https://quay.example/2023/04/patrol/", 5),
        (AMBIGUOUS, "", "https://quay.example/2023/04/05/patrol/", 5),
        (AMBIGUOUS, '<meta name="date" content="2023-04-05">', URL, 5),
        (
            AMBIGUOUS.replace("</div>", "<span>Updated: 19/04/2023</span></div>"),
            "",
            URL,
            5,
        ),
    ],
)
def test_day_and_month_are_told_apart_by_what_else_the_page_says(
    byline: str, head: str, url: str, day: int | None
) -> None:
    fetched = datetime(2023, 9, 1, tzinfo=UTC)
    html = page(byline=byline, head=head)
    article = extract(html, url, site=site(country="CA"), fetched_at=fetched)
    assert article.date_published == (datetime(2023, 4, day, tzinfo=UTC) if day else None)


def test_of_two_readings_the_one_that_lies_ahead_is_not_meant() -> None:
    article = read(page(byline=AMBIGUOUS), country="CA")
    assert article.date_published == datetime(2023, 4, 5, tzinfo=UTC)
    assert article.date_published_flags == ()


def test_future_date_of_publication_is_flagged_and_of_change_is_null() -> None:
    byline = '<p class="date">Published 19/04/2033 08:15, updated 20/04/2033 07:00</p>'
    article = read(page(byline=byline))
    assert article.date_published == datetime(2033, 4, 19, 5, 15, tzinfo=UTC)
    assert article.date_published_flags == ("zone_assumed", "future")
    assert article.date_modified is None


def test_change_is_not_told_in_a_zone_that_nothing_on_record_says_was_assumed() -> None:
    head = '<meta property="article:published_time" content="2023-04-19T08:15:00+03:00">'
    article = read(page(head=head, byline='<p class="date">Updated 20/04/2023 07:00</p>'))
    assert article.date_published == OWN
    assert article.time_zone_assumed is None
    assert article.date_modified is None


@pytest.mark.parametrize(
    ("language", "zone", "printed", "instant"),
    [
        ("el", "Europe/Athens", "Τετάρτη, 19 ΑΠΡΙΛΙΟΥ 2023, 8:15 μ.μ.", "2023-04-19T17:15"),
        ("uk", "Europe/Kyiv", "08:15, 19 квітня 2023 р.", "2023-04-19T05:15"),
        ("ar", "Africa/Cairo", "الأربعاء ١٩ أبريل ٢٠٢٣ - ٠٨:١٥ م", "2023-04-19T18:15"),
        ("ar", "Asia/Riyadh", "19 نيسان/أبريل 2023 - 08:15 ص", "2023-04-19T05:15"),
        ("zh", "Asia/Shanghai", "2023年4月19日（星期三）下午3:40", "2023-04-19T07:40"),
        ("tr", "Europe/Istanbul", "19 NİSAN 2023 ÇARŞAMBA 20:15", "2023-04-19T17:15"),
        ("es", "Europe/Madrid", "19 de abril de 2023 a las 8:15 p. m.", "2023-04-19T18:15"),
        ("pl", "Europe/Warsaw", "środa, 19 kwietnia 2023 r., godz. 20.15", "2023-04-19T18:15"),
        ("fr", "Europe/Paris", "mercredi 19 avril 2023 à 20h15", "2023-04-19T18:15"),
        ("de", "Europe/Berlin", "Mittwoch, 19. April 2023, 20.15 Uhr", "2023-04-19T18:15"),
        ("pt", "America/Sao_Paulo", "19 de abril de 2023 às 20h15", "2023-04-19T23:15"),
        ("it", "Europe/Rome", "mercoledì 19 aprile 2023, ore 20.15", "2023-04-19T18:15"),
        ("ru", "Europe/Moscow", "19 апреля 2023 г. в 20:15", "2023-04-19T17:15"),
    ],
)
def test_byline_in_any_language_gives_the_instant_and_the_zone_assumed(
    language: str, zone: str, printed: str, instant: str
) -> None:
    html = page(byline=f'<div class="post-date">{printed}</div>')
    article = read(html, in_language=language, time_zone=zone, country=None)
    assert article.date_published == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert article.date_published_raw is not None
    assert article.date_published_raw in printed
    assert article.date_published_precision == "minute"
    assert article.time_zone_assumed == zone
