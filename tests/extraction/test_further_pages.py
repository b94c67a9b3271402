"""A story that goes on at another address is not taken for a whole one."""

from __future__ import annotations

import pytest

from crawler.extraction import extract
from crawler.extraction.joined import joined
from pipelines.model import Article

URL = "https://gazette.example/2026/11/yard/"
TEXT = (
    "The Lathen yard will deliver a second patrol boat in May, a year later than it had said, and "
    "build a third one for the coast guard, which has waited for it since the spring."
)


def is_truncated(url: str = URL, *, head: str = "", below: str = "") -> bool:
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Lathen yard delivers late</title>{head}</head><body><main><article>
<h1>Lathen yard delivers late</h1><div class="entry-content"><p>{TEXT}</p><p>{TEXT[:-1]}, it said.
</p><p>Nobody at the yard wished to say more on Monday, nor on the day after.</p>{below}</div>
</article></main></body></html>"""
    return extract(page.encode(), url).is_truncated


PAGER = '<div class="page-links">Pages: <span>1</span> <a href="/2026/11/yard/2/">2</a></div>'
LAST = ' <a href="/2026/11/yard/13/">13</a></div>'
NUMBERED = '<ul class="multipage"><li><a href="?id=7&amp;page=2">Next</a></li></ul>'


@pytest.mark.parametrize(
    ("url", "head", "below"),
    [
        (URL, f'<link rel="next" href="{URL}2/">', ""),
        (URL, '<link rel="next" href="/2026/11/yard/page/2/">', ""),
        (URL, "", PAGER),
        ("https://gazette.example/yard.html?id=7", "", NUMBERED),
        (f"{URL}2/", f'<link rel="next" href="{URL}3/">', ""),
        (f"{URL}12/", "", PAGER.replace("yard/2/", "yard/").replace("</div>", LAST)),
    ],
)
def test_story_with_a_further_page_is_truncated(url: str, head: str, below: str) -> None:
    assert is_truncated(url, head=head, below=below)


@pytest.mark.parametrize(
    ("url", "head", "below"),
    [
        (URL, "", ""),
        (URL, '<link rel="next" href="https://gazette.example/2026/11/another-story/">', ""),
        (URL, '<link rel="next" href="https://gazette.example/2026/12/">', ""),
        (f"{URL}3/", f'<link rel="prev" href="{URL}2/">', ""),
        (URL, "", '<p>The yard said so <a href="/2026/11/yard/2/">on its second day</a>.</p>'),
        ("https://gazette.example/news/12/", "", '<a rel="next" href="/news/13/">Next story</a>'),
    ],
)
def test_story_that_ends_is_whole_whatever_comes_next(url: str, head: str, below: str) -> None:
    assert not is_truncated(url, head=head, below=below)


def part(*paragraphs: str, **fields: object) -> Article:
    return Article(url=URL, article_body="\n\n".join(paragraphs), **fields)  # type: ignore[arg-type]


def test_what_each_page_repeats_of_those_before_it_is_left_out() -> None:
    summary = "In short: the yard is late, the navy waits, and nobody says who is to pay for it."
    pages = [
        part(summary, "Engines", TEXT, headline="Lathen yard delivers late", description=summary),
        part(summary, "Lathen yard delivers late", "Hull", "Its steel came from two mills."),
        part(summary, "Engines", "The last of them was tested in the spring.", is_truncated=True),
    ]
    whole = joined(pages[0], pages[1:])
    assert whole.article_body.split("\n\n") == [
        summary,
        "Engines",
        TEXT,
        "Hull",
        "Its steel came from two mills.",
        "Engines",
        "The last of them was tested in the spring.",
    ]
    assert whole.headline == "Lathen yard delivers late"
    assert whole.is_truncated
