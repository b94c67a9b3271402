"""Requests for a site's pages, and what Scrapy hands back with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import scrapy
from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from crawler.site import Site
from pipelines.model import Kind, Link, Page

# Sources go before articles, so that an article is read with all that is said of it.
SOURCE_PRIORITY = 10


def request_for(
    url: str,
    kind: Kind,
    site: Site,
    *,
    callback: Callable[..., Any] | None = None,
    errback: Callable[[Failure], Awaitable[None]] | None = None,
    conditional: bool = False,
    by_name: bool = False,
    link: Link | None = None,
) -> Request:
    """Return the request for a page; `by_name`: somebody gave its very address."""
    meta: dict[str, Any] = {
        "site": site,
        "kind": kind,
        "requested_url": url,
        "download_slot": site.name,
        "conditional": conditional,
        "by_name": by_name,
    }
    if link is not None:
        meta |= {"link": link, "hints": link.hints}
    return Request(
        url,
        callback=callback or scrapy.http.request.NO_CALLBACK,
        errback=errback,
        meta=meta,
        dont_filter=True,
        priority=0 if kind is Kind.ARTICLE else SOURCE_PRIORITY,
    )


def request_of(response: Response) -> Request:
    if response.request is None:  # Scrapy sets it on every response that it hands on
        raise RuntimeError(f"{response.url} came without its request")
    return response.request


def request_and_cause(failure: Failure) -> tuple[Request, BaseException]:
    request: Request = failure.request  # type: ignore[attr-defined] # Scrapy adds it
    return request, failure.value or RuntimeError("a failure without a cause")


def status_line(page: Page) -> str:
    if not page.is_redirect:
        return f"HTTP {page.status}"
    target = page.headers.get("location")
    return f"HTTP {page.status} to {target[:200]}" if target else f"HTTP {page.status} to nowhere"
