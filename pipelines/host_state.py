"""What is on record of a host, of whatever site: its robots.txt, and whether it is left alone.

Nothing of this is in the lake: a host is asked again for what is lost of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from pipelines.state_tables import UtcTime, metadata

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("host", sa.String(512), primary_key=True),
    sa.Column("robots_text", sa.Text),
    sa.Column("robots_at", UtcTime),
    sa.Column("troubles", sa.Integer, nullable=False),
    sa.Column("left_until", UtcTime),
    sa.Column("is_wish", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """One host, as `scheme://name:port`.

    `robots_text` is its robots.txt as it was at `robots_at`, empty where it has none. `troubles`
    counts the requests in a row that it did not answer in order. Until `left_until` nothing is
    asked there; `is_wish` where the host itself said so.
    """

    host: str
    robots_text: str | None = None
    robots_at: datetime | None = None
    troubles: int = 0
    left_until: datetime | None = None
    is_wish: bool = False
