"""What a site's pages repeat, as rows of `furniture`: learned, refreshed, taken back, mended with.

The table is only appended to. Of each block the newest row holds; beside them stand rows of two
more kinds, which say how far the learning of a site has come: `pages`, so many were looked at, and
`mended`, what was stored before it was known has been read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

TEXT, PLACE, PAGES, MENDED = "text", "place", "pages", "mended"
# In force of one site; what was seen last stays.
MOST_OF_A_SITE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A block that a layout of a site repeats: `seen` on so many of the `looked_at` stories.

    `kind` is `text`, that text at that place, told by `text_hash`, or `place`, whatever stands
    there; `text` is what was last seen, cut. `is_inside`: it stands in the story's box.
    """

    kind: str
    layout: str
    place: str
    text: str
    text_hash: str
    is_inside: bool
    seen: int
    looked_at: int
    first_seen: datetime
    last_seen: datetime
    example_urls: tuple[str, ...]
    is_in_force: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.place, self.text_hash

    @property
    def rule(self) -> str:
        """Return what `removed_blocks` has of it."""
        return f"learned:{self.kind} {self.seen}/{self.looked_at}"


@dataclass(slots=True)
class Known:
    """What is known of one site. `looked_until` is the youngest page that was looked at.

    `learned_at` is the newest row that changed what is in force, `mended_at` the newest `mended`.
    """

    learned: dict[tuple[str, str, str], Learned] = field(default_factory=dict)
    looked_at: int = 0
    looked_until: datetime | None = None
    learned_at: datetime | None = None
    mended_at: datetime | None = None

    @property
    def in_force(self) -> list[Learned]:
        found = [one for one in self.learned.values() if one.is_in_force]
        return sorted(found, key=lambda one: (one.last_seen, one.key))[-MOST_OF_A_SITE:]

    @property
    def is_unmended(self) -> bool:
        at = self.learned_at
        return at is not None and (self.mended_at is None or self.mended_at < at)


def furniture_row(site: str, learned: Learned, *, recorded_at: datetime) -> dict[str, Any]:
    row = asdict(learned) | {"site": site, "recorded_at": recorded_at}
    return row | {"example_urls": list(learned.example_urls)}


def marker_row(
    site: str, kind: str, *, pages: int, until: datetime, recorded_at: datetime
) -> dict[str, Any]:
    """Return the row that says that `pages` were looked at, or mended, the youngest of `until`."""
    marker = {"site": site, "kind": kind, "looked_at": pages, "last_seen": until}
    return marker | {"recorded_at": recorded_at}


def known_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Known]:
    """Return what rows of `furniture` tell of each site, the later over the earlier."""
    found: defaultdict[str, Known] = defaultdict(Known)
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        known, at = found[row["site"]], row["recorded_at"]
        if row["kind"] == PAGES:
            known.looked_at, known.looked_until = row["looked_at"], row["last_seen"]
        elif row["kind"] == MENDED:
            known.mended_at = at
        else:
            _put(known, _learned(row), at)
    return dict(found)


def _put(known: Known, one: Learned, at: datetime) -> None:
    before = known.learned.get(one.key)
    # What is only counted anew takes nothing else away.
    if before is None or before.is_in_force != one.is_in_force:
        known.learned_at = at
    known.learned[one.key] = one


def _learned(row: Mapping[str, Any]) -> Learned:
    fields = {name: row[name] for name in Learned.__dataclass_fields__}
    return Learned(**{**fields, "example_urls": tuple(row["example_urls"] or ())})
