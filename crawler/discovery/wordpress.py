"""The posts of WordPress's REST interface, `wp/v2/posts`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from crawler.discovery.discovered import Discovered, Source, absolute, each_once
from crawler.discovery.markup import not_one
from crawler.discovery.plain_text import plain_text, standfirst
from pipelines.errors import DiscoveryError
from pipelines.model import Hints, Link

# What is asked for, so that a hundred posts do not bring their bodies along.
_FIELDS = (
    "id,link,date,date_gmt,modified,modified_gmt,title,excerpt,jetpack_featured_media_url,"
    "yoast_head_json.author,yoast_head_json.og_image,_links,_embedded"
)
# A header beyond this is broken: a million posts at a hundred a page.
_MAX_PAGES = 10_000
_NO_MORE_PAGES = "rest_post_invalid_page_number"
_NO_DATE = "0000-00-00"


def posts_url(
    base: str,
    *,
    page: int = 1,
    per_page: int = 100,
    after: datetime | None = None,
    before: datetime | None = None,
) -> str:
    """Return the address of one page of posts, newest first; `base` ends in `/wp-json`."""
    query: dict[str, str] = {"page": str(page), "per_page": str(per_page)}
    query |= {"orderby": "date", "order": "desc"}
    query |= {"after": _moment(after)} if after else {}
    query |= {"before": _moment(before)} if before else {}
    query |= {"_fields": _FIELDS, "_embed": "author,wp:term"}
    return f"{base.rstrip('/')}/wp/v2/posts?{urlencode(query, safe=',:')}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_posts(source: Source) -> Discovered:
    """Return the posts of one page. Raises DiscoveryError when `source` holds none."""
    posts = _posts(source)
    links = each_once(link for one in posts if (link := _link(one, source)) is not None)
    children, warnings = _further_pages(source, len(posts))
    lost = len(posts) - len(links)
    if lost:
        warnings = (*warnings, f"{lost} of {len(posts)} posts have no address of their own")
    return Discovered(links=links, children=children, warnings=warnings)


def _posts(source: Source) -> list[Mapping[str, object]]:
    answer = _json(source)
    if isinstance(answer, dict) and answer.get("code") == _NO_MORE_PAGES:
        return []
    if isinstance(answer, dict) and isinstance(answer.get("code"), str):
        raise DiscoveryError(
            f"WordPress refuses with {str(answer['code'])[:100]}",
            where=source.url,
            remedy="use the site's feeds or sitemaps instead of 'wordpress'",
        )
    if not isinstance(answer, list):
        raise DiscoveryError(
            "is JSON, but no list of posts",
            where=source.url,
            remedy="'wordpress' must be the address that ends in /wp-json",
        )
    return [one for one in answer if isinstance(one, dict)]


def _json(source: Source) -> object:
    # Warnings that PHP prints may stand before the answer.
    match = re.search(r"[\[{]", source.text)
    if match is None or re.match(r"\s*<(?:!doctype|html)", source.text, re.IGNORECASE):
        raise not_one(source)
    try:
        answer: object = json.JSONDecoder().raw_decode(source.text, match.start())[0]
    except (ValueError, RecursionError) as error:
        raise DiscoveryError(
            "is no JSON, or was cut in the middle", where=source.url, remedy="crawl again later"
        ) from error
    return answer


def _further_pages(source: Source, posts: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the pages after this one, once: page 1 names them all, if it knows how many."""
    query = dict(parse_qsl(urlsplit(source.url).query))
    page, per_page = _number(query.get("page")) or 1, _number(query.get("per_page")) or 10
    total = _number(source.headers.get("x-wp-totalpages"))
    if total is None:
        # Some caches drop the header: then each full page leads to the next.
        return ((_page_url(source.url, page + 1),), ()) if posts >= per_page else ((), ())
    if page != 1:
        return (), ()
    warnings = (f"says it has {total} pages; the first {_MAX_PAGES} are read",)
    pages = tuple(_page_url(source.url, n) for n in range(2, min(total, _MAX_PAGES) + 1))
    return pages, warnings if total > _MAX_PAGES else ()


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _page_url(url: str, page: int) -> str:
    if re.search(r"[?&]page=\d+", url):
        return re.sub(r"(?<=[?&]page=)\d+", str(page), url, count=1)
    return f"{url}{'&' if '?' in url else '?'}page={page}"


def _link(post: Mapping[str, object], source: Source) -> Link | None:
    url = absolute(_text(post.get("link")), source.url)
    if url is None:
        return None
    return Link(url=url, found_at=source.url, kind=source.kind, hints=_hints(post, url))


def _hints(post: Mapping[str, object], url: str) -> Hints:
    terms = list(_terms(post))
    sections = [name for taxonomy, name in terms if taxonomy == "category"]
    return Hints(
        source="wordpress",
        headline=plain_text(_rendered(post, "title")),
        description=standfirst(_rendered(post, "excerpt"), link=url),
        authors=tuple(dict.fromkeys(_authors(post))),
        date_published=_date(post, "date"),
        date_modified=_date(post, "modified"),
        article_section=sections[0] if sections else None,
        keywords=tuple(dict.fromkeys(name for _, name in terms)),
        image_url=absolute(_image(post), url),
    )


def _date(post: Mapping[str, object], name: str) -> str | None:
    """Return `<name>_gmt` with the Z that WordPress leaves out, else the local time without one."""
    universal = _text(post.get(f"{name}_gmt"))
    if universal and not universal.startswith(_NO_DATE):
        has_zone = re.search(r"(?:[Zz]|[+-]\d\d:?\d\d)$", universal) is not None
        return universal if has_zone else f"{universal}Z"
    local = _text(post.get(name))
    return local if local and not local.startswith(_NO_DATE) else None


def _rendered(post: Mapping[str, object], name: str) -> str | None:
    value = post.get(name)
    return _text(value.get("rendered") if isinstance(value, dict) else value)


def _authors(post: Mapping[str, object]) -> Iterator[str]:
    embedded = _dict(post.get("_embedded")).get("author")
    # A site that hides its authors puts an error object in their place.
    named = [_text(_dict(one).get("name")) for one in _list(embedded)]
    named = [one for one in named if one] or [
        _text(_dict(post.get("yoast_head_json")).get("author"))
    ]
    for one in named:
        if name := plain_text(one):
            yield name


def _terms(post: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for group in _list(_dict(post.get("_embedded")).get("wp:term")):
        for term in _list(group):
            name = plain_text(_text(_dict(term).get("name")))
            if name:
                yield str(_dict(term).get("taxonomy")), name


def _image(post: Mapping[str, object]) -> str | None:
    if own := _text(post.get("jetpack_featured_media_url")):
        return own
    images = _list(_dict(post.get("yoast_head_json")).get("og_image"))
    return _text(_dict(images[0]).get("url")) if images else None


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
