"""Who may write a lake on an object store, which has no locks of its own.

The lake belongs to one state, named in `_sitrep.json`, and those who share the state take turns by
its lease. A lease can end unnoticed, with a connection or a machine that stood still; then only
the store can keep two writers from the same log entry. So a second one is let in where the store
is seen to do that.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pipelines.errors import LakeError
from pipelines.lake import Lake
from pipelines.lease import Lease
from pipelines.state import State
from pipelines.storage import LocalStorage, Storage

_RACERS = 8


@contextmanager
def admitted(
    lake: Lake, state: State, *, locks_folder: Path, takes_over: bool = False
) -> Iterator[None]:
    """Let this process write `lake` as one of those who share `state`.

    With `takes_over` the lake is this state's from now on. Raises LakeError where it belongs to
    another state, or another process writes it and the store cannot keep the two apart. A lake in
    a folder asks for nothing: whoever writes there holds its own lock.
    """
    if isinstance(lake.storage, LocalStorage):
        yield
        return
    first = state.lease(f"first-writer-{lake.lake_id}", folder=locks_folder)
    is_first = first.try_acquire()
    try:
        if not is_first:
            _refuse_without_conditions(lake.storage)
        lake.guard = _guard(lake, state, locks_folder)
        lake.belongs_to(state.state_id, takes_over=takes_over)
        yield
    finally:
        lake.guard = None
        if is_first:
            first.release()


def guard_to_look(lake: Lake, state: State, *, locks_folder: Path) -> None:
    """Have `lake.kept_still` wait for who writes by `state`, on an object store."""
    if not isinstance(lake.storage, LocalStorage):
        lake.guard = _guard(lake, state, locks_folder).to_look()


def holds_conditions(storage: Storage) -> bool:
    """Tell whether the store refuses to put an object, if asked, where there is one.

    One after the other, and of eight at once all but one.
    """
    one, other = (f"_probe/{uuid4()}" for _ in range(2))
    try:
        if not storage.create(one, b"1") or storage.create(one, b"2"):
            return False
        with ThreadPoolExecutor(_RACERS) as racers:
            wins = list(racers.map(lambda n: storage.create(other, bytes([n])), range(_RACERS)))
        return wins.count(True) == 1
    finally:
        storage.delete(one)
        storage.delete(other)


def _refuse_without_conditions(storage: Storage) -> None:
    if not holds_conditions(storage):
        raise LakeError(
            "another process is writing here, and the store takes conditional writes without "
            "holding to them: two writers could overwrite each other's commits",
            where=storage.url,
            remedy="wait for the other to end, or use a bucket without versioning, where they hold",
        )


def _guard(lake: Lake, state: State, locks_folder: Path) -> Lease:
    return state.lease(f"lake-{lake.lake_id}", folder=locks_folder)
