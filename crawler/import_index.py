"""What is to be imported, in the order of its capture: an index on disk, however large the files.

A file is gone through once, from its beginning. What an article's page may be is written down with
where it lies; only of a file that cannot be entered in its midst, such as gzip of a single member,
are the records kept here themselves. The database is SQLite's own temporary one, which is gone with
its process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from tempfile import gettempdir
from types import TracebackType
from typing import Any, Self

from pipelines.errors import SitrepError

_SCHEMA = """
    CREATE TABLE captures (
        id INTEGER PRIMARY KEY, file INTEGER, offset INTEGER, record_id TEXT, site TEXT, url TEXT,
        at INTEGER, digest TEXT, ip TEXT, said TEXT, block BLOB, original INTEGER,
        is_known INTEGER DEFAULT 0
    );
    CREATE TABLE redirects (site TEXT, url TEXT, at INTEGER, status INTEGER, target TEXT);
    CREATE INDEX by_address ON redirects (site, url);
    CREATE INDEX by_place ON captures (site, url);
    CREATE INDEX by_key ON captures (url, at, digest);
    CREATE INDEX by_digest ON captures (digest);
    CREATE INDEX by_record ON captures (record_id);
    CREATE INDEX by_time ON captures (at, file, id);
"""
_AT_ONCE = 5_000
# What makes a capture the same as another: its address, its time, the digest of its payload.
Key = tuple[str, datetime, str]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record that may be an article's page. `block` is None where it can be read at `offset`.

    `said` is what the metadata record of a Sitrep beside it says. Of a revisit, `original` is the
    id of the capture whose payload it repeats. `is_known` is for what the lake has already.
    """

    file: int
    offset: int
    record_id: str
    site: str
    url: str
    fetched_at: datetime
    digest: str
    ip: str | None = None
    said: dict[str, Any]
    block: bytes | None = None
    original: int | None = None
    is_known: int = 0
    id: int = 0


class ImportIndex:
    """Use as a context manager."""

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        # It is of no use after its process: nothing of it needs to outlast a fault.
        self._base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)

    def __enter__(self) -> Self:
        self._base.execute("BEGIN")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._base.close()

    def add(self, found: Found) -> bool:
        """Put a capture down; tell False where it is there already: same address, time, bytes."""
        key = (found.url, _microseconds(found.fetched_at), found.digest)
        sql = "SELECT 1 FROM captures WHERE url = ? AND at = ? AND digest = ?"
        if self._base.execute(sql, key).fetchone():
            return False
        row = (
            found.file, found.offset, found.record_id, found.site, *key, found.ip,
            json.dumps(found.said), found.block, found.original,
        )  # fmt: skip
        self._write(
            "INSERT INTO captures (file, offset, record_id, site, url, at, digest, ip, said, block,"
            " original) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return True

    def _write(self, sql: str, row: tuple[object, ...]) -> None:
        try:
            self._base.execute(sql, row)
        except sqlite3.Error as error:
            raise SitrepError(
                f"the list of what is to be imported cannot be written ({error})",
                where=gettempdir(),
                remedy="free space there, or set TMPDIR to a folder with more",
            ) from error

    def add_redirect(self, found: Found, *, status: int, target: str) -> None:
        row = (found.site, found.url, _microseconds(found.fetched_at), status, target)
        self._write("INSERT INTO redirects VALUES (?, ?, ?, ?, ?)", row)

    def redirect_of(self, site: str, url: str) -> tuple[int, str] | None:
        """Return the status and target of the last redirect that was captured at an address."""
        sql = "SELECT status, target FROM redirects WHERE site = ? AND url = ? ORDER BY at DESC"
        row: tuple[int, str] | None = self._base.execute(f"{sql} LIMIT 1", (site, url)).fetchone()
        return row

    def further(
        self, site: str, url: str, *, continues: str | None, near: datetime
    ) -> Found | None:
        """Return the capture of a further page: of the story in record `continues`, or in time."""
        sql = (
            "site = ? AND url = ? ORDER BY "
            "json_extract(said, '$.continues') IS NOT ?, abs(at - ?), id"
        )
        return self._one(sql, (site, url, continues, _microseconds(near)))

    def has(self, site: str, urls: Sequence[str]) -> bool:
        """Tell whether there is a capture of any of these addresses."""
        return any(self._one("site = ? AND url = ?", (site, url)) for url in urls)

    def original_of(
        self, *, record_id: str, url: str, fetched_at: datetime | None, digest: str
    ) -> Found | None:
        """Return the capture whose bytes a revisit repeats, by any of the ways to name it."""
        at = _microseconds(fetched_at) if fetched_at else None
        by: dict[str, tuple[object, ...]] = {
            "record_id = ?": (record_id,),
            "url = ? AND at = ?": (url, at),
            "digest = ?": (digest,),
        }
        for condition, values in by.items():
            if all(values) and (found := self._one(f"{condition} AND original IS NULL", values)):
                return found
        return None

    def capture(self, capture_id: int) -> Found:
        found = self._one("id = ?", (capture_id,))
        if found is None:
            raise KeyError(capture_id)
        return found

    def mark_known(self, known_of: Callable[[Sequence[Key]], Collection[Key]]) -> None:
        """Mark what `known_of`, shown some of the keys at a time, says is in the lake."""
        keys = self._base.cursor().execute("SELECT url, at, digest FROM captures")
        while some := keys.fetchmany(_AT_ONCE):
            known = known_of([(url, _time(at), digest) for url, at, digest in some])
            rows = [(url, _microseconds(at), digest) for url, at, digest in known]
            self._base.executemany(
                "UPDATE captures SET is_known = 1 WHERE url = ? AND at = ? AND digest = ?", rows
            )

    def sites(self) -> list[str]:
        return [name for (name,) in self._base.execute("SELECT DISTINCT site FROM captures")]

    def in_order(self) -> Iterator[Found]:
        """Yield every capture, the earliest first."""
        # By its own cursor: others are asked while it is read.
        ids = self._base.cursor().execute("SELECT id FROM captures ORDER BY at, file, id")
        for (capture_id,) in ids:
            yield self.capture(capture_id)

    def _one(self, condition: str, values: tuple[object, ...]) -> Found | None:
        cursor = self._base.execute(f"SELECT * FROM captures WHERE {condition} LIMIT 1", values)  # noqa: S608 - our own words
        row = cursor.fetchone()
        if row is None:
            return None
        fields = dict(zip([one[0] for one in cursor.description], row, strict=True))
        at = _time(fields.pop("at"))
        return Found(**fields | {"said": json.loads(fields["said"]), "fetched_at": at})


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)
