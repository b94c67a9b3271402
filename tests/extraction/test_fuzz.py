"""Ten minutes of mutated pages, and ten of sewn ones, find nothing that raises (`make soak`)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, process_time

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from crawler.extraction import extract
from crawler.extraction.looking import Told, look_at
from tests.extraction.generated import URL
from tests.extraction.sewn import sewn_pages

FUZZ = Path(__file__).with_name("fuzz_extract.py")
SECONDS = 600
FETCHED = datetime(2026, 11, 17, tzinfo=UTC)
# A page of the usual size takes hundredths of a second, the largest here some tenths.
MOST_SECONDS = 10.0


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_no_mutated_page_raises_or_comes_out_empty_without_a_reason(tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZ), f"-max_total_time={SECONDS}", "-timeout=20"]
    command += ["-max_len=8192", "-len_control=0", "-rss_limit_mb=2048"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS + 300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done" in done.stderr


@pytest.mark.soak
def test_no_sewn_page_raises_or_takes_long_or_is_read_in_two_ways() -> None:
    ends, rounds = monotonic() + SECONDS, 0
    while monotonic() < ends:
        # Many short rounds: hypothesis knows a number of examples, and no hour.
        seed(rounds)(_answers)()
        rounds += 1
    assert rounds > 1


@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(html=sewn_pages(), is_timed=st.booleans(), headers=st.sampled_from(({}, {"x": "y"})))
def _answers(*, html: bytes, is_timed: bool, headers: dict[str, str]) -> None:
    fetched = FETCHED if is_timed else None
    start = process_time()
    article = extract(html, URL, headers=headers, fetched_at=fetched)
    assert process_time() - start < MOST_SECONDS
    assert article.article_body or article.refusal
    assert extract(html, URL, headers=headers, fetched_at=fetched) == article
    told = Told(headline=None, article_body=article.article_body, fetched_at=FETCHED)
    look_at(html, URL, told=told, headers=headers)
