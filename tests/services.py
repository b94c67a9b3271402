"""The one rule for tests that need a program: skipped without it, failed where it must be there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRE = "SITREP_REQUIRE_SERVICES"


def is_missing(program: str) -> NoReturn:
    """Skip the test, or fail it where every service is required, as in CI."""
    missing = f"{program} is not installed; `make services` installs it"
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(missing)
    pytest.skip(missing)
