"""Which cluster an article belongs to: the same text elsewhere is the same cluster."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.model import Relation, Revision
from pipelines.state import ArticleState

# Walls, notices and captions are alike everywhere; under this many words nothing is joined.
MIN_WORDS = 40


def relation_of(
    revision: Revision,
    *,
    same_text: Sequence[ArticleState],
    current: ArticleState | None,
    followers: int = 0,
) -> Relation | None:
    """Return the relation to append for a new text, or None when the one on record still holds.

    `same_text` holds the articles that carry this very text, first seen first; `current` is the
    article as it is on record, None when it is new; `followers` counts the other articles of its
    cluster. A cluster never changes its id, so an article that others follow stays where it is.
    """
    others = [one for one in same_text if one.article_id != revision.article_id]
    if others and revision.article.word_count >= MIN_WORDS:
        cluster = others[0].cluster_id
        if current is None or (current.cluster_id != cluster and not followers):
            # Taken up after those that joined it, an article finds its own cluster there.
            relation = "original" if cluster == revision.article_id else "exact"
            return Relation(article_id=revision.article_id, cluster_id=cluster, relation=relation)
        return None
    if current is None:
        own = revision.article_id
        return Relation(article_id=own, cluster_id=own, relation="original")
    return None
