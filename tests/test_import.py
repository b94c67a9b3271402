"""Captures from elsewhere, imported: the same articles as if they had been fetched then."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from pipelines.archive import read_page
from pipelines.lease import FileLease
from pipelines.storage import LocalStorage
from pipelines.warc import sha1
from tests.captures import Captures
from tests.installation import Installation
from tests.living_site import Entry, LivingSite, Story, page, paragraphs, settle_in, story


@pytest.fixture
def site() -> Iterator[LivingSite]:
    with LivingSite() as running:
        yield running


@pytest.fixture
def installation(tmp_path: Path, site: LivingSite) -> Installation:
    return settle_in(tmp_path, site)


def edited(n: int) -> Story:
    return story(n, body=(*paragraphs(n), "A later paragraph tells what came of the crane."))


def test_versions_follow_each_other_by_time_of_capture_over_all_files(installation, site, tmp_path):
    late, early = Captures(), Captures()
    late.story(site, edited(1), at="2024-06-01T00:00:00Z")
    late.story(site, story(2), at="2024-05-20T00:00:00Z")
    early.story(site, story(1), at="2024-05-10T00:00:00Z")
    files = [late.save(tmp_path / "late.warc.gz"), early.save(tmp_path / "early.warc.gz")]
    said = installation.json("import", *map(str, files))
    assert said["totals"]["new"] == 2
    assert said["totals"]["changed"] == 1
    assert [one["imported"] for one in said["files"]] == [2, 1]
    rows = installation.rows(
        "SELECT revision, fetched_at, change FROM revisions WHERE url LIKE '%story-1/' ORDER BY 1"
    )
    assert [(row["revision"], row["fetched_at"][:10]) for row in rows] == [
        (1, "2024-05-10"),
        (2, "2024-06-01"),
    ]
    assert installation.json("doctor")["findings"] == []
    assert site.requests == []


def test_the_same_file_again_stores_nothing_again(installation, site, tmp_path):
    captures = Captures()
    captures.story(site, story(1))
    file = str(captures.save(tmp_path / "a.warc.gz"))
    installation.run("import", file, file)
    before = installation.rows("SELECT * FROM captures")
    again = installation.json("import", file)
    assert len(before) == 1
    assert again["files"][0]["imported"] == 0
    assert again["files"][0]["skipped"]["known"] == 1
    assert installation.rows("SELECT * FROM captures") == before


def test_where_a_capture_came_from_is_read_from_the_archive(installation, site, tmp_path):
    captures = Captures()
    captures.add(site.url("/"), b"<p>home</p>")
    record_id = captures.story(site, story(1))
    installation.run("import", str(captures.save(tmp_path / "a.warc.gz")))
    (row,) = installation.rows("SELECT warc_path, warc_offset, fetched_at FROM captures")
    found = read_page(LocalStorage(tmp_path / "lake"), (row["warc_path"], row["warc_offset"]))
    (origin,) = found.imported_from
    assert (origin.file, origin.record_id) == ("a.warc.gz", record_id)
    assert origin.offset > 0
    assert gzip.decompress((tmp_path / "a.warc.gz").read_bytes()[origin.offset :]).startswith(
        b"WARC"
    )
    assert row["fetched_at"] == "2024-05-06T09:00:00Z"
    shown = installation.json("show", site.url("/2024/05/story-1/"), "--raw")
    assert shown["imported_from"] == [asdict(origin)]


def test_every_record_is_imported_or_counted_by_its_reason(installation, site, tmp_path):
    captures = Captures(version="WARC/1.1")
    url, whole = site.url("/2024/05/story-1/"), page(story(1), site.url())
    captures.writer.write_record(captures.writer.create_warcinfo_record("a", {"software": "x"}))
    captures.add(url, b"GET / HTTP/1.1\r\n\r\n", kind="request")
    captures.add(url, whole)
    captures.add(url, b"fetchTimeMs: 1", kind="metadata")
    captures.add(url, whole, kind="conversion")
    captures.add(url, whole, kind="resource")
    captures.add("dns:gazette.example", b"20240506 gazette.example 127.0.0.1")
    captures.add("https://elsewhere.example/2024/05/a-story-of-theirs/", whole)
    captures.add(site.url("/2024/05/one-that-moved-away/"), b"", status="301 Moved")
    captures.add(site.url("/2024/05/one-that-is-gone/"), b"<p>gone</p>", status="404 Not Found")
    captures.add(site.url("/feed/"), b"<rss/>", headers=[("Content-Type", "text/xml")])
    captures.add(
        site.url("/2024/05/the-yard-from-above.jpg"),
        b"\xff\xd8",
        headers=[("Content-Type", "image/jpeg")],
    )
    captures.add(site.url("/2024/05/a-story-with-no-date/"), whole, at="yesterday")
    captures.add(site.url("/2024/05/a-story-of-tomorrow/"), whole, at="2999-01-01T00:00:00Z")
    altered = Captures(gzip=False)
    altered.add(site.url("/2024/05/a-story-that-was-altered/"), whole)
    captures.bytes.write(gzip.compress(altered.bytes.getvalue().replace(b"slipway", b"stocks.")))
    said = installation.json("import", str(captures.save(tmp_path / "a.warc.gz")))
    (file,) = said["files"]
    assert file["skipped"] == {
        "broken_date": 2, "conversion": 1, "foreign_host": 1, "http_404": 1, "metadata": 1,
        "not_article": 1, "not_html": 1, "not_http": 1, "redirect": 1, "request": 1, "resource": 1,
        "warcinfo": 1, "wrong_digest": 1,
    }  # fmt: skip
    assert (file["records"], file["imported"], file["error"]) == (15, 1, None)
    assert [one["url"] for one in installation.rows("SELECT url FROM captures")] == [url]


def test_bad_files_are_said_and_the_others_go_on(installation, site, tmp_path):
    captures = Captures()
    for n in range(1, 4):
        captures.story(site, story(n))
    whole = captures.bytes.getvalue()
    files = {
        "cut.warc.gz": whole[:-100],
        "page.warc.gz": b"<!doctype html><title>Not here</title>",
        "empty.warc.gz": b"",
        "old.arc": b"filedesc://x.arc 0.0.0.0 19960923142103 text/plain 76\n",
        "one.warc.gz": gzip.compress(gzip.decompress(whole)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.warc.gz").mkdir()
    names = [*files, "folder.warc.gz", "missing.warc.gz"]
    done = installation.run("import", *names, "--json", check=False)
    assert done.returncode == 1
    said = {one["file"]: one for one in json.loads(done.stdout)["files"]}
    assert said["cut.warc.gz"]["imported"] == 2
    assert said["cut.warc.gz"]["error"].startswith("cut.warc.gz, offset ")
    assert said["one.warc.gz"] == {
        "file": "one.warc.gz", "records": 3, "imported": 1, "skipped": {"known": 2}, "error": None,
    }  # fmt: skip
    for name in ("page.warc.gz", "empty.warc.gz", "old.arc", "folder.warc.gz", "missing.warc.gz"):
        assert said[name]["error"].startswith(f"{name}: ")
        assert "; " in said[name]["error"], "each error has its remedy"
        assert said[name]["error"] in done.stderr
    assert len(installation.rows("SELECT * FROM articles")) == 3


def test_nothing_to_import_writes_nothing(installation, tmp_path):
    (tmp_path / "page.warc.gz").write_bytes(b"<!doctype html>")
    done = installation.run("import", "page.warc.gz", "--json", check=False)
    said = json.loads(done.stdout)
    assert (done.returncode, said["run_id"]) == (1, None)
    assert not (tmp_path / "lake").exists()


def test_no_file_is_wrong_use(installation):
    assert installation.run("import", "--json", check=False).returncode == 2


def test_an_archive_of_another_sitrep_gives_what_it_gave_there(installation, site, tmp_path):
    """Its hints and the addresses that it asked for come along; its feeds do not."""
    site.entries.append(Entry(path="/old/", title="Story number 1", author="Ada Quay"))
    site.redirect("/old/", "/2024/05/story-1/")
    site.put(story(1, authors=(), published=None), listed=False)
    site.put(story(2))
    installation.crawl(site.name)
    rows = (
        "SELECT url, canonical_url, revision, headline, authors, article_body, date_published, "
        "fetched_at, first_seen FROM revisions ORDER BY url"
    )
    files = [str(one) for one in (tmp_path / "lake" / "warc").rglob("*.warc.gz")]
    there = settle_in(tmp_path / "there", site)
    said = there.json("import", *files)
    assert there.rows(rows) == installation.rows(rows)
    assert there.rows(rows)[0]["authors"] == ["Ada Quay"]
    assert said["files"][0]["skipped"] == {
        "discovery": 2, "metadata": 5, "redirect": 1, "warcinfo": 1
    }  # fmt: skip
    assert installation.json("import", *files)["files"][0]["imported"] == 0


def test_a_story_that_moved_is_one_article_by_the_word_of_its_old_address(
    installation, site, tmp_path
):
    site.put(story(1), story(2))
    installation.crawl(site.name)
    site.redirect(story(1).path, "/2024/06/another-slug/")
    site.put(story(1, path="/2024/06/another-slug/"))
    installation.crawl(site.name)
    rows = "SELECT article_id, url, canonical_url FROM articles ORDER BY url"
    assert len(installation.rows(rows)) == 2
    files = [str(one) for one in (tmp_path / "lake" / "warc").rglob("*.warc.gz")]
    there = settle_in(tmp_path / "there", site)
    there.json("import", *files)
    assert there.rows(rows) == installation.rows(rows)


def test_what_is_older_than_the_article_is_archived_and_is_no_version(installation, site, tmp_path):
    site.put(edited(1))
    installation.crawl(site.name)
    captures = Captures()
    captures.story(site, story(1), at="2024-05-10T00:00:00Z")
    said = installation.json("import", str(captures.save(tmp_path / "a.warc.gz")))
    (one,) = said["sites"]
    assert (one["skipped"], one["unchanged"], one["fetched"]) == ({"older": 1}, 0, 1)
    assert len(installation.rows("SELECT * FROM revisions")) == 1
    assert len(installation.rows("SELECT * FROM captures WHERE fetched_at < '2024-06-01'")) == 1
    (state,) = [s for s in installation.json("status")["sites"] if s["site"] == site.name]
    before = installation.rows("SELECT finished_at FROM runs ORDER BY started_at")[0]["finished_at"]
    assert state["last_success"] == before, "an import is no visit to the site"


def test_revisits_are_resolved_within_the_files(installation, site, tmp_path):
    captures = Captures(version="WARC/1.1")
    url, whole = site.url("/2024/05/story-1/"), page(story(1), site.url())
    profile = "http://netpreserve.org/warc/1.1/revisit/"
    at_last = {"WARC-Payload-Digest": sha1(whole)}

    def revisit(at: str, profile_name: str, **warc: str) -> None:
        said = {"WARC-Profile": profile + profile_name}
        said |= {name.replace("_", "-"): value for name, value in warc.items()}
        captures.add(url, b"", kind="revisit", at=at, warc=said)

    revisit("2024-05-09T00:00:00Z", "identical-payload-digest", **at_last)  # before its original
    first = captures.add(url, whole, at="2024-05-06T00:00:00Z")
    revisit("2024-05-07T00:00:00Z", "identical-payload-digest", WARC_Refers_To=first)
    revisit("2024-05-08T00:00:00Z", "server-not-modified", WARC_Refers_To=first)
    revisit("2024-05-10T00:00:00Z", "identical-payload-digest", WARC_Refers_To="<urn:x:y>")
    said = installation.json("import", str(captures.save(tmp_path / "a.warc.gz")))
    assert said["files"][0]["imported"] == 3
    assert said["files"][0]["skipped"] == {"not_modified": 1, "revisit_of_unknown": 1}
    rows = installation.rows("SELECT fetched_at, verdict FROM captures ORDER BY 1")
    assert [(r["fetched_at"][:10], r["verdict"]) for r in rows] == [
        ("2024-05-06", "new"),
        ("2024-05-07", "unchanged"),
        ("2024-05-09", "unchanged"),
    ]
    assert installation.json("doctor")["findings"] == []


def test_files_of_others_among_our_own_are_said_and_left_and_the_crawl_goes_on(
    installation, site, tmp_path
):
    site.put(story(1))
    installation.crawl(site.name)
    captures, dateless = Captures(), Captures()
    captures.story(site, story(2))
    captures.story(site, story(3))
    dateless.add(site.url("/2024/05/a-story-with-no-date/"), b"<p>text</p>", at="yesterday")
    whole = captures.bytes.getvalue()
    files = {
        "whole": whole,
        "cut": whole[:-100],
        "single": gzip.compress(gzip.decompress(whole)),
        "plain": gzip.decompress(whole),
        "page": b"<!doctype html>",
        "dateless": dateless.bytes.getvalue(),
    }
    (month,) = (tmp_path / "lake" / "warc").glob("*/*")
    spool = tmp_path / "state" / "spool"
    paths = {month / f"{name}-1.warc.gz": data for name, data in files.items()}
    paths |= {spool / f"{name}-1.warc.gz.open": data for name, data in files.items()}
    for path, data in paths.items():
        path.write_bytes(data)
    site.put(story(4))
    done = installation.run("crawl", site.name)
    assert len(installation.rows("SELECT * FROM articles")) == 2
    assert (
        installation.rows(
            "SELECT * FROM captures WHERE warc_path LIKE '%-1.warc.gz' AND site <> 'slipway_post'"
        )
        == []
    )
    for path, data in paths.items():
        assert path.read_bytes() == data
        assert any(path.name in line and "[error" in line for line in done.stderr.splitlines())


def test_a_site_that_another_process_writes_waits(installation, site, tmp_path):
    captures = Captures()
    captures.story(site, story(1))
    file = str(captures.save(tmp_path / "a.warc.gz"))
    (tmp_path / "state").mkdir()
    lease = FileLease(tmp_path / "state" / "locks" / f"{site.name}.lock")
    assert lease.try_acquire()
    said = installation.json("import", file)
    assert said["files"][0]["skipped"] == {"busy": 1}
    assert said["sites"][0]["skipped"] == {"busy": 1}
    lease.release()
    assert installation.json("import", file)["totals"]["new"] == 1


def _truth(installation: Installation) -> list[object]:
    """Return what a lake says, but for what names a time of ours or a place in the archive."""
    columns = "url, fetched_at, payload_digest, verdict, article_id, revision"
    return [
        installation.rows(
            "SELECT * EXCLUDE (recorded_at, warc_path, warc_offset, warc_record_id) "
            "FROM revisions_all ORDER BY article_id, revision, extraction"
        ),
        installation.rows(
            "SELECT * EXCLUDE (recorded_at, warc_path, warc_offset, warc_record_id) "
            "FROM articles ORDER BY article_id"
        ),
        installation.rows(f"SELECT {columns} FROM captures ORDER BY {columns}"),
    ]


@pytest.fixture(scope="module")
def twice(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LivingSite, Path, list[object]]]:
    """A site, a file with two versions of each of its stories, and what it gives undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    captures = Captures()
    with LivingSite() as site:
        for n in range(1, 9):
            captures.story(site, edited(n), at=f"2024-06-{n:02d}T00:00:00Z")
            captures.story(site, story(n), at=f"2024-05-{n:02d}T00:00:00Z")
        file = captures.save(folder / "a.warc.gz")
        installation = settle_in(folder, site)
        installation.run("import", str(file))
        yield site, file, _truth(installation)


