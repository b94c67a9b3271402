"""What flows through Sitrep: one immutable type a step.

    Site → Link → Page → Article → Revision → row

`Site` lives in `crawler.site`, since only the crawler reads site files; the rest is here.
Attributes, table columns and JSON keys are the same words. All times are aware, in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What an address is to its site, and so what is made of the response."""

    ARTICLE = "article"
    FURTHER = "further"  # a page of an article after its first
    FEED = "feed"
    SITEMAP = "sitemap"
    LISTING = "listing"
    WORDPRESS = "wordpress"
    ROBOTS = "robots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a feed, sitemap, listing or WordPress record says of an article before it is fetched.

    Dates are as printed there: the extractor reads them. `source` is `feed`, `sitemap`, `listing`
    or `wordpress`. `date_published` of a sitemap is its `news:publication_date`, never its
    `lastmod`, which goes to `date_modified`. `headline` and `description` are plain text.
    """

    source: str | None = None
    headline: str | None = None
    description: str | None = None
    authors: tuple[str, ...] = ()
    date_published: str | None = None
    date_modified: str | None = None
    in_language: str | None = None
    article_section: str | None = None
    keywords: tuple[str, ...] = ()
    image_url: str | None = None


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An address that a site lists, absolute, as it was linked, with what was said of it."""

    url: str
    found_at: str
    kind: Kind
    hints: Hints = NO_HINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLocation:
    """Where a response lies in the archive. `warc_path` is relative to the lake."""

    warc_path: str
    warc_offset: int
    warc_length: int
    warc_record_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The record of another archive that a page was imported from: the file's name, no folder."""

    file: str
    offset: int
    record_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One response as the archive holds it. `body` is decoded of any Content-Encoding.

    `requested_url` is the address first asked for; `url` the one that answered, after redirects.
    Header names are lower-case. `payload_digest` and `payload_bytes` speak of the payload as it
    came over the wire, which is what the archive stores. `imported_from` is empty for what was
    fetched here; of what was imported, the archive it came from last stands first. `continues` is
    the record of the first page of the article that this is a further page of. `reserved` has what
    its publisher reserves (`noarchive`, `tdm`, …), `withheld` that for which its payload was not
    kept.
    """

    site: str
    kind: Kind
    run_id: str
    url: str
    requested_url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fetched_at: datetime
    hints: Hints = NO_HINTS
    payload_digest: str
    payload_bytes: int
    location: RecordLocation
    imported_from: tuple[Origin, ...] = ()
    continues: str | None = None
    reserved: tuple[str, ...] = ()
    withheld: str | None = None

    @property
    def is_redirect(self) -> bool:
        """It leads elsewhere; a 304 does not, it stands for what is on record."""
        return 300 <= self.status < 400 and self.status != 304


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedBlock:
    """Text that was cleaned away, the rule that did it, and the CSS path of where it stood."""

    text: str
    rule: str
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedLink:
    """Where an "Also read" line or block pointed: absolute URL and its text."""

    text: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What the extractor read from a page. Every field is null or empty where it is not known.

    `refusal` says why the pipeline will not store it (`soft_404`, `too_short`, …), or is None.
    `canonical_link` is the page's own rel=canonical, absolute, not yet believed. `next_page` is
    where the story goes on, when that is not in the body.
    `content_hash` is `pipelines.fingerprint.content_hash` of the body.
    """

    url: str
    site: str | None = None
    publisher: str | None = None
    country: str | None = None
    canonical_link: str | None = None
    next_page: str | None = None
    headline: str | None = None
    description: str | None = None
    authors: tuple[str, ...] = ()
    byline: str | None = None
    article_body: str = ""
    date_published: datetime | None = None
    date_modified: datetime | None = None
    date_published_raw: str | None = None
    date_published_source: str | None = None
    date_published_precision: str | None = None
    date_published_flags: tuple[str, ...] = ()
    time_zone_assumed: str | None = None
    in_language: str | None = None
    article_section: str | None = None
    keywords: tuple[str, ...] = ()
    image_url: str | None = None
    is_accessible_for_free: bool | None = None
    is_truncated: bool = False
    word_count: int = 0
    removed_blocks: tuple[RemovedBlock, ...] = ()
    related_links: tuple[RelatedLink, ...] = ()
    content_hash: str = ""
    extractor: str = ""
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One version of one article, as its publisher had it, read by one extractor.

    `change` names what differs from `previous_revision`: `new`, `body`, `headline`, `description`,
    `authors`, `date`, `access`. `published_month` is `YYYY-MM` and never changes for an article.
    `recorded_at` is set by the commit.
    """

    article_id: str
    revision: int
    extraction: int
    change: tuple[str, ...]
    previous_revision: int | None
    canonical_url: str
    article: Article
    first_seen: datetime
    fetched_at: datetime
    published_month: str
    location: RecordLocation


class Verdict(StrEnum):
    """What became of a capture. `refused` and `failed` carry their reason after a colon."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    NOT_MODIFIED = "not_modified"
    DISCOVERY = "discovery"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A row of `captures`: a response, and what was made of it. Never written without verdict."""

    page: Page
    verdict: str
    article_id: str | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A row of `relations`: which cluster an article belongs to. Appended, never changed."""

    article_id: str
    cluster_id: str
    relation: str
    same_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one closed WARC file gives to the lake, and so what one commit holds.

    `warc_path` names the commit: a batch whose name is in a table is not appended again.
    """

    warc_path: str
    revisions: tuple[Revision, ...] = field(default=())
    relations: tuple[Relation, ...] = field(default=())
    captures: tuple[Capture, ...] = field(default=())
