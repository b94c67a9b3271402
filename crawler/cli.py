"""The command line: `sitrep VERB`, also `python -m crawler VERB`."""

from __future__ import annotations

import os
import sys

import click

from crawler import __version__
from crawler.commands.compact import compact_
from crawler.commands.crawl import crawl
from crawler.commands.demo import demo
from crawler.commands.doctor import doctor
from crawler.commands.explain import explain
from crawler.commands.export import export
from crawler.commands.extract import extract
from crawler.commands.import_ import import_
from crawler.commands.query import query
from crawler.commands.recrawl import recrawl
from crawler.commands.reextract import reextract
from crawler.commands.show import show
from crawler.commands.sites import sites
from crawler.commands.status import status
from crawler.console import Out
from pipelines.errors import UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sitrep")
def cli() -> None:
    """Watch defence-news sites and keep what they publish, clean, as Parquet.

    \b
    sitrep demo                       the whole way, on a bundled newsroom
    sitrep crawl naval_news           a site, into ./lake
    sitrep query "SELECT site, count(*) FROM articles GROUP BY site"

    Settings: flag, then environment (SITREP_LAKE, SITREP_STATE, …), then ./sitrep.toml.
    Exit status: 0 done, 1 something failed, 2 wrong use.
    """


for _verb in (
    crawl, recrawl, reextract, import_, extract, show, explain, query, export, sites, status,
    compact_, doctor, demo,
):  # fmt: skip
    cli.add_command(_verb)


def main() -> None:
    """Run the command line; wrong use is told as JSON too where JSON was asked for."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has had enough; a second complaint at exit helps nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        wrong_use = UsageError(
            error.format_message().rstrip("."),
            remedy=f"see `{context.command_path if context else 'sitrep'} --help`",
        )
        Out(is_json="--json" in sys.argv).error(wrong_use)
        sys.exit(error.exit_code)
