"""The house rules that hold the code together."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crawler
import pipelines
from pipelines.schema import ARTICLES, TABLES
from pipelines.views import connect

ROOT = Path(__file__).parents[1]
PACKAGES = {name: ROOT / name for name in ("crawler", "pipelines")}
MODULES = sorted(file for folder in PACKAGES.values() for file in folder.rglob("*.py"))
LIBRARY = sorted(PACKAGES["pipelines"].rglob("*.py"))
# What the library must run without: the application, and the crawler that it is built on.
FOREIGN = frozenset({"crawler", "scrapy", "twisted", "fixtures", "tests"})
# The demo serves the newsroom, which lies beside the code in a checkout and is never installed.
MAY_IMPORT_FIXTURES = {"crawler/commands/demo.py": "_newsroom_class"}


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imported(node: ast.AST) -> set[str]:
    """Return the top-level packages that a node of a module's tree imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        return {(node.module or "").partition(".")[0]}
    if isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
        named = [one.value for one in node.args if isinstance(one, ast.Constant)]
        return {str(one).partition(".")[0] for one in named}
    return set()


def imports(tree: ast.AST) -> set[str]:
    return {name for node in ast.walk(tree) for name in imported(node)}


@pytest.mark.parametrize("file", LIBRARY, ids=name_of)
def test_library_imports_neither_the_application_nor_scrapy(file: Path) -> None:
    assert imports(ast.parse(file.read_text(encoding="utf-8"))) & FOREIGN == set()


def test_library_runs_in_an_interpreter_without_scrapy() -> None:
    names = [name_of(file).removesuffix(".py").replace("/", ".") for file in LIBRARY]
    names = [name.removesuffix(".__init__") for name in names]
    program = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    command = [sys.executable, "-c", program, json.dumps(names)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert FOREIGN.isdisjoint(json.loads(done.stdout))


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_code_imports_no_tests_and_no_fixtures_but_where_the_demo_says_so(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    allowed = MAY_IMPORT_FIXTURES.get(name_of(file))
    inside = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == allowed]
    excused = {id(node) for function in inside for node in ast.walk(function)}
    for node in ast.walk(tree):
        if id(node) not in excused:
            assert imported(node).isdisjoint({"tests", "fixtures"}), ast.unparse(node)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_module_says_what_it_is(file: Path) -> None:
    # `__main__` is the interpreter's name for the door; what is behind it says what it is.
    if file.name != "__main__.py":
        assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


def test_installed_packages_are_those_of_this_checkout() -> None:
    assert Path(crawler.__file__).parent == PACKAGES["crawler"]
    assert Path(pipelines.__file__).parent == PACKAGES["pipelines"]


def section(text: str, heading: str) -> str:
    """Return what stands between a heading of the second level and the next one."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/lake.md has no heading '{heading}'"
    return found[1]


def rows_of(text: str) -> list[tuple[str, str]]:
    """Return name and type of each row of the tables in a Markdown text."""
    return re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", text, re.MULTILINE)


def kind_of(field: object) -> str:
    """Return a column's type as the documents write it."""
    shown = re.sub(r"child \d+, |item: |element: |(?<=<)l: ", "", str(field))
    shown = shown.replace("timestamp[us, tz=UTC]", "timestamp")
    if shown.startswith("list<struct"):
        names = ", ".join(re.findall(r"(\w+): ", shown))
        return f"list<struct<{names}>>"
    return "dictionary<string>" if shown.startswith("dictionary") else shown


@pytest.mark.parametrize("table", ["articles", *TABLES])
def test_lake_document_has_every_column_with_its_type_and_no_other(table: str) -> None:
    schema = ({"articles": ARTICLES} | TABLES)[table]
    expected = {field.name: kind_of(field.type) for field in schema}
    if table == "revisions":
        expected = {name: kind for name, kind in expected.items() if name not in ARTICLES.names}
    text = (ROOT / "docs" / "lake.md").read_text(encoding="utf-8")
    assert dict(rows_of(section(text, f"`{table}`"))) == expected


def test_lake_document_has_every_view_with_its_columns_and_their_types() -> None:
    text = section((ROOT / "docs" / "lake.md").read_text(encoding="utf-8"), "Views made of these")
    listed = {
        name: dict(rows_of(rest))
        for name, rest in re.findall(r"(?ms)^### `(\w+)`$(.*?)(?=^### |\Z)", text)
    }
    with connect(None) as connection:
        names = "SELECT view_name FROM duckdb_views() WHERE NOT internal"
        there = {
            name: {
                field.name: kind_of(field.type)
                for field in connection.table(name).to_arrow_table().schema
            }
            for (name,) in connection.sql(names).fetchall()
        }
    tables = {"articles", "revisions_all", "revisions", *TABLES}
    assert listed == {name: cols for name, cols in there.items() if name not in tables}


@pytest.mark.parametrize("package", PACKAGES)
def test_map_of_the_house_has_every_room_and_no_other(package: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| `{package}/` \| \|$(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert found
    named = set(re.findall(r"^\| `([\w./]+)` \|", found[1], re.MULTILINE))
    folder = PACKAGES[package]
    there = {f"{one.name}/" if one.is_dir() else one.name for one in folder.iterdir()}
    apart = {"__init__.py", "__main__.py", "__pycache__/", "py.typed"}
    assert named == there - apart
