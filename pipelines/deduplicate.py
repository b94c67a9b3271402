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
# The cluster of an article whose own id names another one already: it founded that, and left it.
APART = "-composite"


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
    within = current.cluster_id if current else None
    found = None
    if not others or (within and all(one.cluster_id != within for one in others)):
        found = ledger.copies.find(revision.article_id, text, site=site, within=within)
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
    relations += tuple(_composites(ledger, place, relations))
    keys = found.keys if found and not others else None
    return Deduplicated(relations=relations, text=text, keys=keys)


def put_down(
    ledger: Ledger,
    batch: str,
    revision: Revision,
    found: Deduplicated,
    *,
    site: str,
    current: ArticleState | None,
) -> tuple[ArticleState, tuple[ArticleState, ...]]:
    """Give a version and what follows from it to the ledger.

    Returns the article as it is known from now on, and those that were originals until it came.
    """
    own = [one for one in found.relations if one.article_id == revision.article_id]
    others = [one for one in found.relations if one not in own]
    article = _known_as(revision, site=site, current=current, own=own[0] if own else None)
    ledger.add_revision(revision, article=article, relations=found.relations)
    if found.keys is not None:
        ledger.copies.keep(batch, article, found.text, keys=found.keys)
    elif current is not None and found.text.words >= MIN_WORDS:
        # What led to it leads to it still, and the lake has its new text only after the commit.
        ledger.copies.keep_text(batch, article, found.text)
    return article, tuple(_unseated(ledger, batch, others))


def _known_as(
    revision: Revision, *, site: str, current: ArticleState | None, own: Relation | None
) -> ArticleState:
    if own is not None:
        cluster_id, relation = own.cluster_id, own.relation
    elif current is not None:
        cluster_id, relation = current.cluster_id, current.cluster_relation
    else:
        cluster_id, relation = revision.article_id, "original"
    article = revision.article
    return ArticleState(
        article_id=revision.article_id,
        site=site,
        canonical_url=revision.canonical_url,
        url=article.url,
        revision=revision.revision,
        content_hash=article.content_hash,
        word_count=article.word_count,
        cluster_id=cluster_id,
        cluster_relation=relation,
        date_published=article.date_published,
        date_published_precision=article.date_published_precision,
        first_seen=revision.first_seen,
    )


def _unseated(ledger: Ledger, batch: str, relations: Sequence[Relation]) -> Iterator[ArticleState]:
    for relation in relations:
        if (old := ledger.article(relation.article_id)) is None:
            continue
        new = replace(old, cluster_id=relation.cluster_id, cluster_relation=relation.relation)
        ledger.add_article(batch, new)
        if new.cluster_id != old.cluster_id:
            ledger.copies.keep_again(batch, ledger.members(old.cluster_id, most=_FELLOWS))
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
        return tuple(_same_as_of(current, place))
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


def _same_as_of(current: ArticleState, place: Place) -> Iterator[Relation]:
    """Yield what an edit of an article that stays where it is tells of its cluster.

    That says nothing, unless its new text is still a copy of another one there.
    """
    joined = {one.cluster_id for one in place.same_as} | {place.cluster_id}
    for other in sorted(one for one in joined if one is not None and one != current.cluster_id):
        if current.cluster_id in joined:
            yield Relation(
                article_id=current.article_id,
                cluster_id=current.cluster_id,
                relation=current.cluster_relation,
                same_as=other,
            )


def _same_as(place: Place, own: str, cluster: str) -> Iterator[Relation]:
    """Yield what says that further clusters are this story too: one in the text's own row."""
    for n, member in enumerate(place.same_as):
        yield Relation(
            article_id=member.article_id if n else own,
            cluster_id=member.cluster_id if n else cluster,
            relation=member.relation if n else place.relation,
            same_as=cluster if n else member.cluster_id,
        )


def _composites(ledger: Ledger, place: Place, relations: Sequence[Relation]) -> Iterator[Relation]:
    """Yield that some articles are made of two stories, and who is the original instead.

    They leave their cluster, with what has the very same text; it keeps its id and the others.
    """
    for article_id in place.composites:
        article = ledger.article(article_id)
        if article is None:
            continue
        cluster_id = article.cluster_id
        same = ledger.articles_with_text(article.content_hash, most=_FELLOWS)
        leaving = {one.article_id for one in same if one.cluster_id == cluster_id} | {article_id}
        apart = apart_from(cluster_id, article_id)
        yield _relation(article_id, apart, "composite")
        for other in sorted(leaving - {article_id}):
            yield _relation(other, apart, "exact")
        original = ledger.original_of(cluster_id)
        if any((one.cluster_id, one.relation) == (cluster_id, "original") for one in relations):
            continue
        if original is None or original.article_id in leaving:
            members = ledger.members(cluster_id, most=len(leaving) + 1)
            heir = next((one for one in members if one.article_id not in leaving), None)
            if heir is not None:
                yield _relation(heir.article_id, cluster_id, "original")


def apart_from(cluster_id: str, article_id: str) -> str:
    """Return the id of the cluster of what leaves another that may have been named after it."""
    return f"{article_id}{APART}" if cluster_id == article_id else article_id


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
    """Tell whether it was published first; of one day and an hour in it nobody knows.

    Nor by a clock that is known to be wrong.
    """
    article = revision.article
    mine, theirs = article.date_published, than.date_published
    if mine is None or theirs is None or "clock" in article.date_published_flags:
        return False
    if "day" in {article.date_published_precision, than.date_published_precision}:
        return _day(mine) < _day(theirs)
    return mine < theirs


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"
