"""Which cluster an article belongs to: the same text elsewhere is the same cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pipelines.model import Relation, Revision
from pipelines.state_tables import ArticleState

# Walls, notices and captions are alike everywhere; under this many words nothing is joined.
MIN_WORDS = 40


def relations_of(
    revision: Revision,
    *,
    same_text: Sequence[ArticleState],
    current: ArticleState | None,
    followers: int = 0,
) -> tuple[Relation, ...]:
    """Return the relations to append for a new text: its own first, none when that still holds.

    `same_text` holds the articles that carry this very text, first seen first; `current` is the
    article as it is on record, None when it is new; `followers` counts the other articles of its
    cluster. A cluster never changes its id, so an article that others follow stays where it is.
    The original is the copy that was published first: one that turns out to be takes the place of
    the other, which has its own relation then.
    """
    own = revision.article_id
    others = [one for one in same_text if one.article_id != own]
    if not others or revision.article.word_count < MIN_WORDS:
        return (_relation(own, own, "original"),) if current is None else ()
    cluster = others[0].cluster_id
    if current is not None and (current.cluster_id == cluster or followers):
        return ()
    original = next((o for o in others if is_original_of(o, cluster)), None)
    if original is None:
        # Taken up after those that joined it, an article finds its own cluster there.
        return (_relation(own, cluster, "original" if cluster == own else "exact"),)
    if not _is_earlier(revision, original):
        return (_relation(own, cluster, "exact"),)
    return (
        _relation(own, cluster, "original"),
        _relation(original.article_id, cluster, "exact"),
    )


def is_original_of(article: ArticleState, cluster_id: str) -> bool:
    return article.cluster_id == cluster_id and article.cluster_relation == "original"


def _relation(article_id: str, cluster_id: str, relation: str) -> Relation:
    return Relation(article_id=article_id, cluster_id=cluster_id, relation=relation)


def _is_earlier(revision: Revision, than: ArticleState) -> bool:
    """Tell whether it was published first; of one day and an hour in it nobody knows."""
    article = revision.article
    mine, theirs = article.date_published, than.date_published
    if mine is None or theirs is None:
        return False
    if "day" in {article.date_published_precision, than.date_published_precision}:
        return _day(mine) < _day(theirs)
    return mine < theirs


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"
