"""`sitrep recrawl`: single addresses, now."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from crawler import jobs
from crawler.commands.common import Context, verb
from crawler.ingest import Outcome
from crawler.site import Site
from pipelines.errors import UsageError
from pipelines.model import Verdict

_STORED = {Verdict.NEW, Verdict.CHANGED, Verdict.UNCHANGED}


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@verb
def recrawl(context: Context, *, urls: Sequence[str]) -> int:
    """Fetch URLs now, whatever is on record, and commit what changed.

    `-` reads them from standard input, one a line. Exit status 1 when any of them failed.
    """
    wanted = list(dict.fromkeys(_read(urls)))
    if not wanted:
        raise UsageError("no URL given", remedy="name one, or pipe them in with `-`")
    owners = {url: context.register.owner(url) for url in wanted}
    claimed = [(site, url) for url, site in owners.items() if site is not None]
    outcomes: dict[str, Outcome | str] = {}
    if claimed:
        with context.out.progress("fetching") as show:
            outcomes = jobs.recrawl(context.settings, claimed, progress=show).outcomes
    results = [_result(url, owners[url], outcomes.get(url)) for url in wanted]
    context.out.result({"results": results})
    for one in results:
        note = one["error"] or f"{one['article_id']} revision {one['revision']}"
        context.out.say(f"{one['outcome']:<9} {one['url']}  {note}")
    return int(any(one["outcome"] == "failed" for one in results))


def _read(urls: Sequence[str]) -> list[str]:
    if "-" not in urls:
        return list(urls)
    piped = [line.strip() for line in sys.stdin if line.strip()]
    return [one for url in urls for one in (piped if url == "-" else [url])]


def _result(url: str, site: Site | None, outcome: Outcome | str | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "url": url, "status": None, "outcome": "failed", "article_id": None, "revision": None,
        "error": None,
    }  # fmt: skip
    if site is None:
        advice = "no site claims this address; `sitrep sites add` makes a site file"
        return result | {"error": advice}
    if not isinstance(outcome, Outcome):
        busy = f"{site.name} is being crawled by another process; try again"
        return result | {"error": outcome or busy}
    capture = outcome.capture
    verdict = capture.verdict if capture.verdict in _STORED else "failed"
    return result | {
        "status": capture.page.status,
        "outcome": verdict,
        "article_id": capture.article_id,
        "revision": capture.revision,
        "error": outcome.error,
    }
