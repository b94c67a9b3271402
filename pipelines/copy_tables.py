"""What the state holds to find copies by: keys of texts, and the texts that came last.

A row of `copy_keys` is 8 bytes of payload: a key, and 32 bits of an article's id. Should two
articles share them, one text more is compared, and that tells. A cluster has each key once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from pipelines.state import State, Transaction
from pipelines.state_tables import ArticleState, articles, copy_keys, copy_texts, number_of

# Copies come within days. Of what is older the text is read from the lake.
TEXTS_KEPT = 10_000
_AT_ONCE = 400
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Lead:
    """An article that a key leads to. `seen` sorts as its `first_seen` does."""

    article_id: str
    site: str
    content_hash: str
    cluster_id: str
    relation: str
    seen: str


_LEAD = (
    articles.c.article_id,
    articles.c.site,
    articles.c.content_hash,
    articles.c.cluster_id,
    articles.c.cluster_relation,
    sa.type_coerce(articles.c.first_seen, sa.String),
)
_LEADS = (
    sa.select(copy_keys.c.key, *_LEAD)
    .join(articles, articles.c.number == copy_keys.c.number)
    .where(copy_keys.c.key.in_(sa.bindparam("wanted", expanding=True)))
)
_TEXTS = sa.select(copy_texts.c.article_id, copy_texts.c.content_hash, copy_texts.c.text).where(
    copy_texts.c.article_id.in_(sa.bindparam("wanted", expanding=True))
)


def lead_to(article: ArticleState) -> Lead:
    return Lead(
        article.article_id,
        article.site,
        article.content_hash,
        article.cluster_id,
        article.cluster_relation,
        article.first_seen.isoformat(timespec="microseconds"),
    )


def leads(state: State, keys: Collection[int]) -> dict[int, list[Lead]]:
    """Return the articles that each key leads to."""
    found: defaultdict[int, list[Lead]] = defaultdict(list)
    for some in _chunks(keys):
        for row in state.tuples(_LEADS, {"wanted": some}):
            key, *lead = tuple(row)
            found[key].append(Lead(*lead))
    return found


def texts(state: State, article_ids: Collection[str]) -> dict[str, tuple[str, bytes]]:
    """Return the text of each of these articles that is kept, and the hash of its content."""
    return {
        row.article_id: (row.content_hash, row.text)
        for some in _chunks(article_ids)
        for row in state.tuples(_TEXTS, {"wanted": some})
    }


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


def _chunks(of: Collection[_T], *, at_once: int = _AT_ONCE) -> Iterable[list[_T]]:
    every = list(of)
    return (every[start : start + at_once] for start in range(0, len(every), at_once))
