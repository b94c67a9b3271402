"""Ten minutes of random pages find nothing that raises (`make soak`)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz_extract.py")
SECONDS = 600


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_no_mutated_page_raises_or_comes_out_empty_without_a_reason(tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZ), f"-max_total_time={SECONDS}", "-timeout=20"]
    command += ["-max_len=8192", "-rss_limit_mb=2048"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS + 300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done" in done.stderr
