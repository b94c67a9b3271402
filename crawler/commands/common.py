"""What every verb shares: settings by flag, --json, -v and -q, and one place for errors."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from crawler.console import Out, configure_logging
from crawler.register import Register
from crawler.settings import Settings, read_settings
from pipelines.errors import ReplacedError, SitrepError

logger = logging.getLogger(__name__)

_READINGS = 4
_FLAGS = ("lake", "state", "spool", "sites", "workers")


@dataclass(frozen=True, slots=True)
class Context:
    """What a verb works with."""

    settings: Settings
    out: Out
    # What was given on the command line, for those who read the settings again or hand them on.
    flags: Mapping[str, Any] = field(default_factory=dict)

    def reread(self) -> Settings:
        """Return the settings as they are now. Raises SettingsError."""
        return _settings(self.flags)

    @property
    def register(self) -> Register:
        return Register(self.settings.sites_folder)


def verb(command: Callable[..., int | None]) -> Callable[..., None]:
    """Give a verb the common options, and make its errors lines and its result the exit status.

    The verb is called with a `Context` first, and returns its exit status, or None for 0.
    """

    @click.option("--json", "is_json", is_flag=True, help="One JSON object on standard output.")
    @click.option("--lake", metavar="FOLDER", help="Where the lake is (SITREP_LAKE).")
    @click.option("--state", metavar="URL", help="The state database (SITREP_STATE).")
    @click.option("--spool", metavar="FOLDER", help="Where open WARC files lie (SITREP_SPOOL).")
    @click.option("--sites", metavar="FOLDER", help="Further site files (SITREP_SITES).")
    @click.option("--workers", type=int, metavar="N", help="Extraction processes (SITREP_WORKERS).")
    @click.option("-v", "--verbose", is_flag=True, help="Say more: log at debug.")
    @click.option("-q", "--quiet", is_flag=True, help="Say less: log errors only.")
    @functools.wraps(command)
    def run(*, is_json: bool, verbose: bool, quiet: bool, **options: Any) -> None:
        out = Out(is_json=is_json)
        try:
            flags = {name: options.pop(name) for name in _FLAGS}
            settings = _settings(flags)
            level = "debug" if verbose else "error" if quiet else settings.log_level
            configure_logging(level=level, form=settings.log_format)
            status = (
                _again(functools.partial(command, Context(settings, out, flags), **options)) or 0
            )
        except SitrepError as error:
            logger.debug("the error came from here", exc_info=True)
            out.error(error)
            status = error.exit_status
        raise SystemExit(status)

    return run


def _settings(flags: Mapping[str, Any]) -> Settings:
    return read_settings(flags, environment=os.environ, folder=Path.cwd())


def _again(command: Callable[[], int | None]) -> int | None:
    """Run what reads once more where an object was replaced meanwhile: nothing was printed yet."""
    for _ in range(_READINGS - 1):
        try:
            return command()
        except ReplacedError as error:
            logger.debug("%s", error)
    return command()
