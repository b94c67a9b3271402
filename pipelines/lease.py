"""Who may write: locks that die with the process, or the database session, that holds them.

So `kill -9` frees a lease at once, and nobody has to guess how old is too old.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from pipelines.errors import LakeError


class Lease(Protocol):
    """What one writer holds, of all processes that share its folder or its database."""

    def try_acquire(self) -> bool:
        """Take the lease; False when another process, or another lease of this one, holds it."""

    def release(self) -> None:
        """Let go of it; nothing where it is not held."""

    def to_look(self) -> Lease:
        """Return a lease that shuts out the same writers, and leaves no trace of itself."""


class Free:
    """What needs no asking for: nobody is shut out, and nobody shuts one out."""

    def try_acquire(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""

    def to_look(self) -> Free:
        return self


class FileLease:
    """An advisory lock on a file: for the processes of one machine.

    With `is_made` off nothing is written: where there is no file, nobody has ever held it.
    """

    def __init__(self, file: Path, *, is_made: bool = True):
        self.file = file
        self._is_made = is_made
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT if self._is_made else os.O_RDONLY
        if self._is_made:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.file, flags | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            if self._is_made:
                raise
            return True
        if not _try_lock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # closing frees the lock
            self._descriptor = None

    def to_look(self) -> FileLease:
        return FileLease(self.file, is_made=False)


def wait_for(lease: Lease, *, patience: timedelta, where: str) -> None:
    """Take a lease. Raises LakeError when another holds it for long."""
    deadline = time.monotonic() + patience.total_seconds()
    while not lease.try_acquire():
        if time.monotonic() > deadline:
            raise LakeError(
                "another process has been writing here for long",
                where=where,
                remedy="wait for it to end, or end it",
            )
        time.sleep(0.02)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Session:
    """The one connection that holds all PostgreSQL leases of a process.

    One for each would use up the server's connections with the first few dozen sites.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._connection: Connection | None = None
        self._held: set[int] = set()
        self._mutex = threading.Lock()

    def try_lock(self, key: int) -> bool:
        with self._mutex:
            # To its own session PostgreSQL would give a lock a second time.
            if key in self._held:
                return False
            if self._connection is None:
                connection = self._engine.connect()
                self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            if not self._connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
                return False
            self._held.add(key)
            return True

    def unlock(self, key: int) -> None:
        with self._mutex:
            if self._connection is None or key not in self._held:
                return
            self._held.discard(key)
            with suppress(DBAPIError):  # a session that has ended holds nothing
                self._connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
            if not self._held:
                self._connection.close()
                self._connection = None


class SessionLease:
    """A PostgreSQL advisory lock: for all machines whose state is one database.

    Held by a connection of its own, so that the server frees it when that ends.
    """

    def __init__(self, session: Session, name: str):
        self._session = session
        # The key is a signed 64-bit number; two names that share one are not to be expected.
        digest = hashlib.blake2b(f"sitrep:{name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "big", signed=True)
        self._is_held = False

    def try_acquire(self) -> bool:
        self._is_held = self._is_held or self._session.try_lock(self._key)
        return self._is_held

    def release(self) -> None:
        if self._is_held:
            self._session.unlock(self._key)
            self._is_held = False

    def to_look(self) -> SessionLease:
        return self
