"""What a run knows: the state on record, and over it what was found and not yet committed.

Captures gather by the WARC file that holds them. A file's batch is committed when the file is
closed and each of its captures has a verdict: revisions, relations, captures, articles, state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipelines.copy_index import CopyIndex
from pipelines.lake import Lake
from pipelines.model import Batch, Capture, Kind, Page, RecordLocation, Relation, Revision
from pipelines.publish import publish
from pipelines.schema import location_of, revision_of
from pipelines.state import State
from pipelines.state_tables import ArticleState, LinkState, ResponseState


@dataclass(slots=True)
class _Pending:
    """What one WARC file gave so far; or, where `is_file` is not, what was read again."""

    is_file: bool = True
    captures: list[Capture] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    articles: dict[str, ArticleState] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    claims: set[tuple[str, str, str]] = field(default_factory=set)
    links: dict[tuple[str, str], LinkState] = field(default_factory=dict)
    responses: dict[tuple[str, str], ResponseState] = field(default_factory=dict)


class Ledger:
    """Reads see what is uncommitted; `commit` makes one file's part of it last."""

    def __init__(self, lake: Lake, state: State):
        self.lake = lake
        self.state = state
        self._pending: dict[str, _Pending] = defaultdict(_Pending)
        self._revisions: dict[str, Revision] = {}
        # Of what is not yet committed: its ids by text, and by cluster but for exact copies.
        self._by_text: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._by_cluster: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.copies = CopyIndex(lake, state, self)

    # Reading

    def article(self, article_id: str) -> ArticleState | None:
        return self.fresh(article_id) or self.state.article(article_id)

    def fresh(self, article_id: str) -> ArticleState | None:
        """Return an article as a batch that is still to come has it."""
        for pending in reversed(self._pending.values()):
            if found := pending.articles.get(article_id):
                return found
        return None

    def article_at(self, site: str, url_key: str) -> ArticleState | None:
        """Return the youngest story known at an address, by any of its names."""
        for pending in reversed(self._pending.values()):
            if article_id := pending.aliases.get((site, url_key)):
                return self.article(article_id)
        # The address may be in the state while its article is in a batch still to come.
        found = self.state.article_id_at(site, url_key)
        return self.article(found) if found else None

    def claimants(self, site: str, url_key: str) -> list[ArticleState]:
        """Return the articles whose pages named this address as their canonical one."""
        ids = self.state.claimants(site, url_key)
        for pending in self._pending.values():
            ids |= {one for at, key, one in pending.claims if (at, key) == (site, url_key)}
        return [article for one in sorted(ids) if (article := self.article(one))]

    def articles_with_text(self, content_hash: str, *, most: int = 5) -> list[ArticleState]:
        """Return the first articles whose current text is this one, first seen first."""
        stored = self.state.articles_with_text(content_hash, most=most)
        found = {one.article_id: self.fresh(one.article_id) or one for one in stored}
        for article_id in self._by_text.get(content_hash, ()):
            if len(found) >= 2 * most:
                break
            if article := self.fresh(article_id):
                found[article_id] = article
        same = [one for one in found.values() if one.content_hash == content_hash]
        return sorted(same, key=_by_age)[:most]

    def members(self, cluster_id: str, *, most: int) -> list[ArticleState]:
        """Return some articles of a cluster that have texts of their own, first seen first."""
        stored = self.state.members(cluster_id, most=most)
        found = {one.article_id: self.fresh(one.article_id) or one for one in stored}
        found |= {one.article_id: one for one in self._fresh_in(cluster_id)}
        own = [
            one
            for one in found.values()
            if one.cluster_id == cluster_id and one.cluster_relation not in {"exact", "composite"}
        ]
        return sorted(own, key=_by_age)[:most]

    def original_of(self, cluster_id: str) -> ArticleState | None:
        """Return the article of a cluster that is its original by what is known now."""
        stored = self.state.original_of(cluster_id)
        found = self._fresh_in(cluster_id)
        if stored is not None and self.fresh(stored.article_id) is None:
            found.append(stored)
        return next((one for one in found if one.cluster_relation == "original"), None)

    def _fresh_in(self, cluster_id: str) -> list[ArticleState]:
        """Return what of a cluster is not yet committed, but for exact copies."""
        some = [self.fresh(one) for one in self._by_cluster.get(cluster_id, ())]
        return [one for one in some if one is not None and one.cluster_id == cluster_id]

    def _fresh_articles(self) -> dict[str, ArticleState]:
        fresh: dict[str, ArticleState] = {}
        for pending in self._pending.values():
            fresh |= pending.articles
        return fresh

    def followers(self, article: ArticleState) -> int:
        """Return how many other articles are in the cluster of `article`."""
        fresh = self._fresh_articles()
        members = self.state.cluster_members(article.cluster_id) - fresh.keys()
        members |= {k for k, a in fresh.items() if a.cluster_id == article.cluster_id}
        return len(members - {article.article_id})

    def current(self, article_id: str) -> Revision:
        """Return the newest extraction of the newest revision of a known article.

        Of a file that is taken up because its commit was cut short, the revisions may be in the
        lake already: to take them for what was there before would hide that they are new.
        """
        if article_id not in self._revisions:
            rows = self.lake.current([article_id], but_for=self._pending.keys())
            return revision_of(rows[article_id])
        return self._revisions[article_id]

    def further_pages(self, article_id: str) -> list[tuple[str, RecordLocation]]:
        """Return where the pages lie at which an article goes on, by address, in time order."""
        rows = self.lake.further_pages([article_id]).get(article_id, [])
        found = [(row["url"], location_of(row)) for row in rows]
        fresh = [
            capture.page
            for pending in self._pending.values()
            for capture in pending.captures
            if capture.article_id == article_id and capture.page.kind is Kind.FURTHER
        ]
        fresh.sort(key=lambda page: page.fetched_at)
        return [*found, *((page.url, page.location) for page in fresh)]

    def has_capture(self, location: RecordLocation) -> bool:
        """Tell whether a record has its verdict here, which is not yet committed."""
        pending = self._pending.get(location.warc_path, _Pending())
        return any(
            one.page.location.warc_record_id == location.warc_record_id for one in pending.captures
        )

    def link(self, site: str, url_key: str) -> LinkState | None:
        return self.fresh_link(site, url_key) or self.state.link(site, url_key)

    def fresh_link(self, site: str, url_key: str) -> LinkState | None:
        """Return a link as a batch that is still to come has it."""
        for pending in reversed(self._pending.values()):
            if found := pending.links.get((site, url_key)):
                return found
        return None

    def links(self, site: str, url_keys: Collection[str]) -> dict[str, LinkState]:
        """Return what is known of many addresses, by key."""
        found = self.state.links(site, url_keys)
        for pending in self._pending.values():
            fresh = {key: pending.links.get((site, key)) for key in url_keys}
            found |= {key: link for key, link in fresh.items() if link is not None}
        return found

    def response(self, site: str, url: str) -> ResponseState | None:
        for pending in reversed(self._pending.values()):
            if found := pending.responses.get((site, url)):
                return found
        return self.state.response(site, url)

    # Writing

    def add_capture(self, capture: Capture) -> None:
        # The bytes are in the archive; the row needs only what was said about them.
        bare = replace(capture, page=replace(capture.page, body=b""))
        self._pending[capture.page.location.warc_path].captures.append(bare)

    def add_revision(
        self, revision: Revision, *, article: ArticleState, relations: Iterable[Relation] = ()
    ) -> None:
        pending = self._pending[revision.location.warc_path]
        pending.revisions.append(revision)
        self._know(pending, article)
        pending.relations.extend(relations)
        self._revisions[revision.article_id] = revision

    def add_extraction(
        self, batch: str, revision: Revision, *, article: ArticleState | None
    ) -> None:
        """Put down a version that was read again; `article` where it is the newest of its story."""
        pending = self._pending[batch]
        pending.is_file = False
        pending.revisions.append(revision)
        if article is not None:
            self._know(pending, article)

    def add_relation(self, batch: str, relation: Relation, *, article: ArticleState) -> None:
        """Put down another place of an article among its copies."""
        pending = self._pending[batch]
        pending.is_file = False
        pending.relations.append(relation)
        self._know(pending, article)

    def add_article(self, warc_path: str, article: ArticleState) -> None:
        """Know an article otherwise than it was, without a new version of it."""
        self._know(self._pending[warc_path], article)

    def _know(self, pending: _Pending, article: ArticleState) -> None:
        pending.articles[article.article_id] = article
        self._by_text[article.content_hash][article.article_id] = None
        if article.cluster_relation != "exact":
            self._by_cluster[article.cluster_id][article.article_id] = None

    def add_aliases(
        self, warc_path: str, site: str, url_keys: Iterable[str], article_id: str
    ) -> None:
        for url_key in url_keys:
            self._pending[warc_path].aliases[site, url_key] = article_id

    def add_claim(self, warc_path: str, site: str, url_key: str, article_id: str) -> None:
        self._pending[warc_path].claims.add((site, url_key, article_id))

    def add_link(self, warc_path: str, link: LinkState) -> None:
        self._pending[warc_path].links[link.site, link.url_key] = link

    def put_links(self, links: Iterable[LinkState]) -> None:
        """Put down what is known of links at once; with its capture where that waits for its batch.

        So a commit that comes later does not put back what was known before.
        """
        at_once = []
        for link in links:
            key = (link.site, link.url_key)
            waiting = next((p for p in reversed(self._pending.values()) if key in p.links), None)
            if waiting is None:
                at_once.append(link)
            else:
                waiting.links[key] = link
        with self.state.transaction() as transaction:
            transaction.put_links(at_once)

    def add_response(self, warc_path: str, response: ResponseState) -> None:
        self._pending[warc_path].responses[response.site, response.url] = response

    def remember(self, page: Page) -> None:
        """Keep what asking again needs of a full answer: its validators, where its bytes are."""
        before = self.response(page.site, page.url)
        if before is not None and before.fetched_at > page.fetched_at:
            return  # taken up late: a later answer is on record
        is_repeated = before is not None and before.payload_digest == page.payload_digest
        response = ResponseState(
            site=page.site,
            url=page.url,
            etag=page.headers.get("etag"),
            last_modified=page.headers.get("last-modified"),
            payload_digest=page.payload_digest,
            # A repeated body was not written again: its bytes are where they first were.
            fetched_at=before.fetched_at if before and is_repeated else page.fetched_at,
            location=before.location if before and is_repeated else page.location,
            settled=page.kind is Kind.ARTICLE,
        )
        self.add_response(page.location.warc_path, response)

    def distrust(self, page: Page) -> None:
        """Have the next request for an address sent without validators: no article came of it."""
        known = self.response(page.site, page.url)
        if known is not None and known.settled:
            self.add_response(page.location.warc_path, replace(known, settled=False))

    def commit(self, warc_path: str, *, now: datetime) -> datetime:
        """Make what one closed file gave last; reads still see it here until `forget`.

        May run in another thread than the rest. Repeating it adds nothing. Raises LakeError or
        StateError; what was not committed is still in the archive.
        """
        pending = self._pending.get(warc_path, _Pending())
        batch = Batch(
            warc_path=warc_path,
            revisions=tuple(pending.revisions),
            relations=tuple(pending.relations),
            captures=tuple(pending.captures),
        )
        with self.lake.lock():
            is_level = self.state.level_with() == self.lake.recorded_at()
            recorded_at = self.lake.commit(batch, now=now)
            publish(self.lake, now=recorded_at)
            # A state that lacked something before lacks it still: that is for `catch_up`.
            self._save(warc_path, pending, level=self.lake.recorded_at() if is_level else None)
        return recorded_at

    def save_copies(self, batch: str) -> None:
        """Make last what articles are found by, where a batch has nothing for the lake."""
        with self.state.transaction() as transaction:
            self.copies.save(batch, transaction)

    def forget(self, warc_path: str) -> None:
        """Read what a committed file gave from the state from now on."""
        pending = self._pending.pop(warc_path, _Pending())
        for revision in pending.revisions:
            if self._revisions.get(revision.article_id) is revision:
                del self._revisions[revision.article_id]
        self.copies.forget(warc_path)
        self._by_text.clear()
        self._by_cluster.clear()
        for left in self._pending.values():
            for article in [*left.articles.values()]:
                self._know(left, article)

    def _save(self, warc_path: str, pending: _Pending, *, level: datetime | None) -> None:
        by_site: dict[str, dict[str, str]] = defaultdict(dict)
        for (site, url_key), article_id in pending.aliases.items():
            by_site[site][url_key] = article_id
        with self.state.transaction() as transaction:
            transaction.put_articles(pending.articles.values())
            self.copies.save(warc_path, transaction)
            for site, aliases in by_site.items():
                transaction.put_aliases(site, aliases)
            transaction.put_claims(pending.claims)
            transaction.put_links(pending.links.values())
            if pending.is_file:
                transaction.put_batch(warc_path)
            transaction.put_responses(pending.responses.values())
            if level is not None:
                transaction.put_level(level)


def _by_age(article: ArticleState) -> tuple[datetime, str]:
    return article.first_seen, article.article_id
