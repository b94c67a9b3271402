"""Texts put into a lake and a state one after the other, as a crawl puts in what it read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.deduplicate import deduplicated, put_down
from pipelines.fingerprint import content_hash
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.model import Article, RecordLocation, Relation, Revision
from pipelines.revise import first_revision, next_revision
from pipelines.state import State
from pipelines.state_tables import ArticleState

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Story:
    name: str
    text: str
    site: str = ""
    published: datetime | None = None
    flags: tuple[str, ...] = ()


class Desk:
    """`take` gives a story its place; `commit` lets go of what is in memory."""

    def __init__(self, folder: Path, *, state: str | None = None):
        self.lake = Lake.open(str(folder / "lake"), create=True)
        self.state = State.open(state or f"sqlite:///{folder}/state.sqlite")
        self.ledger = Ledger(self.lake, self.state)
        self.names: dict[str, str] = {}
        self.relations: list[Relation] = []
        self.taken = 0
        self.batch = self._name()

    def _name(self) -> str:
        return f"warc/2026/03/desk-{self.taken}.warc.gz"

    def take(self, story: Story) -> ArticleState:
        site = story.site or f"site_{story.name}"
        url = f"https://{site}.example/{story.name}"
        article = Article(
            url=url,
            site=site,
            article_body=story.text,
            content_hash=content_hash(story.text),
            word_count=len(story.text.split()),
            date_published=story.published,
            date_published_precision="minute" if story.published else None,
            date_published_flags=story.flags,
        )
        revision = first_revision(
            article, canonical_url=url, fetched_at=self._now, location=self._location(story.name)
        )
        self.names[revision.article_id] = story.name
        return self._put_down(revision, current=None)

    def edit(self, name: str, text: str) -> ArticleState:
        """Take a later version of a story that was taken."""
        current = self.articles()[name]
        before = self.ledger.current(current.article_id)
        article = replace(before.article, article_body=text, content_hash=content_hash(text))
        revision = next_revision(
            before,
            article,
            change=("body",),
            canonical_url=current.canonical_url,
            fetched_at=self._now,
            location=self._location(f"{name} {self.taken}"),
        )
        return self._put_down(revision, current=current)

    def _put_down(self, revision: Revision, *, current: ArticleState | None) -> ArticleState:
        site = revision.article.site or ""
        found = deduplicated(self.ledger, revision, site=site, current=current)
        article, _ = put_down(self.ledger, self.batch, revision, found, site=site, current=current)
        self.relations += found.relations
        self.taken += 1
        return article

    @property
    def _now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.taken)

    def _location(self, name: str) -> RecordLocation:
        return RecordLocation(
            warc_path=self.batch, warc_offset=self.taken, warc_length=0, warc_record_id=name
        )

    def take_all(self, stories: Iterable[Story], *, batch: int | None = None) -> None:
        """Take stories, and commit them, so many at a time; without `batch`, not yet."""
        for story in stories:
            self.take(story)
            if batch is not None and self.taken % batch == 0:
                self.commit()
        if batch is not None and self.taken % batch:
            self.commit()

    def commit(self) -> None:
        self.ledger.commit(self.batch, now=BEGAN + timedelta(days=1, seconds=self.taken))
        self.ledger.forget(self.batch)
        self.batch = self._name()

    def forget_texts(self) -> None:
        """Go on as another process would, with nothing but lake and state."""
        self.ledger = Ledger(self.lake, self.state)

    def articles(self) -> dict[str, ArticleState]:
        """Return each story's article as it is known now, by the story's name."""
        found = {name: self.ledger.article(one) for one, name in self.names.items()}
        return {name: article for name, article in found.items() if article is not None}

    def relation_of(self, name: str) -> str:
        return self.articles()[name].cluster_relation

    def groups(self, *, follow: bool = True) -> list[list[str]]:
        """Return the names of the stories that are one, where those are several."""
        one_id = self._followed() if follow else {}
        found: dict[str, list[str]] = defaultdict(list)
        for name, article in self.articles().items():
            found[one_id.get(article.cluster_id, article.cluster_id)].append(name)
        return sorted(sorted(group) for group in found.values() if len(group) > 1)

    def _followed(self) -> dict[str, str]:
        of = {one.cluster_id: one.cluster_id for one in self.relations}
        of |= {one.same_as: one.same_as for one in self.relations if one.same_as}
        for relation in self.relations:
            if relation.same_as:
                old, new = of[relation.same_as], of[relation.cluster_id]
                of = {name: new if at == old else at for name, at in of.items()}
        return of
