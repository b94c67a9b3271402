"""The newsroom's pages, multiplied: served on loopback by a process of its own until it is ended.

    PYTHONPATH=. python benchmarks/newsroom_pages.py PAGES FOLDER

Every story is the page of a real one of the newsroom, in the markup of its site, with headline and
text of its own: the words of all stories of its language, drawn by lot. Site files go into FOLDER;
they list the stories by sitemaps alone, so that any crawler finds the same. Pages are made before
the first request, which ends the first line on standard output; each later line read on standard
input is answered by what was asked since the last one, as JSON.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fixtures.newsroom.pages import MOMENTS, Answer, Edition
from fixtures.newsroom.stories import Outlet, Story, prose, read_outlets, read_stories

STATE = 1
# The median article of the public sets has some 3,500 characters; the newsroom's are short.
CHARACTERS = 3_500
A_SITEMAP = 1_000
SITEMAP = "/sitemap.xml"
_SPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
# The address of a link in a story's markup stays; every word of letters is replaced.
_LINK_OR_WORD = re.compile(r"\]\([^)]*\)|[^\W\d_]+")


@dataclass(slots=True)
class Asked:
    """What a site was asked since somebody looked."""

    articles: int = 0
    others: int = 0
    now: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, *, is_article: bool) -> None:
        with self.lock:
            self.articles += is_article
            self.others += not is_article
            self.now += 1
            self.most_at_once = max(self.most_at_once, self.now)

    def end(self) -> None:
        with self.lock:
            self.now -= 1

    def take(self) -> dict[str, int]:
        with self.lock:
            taken = {
                "articles": self.articles,
                "others": self.others,
                "most_at_once": self.most_at_once,
            }
            self.articles = self.others = self.most_at_once = 0
            return taken


def main(pages: int, folder: Path) -> None:
    asked = Asked()
    shares = _shares(pages, len(read_outlets()))
    sizes = []
    for (name, outlet), share in zip(read_outlets().items(), shares, strict=True):
        server = _Server(asked)
        answers = site_pages(outlet, share, origin=f"http://127.0.0.1:{server.server_port}")
        sizes += [len(one.body) for path, one in answers.items() if not path.endswith("xml")]
        server.answers = answers
        origin = f"http://127.0.0.1:{server.server_port}"
        (folder / f"{name}.toml").write_text(site_file(outlet, origin), encoding="utf-8")
        threading.Thread(target=server.serve_forever, daemon=True).start()
    _say({"pages": pages, "mean_kb": round(sum(sizes) / 1024 / max(1, len(sizes)), 1)})
    for _ in sys.stdin:
        _say(asked.take())


def _say(what: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _shares(pages: int, sites: int) -> list[int]:
    return [pages // sites + (at < pages % sites) for at in range(sites)]


def site_pages(outlet: Outlet, pages: int, *, origin: str) -> dict[str, Answer]:
    """Return what each path of a site answers: robots.txt, sitemaps, stories."""
    edition = Edition(outlet.name, state=STATE, origin=origin)
    edition.stories = tuple(stories(outlet, pages))
    paths = [outlet.path(story) for story in edition.stories]
    answers = {"/robots.txt": edition.answer("/robots.txt")}
    answers |= {path: edition.answer(path) for path in paths}
    return answers | _sitemaps([origin + path for path in paths], origin)


def stories(outlet: Outlet, pages: int) -> Iterator[Story]:
    """Yield as many stories as asked for, each in the manner of one of the newsroom's."""
    models = [one for one in read_stories(outlet.name, STATE) if _is_plain(one)]
    for number in range(pages):
        chance = random.Random(f"{outlet.name} {number}")  # noqa: S311 - texts, no secrets
        yield _story(models, number, chance)


def _is_plain(story: Story) -> bool:
    is_there = not story.is_forbidden and story.gone_since > STATE
    return is_there and story.is_free and not story.listed_slug


def _story(models: Sequence[Story], number: int, chance: random.Random) -> Story:
    model = models[number % len(models)]
    others = [one for one in models if one.language == model.language]
    body = _retold(model.body, model.language, chance)
    while len(prose(replace(model, body=body).blocks)) < CHARACTERS:
        paragraphs = [b.text for b in chance.choice(others).blocks if b.kind == "paragraph"]
        body += "\n\n" + _retold("\n\n".join(paragraphs), model.language, chance)
    return replace(
        model,
        body=body,
        headline=_retold(model.headline, model.language, chance),
        description=_retold(model.description, model.language, chance),
        slug=f"{model.slug}-{number}",
        number=10_000 + number,
        published=MOMENTS[STATE] - timedelta(minutes=17 * number),
        modified=None,
        is_cosmetic=False,
    )


def _retold(text: str, language: str, chance: random.Random) -> str:
    """Return a text of the same shape in other words; the site's own boxes (`@`) stay."""
    lines = [
        line
        if line.startswith("@")
        else _LINK_OR_WORD.sub(lambda match: _other(match[0], language, chance), line)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def _other(word: str, language: str, chance: random.Random) -> str:
    if word.startswith("]"):
        return word
    drawn = chance.choice(_words(language))
    return drawn.capitalize() if word[0].isupper() else drawn


@cache
def _words(language: str) -> list[str]:
    told = [one for site in read_outlets() for one in read_stories(site, STATE)]
    texts = (prose(one.blocks) for one in told if one.language == language)
    return [word.lower() for text in texts for word in re.findall(r"[^\W\d_]+", text)]


def _sitemaps(urls: Sequence[str], origin: str) -> dict[str, Answer]:
    parts = [urls[at : at + A_SITEMAP] for at in range(0, len(urls), A_SITEMAP)]
    named = {f"/part-{at}.xml": part for at, part in enumerate(parts)}
    found = {path: _sitemap("urlset", "url", part) for path, part in named.items()}
    return found | {SITEMAP: _sitemap("sitemapindex", "sitemap", (origin + p for p in named))}


def _sitemap(root: str, entry: str, urls: Iterable[str]) -> Answer:
    inner = "".join(f"<{entry}><loc>{url}</loc></{entry}>" for url in urls)
    text = f'<?xml version="1.0"?><{root} xmlns="{_SPACE}">{inner}</{root}>'
    return Answer(content_type="text/xml; charset=UTF-8", body=text.encode())


def site_file(outlet: Outlet, origin: str) -> str:
    """Return the newsroom's site file, with the sitemap for every other source."""
    fields: dict[str, object] = {
        "publisher": outlet.publisher,
        "home": f"{origin}/",
        "in_language": outlet.in_language,
        "time_zone": outlet.time_zone,
        "country": outlet.country,
        "sitemaps": [origin + SITEMAP],
        "article_url": outlet.article_url,
        "delay": "0s",
        "connections": 8,
    }
    rules = {"body": outlet.body, "prune": outlet.prune, "date_formats": outlet.date_formats}
    return _toml(fields) + "[extract]\n" + _toml({k: v for k, v in rules.items() if v})


def _toml(fields: Mapping[str, object]) -> str:
    # A JSON string or list of strings is one of TOML too.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, asked: Asked):
        self.asked = asked
        self.answers: dict[str, Answer] = {}
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path, Answer(status=404, body=b"not here"))
        is_article = answer.content_type.startswith("text/html") and answer.status == 200
        self.server.asked.begin(is_article=is_article)
        try:
            self._send(answer)
        finally:
            self.server.asked.end()

    def _send(self, answer: Answer) -> None:
        body = answer.body
        self.send_response(answer.status)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=6, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
