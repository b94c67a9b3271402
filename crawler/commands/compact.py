"""`sitrep compact`: the lake's small files merged, and what nobody needs any more cleared away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from crawler.commands.common import Context, verb
from crawler.console import shown_size
from crawler.settings import Settings
from crawler.site import duration, spell
from pipelines.compact import KEEP, Compacted, compact
from pipelines.lake import Lake
from pipelines.state import State
from pipelines.writers import admitted

# A query that listed a table's files has this long to open them, whatever is asked for.
LEAST = timedelta(minutes=10)


class _Duration(click.ParamType[timedelta]):
    """A duration as site files have it: 12h, 7d."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            length = duration(value)
        except ValueError as error:
            self.fail(f"{value!r} is {error}", param, ctx)
        if length is None or length < LEAST:
            self.fail(f"{value!r} is less than {spell(LEAST)}, which readers need", param, ctx)
        return length


@click.command("compact")
@click.option(
    "--keep",
    metavar="DURATION",
    type=_Duration(),
    default=spell(KEEP),
    show_default=True,
    help="How long what was replaced stays, for those who read it or go back to it.",
)
@verb
def compact_(context: Context, *, keep: timedelta) -> None:
    """Merge the small files of the lake's tables, and clear away what was replaced.

    No row changes. Crawls and readers may go on meanwhile; a Delta reader that has opened a table
    as it was longer than --keep ago opens it again.
    """
    tables = []
    with _opened(context.settings) as lake:
        for done in compact(lake, now=datetime.now(UTC), keep=keep):
            tables.append(asdict(done))
            context.out.say(_line(done))
    context.out.result({"keep": spell(keep), "tables": tables})


@contextmanager
def _opened(settings: Settings) -> Iterator[Lake]:
    """Give the lake to be written. In a bucket that takes the state which may write it."""
    lake = Lake.open(settings.lake)
    if lake.guard is not None:
        yield lake
        return
    state = State.open(settings.state)
    try:
        with admitted(lake, state, locks_folder=settings.locks_folder):
            yield lake
    finally:
        state.close()


def _line(done: Compacted) -> str:
    if done.left:
        return f"{done.table}: left as it is: {done.left}"
    if done.is_nothing:
        return f"{done.table}: nothing to do"
    return (
        f"{done.table}: {_files(done.files_before, done.bytes_before)} → "
        f"{_files(done.files_after, done.bytes_after)}; "
        f"{_files(done.vacuumed_files, done.vacuumed_bytes)} vacuumed; "
        f"log {done.log_entries_before} → {done.log_entries_after} entries"
    )


def _files(n: int, size_bytes: int) -> str:
    return f"{n} file{'s' * (n != 1)}" + f" ({shown_size(size_bytes)})" * bool(n)
