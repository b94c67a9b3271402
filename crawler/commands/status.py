"""`sitrep status`: what is there, and how it stands."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from crawler.commands.common import Context, verb
from crawler.console import shown_size
from crawler.estimate import told_unfinished
from crawler.report import iso, unfinished_as_json
from crawler.site import Site
from crawler.timetable import Timetable
from pipelines.backfill_state import unfinished_backfills
from pipelines.errors import LakeError
from pipelines.lake import Lake, is_there
from pipelines.schedule_state import warnings_of
from pipelines.spool import pending_captures
from pipelines.sql import ask
from pipelines.state import State
from pipelines.storage import LocalStorage, open_storage
from pipelines.views import connect


@click.command()
@verb
def status(context: Context) -> None:
    """Say how each site stands, what is pending, the disk."""
    settings = context.settings
    articles = _articles(settings.lake)
    state = State.open_to_read(settings.state)
    try:
        register, now = context.register, datetime.now(UTC)
        backfills = {name: unfinished_backfills(state, name) for name in register.names}
        sites = [
            _site(state, name, articles.get(name, 0))
            | _times(state, register.find(name), now)
            | {"backfills": [unfinished_as_json(one) for one in backfills[name]]}
            for name in register.names
        ]
    finally:
        state.close()
    result: dict[str, Any] = {
        "lake": settings.lake,
        "articles": sum(articles.values()),
        "sites": sites,
        "pending_captures": pending_captures(settings.spool_folder),
        "disk": _disk(settings.lake, settings.spool_folder),
    }
    context.out.result(result)
    context.out.table(
        ("site", "articles", "pending", "last run", "last success", "last error", "next due"),
        [[s["site"], s["articles"], s["pending_links"], *(s[k] for k in _TIMES)] for s in sites],
    )
    for site in sites:
        for one in site["warnings"]:
            context.out.say(f"{site['site']}: {one['url']}: {one['warning']}", style="yellow")
    for name, some in backfills.items():
        for backfill in some:
            context.out.say(f"{name}: {told_unfinished(backfill)}")
    disk = result["disk"]
    context.out.say(
        f"lake {settings.lake}: {result['articles']} articles, {shown_size(disk['lake_bytes'])}; "
        f"{result['pending_captures']} captures pending; {shown_size(disk['free_bytes'])} free"
    )


_TIMES = ("last_run", "last_success", "last_error", "next_due")


def _articles(lake: str) -> dict[str, int]:
    try:
        opened = Lake.open(lake)
    except LakeError:
        if is_there(lake):
            raise
        return {}  # no lake yet is a state of things, not an error
    with connect(opened) as connection:
        _, rows = ask(connection, "SELECT site, count(*) FROM articles GROUP BY site")
    return {str(site): int(count) for site, count in rows}


def _site(state: State, name: str, articles: int) -> dict[str, Any]:
    known = state.site(name)
    return {
        "site": name,
        "articles": articles,
        "pending_links": state.link_counts(name).get("pending", 0),
        "last_run": iso(known.last_run) if known.last_run else None,
        "last_success": iso(known.last_success) if known.last_success else None,
        "last_error": known.last_error,
        "warnings": warnings_of(state, name),
    }


def _times(state: State, site: Site | None, now: datetime) -> dict[str, Any]:
    """Say when a site is due next and how its last turn went, by its site file as it is now."""
    if site is None:
        return {"next_due": None, "last_seconds": None, "crashes": 0, "hubs": []}
    timetable = Timetable(state, site, now=now)
    due, turn = timetable.due_at, timetable.turn
    return {
        "next_due": iso(due) if due else None,
        "last_seconds": turn.seconds,
        "crashes": turn.failures,
        "hubs": timetable.hubs,
    }


def _disk(lake: str, spool: Path) -> dict[str, int]:
    storage = open_storage(lake)
    # Of a store that has no end, what is left where the crawl writes first.
    nearest = spool.absolute()
    if isinstance(storage, LocalStorage):
        nearest, lake_bytes = storage.folder, _bytes(storage.folder)
    else:
        lake_bytes = sum(one.size_bytes for one in storage.infos())
    there = next(path for path in (nearest, *nearest.parents) if path.exists())
    return {
        "lake_bytes": lake_bytes,
        "spool_bytes": _bytes(spool),
        "free_bytes": shutil.disk_usage(there).free,
    }


def _bytes(folder: Path) -> int:
    # A part that several generations share is one file on disk.
    sizes = {}
    for file in folder.rglob("*") if folder.is_dir() else ():
        if file.is_file() and not file.is_symlink():
            stat = file.stat()
            sizes[stat.st_ino] = stat.st_size
    return sum(sizes.values())
