"""Which cluster an article belongs to, and which of its copies is the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.clusters import Place
from pipelines.copies import MIN_WORDS, Text
from pipelines.copy_index import Keys
from pipelines.ledger import Ledger
from pipelines.model import Relation, Revision
from pipelines.state_tables import ArticleState

# So many members of a cluster are looked at again when one of them turns out to be of two stories.
_FELLOWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduplicated:
    """The relations to append for a text, its own first, and what it is found by from now on.

    `keys` is None where it is not found by its words: too few, or those of another article.
    """

    relations: tuple[Relation, ...]
    text: Text
    keys: Keys | None = None


def deduplicated(
    ledger: Ledger, revision: Revision, *, site: str, current: ArticleState | None
) -> Deduplicated:
    """Return what a new text is to the articles there are; of a `current` article, as an edit."""
    text = Text.of(revision.article.article_body)
    if text.words < MIN_WORDS:
        own = _relation(revision.article_id, revision.article_id, "original")
        return Deduplicated(relations=() if current else (own,), text=text)
    same_text = ledger.articles_with_text(revision.article.content_hash)
    others = [one for one in same_text if one.article_id != revision.article_id]
    found = ledger.copies.find(revision.article_id, text, site=site) if not others else None
    place = found.place if found else Place()
    cluster = others[0].cluster_id if others else place.cluster_id
    relations = relations_of(
        revision,
        same_text=same_text,
        current=current,
        followers=ledger.followers(current) if current else 0,
        place=place,
        original=ledger.original_of(cluster) if cluster else None,
    )
    relations += tuple(_composites(ledger, place))
    return Deduplicated(relations=relations, text=text, keys=found.keys if found else None)


def put_down(
    ledger: Ledger, batch: str, revision: Revision, article: ArticleState, found: Deduplicated
) -> tuple[ArticleState, ...]:
    """Give a version and what follows from it to the ledger; return who was an original till now.

    `article` is the article as it is known from now on.
    """
    ledger.add_revision(revision, article=article, relations=found.relations)
    if found.keys is not None:
        ledger.copies.keep(batch, article, found.text, keys=found.keys)
    others = [one for one in found.relations if one.article_id != article.article_id]
    return tuple(_unseated(ledger, batch, others))


def _unseated(ledger: Ledger, batch: str, relations: Sequence[Relation]) -> Iterator[ArticleState]:
    for relation in relations:
        if (old := ledger.article(relation.article_id)) is None:
            continue
        new = replace(old, cluster_relation=relation.relation)
        ledger.add_article(batch, new)
        if relation.relation == "composite":
            ledger.copies.keep_again(batch, ledger.members(new.cluster_id, most=_FELLOWS))
        if old.cluster_relation == "original" != new.cluster_relation:
            yield new


def relations_of(
    revision: Revision,
    *,
    same_text: Sequence[ArticleState],
    current: ArticleState | None,
    followers: int = 0,
    place: Place = Place(),  # noqa: B008 - it is frozen
    original: ArticleState | None = None,
) -> tuple[Relation, ...]:
    """Return the relations to append for a new text: its own first, none when that still holds.

    `same_text` holds the articles that carry this very text, first seen first; `place` is where it
    belongs by what it shares with others; `current` is the article as it is on record, None when it
    is new; `followers` counts the other articles of its cluster; `original` is that of the cluster
    it joins. A cluster never changes its id, so an article that others follow stays where it is.
    The original is the copy that was published first: one that turns out to be takes the place of
    the other, which has its own relation then.
    """
    own = revision.article_id
    others = [one for one in same_text if one.article_id != own]
    cluster = others[0].cluster_id if others else place.cluster_id
    if cluster is None:
        return (_relation(own, own, place.relation),) if current is None else ()
    if current is not None and (current.cluster_id == cluster or followers):
        return ()
    relation = "exact" if others else place.relation
    same_as = tuple(_same_as(place, own, cluster))
    if original is None:
        original = next((one for one in others if is_original_of(one, cluster)), None)
    if original is None or original.article_id == own:
        # Taken up after those that joined it, an article finds its own cluster there.
        relation = "original" if cluster == own else relation
        return (_relation(own, cluster, relation, same_as[:1]), *same_as[1:])
    if not _is_earlier(revision, original):
        return (_relation(own, cluster, relation, same_as[:1]), *same_as[1:])
    return (
        _relation(own, cluster, "original", same_as[:1]),
        _relation(original.article_id, cluster, _reverse(revision, original, place)),
        *same_as[1:],
    )


def is_original_of(article: ArticleState, cluster_id: str) -> bool:
    return article.cluster_id == cluster_id and article.cluster_relation == "original"


def _same_as(place: Place, own: str, cluster: str) -> Iterator[Relation]:
    """Yield what says that further clusters are this story too: one in the text's own row."""
    for n, member in enumerate(place.same_as):
        yield Relation(
            article_id=member.article_id if n else own,
            cluster_id=member.cluster_id if n else cluster,
            relation=member.relation if n else place.relation,
            same_as=cluster if n else member.cluster_id,
        )


def _composites(ledger: Ledger, place: Place) -> Iterator[Relation]:
    """Yield that some articles are made of two stories, and who is the original instead."""
    for article_id in place.composites:
        article = ledger.article(article_id)
        if article is None:
            continue
        yield _relation(article_id, article.cluster_id, "composite")
        members = ledger.members(article.cluster_id, most=2)
        other = next((one for one in members if one.article_id != article_id), None)
        if other and article.cluster_relation == "original":
            yield _relation(other.article_id, other.cluster_id, "original")


def _relation(
    article_id: str, cluster_id: str, relation: str, same_as: Sequence[Relation] = ()
) -> Relation:
    return Relation(
        article_id=article_id,
        cluster_id=cluster_id,
        relation=relation,
        same_as=same_as[0].same_as if same_as else None,
    )


def _reverse(revision: Revision, original: ArticleState, place: Place) -> str:
    """Return what the former original is to the text that takes its place."""
    if original.content_hash == revision.article.content_hash:
        return "exact"
    return place.matched_as if place.matched == original.article_id else "near"


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
