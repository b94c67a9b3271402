"""Does a crawl's memory stay flat?

    python benchmarks/memory.py [--pages 20000] [--workers 2] [--json]

Pages of invented words are served on loopback by a process of their own, and crawled without
delay into a folder that is removed. Once a second the resident memory of the crawler and all its
processes is read (shared pages are counted in each). A feed of sitemaps lists the pages, as large
sites have it. Some 20,000 pages take ten minutes and more on two cores.
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
from typing import Any

import psutil

CHECKOUT = Path(__file__).parents[1]
A_SITEMAP = 1_000
# Within the second half, memory may rise by this share of its mean: a commit now and then, the
# allocator's holes.
FLAT = 0.1

_SYLLABLES = ("ba", "den", "fo", "gar", "hul", "ka", "lor", "mi", "nes", "pra", "stu", "ve", "wen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two looks")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    options = parser.parse_args()
    served = multiprocessing.Value("i", 0)
    ports: Any = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(options.pages, served, ports), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        samples, seconds, status = crawl(Path(folder), ports.get(), served, options)
    server.terminate()
    report = summary(samples, options.pages, seconds, status)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        show(report)


def crawl(folder: Path, port: int, served: Any, options: Any) -> tuple[list[Any], float, int]:
    """Crawl the site; return (seconds, articles asked, bytes) a second, the time, the status."""
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
    began = time.monotonic()
    running = subprocess.Popen(
        [sys.executable, "-m", "crawler", "crawl", "endless", "-q"],
        cwd=folder, env=env, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    samples = []
    while running.poll() is None:
        samples.append((time.monotonic() - began, served.value, resident(running.pid)))
        time.sleep(options.every)
    return samples, time.monotonic() - began, running.returncode


def resident(pid: int) -> int:
    total = 0
    try:
        leader = psutil.Process(pid)
        for one in (leader, *leader.children(recursive=True)):
            try:
                total += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        pass
    return total


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


def rise_of(samples: list[Any]) -> float | None:
    """Return by which share of its mean memory rises over these; None for too few to tell."""
    if len(samples) < 3:
        return None
    slope = linear_regression([s for s, _, _ in samples], [rss for _, _, rss in samples]).slope
    rise: float = slope * (samples[-1][0] - samples[0][0]) / mean(rss for _, _, rss in samples)
    return rise


def show(report: dict[str, Any]) -> None:
    for part, resident_mb in report["rss_mb"].items():
        print(f"after {part:>5} of the pages {resident_mb:6} MB")
    names = ("pages", "seconds", "pages_per_second", "peak_mb", "rise_in_second_half", "is_flat")
    print("  ".join(f"{name.replace('_', ' ')} {report[name]}" for name in names))


def serve(pages: int, served: Any, ports: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body, form = answer(self.path, pages, f"http://{self.headers['Host']}")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", form)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if self.path.startswith("/story/"):
                with served.get_lock():
                    served.value += 1

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    ports.put(server.server_port)
    server.serve_forever()


def answer(path: str, pages: int, origin: str) -> tuple[bytes, str]:
    name = path.strip("/").split("/")
    if name == ["sitemap.xml"]:
        parts = range(0, pages, A_SITEMAP)
        return _sitemap(
            "sitemapindex", "sitemap", (f"{origin}/part/{n}" for n in parts)
        ), "text/xml"
    if name[0] == "part":
        some = range(int(name[1]), min(pages, int(name[1]) + A_SITEMAP))
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
