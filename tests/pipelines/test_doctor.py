"""The doctor finds each kind of damage and says where it is."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.addresses import keys_of
from crawler.register import Register
from pipelines import state_tables
from pipelines.doctor import Finding, examine
from pipelines.errors import LakeError
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
    try:
        lake = Lake.open(str(folder / "lake"))
    except LakeError as error:  # as the verb tells it
        return [
            Finding(check="files", level="error", where="_sitrep.json", what=str(error), remedy="")
        ]
    state = State.open_to_read(f"sqlite:///{folder}/state/sitrep.db")
    try:
        key_of = keys_of(Register(folder / "sites").find)
        return list(examine(lake, state, spool=folder / "state" / "spool", key_of=key_of))
    finally:
        state.close()


@contextmanager
def _flipped(file: Path, *, at: int, bits: int) -> Iterator[None]:
    """Have some bits of one byte be others."""
    data, times = file.read_bytes(), file.stat()
    file.write_bytes(data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :])
    yield
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _flips(folder: Path, *, n: int, seed: int) -> Iterator[tuple[Path, int, int]]:
    """Yield a file of the lake, a byte of it, and which of its bits are to be flipped."""
    chance = random.Random(seed)  # noqa: S311 - places, no secrets
    files = [one for one in sorted((folder / "lake").rglob("*")) if one.is_file()]
    files = [one for one in files if one.stat().st_size]
    for number in range(n):
        # Each file in its turn, so that few flips are of many kinds of files.
        file = files[(seed + number * 7) % len(files)]
        places = (0, file.stat().st_size - 1, chance.randrange(file.stat().st_size))
        yield file, chance.choice(places), chance.choice((0xFF, 1 << chance.randrange(8)))


def _find_flips(folder: Path, *, n: int, seed: int) -> None:
    for file, at, bits in _flips(folder, n=n, seed=seed):
        with _flipped(file, at=at, bits=bits):
            found = _examine(folder)
        name = file.relative_to(folder / "lake").as_posix()
        told = [one for one in found if name in one.where + one.what]
        assert told, f"{name}, byte {at}, bits {bits:#x}: {found}"
        if name.endswith(".warc.gz"):
            assert "offset" in told[0].where, f"{name}, byte {at}, bits {bits:#x}"
    assert _examine(folder) == []


def test_one_flipped_byte_is_found_and_its_file_named(patient):
    _find_flips(patient.folder, n=12, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_one_flipped_byte_is_found_wherever_it_is(patient, seed):
    _find_flips(patient.folder, n=60, seed=seed)


def test_a_bit_that_no_record_needs_is_found_and_its_record_named(patient):
    """A deflate stream ends within a byte; gzip's header has bytes that no checksum covers."""
    file = _warc(patient.folder)
    offset = _second_member(file)
    with _flipped(file, at=offset + 4, bits=1):  # a time that readers pass over
        [found] = _examine(patient.folder)
    assert found.where.endswith(f"{file.name}, offset {offset}")


def _second_member(file: Path) -> int:
    inflate = zlib.decompressobj(31)
    inflate.decompress(file.read_bytes())
    return file.stat().st_size - len(inflate.unused_data)


_KEPT = {
    "articles": [column.name for column in state_tables.articles.columns],
    "aliases": ["article_id", "url_key"],
    "responses": [
        column.name for column in state_tables.responses.columns if column.name != "settled"
    ],
    "batches": ["warc_path"],
    "links": ["article_id", "status", "hints", "first_seen"],
}


@pytest.mark.parametrize("table", _KEPT)
def test_a_value_of_the_state_that_is_another_is_found(patient, table):
    file = patient.folder / "state" / "sitrep.db"
    kept = file.read_bytes()
    for column in _KEPT[table]:
        engine = sa.create_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            where = f"WHERE rowid = (SELECT max(rowid) FROM {table} WHERE site IS NOT NULL)"
            where = "" if table == "batches" else where
            sql = f"UPDATE {table} SET {column} = coalesce({column}, '') || '1' {where}"
            connection.execute(sa.text(sql))
        engine.dispose()
        found = _examine(patient.folder)
        assert [one.check for one in found if one.level == "error"], (table, column)
        assert {one.check for one in found} == {"state"}
        file.write_bytes(kept)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("DELETE FROM copy_keys", "copies of it are not found"),
        ("UPDATE copy_keys SET key = key + 1 WHERE key % 4 <> 0", "copies of it are not found"),
        ("UPDATE copy_texts SET text = zeroblob(1999)", "its text is kept otherwise"),
    ],
)
def test_an_index_of_copies_that_is_not_what_the_lake_says_is_found_and_made_again(
    patient, sql, what
):
    engine = sa.create_engine(f"sqlite:///{patient.folder}/state/sitrep.db")
    with engine.begin() as connection:
        connection.execute(sa.text(sql))
    engine.dispose()
    found = _examine(patient.folder)
    assert {one.where.split(",")[1] for one in found} == {" copies"}
    assert all(what in one.what and one.level == "error" for one in found)
    assert patient.json("doctor", "--rebuild")["ok"]
    assert _examine(patient.folder) == []


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
    assert any("is a copy of" in one["what"] for one in said["findings"])