def test_after_a_kill_the_same_import_makes_what_it_would_have_made(tmp_path, twice):
    site, file, truth = twice
    installation = settle_in(tmp_path, site)
    _kill_at(installation, "captures_in", 2, file)
    said = installation.json("import", str(file))
    assert 0 < said["files"][0]["imported"] < 16
    assert _truth(installation) == truth
    assert installation.json("doctor")["findings"] == []


@pytest.mark.soak
@pytest.mark.parametrize(
    "step",
    ["archived", "decided", "closed", "moved", "revisions_in", "captures_in", "flipped", "saved"],
)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_after_a_kill_anywhere_the_same_import_makes_what_it_would_have_made(
    tmp_path, twice, step, n
):
    site, file, truth = twice
    installation = settle_in(tmp_path, site)
    _kill_at(installation, step, n, file)
    installation.run("import", str(file))
    assert _truth(installation) == truth
    assert installation.json("doctor")["findings"] == []


@pytest.mark.soak
def test_what_a_killed_import_archived_is_taken_up_by_a_crawl(tmp_path, twice):
    site, file, _ = twice
    installation = settle_in(tmp_path, site)
    _kill_at(installation, "archived", 3, file)
    installation.crawl(site.name)
    assert len(installation.rows("SELECT * FROM articles")) == 3


def _kill_at(installation: Installation, step: str, n: int, file: Path) -> None:
    done = installation.killed_at(step, n, "import", str(file))
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.soak
def test_ctrl_c_commits_what_was_taken_in_and_the_next_import_goes_on(tmp_path, twice):
    site, file, truth = twice
    installation = settle_in(tmp_path, site)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "import", str(file)],
        cwd=installation.folder,
        env=installation.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    spool = tmp_path / "state" / "spool"
    deadline = time.monotonic() + 60
    while not list(spool.glob("*.open")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert list(spool.glob("*.open")) == []
    first = len(installation.rows("SELECT * FROM captures"))
    assert 0 < first < 16
    assert installation.json("import", str(file))["files"][0]["imported"] == 16 - first
    assert _truth(installation) == truth


# `sitrep` whose archive takes a fifth of a second for each page.
SLOW = """
import time
from pipelines.archive_writer import WarcWriter
from crawler.cli import main
real = WarcWriter.write
def write(self, exchange):
    time.sleep(0.2)
    return real(self, exchange)
WarcWriter.write = write
main()
"""
