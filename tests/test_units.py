"""The cron line and the systemd units of docs/schedule.md are ones that the programs take."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from crawler.cli import cli
from tests.verbs import command_of

TEXT = (Path(__file__).parents[1] / "docs" / "schedule.md").read_text(encoding="utf-8")
UNITS = re.findall(r"^```ini\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
NAMES = ("sitrep.service", "sitrep-due.timer", "sitrep-due.service")
KNOWN = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {"Type", "User", "WorkingDirectory", "ExecStart", "KillMode", "TimeoutStopSec",
                "Restart", "RestartSec"},
    "Timer": {"OnCalendar", "Persistent"},
    "Install": {"WantedBy"},
}  # fmt: skip


def read(unit: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's keys have capitals
    parser.read_string(unit)
    return parser


def taken(line: str) -> dict[str, object]:
    """Return what the program takes a command line for; parsing asks for nothing."""
    words = shlex.split(line)
    assert words[0].endswith(".venv/bin/sitrep")
    found: dict[str, object] = command_of(cli, words[1]).make_context("sitrep", words[2:]).params
    return found


def test_there_is_each_unit_that_the_document_names() -> None:
    assert len(UNITS) == len(NAMES)
    assert all(f"/{name}`" in TEXT for name in NAMES)


@pytest.mark.parametrize("unit", UNITS, ids=NAMES)
def test_sections_and_keys_of_a_unit_are_systemds(unit: str) -> None:
    parser = read(unit)
    for section in parser.sections():
        assert set(parser[section]) <= KNOWN[section]


def test_commands_of_the_units_and_of_cron_are_taken() -> None:
    starts = [p["Service"]["ExecStart"] for p in map(read, UNITS) if p.has_section("Service")]
    assert [taken(line)["once"] for line in starts] == [False, True]
    # A service manager that told the crawls too would tell them twice: they would stop at once.
    assert TEXT.count("KillMode=mixed") == len(starts)
    cron = re.search(r"^(\S+ \S+ \S+ \S+ \S+) cd \S+ && (.*)$", TEXT, re.MULTILINE)
    assert cron
    assert cron[1] == "*/5 * * * *"
    assert taken(cron[2])["due"] is True


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    program = tmp_path / "sitrep"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name, unit in zip(NAMES, UNITS, strict=True):
        # Account and program are those of a machine where Sitrep is installed.
        here = unit.replace("/srv/sitrep/.venv/bin/sitrep", str(program))
        here = re.sub(r"^(User|WorkingDirectory)=.*\n", "", here, flags=re.MULTILINE)
        (tmp_path / name).write_text(here)
    files = [str(tmp_path / name) for name in NAMES]
    done = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "sitrep" in line]
    assert ours == []
