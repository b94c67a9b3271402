"""`sitrep crawl`: the main job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import click

from crawler import jobs, offline
from crawler.commands.common import Context, verb
from crawler.console import Out
from crawler.estimate import told, told_unfinished
from crawler.report import RunReport, unfinished_as_json
from crawler.settings import Settings
from crawler.site import Site
from crawler.timetable import Timetable
from pipelines.errors import SiteError, UsageError
from pipelines.state import State

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.argument("names", nargs=-1, metavar="[SITE]...")
@click.option("--all", "everything", is_flag=True, help="Every site of the register.")
@click.option("--due", is_flag=True, help="Only what is due, by `every` and each source's rhythm.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N articles a site.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked for; ask only the feeds.")
@click.option("--from", "first", type=DAY, metavar="DATE", help="Backfill: from this day on.")
@click.option("--to", "last", type=DAY, metavar="DATE", help="Backfill: up to this day.")
@click.option("--give-up", is_flag=True, help="Forget what is left of that backfill; ask nothing.")
@verb
def crawl(
    context: Context,
    *,
    names: Sequence[str],
    everything: bool,
    due: bool,
    limit: int | None,
    dry_run: bool,
    first: datetime | None,
    last: datetime | None,
    give_up: bool,
) -> int:
    """Fetch what is new on SITEs, clean it, and commit it to the lake.

    Name sites (see `sitrep sites list`), or give --all or --due. Known articles are asked for
    again only when their site says that they changed. Exit status 1 when a site failed as a
    whole, or more than a tenth of its pages did.
    """
    sites, wrong = _chosen(context, names, everything=everything, due=due)
    dates = _dates(first, last)
    if give_up:
        if dry_run or due or limit is not None:
            raise UsageError("--give-up goes with no --dry-run, --due or --limit: it asks nothing")
        return _give_up(context, sites, dates, wrong)
    if dry_run:
        done = jobs.preview(context.settings, sites, limit=limit, dates=dates, is_due=due)
        return _tell_preview(context, done, wrong)
    with context.out.progress("crawling") as show:
        done = jobs.crawl(
            context.settings, sites, limit=limit, dates=dates, is_due=due, progress=show
        )
    _add_wrong(done.report, wrong)
    report = done.report.as_json()
    context.out.result(report)
    tell(context.out, report)
    _tell_backfills(context.out, done.report)
    context.out.say(f"run {done.report.run_id}, lake {context.settings.lake}")
    return done.report.exit_status


def _chosen(
    context: Context, names: Sequence[str], *, everything: bool, due: bool
) -> tuple[list[Site], dict[str, SiteError]]:
    """Return the sites, and why others cannot be: a wrong file that was named stops everything."""
    if names and everything:
        raise UsageError("name sites or give --all, not both")
    if not (names or everything or due):
        raise UsageError(
            "no site named", remedy="name one (see `sitrep sites list`), or give --all or --due"
        )
    wrong: dict[str, SiteError] = {}
    if names:
        sites = context.register.sites(names)
    else:
        sites, wrong = context.register.all()
    return _due(context.settings, sites) if due else sites, wrong


def _add_wrong(report: RunReport, wrong: Mapping[str, SiteError]) -> None:
    for name, error in wrong.items():
        site = report.site(name)
        site.is_unreadable = True
        site.error(error.where or name, error.message)


def _due(settings: Settings, sites: Sequence[Site]) -> list[Site]:
    state, now = State.open_to_read(settings.state), datetime.now(UTC)
    try:
        return [site for site in sites if Timetable(state, site, now=now).is_due]
    finally:
        state.close()


def _dates(first: datetime | None, last: datetime | None) -> tuple[date | None, date | None] | None:
    if first is None and last is None:
        return None
    if first is not None and last is not None and last < first:
        raise UsageError("--to lies before --from")
    return (first.date() if first else None, last.date() if last else None)


def _give_up(
    context: Context,
    sites: Sequence[Site],
    dates: tuple[date | None, date | None] | None,
    wrong: Mapping[str, SiteError],
) -> int:
    if dates is None:
        raise UsageError(
            "--give-up needs the days of a backfill",
            remedy="give its --from and --to; `sitrep status` names the unfinished ones",
        )
    done = offline.give_up_backfills(context.settings, sites, dates)
    errors = {name: error.message for name, error in wrong.items()}
    errors |= {name: one for name, one in done.items() if isinstance(one, str)}
    given_up = {name: one for name, one in done.items() if not isinstance(one, str)}
    context.out.result(
        {
            "given_up": [
                {"site": name, **unfinished_as_json(one)} for name, one in given_up.items()
            ],
            "errors": [{"site": name, "error": why} for name, why in errors.items()],
        }
    )
    for name, one in given_up.items():
        context.out.say(f"{name}: given up: {told_unfinished(one)}")
    for name, why in errors.items():
        context.out.say(f"{name}: {why}", style="yellow")
    return 1 if errors else 0


def _tell_preview(context: Context, done: jobs.Crawled, wrong: Mapping[str, SiteError]) -> int:
    _add_wrong(done.report, wrong)
    told: list[dict[str, Any]] = []
    for site in done.report.sites.values():
        asks = [{"url": url, "reason": why} for url, why in done.would_ask.get(site.site, [])]
        told.append(
            {
                "site": site.site,
                "discovered": site.counts["discovered"],
                "would_ask": asks,
                "skipped": dict(site.skipped),
                "errors": site.errors,
                "warnings": site.warnings,
            }
        )
    context.out.result({"sites": told})
    for one in told:
        skipped = reasons(one["skipped"]) or "none"
        context.out.say(f"{one['site']}: {len(one['would_ask'])} to ask for, skipped {skipped}")
        for ask in one["would_ask"]:
            context.out.say(f"  {ask['reason']:<9} {ask['url']}")
        for error in one["errors"]:
            context.out.say(f"  failed    {error['url']}: {error['error']}")
        for warning in one["warnings"]:
            context.out.say(f"  odd       {warning['url']}: {warning['warning']}")
    return done.report.exit_status


def _tell_backfills(out: Out, report: RunReport) -> None:
    for name, site in report.sites.items():
        if (standing := site.standing) is not None:
            go_on = "" if standing.is_done else "; the same command goes on with it"
            out.say(f"{name}: {told(standing)}{go_on}")


_COLUMNS = {
    "discovered": "listed", "fetched": "fetched", "not_modified": "304", "new": "new",
    "changed": "changed", "unchanged": "same", "duplicates": "copies", "failed": "failed",
}  # fmt: skip


def tell(out: Out, report: Mapping[str, Any]) -> None:
    """Show a run, as `--json` gives it, to people: a line a site, then what could not be had."""
    rows = [
        [site["site"], *(site[name] for name in _COLUMNS), reasons(site["skipped"])]
        for site in report["sites"]
    ]
    out.table(("site", *_COLUMNS.values(), "skipped"), rows)
    for site in report["sites"]:
        for error in site["errors"]:
            out.say(f"{site['site']}: {error['url']}: {error['error']}", style="yellow")
        for one in site["warnings"]:
            out.say(f"{site['site']}: {one['url']}: {one['warning']}", style="yellow")


def reasons(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in sorted(skipped.items()))
