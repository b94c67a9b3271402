"""`sitrep import`: captures from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from crawler import offline
from crawler.commands.common import Context, verb
from crawler.commands.crawl import reasons, tell
from crawler.offline import Imported


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@verb
def import_(context: Context, *, files: Sequence[Path]) -> int:
    """Take in the articles of known sites that WARC FILEs hold, without network.

    Made by wget, Heritrix, Browsertrix, Common Crawl or another Sitrep: each capture goes into
    this archive first, with where it came from, and is read from there as if it had been fetched
    then; the earliest first, over all files. What is here already is not taken twice. Exit status
    1 when a file could not be read as a whole.
    """
    with context.out.progress("importing") as show:
        done = offline.import_captures(context.settings, files, progress=show)
    context.out.result(done.as_json())
    _tell(context, done)
    return done.exit_status


def _tell(context: Context, done: Imported) -> None:
    out, report = context.out, done.as_json()
    rows = [
        [one["file"], one["records"], one["imported"], reasons(one["skipped"])]
        for one in report["files"]
    ]
    out.table(("file", "records", "imported", "skipped"), rows)
    if done.is_run:
        tell(out, report)
        out.say(f"run {report['run_id']}, lake {context.settings.lake}")
    else:
        out.say("nothing to import: no record is an article of a known site")
