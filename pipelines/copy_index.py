"""Among all articles there are, those that a text may have been made from; and where it belongs.

Keys lead from a text to articles (`copy_tables`), those that are not yet committed too. What a
site writes under everything it publishes leads nowhere: a key that three of its clusters have is
no sign of a copy, and the words around it, as far as those have them too, are not the text's own.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, TypeVar

import numpy as np

from pipelines.clusters import Member, Others, Place, place
from pipelines.copies import (
    Own,
    Text,
    closed,
    is_copy,
    likeness,
    spread,
)
from pipelines.copy_tables import Lead, lead_to, leads, put_keys, put_texts, texts
from pipelines.lake import Lake
from pipelines.shingles import SHINGLE, Hashes, Mask, is_among
from pipelines.state import State
from pipelines.state_tables import ArticleState
from pipelines.transaction import Transaction

# A key that so many clusters of one site have is that site's; one that so many have at all is
# a figure of speech.
OF_A_SITE, OF_ALL = 3, 50
# So many clusters are looked at, of those that share one key only so many; two members of each.
_CLUSTERS, _BY_ONE_KEY, _MEMBERS = 8, 3, 2
_FELLOWS = 4
# Of a site's own words, how many passages are looked up, and how many articles they are told from.
_PASSAGES = 4
_TEXTS, _SHARED = 2_000, 500

_K = TypeVar("_K")
_V = TypeVar("_V")
Keys = Mapping[int, Sequence[Lead]]


class Articles(Protocol):
    """What is known of articles, committed or not."""

    def article(self, article_id: str) -> ArticleState | None: ...

    def fresh(self, article_id: str) -> ArticleState | None: ...

    def members(self, cluster_id: str, *, most: int) -> list[ArticleState]: ...


@dataclass(slots=True)
class _Pending:
    keys: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, tuple[str, Text]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a text belongs, and the articles that each of its keys leads to."""

    place: Place
    keys: Keys


