"""A named site touches that site's hosts alone, redirects included."""

from __future__ import annotations

from scrapy import Request

from crawler.refusals import NotAskedError
from crawler.site import Site
from pipelines.model import Kind


class BoundsMiddleware:
    """Refuses what lies on another host, unless the site file itself names that address' host."""

    def process_request(self, request: Request) -> None:
        site: Site = request.meta["site"]
        if site.owns(request.url):
            return
        is_source = request.meta["kind"] not in {Kind.ARTICLE, Kind.FURTHER}
        if is_source and site.names_host_of(request.url):
            return
        raise NotAskedError("foreign_host", f"leads to {request.url}, no host of this site")
