"""`sitrep doctor`: every part checked, each problem with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from crawler.addresses import keys_of
from crawler.commands.common import Context, verb
from pipelines.doctor import Finding, examine
from pipelines.errors import LakeError, SiteError
from pipelines.lake import ABOUT, Lake, is_there
from pipelines.state import State
from pipelines.writers import guard_to_look


@click.command()
@click.option(
    "--rebuild",
    is_flag=True,
    help="First make again what is derived, the state and articles/, from the rest of the lake.",
)
@verb
def doctor(context: Context, *, rebuild: bool) -> int:
    """Check site files, lake, archive and state against each other, and against their sums.

    Nothing is written but with --rebuild. Exit status 1 for errors (wrong, missing, doubled);
    warnings alone exit 0.
    """
    if rebuild:
        from crawler import offline  # the whole crawler, which a look does without

        offline.rebuild(context.settings)
    findings = [*_site_files(context), *_examined(context)]
    failed = any(one.level == "error" for one in findings)
    context.out.result({"ok": not failed, "findings": [asdict(one) for one in findings]})
    for one in findings:
        style = "red" if one.level == "error" else "yellow"
        context.out.say(f"{one.level}: {one.where}: {one.what}; {one.remedy}", style=style)
    context.out.say("something is wrong" if failed else "all parts agree")
    return int(failed)


def _examined(context: Context) -> Iterator[Finding]:
    settings = context.settings
    try:
        lake = Lake.open(settings.lake)
    except LakeError as error:
        if not is_there(settings.lake):
            raise
        yield _wrong("files", ABOUT, error)
        return
    state = State.open_to_read(settings.state)
    guard_to_look(lake, state, locks_folder=settings.locks_folder)
    try:
        yield from examine(
            lake, state, spool=settings.spool_folder, key_of=keys_of(context.register.find)
        )
    finally:
        state.close()


def _site_files(context: Context) -> list[Finding]:
    _, wrong = context.register.all()
    return [_wrong("sites", error.where or name, error) for name, error in wrong.items()]


def _wrong(check: str, where: str, error: LakeError | SiteError) -> Finding:
    remedy = error.remedy or "mend the file"
    return Finding(check=check, level="error", where=where, what=error.message, remedy=remedy)
