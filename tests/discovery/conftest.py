import pytest

from crawler.site import Site


@pytest.fixture(scope="session")
def site() -> Site:
    return Site(
        name="gazette",
        publisher="Harbour Gazette",
        home="https://gazette.example/",
        time_zone="Europe/Athens",
        hosts=("old-gazette.example",),
    )
