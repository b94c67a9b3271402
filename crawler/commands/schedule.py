"""`sitrep schedule`: the loop that crawls each site when it is due, for months."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from crawler.commands.common import Context, verb
from crawler.report import iso
from crawler.supervisor import Orders, Supervisor


@click.command()
@click.argument("names", nargs=-1, metavar="[SITE]...")
@click.option("--once", is_flag=True, help="Crawl what is due now, then end.")
@click.option("--no-compact", is_flag=True, help="Leave `sitrep compact` to others.")
@verb
def schedule(context: Context, *, names: Sequence[str], once: bool, no_compact: bool) -> int:
    """Crawl SITEs (all of the register when none is named) as they fall due, until ended.

    Each crawl is a process of its own; one that dies is begun again, later each time. Settings and
    site files are read again before each. The lake is compacted once a day. Ctrl-C or SIGTERM:
    crawls finish what is in flight; given twice, they stop at once.
    """
    context.register.sites(names)  # a name that is none is told now, not in a log
    began = datetime.now(UTC)
    orders = Orders(names=names, is_once=once, is_compacting=not no_compact, flags=context.flags)
    supervisor, status = asyncio.run(_supervised(context, orders))
    sites = [{"site": name, **asdict(one)} for name, one in sorted(supervisor.tallies.items())]
    context.out.result(
        {"started_at": iso(began), "finished_at": iso(datetime.now(UTC)), "sites": sites}
    )
    context.out.table(
        ("site", "crawls", "failed", "new", "changed"),
        [[site[key] for key in ("site", "crawls", "failed", "new", "changed")] for site in sites],
    )
    return status


async def _supervised(context: Context, orders: Orders) -> tuple[Supervisor, int]:
    supervisor = Supervisor(context.reread, orders)
    return supervisor, await supervisor.run()
