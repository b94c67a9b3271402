"""Who may write: locks that die with the process, or the database session, that holds them.

So `kill -9` frees a lease at once, and nobody has to guess how old is too old.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine


class Lease(Protocol):
    """What one writer holds, of all processes that share its folder or its database."""

    def try_acquire(self) -> bool:
        """Take the lease; False when another process, or another lease of this one, holds it."""

    def release(self) -> None:
        """Let go of it; nothing where it is not held."""


class FileLease:
    """An advisory lock on a file: for the processes of one machine."""

    def __init__(self, file: Path):
        self.file = file
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # closing frees the lock
            self._descriptor = None


class SessionLease:
    """A PostgreSQL advisory lock: for all machines whose state is one database.

    Held by a connection of its own, so that the server frees it when that ends.
    """

    def __init__(self, engine: Engine, name: str):
        self._engine = engine
        # The key is a signed 64-bit number; two names that share one are not to be expected.
        digest = hashlib.blake2b(f"sitrep:{name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "big", signed=True)
        self._connection: Connection | None = None

    def try_acquire(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(self._key))):
            connection.close()
            return False
        self._connection = connection
        return True

    def release(self) -> None:
        if self._connection is not None:
            # Closing gives the session back to the pool, with its locks.
            self._connection.execute(sa.select(sa.func.pg_advisory_unlock(self._key)))
            self._connection.close()
            self._connection = None
