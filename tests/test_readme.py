"""What the documents tell people to do works, and what they show is what happens."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from crawler.cli import cli
from crawler.register import Register
from crawler.settings import PREFIX, Settings
from tests import warm
from tests.verbs import command_of, verbs

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
NEEDS_INTERNET = "# needs the internet"
SITREP = ".venv/bin/sitrep"
# What a document may ask of make without this suite running itself; `demo` runs on its own below.
TARGETS = ("demo", "test", "lint", "soak", "services")

Snippet = tuple[Path, str]


def blocks(language: str) -> list[Snippet]:
    """Return every fenced block of a language in the documents, with its document."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(d, text) for d in DOCUMENTS for text in fence.findall(d.read_text(encoding="utf-8"))]


def commands(*, internet: bool) -> list[str]:
    """Return each command of the shell blocks that do, or do not, say they need the internet."""
    found = [text for _, text in blocks("sh") if (NEEDS_INTERNET in text) == internet]
    lines = [line for text in found for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def named(snippet: Snippet) -> str:
    return f"{snippet[0].name}: {snippet[1].splitlines()[0]}"


def environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
    return clean | {"PYTHONPATH": str(ROOT)}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder where the demo ran, and what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    done = run([sys.executable, "-m", "crawler", "demo"], folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


# --- commands ---------------------------------------------------------------------------------


def test_shell_blocks_hold_make_and_sitrep_and_nothing_else() -> None:
    for line in commands(internet=False) + commands(internet=True):
        assert line.startswith(("make ", f"{SITREP} ")), line


def test_make_targets_of_the_documents_exist_and_do_what_is_said() -> None:
    asked = {line.split()[1] for line in commands(internet=False) if line.startswith("make ")}
    assert {"demo", "test"} <= asked <= set(TARGETS)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^(\w+):.*\n\t(.+)", makefile, re.MULTILINE))
    assert asked <= set(recipes)
    assert recipes["demo"] == "$(BIN)/sitrep demo"
    assert recipes["test"].startswith("$(BIN)/python -m pytest")


@pytest.mark.parametrize(
    "line", [one for one in commands(internet=False) if one.startswith(SITREP)]
)
def test_command_of_a_document_works_after_the_demo(line: str, demo: tuple[Path, str]) -> None:
    words = shlex.split(line)
    done = run([sys.executable, "-m", "crawler", *words[1:]], demo[0])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("line", commands(internet=True))
def test_command_that_needs_the_internet_is_one_that_the_program_takes(line: str) -> None:
    words = shlex.split(line)
    assert words[0] == SITREP
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group):
        command, rest = command_of(command, rest[0]), rest[1:]
    # Parsing asks for nothing: an option or a value that is not taken raises here.
    parsed = command.make_context(" ".join(words), list(rest)).params
    sites = parsed.get("names") or ([parsed["name"]] if parsed.get("name") else [])
    assert set(sites) <= set(Register().names)


# --- what is shown ----------------------------------------------------------------------------


def plain(line: str) -> str:
    """Return a line as it is compared: one space for many, no port, which may have been taken."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", " ".join(line.split()))


def test_output_that_the_readme_shows_is_the_demos_own(demo: tuple[Path, str]) -> None:
    shown = re.search(r"^```text\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert shown
    printed = iter([plain(line) for line in demo[1].splitlines()])
    lines = [plain(line) for line in shown[1].splitlines() if line.strip() != "…"]
    assert 10 <= len(lines) <= 20
    for line in lines:
        assert any(is_shown(line, one) for one in printed), f"not printed, in this order: {line}"


def is_shown(line: str, printed: str) -> bool:
    """Tell whether a shown line is the printed one, or the beginning of it where it ends in `…`."""
    is_cut = line.endswith("…") and line != printed
    return printed.startswith(line[:-1].rstrip()) if is_cut else printed == line


# Those for a bucket run in test_lake_docs.
@pytest.mark.parametrize(
    "snippet", [one for one in blocks("python") if "s3://" not in one[1]], ids=named
)
def test_python_of_a_document_runs_on_the_demos_lake(
    snippet: Snippet, demo: tuple[Path, str]
) -> None:
    done = run([sys.executable, "-W", "error::SyntaxWarning", "-c", snippet[1]], demo[0])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("snippet", blocks("sql"), ids=named)
def test_sql_of_a_document_gives_rows_of_the_demos_lake(
    snippet: Snippet, demo: tuple[Path, str]
) -> None:
    command = ("crawler", "query", "--lake", "demo/lake", snippet[1])
    done = warm.run(*command, folder=demo[0], env=environment(), stdin=None, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] != "0 rows"


# --- what is documented -----------------------------------------------------------------------


def test_every_verb_stands_in_the_readmes_table_and_no_other() -> None:
    table = README[README.index("| verb | does |") : README.index("## Settings")]
    rows = re.findall(r"^\| `([a-z ]+?)(?: [^a-z`][^`]*)?` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(map(" ".join, verbs(cli)))


def test_options_named_in_the_readmes_table_exist() -> None:
    table = README[README.index("| verb | does |") : README.index("## Settings")]
    for words, rest in re.findall(
        r"^\| `([a-z ]+?)(?: [^a-z`][^`]*)?` \|(.*)$", table, re.MULTILINE
    ):
        command = command_of(cli, *words.split())
        taken = {flag for option in command.params for flag in option.opts}
        assert set(re.findall(r"`(--[a-z-]+)", rest)) <= taken


def test_every_setting_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| `SITREP_(\w+)` \|", README, re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields}


def anchors(text: str) -> set[str]:
    """Return the anchors that a document's headings have, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one).strip().lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_links_between_documents_lead_to_files_and_headings_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?://|mailto:)([^)]+)\)", text):
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_paths_of_the_checkout_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    rooted = r"`((?:crawler|pipelines|tests|fixtures|docs|benchmarks)/[a-z_./]*)`"
    for path in re.findall(rooted, text):
        assert (ROOT / path).exists(), path


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 180