class CopyIndex:
    """The index of one lake's copies, as its state keeps it, and over it what is uncommitted."""

    def __init__(self, lake: Lake, state: State, known: Articles):
        self._lake = lake
        self._state = state
        self._known = known
        self._pending: dict[str, _Pending] = {}
        self._texts: OrderedDict[str, tuple[str, Text]] = OrderedDict()
        self._shared: OrderedDict[tuple[tuple[str, str], ...], Hashes] = OrderedDict()

    # Reading

    def find(self, article_id: str, text: Text, *, site: str, within: str | None = None) -> Found:
        """Return where a text of `site` belongs; `article_id` is its own, which does not count.

        `within` is the cluster that it is in already: what leads there may be its own keys alone.
        """
        keys = self.led_to(text.keys, but=article_id)
        own = self._own(text, site, keys)
        if not own.is_enough:
            return Found(place=Place(), keys=keys)
        candidates = self._candidates(site, keys)
        if within is not None and all(one.cluster_id != within for one in candidates):
            candidates += self._fellows(within, but={article_id})

        @cache  # several members of one cluster are asked for it, and more than once
        def fellows(cluster_id: str) -> list[Member]:
            return self._fellows(cluster_id, but={article_id})

        others = Others(
            fellows=lambda one: [
                other for other in fellows(one.cluster_id) if other.article_id != one.article_id
            ],
            sharing=lambda one, mask: self._sharing(one, mask, but=article_id),
        )
        return Found(place=place(own, candidates, site=site, others=others), keys=keys)

    def is_copy_of_any(self, article: ArticleState, others: Iterable[ArticleState]) -> bool:
        """Tell whether an article's current text is a copy of that of another, or they of it."""
        members = self._members([lead_to(one) for one in others])
        return any(
            is_copy(likeness(it.own, one.own), within_site=one.site == it.site)
            for it in self._members([lead_to(article)])
            for one in members
        )

    def led_to(self, keys: Collection[int], *, but: str | None = None) -> dict[int, list[Lead]]:
        """Return the articles that each key leads to, one a cluster, first seen first."""
        found = leads(self._state, keys)
        led: dict[int, list[Lead]] = {}
        for key in keys:
            some = {one.article_id: self._newest(one) for one in found.get(key, ())}
            for pending in self._pending.values():
                for article_id in pending.keys.get(key, ()):
                    if article := self._known.article(article_id):
                        some[article_id] = lead_to(article)
            if but is not None:
                some.pop(but, None)
            if some:
                led[key] = _one_a_cluster(some.values())
        return led

    def _newest(self, lead: Lead) -> Lead:
        fresh = self._known.fresh(lead.article_id)
        return lead_to(fresh) if fresh else lead

    def _candidates(self, site: str, keys: Keys) -> list[Member]:
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        by_id: dict[str, Lead] = {}
        for some in keys.values():
            if len(some) >= OF_ALL or _of_site(some, site):
                continue
            for one in some:
                counts[one.cluster_id][one.article_id] += 1
                by_id[one.article_id] = one
        return self._members([by_id[one] for one in _best(counts)])

    def _fellows(self, cluster_id: str, *, but: Collection[str]) -> list[Member]:
        some = self._known.members(cluster_id, most=_FELLOWS + len(but))
        return self._members([lead_to(one) for one in some if one.article_id not in but][:_FELLOWS])

    def _sharing(self, member: Member, mask: Mask, *, but: str) -> list[Member]:
        """Return what has some of the words of a member too."""
        keys = self.led_to(member.text.keys_in(mask), but=but)
        some = self._candidates(member.site, keys)
        return [one for one in some if one.article_id != member.article_id]

    def _members(self, some: Sequence[Lead]) -> list[Member]:
        known = self.texts_of(some)
        return [self._member(one, known[one.article_id]) for one in some if one.article_id in known]

    def _member(self, lead: Lead, text: Text) -> Member:
        def find_own() -> Own:
            # It counts itself: of three that have what their site writes it may be one.
            return self._own(text, lead.site, self.led_to(text.keys))

        return Member(
            article_id=lead.article_id,
            cluster_id=lead.cluster_id,
            relation=lead.relation,
            site=lead.site,
            text=text,
            find_own=find_own,
        )

    def _own(self, text: Text, site: str, keys: Keys) -> Own:
        """Tell which words of a text are its own, and not its site's."""
        passages = Counter(
            tuple(of_site) for articles in keys.values() if (of_site := _of_site(articles, site))
        )
        hits = np.zeros(len(text.shingles), np.bool_)
        for articles, _ in passages.most_common(_PASSAGES):
            hits |= is_among(text.shingles, self._in_common(articles))
        if not hits.any():
            return Own(text, text.whole)
        return Own(text, ~closed(spread(hits, SHINGLE, len(text.codes)), SHINGLE - 1))

    def _in_common(self, articles: Sequence[Lead]) -> Hashes:
        """Return the shingles that at least two of some articles of one site have."""
        name = tuple((one.article_id, one.content_hash) for one in articles)
        if name not in self._shared:
            every = [np.unique(one.shingles) for one in self.texts_of(articles).values()]
            there, times = np.unique(np.concatenate([*every, np.empty(0, np.uint64)]),
                                     return_counts=True)  # fmt: skip
            self._shared[name] = there[times > 1]
        return _recent(self._shared, name, most=_SHARED)

    def texts_of(self, articles: Iterable[Lead]) -> dict[str, Text]:
        """Return the current texts of articles; of one whose text nobody has, none."""
        wanted = {one.article_id: one for one in articles}
        found = {}
        for article_id, article in wanted.items():
            if (text := self._at_hand(article)) is not None:
                found[article_id] = text
        missing = [one for one in wanted if one not in found]
        if missing:
            found |= self._fetched({one: wanted[one] for one in missing})
        return {one: found[one] for one in wanted if one in found}

    def _at_hand(self, article: Lead) -> Text | None:
        name = article.article_id
        for pending in reversed(self._pending.values()):
            if name in pending.texts and pending.texts[name][0] == article.content_hash:
                return pending.texts[name][1]
        if name in self._texts and self._texts[name][0] == article.content_hash:
            return _recent(self._texts, name, most=_TEXTS)[1]
        return None

    def _fetched(self, articles: Mapping[str, Lead]) -> dict[str, Text]:
        kept = texts(self._state, articles)
        found = {
            one: Text.unpacked(packed)
            for one, (content_hash, packed) in kept.items()
            if content_hash == articles[one].content_hash
        }
        if older := [one for one in articles if one not in found]:
            rows = self._lake.current(older)
            found |= {one: Text.of(row["article_body"] or "") for one, row in rows.items()}
        for one, text in found.items():
            self._texts[one] = (articles[one].content_hash, text)
            _recent(self._texts, one, most=_TEXTS)
        return found

    # Writing

    def keep(self, batch: str, article: ArticleState, text: Text, *, keys: Keys) -> None:
        """Have an article found by its text, once `batch` is committed and until then here.

        `keys` are what `find` gave of it. Its cluster needs each of them only once.
        """
        self.keep_text(batch, article, text)
        if article.cluster_relation == "composite":
            return
        pending = self._pending[batch]
        for key in lacking(article, text, keys):
            pending.keys[key].append(article.article_id)

    def keep_text(self, batch: str, article: ArticleState, text: Text) -> None:
        pending = self._pending.setdefault(batch, _Pending())
        pending.texts[article.article_id] = (article.content_hash, text)

    def keep_again(self, batch: str, articles: Iterable[ArticleState]) -> None:
        """Have articles found by what only another member led to, who is of no use for it now."""
        for article in articles:
            for text in self.texts_of([lead_to(article)]).values():
                keys = self.led_to(text.keys, but=article.article_id)
                self.keep(batch, article, text, keys=keys)

    def save(self, batch: str, transaction: Transaction) -> None:
        pending = self._pending.get(batch, _Pending())
        put_keys(transaction, ((k, one) for k, some in pending.keys.items() for one in some))
        kept = {one: (said, text.packed) for one, (said, text) in pending.texts.items()}
        put_texts(transaction, kept)

    def forget(self, batch: str) -> None:
        pending = self._pending.pop(batch, _Pending())
        for one, said in pending.texts.items():
            self._texts[one] = said
            _recent(self._texts, one, most=_TEXTS)


