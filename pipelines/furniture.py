"""What a site's pages repeat, as rows of `furniture`: learned, refreshed, taken back, mended with.

The table is only appended to. Of each block the newest row holds; beside them stand rows of two
more kinds, which say how far the learning of a site has come: `pages`, so many were looked at, and
`mended`, what was stored before it was known has been read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

TEXT, PLACE, PAGES, MENDED = "text", "place", "pages", "mended"
# In force of one site; what was seen last stays.
MOST_OF_A_SITE = 400
STILL_THERE = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A block that a layout of a site repeats: `seen` on so many of the `looked_at` stories.

    `kind` is `text`, that text at that place, told by `text_hash`, or `place`, whatever stands
    there; `text` is what was last seen, cut. `is_inside`: it stands in the story's box; `in_body`:
    how often it had been read as story until then.
    """

    kind: str
    layout: str
    place: str
    text: str
    text_hash: str
    is_inside: bool
    seen: int
    looked_at: int
    in_body: int
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

    `unmended_from` is how far back what was stored may have what came in force since it was last
    read again; `is_unmended`, whether anything did.
    """

    learned: dict[tuple[str, str, str], Learned] = field(default_factory=dict)
    looked_at: int = 0
    looked_until: datetime | None = None
    is_unmended: bool = False
    unmended_from: datetime | None = None

    @property
    def in_force(self) -> list[Learned]:
        found = [one for one in self.learned.values() if one.is_in_force]
        return sorted(found, key=lambda one: (one.last_seen, one.key))[-MOST_OF_A_SITE:]

    def news(self, judged: Iterable[Learned]) -> list[Learned]:
        """Return what of a learning is to be written down.

        What is new and was read as story at least once, for of what other rules keep out nothing
        need be known; what is taken back; and what is still there after long, with the counts that
        it was learned with: readings are told apart by them. Of what was not seen this time nothing
        is said: old captures have it.
        """
        found = []
        for one in judged:
            before = self.learned.get(one.key)
            if before is None or not before.is_in_force:
                found += [one] if one.is_in_force and one.in_body else []
            elif not one.is_in_force:
                found.append(one)
            elif one.last_seen - before.last_seen > STILL_THERE:
                found.append(replace(before, last_seen=one.last_seen, text=one.text))
        return found


def furniture_row(site: str, learned: Learned) -> dict[str, Any]:
    """Return a row of `furniture`, without the time that it gets when it is appended."""
    return asdict(learned) | {"site": site, "example_urls": list(learned.example_urls)}


def marker_row(site: str, kind: str, *, pages: int, until: datetime | None) -> dict[str, Any]:
    """Return the row that says that `pages` were looked at, or read again, the youngest of then."""
    return {"site": site, "kind": kind, "looked_at": pages, "last_seen": until}


def known_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Known]:
    """Return what rows of `furniture` tell of each site, the later over the earlier."""
    found: defaultdict[str, Known] = defaultdict(Known)
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        known = found[row["site"]]
        if row["kind"] == PAGES:
            known.looked_at, known.looked_until = row["looked_at"], row["last_seen"]
        elif row["kind"] == MENDED:
            known.is_unmended, known.unmended_from = False, None
        else:
            _put(known, _learned(row))
    return dict(found)


def _put(known: Known, one: Learned) -> None:
    before = known.learned.get(one.key)
    # What is only counted anew changes no page.
    if before is None or before.is_in_force != one.is_in_force:
        begun = one.first_seen if before is None else min(one.first_seen, before.first_seen)
        known.unmended_from = min(known.unmended_from or begun, begun)
        known.is_unmended = True
    known.learned[one.key] = one


def _learned(row: Mapping[str, Any]) -> Learned:
    fields = {name: row[name] for name in Learned.__dataclass_fields__}
    return Learned(**{**fields, "example_urls": tuple(row["example_urls"] or ())})
