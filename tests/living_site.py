"""A small news site on loopback whose pages a test may change between two crawls."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xml.sax.saxutils import escape as xml_escape

from tests.installation import Installation

_DID = ("moved", "tested", "ordered", "inspected", "repaired", "launched", "painted", "sold")
_WHAT = ("tenders", "gun", "array", "shafts", "radios", "crane", "minehunter", "boats", "vests")


def paragraphs(seed: int, *, n: int = 6) -> tuple[str, ...]:
    """Return `n` paragraphs that share no three words in a row with those of another seed."""
    chance = random.Random(seed)  # noqa: S311 - texts, no secrets

    def name() -> str:
        return "".join(chance.choice(("Va", "ke", "lo", "mir", "tas", "du")) for _ in range(4))

    def sentence() -> str:
        did, what = chance.choice(_DID), chance.choice(_WHAT)
        return f"{name().title()} {did} the {name()} {what} near {name().title()} on time."

    return tuple(" ".join(sentence() for _ in range(4)) for _ in range(n))


@dataclass(frozen=True, kw_only=True)
class Story:
    """One story as its page shows it. `extra` goes below the body, outside it."""

    path: str
    headline: str
    body: tuple[str, ...]
    description: str | None = "The standfirst of this story, in one sentence of its own."
    authors: tuple[str, ...] = ("Ines Harrow",)
    published: str | None = "2024-05-06T08:15:00+00:00"
    modified: str | None = None
    keywords: str = "navy, yards"
    section: str = "Fleet"
    image: str = "/img/one.jpg"
    is_free: bool | None = None
    canonical: str | None = None
    extra: str = ""


def story(n: int, **changes: Any) -> Story:
    """Return the `n`-th story of the site."""
    one = Story(
        path=f"/2024/05/story-{n}/",
        headline=f"Story number {n} leaves the slipway on time",
        body=paragraphs(n),
        published=f"2024-05-{n % 27 + 1:02d}T08:15:00+00:00",
    )
    return replace(one, **changes)


def page(one: Story, origin: str) -> bytes:
    """Return the page of a story: a plain theme, its facts in meta elements and in print."""
    meta = {
        "description": one.description,
        "article:published_time": one.published,
        "article:modified_time": one.modified,
        "article:section": one.section,
        "keywords": one.keywords,
        "og:image": origin + one.image,
        "og:title": one.headline,
        "og:type": "article",
        "article:content_tier": {True: "free", False: "locked", None: None}[one.is_free],
    }
    lines = [
        f'<meta {"property" if ":" in name else "name"}="{name}" content="{escape(value)}">'
        for name, value in meta.items()
        if value is not None
    ]
    if one.canonical is not None:
        lines.append(f'<link rel="canonical" href="{escape(one.canonical)}">')
    names = "".join(f'<a rel="author" href="/by/{n}">{escape(n)}</a> ' for n in one.authors)
    byline = f'<p class="byline">By {names}</p>' if one.authors else ""
    text = "\n".join(f"<p>{escape(p)}</p>" for p in one.body)
    html = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{escape(one.headline)} - Slipway Post</title>{"".join(lines)}</head><body>
<header><a href="/">Slipway Post</a></header><main><article>
<h1>{escape(one.headline)}</h1>{byline}<div class="entry-content">{text}</div>
</article>{one.extra}</main><footer>Slipway Post</footer></body></html>"""
    return html.encode()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the feed says of a story; only what is given is in it."""

    path: str
    title: str | None = None
    description: str | None = None
    author: str | None = None
    published: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    path: str
    status: int
    at: float


class LivingSite:
    """A news site. `answers` holds what stands at each path; `put` and `feed` fill it."""

    def __init__(self, name: str = "slipway_post"):
        self.name = name
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.entries: list[Entry] = []
        self.requests: list[Request] = []
        self.delay_seconds = 0.0
        # How many requests have come, answered or not.
        self.begun = 0

    def __enter__(self) -> Self:
        self._server = _server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def put(self, *stories: Story, listed: bool = True) -> None:
        """Publish stories, or publish them anew, and list them in the feed."""
        for one in stories:
            self.answers[one.path] = Answer(body=page(one, self.url()))
            if listed and one.path not in {entry.path for entry in self.entries}:
                self.entries.append(Entry(path=one.path))

    def redirect(self, path: str, to: str, *, status: int = 301) -> None:
        self.answers[path] = Answer(status=status, headers={"Location": to})

    def asked(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(request.path == path for request in self.requests)

    def answer(self, path: str) -> Answer:
        if path == "/feed/":
            headers = {"Content-Type": "application/rss+xml"}
            return Answer(body=self._feed(), headers=headers)
        if path == "/robots.txt":
            return Answer(body=b"User-agent: *\nAllow: /\n", headers={"Content-Type": "text/plain"})
        found = self.answers.get(path, Answer(status=404, body=b"<h1>Not here</h1>"))
        return found() if callable(found) else found

    def _feed(self) -> bytes:
        items = "".join(self._item(entry) for entry in self.entries)
        return (
            '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Slipway Post</title>'
            f"<link>{self.url('/')}</link><description>News</description>{items}</channel></rss>"
        ).encode()

    def _item(self, entry: Entry) -> str:
        said = {
            "link": self.url(entry.path),
            "title": entry.title,
            "description": entry.description,
            "dc:creator": entry.author,
            "pubDate": entry.published,
        }
        inner = "".join(f"<{k}>{xml_escape(v)}</{k}>" for k, v in said.items() if v)
        return f"<item>{inner}</item>"

    def site_file(self, **extract: Any) -> str:
        lines = [
            'publisher = "Slipway Post"',
            f'home = "{self.url("/")}"',
            'in_language = "en"',
            'time_zone = "Europe/Athens"',
            'country = "GR"',
            f'feeds = ["{self.url("/feed/")}"]',
            'delay = "0s"',
            "[extract]",
            *(f"{key} = {value!r}" for key, value in extract.items()),
        ]
        return "\n".join(lines) + "\n"


def settle_in(folder: Path, *sites: LivingSite, **extract: Any) -> Installation:
    """Make a user's folder with a site file for each site."""
    (folder / "sites").mkdir(parents=True, exist_ok=True)
    for site in sites:
        file = folder / "sites" / f"{site.name}.toml"
        file.write_text(site.site_file(**extract), encoding="utf-8")
    return Installation(folder=folder)


def _server(site: LivingSite) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 30

        def do_GET(self) -> None:
            site.begun += 1
            time.sleep(site.delay_seconds)
            answer = site.answer(self.path)
            site.requests.append(Request(self.path, answer.status, time.monotonic()))
            self.send_response(answer.status)
            for name, value in {"Content-Type": "text/html", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            pass  # clients that are killed hang up in the middle of things

    return Server(("127.0.0.1", 0), Handler)
