"""moto's imitation of S3, as a process of its own on loopback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.s3 import NO_CLOUD, Store, daemon, free_port, wait_for

# It takes any keys; these must not turn up in any output either.
ACCESS_KEY, SECRET_KEY = "SITREPMOTOKEY0001", "seldom-told-secret-of-the-moto-1"


@contextmanager
def server() -> Iterator[Store]:
    """Start moto and yield it, without a bucket yet."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with TemporaryDirectory(prefix="sitrep-moto-") as folder:
        log = Path(folder) / "output"
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | NO_CLOUD
        with daemon(command, log=log, env=env) as process:
            store = Store(f"http://127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY)
            wait_for(store.endpoint, log=log, needs=[process])
            yield store
