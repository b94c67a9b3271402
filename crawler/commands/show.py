"""`sitrep show`: one article, what was removed from it, its versions, its bytes."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from crawler.commands.common import Context, verb
from crawler.commands.finding import article_id_of, chosen_version, versions_of
from crawler.console import Out, plain
from crawler.report import iso
from pipelines.archive import read_page
from pipelines.edits import Change, Telling, changes_between, kinds_of
from pipelines.lake import Lake
from pipelines.schema import Row


@click.command()
@click.argument("article", metavar="URL-or-ID")
@click.option("--revision", type=click.IntRange(min=1), metavar="N", help="This version of it.")
@click.option("--diff", is_flag=True, help="What this version changed in the one before.")
@click.option("--raw", is_flag=True, help="The bytes as they were fetched, from the archive.")
@verb
def show(context: Context, *, article: str, revision: int | None, diff: bool, raw: bool) -> None:
    """Show an article: text, dates, what was removed, edits.

    It is named by its address or its id. Each removed block is shown with the rule that took it.
    """
    lake = Lake.open(context.settings.lake)
    versions = versions_of(lake, article_id_of(context, lake, article), article)
    row = chosen_version(versions, revision, article)
    if raw:
        _raw(context.out, lake, row)
    elif diff:
        _diff(context.out, versions, row)
    else:
        _article(context.out, row, versions)


def _raw(out: Out, lake: Lake, row: Row) -> None:
    page = read_page(lake.storage, (row["warc_path"], row["warc_offset"]))
    head = {
        "url": page.url,
        "status": page.status,
        "fetched_at": page.fetched_at,
        "imported_from": [asdict(origin) for origin in page.imported_from],
    }
    if out.is_json:
        text = page.body.decode("utf-8", "replace")
        out.result({**head, "headers": dict(page.headers), "body": text})
        return
    sys.stdout.buffer.write(page.body)
    sys.stdout.buffer.flush()


def _diff(out: Out, versions: list[Row], row: Row) -> None:
    before = next((one for one in versions if one["revision"] == row["previous_revision"]), None)
    found = _changes(before, row) if before else ()
    lines = difference(before, row) if before else []
    change = {"article_id": row["article_id"], "revision": row["revision"], "change": row["change"]}
    told = {"kinds": kinds_of(found), "sentences": [asdict(one) for one in found], "diff": lines}
    out.result(change | told)
    if before is None:
        out.say("the first version: nothing before it")
    show_difference(out, lines)


def difference(before: Row, after: Row) -> list[str]:
    """Return what a version changed, sentence by sentence, as a unified difference looks."""
    lines = [f"--- revision {before['revision']}", f"+++ revision {after['revision']}"]
    for one in _changes(before, after):
        kinds = [kind for kind in one.kinds if kind != one.part]
        lines.append(f"@@ {': '.join([one.part, *([', '.join(kinds)] if kinds else [])])} @@")
        lines += [f"-{one.before}"] * (one.before is not None)
        lines += [f"+{one.after}"] * (one.after is not None)
    return lines


def _changes(before: Row, after: Row) -> tuple[Change, ...]:
    """Tell of the parts that the publisher changed: the rest may differ by the extractor alone."""
    return changes_between(_telling(before), _telling(after), parts=after["change"] or ())


def _telling(row: Row) -> Telling:
    is_free = row["is_accessible_for_free"]
    return Telling(
        headline=row["headline"],
        description=row["description"],
        article_body=row["article_body"],
        authors=tuple(row["authors"] or ()),
        date=iso(row["date_published"]) if row["date_published"] else None,
        access=None if is_free is None else "free" if is_free else "paid",
        in_language=row["in_language"],
    )


def show_difference(out: Out, lines: list[str]) -> None:
    for line in lines:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        out.say(line, style=style)


def _article(out: Out, row: Row, versions: list[Row]) -> None:
    out.result({**row, "revisions": [{k: one[k] for k in _VERSION} for one in versions]})
    if out.is_json:
        return
    out.say(row["headline"] or "(no headline)", style="bold")
    for line in _facts(row):
        out.say(line, style="dim")
    out.say()
    out.say(row["article_body"])
    out.say()
    for block in row["removed_blocks"] or ():
        text = " ".join(block["text"].split())
        out.say(f"removed  {block['rule']}  at {block['selector']}", style="yellow")
        out.say(f"         {text[:100]}", style="dim")
    for one in versions[1:]:
        when, what = plain(one["recorded_at"]), ", ".join(one["change"] or ())
        out.say(f"revision {one['revision']}  {when}  changed: {what}", style="cyan")


_VERSION = ("revision", "extraction", "change", "previous_revision", "recorded_at", "fetched_at")


def _facts(row: Row) -> list[str]:
    facts: dict[str, Any] = {
        "": row["description"],
        "by": ", ".join(row["authors"] or ()) or row["byline"],
        "published": _published(row),
        "url": row["url"],
        "id": f"{row['article_id']} revision {row['revision']}, {row['word_count']} words, "
        f"{row['in_language']}, read by {row['extractor']}",
        "archive": f"{row['warc_path']} at {row['warc_offset']}",
    }
    return [f"{name} {value}".strip() for name, value in facts.items() if value]


def _published(row: Row) -> str | None:
    if row["date_published"] is None:
        return None
    text = f"{plain(row['date_published'])} (from {row['date_published_source']}"
    if row["date_published_raw"]:
        text += f": {row['date_published_raw']!r}"
    if row["time_zone_assumed"]:
        text += f", zone assumed: {row['time_zone_assumed']}"
    return text + ")"
