"""Requests that were decided against, with the reason that is counted."""

from __future__ import annotations

from scrapy.exceptions import IgnoreRequest

INTERRUPTED = "interrupted"
# The host is left alone, and there is on record until when.
RESTING = frozenset({"resting", "retry_after"})


class NotAskedError(IgnoreRequest):
    """`reason` is the word under `skipped`: `robots`, `foreign_host`, `silent_host`.

    `for_now` tells what another crawl may find otherwise: the link is left as it was.
    """

    def __init__(self, reason: str, line: str, *, for_now: bool = False):
        super().__init__(line)
        self.reason = reason
        self.for_now = for_now
