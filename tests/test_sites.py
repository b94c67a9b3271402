"""Every bundled site is whole; a site file that is wrong says so in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.fixture import compare
from crawler.register import BUNDLED, Register
from crawler.site import ExtractRules, Layout, Site, read_site
from pipelines.errors import SiteError

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "fixtures" / "sites"
SITES = Register().names
FEED = "https://gazette.example/feed/"
GOOD = """\
publisher = "Harbour Gazette"
home = "https://gazette.example/"
time_zone = "Europe/Athens"
feeds = ["https://gazette.example/feed/"]
"""
# (what is wrong, the file's text, what the error must name: the key, and what to do)
WRONG = (
    ("unknown key", GOOD + "prunes = []", ("prunes",)),
    ("misspelt key", GOOD + "feed = []", ("feed", "did you mean 'feeds'?")),
    (
        "misspelt rule",
        GOOD + '[extract]\nprunes = ["p"]',
        ("extract.prunes", "did you mean 'prune'?"),
    ),
    (
        "misspelt layout",
        GOOD + "[[layout]]\nuntil = 2025-03-01\nprun = []",
        ("layout.0.prun", "'prune'"),
    ),
    ("bad selector", GOOD + '[extract]\nprune = ["div..x"]', ("extract.prune", "div..x", "CSS")),
    ("bad body", GOOD + '[extract]\nbody = "div["', ("extract.body", "CSS")),
    ("impossible zone", GOOD.replace("Athens", "Atlantis"), ("time_zone", "Europe/Athens")),
    ("zone as path", GOOD.replace("Europe/Athens", "../etc"), ("time_zone", "IANA")),
    ("bad regex", GOOD + "article_url = '/(\\d+'", ("article_url", "regular expression")),
    ("bad duration", GOOD + 'every = "half an hour"', ("every", "such as '30m'")),
    ("empty delay", GOOD + 'delay = ""', ("delay", "duration")),
    ("bare number", GOOD + "delay = 2", ("delay", "'30m'")),
    ("wordpress", GOOD + 'wordpress = "https://gazette.example/"', ("wordpress", "/wp-json")),
    ("relative feed", GOOD.replace(FEED, "/feed/"), ("feeds", "absolute")),
    ("other scheme", GOOD.replace(FEED, "file:///etc/passwd"), ("feeds",)),
    ("country", GOOD + 'country = "Greece"', ("country",)),
    ("unverified", GOOD + 'unverified = ["feedz"]', ("unverified", "feedz")),
    ("missing key", GOOD.replace("home", "# home"), ("home", "missing")),
    ("not TOML", GOOD + "feeds = [", ("TOML",)),
    ("not text", "", ("TOML",)),
)


@pytest.mark.parametrize("name", SITES)
def test_bundled_site_is_valid_and_says_where_its_articles_are(name: str) -> None:
    site = read_site(BUNDLED / f"{name}.toml")
    assert site.feeds or site.sitemaps or site.listings or site.wordpress
    assert site.delay.total_seconds() >= 1
    assert site.max_age is not None
    assert all(site.names_host_of(url) for url in (*site.feeds, *site.sitemaps, *site.listings))


@pytest.mark.parametrize("name", SITES)
def test_bundled_site_has_a_look_alike_page_that_gives_the_expected_article(name: str) -> None:
    site, folder = read_site(BUNDLED / f"{name}.toml"), PAGES / name
    fields = compare(site, folder)
    assert [(one.field, one.expected, one.got) for one in fields if not one.ok] == []
    told = {one.field for one in fields if one.expected}
    assert {"headline", "article_body", "date_published", "in_language"} <= told


@pytest.mark.parametrize("name", SITES)
def test_bundled_site_takes_its_own_look_alike_page_for_an_article(name: str) -> None:
    site = read_site(BUNDLED / f"{name}.toml")
    url = json.loads((PAGES / name / "expected.json").read_text(encoding="utf-8"))["url"]
    assert site.owns(url)
    assert not site.article_url or re.search(site.article_url, url)


@pytest.mark.parametrize("name", SITES)
def test_unverified_keys_of_a_bundled_site_stand_in_its_file(name: str) -> None:
    site = read_site(BUNDLED / f"{name}.toml")
    for key in site.unverified:
        assert key in site.model_fields_set, key


def test_no_look_alike_page_is_left_without_its_site() -> None:
    assert {folder.name for folder in PAGES.iterdir() if folder.is_dir()} <= set(SITES)


def test_every_key_of_a_site_file_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "sites.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    top = set(Site.model_fields) - {"name", "file", "extract", "layout"}
    assert documented == top | set(ExtractRules.model_fields)
    assert all(f"`{key}`" in text for key in Layout.model_fields)


def test_example_in_the_document_is_a_valid_site_file(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "sites.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example
    file = tmp_path / "harbour_gazette.toml"
    file.write_text(example[1], encoding="utf-8")
    assert read_site(file).layout[0].body == "div.old-story"


@pytest.mark.parametrize(("text", "named"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_site_file_is_one_line_with_file_key_and_remedy(
    text: str, named: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "harbour_gazette.toml"
    file.write_bytes(text.encode() or b"\xff\xfe\x00")
    with pytest.raises(SiteError) as caught:
        read_site(file)
    line = str(caught.value)
    assert "\n" not in line
    for part in (str(file), *named):
        assert part in line, line


@pytest.mark.parametrize("name", ["Harbour", "harbour-gazette", "harbour gazette", "_x"])
def test_site_file_with_an_impossible_name_says_which_names_there_are(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{name}.toml"
    file.write_text(GOOD, encoding="utf-8")
    with pytest.raises(SiteError, match=r"a-z, 0-9 and _; rename the file"):
        read_site(file)


def sitrep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SITREP_")}
    return subprocess.run(
        [sys.executable, "-m", "crawler", *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wrong_site_file_stops_that_site_alone(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "gazette.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "sites" / "herald.toml").write_text(GOOD + "feed = []", encoding="utf-8")
    assert sitrep(tmp_path, "sites", "show", "gazette").returncode == 0
    listed = sitrep(tmp_path, "sites", "list", "--json")
    said = json.loads(listed.stdout)
    assert listed.returncode == 1
    assert {one["site"] for one in said["sites"]} == {*SITES, "gazette"}
    [wrong] = said["errors"]
    assert wrong["site"] == "herald"
    assert "did you mean 'feeds'?" in wrong["error"]


def test_crawl_of_a_site_with_a_wrong_file_exits_2_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "herald.toml").write_text(GOOD + "feed = []", encoding="utf-8")
    done = sitrep(tmp_path, "crawl", "herald")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "herald.toml: unknown key 'feed'; did you mean 'feeds'?" in done.stderr
    assert not (tmp_path / "lake").exists()


def test_own_site_file_replaces_the_bundled_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "naval_news.toml").write_text(GOOD, encoding="utf-8")
    assert Register(tmp_path).site("naval_news").publisher == "Harbour Gazette"
    assert set(Register(tmp_path).names) == set(SITES)