def test_a_file_that_nobody_of_us_wrote_is_told_and_left(patient):
    (patient.folder / "lake" / "notes.txt").write_text("mine")
    (patient.folder / "lake" / "revisions" / "more.parquet").write_bytes(b"PAR1")
    said = patient.json("doctor")
    assert {one["where"] for one in said["findings"]} == {"notes.txt", "revisions/more.parquet"}
    assert {one["level"] for one in said["findings"]} == {"warning"}


def test_a_table_that_another_program_compacted_is_in_order(patient):
    lake = Lake.open(str(patient.folder / "lake"))
    for table in ("captures", "revisions"):
        found = lake.table(table)
        assert found is not None
        found.optimize.compact()
        found = lake.table(table)
        assert found is not None
        found.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert {(one.check, one.level) for one in _examine(patient.folder)} == {("files", "warning")}
    with Lake.open(lake.storage.url).lock():
        pass  # as any crawl begins
    assert _examine(patient.folder) == []
    _flip(Path(lake.files("captures")[0]), at=0.3)
    assert any("captures/part-" in one.where for one in _examine(patient.folder))


def _everything(folder: Path) -> dict[str, tuple[int, int]]:
    there = [one for one in folder.rglob("*") if one.is_file()]
    return {str(one): (one.stat().st_mtime_ns, one.stat().st_size) for one in there}


def test_a_doctor_writes_nothing(patient):
    (log,) = (patient.folder / "lake" / "relations" / "_delta_log").glob("*1.json")
    log.write_bytes(b"")
    (patient.folder / "lake" / "_sums" / "relations" / log.name).unlink()
    shutil.rmtree(patient.folder / "state")
    before = _everything(patient.folder)
    assert not patient.json("doctor", check=False)["ok"]
    assert _everything(patient.folder) == before


@pytest.mark.parametrize(
    "harm",
    [
        lambda f: _flip(_part(f)),
        pytest.param(lambda f: _part(f).unlink(), marks=pytest.mark.soak),
        pytest.param(lambda f: _manifest(f).unlink(), marks=pytest.mark.soak),
    ],
    ids=["a part altered", "a part lost", "the manifest lost"],
)
def test_what_is_derived_is_made_again_by_the_remedy(patient, harm):
    truth = patient.rows("SELECT * FROM articles ORDER BY url")
    harm(patient.folder)
    found = patient.json("doctor", check=False)["findings"]
    assert any("doctor --rebuild" in one["remedy"] for one in found if one["level"] == "error")
    assert patient.json("doctor", "--rebuild")["ok"]
    assert patient.rows("SELECT * FROM articles ORDER BY url") == truth


def _manifest(folder: Path) -> Path:
    return max((folder / "lake" / "_articles").glob("*.json"))


@pytest.mark.parametrize("name", ["*/00000000000000000001.json", "warc/**/*.json"])
def test_damaged_sums_are_deleted_and_written_anew(patient, name):
    file = min((patient.folder / "lake" / "_sums").glob(name))
    _flip(file)
    [found] = [one for one in _examine(patient.folder) if one.level == "error"]
    assert "delete it" in found.remedy
    file.unlink()
    [found] = _examine(patient.folder)
    assert found.level == "warning"
    with Lake.open(str(patient.folder / "lake")).lock():
        pass  # as any crawl begins
    assert _examine(patient.folder) == []


def test_a_lake_is_healthy_while_a_crawl_is_running(tmp_path):
    with LivingSite() as site:
        site.put(*(story(n) for n in range(1, 4)))
        installation = settle_in(tmp_path, site)
        installation.crawl(site.name)
        site.put(*(story(n) for n in range(4, 9)))
        site.delay_seconds = 0.2
        command = [sys.executable, "-m", "crawler", "crawl", site.name]
        looks = 0
        with subprocess.Popen(
            command, cwd=tmp_path, env=installation.env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            while process.poll() is None:
                found = [one for one in _examine(tmp_path) if one.check != "spool"]
                assert found == []
                looks += 1
        assert looks > 3
