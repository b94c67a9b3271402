"""`sitrep export`: articles as one file."""

from __future__ import annotations

from pathlib import Path

import click

from crawler.commands.common import Context, verb
from pipelines.export import export_articles
from pipelines.lake import Lake


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--where", metavar="SQL", help="Which articles: a condition over their columns.")
@verb
def export(context: Context, *, file: Path, where: str | None) -> None:
    """Write articles to one file: Parquet, CSV, JSON lines.

    The ending of FILE says which: .parquet, .csv or .jsonl. It is written whole or not at all.

    In CSV, a text that a spreadsheet would run as a formula gets an apostrophe before it.

    \b
    sitrep export navy.csv --where "headline ILIKE '%frigate%'"
    """
    lake = Lake.open(context.settings.lake)
    rows = export_articles(lake, file, where=where)
    context.out.result({"file": str(file), "rows": rows})
    context.out.say(f"{rows} articles written to {file}")
