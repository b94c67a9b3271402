"""The index of copies made from the lake: of what the state came to know, or of everything."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator

from pipelines.copies import MIN_WORDS, Text
from pipelines.copy_index import lacking
from pipelines.copy_tables import texts
from pipelines.ledger import Ledger
from pipelines.shingles import PARAMETERS
from pipelines.state import COPIES, State
from pipelines.state_tables import ArticleState, article_state, articles, copy_keys, copy_texts

logger = logging.getLogger(__name__)

AT_ONCE = 2_000
_BATCH = "copies"


def is_whole(state: State) -> bool:
    """Tell whether all that the state knows is found by its text, by today's algorithm."""
    return state.note(COPIES) == PARAMETERS


def index_again(ledger: Ledger, known: Iterable[ArticleState]) -> None:
    """Have articles that the state knows found by the texts that the lake has of them."""
    if is_whole(ledger.state):
        index(ledger, known)
        return
    with ledger.state.transaction() as transaction:
        for table in (copy_keys, copy_texts):
            transaction.empty(table)
    every = [article_state(row) for row in ledger.state.rows(articles)]
    if every:
        logger.warning("copies of %d articles are made findable", len(every))
    index(ledger, every)
    ledger.state.set_note(COPIES, PARAMETERS)


def index(ledger: Ledger, known: Iterable[ArticleState]) -> None:
    ordered = sorted(known, key=lambda one: (one.first_seen, one.article_id))
    for start in range(0, len(ordered), AT_ONCE):
        some = ordered[start : start + AT_ONCE]
        put(ledger, _BATCH, [one for one in some if one.cluster_relation != "exact"])
        with ledger.state.transaction() as transaction:
            transaction.put_articles(some)  # of an older state, without their numbers
            ledger.copies.save(_BATCH, transaction)
        ledger.copies.forget(_BATCH)


def not_found(ledger: Ledger, some: Collection[ArticleState]) -> Iterator[tuple[str, str]]:
    """Yield, of articles, those that the index would not find or takes for another text, and why.

    Single keys may be missing: others of the cluster had them, and left it.
    """
    rows = ledger.lake.current([one.article_id for one in some]) if some else {}
    kept = texts(ledger.state, rows)
    for article in some:
        row = rows.get(article.article_id)
        text = Text.of(row["article_body"] or "") if row else None
        if text is None or text.words < MIN_WORDS:
            continue
        said, packed = kept.get(article.article_id, ("", b""))
        if said == article.content_hash and packed != text.packed:
            yield article.article_id, "its text is kept otherwise than the lake has it"
        if _is_found_by_others(ledger, article):
            continue
        missing = lacking(article, text, ledger.copies.led_to(text.keys))
        if 2 * len(missing) > len(text.keys):
            yield article.article_id, "copies of it are not found"


def _is_found_by_others(ledger: Ledger, article: ArticleState) -> bool:
    """Tell whether an article has no keys of its own, since another has its very text."""
    if article.cluster_relation in {"exact", "composite"}:
        return True
    same = ledger.articles_with_text(article.content_hash, most=2)
    return any(one.article_id != article.article_id for one in same)


def put(ledger: Ledger, batch: str, some: Collection[ArticleState]) -> None:
    """Put into `batch` what articles are found by, from their rows in the lake."""
    rows = ledger.lake.current([one.article_id for one in some]) if some else {}
    for article in some:
        row = rows.get(article.article_id)
        text = Text.of(row["article_body"] or "") if row else None
        if text is not None and text.words >= MIN_WORDS:
            keys = ledger.copies.led_to(text.keys, but=article.article_id)
            ledger.copies.keep(batch, article, text, keys=keys)
