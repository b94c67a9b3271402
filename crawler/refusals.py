"""Requests that were decided against, with the reason that is counted."""

from __future__ import annotations

from scrapy.exceptions import IgnoreRequest


class NotAskedError(IgnoreRequest):
    """`reason` is the word under `skipped`: `robots`, `foreign_host`."""

    def __init__(self, reason: str, url: str):
        super().__init__(f"{reason}: {url}")
        self.reason = reason
