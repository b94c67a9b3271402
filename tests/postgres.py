"""A PostgreSQL server of the suite's own, on loopback, in a folder that goes with the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from tests.services import is_missing


def programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, Debian's newest or the one on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


def require() -> Path:
    """Return the programs; skip the test without them, or fail it where they must be there."""
    return programs() or is_missing("PostgreSQL")


@contextmanager
def server() -> Iterator[str]:
    """Start a server in a folder of its own and yield the SQLAlchemy URL of its database.

    Not in pytest's folder: another session of the suite may clear that away under its feet.
    """
    binaries = require()
    with (
        TemporaryDirectory(prefix="sitrep-postgres-") as folder,
        _server(binaries, Path(folder)) as url,
    ):
        yield url


def fresh_database(url: str, name: str) -> str:
    """Make an empty database on the server at `url`; return its URL."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{url.rpartition('/')[0]}/{name}"


@contextmanager
def _server(binaries: Path, data: Path) -> Iterator[str]:
    # initdb refuses root; Debian's package brings a user for it.
    # It lies where a user's path does not always lead.
    runuser = shutil.which("runuser") or "/usr/sbin/runuser"
    as_user = [runuser, "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(data, "postgres")
    port = _free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [*as_user, str(binaries / program), "-D", str(data), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    run("initdb", "-U", "sitrep", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    run("pg_ctl", "start", "-w", "-o", options, "-l", str(data / "log"))
    try:
        yield f"postgresql+psycopg://sitrep@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "stop", "-m", "fast")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
