"""What the state holds to find copies by: keys of texts, and the texts that came last.

A row of `copy_keys` is 8 bytes of payload: which article a key leads to is said by the first 32
bits of its id, which the articles' own index finds again. Should two articles share them, one more
text is compared, and that tells. A cluster has each key once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

import sqlalchemy as sa

from pipelines.state import State, Transaction
from pipelines.state_tables import ArticleState, article_state, articles, copy_keys, copy_texts

_T = TypeVar("_T")
# Copies come within days. Of what is older the text is read from the lake.
TEXTS_KEPT = 20_000
_AT_ONCE = 500
_PREFIX = 8  # hex digits: 32 bits


def number_of(article_id: str) -> int:
    """Return the number, of 32 bits with a sign, by which `copy_keys` knows an article.

    >>> number_of("ffffffff00")
    -1
    """
    number = int(article_id[:_PREFIX], 16)
    return number - (1 << 32) if number >> 31 else number


def articles_by_key(state: State, keys: Collection[int]) -> dict[int, list[ArticleState]]:
    """Return the articles that each key leads to."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    numbers: set[int] = set()
    for some in _chunks(keys):
        query = sa.select(copy_keys.c.key, copy_keys.c.number).where(copy_keys.c.key.in_(some))
        for row in state.select(query):
            found[row["key"]].append(row["number"])
            numbers.add(row["number"])
    known = _numbered(state, numbers)
    return {
        key: [article for number in some for article in known.get(number, ())]
        for key, some in found.items()
    }


def texts(state: State, article_ids: Collection[str]) -> dict[str, tuple[str, bytes]]:
    """Return the text of each of these articles that is kept, and the hash of its content."""
    found = {}
    for some in _chunks(article_ids):
        query = sa.select(copy_texts).where(copy_texts.c.article_id.in_(some))
        for row in state.select(query):
            found[row["article_id"]] = (row["content_hash"], row["text"])
    return found


def put_keys(transaction: Transaction, keys: Iterable[tuple[int, str]]) -> None:
    rows = sorted({(key, number_of(article_id)) for key, article_id in keys})
    transaction.put(copy_keys, [{"key": key, "number": number} for key, number in rows])


def put_texts(transaction: Transaction, kept: Mapping[str, tuple[str, bytes]]) -> None:
    """Keep texts by their articles, and let go of those that came first."""
    if not kept:
        return
    last = transaction.scalar(sa.select(sa.func.max(copy_texts.c.place))) or 0
    rows = [
        {"article_id": one, "place": place, "content_hash": content_hash, "text": text}
        for place, (one, (content_hash, text)) in enumerate(kept.items(), last + 1)
    ]
    transaction.put(copy_texts, rows[-TEXTS_KEPT:])
    oldest = last + len(rows) - TEXTS_KEPT
    transaction.delete(copy_texts, copy_texts.c.place <= oldest)


def _numbered(state: State, numbers: Collection[int]) -> dict[int, list[ArticleState]]:
    found: defaultdict[int, list[ArticleState]] = defaultdict(list)
    for some in _chunks(numbers, at_once=50):
        ranges = [articles.c.article_id.between(first, last) for first, last in map(_range, some)]
        for row in state.select(sa.select(articles).where(sa.or_(*ranges))):
            found[number_of(row["article_id"])].append(article_state(row))
    return found


def _range(number: int) -> tuple[str, str]:
    """Return what the ids of a number lie between, for any collation of hexadecimal digits."""
    prefix = f"{number & 0xFFFFFFFF:08x}"
    return prefix, prefix + "f" * 56


def _chunks(of: Collection[_T], *, at_once: int = _AT_ONCE) -> Iterable[list[_T]]:
    every = list(of)
    return (every[start : start + at_once] for start in range(0, len(every), at_once))
