"""The state database: an index over the lake, so that nothing is asked for or stored twice.

SQLAlchemy Core over SQLite by default, PostgreSQL by URL. Nothing here is the only copy of
anything: what a table holds can be made again from `captures`, `revisions` and the archive.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pipelines.errors import StateError
from pipelines.lease import FileLease, Lease, SessionLease
from pipelines.model import NO_HINTS, Hints, Kind, Link, RecordLocation, Verdict
from pipelines.well_formed import well_formed

SCHEMA_VERSION = 1
LinkStatus = Literal["pending", "done", "refused", "failed", "gone"]
# How long a write waits for another program to let go of the SQLite file.
BUSY_MILLISECONDS = 30_000
# With the site's name beside it, well under what an index entry may have (see `fitted`).
MOST_KEY_BYTES = 2_000
LINK_STATUSES: tuple[str, ...] = get_args(LinkStatus)


class _UtcTime(sa.TypeDecorator[datetime]):
    """A time as ISO 8601 text in UTC, which sorts as it should and which every database keeps."""

    impl = sa.String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else datetime.fromisoformat(value)


class _HintsJson(sa.TypeDecorator[Hints]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Hints | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else json.dumps(_said(value))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Hints | None:  # noqa: ARG002 - SQLAlchemy's signature
        return NO_HINTS if value is None else hints_of(json.loads(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What one source last said of a link: when it was modified and how it is called."""

    modified: str | None = None
    headline: str | None = None


