"""What the tests share: a closed network, and the newsroom crawled as its users crawl it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.newsroom import Newsroom
from tests import ceph, moto_server, postgres
from tests.installation import Installation, install
from tests.s3 import NO_CLOUD, Store

# What is compiled is kept, also where the environment says otherwise: the suite begins thousands of
# processes, and a seventh of what such a one takes to begin is the compiling of our own modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The newsroom crawled in state one, then in state two. To be read, never written."""
    with Newsroom(state=1) as newsroom:
        installation = install(tmp_path_factory.mktemp("crawled"), newsroom)
        installation.crawl()
        newsroom.state = 2
        installation.crawl()
        yield installation


@pytest.fixture
def newsroom() -> Iterator[Newsroom]:
    with Newsroom(state=1) as running:
        yield running


@pytest.fixture
def installation(tmp_path: Path, newsroom: Newsroom) -> Installation:
    """A user's folder of one's own, nothing crawled yet."""
    return install(tmp_path, newsroom)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)]
)
def server(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Each kind of state there is: the URL of a server, or None for files."""
    if request.param == "sqlite":
        yield None
    else:
        with postgres.server() as url:
            yield url


@pytest.fixture(scope="session")
def moto() -> Iterator[Store]:
    """An imitation of S3, for what needs no real server. It has no bucket yet."""
    with moto_server.server() as running:
        yield running


@pytest.fixture(scope="session")
def ceph_gateway() -> Iterator[Store]:
    """A real object store. It has no bucket yet."""
    with ceph.server() as running:
        yield running


@pytest.fixture(
    scope="module", params=["moto", pytest.param("ceph_gateway", marks=pytest.mark.service)]
)
def store(request: pytest.FixtureRequest) -> Store:
    """Each kind of object store there is, with a bucket of its own, empty."""
    running: Store = request.getfixturevalue(request.param)
    return running.with_bucket()


def pytest_xdist_auto_num_workers() -> int:
    """Begin two workers a core: one that waits for a site's delay leaves its core."""
    return (os.cpu_count() or 1) * 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the long runs what Ceph says as moto does, and put the files that crawl first.

    So of two workers none is left with the longest at the end.
    """
    for item in items:
        if _is_said_by_moto(item):
            item.add_marker(pytest.mark.soak)
    folders = {"tests": 0, "pipelines": 1}
    items.sort(key=lambda item: folders.get(item.path.parent.name, 2))


def _is_said_by_moto(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    is_real = callspec is not None and callspec.params.get("store") == "ceph_gateway"
    return is_real and item.get_closest_marker("real_store") is None


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test by bytes: gzip has the time in it, and two workers must name tests alike."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True, scope="session")
def _no_cloud() -> Iterator[None]:
    """Nobody's keys and settings for AWS are there, and nobody is asked for some."""
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in NO_CLOUD.items():
        patch.setenv(name, value)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def _closed_network() -> Iterator[None]:
    """Nothing in the suite reaches beyond this machine, by accident either."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = str(address[0]).split("%")[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                pytest.fail(f"a test tried to reach {host}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()
