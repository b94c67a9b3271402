"""The columns of every table, and the way from the model to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.model import (
    Article,
    Capture,
    Page,
    RecordLocation,
    RelatedLink,
    Relation,
    RemovedBlock,
    Revision,
)

SCHEMA_VERSION = 1

Row = dict[str, Any]


def _field(name: str, kind: pa.DataType) -> pa.Field[Any]:
    return pa.field(name, kind)


TIME = pa.timestamp("us", tz="UTC")
_STRINGS = pa.list_(pa.string())
_REMOVED = pa.list_(
    pa.struct([("text", pa.string()), ("rule", pa.string()), ("selector", pa.string())])
)
_RELATED = pa.list_(pa.struct([("text", pa.string()), ("url", pa.string())]))

# A plain string beside the folder's name makes pandas fail to merge the two: the reader makes a
# dictionary<int32, string> of the folder's name, so the files hold the same.
PARTITION_KEY = pa.dictionary(pa.int32(), pa.string())

ARTICLES = pa.schema(
    [
        _field("article_id", pa.string()),
        _field("revision", pa.int32()),
        _field("extraction", pa.int32()),
        _field("site", pa.string()),
        _field("publisher", pa.string()),
        _field("country", pa.string()),
        _field("url", pa.string()),
        _field("canonical_url", pa.string()),
        _field("headline", pa.string()),
        _field("description", pa.string()),
        _field("authors", _STRINGS),
        _field("byline", pa.string()),
        _field("article_body", pa.string()),
        _field("date_published", TIME),
        _field("date_modified", TIME),
        _field("date_published_raw", pa.string()),
        _field("date_published_source", pa.string()),
        _field("date_published_precision", pa.string()),
        _field("date_published_flags", _STRINGS),
        _field("time_zone_assumed", pa.string()),
        _field("in_language", pa.string()),
        _field("article_section", pa.string()),
        _field("keywords", _STRINGS),
        _field("image_url", pa.string()),
        _field("is_accessible_for_free", pa.bool_()),
        _field("is_truncated", pa.bool_()),
        _field("word_count", pa.int32()),
        _field("removed_blocks", _REMOVED),
        _field("related_links", _RELATED),
        _field("content_hash", pa.string()),
        _field("cluster_id", pa.string()),
        _field("cluster_relation", pa.string()),
        _field("first_seen", TIME),
        _field("last_seen", TIME),
        _field("fetched_at", TIME),
        _field("recorded_at", TIME),
        _field("replaced_at", TIME),
        _field("published_month", PARTITION_KEY),
        _field("warc_path", pa.string()),
        _field("warc_offset", pa.int64()),
        _field("warc_record_id", pa.string()),
        _field("extractor", pa.string()),
    ]
)

# Known only when `articles` is derived; null in `revisions`.
DERIVED = ("cluster_id", "cluster_relation", "last_seen", "replaced_at")

REVISIONS = (
    ARTICLES.set(
        ARTICLES.get_field_index("published_month"), _field("published_month", pa.string())
    )
    .append(_field("change", _STRINGS))
    .append(_field("previous_revision", pa.int32()))
)

CAPTURES = pa.schema(
    [
        _field("warc_record_id", pa.string()),
        _field("run_id", pa.string()),
        _field("site", pa.string()),
        _field("kind", pa.string()),
        _field("url", pa.string()),
        _field("requested_url", pa.string()),
        _field("status", pa.int32()),
        _field("fetched_at", TIME),
        _field("content_type", pa.string()),
        _field("etag", pa.string()),
        _field("last_modified", pa.string()),
        _field("payload_digest", pa.string()),
        _field("payload_bytes", pa.int64()),
        _field("warc_path", pa.string()),
        _field("warc_offset", pa.int64()),
        _field("warc_length", pa.int64()),
        _field("verdict", pa.string()),
        _field("article_id", pa.string()),
        _field("revision", pa.int32()),
    ]
)

RELATIONS = pa.schema(
    [
        _field("article_id", pa.string()),
        _field("cluster_id", pa.string()),
        _field("relation", pa.string()),
        _field("same_as", pa.string()),
        _field("recorded_at", TIME),
    ]
)

COUNTS = (
    "discovered",
    "fetched",
    "not_modified",
    "new",
    "changed",
    "unchanged",
    "duplicates",
    "failed",
)

RUNS = pa.schema(
    [
        _field("run_id", pa.string()),
        _field("started_at", TIME),
        _field("finished_at", TIME),
        _field("version", pa.string()),
        _field("settings_hash", pa.string()),
        _field("sites", _STRINGS),
        *(_field(name, pa.int64()) for name in COUNTS),
        _field("skipped", pa.string()),  # JSON: {"reason": n}
        _field("exit_status", pa.int32()),
    ]
)

FURNITURE = pa.schema(
    [
        _field("site", pa.string()),
        _field("kind", pa.string()),
        _field("layout", pa.string()),
        _field("place", pa.string()),
        _field("text", pa.string()),
        _field("text_hash", pa.string()),
        _field("is_inside", pa.bool_()),
        _field("seen", pa.int32()),
        _field("looked_at", pa.int32()),
        _field("in_body", pa.int32()),
        _field("first_seen", TIME),
        _field("last_seen", TIME),
        _field("example_urls", _STRINGS),
        _field("is_in_force", pa.bool_()),
        _field("recorded_at", TIME),
    ]
)

RESERVATIONS = pa.schema(
    [
        _field("warc_record_id", pa.string()),
        _field("site", pa.string()),
        _field("url", pa.string()),
        _field("fetched_at", TIME),
        _field("reserved", _STRINGS),
        _field("withheld", pa.string()),
    ]
)

TABLES = {
    "revisions": REVISIONS,
    "relations": RELATIONS,
    "captures": CAPTURES,
    "furniture": FURNITURE,
    "reservations": RESERVATIONS,
    "runs": RUNS,
}

_BLOCKS = {"removed_blocks": RemovedBlock, "related_links": RelatedLink}
# What an article is before anyone stores it: its columns, less those that revision, location
# and derivation add.
_ARTICLE_COLUMNS = tuple(name for name in ARTICLES.names if name in Article.__dataclass_fields__)


def revision_row(revision: Revision, *, recorded_at: datetime) -> Row:
    """Return the row of `revisions`; what only `articles` knows is null in it."""
    row: Row = dict.fromkeys(REVISIONS.names)
    for name in _ARTICLE_COLUMNS:
        row[name] = _plain(getattr(revision.article, name))
    row |= {
        "article_id": revision.article_id,
        "revision": revision.revision,
        "extraction": revision.extraction,
        "canonical_url": revision.canonical_url,
        "first_seen": revision.first_seen,
        "fetched_at": revision.fetched_at,
        "recorded_at": recorded_at,
        "published_month": revision.published_month,
        "warc_path": revision.location.warc_path,
        "warc_offset": revision.location.warc_offset,
        "warc_record_id": revision.location.warc_record_id,
        "change": list(revision.change),
        "previous_revision": revision.previous_revision,
    }
    return row


def capture_row(capture: Capture) -> Row:
    page = capture.page
    return {
        "warc_record_id": page.location.warc_record_id,
        "run_id": page.run_id,
        "site": page.site,
        "kind": str(page.kind),
        "url": page.url,
        "requested_url": page.requested_url,
        "status": page.status,
        "fetched_at": page.fetched_at,
        "content_type": page.headers.get("content-type"),
        "etag": page.headers.get("etag"),
        "last_modified": page.headers.get("last-modified"),
        "payload_digest": page.payload_digest,
        "payload_bytes": page.payload_bytes,
        "warc_path": page.location.warc_path,
        "warc_offset": page.location.warc_offset,
        "warc_length": page.location.warc_length,
        "verdict": str(capture.verdict),
        "article_id": capture.article_id,
        "revision": capture.revision,
    }


def reservation_row(page: Page) -> Row:
    return {
        "warc_record_id": page.location.warc_record_id,
        "site": page.site,
        "url": page.url,
        "fetched_at": page.fetched_at,
        "reserved": list(page.reserved),
        "withheld": page.withheld,
    }


def relation_row(relation: Relation, *, recorded_at: datetime) -> Row:
    return {
        "article_id": relation.article_id,
        "cluster_id": relation.cluster_id,
        "relation": relation.relation,
        "same_as": relation.same_as,
        "recorded_at": recorded_at,
    }


def run_row(run: Mapping[str, Any]) -> Row:
    """Return the row of `runs`: `totals`, as `crawl --json` has them, become columns."""
    totals = run.get("totals") or {}
    row: Row = {name: run.get(name, totals.get(name)) for name in RUNS.names}
    if isinstance(row["skipped"], Mapping):
        row["skipped"] = json.dumps(row["skipped"], sort_keys=True)
    row["sites"] = list(row["sites"] or ())
    return row


def article_of(row: Mapping[str, Any]) -> Article:
    """Return the article in a row of `articles` or `revisions`."""
    fields = {name: _frozen(name, row[name]) for name in _ARTICLE_COLUMNS}
    return Article(**{name: value for name, value in fields.items() if value is not None})


def revision_of(row: Mapping[str, Any]) -> Revision:
    """Return the revision in a row of `revisions`. Its record's length is not kept there: 0."""
    return Revision(
        article_id=row["article_id"],
        revision=row["revision"],
        extraction=row["extraction"],
        change=tuple(row["change"] or ()),
        previous_revision=row["previous_revision"],
        canonical_url=row["canonical_url"],
        article=article_of(row),
        first_seen=row["first_seen"],
        fetched_at=row["fetched_at"],
        published_month=row["published_month"],
        location=RecordLocation(
            warc_path=row["warc_path"],
            warc_offset=row["warc_offset"],
            warc_length=0,
            warc_record_id=row["warc_record_id"],
        ),
    )


def location_of(row: Mapping[str, Any]) -> RecordLocation:
    """Return where the record lies that a row of `captures` is of."""
    return RecordLocation(**{name: row[name] for name in RecordLocation.__dataclass_fields__})


def _plain(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return [
        {name: getattr(one, name) for name in type(one).__dataclass_fields__}
        if isinstance(one, RemovedBlock | RelatedLink)
        else one
        for one in value
    ]


def _frozen(name: str, value: Any) -> Any:
    if name in _BLOCKS:
        return tuple(_BLOCKS[name](**one) for one in value or ())
    return tuple(value) if isinstance(value, list) else value
