"""Clusters after texts came to be read otherwise: who belongs together now, and who no longer does.

A publisher's edit of a copy leaves it where it is: it was the same text once. What only an
extractor made alike, or kept apart, never was what it seemed: there the clusters follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pipelines.deduplicate import deduplicated
from pipelines.ledger import Ledger
from pipelines.model import Relation
from pipelines.schema import revision_of
from pipelines.state_tables import ArticleState

# Whether an article is a copy of one of some others.
IsCopy = Callable[[ArticleState, Sequence[ArticleState]], bool]
_COMPARED = 8


def regroup(ledger: Ledger, batch: str, article_ids: Iterable[str], was: Mapping[str, str]) -> int:
    """Put into `batch` the relations that follow from new texts; return how many there are.

    `was` has the content hash that articles had before, for all whose text is read otherwise now.
    Hold the lake's lock meanwhile, so that the state that is read here is the lake's.
    """
    ids = list(article_ids)
    articles = [found for one in ids if (found := ledger.article(one))]
    relations = 0
    for cluster_id in sorted({one.cluster_id for one in articles}):
        members = [
            found
            for one in sorted(ledger.state.cluster_members(cluster_id))
            if (found := ledger.article(one)) and found.cluster_id == cluster_id
        ]
        moves = parted(members, was, is_copy=_is_copy(ledger))
        leaving = {one.article_id for one in moves}
        left = [one for one in members if one.article_id not in leaving]
        relations += _apply(ledger, batch, [*moves, *refined(left, was)])
    return relations + _join(ledger, batch, ids)


def has_same_text(article: ArticleState, others: Sequence[ArticleState]) -> bool:
    return any(one.content_hash == article.content_hash for one in others)


def parted(
    members: Sequence[ArticleState], was: Mapping[str, str], *, is_copy: IsCopy = has_same_text
) -> tuple[Relation, ...]:
    """Return the relations of those who leave a cluster, and of who is its original then.

    Who leaves was a copy of another member before, and is one of none now. The member that gave the
    cluster its id stays: an id is never given to other articles.
    """
    if len(members) < 2 or not any(one.article_id in was for one in members):
        return ()
    anchor = _anchor(members)
    leaving = [
        one
        for one in members
        if one is not anchor
        and _was_copy(one, members, was)
        and not is_copy(one, [other for other in members if other is not one])
    ]
    left = [one for one in members if one not in leaving]
    relations = [_original(one, one.article_id) for one in leaving]
    if leaving and not any(one.cluster_relation == "original" for one in left):
        relations.append(_original(anchor, anchor.cluster_id))
    return tuple(relations)


def refined(members: Sequence[ArticleState], was: Mapping[str, str]) -> Iterator[Relation]:
    """Yield what copies are now that they are read otherwise: the same text, or not quite."""
    if not any(one.article_id in was for one in members):
        return
    for one in members:
        if one.cluster_relation not in {"exact", "near", "excerpt"}:
            continue
        is_exact = has_same_text(one, [other for other in members if other is not one])
        if is_exact != (one.cluster_relation == "exact"):
            relation = "exact" if is_exact else "near"
            yield Relation(article_id=one.article_id, cluster_id=one.cluster_id, relation=relation)


def _anchor(members: Sequence[ArticleState]) -> ArticleState:
    def weight(one: ArticleState) -> tuple[bool, bool, str, str]:
        is_namesake = one.article_id == one.cluster_id
        is_original = one.cluster_relation == "original"
        return not is_namesake, not is_original, one.first_seen.isoformat(), one.article_id

    return min(members, key=weight)


def _was_copy(
    article: ArticleState, members: Sequence[ArticleState], was: Mapping[str, str]
) -> bool:
    """Tell whether an article was a copy until it, or another, was read otherwise.

    Of exact copies the hashes tell. Others were, as long as their publisher has not edited them.
    """
    before = {was.get(one.article_id, one.content_hash) for one in members if one is not article}
    if was.get(article.article_id, article.content_hash) in before:
        return True
    return article.article_id in was and article.revision == 1


def _is_copy(ledger: Ledger) -> IsCopy:
    def is_copy(article: ArticleState, others: Sequence[ArticleState]) -> bool:
        return has_same_text(article, others) or ledger.copies.is_copy_of_any(
            article, others[:_COMPARED]
        )

    return is_copy


def _join(ledger: Ledger, batch: str, article_ids: Sequence[str]) -> int:
    """Have articles whose text is another now join where they belong, as a new one would."""
    rows = ledger.lake.current(article_ids) if article_ids else {}
    relations = 0
    for one in article_ids:
        article = ledger.article(one)
        if article is None or one not in rows:
            continue
        found = deduplicated(ledger, revision_of(rows[one]), site=article.site, current=article)
        relations += _apply(ledger, batch, found.relations)
        if found.keys is not None and (placed := ledger.article(one)):
            ledger.copies.keep(batch, placed, found.text, keys=found.keys)
    return relations


def _apply(ledger: Ledger, batch: str, relations: Sequence[Relation]) -> int:
    for relation in relations:
        if known := ledger.article(relation.article_id):
            moved = replace(
                known, cluster_id=relation.cluster_id, cluster_relation=relation.relation
            )
            ledger.add_relation(batch, relation, article=moved)
            if relation.relation == "composite":
                ledger.copies.keep_again(batch, ledger.members(known.cluster_id, most=_COMPARED))
    return len(relations)


def _original(article: ArticleState, cluster_id: str) -> Relation:
    return Relation(article_id=article.article_id, cluster_id=cluster_id, relation="original")
