"""Writes to the state database that hold together, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from pipelines import state_tables as tables
from pipelines.host_state import HostState, hosts
from pipelines.state_tables import (
    ArticleState,
    LinkState,
    ResponseState,
    SiteState,
    article_row,
    fitted,
    link_row,
    response_row,
)

# The note of the commit of the lake up to which its articles are all here.
LEVEL = "recorded_at"


class Transaction:
    """Writes that hold together. Rows of the same key replace each other."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def put_links(self, links: Iterable[LinkState]) -> None:
        self.put(tables.links, [link_row(link) for link in links])

    def put_responses(self, responses: Iterable[ResponseState]) -> None:
        self.put(tables.responses, [response_row(response) for response in responses])

    def put_articles(self, articles: Iterable[ArticleState]) -> None:
        self.put(tables.articles, [article_row(article) for article in articles])

    def put_aliases(self, site: str, aliases: Mapping[str, str]) -> None:
        rows = {fitted(key): article_id for key, article_id in aliases.items()}
        self.put(
            tables.aliases, [{"site": site, "url_key": k, "article_id": v} for k, v in rows.items()]
        )

    def put_claims(self, claims: Iterable[tuple[str, str, str]]) -> None:
        """Put down (site, url_key, article_id)."""
        rows = {(site, fitted(key), article_id) for site, key, article_id in claims}
        self.put(
            tables.claims,
            [dict(zip(("site", "url_key", "article_id"), one, strict=True)) for one in rows],
        )

    def put_batch(self, warc_path: str) -> None:
        self.put(tables.batches, [{"warc_path": warc_path}])

    def put_level(self, recorded_at: datetime) -> None:
        """Put down the commit of the lake up to which its articles are all here."""
        self.put(tables.meta, [{"key": LEVEL, "value": recorded_at.isoformat()}])

    def drop_level(self) -> None:
        self.drop_note(LEVEL)

    def drop_note(self, key: str) -> None:
        self.delete(tables.meta, tables.meta.c.key == key)

    def put_note_once(self, key: str, value: str) -> None:
        """Put a value down, unless there is one."""
        self.put_new(tables.meta, [{"key": key, "value": value}])

    def put_site(self, site: SiteState) -> None:
        self.put(tables.sites, [asdict(site)])

    def put_host(self, host: HostState) -> None:
        self.put(hosts, [asdict(host)])

    def empty(self, table: sa.Table) -> None:
        self._connection.execute(sa.delete(table))

    def delete(self, table: sa.Table, which: sa.ColumnElement[bool]) -> None:
        self._connection.execute(sa.delete(table).where(which))

    def update(self, table: sa.Table, which: sa.ColumnElement[bool], **values: Any) -> None:
        self._connection.execute(sa.update(table).where(which).values(**values))

    def put_new(self, table: sa.Table, rows: Collection[Mapping[str, Any]]) -> None:
        """Put rows down, but for those whose key is there."""
        if rows:
            keys = [column.name for column in table.primary_key.columns]
            statement = self._insert(table).on_conflict_do_nothing(index_elements=keys)
            self._connection.execute(statement, [dict(row) for row in rows])

    def scalar(self, query: sa.Select[Any]) -> Any:
        return self._connection.execute(query).scalar()

    def put(self, table: sa.Table, rows: Collection[Mapping[str, Any]]) -> None:
        if not rows:
            return
        insert = self._insert(table)
        keys = [column.name for column in table.primary_key.columns]
        rest = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
        if rest:
            statement = insert.on_conflict_do_update(index_elements=keys, set_=rest)
        else:
            statement = insert.on_conflict_do_nothing(index_elements=keys)
        self._connection.execute(statement, [dict(row) for row in rows])

    def _insert(self, table: sa.Table) -> Any:
        dialect: Any = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        return dialect.insert(table)
