"""A word about each of any number of addresses, on disk: in memory each would take 160 bytes."""

from __future__ import annotations

import hashlib
import sqlite3


class KeyNotes:
    """Notes by key, for one run: in a file of its own that is gone with the process.

    SQLite keeps up to 2 MB of it in memory. A key is known by 64 bits: of a million, two are taken
    for one with a probability of 1 in 37 million.
    """

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE notes (key INTEGER PRIMARY KEY, note TEXT NOT NULL)")

    def get(self, key: str) -> str | None:
        found = self._file.execute("SELECT note FROM notes WHERE key = ?", (_number(key),))
        row = found.fetchone()
        return str(row[0]) if row else None

    def put(self, key: str, note: str) -> None:
        self._file.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_number(key), note))


def _number(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
