"""Who may write: locks that die with the process that holds them.

A lease is an advisory lock on a file, so that `kill -9` frees it at once and nobody has to guess
how old is too old.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Lease:
    """One lock file. `with lease:` waits for it; `try_acquire` does not."""

    def __init__(self, file: Path):
        self.file = file
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lease; False when another process, or another lease of this one, holds it."""
        return self._acquire(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # closing frees the lock
            self._descriptor = None

    def _acquire(self, how: int) -> bool:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def __enter__(self) -> Self:
        self._acquire(fcntl.LOCK_EX)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.release()
