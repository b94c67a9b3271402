"""A user's folder, and `sitrep` run in it as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fixtures.newsroom import Newsroom
from tests import warm

CHECKOUT = Path(__file__).parents[1]
# A crawl of the newsroom takes some ten seconds; a machine under load gets ten times that.
PATIENCE_SECONDS = 120


@dataclass
class Installation:
    """A user's folder: lake, state and site files in it, and `sitrep` to run there."""

    folder: Path
    newsroom: Newsroom | None = None
    settings: dict[str, str] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    # What the largest process of the last `measured` run had resident, in kilobytes.
    peak_kilobytes: int = 0

    @property
    def env(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SITREP_")}
        return clean | {
            "PYTHONPATH": str(CHECKOUT),
            "SITREP_ALLOW_PRIVATE_NETWORKS": "1",
            "SITREP_LOG_LEVEL": "warning",
            "SITREP_WORKERS": "2",
            **self.settings,
        }

    def measured(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `sitrep` here as `run` does, and keep the peak of its processes' memory."""
        note = self.folder / "peak"
        done = self.run(str(note), *arguments, check=check, module="tests.measured")
        self.peak_kilobytes = int(note.read_text())
        return done

    def run(
        self,
        *arguments: str,
        check: bool = True,
        stdin: str | None = None,
        settings: Mapping[str, str] | None = None,
        module: str = "crawler",
    ) -> subprocess.CompletedProcess[str]:
        """Run `sitrep` here; with `check`, fail the test unless it exits 0."""
        done = warm.run(
            module,
            *arguments,
            folder=self.folder,
            env=self.env | dict(settings or {}),
            stdin=stdin,
            timeout=PATIENCE_SECONDS,
        )
        if check and done.returncode != 0:
            pytest.fail(f"sitrep {' '.join(arguments)} exited {done.returncode}:\n{done.stderr}")
        return done

    def killed_at(self, step: str, n: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `sitrep` here, all its processes killed at the N-th passage of a step."""
        return self.run(step, str(n), *arguments, check=False, module="tests.killed_crawl")

    def json(self, *arguments: str, check: bool = True, **options: Any) -> dict[str, Any]:
        """Run `sitrep … --json` here and return its one object."""
        done = self.run(*arguments, "--json", check=check, **options)
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def crawl(self, *sites: str, check: bool = True) -> dict[str, Any]:
        """Crawl sites (all of the newsroom when none is named) and keep the report."""
        names: Sequence[str] = sites or (self.newsroom.sites if self.newsroom else ())
        self.reports.append(self.json("crawl", *names, check=check))
        return self.reports[-1]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return what `sitrep query` gives, a dictionary a row."""
        answer = self.json("query", sql)
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def install(folder: Path, newsroom: Newsroom | None = None, **settings: str) -> Installation:
    """Make a user's folder with site files for the newsroom."""
    if newsroom is not None:
        (folder / "sites").mkdir()
        newsroom.write_site_files(folder / "sites")
    return Installation(folder=folder, newsroom=newsroom, settings=settings)
