"""The doctor finds each kind of damage and says where it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.doctor import Finding, examine
from pipelines.lake import Lake
from pipelines.state import State
from tests.installation import Installation
from tests.living_site import LivingSite, settle_in, story


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    with LivingSite() as site:
        site.put(*(story(n) for n in range(1, 5)))
        installation = settle_in(folder, site)
        installation.crawl(site.name)
        site.put(story(1, headline="An edit, so that there are two of all"))
        installation.json("recrawl", site.url(story(1).path))
    return folder


@pytest.fixture
def patient(healthy: Path, tmp_path: Path) -> Installation:
    shutil.copytree(healthy, tmp_path / "patient", symlinks=True)
    return Installation(folder=tmp_path / "patient")


def _first(folder: Path, pattern: str) -> Path:
    return min(one for one in folder.rglob(pattern) if one.is_file())


def _part(folder: Path) -> Path:
    return _first((folder / "lake" / "articles").resolve(), "*.parquet")


def _warc(folder: Path) -> Path:
    return _first(folder / "lake" / "warc", "*.warc.gz")


def _flip(file: Path, at: float = 0.5) -> None:
    data = bytearray(file.read_bytes())
    data[int(len(data) * at)] ^= 0xFF
    file.write_bytes(data)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _other_state(folder: Path) -> None:
    shutil.copytree(folder / "lake", folder / "first", symlinks=True)
    about = folder / "lake" / "_sitrep.json"
    about.write_text(about.read_text().replace('"lake_id": "', '"lake_id": "f'))


def _data_of(table: str) -> Callable[[Path], Path]:
    return lambda folder: _first(folder / "lake" / table, "*.parquet")


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a part deleted": (lambda f: _part(f).unlink(), "articles", "articles"),
    "a part altered": (lambda f: _flip(_part(f)), "articles", "articles"),
    "a part cut": (lambda f: _cut(_part(f)), "articles", "articles"),
    "articles removed": (lambda f: (f / "lake" / "articles").unlink(), "articles", "articles"),
    "a WARC file dropped": (lambda f: _warc(f).unlink(), "archive", ".warc.gz"),
    "a byte of a WARC file flipped": (lambda f: _flip(_warc(f)), "archive", ".warc.gz"),
    "a WARC file cut": (lambda f: _cut(_warc(f)), "archive", ".warc.gz"),
    "revisions without a file": (lambda f: _data_of("revisions")(f).unlink(), "", "revisions"),
    "captures without a file": (lambda f: _data_of("captures")(f).unlink(), "", "captures"),
    "relations without a file": (lambda f: _data_of("relations")(f).unlink(), "", "relations"),
    "the state lost": (lambda f: shutil.rmtree(f / "state"), "state", "state"),
    "another lake's state": (_other_state, "state", "state"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_found_and_located(patient, kind):
    harm, check, where = DAMAGE[kind]
    harm(patient.folder)
    errors = [one for one in _examine(patient.folder) if one.level == "error"]
    assert any(check in one.check and where in one.where + one.what for one in errors)
    assert all(one.remedy for one in errors)


def _examine(folder: Path) -> list[Finding]:
    lake = Lake.open(str(folder / "lake"))
    state = State.open(f"sqlite:///{folder}/state/sitrep.db")
    try:
        return list(examine(lake, state, spool=folder / "state" / "spool"))
    finally:
        state.close()


def test_an_error_is_told_in_a_line_and_exits_1(patient):
    _cut(_part(patient.folder))
    done = patient.run("doctor", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_clean_lake_has_no_findings(patient):
    assert patient.json("doctor") == {"ok": True, "findings": []}


def test_what_nobody_needs_is_a_warning(patient):
    spool = patient.folder / "state" / "spool"
    spool.mkdir(exist_ok=True)
    shutil.copy(_warc(patient.folder), spool / "20240501T000000Z-abcdef-1.warc.gz.open")
    orphan = _warc(patient.folder)
    shutil.copy(orphan, orphan.with_name("20240501T000000Z-fedcba-1.warc.gz"))
    said = patient.json("doctor")
    assert said["ok"]
    assert {one["level"] for one in said["findings"]} == {"warning"}
    assert {one["check"] for one in said["findings"]} == {"spool", "archive"}
