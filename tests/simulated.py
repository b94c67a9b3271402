"""Sites and machines with a wrong idea of time, crawled by a clock that the test sets.

    python tests/simulated.py NAME FOLDER

Runs the scene NAME in FOLDER and prints what came of it, as JSON; a process of its own, since
Scrapy's loop can be run but once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "benchmarks")]

from simulated_days import Clock, Simulation, run_in_loop  # noqa: E402 - of the benchmarks

from crawler.site import Site, read_site  # noqa: E402
from pipelines.sql import rows_of  # noqa: E402
from pipelines.views import connect  # noqa: E402
from tests.hostile_server import Answer, Handler, HostileServer, story  # noqa: E402

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Scene:
    """A server, and a crawler that is told the time."""

    def __init__(self, folder: Path, server: HostileServer):
        self.clock = Clock(START)
        self.server = server
        self.simulation = Simulation(folder, self.clock)
        self.folder = folder

    def site(self, **keys: Any) -> Site:
        keys = {"feeds": ["/feed"], "every": "30m", **keys}
        return read_site(self.server.write_site_file(self.folder / "sites", **keys))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with connect(self.simulation.lake) as connection:
            return rows_of(connection, sql)

    def articles(self) -> int:
        return int(self.rows("SELECT count(*) AS n FROM articles")[0]["n"])


async def robots_down(scene: Scene) -> dict[str, Any]:
    """A week in which robots.txt answers 500, from the second day on."""
    server, clock = scene.server, scene.clock
    server.serve_feed(server.stories(1, 2))
    server.routes["/robots.txt"] = Answer(b"User-agent: *\nAllow: /\n", content_type="text/plain")
    site = scene.site()
    await scene.simulation.until(START + DAY, [site])
    server.routes["/robots.txt"] = Answer(b"", 500)
    server.serve_feed(server.stories(1, 2, 3))
    clock.set_on(clock() + HOUR)
    server.requests.clear()
    await scene.simulation.until(START + 8 * DAY, [site])
    asked, said = server.paths(), scene.simulation.state.site("hostile").last_error
    held = scene.simulation.timetable(site).due_at
    hours = (held - clock()) / HOUR if held else None
    server.routes["/robots.txt"] = Answer(b"User-agent: *\nAllow: /\n", content_type="text/plain")
    await scene.simulation.until(START + 9.2 * DAY, [site])
    return {
        "asked": {path: asked.count(path) for path in set(asked)},
        "last_error": said,
        "held_hours": hours,
        "articles": scene.articles(),
    }


async def clock_a_year_off(scene: Scene) -> dict[str, Any]:
    """Servers whose Date, Last-Modified and Expires are a year behind, then a year ahead."""
    found = {}
    for name, off in (("behind", -365 * DAY), ("ahead", 365 * DAY)):
        since = scene.clock()
        feed_before = _by_its_own_clock(scene, off, since)
        scene.server.routes["/feed"] = feed_before
        site = scene.site()
        scene.server.requests.clear()
        await scene.simulation.until(since + 6 * HOUR, [site])
        polls = [one for one in scene.server.requests if one.path == "/feed"]
        found[name] = {
            "polls": len(polls),
            "conditional": sum("if-modified-since" in one.headers for one in polls),
            "articles": scene.articles(),
        }
    times = scene.rows("SELECT first_seen, date_modified FROM articles")
    found["seen_by_our_clock"] = all(START <= one["first_seen"] <= scene.clock() for one in times)
    return found


def _by_its_own_clock(scene: Scene, off: timedelta, since: datetime) -> Callable[[Handler], None]:
    """Serve a feed that has one story more each hour, with the headers of a clock that is off."""
    server, first = scene.server, 1 if off < timedelta() else 11

    def answer(handler: Handler) -> None:
        hours = int((scene.clock() - since) / HOUR)
        changed = since + hours * HOUR
        given = {"Date": scene.clock(), "Last-Modified": changed,
                 "Expires": scene.clock() + HOUR / 4}  # fmt: skip
        headers = {name: format_datetime((at + off).replace(microsecond=0), usegmt=True)
                   for name, at in given.items()}  # fmt: skip
        if handler.headers.get("If-Modified-Since") == headers["Last-Modified"]:
            handler.send_response_only(304)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            return
        paths = server.stories(*range(first, first + hours + 1))
        items = "".join(f"<item><link>{server.url(path)}</link></item>" for path in paths)
        body = f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()
        handler.send_response_only(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


async def slept(scene: Scene) -> dict[str, Any]:
    """A laptop that is shut in mid-crawl, for two days; its connections are gone when it wakes."""
    server, clock = scene.server, scene.clock
    server.serve_feed(server.stories(*range(1, 9)))

    def shut(handler: Handler) -> None:
        server.routes["/news/4/"] = story(4)
        clock.set_on(clock() + 2 * DAY)
        handler.close_connection = True
        handler.connection.close()

    server.routes["/news/4/"] = shut
    site = scene.site()
    report = await scene.simulation.crawl((site,))
    asked = [path for path in server.paths() if path.startswith("/news/")]
    await scene.simulation.until(clock() + HOUR, [site])
    [run] = scene.rows(f"SELECT * FROM runs WHERE run_id = '{report.run_id}'")
    return {
        "articles": scene.articles(),
        "asked_twice": sorted({path for path in asked if asked.count(path) > 1}),
        "robots_asked": server.asked("/robots.txt"),
        "hours": (run["finished_at"] - run["started_at"]) / HOUR,
        "errors": [one["error"] for one in report.as_json()["sites"][0]["errors"]],
        "warnings": [one["warning"] for one in report.as_json()["sites"][0]["warnings"]],
    }


async def asks_for_a_day(scene: Scene) -> dict[str, Any]:
    """A host that asks to be left alone for a day, of which the feed was asked first."""
    server, clock = scene.server, scene.clock
    server.serve_feed(server.stories(1))
    site = scene.site()
    await scene.simulation.until(START + HOUR / 2, [site])
    server.routes["/feed"] = Answer(b"", 503, {"Retry-After": "86400"})
    clock.set_on(START + HOUR)
    await scene.simulation.until(START + 2 * HOUR, [site])
    server.requests.clear()
    server.serve_feed(server.stories(1, 2))
    await scene.simulation.until(START + 24 * HOUR, [site])
    within = len(server.requests)
    await scene.simulation.until(START + 26 * HOUR, [site])
    return {"within": within, "articles": scene.articles()}


SCENES: dict[str, Callable[[Scene], Awaitable[dict[str, Any]]]] = {
    one.__name__: one for one in (robots_down, clock_a_year_off, slept, asks_for_a_day)
}


def main(name: str, folder: Path) -> None:
    async def run() -> dict[str, Any]:
        with HostileServer() as server:
            scene = Scene(folder, server)
            with scene.simulation:
                return await SCENES[name](scene)

    sys.stdout.write(json.dumps(run_in_loop(run)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
