"""`sitrep demo`: the whole way on the bundled newsroom, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from parsel import Selector

from crawler.commands.common import Context, verb
from crawler.commands.crawl import tell
from crawler.commands.show import difference, show_difference
from crawler.console import Out
from pipelines.archive import read_page
from pipelines.errors import SitrepError, UsageError
from pipelines.lake import Lake
from pipelines.schema import Row
from pipelines.sql import rows_of
from pipelines.views import connect

CHECKOUT = Path(__file__).parents[2]
FOLDER = Path("demo")
MARK = FOLDER / ".made-by-sitrep-demo"
PORT = 8801
FIRST_ROWS = """
    SELECT site, headline, date_published, in_language AS lang, word_count AS words
    FROM articles ORDER BY date_published DESC LIMIT 5
"""


@click.command()
@click.option("--serve", is_flag=True, help="Leave the newsroom running afterwards, until Ctrl-C.")
@verb
def demo(context: Context, *, serve: bool) -> int:
    """Crawl the bundled newsroom twice, and show what came of it.

    Five look-alike sites are served on 127.0.0.1; between the two crawls some of their articles
    are edited. Lake and state go to ./demo, and nowhere else. Needs a checkout of the project.
    """
    newsroom_class = _newsroom_class()
    _make_room()
    out = context.out
    with _started(newsroom_class) as newsroom:
        newsroom.write_site_files(FOLDER / "sites")
        first = _crawl(out, newsroom.sites, "first crawl")
        newsroom.state = 2
        second = _crawl(out, newsroom.sites, "second crawl, after the newsrooms had edited")
        result = _show(out) | {"crawls": [first, second]}
        out.result(result)
        if serve:
            _leave_running(out, newsroom)
    return 0


def _newsroom_class() -> Any:
    """Return the newsroom, which lies beside the code in a checkout and is never installed."""
    if not (CHECKOUT / "fixtures" / "newsroom").is_dir():
        raise UsageError(
            "the bundled newsroom is part of a checkout of the project, not of an installation",
            remedy="clone the project and run `make demo` there",
        )
    sys.path.insert(0, str(CHECKOUT))
    from fixtures.newsroom import Newsroom

    return Newsroom


def _make_room() -> None:
    """Begin anew, but never over anything that the demo did not make itself."""
    if FOLDER.exists() and not MARK.exists():
        raise UsageError(
            "is not the demo's", where=str(FOLDER.absolute()), remedy="run it in another folder"
        )
    try:
        if FOLDER.exists():
            shutil.rmtree(FOLDER)
        FOLDER.mkdir()
        MARK.touch()
    except OSError as error:
        raise SitrepError(
            f"cannot be written ({error.strerror})",
            where=str(FOLDER.absolute()),
            remedy="run the demo in a folder of your own",
        ) from error
    (FOLDER / "sites").mkdir()


def _started(newsroom_class: Any) -> Any:
    """Return the newsroom, ready to start: on its usual ports, or on free ones."""
    try:
        with newsroom_class(base_port=PORT):
            pass
    except OSError:
        return newsroom_class()
    return newsroom_class(base_port=PORT)


def _crawl(out: Out, sites: Sequence[str], what: str) -> dict[str, Any]:
    """Run `sitrep crawl` as a user would, and show its table."""
    out.say(f"\n── {what}: sitrep crawl {' '.join(sites)}", style="bold")
    paths = {"LAKE": "lake", "STATE": "sqlite:///demo/state/sitrep.db", "SITES": "sites"}
    # The demo is the same whatever the user's own settings are.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SITREP_")}
    environment |= {
        "SITREP_LAKE": str(FOLDER / paths["LAKE"]),
        "SITREP_STATE": paths["STATE"],
        "SITREP_SITES": str(FOLDER / paths["SITES"]),
        "SITREP_ALLOW_PRIVATE_NETWORKS": "1",
        "SITREP_LOG_LEVEL": "warning",
    }
    with out.err.status("crawling"):
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "crawler", "crawl", *sites, "--json"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        said = done.stderr.strip().splitlines()
        raise SitrepError(said[-1] if said else "the crawl said nothing", where=what) from error
    if "error" in report:
        raise SitrepError(report["error"]["message"], where=report["error"]["where"])
    tell(out, report)
    return report


def _show(out: Out) -> dict[str, Any]:
    lake = Lake.open(str(FOLDER / "lake"))
    with connect(lake) as connection:
        [cleaned] = rows_of(
            connection,
            "SELECT * FROM articles WHERE site = 'harbour_gazette' AND in_language = 'en' "
            "ORDER BY len(removed_blocks) DESC, article_id LIMIT 1",
        )
        edit = rows_of(
            connection,
            "SELECT article_id, revision FROM edits WHERE list_contains(change, 'body') "
            "ORDER BY len(article_body) LIMIT 1",
        )
        versions = rows_of(
            connection,
            "SELECT * FROM revisions WHERE article_id = ? ORDER BY revision",
            [edit[0]["article_id"] if edit else ""],
        )
        copies = rows_of(
            connection,
            "SELECT site, cluster_relation, headline, url, first_seen, cluster_id FROM articles "
            "WHERE cluster_id IN (SELECT cluster_id FROM clusters WHERE members > 1) "
            "ORDER BY cluster_id, cluster_relation = 'original' DESC, site",
        )
        first = rows_of(connection, FIRST_ROWS)
    _show_cleaning(out, lake, cleaned)
    change = _show_edit(out, versions)
    _show_copies(out, copies)
    _show_rows(out, first)
    return {
        "cleaned": {k: cleaned[k] for k in ("url", "headline", "article_body", "removed_blocks")},
        "edit": change,
        "copies": copies,
        "first_rows": first,
        "parquet": str((FOLDER / "lake" / "articles").absolute()),
    }


def _show_cleaning(out: Out, lake: Lake, row: Row) -> None:
    page = read_page(lake.storage, (row["warc_path"], row["warc_offset"]))
    lines = _plain_lines(page.body)
    out.say("\n── one page, as a plain scraper leaves it", style="bold")
    out.say(f"   {row['url']}, {len(lines)} lines of text, the first and the last of them:")
    for line in [*lines[:9], "…", *lines[-9:]]:
        out.say(f"   │ {line[:100]}", style="dim")
    out.say("\n── the same page as Sitrep keeps it", style="bold")
    zone = f" (zone assumed: {row['time_zone_assumed']})" if row["time_zone_assumed"] else ""
    out.say(f"   {row['headline']}")
    out.say(f"   {row['date_published_raw']!r} → {row['date_published']:%Y-%m-%dT%H:%M:%SZ}{zone}")
    for line in row["article_body"].splitlines():
        out.say(f"   │ {line}")
    out.say("\n   removed, and by which rule:")
    blocks = [
        [block["rule"], " ".join(block["text"].split())[:70], block["selector"][-60:]]
        for block in row["removed_blocks"]
    ]
    out.table(("rule", "text", "at"), blocks)


def _plain_lines(body: bytes) -> list[str]:
    text = Selector(body=body, type="html").xpath(
        "//body//text()[not(ancestor::script or ancestor::style or ancestor::noscript)]"
    )
    lines = (" ".join(line.split()) for line in "".join(text.getall()).splitlines())
    return [line for line in lines if line]


def _show_edit(out: Out, versions: Sequence[Row]) -> dict[str, Any] | None:
    if len(versions) < 2:
        return None
    before, after = versions[-2:]
    out.say("\n── one edit: sitrep show URL --diff", style="bold")
    out.say(f"   {after['url']} changed its {' and '.join(after['change'])}")
    lines = difference(before, after)
    show_difference(out, lines)
    return {"url": after["url"], "change": after["change"], "diff": lines}


def _show_copies(out: Out, copies: Sequence[Row]) -> None:
    out.say("\n── one story that several sites carry", style="bold")
    out.table(
        ("site", "relation", "headline", "url"),
        [[c["site"], c["cluster_relation"], c["headline"], c["url"]] for c in copies],
    )


def _show_rows(out: Out, rows: Sequence[Row]) -> None:
    out.say(f'\n── sitrep query "{" ".join(FIRST_ROWS.split())}"', style="bold")
    out.table(list(rows[0]) if rows else (), [list(row.values()) for row in rows])
    folder = FOLDER / "lake" / "articles"
    out.say("\n── yours to read", style="bold")
    out.say(f"   {folder.absolute()}")
    out.say(f'   pandas.read_parquet("{folder}")')
    out.say(f"   duckdb.sql(\"FROM '{folder}/**/*.parquet'\")")


def _leave_running(out: Out, newsroom: Any) -> None:
    out.say("\nthe newsroom is left running, until Ctrl-C:", style="bold")
    for site in newsroom.sites:
        out.say(f"   {newsroom.url(site)}  {site}")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        out.say("stopped")
