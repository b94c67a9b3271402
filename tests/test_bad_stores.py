"""Object stores that are not there, not ours, or not well: told in one line, and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests import flaky_s3
from tests.flaky_s3 import Call, Cut, Fault, FlakyS3, every
from tests.installation import Installation
from tests.living_site import LivingSite, settle_in, story
from tests.s3 import Store, free_port

STORIES = range(1, 6)
# What the suite shows by one of its kind; the others belong to the long runs.
SOAK = pytest.mark.soak


@dataclass
class User:
    """Somebody whose lake is in a bucket, and the way there. Nothing is crawled yet."""

    installation: Installation
    site: LivingSite
    store: Store
    way: FlakyS3

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `sitrep`, and see that it keeps its keys to itself and never shows a traceback."""
        done = self.installation.run(*arguments, check=False, settings=settings)
        for told in (done.stdout, done.stderr):
            assert "Traceback" not in told
            assert self.store.access_key not in told
            assert self.store.secret_key not in told
        return done

    def failing(self, *arguments: str, **settings: str) -> str:
        """Run what must fail; return the one line it says."""
        done = self.run(*arguments, **settings)
        said = [line for line in done.stderr.splitlines() if not line.startswith("20")]
        assert done.returncode == 1, done.stderr
        assert len(said) == 1, done.stderr
        return said[0]

    def failing_as_json(self, *arguments: str, **settings: str) -> dict[str, str]:
        done = self.run(*arguments, "--json", **settings)
        assert done.returncode == 1, done.stderr
        error: dict[str, str] = json.loads(done.stdout)["error"]
        assert set(error) == {"message", "where", "remedy"}
        assert error["remedy"], error
        return error

    def kept(self) -> list[Path]:
        """Return what the spool holds."""
        return sorted((self.installation.folder / "state" / "spool").glob("*.gz*"))

    def headlines(self) -> list[str]:
        rows = self.installation.rows("SELECT headline FROM articles ORDER BY headline")
        return [row["headline"] for row in rows]


@contextmanager
def visiting(folder: Path, server: Store) -> Iterator[User]:
    """A user with an empty bucket, and a site with a handful of stories."""
    with LivingSite() as site, FlakyS3(server.endpoint) as way:
        site.put(*(story(n) for n in STORIES))
        store = replace(server.with_bucket(), endpoint=way.endpoint)
        installation = settle_in(folder, site)
        installation.settings |= store.environment
        installation.settings |= {"SITREP_LAKE": store.url("lake"), "SITREP_WORKERS": "1"}
        yield User(installation, site, store, way)


@pytest.fixture
def user(tmp_path: Path, moto: Store) -> Iterator[User]:
    with visiting(tmp_path, moto) as made:
        yield made


ALL = [story(n).headline for n in STORIES]

