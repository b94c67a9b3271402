"""The state database: an index over the lake, so that nothing is asked for or stored twice.

SQLAlchemy Core over SQLite by default, PostgreSQL by URL. What a table holds can be made again from
`captures`, `revisions` and the archive; but for `hosts` and `backfill_sources`, of which whatever
is lost is asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pipelines import backfill_tables, schedule_tables
from pipelines import state_tables as tables
from pipelines.errors import StateError
from pipelines.host_state import HostState, hosts
from pipelines.lease import FileLease, Lease, Session, SessionLease
from pipelines.shingles import PARAMETERS
from pipelines.state_tables import (
    SCHEMA_VERSION,
    ArticleState,
    LinkState,
    ResponseState,
    SiteState,
    article_state,
    fitted,
    link_state,
    response_state,
)
from pipelines.storage import make_folder
from pipelines.transaction import LEVEL, Transaction

# How long a write waits for another program to let go of the SQLite file.
BUSY_MILLISECONDS = 30_000
# By which algorithm and parameters the keys of copies were made; absent while they are not whole.
COPIES = "copies"

# Made once: these are asked for each page.
_WITH_TEXT = (
    sa.select(tables.articles)
    .where(tables.articles.c.content_hash == sa.bindparam("content_hash"))
    .order_by(tables.articles.c.first_seen, tables.articles.c.article_id)
)


class State:
    """The state database of one lake. Every write is one transaction."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._session = Session(engine)

    @classmethod
    def open(cls, url: str) -> State:
        """Open, and make where it is not there. Raises StateError: not reachable, not writable."""
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        try:
            if is_sqlite and parsed.database:
                make_folder(Path(parsed.database).parent)
            engine = sa.create_engine(parsed)
            if is_sqlite:
                sa.event.listen(engine, "connect", _tune_sqlite)
            state = cls(engine)
            state._prepare()
        except (OSError, SQLAlchemyError, ImportError) as error:
            raise StateError(
                f"cannot be opened ({_reason(error)})",
                where=parsed.render_as_string(hide_password=True),
                remedy="check SITREP_STATE and that its folder can be written",
            ) from error
        return state

    @classmethod
    def open_to_read(cls, url: str) -> State:
        """Open for looking, which makes no file: a state that is not there is an empty one."""
        parsed = make_url(url)
        is_there = parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").exists()
        return cls.open(url if is_there else "sqlite://")

    def _prepare(self) -> None:
        with self._engine.begin() as connection:
            tables.metadata.create_all(connection)
            tables.upgrade(connection)
            # Of tables that may have been there before them.
            for index in (*schedule_tables.INDEXES, *backfill_tables.INDEXES):
                index.create(connection, checkfirst=True)
        found = self.note("schema_version")
        if found is None:
            self.set_note("schema_version", str(SCHEMA_VERSION))
            self.set_note(COPIES, PARAMETERS)  # of nothing, all is there
        elif int(found) > SCHEMA_VERSION:
            raise StateError(
                f"was written by a newer Sitrep (schema {found}, known here {SCHEMA_VERSION})",
                where=self._engine.url.render_as_string(hide_password=True),
                remedy="update Sitrep",
            )
        elif int(found) < SCHEMA_VERSION:
            self.set_note("schema_version", str(SCHEMA_VERSION))

    def close(self) -> None:
        self._engine.dispose()

    def clear(self) -> None:
        """Forget what the lake tells again; whose state it is, and what hosts asked for, stays."""
        with self.transaction() as transaction:
            for table in (
                tables.copy_keys,
                tables.copy_texts,
                tables.links,
                tables.responses,
                tables.articles,
                tables.aliases,
                tables.claims,
                tables.batches,
                tables.sites,
                schedule_tables.sources,
                schedule_tables.turns,
                backfill_tables.backfill_sources,
            ):
                transaction.empty(table)
            transaction.drop_level()
            transaction.drop_note(COPIES)

    def belongs_to(self, lake_id: str) -> None:
        """Bind a new state to its lake. Raises StateError when it is bound to another one."""
        known = self.note("lake_id")
        if known is None:
            self.set_note("lake_id", lake_id)
        elif known != lake_id:
            raise StateError(
                f"is the index of another lake ({known}, not {lake_id})",
                where=self._engine.url.render_as_string(hide_password=True),
                remedy="set SITREP_STATE to this lake's state, or to a new file",
            )

    @property
    def state_id(self) -> str:
        """The id by which a lake knows the state that may write it."""
        with self.transaction() as transaction:
            transaction.put_note_once("state_id", str(uuid4()))
        return str(self.note("state_id"))

    def lease(self, name: str, *, folder: Path) -> Lease:
        """Return the lease of the one writer that `name` may have among all who use this state.

        A file in `folder` where the state is a file; the database itself where it is a server.
        """
        if self.dialect == "postgresql":
            return SessionLease(self._session, name)
        return FileLease(folder / f"{name}.lock")

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give one transaction for many writes; all of them hold, or none."""
        try:
            with self._engine.begin() as connection:
                yield Transaction(connection)
        except DBAPIError as error:
            raise StateError(
                f"cannot be written ({_reason(error)})",
                where=self._engine.url.render_as_string(hide_password=True),
                remedy="check the disk and the rights of its folder",
            ) from error

    # Reading

    def note(self, key: str) -> str | None:
        """Return a value of the table `meta`: `lake_id`, `schema_version`, `recorded_at`."""
        rows = self.select(sa.select(tables.meta.c.value).where(tables.meta.c.key == key))
        return str(rows[0]["value"]) if rows else None

    def set_note(self, key: str, value: str) -> None:
        with self.transaction() as transaction:
            transaction.put(tables.meta, [{"key": key, "value": value}])

    def level_with(self) -> datetime | None:
        """Return the commit of the lake up to which its articles are all here; None: not known."""
        said = self.note(LEVEL)
        return datetime.fromisoformat(said) if said else None

    def link(self, site: str, url_key: str) -> LinkState | None:
        query = sa.select(tables.links).where(
            tables.links.c.site == site, tables.links.c.url_key == fitted(url_key)
        )
        rows = self.select(query)
        return link_state(rows[0]) if rows else None

    def links(self, site: str, url_keys: Collection[str]) -> dict[str, LinkState]:
        """Return what is on record of many addresses, by key."""
        asked, found = {fitted(key): key for key in url_keys}, {}
        keys = list(asked)
        for start in range(0, len(keys), 500):  # within every database's limit of variables
            some = tables.links.c.url_key.in_(keys[start : start + 500])
            for row in self.select(
                sa.select(tables.links).where(tables.links.c.site == site, some)
            ):
                found[asked[row["url_key"]]] = link_state(row)
        return found

    def pending_links(self, site: str) -> list[LinkState]:
        """Return the links found and not yet asked for, oldest first.

        Those of a backfill that is not yet done are left to it: there may be a million.
        """
        sources = backfill_tables.backfill_sources.c
        of_a_backfill = sa.select(sources.url_key).where(sources.site == site)
        query = (
            sa.select(tables.links)
            .where(tables.links.c.site == site, tables.links.c.status == "pending")
            .where(tables.links.c.found_at.not_in(of_a_backfill))
            .order_by(tables.links.c.first_seen)
        )
        return [link_state(row) for row in self.select(query)]

    def link_counts(self, site: str) -> dict[str, int]:
        query = (
            sa.select(tables.links.c.status, sa.func.count().label("links"))
            .where(tables.links.c.site == site)
            .group_by(tables.links.c.status)
        )
        return {row["status"]: row["links"] for row in self.select(query)}

    def response(self, site: str, url: str) -> ResponseState | None:
        is_it = (tables.responses.c.site == site, tables.responses.c.url == fitted(url))
        query = sa.select(tables.responses).where(*is_it)
        rows = self.select(query)
        return response_state(rows[0]) if rows else None

    def article(self, article_id: str) -> ArticleState | None:
        rows = self.select(
            sa.select(tables.articles).where(tables.articles.c.article_id == article_id)
        )
        return article_state(rows[0]) if rows else None

    def article_id_at(self, site: str, url_key: str) -> str | None:
        """Return which story is the youngest known at an address, by any of its names."""
        query = sa.select(tables.aliases.c.article_id).where(
            tables.aliases.c.site == site, tables.aliases.c.url_key == fitted(url_key)
        )
        rows = self.select(query)
        return str(rows[0]["article_id"]) if rows else None

    def keys_of(self, site: str, article_id: str) -> list[str]:
        """Return the addresses whose links led to a story."""
        links = tables.links.c
        query = sa.select(links.url_key).where(links.site == site, links.article_id == article_id)
        return [str(row["url_key"]) for row in self.select(query)]

    def article_at(self, site: str, url_key: str) -> ArticleState | None:
        """Return the youngest story known at an address, by any of its names."""
        found = self.article_id_at(site, url_key)
        return self.article(found) if found else None

    def claimants(self, site: str, url_key: str) -> set[str]:
        """Return the articles whose pages named this address as their canonical one."""
        query = sa.select(tables.claims.c.article_id).where(
            tables.claims.c.site == site, tables.claims.c.url_key == fitted(url_key)
        )
        return {str(row["article_id"]) for row in self.select(query)}

    def articles_with_text(self, content_hash: str, *, most: int) -> list[ArticleState]:
        """Return the first articles whose current text is this one, first seen first."""
        query = _WITH_TEXT.limit(most)
        return [article_state(row) for row in self.select(query, {"content_hash": content_hash})]

    def members(self, cluster_id: str, *, most: int) -> list[ArticleState]:
        """Return the first articles of a cluster that have texts of their own."""
        query = (
            sa.select(tables.articles)
            .where(
                tables.articles.c.cluster_id == cluster_id,
                tables.articles.c.cluster_relation.not_in(("exact", "composite")),
            )
            .order_by(tables.articles.c.first_seen, tables.articles.c.article_id)
            .limit(most)
        )
        return [article_state(row) for row in self.select(query)]

    def original_of(self, cluster_id: str) -> ArticleState | None:
        query = sa.select(tables.articles).where(
            tables.articles.c.cluster_id == cluster_id,
            tables.articles.c.cluster_relation == "original",
        )
        rows = self.select(query)
        return article_state(rows[0]) if rows else None

    def cluster_members(self, cluster_id: str) -> set[str]:
        members = sa.select(tables.articles.c.article_id).where(
            tables.articles.c.cluster_id == cluster_id
        )
        return {str(row["article_id"]) for row in self.select(members)}

    def batches(self) -> set[str]:
        """Return the WARC files whose commit was carried through to this state."""
        return {str(row["warc_path"]) for row in self.select(sa.select(tables.batches.c.warc_path))}

    def site(self, site: str) -> SiteState:
        rows = self.select(sa.select(tables.sites).where(tables.sites.c.site == site))
        return SiteState(**rows[0]) if rows else SiteState(site=site)

    def host(self, host: str) -> HostState:
        rows = self.select(sa.select(hosts).where(hosts.c.host == host))
        return HostState(**rows[0]) if rows else HostState(host=host)

    def some_articles(self, name: str, *, most: int) -> list[ArticleState]:
        """Return some articles, for each name others: all of them, where there are so few."""
        number, start = tables.articles.c.number, tables.number_of(name)
        found: dict[str, ArticleState] = {}
        for part in (number >= start, number < start):
            query = sa.select(tables.articles).where(part).order_by(number).limit(most - len(found))
            found |= {row["article_id"]: article_state(row) for row in self.select(query)}
        return list(found.values())

    def count_articles(self) -> int:
        count = sa.select(sa.func.count().label("n")).select_from(tables.articles)
        return int(self.select(count)[0]["n"])

    def rows(self, table: sa.Table) -> Iterator[sa.RowMapping]:
        """Yield every row of a table of `state_tables`, some at a time."""
        try:
            with self._engine.connect().execution_options(yield_per=1_000) as connection:
                yield from connection.execute(sa.select(table)).mappings()
        except DBAPIError as error:
            raise self._unreadable(error) from error

    def select(
        self, query: sa.Select[Any], given: Mapping[str, Any] | None = None
    ) -> Sequence[sa.RowMapping]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query, given).mappings().all()
        except DBAPIError as error:
            raise self._unreadable(error) from error

    def tuples(
        self, query: sa.Select[Any], given: Mapping[str, Any] | None = None
    ) -> Sequence[sa.Row[Any]]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query, given).all()
        except DBAPIError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: DBAPIError) -> StateError:
        return StateError(
            f"cannot be read ({_reason(error)})",
            where=self._engine.url.render_as_string(hide_password=True),
            remedy="run `sitrep doctor`",
        )


def _tune_sqlite(connection: Any, _record: object) -> None:
    # WAL lets `status` and `query` read while a crawl writes; FULL, since an acknowledged commit
    # must outlive a power cut.
    busy = f"busy_timeout={BUSY_MILLISECONDS}"
    for pragma in (busy, "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
