"""What a backfill keeps in the state: the feeds and their like that it has read, or is yet to ask.

The lake does not tell it: a backfill whose state was lost asks its sources anew, and of the
stories those alone that nobody has asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from pipelines.state_tables import UtcTime, links, metadata

backfill_sources = sa.Table(
    "backfill_sources",
    metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("days", sa.String(32), primary_key=True),
    sa.Column("url_key", sa.String(2048), primary_key=True),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("root", sa.Text, nullable=False),
    sa.Column("pages", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("is_read", sa.Boolean, nullable=False),
    sa.Column("found_at", UtcTime, nullable=False),
    sa.Index("backfill_sources_in_line", "site", "days", "n"),
)
# Only of what waits, so that it is small, and walked in the order of the keys. Written out, since
# a parameter is not known to be this word when the database looks for an index.
IS_PENDING = sa.literal_column("status = 'pending'", sa.Boolean)
INDEXES = (
    sa.Index(
        "links_waiting",
        links.c.site,
        links.c.url_key,
        sqlite_where=IS_PENDING,
        postgresql_where=IS_PENDING,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSource:
    """One source of a backfill of `days`: which page of those after `root` it is.

    `n` is its place in line; `tries` counts the runs in which it gave no answer of use.
    """

    site: str
    days: str
    n: int
    url: str
    kind: str
    root: str
    pages: int = 0
    tries: int = 0
    is_read: bool = False
    found_at: datetime
