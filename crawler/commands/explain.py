"""`sitrep explain`: where each field of an article comes from, and what else it might have been."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from crawler.commands.common import Context, verb
from crawler.commands.finding import article_id_of, chosen_version, versions_of
from crawler.console import Out, plain
from crawler.extraction.explain import FIELDS, Explanation, Provenance, Told
from crawler.learning import known_furniture
from crawler.provenance import Explained, explain_version
from pipelines.errors import UsageError
from pipelines.lake import Lake
from pipelines.schema import revision_of
from pipelines.state import State

# Columns that tell of another one where it comes from.
_TOLD_WITH = {
    "date_published_raw": "date_published",
    "date_published_source": "date_published",
    "date_published_precision": "date_published",
    "date_published_flags": "date_published",
    "time_zone_assumed": "date_published",
    "removed_blocks": "article_body",
    "word_count": "article_body",
    "content_hash": "article_body",
}
_LONGEST = 100


@click.command()
@click.argument("article", metavar="URL-or-ID")
@click.argument("field", required=False)
@click.option("--revision", type=click.IntRange(min=1), metavar="N", help="This version of it.")
@verb
def explain(context: Context, *, article: str, field: str | None, revision: int | None) -> None:
    """Show where each field of an article comes from, and why.

    With FIELD, that one. The page is read again from the archive, by today's extractor and site
    files and without network: what was chosen, the raw value, and the candidates that lost. What
    is stored otherwise is shown beside it.
    """
    wanted = (_known(field),) if field else FIELDS
    found = _explained(context, article, revision)
    context.out.result(_as_json(found, wanted))
    if not context.out.is_json:
        _show(context.out, found, wanted)


def _known(field: str) -> str:
    name = _TOLD_WITH.get(field, field)
    if name not in FIELDS:
        near = difflib.get_close_matches(field, [*FIELDS, *_TOLD_WITH], n=1)
        remedy = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(FIELDS)}"
        raise UsageError("no such field of an article", where=field, remedy=remedy)
    return name


def _explained(context: Context, article: str, revision: int | None) -> Explained:
    lake = Lake.open(context.settings.lake)
    rows = versions_of(lake, article_id_of(context, lake, article), article)
    row = chosen_version(rows, revision, article)
    state = State.open_to_read(context.settings.state)
    try:
        return explain_version(
            [revision_of(one) for one in rows],
            row["revision"],
            lake=lake,
            state=state,
            site=context.register.find(row["site"]),
            furniture=known_furniture(lake).get(row["site"]),
        )
    finally:
        state.close()


def _as_json(found: Explained, wanted: tuple[str, ...]) -> dict[str, Any]:
    revision, explanation = found.revision, found.explanation
    fields = {
        name: asdict(explanation.of(name))
        | {"stored": found.stored(name), "is_as_stored": found.is_as_stored(name)}
        for name in wanted
    }
    return {
        "article_id": revision.article_id,
        "revision": revision.revision,
        "url": found.page.url,
        "fetched_at": found.page.fetched_at,
        "warc_path": revision.location.warc_path,
        "warc_offset": revision.location.warc_offset,
        "extractor": explanation.article.extractor,
        "stored_extractor": revision.article.extractor,
        "refusal": explanation.article.refusal,
        "fields": fields,
        **(_body(explanation) if "article_body" in wanted else {}),
    }


def _body(explanation: Explanation) -> dict[str, Any]:
    return {
        "witness": explanation.witness,
        "region": explanation.region,
        "removed_blocks": [asdict(one) for one in explanation.removed_blocks],
    }


def _show(out: Out, found: Explained, wanted: tuple[str, ...]) -> None:
    revision, explanation = found.revision, found.explanation
    out.say(f"{revision.article_id} revision {revision.revision}, {found.page.url}", style="dim")
    where = f"{revision.location.warc_path} at {revision.location.warc_offset}"
    out.say(f"read from {where} by {explanation.article.extractor}", style="dim")
    if explanation.article.refusal:
        out.say(f"today it would be refused: {explanation.article.refusal}", style="red")
    for name in wanted:
        _show_field(out, explanation.of(name))
        if not found.is_as_stored(name):
            out.say(f"  stored otherwise: {_short(found.stored(name))}", style="red")
    if "article_body" in wanted:
        _show_removed(out, explanation)


def _show_field(out: Out, one: Provenance) -> None:
    out.say()
    out.say(f"{one.field}: {_short(one.value)}", style="bold")
    if one.source is None:
        out.say(f"  {one.why}")
    for told in one.candidates:
        _show_told(out, told, has_raw=one.field != "article_body")


def _show_told(out: Out, told: Told, *, has_raw: bool) -> None:
    sign, style = ("✓", "green") if told.is_chosen else ("·", "dim")
    raw = f" says {_short(told.raw)!r}" if has_raw else f", {told.raw}" if told.raw else ""
    out.say(f"  {sign} {told.source} {told.at}{raw}", style=style)
    out.say(f"      {told.why}", style="dim")


def _show_removed(out: Out, explanation: Explanation) -> None:
    out.say()
    out.say(f"removed: {len(explanation.removed_blocks)} blocks", style="bold")
    for block in explanation.removed_blocks:
        out.say(f"  {block.rule}  at {block.selector}", style="yellow")
        out.say(f"      {_short(block.text)}", style="dim")


def _short(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value)) or "none"
    text = str(plain(value)) if isinstance(value, datetime) else str(value)
    text = "null" if value is None else " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
