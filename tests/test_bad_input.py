"""What a user gets wrong, and disks that are full: one line says what, where and what to do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hostile_server import Answer, HostileServer, redirect, sitemap, story, story_html
from tests.installation import Installation

needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def user(tmp_path: Path, server: HostileServer) -> Installation:
    """A user whose one site lists twelve articles of some 180 kB."""
    server.serve_feed(f"/news/{n}/" for n in range(12))
    for n in range(12):
        noise = os.urandom(90_000).hex()
        server.routes[f"/news/{n}/"] = Answer(f"{story_html(n)}<!--{noise}-->".encode())
    server.write_site_file(tmp_path / "sites", feeds=["/feed"])
    return Installation(folder=tmp_path, settings={"SITREP_SPOOL": "spool"})


def failing(user: Installation, *arguments: str, status: int, **settings: str) -> str:
    """Run what must fail; return the one line that standard error then has."""
    done = user.run(*arguments, check=False, settings=settings)
    said = [line for line in done.stderr.splitlines() if not line.startswith("20")]
    assert done.returncode == status, done.stderr
    assert len(said) == 1, done.stderr
    return said[0]


# --- site files and names -----------------------------------------------------------------------


def test_an_unknown_site_is_an_error_of_use_with_a_suggestion(user):
    line = failing(user, "crawl", "hostil", status=2)
    assert "no site is called 'hostil'; did you mean 'hostile'?" in line


def test_crawl_without_a_name_is_an_error_of_use(user):
    assert "no site named" in failing(user, "crawl", status=2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('fedes = ["http://127.0.0.1/feed"]', "unknown key 'fedes'; did you mean 'feeds'?"),
        ("[extract]\nprune = ['div..share']", "'div..share' is not a CSS selector"),
        ("max_age = 'soon'", "not a duration"),
        ("feeds = [", "is not TOML"),
    ],
)
def test_a_wrong_site_file_is_named_with_its_key_before_anything_is_fetched(
    user, server, line, said
):
    file = user.folder / "sites" / "wrong.toml"
    head = 'publisher = "P"\nhome = "http://127.0.0.1/"\ntime_zone = "UTC"\n'
    file.write_text(f"{head}{line}\n")
    error = failing(user, "crawl", "hostile", "wrong", status=2)
    assert said in error
    assert "wrong.toml" in error
    assert server.requests == []


def test_an_impossible_time_zone_and_expression_are_named(user, server):
    server.write_site_file(user.folder / "sites", "zone", time_zone="Europe/Atlantis")
    server.write_site_file(user.folder / "sites", "pattern", article_url="/(news/")
    assert "'Europe/Atlantis' is not an IANA time zone" in failing(user, "crawl", "zone", status=2)
    assert "'/(news/' is not a regular expression" in failing(user, "crawl", "pattern", status=2)


# --- places that cannot be written --------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SITREP_LAKE", "afile/lake"),
        ("SITREP_SPOOL", "afile/spool"),
        ("SITREP_STATE", "sqlite:///afile/sitrep.db"),
        ("SITREP_STATE", "sqlite:///afile"),
    ],
)
def test_a_place_that_cannot_be_written_is_named_with_a_remedy(user, server, setting, value):
    (user.folder / "afile").write_text("a file that is neither folder nor database\n" * 100)
    line = failing(user, "crawl", "hostile", status=1, **{setting: value})
    assert "afile" in line
    assert setting in line
    assert not any(path.startswith("/news/") for path in server.paths())


@contextmanager
def small_disk(folder: Path, *, kilobytes: int, filled: int = 0) -> Iterator[None]:
    folder.mkdir(parents=True)
    mount(folder, f"size={kilobytes}k")
    try:
        (folder / "fill").write_bytes(b"x" * (filled << 10))
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


def crawl_again_with_space(user: Installation, folder: Path) -> dict[str, Any]:
    mount(folder, "remount,size=64m")
    return user.json("crawl", "hostile")["totals"]


@needs_mount
@pytest.mark.parametrize("place", ["spool", "lake"])
def test_a_full_disk_loses_nothing_and_the_next_crawl_takes_up_what_was_fetched(
    user, server, place
):
    folder = user.folder / place
    with small_disk(folder, kilobytes=1024, filled=700 if place == "lake" else 0):
        line = failing(user, "crawl", "hostile", status=1)
        assert "No space left on device" in line
        assert f"SITREP_{place.upper()}" in line
        kept = len(user.rows("SELECT DISTINCT url FROM articles")) if place == "spool" else 12
        assert kept > 3
        server.requests.clear()
        totals = crawl_again_with_space(user, folder)
        asked = [path for path in server.paths() if path.startswith("/news/")]
        assert (totals["new"], len(asked)) == (12 - kept, 12 - kept)
        assert len(user.rows("SELECT DISTINCT url FROM articles")) == 12
        assert user.run("doctor", check=False).returncode == 0


@needs_mount
@pytest.mark.parametrize("free_kilobytes", [pytest.param(40, marks=pytest.mark.soak), 400])
def test_a_full_disk_under_the_state_is_told_and_made_good(user, server, free_kilobytes):
    folder = user.folder / "state"
    paths = [f"/news/{n}/" for n in range(3000)]
    server.routes["/feed"] = sitemap(server.url(path) for path in paths)
    with small_disk(folder, kilobytes=1024, filled=1024 - free_kilobytes):
        line = failing(user, "crawl", "hostile", "--limit", "12", status=1)
        assert "sqlite:///state/sitrep.db" in line
        assert "disk is full" in line
        mount(folder, "remount,size=64m")
        said = user.json("crawl", "hostile", "--limit", "12")["totals"]
        assert (said["new"], said["failed"]) == (12, 0)
        assert user.run("doctor", check=False).returncode == 0


# --- previews -----------------------------------------------------------------------------------


def test_extract_reads_an_address_of_a_site_or_of_none_and_a_file_and_stores_nothing(user, server):
    with HostileServer() as nobody:
        nobody.routes["/piece"] = story(3)
        unclaimed = user.json("extract", nobody.url("/piece"))
    claimed = user.json("extract", server.url("/news/1/"))
    file = user.folder / "saved.html"
    file.write_text(story_html(4, canonical=server.url("/news/4/")))
    saved = user.json("extract", "saved.html")
    assert (claimed["site"], claimed["headline"]) == ("hostile", "Story 1 of the day")
    assert (unclaimed["site"], unclaimed["headline"]) == (None, "Story 3 of the day")
    assert (saved["site"], saved["url"]) == ("hostile", server.url("/news/4/"))
    assert "Report 400 says" in saved["article_body"]
    assert not (user.folder / "lake").exists()


def test_extract_of_what_cannot_be_had_says_why_in_one_line(user, server):
    server.routes["/news/loop"] = redirect("/news/loop")
    cases = {
        server.url("/news/missing"): (1, "HTTP 404"),
        server.url("/news/loop"): (1, "redirects without end"),
        "no-such-file.html": (2, "cannot be read"),
        "http:///nohost": (2, "http:///nohost"),
    }
    for source, (status, said) in cases.items():
        assert said in failing(user, "extract", source, status=status)
    done = user.run("extract", "no-such-file.html", "--json", check=False)
    assert set(json.loads(done.stdout)["error"]) == {"message", "where", "remedy"}


def test_recrawl_exits_1_when_one_of_its_addresses_failed_and_tells_of_each(user, server):
    server.routes["/news/bad/"] = Answer(b"", 410)
    good, bad = server.url("/news/1/"), server.url("/news/bad/")
    said = user.json("recrawl", good, bad, "not-an-address", check=False)["results"]
    assert [one["outcome"] for one in said] == ["new", "failed", "failed"]
    assert [one["status"] for one in said] == [200, 410, None]
    assert user.run("recrawl", good, bad, check=False).returncode == 1
    assert user.run("recrawl", good, check=False).returncode == 0


def test_sites_check_tells_what_works_and_exits_1_where_a_source_is_broken(user, server):
    said = user.json("sites", "check", "hostile")
    assert (said["discovered"], len(said["samples"]), said["errors"]) == (12, 3, [])
    assert all(one["words"] > 50 and one["refusal"] is None for one in said["samples"])
    server.write_site_file(user.folder / "sites", feeds=["/feed", "/lost"])
    done = user.run("sites", "check", "hostile", check=False)
    assert done.returncode == 1
    assert f"{server.url('/lost')}: HTTP 404" in done.stdout
