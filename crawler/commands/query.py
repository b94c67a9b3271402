"""`sitrep query`: SQL over the lake."""

from __future__ import annotations

from datetime import datetime

import click

from crawler.commands.common import Context, verb
from crawler.commands.times import IsoTime
from pipelines.lake import Lake
from pipelines.sql import ask
from pipelines.views import connect

# A cell of a whole article would bury the table it stands in.
MOST_CHARACTERS = 120


@click.command()
@click.argument("sql")
@click.option(
    "--as-of",
    type=IsoTime(),
    metavar="TIME",
    help="As it was known then (UTC), by recorded_at.",
)
@verb
def query(context: Context, *, sql: str, as_of: datetime | None) -> None:
    """Ask the lake in SQL (DuckDB).

    Views: articles, revisions, revisions_all, captures, relations, clusters, edits,
    removed_blocks, furniture, reservations, runs. All times are in UTC.

    \b
    sitrep query "SELECT site, headline, date_published FROM articles ORDER BY 3 DESC LIMIT 10"
    sitrep query "SELECT url, kinds, sentences FROM edits WHERE list_contains(kinds, 'numbers')"
    sitrep query "SELECT source, original_headline, first_sites, members FROM clusters"
    """
    lake = Lake.open(context.settings.lake)
    with connect(lake, as_of=as_of) as connection:
        columns, rows = ask(connection, sql)
    context.out.result({"columns": columns, "rows": rows})
    context.out.table(columns, [[_short(cell) for cell in row] for row in rows])
    context.out.say(f"{len(rows)} rows" if len(rows) != 1 else "1 row")


def _short(cell: object) -> object:
    if isinstance(cell, str) and len(cell) > MOST_CHARACTERS:
        return cell[: MOST_CHARACTERS - 1].replace("\n", " ") + "…"
    return cell
