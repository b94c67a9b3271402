"""Random and mutated pages, headers and hints for `extract`: it answers, and never raises.

    python tests/extraction/fuzz_extract.py [SEEDS] -max_total_time=600 [more of libFuzzer's flags]

Needs atheris. What raised is written to `crash-…` in the working folder. Exits 0 without a finding.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
with atheris.instrument_imports(include=["crawler.extraction", "pipelines"]):
    from crawler.extraction import extract
    from pipelines.model import Article, Hints
from generated import make_page  # noqa: E402 - after what is instrumented

URL = "https://gazette.example/2026/11/17/story-at-sea/"
PIECES = (
    b"<div>", b"</div>", b"<p>", b"<table><tr><td>", b"<a href='//['>", b"<base href='http://['>",
    b'<script type="application/ld+json">{"@type":"Article","author":[{"name":[]}]}</script>',
    b"<script type='application/ld+json'>{\"@graph\":[[[{}]]],\"datePublished\":1e999}</script>",
    b"<meta property='article:published_time' content='0000-00-00T99:99:99+99:99'>",
    b"<time datetime='9999-12-31T23:59:59-14:00'>31/12/9999</time>", b"<!--", b"]]>", b"\x00",
    b"&#x110000;", b"&#0;", b"\xff\xfe", b"<a data-cfemail='zz'>", b"<input type=email>",
    b"<![CDATA[",
    b"<h1>", b"<meta charset='utf-7'>", b"<meta charset='idna'>", b"<svg><p>", b"Also read:",
)  # fmt: skip


def one_input(data: bytes) -> None:
    given = atheris.FuzzedDataProvider(data)
    headers = {"Content-Type": given.ConsumeUnicodeNoSurrogates(40)}
    hints = Hints(headline=given.ConsumeUnicodeNoSurrogates(30) or None)
    url = URL + given.ConsumeUnicodeNoSurrogates(10) if given.ConsumeBool() else URL
    html = _page(given) if given.ConsumeBool() else given.ConsumeBytes(100_000)
    fetched = datetime(2026, 11, 17, tzinfo=UTC) if given.ConsumeBool() else None
    article = extract(html, url, headers=headers, hints=hints, fetched_at=fetched)
    assert isinstance(article, Article)
    # A body without a word is never stored as an article.
    assert article.article_body or article.refusal


def _page(given: atheris.FuzzedDataProvider) -> bytes:
    """Return a look-alike page, cut and sewn together anew in some places."""
    html = bytearray(make_page(given.ConsumeIntInRange(0, 500)).html)
    for _ in range(given.ConsumeIntInRange(0, 12)):
        at = given.ConsumeIntInRange(0, len(html))
        end = min(len(html), at + given.ConsumeIntInRange(0, 60))
        html[at:end] = PIECES[given.ConsumeIntInRange(0, len(PIECES) - 1)]
    return bytes(html)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
