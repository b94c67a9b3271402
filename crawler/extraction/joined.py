"""A story that its publisher cut into pages, put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from crawler.extraction.headline import closeness
from pipelines.fingerprint import content_hash, tokens
from pipelines.model import Article, RemovedBlock

# A shorter line may well stand twice in a story: a sub-heading, a sign between its parts.
_FEWEST_LETTERS = 25
# By how much the headline of a short page must be that of its story.
_SAME = 0.5


def joined(first: Article, further: Sequence[Article]) -> Article:
    """Return the article with the text of its further pages behind that of its first.

    What a page repeats of those before it (the standfirst, a summary) is left out. All else but
    the text is told by the first page; where the last one leads on, the story is truncated.
    """
    if not further:
        return first
    body = "\n\n".join(_paragraphs([first, *further]))
    last = further[-1]
    return replace(
        first,
        article_body=body,
        word_count=len(body.split()),
        content_hash=content_hash(body),
        next_page=last.next_page,
        is_truncated=last.is_truncated,
        removed_blocks=tuple(_once(chain.from_iterable(o.removed_blocks for o in further), first)),
        related_links=tuple(
            dict.fromkeys(chain.from_iterable(o.related_links for o in (first, *further)))
        ),
    )


def goes_on_with(first: Article, page: Article) -> bool:
    """Tell whether what was read of a further page is a part of a story.

    Its end may be two lines, for which a page would be refused; under the story's headline they
    are its own.
    """
    if page.refusal == "too_short":
        is_same = closeness(page.headline or "", first.headline or "") >= _SAME
        return bool(page.article_body) and is_same
    return page.refusal is None


def _paragraphs(pages: Iterable[Article]) -> Iterator[str]:
    said: set[str] = set()
    for place, page in enumerate(pages):
        if place == 0:
            said |= {_plain(one) for one in (page.headline, page.description) if one}
        fresh = [
            one
            for one in page.article_body.split("\n\n")
            if place == 0 or len(one) < _FEWEST_LETTERS or _plain(one) not in said
        ]
        said |= {_plain(one) for one in fresh}
        yield from fresh


def _plain(text: str) -> str:
    return " ".join(tokens(text))


def _once(blocks: Iterable[RemovedBlock], first: Article) -> Iterator[RemovedBlock]:
    """Yield what was removed, not again what each page has around its part of the text."""
    yield from first.removed_blocks
    seen = {(one.text, one.rule) for one in first.removed_blocks}
    for block in blocks:
        if (block.text, block.rule) not in seen:
            seen.add((block.text, block.rule))
            yield block
