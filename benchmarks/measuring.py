"""What a command costs: CPU, time and memory of its whole tree of processes.

A fork server and its workers are children that nobody waits for. So the command runs under a small
process of its own, which adopts every orphan and waits for it; the kernel's account of these is
then whole. Memory is what all of them have resident at once, looked at ten times a second (pages
that they share are counted in each).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).parents[1]
A_LOOK = 0.1
_PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a command took, and said. Seconds, and mebibytes."""

    status: int
    cpu_seconds: float
    seconds: float
    peak_mb: float
    stdout: str


def measured(
    command: Sequence[str], *, folder: Path, settings: Mapping[str, str] | None = None
) -> Cost:
    """Run a command in `folder`, with this checkout and no setting of Sitrep's but `settings`."""
    with tempfile.TemporaryDirectory() as scratch:
        note = Path(scratch) / "cost.json"
        adopter = [sys.executable, str(Path(__file__)), str(note), *command]
        with (Path(scratch) / "stdout").open("w+") as said:
            running = subprocess.Popen(  # noqa: S603 - our own command
                adopter, cwd=folder, env=_env(settings or {}), stdout=said
            )
            peak = _watch(running)
            said.seek(0)
            cost = json.loads(note.read_text())
            return Cost(status=running.returncode, peak_mb=peak, stdout=said.read(), **cost)


def _env(settings: Mapping[str, str]) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SITREP_")}
    return clean | {"PYTHONPATH": str(CHECKOUT)} | dict(settings)


def _watch(running: subprocess.Popen[bytes]) -> float:
    peak = 0
    while running.poll() is None:
        peak = max(peak, _resident_below(running.pid))
        time.sleep(A_LOOK)
    return peak / (1 << 20)


def _resident_below(pid: int) -> int:
    total = 0
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return 0
    for one in below:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def own_peak_mb() -> float:
    """Return the most that this process ever had resident.

    Not `ru_maxrss`: that begins with what the process had that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(one for one in status.splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _adopt(note: Path, command: Sequence[str]) -> int:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot adopt orphans")
    began = time.monotonic()
    status = subprocess.call(command)  # noqa: S603 - our own command
    seconds = time.monotonic() - began
    _wait_for_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    note.write_text(json.dumps({"cpu_seconds": used.ru_utime + used.ru_stime, "seconds": seconds}))
    return status


def _wait_for_orphans() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(_adopt(Path(sys.argv[1]), sys.argv[2:]))
