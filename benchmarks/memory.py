"""Does a crawl's memory stay flat?

    python benchmarks/memory.py [--pages 20000] [--workers 2] [--json]
    python benchmarks/memory.py --backfill [--pages 1000000] [--limit 500] [--workers 2] [--json]

Pages of invented words are served on loopback by a process of their own, and crawled without
delay into a folder that is removed. Once a second the resident memory of the crawler and all its
processes is read (shared pages are counted in each). A feed of sitemaps lists the pages, as large
sites have it. Some 20,000 pages take ten minutes and more on two cores.

With `--backfill` the crawl is one with `--from`: sitemaps as large as the protocol has them (50,000
addresses) list a million pages, all of which are put down, and `--limit` of them are fetched. The
crawler's own memory is held against how many addresses were listed. It takes ten minutes and more.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import linear_regression, mean
from typing import Any, NamedTuple

import psutil

CHECKOUT = Path(__file__).parents[1]
A_SITEMAP, MOST_IN_A_SITEMAP = 1_000, 50_000
# Within the second half, memory may rise by this share of its mean: a commit now and then, the
# allocator's holes.
FLAT = 0.1

_SYLLABLES = ("ba", "den", "fo", "gar", "hul", "ka", "lor", "mi", "nes", "pra", "stu", "ve", "wen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backfill", action="store_true", help="list many, fetch few")
    parser.add_argument("--pages", type=int, help="default 20,000; of a backfill a million")
    parser.add_argument("--limit", type=int, default=500, help="how many a backfill fetches")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two looks")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    options = parser.parse_args()
    options.pages = options.pages or (1_000_000 if options.backfill else 20_000)
    served = Served(*(multiprocessing.Value("i", 0) for _ in range(2)))
    ports: Any = multiprocessing.Queue()
    part = min(MOST_IN_A_SITEMAP if options.backfill else A_SITEMAP, max(options.pages // 20, 1))
    made = (options.pages, part, served, ports)
    server = multiprocessing.Process(target=serve, args=made, daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        samples, seconds, status = crawl(Path(folder), ports.get(), served, options)
        state_bytes = sum(one.stat().st_size for one in Path(folder, "state").glob("*.db*"))
    server.terminate()
    if options.backfill:
        report = of_backfill(samples, options.pages, seconds, status, state_bytes)
    else:
        report = summary([one.of_stories() for one in samples], options.pages, seconds, status)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        show(report)


class Served(NamedTuple):
    """What the server gave: pages of stories, and addresses in sitemaps."""

    stories: Any
    listed: Any


class Sample(NamedTuple):
    """One look: when, what had been served until then, and the resident bytes."""

    seconds: float
    stories: int
    listed: int
    resident: int
    of_crawler: int

    def of_stories(self) -> tuple[float, int, int]:
        return self.seconds, self.stories, self.resident


def crawl(folder: Path, port: int, served: Served, options: Any) -> tuple[list[Sample], float, int]:
    """Crawl the site; return a sample a second, the time, the status."""
    site = folder / "sites" / "endless.toml"
    site.parent.mkdir()
    home = f"http://127.0.0.1:{port}/"
    site.write_text(
        f'publisher = "Endless"\nhome = "{home}"\nin_language = "en"\ntime_zone = "UTC"\n'
        f'sitemaps = ["{home}sitemap.xml"]\narticle_url = "/story/"\ndelay = "0s"\n'
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("SITREP_")} | {
        "PYTHONPATH": str(CHECKOUT), "SITREP_ALLOW_PRIVATE_NETWORKS": "1",
        "SITREP_WORKERS": str(options.workers), "SITREP_LOG_LEVEL": "warning",
    }  # fmt: skip
    days = ["--from", "2024-01-01", "--limit", str(options.limit)] if options.backfill else []
    began = time.monotonic()
    running = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "crawler", "crawl", "endless", "-q", *days],
        cwd=folder, env=env, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    samples = []
    while running.poll() is None:
        counts = (served.stories.value, served.listed.value)
        samples.append(Sample(time.monotonic() - began, *counts, *resident(running.pid)))
        time.sleep(options.every)
    return samples, time.monotonic() - began, running.returncode


def resident(pid: int) -> tuple[int, int]:
    """Return the resident bytes of a process and its workers, and its own."""
    total = own = 0
    try:
        leader = psutil.Process(pid)
        own = leader.memory_info().rss
        for one in (leader, *leader.children(recursive=True)):
            try:
                total += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        pass
    return total, own


def summary(samples: list[Any], pages: int, seconds: float, status: int) -> dict[str, Any]:
    rise = rise_of([one for one in samples if pages // 2 <= one[1] < pages])
    at = {
        f"{tenth * 10} %": next((rss >> 20 for _, n, rss in samples if n >= pages * tenth // 10), 0)
        for tenth in range(1, 11)
    }
    return {
        "pages": samples[-1][1],
        "exit_status": status,
        "seconds": round(seconds),
        "pages_per_second": round(samples[-1][1] / seconds, 1),
        "rss_mb": at,
        "peak_mb": max(rss for _, _, rss in samples) >> 20,
        "rise_in_second_half": None if rise is None else round(rise, 3),
        "is_flat": None if rise is None else rise < FLAT,
    }


def of_backfill(
    samples: list[Sample], pages: int, seconds: float, status: int, state_bytes: int
) -> dict[str, Any]:
    """Return how memory went while addresses were put down, and while pages were fetched then."""
    reading = [one for one in samples if not one.stories]
    fetching = [one for one in samples if one.stories]
    second_half = [one for one in reading if one.listed >= pages // 2]
    rise = rise_of([(one.seconds, one.listed, one.of_crawler) for one in second_half])
    at = {
        f"{tenth * 10} %": next(
            (one.of_crawler >> 20 for one in samples if one.listed >= pages * tenth // 10), 0
        )
        for tenth in range(1, 11)
    }
    return {
        "links": samples[-1].listed,
        "pages": samples[-1].stories,
        "exit_status": status,
        "seconds": round(seconds),
        "seconds_reading": round(reading[-1].seconds) if reading else 0,
        "rss_mb": at,
        "peak_mb": max((one.of_crawler for one in reading), default=0) >> 20,
        "fetching_peak_mb": max((one.of_crawler for one in fetching), default=0) >> 20,
        "with_workers_peak_mb": max(one.resident for one in samples) >> 20,
        "state_mb": state_bytes >> 20,
        "rise_in_second_half": None if rise is None else round(rise, 3),
        "is_flat": None if rise is None else rise < FLAT,
    }


def rise_of(samples: list[Any]) -> float | None:
    """Return by which share of its mean memory rises over these; None for too few to tell."""
    if len(samples) < 3:
        return None
    slope = linear_regression([s for s, _, _ in samples], [rss for _, _, rss in samples]).slope
    rise: float = slope * (samples[-1][0] - samples[0][0]) / mean(rss for _, _, rss in samples)
    return rise


def show(report: dict[str, Any]) -> None:
    what = "links" if "links" in report else "pages"
    for part, resident_mb in report["rss_mb"].items():
        print(f"after {part:>5} of the {what} {resident_mb:6} MB")
    names = [name for name in report if name != "rss_mb"]
    print("  ".join(f"{name.replace('_', ' ')} {report[name]}" for name in names))


def serve(pages: int, part: int, served: Served, ports: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body, form = answer(self.path, pages, part, f"http://{self.headers['Host']}")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", form)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if self.path.startswith("/story/"):
                with served.stories.get_lock():
                    served.stories.value += 1
            with served.listed.get_lock():
                served.listed.value += body.count(b"<url>")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    ports.put(server.server_port)
    server.serve_forever()


def answer(path: str, pages: int, part: int, origin: str) -> tuple[bytes, str]:
    name = path.strip("/").split("/")
    if name == ["sitemap.xml"]:
        parts = range(0, pages, part)
        return _sitemap(
            "sitemapindex", "sitemap", (f"{origin}/part/{n}" for n in parts)
        ), "text/xml"
    if name[0] == "part":
        some = range(int(name[1]), min(pages, int(name[1]) + part))
        return _sitemap("urlset", "url", (f"{origin}/story/{n}/" for n in some)), "text/xml"
    return (_page(int(name[1])), "text/html") if name[0] == "story" else (b"", "text/plain")


def _sitemap(root: str, entry: str, urls: Any) -> bytes:
    inner = "".join(f"<{entry}><loc>{url}</loc></{entry}>" for url in urls)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0"?><{root} xmlns="{space}">{inner}</{root}>'.encode()


def _page(n: int) -> bytes:
    """Return a page of 10 to 30 KB, different for each `n`."""
    chance = random.Random(n)  # noqa: S311 - texts, no secrets
    words = ["".join(chance.choices(_SYLLABLES, k=3)) for _ in range(300)]
    text = "".join(
        f"<p>{' '.join(chance.choices(words, k=80)).capitalize()}.</p>\n"
        for _ in range(chance.randint(18, 50))
    )
    side = "".join(f'<li><a href="/story/{n + i}/">{words[i]}</a></li>' for i in range(1, 30))
    month, day = n % 12 + 1, n % 28 + 1
    return (
        f'<!doctype html><html lang="en"><head><title>Story {n} of {words[0]} - Endless</title>'
        f'<meta property="article:published_time" content="2024-{month:02}-{day:02}T08:00:00Z">'
        f"</head><body><nav><ul>{side}</ul></nav><main><article><h1>Story {n} of {words[0]}</h1>"
        f'<div class="entry-content">{text}</div></article></main></body></html>'
    ).encode()


if __name__ == "__main__":
    main()
