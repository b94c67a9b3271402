"""What the schedule keeps in the state: when each source was asked, and how each site's turns went.

Which stories are to be looked at again needs no table: it follows from when an article was first
seen and its address last fetched, which `catch_up` makes again from the lake.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from pipelines.state_tables import UtcTime, articles, links, metadata


class _Numbers(sa.TypeDecorator[tuple[float, ...]]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[float, ...] | None, dialect: sa.Dialect) -> str:  # noqa: ARG002 - SQLAlchemy's signature
        return json.dumps([round(one, 4) for one in value or ()])

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> tuple[float, ...]:  # noqa: ARG002 - SQLAlchemy's signature
        return tuple(json.loads(value or "[]"))


sources = sa.Table(
    "sources",
    metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url", sa.String(2048), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("asked_at", UtcTime, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("hours", _Numbers, nullable=False),
    sa.Column("days", sa.Float, nullable=False),
    sa.Column("fresh_seconds", sa.Float),
    sa.Column("wish_seconds", sa.Float),
    sa.Column("hub", sa.Text),
)
turns = sa.Table(
    "turns",
    metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("began_at", UtcTime),
    sa.Column("seconds", sa.Float),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("not_before", UtcTime),
    sa.Column("revisit_day", sa.String(10)),
    sa.Column("revisits", sa.Integer, nullable=False),
)
# Stories are looked for by their age, and the addresses that lead to each.
INDEXES = (
    sa.Index("articles_by_age", articles.c.site, articles.c.first_seen),
    sa.Index("links_by_article", links.c.site, links.c.article_id),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """One feed, sitemap or listing: when it was asked, and what it was seen to do.

    `fresh_seconds` is what its server's headers say, `wish_seconds` what the feed itself does;
    `hub` is the WebSub hub that it names.
    """

    site: str
    url: str
    kind: str
    asked_at: datetime
    failures: int = 0
    hours: tuple[float, ...] = ()
    days: float = 0.0
    fresh_seconds: float | None = None
    wish_seconds: float | None = None
    hub: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnState:
    """A site's last crawl, the failures of its process in a row, and its revisits of a day."""

    site: str
    began_at: datetime | None = None
    seconds: float | None = None
    failures: int = 0
    not_before: datetime | None = None
    revisit_day: str | None = None
    revisits: int = 0

    def revisits_on(self, day: str) -> int:
        return self.revisits if self.revisit_day == day else 0

    def spent(self, n: int, *, day: str) -> TurnState:
        """Return it with `n` more revisits on a day, YYYY-MM-DD."""
        return replace(self, revisit_day=day, revisits=self.revisits_on(day) + n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """An address that led to a stored story, and how it last answered."""

    article_id: str
    first_seen: datetime
    date_published: datetime | None
    url_key: str
    status: str
    attempts: int
    last_fetched: datetime | None