# What goes wrong, what the one line has to name, and what is to be done about it.
REFUSALS: dict[str, tuple[Fault, str, str]] = {
    "expired": (flaky_s3.expired_token(), "expired", "credentials"),
    "skewed": (flaky_s3.skewed_clock(), "clock", "clock"),
    "unknown key": (flaky_s3.unknown_key(), "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
    "read-only": (flaky_s3.read_only(), "denied", "s3:PutObject"),
    "moved": (flaky_s3.moved_to("bucket", "eu-north-1"), "eu-north-1", "AWS_"),
    "no bucket": (flaky_s3.no_bucket("bucket"), "bucket", "SITREP_LAKE"),
}


def is_named(what: str, text: str) -> bool:
    return what.lower() in text.lower()


# --- nothing can be written from the start ------------------------------------------------------


@pytest.mark.parametrize("name", REFUSALS)
def test_a_store_that_refuses_is_told_before_anything_is_fetched(user, name):
    user.way.fault, said, remedy = REFUSALS[name]
    line = user.failing("crawl", user.site.name)
    assert is_named(said, line), line
    assert is_named(remedy, line), line
    assert user.site.requests == []


def test_a_store_that_refuses_is_told_as_json_and_by_verbs_that_read(user):
    user.way.fault, said, remedy = REFUSALS["expired"]
    for verb in (["query", "FROM articles"], ["status"], ["doctor"]):
        error = user.failing_as_json(*verb)
        assert is_named(said, error["message"]), error
        assert is_named(remedy, error["remedy"]), error


def test_a_bucket_that_is_not_there_is_told_with_its_name(user):
    lake = "s3://no-such-bucket-anywhere/lake"
    error = user.failing_as_json("crawl", user.site.name, SITREP_LAKE=lake)
    assert "no-such-bucket-anywhere" in error["where"]
    assert "SITREP_LAKE" in error["remedy"]
    assert user.site.requests == []


def test_without_credentials_nobody_is_asked_for_any_and_the_remedy_is_told(user):
    gone = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    line = user.failing("crawl", user.site.name, **gone)
    assert is_named("credentials", line), line
    assert "AWS_ACCESS_KEY_ID" in line
    assert user.site.requests == []


def test_an_endpoint_where_nobody_answers_is_told_soon(user):
    nobody = f"http://127.0.0.1:{free_port()}"
    line = user.failing("crawl", user.site.name, AWS_ENDPOINT_URL_S3=nobody)
    assert nobody in line
    assert "AWS_ENDPOINT_URL_S3" in line
    assert user.site.requests == []


@pytest.mark.parametrize("lake", ["s3://", "s3:///lake", "s3://Bad_Bucket!/lake"])
def test_an_address_that_names_no_bucket_is_told(user, lake):
    done = user.run("crawl", user.site.name, SITREP_LAKE=lake)
    assert done.returncode in {1, 2}
    assert "SITREP_LAKE" in done.stderr
    assert user.site.requests == []


def test_a_bucket_of_another_region_works_or_is_told_with_its_region(user):
    """AWS refuses what is signed for another region, and says which it is."""
    user.way.fault = flaky_s3.lives_in("eu-north-1")
    line = user.failing("crawl", user.site.name)
    assert "eu-north-1" in line
    assert "AWS_DEFAULT_REGION" in line
    user.installation.run("crawl", user.site.name, settings={"AWS_DEFAULT_REGION": "eu-north-1"})
    user.way.fault = None
    assert user.headlines() == ALL


# --- it goes wrong in the middle ----------------------------------------------------------------


def writes(part: str) -> Callable[[Call], bool]:
    return lambda call: call.method == "PUT" and part in call.path


def once_asked(first: Callable[[Call], bool], fault: Fault) -> Fault:
    """Have all go wrong from the first call of a kind on."""
    begun: list[Call] = []

    def later(call: Call) -> Any:
        if not begun and first(call):
            begun.append(call)
        return fault(call) if begun else None

    return later


def put_right(user: User) -> None:
    """With the cause gone, one crawl brings in what was kept, and asks no site for it again."""
    user.way.fault = None
    user.site.requests.clear()
    user.installation.crawl(user.site.name)
    assert [one.path for one in user.site.requests if "story" in one.path] == []
    assert user.headlines() == ALL
    rows = user.installation.rows("SELECT count(*) AS n, count(DISTINCT url) AS u FROM revisions")
    assert rows == [{"n": len(ALL), "u": len(ALL)}]
    captures = "SELECT count(*) - count(DISTINCT warc_record_id) AS twice FROM captures"
    assert user.installation.rows(captures) == [{"twice": 0}]
    assert user.installation.json("doctor") == {"ok": True, "findings": []}
    assert user.kept() == []


MOMENTS = {
    "archive": "/warc/",
    "log": "/revisions/_delta_log/",
    "published": "/articles/",
}
SHOWN = {("expired", "archive")}


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        pytest.param(name, moment, marks=() if (name, moment) in SHOWN else SOAK)
        for name in REFUSALS
        for moment in MOMENTS
    ],
)
def test_a_store_that_refuses_in_the_middle_loses_nothing(user, name, moment):
    fault, said, remedy = REFUSALS[name]
    user.way.fault = once_asked(writes(MOMENTS[moment]), fault)
    line = user.failing("crawl", user.site.name)
    assert is_named(said, line), line
    assert is_named(remedy, line), line
    if moment == "archive":
        assert user.kept()
    put_right(user)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(every(10, flaky_s3.server_error()), id="an error"),
        pytest.param(every(10, flaky_s3.slow_down()), id="slow down", marks=SOAK),
        pytest.param(every(10, flaky_s3.cut(Cut.BEFORE)), id="no answer", marks=SOAK),
        pytest.param(
            every(10, flaky_s3.cut(Cut.MIDDLE), of=lambda call: call.method == "GET"),
            id="half an answer",
            marks=SOAK,
        ),
        pytest.param(every(7, flaky_s3.cut(Cut.AFTER)), id="done, but no answer", marks=SOAK),
        pytest.param(
            every(7, flaky_s3.server_error(is_too_late=True)), id="done, but an error", marks=SOAK
        ),
    ],
)
def test_what_goes_wrong_now_and_then_is_tried_again_and_nothing_is_twice(user, fault):
    user.way.fault = fault
    user.installation.crawl(user.site.name)
    assert user.headlines() == ALL
    assert len(user.way.refusals()) >= 3
    put_right(user)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        pytest.param("revisions", flaky_s3.cut(Cut.AFTER), id="revisions, no answer"),
        *(
            pytest.param(table, fault, id=f"{table}, {name}", marks=SOAK)
            for table, fault, name in (
                ("revisions", flaky_s3.server_error(is_too_late=True), "an error"),
                ("captures", flaky_s3.cut(Cut.AFTER), "no answer"),
                ("captures", flaky_s3.server_error(is_too_late=True), "an error"),
                ("relations", flaky_s3.cut(Cut.AFTER), "no answer"),
                ("relations", flaky_s3.server_error(is_too_late=True), "an error"),
                ("runs", flaky_s3.cut(Cut.AFTER), "no answer"),
                ("runs", flaky_s3.server_error(is_too_late=True), "an error"),
            )
        ),
    ],
)
def test_a_commit_whose_answer_is_lost_is_in_once(user, table, fault):
    """The log entry is there, and nobody told us: written again it would be there twice."""
    lost = every(1, fault, of=writes(f"/{table}/_delta_log/"))
    first: list[Call] = []
    user.way.fault = lambda call: None if first or not (said := lost(call)) else said or first
    done = user.run("crawl", user.site.name)
    assert done.returncode in {0, 1}
    put_right(user)


