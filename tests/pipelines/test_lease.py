"""Who may write: a lease has one holder, and dies with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipelines.lease import FileLease


def test_a_lease_has_one_holder_and_is_free_when_that_process_is_killed(tmp_path):
    file = tmp_path / "locks" / "site.lock"
    code = (
        "import sys, time; from pathlib import Path; from pipelines.lease import FileLease;"
        "lease = FileLease(Path(sys.argv[1])); print(lease.try_acquire(), flush=True);"
        "time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(file)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"True\n"
    mine = FileLease(file)
    assert not mine.try_acquire()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert mine.try_acquire()
    assert not FileLease(file).try_acquire()
    mine.release()
    assert FileLease(file).try_acquire()
