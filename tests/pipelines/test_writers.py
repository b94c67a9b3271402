"""A lake in a bucket belongs to one state, and whoever writes holds that one's lease."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.errors import LakeError
from pipelines.lake import Lake
from pipelines.model import Batch, Relation
from pipelines.state import State
from pipelines.writers import admitted
from tests.s3 import Store

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
Opened = Callable[[str], State]


@pytest.fixture
def lake(moto: Store, monkeypatch: pytest.MonkeyPatch) -> Lake:
    own = moto.with_bucket()
    for name, value in own.environment.items():
        monkeypatch.setenv(name, value)
    return Lake.open(own.url("lake"), create=True)


def state(folder: Path, name: str) -> State:
    return State.open(f"sqlite:///{folder}/{name}/sitrep.db")


def again(lake: Lake) -> Lake:
    """Return the lake as another process opens it."""
    return Lake.open(lake.storage.url)


def batch(n: int) -> Batch:
    relation = Relation(article_id=f"story-{n}", cluster_id=f"story-{n}", relation="original")
    return Batch(warc_path=f"warc/2024/07/{n}.warc.gz", relations=(relation,))


def test_who_was_not_let_in_may_read_and_not_write(lake):
    with pytest.raises(LakeError, match="opened to be read only"):
        lake.commit(batch(0), now=NOW)
    assert lake.files("relations") == []


def test_the_first_state_that_writes_is_the_lakes_and_another_is_refused(lake, tmp_path):
    mine, other = state(tmp_path, "mine"), state(tmp_path, "other")
    with admitted(lake, mine, locks_folder=tmp_path / "mine"):
        lake.commit(batch(0), now=NOW)
    assert again(lake).about.state_id == mine.state_id
    with (
        pytest.raises(LakeError, match=r"another state writes.*doctor --rebuild"),
        admitted(again(lake), other, locks_folder=tmp_path / "other"),
    ):
        pytest.fail("it was let in")


def test_a_state_that_takes_the_lake_over_shuts_the_one_before_out_at_once(lake, tmp_path):
    mine, other = state(tmp_path, "mine"), state(tmp_path, "other")
    with admitted(lake, mine, locks_folder=tmp_path / "mine"):
        lake.commit(batch(0), now=NOW)
        theirs = again(lake)
        with admitted(theirs, other, locks_folder=tmp_path / "other", takes_over=True):
            theirs.commit(batch(1), now=NOW + timedelta(minutes=1))
        with pytest.raises(LakeError, match="another state writes"):
            lake.commit(batch(2), now=NOW + timedelta(minutes=2))
    found = again(lake).table("relations")
    assert found is not None
    assert found.count() == 2


def test_a_lake_that_is_gone_is_not_begun_anew_by_who_was_writing_it(lake, tmp_path):
    with admitted(lake, state(tmp_path, "mine"), locks_folder=tmp_path / "mine"):
        lake.storage.delete("_sitrep.json")
        with pytest.raises(LakeError, match="there is no lake here"):
            lake.commit(batch(0), now=NOW)
    assert list(lake.storage.list()) == []


def test_who_shares_the_state_waits_for_the_other(lake, tmp_path):
    mine, folder = state(tmp_path, "mine"), tmp_path / "mine"
    second = again(lake)
    with admitted(lake, mine, locks_folder=folder), admitted(second, mine, locks_folder=folder):
        with (
            lake.lock(),
            pytest.raises(LakeError, match="another process has been writing"),
            second.lock(patience=timedelta(0)),
        ):
            pytest.fail("both write")
        with second.lock(patience=timedelta(0)):
            pass
