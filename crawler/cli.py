"""The command line: `sitrep VERB`, also `python -m crawler VERB`."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from crawler import __version__
from crawler.console import Out
from pipelines.errors import UsageError

# By verb, in the order of `--help`: the module of its command, and the name there.
VERBS = {
    "crawl": "crawl:crawl",
    "recrawl": "recrawl:recrawl",
    "reextract": "reextract:reextract",
    "import": "import_:import_",
    "extract": "extract:extract",
    "show": "show:show",
    "explain": "explain:explain",
    "query": "query:query",
    "export": "export:export",
    "sites": "sites:sites",
    "status": "status:status",
    "schedule": "schedule:schedule",
    "compact": "compact:compact_",
    "doctor": "doctor:doctor",
    "demo": "demo:demo",
}


class Verbs(click.Group):
    """The verbs, each loaded when it is asked for: a query needs no crawler, and no second for it.

    Whoever crawls needs Scrapy and the extractor; a query takes half the time without them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"crawler.commands.{module}"), name)
        return command


@click.group(
    cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
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
