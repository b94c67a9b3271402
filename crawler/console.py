"""What people and programs see: tables, progress, JSON, logs, errors.

With --json, one object on standard output and nothing else there; all else goes to standard error.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from crawler.estimate import told
from crawler.report import RunReport, iso
from pipelines.errors import SitrepError

# What a library says at INFO is of use to those who ask for it.
_CHATTY = ("scrapy", "twisted", "asyncio", "trafilatura", "htmldate", "py.warnings", "courlan")

PIPE_WIDTH = 160


class Out:
    """Where a command's words go. `is_json` decides which of the two faces it shows."""

    def __init__(self, *, is_json: bool):
        self.is_json = is_json
        self.people = _console(stderr=is_json)
        self.err = _console(stderr=True)

    def result(self, data: Mapping[str, Any]) -> None:
        """Print the one JSON object, when JSON was asked for."""
        if self.is_json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, default=plain) + "\n")
            sys.stdout.flush()

    def say(self, text: str = "", *, style: str | None = None) -> None:
        """Print a line for people; nothing with --json."""
        if not self.is_json:
            self.people.print(text, style=style, markup=False)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None
    ) -> None:
        if self.is_json:
            return
        table = Table(
            title=title, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        for name in columns:
            table.add_column(escape(name), overflow="fold")
        for row in rows:
            table.add_row(*("" if cell is None else escape(_cell(cell)) for cell in row))
        self.people.print(table, soft_wrap=False)

    def error(self, error: SitrepError) -> None:
        if self.is_json:
            said = {"message": error.message, "where": error.where, "remedy": error.remedy}
            self.result({"error": said})
        self.err.print(f"sitrep: {error}", markup=False, style="red")

    @contextmanager
    def progress(self, what: str) -> Iterator[Any]:
        """Give a function that shows how far a run is; silent when not on a terminal."""
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            console=self.err,
            transient=True,
            disable=not self.err.is_terminal,
        ) as progress:
            task = progress.add_task(what, total=None, counts="")

            def show(report: RunReport) -> None:
                totals = report.totals()
                counts = ", ".join(f"{totals[k]} {k}" for k in ("new", "changed", "failed"))
                done = totals["fetched"] + totals["not_modified"] + totals["failed"]
                lines = [
                    f"{name}: {told(site.standing)}"
                    for name, site in report.sites.items()
                    if site.standing is not None
                ]
                progress.update(
                    task, completed=done, counts=counts, description="\n".join(lines) or what
                )

            yield show


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    # A pipe has no width of its own; rich would take 80 and break every row.
    return (
        console
        if console.is_terminal
        else Console(stderr=stderr, highlight=False, soft_wrap=True, width=PIPE_WIDTH)
    )


def plain(value: object) -> object:
    """Return what JSON can hold: times as ISO 8601 with Z, durations in seconds."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value.replace(microsecond=0))
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(one) for one in value)
    return str(value)


def configure_logging(*, level: str, form: str) -> None:
    """Send logs to standard error, as text or as a JSON object a line."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # A filter, since Scrapy sets the levels of its loggers anew when it starts.
    least = logging.INFO if level == "debug" else logging.ERROR
    handler.addFilter(lambda r: r.levelno >= least or not r.name.startswith(_CHATTY))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def shown_size(size_bytes: float) -> str:
    """Return a size as people say it.

    >>> shown_size(1_234_567)
    '1.2 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
