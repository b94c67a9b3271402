"""What the state's tables hold: a record a row, and the columns it is kept in."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import sqlalchemy as sa

from pipelines.hints import hints_of, said
from pipelines.model import NO_HINTS, Hints, Kind, Link, RecordLocation, Verdict
from pipelines.well_formed import well_formed

SCHEMA_VERSION = 2
# With the site's name beside it, well under what an index entry may have (see `fitted`).
MOST_KEY_BYTES = 2_000
LinkStatus = Literal["pending", "done", "refused", "failed", "gone"]
LINK_STATUSES: tuple[str, ...] = get_args(LinkStatus)


class UtcTime(sa.TypeDecorator[datetime]):
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
        return None if value is None else json.dumps(said(value))

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


metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
links = sa.Table(
    "links",
    metadata,
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
    sa.Column("first_seen", UtcTime, nullable=False),
    sa.Column("last_fetched", UtcTime),
    sa.Index("links_by_status", "site", "status"),
)
# One row an address that was answered, whatever it was: what a conditional GET needs, and where
# the bytes of the last full answer lie.
responses = sa.Table(
    "responses",
    metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url", sa.String(2048), primary_key=True),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("payload_digest", sa.String(128), nullable=False),
    sa.Column("fetched_at", UtcTime, nullable=False),
    sa.Column("warc_path", sa.Text, nullable=False),
    sa.Column("warc_offset", sa.BigInteger, nullable=False),
    sa.Column("warc_length", sa.BigInteger, nullable=False),
    sa.Column("warc_record_id", sa.String(64), nullable=False),
    sa.Column("settled", sa.Boolean, nullable=False),
)
articles = sa.Table(
    "articles",
    metadata,
    sa.Column("article_id", sa.String(64), primary_key=True),
    sa.Column("site", sa.String(128), nullable=False),
    sa.Column("canonical_url", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("word_count", sa.Integer, nullable=False),
    sa.Column("cluster_id", sa.String(64), nullable=False),
    sa.Column("cluster_relation", sa.String(16), nullable=False),
    sa.Column("date_published", UtcTime),
    sa.Column("date_published_precision", sa.String(16)),
    sa.Column("first_seen", UtcTime, nullable=False),
    sa.Column("number", sa.Integer),  # by which `copy_keys` knows it
    sa.Index("articles_by_number", "number"),
    sa.Index("articles_by_text_seen", "content_hash", "first_seen", "article_id"),
    sa.Index("articles_by_cluster", "cluster_id"),
)
# By what copies are found (`copy_tables`): 8 bytes a row, and the key's order is all that is asked.
copy_keys = sa.Table(
    "copy_keys",
    metadata,
    sa.Column("key", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
copy_texts = sa.Table(
    "copy_texts",
    metadata,
    sa.Column("article_id", sa.String(64), primary_key=True),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("text", sa.LargeBinary, nullable=False),
    sa.Index("copy_texts_by_place", "place"),
)
aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url_key", sa.String(2048), primary_key=True),
    sa.Column("article_id", sa.String(64), nullable=False),
)
# Addresses that a page named as its canonical one and that nobody has fetched: only a claim.
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("url_key", sa.String(2048), primary_key=True),
    sa.Column("article_id", sa.String(64), primary_key=True),
)
# The WARC files whose rows of the lake are in here too: a commit's last step leaves its mark.
batches = sa.Table("batches", metadata, sa.Column("warc_path", sa.String(512), primary_key=True))
sites = sa.Table(
    "sites",
    metadata,
    sa.Column("site", sa.String(128), primary_key=True),
    sa.Column("last_run", UtcTime),
    sa.Column("last_success", UtcTime),
    sa.Column("last_error", sa.Text),
)


def upgrade(connection: sa.Connection) -> None:
    """Add what a state of schema 1 lacks: how `copy_keys` knows an article, and its indexes."""
    columns = {column["name"] for column in sa.inspect(connection).get_columns("articles")}
    if "number" not in columns:
        connection.execute(sa.text("ALTER TABLE articles ADD COLUMN number INTEGER"))
        for index in articles.indexes:
            index.create(connection, checkfirst=True)


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


def fitted(url_key: str) -> str:
    """Return a key that every database can hold in its index, of an address of any length.

    PostgreSQL refuses what is longer than its column, and an index entry over 2,704 bytes.
    """
    if len(data := url_key.encode("utf-8", "replace")) <= MOST_KEY_BYTES:
        return url_key
    cut = data[: MOST_KEY_BYTES - 80].decode("utf-8", "ignore")
    return f"{cut}#sha256={hashlib.sha256(data).hexdigest()}"


def link_row(state: LinkState) -> dict[str, Any]:
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


def link_state(row: sa.RowMapping) -> LinkState:
    data = dict(row)
    link = Link(
        url=data.pop("url"),
        kind=Kind(data.pop("kind")),
        found_at=data.pop("found_at"),
        hints=data.pop("hints"),
    )
    return LinkState(link=link, **data)


_LOCATION = ("warc_path", "warc_offset", "warc_length", "warc_record_id")


def response_row(state: ResponseState) -> dict[str, Any]:
    data = {key: value for key, value in asdict(state).items() if key != "location"}
    return data | asdict(state.location) | {"url": fitted(state.url)}


def response_state(row: sa.RowMapping | dict[str, Any]) -> ResponseState:
    data = dict(row)
    location = RecordLocation(**{key: data.pop(key) for key in _LOCATION})
    return ResponseState(location=location, **data)


def article_row(state: ArticleState) -> dict[str, Any]:
    return asdict(state) | {"number": number_of(state.article_id)}


def article_state(row: sa.RowMapping) -> ArticleState:
    return ArticleState(**{key: value for key, value in row.items() if key != "number"})


def number_of(article_id: str) -> int:
    """Return 32 bits of an article's id, with a sign."""
    return zlib.crc32(article_id.encode()) - (1 << 31)


def link_status(verdict: str) -> LinkStatus:
    """Return what a link is on record as, after a capture with this verdict."""
    word, _, reason = verdict.partition(":")
    if word == Verdict.FAILED:
        return "gone" if reason in {"http_404", "http_410"} else "failed"
    return "refused" if word == Verdict.REFUSED else "done"


def attempts_after(before: LinkState | None, status: LinkStatus) -> int:
    """Return how many answers of no use there were in a row, once a link came to `status`.

    Of one that is gone, only those count that said so: an error before it is another matter.
    """
    earlier = before.attempts if before is not None else 0
    if status == "gone":
        return earlier + 1 if before is not None and before.status == "gone" else 1
    return earlier + 1 if status in {"failed", "refused"} else 0
