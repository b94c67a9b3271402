"""`sitrep sites`: the register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crawler import jobs
from crawler.commands.common import Context, verb
from crawler.fixture import compare
from crawler.site import Site, spell
from pipelines.errors import SiteError

FIXTURES = Path(__file__).parents[2] / "fixtures" / "sites"


@click.group()
def sites() -> None:
    """List, show, check and test the register of sites."""


@sites.command("list")
@verb
def list_(context: Context) -> int:
    """List every site; a file that is wrong is named with its error."""
    sites_there, errors = context.register.all()
    rows = [_row(site) for site in sites_there]
    wrong = [{"site": name, "error": str(error)} for name, error in errors.items()]
    context.out.result({"sites": rows, "errors": wrong})
    columns = ("site", "publisher", "home", "in_language", "every", "sources")
    context.out.table(columns, [[row[name] for name in columns] for row in rows])
    for one in wrong:
        context.out.say(f"{one['site']}: {one['error']}", style="red")
    return int(bool(wrong))


def _row(site: Site) -> dict[str, Any]:
    kinds = ("feeds", "sitemaps", "listings")
    counts = {kind: len(getattr(site, kind)) for kind in kinds}
    sources = [f"{n} {kind if n > 1 else kind[:-1]}" for kind, n in counts.items() if n]
    return {
        "site": site.name,
        "publisher": site.publisher,
        "home": site.home,
        "in_language": list(site.in_language),
        "every": spell(site.every),
        "sources": [*sources, *(["wordpress"] if site.wordpress else [])],
        "unverified": list(site.unverified),
    }


@sites.command()
@click.argument("name", metavar="SITE")
@verb
def show(context: Context, *, name: str) -> None:
    """Show one site as it is read, defaults included."""
    site = context.register.site(name)
    data = site.model_dump(mode="json")
    context.out.result(data)
    for key, value in data.items():
        mark = "  (unverified)" if key in site.unverified else ""
        context.out.say(f"{key:<12} {value}{mark}")


@sites.command()
@click.argument("name", metavar="SITE")
@verb
def check(context: Context, *, name: str) -> int:
    """Ask a live site and say what works; store nothing.

    Its feeds are asked, and three of their articles.

    Exit status 1 when a source gives nothing, or an article cannot be read.
    """
    site = context.register.site(name)
    listed = jobs.preview(context.settings, [site], samples=3)
    report = listed.report.site(name)
    result = {
        "site": name,
        "discovered": report.counts["discovered"],
        "would_ask": len(listed.would_ask.get(name, [])),
        "skipped": dict(report.skipped),
        "samples": [
            {"url": url, "headline": a.headline, "words": a.word_count, "refusal": a.refusal}
            for url, a in listed.articles.items()
        ],
        "errors": report.errors,
        "warnings": report.warnings,
        "unverified": list(site.unverified),
    }
    context.out.result(result)
    _tell_check(context, result)
    unread = any(article.refusal for article in listed.articles.values())
    return int(bool(report.errors) or not report.counts["discovered"] or unread)


def _tell_check(context: Context, result: dict[str, Any]) -> None:
    out = context.out
    out.say(f"{result['discovered']} article links, skipped {result['skipped'] or 'none'}")
    for one in result["samples"]:
        said = f"refused: {one['refusal']}" if one["refusal"] else f"{one['words']} words"
        out.say(f"  {one['url']}: {one['headline']} ({said})")
    for error in result["errors"]:
        out.say(f"  failed: {error['url']}: {error['error']}", style="red")
    for warning in result["warnings"]:
        out.say(f"  odd: {warning['url']}: {warning['warning']}", style="yellow")
    if result["unverified"]:
        out.say(f"not yet verified by anybody: {', '.join(result['unverified'])}", style="yellow")


@sites.command()
@click.argument("name", metavar="SITE")
@click.option(
    "--page", type=click.Path(path_type=Path), help="Folder of page and expected article."
)
@verb
def test(context: Context, *, name: str, page: Path | None) -> int:
    """Compare SITE's look-alike page with what is expected.

    Field by field. Exit status 1 when one of them differs.
    """
    site = context.register.site(name)
    folder = page or FIXTURES / name
    if not folder.is_dir():
        raise SiteError(
            "no look-alike page", where=str(folder), remedy="give --page, or run in a checkout"
        )
    fields = compare(site, folder)
    ok = all(one.ok for one in fields)
    context.out.result(
        {
            "site": name,
            "ok": ok,
            "fields": [
                {"field": f.field, "ok": f.ok, "expected": f.expected, "got": f.got} for f in fields
            ],
        }
    )
    for one in fields:
        context.out.say(f"{'ok   ' if one.ok else 'WRONG'} {one.field}")
        if not one.ok:
            context.out.say(f"      expected {one.expected!r}", style="green")
            context.out.say(f"      got      {one.got!r}", style="red")
    return int(not ok)
