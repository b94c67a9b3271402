"""Files of captures, gone through once: which records are articles, and why the others are not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from crawler.addresses import key_of
from crawler.extraction.further_pages import first_pages_of
from crawler.frontier import is_article
from crawler.import_index import Found, ImportIndex
from crawler.site import Site
from pipelines import warc
from pipelines.errors import ArchiveError
from pipelines.foreign_http import UnusableError, head_of, whole_answer
from pipelines.foreign_warc import Fault, ForeignRecord, open_foreign, records
from pipelines.model import Kind, Link

logger = logging.getLogger(__name__)

Owner = Callable[[str], Site | None]

# No page of the Web is older; a clock may go a little wrong.
_EARLIEST = datetime(1991, 1, 1, tzinfo=UTC)
_MOST_AHEAD = timedelta(days=1)
# The types of the standard; others are counted as one, whatever they are called.
_TYPES = frozenset(
    {"warcinfo", "request", "metadata", "resource", "conversion", "continuation"}
)  # fmt: skip


@dataclass(slots=True)
class FileReport:
    """What became of one file: each record is imported, or skipped for a reason."""

    path: Path
    records: int = 0
    imported: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def fail(self, error: str) -> None:
        logger.error("%s", error)
        self.errors.append(error)

    def as_json(self) -> dict[str, Any]:
        more = f" (and {len(self.errors) - 1} more)" if len(self.errors) > 1 else ""
        return {
            "file": str(self.path),
            "records": self.records,
            "imported": self.imported,
            "skipped": dict(sorted(self.skipped.items())),
            "error": f"{self.errors[0]}{more}" if self.errors else None,
        }


@dataclass(frozen=True, slots=True)
class _Revisit:
    found: Found
    headers: dict[str, str]


class Survey:
    """Fills the index. `now` is what no capture can be later than."""

    def __init__(self, index: ImportIndex, owner: Owner, *, now: datetime):
        self.files: list[FileReport] = []
        self._index = index
        self._owner_of_host = lru_cache(maxsize=1 << 16)(owner)
        self._now = now
        self._waiting: list[_Revisit] = []

    def go_through(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self.files.append(FileReport(path))
            try:
                self._read(self.files[-1])
            except ArchiveError as error:
                self.files[-1].fail(str(error))
            except OSError as error:
                self.files[-1].fail(f"{path}: cannot be read ({error.strerror})")
        waiting, self._waiting = self._waiting, []
        for revisit in waiting:
            # Now that every file is known, what no record has cannot be had.
            if not self._add_revisit(revisit):
                self.files[revisit.found.file].skipped["revisit_of_unknown"] += 1

    def _read(self, report: FileReport) -> None:
        """Put down what one file has; a Sitrep's own metadata follows the record it is about."""
        is_ours, held = False, None
        with open_foreign(report.path) as file:
            for one in records(file, wants=self._wants):
                if isinstance(one, Fault):
                    report.fail(f"{report.path}, {one}")
                    continue
                report.records += 1
                is_ours = is_ours or warc.is_ours(one)
                if held is not None:
                    self._put(held, warc.said_of(held, one) if is_ours else {}, report)
                held = one if one.type in warc.CAPTURES else None
                if held is None:
                    report.skipped[one.type if one.type in _TYPES else "unknown_type"] += 1
        if held is not None:
            self._put(held, {}, report)

    def _wants(self, record: ForeignRecord) -> bool:
        if record.type in warc.CAPTURES:
            return self._owner(record.url) is not None
        return record.type in {"warcinfo", "metadata"}

    def _put(self, record: ForeignRecord, said: dict[str, Any], report: FileReport) -> None:
        try:
            self._take(record, said)
        except UnusableError as unusable:
            where = f"{report.path}, offset {record.offset}"
            logger.debug("%s: skipped, %s: %s", where, unusable.reason, record.url)
            report.skipped[unusable.reason] += 1

    def _take(self, record: ForeignRecord, said: dict[str, Any]) -> None:
        site = self._article_site(record, said)
        if not said and not is_article(_link(_url(record)), site=site):
            said = {"kind": Kind.FURTHER}  # at most, or it would not be taken
        found = self._found(record, site, said)
        if record.type == "revisit":
            revisit = _Revisit(found, dict(record.headers))
            if record.headers.get("warc-profile", "").endswith("server-not-modified"):
                raise UnusableError("not_modified")
            if not self._add_revisit(revisit):
                self._waiting.append(revisit)
            return
        try:
            answer = whole_answer(record.block or b"", record.headers)
        except UnusableError as unusable:
            if unusable.reason == "redirect":
                self._note_redirect(record, found)
            raise
        if not answer.is_html:
            raise UnusableError("not_html")
        if not self._index.add(replace(found, digest=warc.sha1(answer.payload))):
            raise UnusableError("known")

    def _note_redirect(self, record: ForeignRecord, found: Found) -> None:
        """Keep where an address led: by it a story that moved is known again."""
        head, _ = head_of(record.block or b"")
        target = next((v for name, v in head.headers if name.lower() == "location"), "")
        if target:
            self._index.add_redirect(found, status=head.status, target=urljoin(found.url, target))

    def _found(self, record: ForeignRecord, site: Site, said: dict[str, Any]) -> Found:
        if record.is_too_large:
            raise UnusableError("too_large")
        return Found(
            file=len(self.files) - 1,
            offset=record.offset,
            record_id=record.id,
            site=site.name,
            url=_url(record),
            fetched_at=self._fetched_at(record),
            digest="",
            ip=record.headers.get("warc-ip-address"),
            said=said,
            block=None if record.is_at_offset else record.block,
        )

    def _article_site(self, record: ForeignRecord, said: dict[str, Any]) -> Site:
        """Return the site whose article's address it is, by the rule that a crawl goes by."""
        if not record.url.lower().startswith(("http://", "https://")):
            raise UnusableError("not_http")
        site = self._owner(record.url)
        if site is None:
            raise UnusableError("foreign_host")
        try:
            key_of(_url(record), site)
        except ValueError as error:
            raise UnusableError("broken_url") from error
        if said:
            if said["kind"] not in {Kind.ARTICLE, Kind.FURTHER}:
                raise UnusableError("discovery")
        elif not _may_be_of_article(_url(record), site):
            raise UnusableError("not_article")
        return site

    def _owner(self, url: str) -> Site | None:
        # Which site it is depends on the host alone, and a file has the same ones over and over.
        try:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"}:
                return None
            return self._owner_of_host(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/")
        except ValueError:
            return None

    def _fetched_at(self, record: ForeignRecord) -> datetime:
        when = _time(record.headers.get("warc-date", ""))
        if when is None or not _EARLIEST <= when <= self._now + _MOST_AHEAD:
            raise UnusableError("broken_date")
        return when

    def _add_revisit(self, revisit: _Revisit) -> bool:
        said, found = revisit.headers, revisit.found
        original = self._index.original_of(
            record_id=said.get("warc-refers-to", ""),
            url=said.get("warc-refers-to-target-uri", "").strip("<>"),
            fetched_at=_time(said.get("warc-refers-to-date", "")),
            digest=said.get("warc-payload-digest", ""),
        )
        if original is None:
            return False
        if not self._index.add(replace(found, digest=original.digest, original=original.id)):
            self.files[found.file].skipped["known"] += 1
        return True


def _url(record: ForeignRecord) -> str:
    # As our own archive writes it, so that it is known again.
    return warc.one_line(record.url).replace(" ", "%20")


def _may_be_of_article(url: str, site: Site) -> bool:
    """Tell whether an address is an article's, or that of a further page of one."""
    return any(is_article(_link(one), site=site) for one in (url, *first_pages_of(url)))


def _link(url: str) -> Link:
    return Link(url=url, found_at="import", kind=Kind.LISTING)


def _time(text: str) -> datetime | None:
    try:
        return warc.time_of(text)
    except (ValueError, OverflowError):
        return None
