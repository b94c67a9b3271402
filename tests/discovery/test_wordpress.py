"""The REST interface of WordPress, as it answers and as it refuses."""

import json
from datetime import UTC, datetime

import pytest

from crawler.discovery import Discovered, discover, hint_time, posts_url
from crawler.site import Site
from pipelines.errors import DiscoveryError
from pipelines.model import Hints, Kind

BASE = "https://gazette.example/wp-json"
POST = {
    "id": 4711,
    "link": "https://gazette.example/refit-begins/",
    "date": "2025-03-14T08:15:00",
    "date_gmt": "2025-03-14T06:15:00",
    "modified_gmt": "2025-03-15T07:00:00",
    "title": {"rendered": "Navy&#8217;s <i>refit</i> &amp; more"},
    "excerpt": {"rendered": "<p>Work starts in May. [&hellip;]</p>\n", "protected": False},
    "jetpack_featured_media_url": "https://gazette.example/img/1.jpg",
    "_embedded": {
        "author": [{"id": 3, "name": "Eleni Markou"}],
        "wp:term": [
            [{"taxonomy": "category", "name": "Navy &amp; Marines"}],
            [{"taxonomy": "post_tag", "name": "Refits"}],
        ],
    },
}


def read(site: Site, body: object, url: str | None = None, **headers: str) -> Discovered:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return discover(
        Kind.WORDPRESS, content, url or posts_url(BASE), site=site,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )  # fmt: skip


def test_a_post_carries_its_hints_with_its_dates_in_utc(site: Site) -> None:
    (link,) = read(site, [POST]).links
    assert link.url == "https://gazette.example/refit-begins/"
    assert link.hints == Hints(
        source="wordpress",
        headline="Navy’s refit & more",
        description="Work starts in May.",
        authors=("Eleni Markou",),
        date_published="2025-03-14T06:15:00Z",
        date_modified="2025-03-15T07:00:00Z",
        article_section="Navy & Marines",
        keywords=("Navy & Marines", "Refits"),
        image_url="https://gazette.example/img/1.jpg",
    )
    assert hint_time(link.hints.date_published) == datetime(2025, 3, 14, 6, 15, tzinfo=UTC)


def test_the_first_page_names_all_the_others(site: Site) -> None:
    first = posts_url(BASE)
    found = read(site, [POST], x_wp_totalpages="3")
    assert found.children == (posts_url(BASE, page=2), posts_url(BASE, page=3))
    assert first not in found.children
    assert read(site, [POST], posts_url(BASE, page=2), x_wp_totalpages="3").children == ()


def test_without_the_header_a_full_page_leads_to_the_next_one(site: Site) -> None:
    posts = [{**POST, "link": f"https://gazette.example/{n}/"} for n in range(100)]
    assert read(site, posts).children == (posts_url(BASE, page=2),)
    assert read(site, posts[:99]).children == ()


@pytest.mark.parametrize("total", ["", "many", "-1", "9" * 40])
def test_a_broken_page_count_is_not_believed(site: Site, total: str) -> None:
    assert read(site, [POST], x_wp_totalpages=total).children == ()


def test_dates_that_wordpress_does_not_have_are_left_out(site: Site) -> None:
    zero = {**POST, "date": "0000-00-00T00:00:00", "date_gmt": "0000-00-00T00:00:00"}
    assert read(site, [zero]).links[0].hints.date_published is None


def test_authors_that_the_site_hides_are_none(site: Site) -> None:
    hidden = {**POST, "_embedded": {"author": [{"code": "rest_user_invalid_id", "data": {}}]}}
    assert read(site, [hidden]).links[0].hints.authors == ()


def test_the_page_after_the_last_is_empty_and_no_error(site: Site) -> None:
    answer = {"code": "rest_post_invalid_page_number", "message": "", "data": {"status": 400}}
    assert read(site, answer) == Discovered()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"code": "rest_no_route", "message": "x"}, "WordPress refuses with rest_no_route"),
        ({"posts": []}, "is JSON, but no list of posts"),
        ("<!doctype html><p>[Login]</p>", "is an HTML page, not a wordpress"),
        ('[{"id": 1, "link": "https://gaz', "is no JSON, or was cut in the middle"),
        ("[" * 100_000, "is no JSON, or was cut in the middle"),
        ("", "is empty"),
    ],
)
def test_an_answer_without_posts_is_named_for_what_it_is(
    site: Site, body: object, what: str
) -> None:
    with pytest.raises(DiscoveryError) as raised:
        read(site, body)
    assert raised.value.message == what


def test_fields_of_the_wrong_type_cost_their_value_alone(site: Site) -> None:
    odd = {
        "link": POST["link"], "title": None, "excerpt": 5, "date_gmt": 7, "_embedded": [],
        "yoast_head_json": "x", "jetpack_featured_media_url": {},
    }  # fmt: skip
    found = read(site, [odd, "post", {"link": None}])
    assert [link.hints for link in found.links] == [Hints(source="wordpress")]


def test_notices_that_php_prints_first_do_no_harm(site: Site) -> None:
    body = "<br />\n<b>Notice</b>: something in x.php\n" + json.dumps([POST])
    assert len(read(site, body).links) == 1


def test_a_backfill_asks_for_its_days_only() -> None:
    url = posts_url(
        BASE + "/", per_page=50,
        after=datetime(2025, 3, 1, tzinfo=UTC), before=datetime(2025, 4, 1, tzinfo=UTC),
    )  # fmt: skip
    assert url.startswith("https://gazette.example/wp-json/wp/v2/posts?page=1&per_page=50&")
    assert "after=2025-03-01T00:00:00Z&before=2025-04-01T00:00:00Z" in url
