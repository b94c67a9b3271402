"""Where a text belongs among those it may have been made from.

It joins the cluster of its best match. Clusters are never merged: of two that a text was made from
alike it says so (`same_as`). A text made of two stories joins neither, since through it they would
become one; and one that was taken for a copy until its second story came is told then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from pipelines.copies import (
    MIN_WORDS,
    Likeness,
    Own,
    Text,
    agrees,
    are_related,
    is_copy,
    likeness,
    shares_words,
    standing,
)
from pipelines.shingles import Mask

# A shorter copy that has less of its original than this is an excerpt.
EXCERPT = 0.6
# What has so much of another has all of it.
_ALL = 0.9
# So much of the shorter text in the longer is worth a look at more of the cluster.
_NEARLY = 0.3
# Fewer words in common are not six tenths of the shortest text that is compared.
_FEWEST_SHARED = 20
# Of a composite, each of its stories makes up so much, or is no brief and has so much of itself in
# there; and begins there as its page does.
_STORY, _STORY_WORDS, _STORY_PART = 0.15, 100, 0.4
# Two passages of a text are apart when so little of the shorter lies in both.
_APART = 0.2


@dataclass(frozen=True, kw_only=True)
class Member:
    """An article as it is compared: where it stands, and its text.

    `find_own` tells which of its words are its own; that takes a look-up, so it is asked late.
    """

    article_id: str
    cluster_id: str
    relation: str
    site: str
    text: Text
    find_own: Callable[[], Own]

    @cached_property
    def own(self) -> Own:
        return self.find_own()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a text belongs. `cluster_id` is None where that is a cluster of its own.

    `matched` is the article it is a copy of, `matched_as` what that is to it, and `covered` how
    much of the shorter of the two stands in the other. `same_as` has a member each of further
    clusters that turned out to be the same story; `composites` are articles that turned out to be
    made of two.
    """

    relation: str = "original"
    cluster_id: str | None = None
    matched: str | None = None
    matched_as: str = "near"
    covered: float = 0.0
    same_as: tuple[Member, ...] = ()
    composites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    member: Member
    like: Likeness


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """What else there is beside a member: others of its cluster, and by some of its words."""

    fellows: Callable[[Member], Sequence[Member]]
    sharing: Callable[[Member, Mask], Sequence[Member]]


def place(new: Own, candidates: Sequence[Member], *, site: str, others: Others) -> Place:
    """Return where a text of `site` belongs, given the articles it may be a copy of."""
    matches = _matches(new, candidates, site=site, others=others)
    if _is_composite(matches):
        return Place(relation="composite")
    copies = [
        match for match in matches if is_copy(match.like, within_site=match.member.site == site)
    ]
    copies.sort(key=lambda match: (-match.like.rank, match.member.article_id))
    composites = [match for match in copies if _joins_two(new, match, others)]
    composites += [match for match in matches if _is_of_two(new, match, others)]
    copies = [match for match in copies if match not in composites]
    told = tuple(dict.fromkeys(match.member.article_id for match in composites))
    if not copies:
        return Place(composites=told)
    best = copies[0]
    return Place(
        relation=_cut(best.like.is_new_shorter, best.like.part),
        cluster_id=best.member.cluster_id,
        matched=best.member.article_id,
        matched_as=_cut(not best.like.is_new_shorter, best.like.part),
        covered=best.like.covered,
        same_as=tuple(_same_stories(copies)),
        composites=told,
    )


def _matches(new: Own, candidates: Sequence[Member], *, site: str, others: Others) -> list[_Match]:
    """Compare a text with its candidates; once one of a cluster has all of it, with no other.

    Where much is shared with a cluster, but it is no copy of those, its first members are tried.
    """
    settled: set[str] = set()
    matches: list[_Match] = []
    for one in candidates:
        if one.relation == "composite" or one.cluster_id in settled:
            continue
        if (match := _match(new, one)) is not None:
            matches.append(match)
            if min(match.like.of_new, match.like.of_known) >= _ALL and agrees(match.like):
                settled.add(one.cluster_id)
    return [*matches, *_further(new, matches, candidates, site=site, others=others)]