class _ListedJson(sa.TypeDecorator[Mapping[str, Listed]]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(
        self,
        value: Mapping[str, Listed] | None,
        dialect: sa.Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> str:
        return json.dumps({k: asdict(v) for k, v in (value or {}).items()})

    def process_result_value(
        self,
        value: str | None,
        dialect: sa.Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> Mapping[str, Listed]:
        return {k: Listed(**v) for k, v in json.loads(value or "{}").items()}


def _said(hints: Hints) -> dict[str, Any]:
    return {key: value for key, value in asdict(hints).items() if value}


def hints_of(data: Mapping[str, Any]) -> Hints:
    """Return the hints that a JSON object holds, as `asdict` wrote it."""
    lists = {key: tuple(data[key]) for key in ("authors", "keywords") if data.get(key)}
    return Hints(**{**data, **lists})


def merged_hints(old: Hints, new: Hints) -> Hints:
    """Return what both say, the better source first: a hint that is gone stays with its article.

    `source` is that of the publication date, whose column names it.
    """
    better, other = (old, new) if _rank(old) < _rank(new) else (new, old)
    filled = {k: v for k, v in asdict(other).items() if v and not getattr(better, k)}
    if "date_published" in filled:
        filled["source"] = other.source
    return replace(better, **filled)


def _rank(hints: Hints) -> int:
    # A feed is written for reading; a listing's teaser is cut to fit.
    order = ("wordpress", "feed", "sitemap", "listing", None)
    return order.index(hints.source) if hints.source in order else len(order)


_metadata = sa.MetaData()

_meta = sa.Table(
    "meta",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
_links = sa.Table(
    "links",
    _metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url_key", sa.String(2048), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("found_at", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("hints", _HintsJson, nullable=False),
    sa.Column("listed", _ListedJson, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("article_id", sa.String(64)),
    sa.Column("first_seen", _UtcTime, nullable=False),
    sa.Column("last_fetched", _UtcTime),
    sa.Index("links_by_status", "site", "status"),
)
# One row an address that was answered, whatever it was: what a conditional GET needs, and where
# the bytes of the last full answer lie.
_responses = sa.Table(
    "responses",
    _metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url", sa.String(2048), primary_key=True),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("payload_digest", sa.String(128), nullable=False),
    sa.Column("fetched_at", _UtcTime, nullable=False),
    sa.Column("warc_path", sa.Text, nullable=False),
    sa.Column("warc_offset", sa.BigInteger, nullable=False),
    sa.Column("warc_length", sa.BigInteger, nullable=False),
    sa.Column("warc_record_id", sa.String(64), nullable=False),
    sa.Column("settled", sa.Boolean, nullable=False),
)
_articles = sa.Table(
    "articles",
    _metadata,
    sa.Column("article_id", sa.String(64), primary_key=True),
    sa.Column("site", sa.String(128), nullable=False),
    sa.Column("canonical_url", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("word_count", sa.Integer, nullable=False),
    sa.Column("cluster_id", sa.String(64), nullable=False),
    sa.Column("cluster_relation", sa.String(16), nullable=False),
    sa.Column("date_published", _UtcTime),
    sa.Column("date_published_precision", sa.String(16)),
    sa.Column("first_seen", _UtcTime, nullable=False),
    sa.Index("articles_by_text", "content_hash"),
    sa.Index("articles_by_cluster", "cluster_id"),
)
_aliases = sa.Table(
    "aliases",
    _metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url_key", sa.String(2048), primary_key=True),
    sa.Column("article_id", sa.String(64), nullable=False),
)
# Addresses that a page named as its canonical one and that nobody has fetched: only a claim.
_claims = sa.Table(
    "claims",
    _metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url_key", sa.String(2048), primary_key=True),
    sa.Column("article_id", sa.String(64), primary_key=True),
)
# The WARC files whose rows of the lake are in here too: a commit's last step leaves its mark.
_batches = sa.Table("batches", _metadata, sa.Column("warc_path", sa.String(512), primary_key=True))
_sites = sa.Table(
    "sites",
    _metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("last_run", _UtcTime),
    sa.Column("last_success", _UtcTime),
    sa.Column("last_error", sa.Text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """What is on record of one address that was listed.

    `listed` holds, by the feed, sitemap or listing that named it, what that said last.
    """

    site: str
    url_key: str
    link: Link
    status: LinkStatus
    listed: Mapping[str, Listed] = field(default_factory=dict)
    attempts: int = 0
    article_id: str | None = None
    first_seen: datetime
    last_fetched: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseState:
    """The last full answer of one address: its validators, its digest, where its bytes are.

    `settled`: every link that it listed was dealt with, so that a 304 may take its place.
    """

    site: str
    url: str
    etag: str | None
    last_modified: str | None
    payload_digest: str
    fetched_at: datetime
    location: RecordLocation
    settled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleState:
    """What is needed of a stored article to know it again."""

    article_id: str
    site: str
    canonical_url: str
    url: str
    revision: int
    content_hash: str
    word_count: int
    cluster_id: str
    cluster_relation: str
    date_published: datetime | None = None
    date_published_precision: str | None = None
    first_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    site: str
    last_run: datetime | None = None
    last_success: datetime | None = None
    last_error: str | None = None


class State:
    """The state database of one lake. Every write is one transaction."""

    def __init__(self, engine: Engine):
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> State:
        """Open, and make where it is not there. Raises StateError: not reachable, not writable."""
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        try:
            if is_sqlite and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
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
            _metadata.create_all(connection)
        found = self.note("schema_version")
        if found is None:
            self.set_note("schema_version", str(SCHEMA_VERSION))
        elif int(found) > SCHEMA_VERSION:
            raise StateError(
                f"was written by a newer Sitrep (schema {found}, known here {SCHEMA_VERSION})",
                where=self._engine.url.render_as_string(hide_password=True),
                remedy="update Sitrep",
            )

    def close(self) -> None:
        self._engine.dispose()

    def clear(self) -> None:
        """Forget everything but whose state it is."""
        with self.transaction() as transaction:
            for table in (_links, _responses, _articles, _aliases, _claims, _batches, _sites):
                transaction.empty(table)

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

    def lease(self, name: str, *, folder: Path) -> Lease:
        """Return the lease of the one writer that `name` may have among all who use this state.

        A file in `folder` where the state is a file; the database itself where it is a server.
        """
        if self.dialect == "postgresql":
            return SessionLease(self._engine, name)
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
        """Return a value of the table `meta`: `lake_id`, `schema_version`."""
        rows = self._rows(sa.select(_meta.c.value).where(_meta.c.key == key))
        return str(rows[0]["value"]) if rows else None

    def set_note(self, key: str, value: str) -> None:
        with self.transaction() as transaction:
            transaction.put(_meta, [{"key": key, "value": value}])

    def link(self, site: str, url_key: str) -> LinkState | None:
        query = sa.select(_links).where(_links.c.site == site, _links.c.url_key == fitted(url_key))
        rows = self._rows(query)
        return _link_state(rows[0]) if rows else None

    def links(self, site: str, url_keys: Collection[str]) -> dict[str, LinkState]:
        """Return what is on record of many addresses, by key."""
        asked, found = {fitted(key): key for key in url_keys}, {}
        keys = list(asked)
        for start in range(0, len(keys), 500):  # within every database's limit of variables
            some = _links.c.url_key.in_(keys[start : start + 500])
            for row in self._rows(sa.select(_links).where(_links.c.site == site, some)):
                found[asked[row["url_key"]]] = _link_state(row)
        return found

    def pending_links(self, site: str) -> list[LinkState]:
        """Return the links found and not yet asked for, oldest first."""
        query = (
            sa.select(_links)
            .where(_links.c.site == site, _links.c.status == "pending")
            .order_by(_links.c.first_seen)
        )
        return [_link_state(row) for row in self._rows(query)]

    def link_counts(self, site: str) -> dict[str, int]:
        query = (
            sa.select(_links.c.status, sa.func.count().label("links"))
            .where(_links.c.site == site)
            .group_by(_links.c.status)
        )
        return {row["status"]: row["links"] for row in self._rows(query)}

    def response(self, site: str, url: str) -> ResponseState | None:
        is_it = (_responses.c.site == site, _responses.c.url == fitted(url))
        query = sa.select(_responses).where(*is_it)
        rows = self._rows(query)
        return _response_state(rows[0]) if rows else None

    def article(self, article_id: str) -> ArticleState | None:
        rows = self._rows(sa.select(_articles).where(_articles.c.article_id == article_id))
        return _article_state(rows[0]) if rows else None

    def article_id_at(self, site: str, url_key: str) -> str | None:
        """Return which story is the youngest known at an address, by any of its names."""
        query = sa.select(_aliases.c.article_id).where(
            _aliases.c.site == site, _aliases.c.url_key == fitted(url_key)
        )
        rows = self._rows(query)
        return str(rows[0]["article_id"]) if rows else None

    def article_at(self, site: str, url_key: str) -> ArticleState | None:
        """Return the youngest story known at an address, by any of its names."""
        found = self.article_id_at(site, url_key)
        return self.article(found) if found else None

    def claimants(self, site: str, url_key: str) -> set[str]:
        """Return the articles whose pages named this address as their canonical one."""
        query = sa.select(_claims.c.article_id).where(
            _claims.c.site == site, _claims.c.url_key == fitted(url_key)
        )
        return {str(row["article_id"]) for row in self._rows(query)}

    def articles_with_text(self, content_hash: str) -> list[ArticleState]:
        """Return the articles whose current text is this one, first seen first."""
        query = (
            sa.select(_articles)
            .where(_articles.c.content_hash == content_hash)
            .order_by(_articles.c.first_seen, _articles.c.article_id)
        )
        return [_article_state(row) for row in self._rows(query)]

    def cluster_members(self, cluster_id: str) -> set[str]:
        members = sa.select(_articles.c.article_id).where(_articles.c.cluster_id == cluster_id)
        return {str(row["article_id"]) for row in self._rows(members)}

    def batches(self) -> set[str]:
        """Return the WARC files whose commit was carried through to this state."""
        return {str(row["warc_path"]) for row in self._rows(sa.select(_batches.c.warc_path))}

    def site(self, site: str) -> SiteState:
        rows = self._rows(sa.select(_sites).where(_sites.c.site == site))
        return SiteState(**rows[0]) if rows else SiteState(site=site)

    def count_articles(self) -> int:
        count = sa.select(sa.func.count().label("n")).select_from(_articles)
        return int(self._rows(count)[0]["n"])

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).mappings().all()
        except DBAPIError as error:
            raise StateError(
                f"cannot be read ({_reason(error)})",
                where=self._engine.url.render_as_string(hide_password=True),
                remedy="run `sitrep doctor`",
            ) from error


class Transaction:
    """Writes that hold together. Rows of the same key replace each other."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def put_links(self, links: Iterable[LinkState]) -> None:
        self.put(_links, [_link_row(link) for link in links])

    def put_responses(self, responses: Iterable[ResponseState]) -> None:
        self.put(_responses, [_response_row(response) for response in responses])

    def put_articles(self, articles: Iterable[ArticleState]) -> None:
        self.put(_articles, [asdict(article) for article in articles])

    def put_aliases(self, site: str, aliases: Mapping[str, str]) -> None:
        rows = {fitted(key): article_id for key, article_id in aliases.items()}
        self.put(_aliases, [{"site": site, "url_key": k, "article_id": v} for k, v in rows.items()])

    def put_claims(self, claims: Iterable[tuple[str, str, str]]) -> None:
        """Put down (site, url_key, article_id)."""
        rows = {(site, fitted(key), article_id) for site, key, article_id in claims}
        self.put(
            _claims,
            [dict(zip(("site", "url_key", "article_id"), one, strict=True)) for one in rows],
        )

    def put_batch(self, warc_path: str) -> None:
        self.put(_batches, [{"warc_path": warc_path}])

    def put_site(self, site: SiteState) -> None:
        self.put(_sites, [asdict(site)])

    def empty(self, table: sa.Table) -> None:
        self._connection.execute(sa.delete(table))

    def put(self, table: sa.Table, rows: Collection[Mapping[str, Any]]) -> None:
        if not rows:
            return
        dialect: Any = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(table)
        keys = [column.name for column in table.primary_key.columns]
        rest = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
        if rest:
            statement = insert.on_conflict_do_update(index_elements=keys, set_=rest)
        else:
            statement = insert.on_conflict_do_nothing(index_elements=keys)
        self._connection.execute(statement, [dict(row) for row in rows])


def _tune_sqlite(connection: Any, _record: object) -> None:
    # WAL lets `status` and `query` read while a crawl writes; FULL, since an acknowledged commit
    # must outlive a power cut.
    busy = f"busy_timeout={BUSY_MILLISECONDS}"
    for pragma in (busy, "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def link_status(verdict: str) -> LinkStatus:
    """Return what a link is on record as, after a capture with this verdict."""
    word, _, reason = verdict.partition(":")
    if word == Verdict.FAILED:
        return "gone" if reason in {"http_404", "http_410"} else "failed"
    return "refused" if word == Verdict.REFUSED else "done"


def fitted(url_key: str) -> str:
    """Return a key that every database can hold in its index, of an address of any length.

    PostgreSQL refuses what is longer than its column, and an index entry over 2,704 bytes.
    """
    if len(data := url_key.encode("utf-8", "replace")) <= MOST_KEY_BYTES:
        return url_key
    cut = data[: MOST_KEY_BYTES - 80].decode("utf-8", "ignore")
    return f"{cut}#sha256={hashlib.sha256(data).hexdigest()}"


def _link_row(state: LinkState) -> dict[str, Any]:
    link = state.link
    own = {
        key: getattr(state, key)
        for key in (
            "site", "status", "listed", "attempts", "article_id", "first_seen",
            "last_fetched",
        )
    }  # fmt: skip
    return own | {
        "url_key": fitted(state.url_key),
        "url": well_formed(link.url),
        "kind": link.kind.value,
        "found_at": link.found_at,
        "hints": link.hints,
    }


def _link_state(row: sa.RowMapping) -> LinkState:
    data = dict(row)
    link = Link(
        url=data.pop("url"),
        kind=Kind(data.pop("kind")),
        found_at=data.pop("found_at"),
        hints=data.pop("hints"),
    )
    return LinkState(link=link, **data)


_LOCATION = ("warc_path", "warc_offset", "warc_length", "warc_record_id")


def _response_row(state: ResponseState) -> dict[str, Any]:
    data = {key: value for key, value in asdict(state).items() if key != "location"}
    return data | asdict(state.location) | {"url": fitted(state.url)}


def _response_state(row: sa.RowMapping) -> ResponseState:
    data = dict(row)
    location = RecordLocation(**{key: data.pop(key) for key in _LOCATION})
    return ResponseState(location=location, **data)


def _article_state(row: sa.RowMapping) -> ArticleState:
    return ArticleState(**row)
