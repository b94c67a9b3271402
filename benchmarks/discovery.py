"""How much of what sites publish is found, how soon, and at what price in requests.

    python benchmarks/discovery.py [--days 30] [--json]

Three invented sites on loopback publish over simulated days: one busy in working hours, one steady,
one that is silent for days; some stories are edited. The clock is simulated, all else is real: each
crawl is the product's own, due by its own timetable, over HTTP, into a lake of its own. A crawl
takes no simulated time, so that the delay is the schedule's alone. A simulated
day takes half a minute.

Found: stories with a row, of those published until the last hour. Unchanged: polls of a feed, and
looks at a story, that had the same validator as the last one at that address.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from scrapy.crawler import AsyncCrawlerRunner
from scrapy.utils.reactor import install_reactor

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT))  # the look of a story's page is the tests'

install_reactor("twisted.internet.asyncioreactor.AsyncioSelectorReactor")

from crawler.extraction_pool import ExtractionPool  # noqa: E402 - after the reactor
from crawler.jobs import _scrapy_settings, _Watch  # noqa: E402
from crawler.opening import parts  # noqa: E402
from crawler.run import Run, open_lake_and_state  # noqa: E402
from crawler.settings import Settings  # noqa: E402
from crawler.site import Site  # noqa: E402
from crawler.spiders.news import NewsSpider, Plan  # noqa: E402
from crawler.timetable import Timetable  # noqa: E402
from pipelines.sql import rows_of  # noqa: E402
from pipelines.views import connect  # noqa: E402
from tests.living_site import page, paragraphs, story  # noqa: E402

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEED_LENGTH = 15
EDITED_AFTER, EDITED_SHARE = 3 * HOUR, 0.1
# Stories an hour, by hour of the day (UTC).
RHYTHMS = {
    "busy_post": [3.0 if 6 <= hour < 16 else 0.2 for hour in range(24)],
    "steady_post": [0.25] * 24,
    "seldom_post": [0.3 if hour == 9 else 0.0 for hour in range(24)],
}


@dataclass
class Paper:
    """A site: what it publishes and when, and what it was asked."""

    name: str
    clock: Any
    published: list[datetime]
    edited: dict[int, datetime]
    requests: list[tuple[str, int, bool]] = field(default_factory=list)
    validators: dict[str, str] = field(default_factory=dict)
    origin: str = ""

    def body(self, path: str) -> bytes | None:
        if path == "/robots.txt":
            return b"User-agent: *\nAllow: /\n"
        if path == "/feed/":
            return self._feed()
        n = int(path.strip("/").rpartition("-")[2] or -1) if "story-" in path else -1
        if not 0 <= n < len(self.published) or self.published[n] > self.clock():
            return None
        edited = self.edited.get(n)
        seed = self._seed(n) + (500_000 if edited and edited <= self.clock() else 0)
        return page(story(self._seed(n), published=self.published[n].isoformat(),
                          body=paragraphs(seed)), self.origin)  # fmt: skip

    def _seed(self, n: int) -> int:
        return n + 100_000 * list(RHYTHMS).index(self.name)

    def _feed(self) -> bytes:
        out = [n for n, at in enumerate(self.published) if at <= self.clock()][-FEED_LENGTH:]
        items = "".join(
            f"<item><link>{self.origin}/{self.published[n]:%Y/%m}/story-{n}</link>"
            f"<pubDate>{self.published[n]:%a, %d %b %Y %H:%M:%S} +0000</pubDate></item>"
            for n in reversed(out)
        )
        return f'<rss version="2.0"><channel><title>P</title>{items}</channel></rss>'.encode()

    def site(self) -> Site:
        return Site(
            name=self.name, publisher=self.name, home=f"{self.origin}/", time_zone="UTC",
            feeds=(f"{self.origin}/feed/",), every="30m", delay="0s",
        )  # type: ignore[arg-type] # fmt: skip


def papers(clock: Any, days: int) -> Iterator[Paper]:
    chance = random.Random(7)  # noqa: S311 - news, no secrets
    for name, rates in RHYTHMS.items():
        times = sorted(
            START + n * HOUR + chance.random() * HOUR
            for n in range(24 * days)
            for _ in range(_poisson(chance, rates[n % 24]))
        )
        edits = {n: at + EDITED_AFTER for n, at in enumerate(times)
                 if chance.random() < EDITED_SHARE}  # fmt: skip
        yield Paper(name, clock, times, edits)


def _poisson(chance: random.Random, rate: float) -> int:
    n, left = 0, chance.expovariate(1.0)
    while left < rate:
        n, left = n + 1, left + chance.expovariate(1.0)
    return n


def serve(paper: Paper) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = paper.body(self.path)
            tag = f'"{hashlib.sha256(body or b"").hexdigest()[:16]}"'
            status = 404 if body is None else 200
            if body is not None and self.headers.get("If-None-Match") == tag:
                status, body = 304, b""
            is_same = paper.validators.get(self.path) == tag
            paper.validators[self.path] = tag
            paper.requests.append((self.path, status, is_same))
            self.send_response(status)
            self.send_header("ETag", tag)
            self.send_header("Content-Type", "text/html")
            if status != 304:
                self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    paper.origin = f"http://127.0.0.1:{server.server_port}"
    return server


class Simulation:
    """Days that pass as fast as what happens in them can be done."""

    def __init__(self, folder: Path, days: int):
        self.now, self.days, self.crawls = START, days, 0
        self.papers = {one.name: one for one in papers(lambda: self.now, days)}
        self.settings = Settings(
            lake=str(folder / "lake"), state=f"sqlite:///{folder}/state/sitrep.db",
            allow_private_networks=True, workers=2,
        )  # fmt: skip

    async def run(self) -> dict[str, Any]:
        with ExitStack() as stack:
            for paper in self.papers.values():
                server = serve(paper)
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
            self.lake, self.state = open_lake_and_state(self.settings)
            stack.callback(self.state.close)
            self.pool = stack.enter_context(ExtractionPool(2))
            sites = [paper.site() for paper in self.papers.values()]
            while self.now < START + self.days * DAY:
                await self._turn(sites)
            return self._figures()

    async def _turn(self, sites: list[Site]) -> None:
        times = {one.name: Timetable(self.state, one, now=self.now).due_at for one in sites}
        due = tuple(one for one in sites if (at := times[one.name]) and at <= self.now)
        if due:
            await self._crawl(due)
        later = [at for at in times.values() if at and at > self.now]
        # Who was crawled is looked up again within the minute, in which nothing else happens.
        step = self.now + timedelta(minutes=1)
        self.now = step if due or not later else max(step, min(later))

    async def _crawl(self, due: tuple[Site, ...]) -> None:
        self.crawls += 1
        run = Run(
            **{**parts(self.settings), "clock": lambda: self.now},
            lake=self.lake, state=self.state, pool=self.pool, sites=due,
        )  # fmt: skip
        plan = Plan(sites=due, is_due=True)
        runner, watch = AsyncCrawlerRunner(_scrapy_settings(self.settings, plan)), _Watch(run, None)
        crawler = runner.create_crawler(NewsSpider)
        watch.follow(crawler)
        await runner.crawl(crawler, run=run, plan=plan)
        if watch.error is not None:
            raise watch.error

    def _figures(self) -> dict[str, Any]:
        with connect(self.lake) as connection:
            rows = rows_of(connection, "SELECT url, first_seen, revision FROM articles")
        found = {row["url"]: row for row in rows}
        sites = {name: self._of(paper, found) for name, paper in self.papers.items()}
        return {"days": self.days, "crawls": self.crawls, "sites": sites}

    def _of(self, paper: Paper, found: dict[str, Any]) -> dict[str, Any]:
        end = START + self.days * DAY - HOUR
        wanted = {f"{paper.origin}/{at:%Y/%m}/story-{n}": (n, at)
                  for n, at in enumerate(paper.published) if at < end}  # fmt: skip
        there = {url: found[url] for url in wanted if url in found}
        minutes = sorted((there[u]["first_seen"] - wanted[u][1]) / timedelta(minutes=1)
                         for u in there)  # fmt: skip
        edits = [u for u, (n, _) in wanted.items()
                 if u in there and paper.edited.get(n, end) < end - 4 * HOUR]  # fmt: skip
        same = [status for path, status, is_same in paper.requests
                if is_same and path != "/robots.txt"]  # fmt: skip
        return {
            "published": len(wanted),
            "found": len(there) / len(wanted) if wanted else None,
            "delay_minutes_median": round(median(minutes), 1) if minutes else None,
            "delay_minutes_p95": round(quantiles(minutes, n=20)[-1], 1)
            if len(minutes) > 1
            else None,
            "requests": len(paper.requests),
            "requests_an_article": round(len(paper.requests) / len(there), 2) if there else None,
            "unchanged": len(same),
            "answered_304": round(same.count(304) / len(same), 4) if same else None,
            "edits": len(edits),
            "edits_found": sum(there[u]["revision"] > 1 for u in edits),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="discovery-") as folder:
        from twisted.internet import reactor

        loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop  # type: ignore[attr-defined] # noqa: SLF001 - Scrapy runs in the reactor's own
        ended: list[dict[str, Any] | BaseException] = []

        async def simulate() -> None:
            try:
                ended.append(await Simulation(Path(folder), options.days).run())
            except BaseException as error:  # noqa: BLE001 - raised again outside the loop
                ended.append(error)
            reactor.stop()  # type: ignore[attr-defined]

        loop.create_task(simulate())
        reactor.run()  # type: ignore[attr-defined]
    if isinstance(ended[0], BaseException):
        raise ended[0]
    tell(ended[0], is_json=options.json)


def tell(figures: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        print(json.dumps(figures))
        return
    print(f"{figures['days']} simulated days, {figures['crawls']} crawls")
    for name, site in figures["sites"].items():
        print(name)
        for key, value in site.items():
            print(f"  {key:<22} {value}")


if __name__ == "__main__":
    main()
