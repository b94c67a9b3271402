"""Pages of a site that nobody has a rule for: what they repeat bears no name that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape

from crawler.extraction import Furniture, extract
from crawler.extraction.looking import Look, Told, look_at
from pipelines.model import Article
from tests.living_site import paragraphs

ORIGIN = "https://tarn.example"
BEGUN = datetime(2026, 3, 2, 8, tzinfo=UTC)
PROMO = "Kept afloat by its readers: take out a berth with the Tarn Signal from two crowns a month."
NOTE = "The Tarn Signal goes to sea with those who let it aboard, and pays its own fare."


@dataclass(frozen=True, kw_only=True)
class Tale:
    """One story: where it stands, and what its page has in and around the paragraphs.

    `within` are pieces of markup by the number of the paragraph before which they stand; `below`
    and `above` stand beside the story's box.
    """

    n: int
    paragraphs: tuple[str, ...]
    within: tuple[tuple[int, str], ...] = ()
    above: str = ""
    below: str = ""
    headline: str = ""
    section: str = "quays"

    @property
    def url(self) -> str:
        return f"{ORIGIN}/{self.section}/{self.n}-at-the-slip"

    @property
    def title(self) -> str:
        return self.headline or f"What was built in yard {self.n} is afloat"

    @property
    def body(self) -> str:
        return "\n\n".join(self.paragraphs)


def tale(n: int, **changes: object) -> Tale:
    return Tale(**{"n": n, "paragraphs": paragraphs(n), **changes})  # type: ignore[arg-type]


def promo(text: str = PROMO) -> str:
    """Return a line of the site's own in a box of its own, with a link that is a part of it."""
    return f'<div class="qx-mooring"><p>{text} <a href="/berth">Come aboard</a></p></div>'


def teaser(*ns: int) -> str:
    """Return a box of other stories' titles, each with a sentence."""
    cards = "".join(
        f'<div class="qx-c"><a href="/quays/{n}-at-the-slip">What was built in yard {n} is afloat'
        f"</a><p>{escape(paragraphs(n)[1].partition('.')[0])} and what came of it.</p></div>"
        for n in ns
    )
    return f'<div class="qx-lee">{cards}</div>'


def pictures(*ns: int) -> str:
    """Return a box of pictures that lead to other stories, each with a sentence that does not."""
    cards = "".join(
        f'<p><a href="/quays/{n}-at-the-slip"><img src="/{n}.jpg" alt=""></a>'
        f"{escape(paragraphs(n)[1].partition('.')[0])}, and what came of it in the end.</p>"
        for n in ns
    )
    return f'<div class="qx-lee">{cards}</div>'


def page(one: Tale, *, is_new: bool = False) -> bytes:
    """Return the page of a story in the site's theme, or in that after its redesign."""
    pieces = [f"<p>{escape(text)}</p>" for text in one.paragraphs]
    for place, markup in sorted(one.within, reverse=True):
        pieces.insert(place, markup)
    text = "\n".join(pieces)
    story = (
        f'<section class="hull"><div class="planks">{text}</div>{one.below}</section>'
        if is_new
        else f'<div class="wrap"><div class="copy">{text}</div>{one.below}</div>'
    )
    html = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{escape(one.title)} - Tarn Signal</title>
<meta property="og:title" content="{escape(one.title)}"></head><body>
<div class="top"><a href="/">Tarn Signal</a></div><div class="page">{one.above}
<h1>{escape(one.title)}</h1>{story}</div></body></html>"""
    return html.encode()


def read(one: Tale, furniture: Furniture | None = None, *, is_new: bool = False) -> Article:
    return extract(page(one, is_new=is_new), one.url, furniture=furniture)


def looked_at(one: Tale, *, hours: int | None = None, is_new: bool = False) -> Look:
    """Look at a page with what it was read as before anything was learned."""
    article = read(one, is_new=is_new)
    found = look_at(
        page(one, is_new=is_new),
        one.url,
        told=Told(
            headline=article.headline,
            article_body=article.article_body,
            topic=one.section,
            fetched_at=BEGUN + timedelta(hours=one.n if hours is None else hours),
        ),
    )
    assert found is not None
    return found
