"""Who may write: a lease has one holder among all processes, and dies with it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.state import State

_HOLD = """
import sys, time
from pathlib import Path
from pipelines.state import State
lease = State.open(sys.argv[1]).lease("gazette", folder=Path(sys.argv[2]))
print(lease.try_acquire(), flush=True)
time.sleep(60)
"""


@contextmanager
def _held_elsewhere(state_url: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, state_url, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_lease_is_free_at_once_when_its_holder_is_killed(tmp_path, state_url):
    state = State.open(state_url)
    mine = state.lease("gazette", folder=tmp_path)
    with _held_elsewhere(state_url, tmp_path):
        assert not mine.try_acquire()
    killed = time.monotonic()
    while not mine.try_acquire():
        assert time.monotonic() - killed < 2
    mine.release()
    state.close()


def test_a_lease_has_one_holder_in_its_own_process_too(tmp_path, state_url):
    state, other = State.open(state_url), State.open(state_url)
    mine = state.lease("gazette", folder=tmp_path)
    assert mine.try_acquire()
    for rival in (state, other):
        assert not rival.lease("gazette", folder=tmp_path).try_acquire()
    mine.release()
    theirs = other.lease("gazette", folder=tmp_path)
    assert theirs.try_acquire()
    theirs.release()
    state.close()
    other.close()


def test_a_crawl_of_a_hundred_sites_holds_a_hundred_leases(tmp_path, state_url):
    state = State.open(state_url)
    leases = [state.lease(f"site_{n}", folder=tmp_path) for n in range(100)]
    assert all(lease.try_acquire() for lease in leases)
    for lease in leases:
        lease.release()
    state.close()
