"""A web server that misbehaves on purpose: one site on its own port of 127.0.0.1.

    with HostileServer() as server:
        server.routes["/story"] = reset_mid_body
        server.write_site_file(folder, "hostile", feeds=["/feed"])

A route is an `Answer`, a function that writes to the connection itself, or a list of them that are
given one after another, the last one for ever. `requests` holds what was asked, in order.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xml.sax.saxutils import escape

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Asked:
    """One request; header names are lower-case, `at` is of the monotonic clock."""

    path: str
    headers: Mapping[str, str]
    at: float


Route = Answer | Callable[["Handler"], None]


class HostileServer:
    def __init__(self) -> None:
        self.routes: dict[str, Route | list[Route]] = {}
        self.requests: list[Asked] = []
        self._server = _Server(self)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def url(self, path: str = "/", *, host: str = HOST) -> str:
        return f"http://{host}:{self.port}{path}"

    def asked(self, path: str) -> int:
        """Return how often `path` was asked for, its query included."""
        return sum(one.path == path for one in self.requests)

    def paths(self) -> list[str]:
        return [one.path for one in self.requests]

    def stories(self, *numbers: int) -> list[str]:
        """Serve well-behaved articles; return their paths."""
        for n in numbers:
            self.routes[f"/news/{n}/"] = story(n)
        return [f"/news/{n}/" for n in numbers]

    def serve_feed(self, paths: Iterable[str], *, at: str = "/feed") -> None:
        self.routes[at] = feed(self.url(path) if path.startswith("/") else path for path in paths)

    def next_route(self, path: str) -> Route:
        found = self.routes.get(path, self.routes.get(path.partition("?")[0]))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found or Answer(b"<p>not here</p>", 404)

    def write_site_file(
        self, folder: Path, name: str = "hostile", *, host: str = HOST, **keys: Any
    ) -> Path:
        """Write a site file into `folder`; of feeds and their like only paths are given."""
        given: dict[str, Any] = {
            "publisher": name.title(),
            "home": self.url(host=host),
            "time_zone": "UTC",
            "delay": "0s",
            "article_url": "/news/",
        }
        for key, value in keys.items():
            is_paths = key in {"feeds", "sitemaps", "listings"}
            given[key] = [self.url(one, host=host) for one in value] if is_paths else value
        folder.mkdir(exist_ok=True)
        file = folder / f"{name}.toml"
        file.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in given.items()), "utf-8")
        return file

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="hostile", daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: HostileServer):
        self.owner = owner
        super().__init__((HOST, 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients of a server like this one hang up all the time."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server

    def do_GET(self) -> None:
        owner = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.requests.append(Asked(self.path, headers, time.monotonic()))
        route = owner.next_route(self.path)
        if isinstance(route, Answer):
            self.answer(route)
        else:
            route(self)

    def answer(self, answer: Answer) -> None:
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
        self.head(answer.status, headers | dict(answer.headers))
        self.wfile.write(answer.body)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        pass


# --- pages ------------------------------------------------------------------------------------

_WORDS = [
    "harbour", "squadron", "frigate", "patrol", "contract", "radar", "crew", "refit", "launch",
    "exercise", "minister", "yard", "missile", "brigade", "drone", "sonar", "budget", "alliance",
    "border", "training", "engine", "hull", "delivery", "trial",
]  # fmt: skip


def story_html(n: int, *, canonical: str | None = None, note: str = "") -> str:
    """Return an article's page; each number has another text."""
    paragraphs = "".join(f"<p>{_sentence(n, i)} {_sentence(n, i + 40)}</p>" for i in range(6))
    link = f'<link rel="canonical" href="{canonical}">' if canonical else ""
    return (
        f'<!doctype html><html lang="en"><head><title>Story {n} of the day</title>{link}'
        f'<meta property="article:published_time" content="2026-03-{n % 27 + 1:02d}T08:00:00Z">'
        f"</head><body><main><article><h1>Story {n} of the day</h1>{paragraphs}"
        f"<p>{note or 'The yard gave no date.'}</p></article></main></body></html>"
    )


