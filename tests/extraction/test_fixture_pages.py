"""Every bundled site's look-alike page gives the article written beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler.fixture import compare
from crawler.site import read_site
from pipelines.errors import SiteError

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(one for one in (ROOT / "fixtures" / "sites").iterdir() if one.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.name)
def test_look_alike_page_gives_the_expected_article_field_by_field(folder: Path) -> None:
    site = read_site(ROOT / "crawler" / "sites" / f"{folder.name}.toml")
    wrong = [(one.field, one.expected, one.got) for one in compare(site, folder) if not one.ok]
    assert wrong == []


def test_difference_names_the_field_with_both_values(tmp_path: Path) -> None:
    folder = FOLDERS[0]
    expected = json.loads((folder / "expected.json").read_text())
    expected["article"]["headline"] = "Another headline"
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    (tmp_path / "page.html").write_bytes((folder / "page.html").read_bytes())
    site = read_site(ROOT / "crawler" / "sites" / f"{folder.name}.toml")
    wrong = [one for one in compare(site, tmp_path) if not one.ok]
    assert [(one.field, one.expected) for one in wrong] == [("headline", "Another headline")]


def test_missing_page_is_one_line_with_the_file_and_what_to_do(tmp_path: Path) -> None:
    site = read_site(ROOT / "crawler" / "sites" / f"{FOLDERS[0].name}.toml")
    with pytest.raises(SiteError, match=r"expected\.json.*write the page"):
        compare(site, tmp_path)
