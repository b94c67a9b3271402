"""The clean text of the story, with all that was taken out of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml.html import HtmlElement

from crawler.extraction.blocks import Block, blocks_of, render
from crawler.extraction.lines import Cleaned, Known, clean_lines
from crawler.extraction.prune import Furniture
from crawler.extraction.region import SITE_FILE, Selection, select_story
from pipelines.fingerprint import tokens
from pipelines.model import RemovedBlock


@dataclass(frozen=True, slots=True)
class Body:
    """`length` is in words, also where the script puts no spaces between them."""

    text: str
    removed: tuple[RemovedBlock, ...] = ()
    related: tuple[tuple[str, str], ...] = ()
    story: Selection | None = None
    length: int = 0


def find_body(
    root: HtmlElement,
    *,
    known: Known,
    regions: list[HtmlElement],
    url: str = "",
    h1: HtmlElement | None = None,
    furniture: Furniture | None = None,
) -> Body:
    """Return the story of a pruned page. `regions`: where the site file says it stands."""
    host = urlsplit(url).netloc
    if regions:
        chosen = [block for region in regions for block in blocks_of(region)]
        story = Selection(chosen, "", SITE_FILE, regions[0])
        return _body(clean_lines(chosen, known=known, furniture=furniture, host=host), story)
    blocks = blocks_of(root)
    story = select_story(root, blocks, h1=h1, host=host)
    chosen = story.blocks or _as_blocks(story.text, root)
    return _body(clean_lines(chosen, known=known, furniture=furniture, host=host), story)


def _body(cleaned: Cleaned, story: Selection) -> Body:
    return Body(
        render(cleaned.kept),
        tuple(cleaned.removed),
        tuple(cleaned.related),
        story,
        sum(block.length for block in cleaned.kept),
    )


def _as_blocks(text: str, root: HtmlElement) -> list[Block]:
    """Read trafilatura's lines as blocks, for a page whose markup makes none of its own."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [Block(root, line, "p", words=tuple(tokens(line))) for line in lines]
