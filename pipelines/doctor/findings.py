"""What a check found: what is wrong, where, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

# Of each kind; a lake in which everything is wrong is told in a page all the same.
MOST = 20

BACKUP = "restore it from a backup"
REPORT = "report it: it is a fault of Sitrep"
REBUILD = "run `sitrep doctor --rebuild`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`level` is `error` (wrong, missing, doubled) or `warning` (orphans, advice)."""

    check: str
    level: Literal["error", "warning"]
    where: str
    what: str
    remedy: str


def bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the first findings of each kind, then how many more there are of it.

    A kind is what has one check, level and remedy.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    last: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        kind: tuple[str, ...] = (finding.check, finding.level, finding.remedy)
        seen[kind] += 1
        last[kind] = finding
        if seen[kind] <= MOST:
            yield finding
    for one, times in seen.items():
        if times > MOST:
            yield replace(last[one], what=f"{last[one].what} (and {times - MOST - 1} more)")


def reason(error: Exception) -> str:
    """Return why a file cannot be read, in one line."""
    if isinstance(error, FileNotFoundError):
        return "is missing"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
