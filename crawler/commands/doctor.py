"""`sitrep doctor`: every part checked, each problem with its remedy."""

from __future__ import annotations

from dataclasses import asdict

import click

from crawler import offline
from crawler.commands.common import Context, verb
from pipelines.doctor import Finding, examine
from pipelines.lake import Lake
from pipelines.state import State


@click.command()
@click.option("--rebuild", is_flag=True, help="First make the state again, from the lake alone.")
@verb
def doctor(context: Context, *, rebuild: bool) -> int:
    """Check site files, lake, archive and state against each other.

    Exit status 1 for errors (wrong, missing, doubled); warnings alone exit 0.
    """
    if rebuild:
        offline.rebuild(context.settings)
    findings = _site_files(context)
    lake = Lake.open(context.settings.lake)
    state = State.open(context.settings.state)
    try:
        findings += examine(lake, state, spool=context.settings.spool_folder)
    finally:
        state.close()
    failed = any(one.level == "error" for one in findings)
    context.out.result({"ok": not failed, "findings": [asdict(one) for one in findings]})
    for one in findings:
        style = "red" if one.level == "error" else "yellow"
        context.out.say(f"{one.level}: {one.where}: {one.what}; {one.remedy}", style=style)
    context.out.say("something is wrong" if failed else "all parts agree")
    return int(failed)


def _site_files(context: Context) -> list[Finding]:
    _, wrong = context.register.all()
    return [
        Finding(
            check="sites",
            level="error",
            where=error.where or name,
            what=error.message,
            remedy=error.remedy or "mend the file",
        )
        for name, error in wrong.items()
    ]