def _sentence(n: int, i: int) -> str:
    words = [_WORDS[(n * 7 + i * 5 + k * (n % 5 + 1)) % len(_WORDS)] for k in range(14)]
    return f"Report {n * 100 + i} says that the {' '.join(words)} came to pass on time."


def story(n: int, *, note: str = "", **headers: str) -> Answer:
    return Answer(story_html(n, note=note).encode(), headers=_headers(headers))


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items()}


def feed(urls: Iterable[str], *, titles: Sequence[str] = (), **headers: str) -> Answer:
    items = "".join(
        f"<item><link>{escape(url)}</link>"
        + (f"<title>{escape(titles[i])}</title>" if titles else "")
        + "</item>"
        for i, url in enumerate(urls)
    )
    text = f'<?xml version="1.0"?><rss version="2.0"><channel>{items}</channel></rss>'
    return Answer(text.encode(), headers=_headers(headers), content_type="application/rss+xml")


def atom(entries: Iterable[tuple[str, str]], **headers: str) -> Answer:
    """Return an Atom feed of (address, updated)."""
    items = "".join(
        f'<entry><link href="{escape(url)}"/><updated>{updated}</updated></entry>'
        for url, updated in entries
    )
    text = f'<feed xmlns="http://www.w3.org/2005/Atom">{items}</feed>'
    return Answer(text.encode(), headers=_headers(headers), content_type="application/atom+xml")


def sitemap(urls: Iterable[str], *, index: bool = False) -> Answer:
    outer, inner = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    items = "".join(f"<{inner}><loc>{escape(url)}</loc></{inner}>" for url in urls)
    text = f'<{outer} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{items}</{outer}>'
    return Answer(text.encode(), content_type="application/xml")


def redirect(target: str, status: int = 302) -> Answer:
    return Answer(b"", status, {"Location": target})


# --- misbehaviour -----------------------------------------------------------------------------


def reset_mid_body(handler: Handler) -> None:
    handler.head(200, {"Content-Type": "text/html", "Content-Length": "5000"})
    handler.wfile.write(b"<html><p>half a pa")
    handler.wfile.flush()
    # Closing with unsent data thrown away sends RST instead of FIN; the readers and writers made
    # of the socket would keep it open.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


def shorter_than_it_says(handler: Handler) -> None:
    handler.head(200, {"Content-Type": "text/html", "Content-Length": "100000"})
    handler.wfile.write(story_html(1).encode())
    handler.close_connection = True


def endless(handler: Handler) -> None:
    """Send without end and without saying how much, as a live stream does."""
    handler.head(200, {"Content-Type": "text/html", "Connection": "close"})
    handler.close_connection = True
    piece = b"<p>and another thing</p>" * 4096
    for _ in range(400):  # 39 MB: beyond the limit, and no test hangs when there is none
        handler.wfile.write(piece)


def a_byte_a_second(handler: Handler) -> None:
    handler.head(200, {"Content-Type": "text/html", "Connection": "close"})
    handler.close_connection = True
    for _ in range(60):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(1)


def no_http(handler: Handler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True


def slowly(answer: Answer, seconds: float) -> Callable[[Handler], None]:
    def wait_and_answer(handler: Handler) -> None:
        time.sleep(seconds)
        handler.answer(answer)

    return wait_and_answer


def conditional(answer: Answer, etag: str) -> Callable[[Handler], None]:
    """Answer 304 to who holds the entity tag, and `answer` to all others."""

    def not_again(handler: Handler) -> None:
        if handler.headers.get("If-None-Match") == etag:
            handler.head(304, {"ETag": etag})
        else:
            handler.answer(Answer(answer.body, 200, {"ETag": etag}, answer.content_type))

    return not_again
