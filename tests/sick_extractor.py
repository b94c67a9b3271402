"""`sitrep` with an extractor that some pages make sick: `python -m tests.sick_extractor crawl …`.

HTML alone brings no worker of today to hang, to eat all memory or to crash; libraries change. The
extractor is the real one, but for pages whose text holds one of the words below. The crawler knows
nothing of it: the function that it sends to its workers is another one here.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any

from crawler import cli, extraction_pool

TIMEOUT_SECONDS = 4.0

_real = extraction_pool._extract


def extract(body: bytes, *arguments: Any) -> Any:
    if b"hangs-for-ever" in body:
        time.sleep(3600)
    if b"hangs-in-c" in body:
        ctypes.PyDLL(None).sleep(3600)  # with the interpreter's lock held
    if b"allocates-without-end" in body:
        _allocate()
    if b"crashes-the-parser" in body:
        ctypes.string_at(0)
    return _real(body, *arguments)


def _allocate() -> None:
    held = []
    while True:
        held.append(bytearray(16 << 20))


def main() -> None:
    # Workers know functions by the name of their module, which is not `__main__`.
    from tests import sick_extractor

    extraction_pool._extract = sick_extractor.extract
    init = extraction_pool.ExtractionPool.__init__
    init.__kwdefaults__["timeout_seconds"] = TIMEOUT_SECONDS
    cli.main()


if __name__ == "__main__":
    main()