# --- killed -------------------------------------------------------------------------------------


def crawl_killed(user: User, n: int, where: Cut) -> bool:
    """Crawl, and kill all its processes before or after the `n`-th call that writes.

    Tell whether there was one. Nothing that it asks for once it is to die is done any more.
    """
    begun: list[Call] = []
    count = every(n, lambda _: where, of=lambda call: call.writes)
    process = subprocess.Popen(
        [sys.executable, "-m", "crawler", "crawl", user.site.name],
        cwd=user.installation.folder, env=user.installation.env, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def kill(call: Call) -> Any:
        now = bool(begun) or (where is Cut.BEFORE and bool(count(call)))
        if now:
            begun.append(call)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return Cut.BEFORE
        if where is Cut.AFTER and (said := count(call)):
            begun.append(call)
            return said
        return None

    user.way.fault = kill
    return process.wait(timeout=120) == -signal.SIGKILL


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, moto: Store) -> list[Call]:
    """What a crawl writes that nobody disturbs, call by call."""
    with visiting(tmp_path_factory.mktemp("undisturbed"), moto) as user:
        user.installation.crawl(user.site.name)
        return [call for call in user.way.calls if call.writes]


def killed_and_taken_up(user: User, n: int, where: Cut) -> None:
    if not crawl_killed(user, n, where):
        pytest.skip(f"less than {n} calls wrote this time")
    user.way.fault = None
    captured = user.installation.rows("SELECT DISTINCT warc_path FROM captures")
    keys = user.store.objects("lake/")
    assert all(f"lake/{row['warc_path']}" in keys for row in captured), "rows without their file"
    put_right(user)


@pytest.mark.parametrize(
    ("share", "where"), [(0.3, Cut.AFTER), pytest.param(0.6, Cut.BEFORE, marks=SOAK)]
)
def test_killed_at_a_write_a_crawl_is_made_good_by_the_next(user, written, where, share):
    killed_and_taken_up(user, 1 + int(share * len(written)), where)


@pytest.mark.soak
@pytest.mark.parametrize("where", [Cut.BEFORE, Cut.AFTER])
@pytest.mark.parametrize("n", range(1, 60))
def test_killed_at_any_write_a_crawl_is_made_good_by_the_next(user, n, where):
    killed_and_taken_up(user, n, where)
