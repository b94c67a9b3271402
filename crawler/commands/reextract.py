"""`sitrep reextract`: today's extractor over the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from crawler import offline
from crawler.commands.common import Context, verb
from crawler.commands.crawl import DAY
from crawler.console import Out
from crawler.reextract import Report

_SKIPPED = {
    "busy": "is being crawled by another process; run this again when that has ended",
    "unknown_site": "is in the lake, but no site file has that name; its rows stay as they are",
    "no_rows": "nothing of it is in the lake, for these dates",
}


@click.command()
@click.argument("names", nargs=-1, metavar="[SITE]...")
@click.option("--since", type=DAY, metavar="DATE", help="Only what was fetched on this day (UTC) "
              "or later.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would come out otherwise; store nothing.")
@click.option("--accept", is_flag=True, help="Store also where the site would get worse.")
@verb
def reextract(
    context: Context, *, names: Sequence[str], since: datetime | None, dry_run: bool, accept: bool
) -> int:
    """Read the archived pages of SITEs again, with today's extractor and site files.

    Without a name, every site that the lake has articles of. No network is used. What comes out
    otherwise is stored as a newer extraction of the same revision: it is no edit by the publisher.

    A site is refused, and nothing of it stored, where 2 % or more of its rows lose a fifth of
    their words, or their date, author or headline, or where its median body falls by 5 %. Look at
    the rows that are shown; --accept stores them all the same.

    A run that is killed or stopped goes on where it was when the command is given again. A site
    that is being crawled meanwhile is skipped.

    Exit status 1 when a site was refused, or a page could not be read: its row stays as it is.

    --json gives run_id, sites (rows, differing, changes by column, examples, worse, losses,
    refusals, unreadable, errors, resumed, stored, overtaken, refused, error, skipped), regrouped,
    pages, seconds, pages_per_second, pages_per_second_and_core, is_interrupted. Of losses and
    errors at most 200 a site are listed.
    """
    with context.out.err.status("reading the archive") as status:

        def show(site: str, done: int, rows: int) -> None:
            status.update(f"{site}: {done} of {rows} rows read again")

        report = offline.reextract(
            context.settings,
            names,
            since=since.date() if since else None,
            accept=accept,
            is_dry=dry_run,
            progress=show,
        )
    said = report.as_json()
    context.out.result(said)
    _tell(context.out, said, is_dry=dry_run)
    context.out.say(_summary(report, is_dry=dry_run))
    return report.exit_status


_COLUMNS = {
    "rows": "rows", "differing": "differ", "worse": "worse", "unreadable": "unreadable",
    "stored": "stored",
}  # fmt: skip


def _tell(out: Out, report: Mapping[str, Any], *, is_dry: bool) -> None:
    sites = report["sites"]
    read = [site for site in sites if site["rows"] or site["unreadable"]]
    if read:
        rows = [[site["site"], *(site[name] for name in _COLUMNS)] for site in read]
        out.table(("site", *_COLUMNS.values()), rows)
    for site in sites:
        _tell_site(out, site, is_dry=is_dry)


def _tell_site(out: Out, site: Mapping[str, Any], *, is_dry: bool) -> None:
    name = site["site"]
    for column, rows in sorted(site["changes"].items(), key=lambda one: -one[1]):
        out.say(f"{name}: {column} differs in {rows} rows")
        for one in site["examples"]:
            if one["column"] == column:
                out.say(f"  {one['url']}", style="dim")
                out.say(f"  - {one['before'] or '(nothing)'}", style="red")
                out.say(f"  + {one['after'] or '(nothing)'}", style="green")
    for reason, rows in site["refusals"].items():
        out.say(f"{name}: {rows} rows would not be stored today: {reason}", style="yellow")
    for error in site["errors"]:
        out.say(f"{name}: {error['url']}: {error['error']}; its row stays", style="yellow")
    _tell_losses(out, site)
    for reason in site["skipped"]:
        out.say(f"{name}: skipped, {_SKIPPED[reason]}", style="yellow")
    if site["error"]:
        out.say(f"{name}: {site['error']}", style="red")
    if site["refused"]:
        verdict = "would be refused" if is_dry else "refused, nothing of it was stored"
        advice = "mend its rules, or store it all the same with --accept"
        out.say(f"{name}: {verdict}: {site['refused']}; {advice}", style="red")


def _tell_losses(out: Out, site: Mapping[str, Any]) -> None:
    for one in site["losses"]:
        lost = ", ".join(one["lost"])
        words = f"{one['words_before']} words, then {one['words_after']}"
        out.say(f"  worse: {one['url']} revision {one['revision']} loses {lost} ({words})")
    if more := site["worse"] - len(site["losses"]):
        out.say(f"  … and {more} rows more that get worse")


def _summary(report: Report, *, is_dry: bool) -> str:
    rate = report.pages_per_second
    pace = f"{report.pages} pages read, {rate:.1f} a second, {rate / report.cores:.1f} a core"
    if report.is_interrupted:
        return f"stopped; {pace}; give the command again to go on"
    if is_dry:
        return f"{pace}; nothing was stored"
    return f"{pace}; {report.stored} newer extractions stored"