def _further(
    new: Own,
    matches: Sequence[_Match],
    candidates: Sequence[Member],
    *,
    site: str,
    others: Others,
) -> Iterator[_Match]:
    """Compare a text with more members of the clusters that it nearly belongs to."""
    tried = {one.article_id for one in candidates}
    joined = {
        match.member.cluster_id
        for match in matches
        if is_copy(match.like, within_site=match.member.site == site)
    }
    for match in matches:
        cluster_id = match.member.cluster_id
        if cluster_id not in joined and match.like.covered >= _NEARLY:
            joined.add(cluster_id)
            for other in others.fellows(match.member):
                if other.article_id not in tried and (found := _match(new, other)) is not None:
                    yield found


def _match(new: Own, member: Member) -> _Match | None:
    """Compare a text with one that it may be a copy of; None where far too little is shared."""
    mask = standing(new.text, member.text)
    if new.count(mask) < _FEWEST_SHARED:
        return None
    shared = mask, standing(member.text, new.text)
    like = likeness(new, Own(member.text, member.text.whole), shared=shared)
    if min(like.of_new, like.of_known) < _ALL:
        like = likeness(new, member.own, shared=shared)
    return _Match(member=member, like=like)


def _cut(is_shorter: bool, part: float) -> str:
    return "excerpt" if is_shorter and part < EXCERPT else "near"


def _same_stories(copies: Sequence[_Match]) -> Iterator[Member]:
    """Yield a member of each further cluster that matches and tells the best match's story."""
    best, seen = copies[0].member, {copies[0].member.cluster_id}
    for match in copies[1:]:
        other = match.member
        if other.cluster_id not in seen and are_related(best.own, other.own):
            seen.add(other.cluster_id)
            yield other


def _is_composite(matches: Sequence[_Match]) -> bool:
    """Tell whether a text is made of two stories that have nothing to do with each other."""
    largest: dict[str, _Match] = {}
    for match in matches:
        known = largest.get(match.member.cluster_id)
        if _is_story_of(match.like) and (known is None or match.like.of_new > known.like.of_new):
            largest[match.member.cluster_id] = match
    return any(
        _are_apart(one.like, other.like) and not are_related(one.member.own, other.member.own)
        for one, other in combinations(largest.values(), 2)
    )


def _is_story_of(like: Likeness) -> bool:
    """Tell whether the known text is one of those that the new one is made of."""
    there = like.of_new * like.new.words
    is_part = there >= max(MIN_WORDS, _STORY * like.new.words) or (
        there >= _STORY_WORDS and like.of_known >= _STORY_PART
    )
    return is_part and like.begins_known and agrees(like)


def _are_apart(one: Likeness, other: Likeness) -> bool:
    both = np.count_nonzero(one.mask & other.mask)
    return bool(both < _APART * min(np.count_nonzero(one.mask), np.count_nonzero(other.mask)))


def _joins_two(new: Own, match: _Match, others: Others) -> bool:
    """Tell whether what a text matches is a composite: of this story, and its cluster's other one.

    A part of it is left over, and the rest of its cluster has nothing to do with this text.
    """
    if match.like.of_known > _ALL:
        return False
    fellows = others.fellows(match.member)
    related = sum(shares_words(new, other.text) or are_related(new, other.own) for other in fellows)
    return 2 * related < len(fellows)


def _is_of_two(new: Own, match: _Match, others: Others) -> bool:
    """Tell whether what a text matches is a composite, by this story and another that it is of.

    It is told by the text that comes last of the three as it would be by the composite itself.
    """
    member, like = match.member, match.like.turned
    if not _is_story_of(like):
        return False
    left = ~like.mask & like.new.mask
    if like.new.count(left) < MIN_WORDS:
        return False
    return any(
        (second := _match(member.own, other)) is not None
        and _is_story_of(second.like)
        and _are_apart(like, second.like)
        and not are_related(new, other.own)
        for other in [*others.fellows(member), *others.sharing(member, left)]
    )
