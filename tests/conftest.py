"""What the tests share: a closed network, and the newsroom crawled as its users crawl it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.newsroom import Newsroom
from tests import postgres
from tests.installation import Installation, install


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that crawl first: of two workers none is left with the longest at the end."""
    folders = {"tests": 0, "pipelines": 1}
    items.sort(key=lambda item: folders.get(item.path.parent.name, 2))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test by bytes: gzip has the time in it, and two workers must name tests alike."""
    return argname if isinstance(val, bytes) else None


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
