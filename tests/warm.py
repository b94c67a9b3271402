"""`sitrep` begun as from a shell, but for the second that its imports take.

Two thousand times the suite runs a command, and each would import the same modules first. Here one
process imports them once, and each command is a fork of it: with arguments, environment, folder and
streams of its own, run by the module that `python -m` runs, and ended as that ends. What needs a
process that imports for itself (whether a verb can be loaded at all, signals to a group) has one.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from tests import warm_workers

CHECKOUT = Path(__file__).parents[1]
# What a command loads only when it comes to it. Nothing here may begin a thread or an event loop.
_LATER = (
    "boto3.session", "botocore.handlers", "psycopg", "pyarrow.dataset", "pyarrow.parquet",
    "scrapy.core.downloader.handlers.http11", "scrapy.core.scheduler", "scrapy.crawler",
    "scrapy.pqueues", "scrapy.squeues", "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)  # fmt: skip
# What reads these reads them before the first line of a program.
_OF_THE_START = ("LANG", "LC_ALL", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONWARNINGS")


def run(
    module: str,
    *arguments: str,
    folder: Path,
    env: Mapping[str, str],
    stdin: str | None,
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    """Do what `subprocess.run` does with `python -m module arguments`, output captured as text."""
    command = [sys.executable, "-m", module, *arguments]
    if sys.platform != "linux" or any(env.get(one) != os.environ.get(one) for one in _OF_THE_START):
        return subprocess.run(
            command, cwd=folder, env=env, input=stdin,
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
    asked = json.dumps([module, arguments, str(folder), dict(env)]).encode()
    with tempfile.TemporaryFile() as given, ThreadPoolExecutor(2) as readers:
        given.write((stdin or "").encode())
        given.seek(0)
        (out, out_end), (err, err_end), (ours, theirs) = os.pipe(), os.pipe(), socket.socketpair()
        ends = (given.fileno(), out_end, err_end, theirs.fileno())
        socket.send_fds(_server(), [asked], ends)
        os.close(out_end)
        os.close(err_end)
        theirs.close()
        said = [readers.submit(_all_of, end) for end in (out, err)]
        with ours:
            status = _status(ours, command, timeout)
        texts = [one.result(timeout) for one in said]
    return subprocess.CompletedProcess(command, status, *texts)


def _all_of(pipe: int) -> str:
    with open(pipe, encoding="utf-8") as stream:
        return stream.read()


def _status(ours: socket.socket, command: list[str], timeout: float) -> int:
    """Wait for the end of the command; return its status, negative for a signal."""
    answers = ours.makefile("r")
    pid = int(answers.readline())
    ours.settimeout(timeout)
    try:
        return int(answers.readline())
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise subprocess.TimeoutExpired(command, timeout) from None


@cache
def _server() -> socket.socket:
    """Return the way to this process's own server. It ends when nobody holds that any more."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.set_inheritable(True)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(theirs.fileno())], cwd=CHECKOUT,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, warm_workers.LARGEST)
    return ours


# --- the server ---------------------------------------------------------------------------------


def main() -> None:
    asking = socket.socket(fileno=int(sys.argv[1]))
    if warm_workers.IS_POSSIBLE:
        warm_workers.take_from(warm_workers.begin(asking.fileno()))
    _import_all()
    gc.collect()
    gc.freeze()  # what was imported is nothing that a command would have to look through
    while warm_workers.has_begun_one(asking, _begin):
        pass


def _import_all() -> None:
    for package in ("crawler", "pipelines"):
        found = import_module(package)
        for one in pkgutil.walk_packages(found.__path__, f"{package}."):
            if not one.name.endswith("__main__"):
                import_module(one.name)
    for name in _LATER:
        import_module(name)


def _begin(asked: bytes, ends: Sequence[int]) -> NoReturn:
    """Be what is asked for, in a process of its own; this one waits for its end, and tells it."""
    *streams, answers = ends
    command = os.fork()
    if command == 0:
        os.close(answers)
        _become(asked, streams)
    for end in streams:
        os.close(end)
    os.write(answers, f"{command}\n".encode())
    _, status = os.waitpid(command, 0)
    os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(asked: bytes, streams: Sequence[int]) -> NoReturn:
    module, arguments, folder, env = json.loads(asked)
    for stream, end in enumerate(streams):
        os.dup2(end, stream)
        os.close(end)
    os.setsid()  # whoever is killed with all its processes takes none of ours along
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.path[0] = folder
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        _end(end.code)
    except BaseException:  # noqa: BLE001 - what Python does at its top
        sys.excepthook(*sys.exc_info())
        _end(1)
    _end(0)


def _end(said: object) -> NoReturn:
    """End as Python does, but leave all memory to the system: to let go of each object that was
    imported takes longer than most commands do.
    """
    if not isinstance(said, int | None):
        print(said, file=sys.stderr)  # noqa: T201
        said = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(said or 0)


if __name__ == "__main__":
    main()