def lacking(article: ArticleState, text: Text, keys: Keys) -> list[int]:
    """Return which keys of its text do not lead to an article's cluster, and should."""
    return [
        key
        for key in text.keys
        if len(there := keys.get(key, ())) < OF_ALL
        and not _of_site(there, article.site)
        and not any(
            one.cluster_id == article.cluster_id and one.relation != "composite" for one in there
        )
    ]


def _one_a_cluster(some: Iterable[Lead]) -> list[Lead]:
    first: dict[str, Lead] = {}
    for one in sorted(
        some, key=lambda one: (one.relation == "composite", one.seen, one.article_id)
    ):
        first.setdefault(one.cluster_id, one)
    return list(first.values())


def _of_site(some: Sequence[Lead], site: str) -> list[Lead]:
    """Return the first of a site's articles that a key leads to, where it is that site's own."""
    if len(some) < OF_A_SITE:
        return []
    there = [one for one in some if one.site == site and one.relation != "composite"]
    return there[:OF_A_SITE] if len(there) >= OF_A_SITE else []


def _best(counts: Mapping[str, Counter[str]]) -> list[str]:
    """Return the articles that share most keys with a text, of the clusters that do."""
    totals = sorted((-some.total(), cluster_id) for cluster_id, some in counts.items())
    several = [cluster_id for total, cluster_id in totals if total < -1]
    single = [cluster_id for total, cluster_id in totals if total == -1][:_BY_ONE_KEY]
    chosen = []
    for cluster_id in [*several, *single][:_CLUSTERS]:
        ranked = sorted(counts[cluster_id].items(), key=lambda one: (-one[1], one[0]))
        chosen += [article_id for article_id, _ in ranked[:_MEMBERS]]
    return chosen


def _recent(kept: OrderedDict[_K, _V], key: _K, *, most: int) -> _V:
    """Return a value of `kept`, which loses what was longest not asked for."""
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
    return kept[key]
