"""What `multiprocessing` forks the extraction workers from, begun without the time of its imports.

A crawl has a process that imports the extractor and is forked for each worker. Here that is the
fork of one that has imported it, with the folder, environment, streams and held signals of its
crawl. It is the crawl's own in all but its parent, and ends as it does: when nobody holds its pipe.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from typing import NoReturn

_PRELOAD = "crawler.extraction"
# Of what is asked: bytes, and streams that come with it.
LARGEST, MOST_STREAMS = 1 << 18, 5
# 3.14 has it prove who it is, with a key that comes by a pipe of its own.
IS_POSSIBLE = sys.version_info < (3, 14)


def begin(*others: int) -> socket.socket:
    """Begin the process that has imported the extractor; return the way to it.

    It ends when nobody holds that any more, and holds none of the `others`.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        for other in others:
            os.close(other)
        import_module(_PRELOAD)
        gc.collect()
        gc.freeze()
        while has_begun_one(theirs, _become):
            pass
        os._exit(0)
    theirs.close()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    return ours


def take_from(way: socket.socket) -> None:
    """Have this process take there what it would begin for its first worker."""
    server = forkserver._forkserver

    def ensure_running() -> None:
        with server._lock:  # type: ignore[attr-defined]
            resource_tracker.ensure_running()
            if server._forkserver_address is None:  # type: ignore[attr-defined]
                _ask(way, server)

    server.ensure_running = ensure_running  # type: ignore[method-assign]


def _ask(way: socket.socket, server: forkserver.ForkServer) -> None:
    held = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    asked = json.dumps([str(Path.cwd()), dict(os.environ), held]).encode()
    is_held, holds = os.pipe()
    address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        socket.send_fds(way, [asked], [0, 1, 2, listener.fileno(), is_held])
    os.close(is_held)
    server._forkserver_address, server._forkserver_alive_fd = address, holds  # type: ignore[attr-defined]


def has_begun_one(
    asking: socket.socket, become: Callable[[bytes, Sequence[int]], NoReturn]
) -> bool:
    """Wait for what is asked, with its streams; fork what becomes it. Tell whether more may be."""
    asked, ends, _, _ = socket.recv_fds(asking, LARGEST, MOST_STREAMS)
    if asked and os.fork() == 0:
        asking.close()
        become(asked, ends)
    for end in ends:
        os.close(end)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return bool(asked)


def _become(asked: bytes, ends: Sequence[int]) -> NoReturn:
    folder, env, held = json.loads(asked)
    *streams, listener, is_held = ends
    for stream, end in enumerate(streams):
        os.dup2(end, stream)
        os.close(end)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    forkserver.main(listener, is_held, [_PRELOAD])
    os._exit(0)
