"""Clusters after texts came to be read otherwise: who belongs together now, and who no longer does.

A publisher's edit of a copy leaves it where it is: it was the same text once. What only an
extractor made alike, or kept apart, never was what it seemed: there the clusters follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pipelines.deduplicate import relations_of
from pipelines.ledger import Ledger
from pipelines.model import Relation
from pipelines.schema import revision_of
from pipelines.state_tables import ArticleState


def regroup(ledger: Ledger, batch: str, article_ids: Iterable[str], was: Mapping[str, str]) -> int:
    """Put into `batch` the relations that follow from new texts; return how many there are.

    `was` has the content hash that articles had before, for all whose text is read otherwise now.
    Hold the lake's lock meanwhile, so that the state that is read here is the lake's.
    """
    articles = [found for one in article_ids if (found := ledger.article(one))]
    relations = 0
    for cluster_id in sorted({one.cluster_id for one in articles}):
        members = [
            found
            for one in sorted(ledger.state.cluster_members(cluster_id))
            if (found := ledger.article(one)) and found.cluster_id == cluster_id
        ]
        relations += _apply(ledger, batch, parted(members, was))
    return relations + _join(ledger, batch, [one.article_id for one in articles])


def parted(members: Sequence[ArticleState], was: Mapping[str, str]) -> tuple[Relation, ...]:
    """Return the relations of those who leave a cluster, and of who is its original then.

    Who leaves had the text of another member before, and has that of none now. The member that
    gave the cluster its id stays: an id is never given to other articles.
    """
    if len(members) < 2:
        return ()
    anchor = _anchor(members)
    leaving = [one for one in members if one is not anchor and _is_left_alone(one, members, was)]
    left = [one for one in members if one not in leaving]
    relations = [_original(one, one.article_id) for one in leaving]
    if leaving and not any(one.cluster_relation == "original" for one in left):
        relations.append(_original(anchor, anchor.cluster_id))
    return tuple(relations)


def _anchor(members: Sequence[ArticleState]) -> ArticleState:
    def weight(one: ArticleState) -> tuple[bool, bool, str, str]:
        is_namesake = one.article_id == one.cluster_id
        is_original = one.cluster_relation == "original"
        return not is_namesake, not is_original, one.first_seen.isoformat(), one.article_id

    return min(members, key=weight)


def _is_left_alone(
    article: ArticleState, members: Sequence[ArticleState], was: Mapping[str, str]
) -> bool:
    others = [one for one in members if one is not article]
    before = {was.get(one.article_id, one.content_hash) for one in others}
    now = {one.content_hash for one in others}
    own_before = was.get(article.article_id, article.content_hash)
    return own_before in before and article.content_hash not in now


def _join(ledger: Ledger, batch: str, article_ids: Sequence[str]) -> int:
    """Have articles that now carry the text of another cluster join it, as a new one would."""
    wanted = [one for one in article_ids if _equals_elsewhere(ledger, one)]
    rows = ledger.lake.current(wanted) if wanted else {}
    relations = 0
    for one in wanted:
        article = ledger.article(one)
        if article is None or one not in rows or not _equals_elsewhere(ledger, one):
            continue
        found = relations_of(
            revision_of(rows[one]),
            same_text=ledger.articles_with_text(article.content_hash),
            current=article,
            followers=ledger.followers(article),
        )
        relations += _apply(ledger, batch, found)
    return relations


def _equals_elsewhere(ledger: Ledger, article_id: str) -> bool:
    """Tell whether an article's text is found in other clusters and not in its own."""
    article = ledger.article(article_id)
    if article is None:
        return False
    others = [
        one
        for one in ledger.articles_with_text(article.content_hash)
        if one.article_id != article_id
    ]
    return bool(others) and all(one.cluster_id != article.cluster_id for one in others)


def _apply(ledger: Ledger, batch: str, relations: Sequence[Relation]) -> int:
    for relation in relations:
        if known := ledger.article(relation.article_id):
            moved = replace(
                known, cluster_id=relation.cluster_id, cluster_relation=relation.relation
            )
            ledger.add_relation(batch, relation, article=moved)
    return len(relations)


def _original(article: ArticleState, cluster_id: str) -> Relation:
    return Relation(article_id=article.article_id, cluster_id=cluster_id, relation="original")
