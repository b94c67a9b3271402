"""What a run did, counted as `crawl --json` gives it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from crawler.estimate import Standing
from pipelines.backfill_state import Unfinished
from pipelines.schema import COUNTS

# A single page may fail anywhere; beyond that, more than a tenth is a site that is broken.
TOLERATED_FAILURES = 1
TOLERATED_SHARE = 0.1
# A source of which there is more to be said has one thing wrong with it, many times.
MOST_WARNINGS = 50
# Skipped for now, since the host itself would not have it: robots.txt is down, or Retry-After long.
UNWILLING = ("silent_host", "retry_after")


@dataclass(slots=True)
class SiteReport:
    """The counts of one site.

    `sources_asked` and `sources_failed` are feeds and their like; of those, `pointers` only named
    other sources. `warnings` tell what is odd about one that could be read. `revisits` are the
    stories that were looked at again by their age.
    """

    site: str
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, str]] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    sources_asked: int = 0
    sources_failed: int = 0
    pointers: int = 0
    revisits: int = 0
    is_unreadable: bool = False  # its site file is wrong
    standing: Standing | None = None  # of a backfill

    def error(self, url: str, error: str) -> None:
        self.errors.append({"url": url, "error": error})

    def warn(self, url: str, warning: str) -> bool:
        """Put down a warning; tell whether it is a new one, and not one too many."""
        one = {"url": url, "warning": warning}
        is_new = one not in self.warnings and len(self.warnings) < MOST_WARNINGS
        self.warnings += [one] if is_new else []
        return is_new

    @property
    def is_failed(self) -> bool:
        """The site failed as a whole, or more than a tenth of its pages did."""
        asked = self.counts["fetched"] + self.counts["not_modified"] + self.counts["failed"]
        failed = self.counts["failed"]
        too_many = failed > TOLERATED_FAILURES and failed > TOLERATED_SHARE * asked
        no_sources = 0 < self.sources_failed == self.sources_asked - self.pointers
        is_silent = not asked and any(self.skipped[reason] for reason in UNWILLING)
        return too_many or no_sources or is_silent or self.is_unreadable

    def as_json(self) -> dict[str, Any]:
        return {
            "site": self.site,
            **{name: self.counts[name] for name in COUNTS},
            "skipped": {reason: n for reason, n in sorted(self.skipped.items()) if n},
            "errors": self.errors,
            "warnings": self.warnings,
            **({"backfill": self.standing.as_json()} if self.standing else {}),
        }


@dataclass(slots=True)
class RunReport:
    """What `crawl` tells at its end."""

    run_id: str
    started_at: datetime
    finished_at: datetime | None = None
    sites: dict[str, SiteReport] = field(default_factory=dict)
    callback_errors: int = 0
    is_interrupted: bool = False

    def site(self, name: str) -> SiteReport:
        return self.sites.setdefault(name, SiteReport(site=name))

    @property
    def exit_status(self) -> int:
        if self.is_interrupted:
            return 130  # as a shell says of what Ctrl-C ended
        return int(bool(self.callback_errors) or any(s.is_failed for s in self.sites.values()))

    def totals(self) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        for site in self.sites.values():
            counts += site.counts
            skipped += site.skipped
        sites = self.sites.values()
        return {
            **{name: counts[name] for name in COUNTS},
            "skipped": dict(sorted(skipped.items())),
            "errors": [error for site in sites for error in site.errors],
            "warnings": [warning for site in sites for warning in site.warnings],
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at) if self.finished_at else None,
            "sites": [site.as_json() for site in self.sites.values()],
            "totals": self.totals(),
        }


def unfinished_as_json(backfill: Unfinished) -> dict[str, Any]:
    return asdict(backfill) | {"began": iso(backfill.began)}


def iso(when: datetime) -> str:
    """Write a time as ISO 8601 with Z."""
    return when.isoformat().replace("+00:00", "Z")
