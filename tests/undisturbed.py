"""Two living sites, and what an undisturbed crawl of them says: what any other must come to."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from pipelines.archive import read_pages
from pipelines.doctor import examine
from pipelines.errors import ArchiveError
from pipelines.lake import Lake
from pipelines.model import Page
from pipelines.sql import rows_of
from pipelines.state import State
from pipelines.views import connect
from tests.installation import Installation
from tests.living_site import Answer, Entry, LivingSite, settle_in, story

# What names a run, a time or a place in the archive differs from run to run; all else must not.
_OWN = {
    "first_seen", "last_seen", "fetched_at", "recorded_at", "replaced_at", "warc_path",
    "warc_offset", "warc_length", "warc_record_id", "run_id",
}  # fmt: skip
_KEYS = {"revisions_all": "article_id, revision, extraction", "articles": "article_id"}

Truth = dict[str, Any]


def truth_of(installation: Installation) -> Truth:
    """Return what a lake says, all tables, but for times, runs and places in the archive."""
    with connect(Lake.open(str(installation.folder / "lake"))) as connection:
        tables = {
            name: [
                _bare(row) for row in rows_of(connection, f"SELECT * FROM {name} ORDER BY {key}")
            ]
            for name, key in _KEYS.items()
        }
        clusters: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in rows_of(connection, "SELECT * FROM articles"):
            clusters[row["cluster_id"]].add((row["article_id"], row["cluster_relation"]))
        captures = rows_of(connection, "SELECT * FROM captures WHERE kind = 'article'")
        names = ("site", "url", "requested_url", "status", "payload_digest", "verdict",
                 "article_id", "revision")  # fmt: skip
        verdicts = Counter(tuple(row[name] for name in names) for row in captures)
        # One whose page had not come yet is followed again.
        verdicts.update({one: 1 - n for one, n in verdicts.items() if 300 <= one[3] < 400})
    # Which of a cluster was stored first is chance; who is in it and who is its original is not.
    together = {frozenset(members) for members in clusters.values()}
    return {**tables, "clusters": together, "verdicts": verdicts}


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k not in _OWN and k != "cluster_id"}


@dataclass
class Start:
    """A user's folder before the crawl that is killed, and what comes of it when it is not.

    `before` is the folder as it was before any kill.
    """

    folder: Path
    before: Path
    truth: Truth
    passages: dict[str, int]


@dataclass
class World:
    """Two sites, and two folders: a new one, and one that knows their first state."""

    sites: tuple[LivingSite, LivingSite]
    starts: dict[str, Start]

    @property
    def names(self) -> list[str]:
        return [site.name for site in self.sites]

    def installation(self, folder: Path, start: str) -> Installation:
        shutil.copytree(self.starts[start].folder, folder, symlinks=True, dirs_exist_ok=True)
        return Installation(folder=folder)

    def passage(self, start: str, step: str, share: float) -> int:
        """Return which passage of a step lies at a share of all that there are."""
        times = self.starts[start].passages.get(step, 0)
        assert times, f"{step} is never passed"
        return 1 + int(share * times)

    def forget_requests(self) -> None:
        for site in self.sites:
            site.requests.clear()

    def asked(self) -> set[str]:
        return {site.url(one.path) for site in self.sites for one in site.requests}


def first_state(ours: LivingSite, theirs: LivingSite) -> None:
    for site, numbers in ((ours, range(1, 5)), (theirs, range(11, 14))):
        for n in numbers:
            site.put(story(n), listed=False)
            site.entries.append(Entry(path=story(n).path, title=story(n).headline))


def second_state(ours: LivingSite, theirs: LivingSite) -> None:
    """An edit, new stories, a copy, an original found late, a story that moved, pages of none.

    The story that moved is listed at its new address alone; another is listed by a short link.
    """
    edited = story(1, headline="The yard takes its words back", body=story(21).body)
    ours.put(edited, listed=False)
    ours.entries[0] = Entry(path=edited.path, title=edited.headline)
    ours.put(*(story(n) for n in (5, 6, 7, 8)))
    copy = story(2, path="/2024/05/copied/", published="2024-05-20T10:00:00+00:00")
    earlier = story(12, path="/2024/05/the-original/", published="2024-04-01T10:00:00+00:00")
    theirs.put(copy, story(14), story(15))
    ours.put(earlier)
    ours.put(replace(story(3), path="/2024/05/moved/"))
    ours.redirect(story(3).path, ours.url("/2024/05/moved/"))
    ours.entries = [one for one in ours.entries if one.path != story(3).path]
    theirs.put(story(16), listed=False)
    theirs.redirect("/go/16", theirs.url(story(16).path), status=302)
    theirs.entries.append(Entry(path="/go/16"))
    theirs.answers["/2024/05/short/"] = Answer(body=b"<h1>Soon</h1><p>More to come.</p>")
    theirs.entries += [Entry(path="/2024/05/short/"), Entry(path="/2024/05/nothing/")]


@contextmanager
def undisturbed_world(tmp_path_factory: pytest.TempPathFactory, *starts: str) -> Iterator[World]:
    """Give the world with undisturbed crawls from `starts`: `new`, `known`."""
    with LivingSite("slipway_post") as ours, LivingSite("dock_times") as theirs:
        folders = {name: tmp_path_factory.mktemp(name) for name in starts}
        first_state(ours, theirs)
        for name, folder in folders.items():
            installation = settle_in(folder, ours, theirs)
            if name == "known":
                installation.crawl(ours.name, theirs.name)
        second_state(ours, theirs)
        made = World((ours, theirs), {})
        for name, folder in folders.items():
            made.starts[name] = start = Start(folder, folder, {}, {})
            undisturbed = made.installation(tmp_path_factory.mktemp("undisturbed"), name)
            start.passages = count(undisturbed, made)
            start.truth = truth_of(undisturbed)
        yield made


def count(installation: Installation, world: World) -> dict[str, int]:
    """Crawl, undisturbed; return how often each step was passed."""
    file = installation.folder / "passages.json"
    installation.run("count", str(file), "crawl", *world.names, module="tests.killed_crawl")
    return dict(json.loads(file.read_text()))


def archived(installation: Installation) -> Counter[str]:
    """Return the article pages that archive and spool hold, of any answer.

    A redirect counts with the page that it leads to: without that it has to be followed again.
    """
    files = [
        *(installation.folder / "lake" / "warc").rglob("*.warc.gz"),
        *(installation.folder / "state" / "spool").glob("*.open"),
    ]
    pages: list[Page] = []
    for file in files:
        with suppress(ArchiveError):
            pages += (page for page in read_pages(file) if page.kind == "article")
    there = {page.url for page in pages}
    return Counter(
        page.url
        for page in pages
        if not page.is_redirect or urljoin(page.url, page.headers["location"]) in there
    )


def take_up(installation: Installation, world: World, start: str) -> None:
    """Crawl once, undisturbed, and hold all that came of it against the truth."""
    kept = archived(installation) - archived(Installation(folder=world.starts[start].before))
    world.forget_requests()
    report = installation.crawl(*world.names)
    assert report["totals"]["skipped"].get("busy") is None
    assert not (again := kept.keys() & world.asked()), f"fetched again: {again}"
    assert_undisturbed(installation, world.starts[start].truth)


def assert_undisturbed(installation: Installation, truth: Truth) -> None:
    found = truth_of(installation)
    for name in truth.keys() - {"verdicts"}:
        assert found[name] == truth[name], f"{name}: {found[name]} instead of {truth[name]}"
    more, less = found["verdicts"] - truth["verdicts"], truth["verdicts"] - found["verdicts"]
    assert not more, f"not in an undisturbed lake: {more}"
    assert not less, f"only in an undisturbed lake: {less}"
    state = State.open(f"sqlite:///{installation.folder}/state/sitrep.db")
    spool = installation.folder / "state" / "spool"
    lake = Lake.open(str(installation.folder / "lake"))
    findings = list(examine(lake, state, spool=spool))
    assert findings == [], findings
    state.close()
    assert list(spool.glob("*.open")) == []
