"""`articles/` on an object store, which has no links: one object a part, replaced under its name.

    articles/published_month=2024-05/part-0000.parquet
    _articles/manifest.json     up to which commit, which parts, how many rows, their checksums

A new name for new content would have a listing show both for a moment, and with them the same
article twice.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import pyarrow as pa

from pipelines import sums
from pipelines.published import (
    ARTICLES_FOLDER,
    Manifest,
    parquet,
    part_name,
    raise_unless_readable,
)
from pipelines.storage import Storage

logger = logging.getLogger(__name__)

MANIFEST = "_articles/manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid(Manifest):
    """`is_drafting`: a publish has begun; some parts may be newer."""

    generation: int = 0
    is_drafting: bool = False


class InPlace:
    """`articles/` in a lake on an object store."""

    def __init__(self, storage: Storage):
        self._storage = storage

    def manifest(self) -> Laid | None:
        try:
            return read_manifest(self._storage)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            where = self._storage.address(MANIFEST)
            logger.warning("%s: cannot be read (%s); all is published anew", where, error)
            return None

    def parts(self) -> list[str] | None:
        found = [self.address(part) for part in self._listed()]
        return found or ([] if self.manifest() else None)

    def places(self) -> Manifest | None:
        """Return where articles lie: moved, one would be seen twice while parts are replaced."""
        return Manifest.of_places(part for part in self._listed() if self._is_readable(part))

    def address(self, part: str) -> str:
        return self._storage.address(_path(part))

    def draft(self, *, kept: Mapping[str, int]) -> Draft:
        return Draft(self._storage, self.manifest(), kept=kept)

    def sweep(self, *, now: datetime) -> None:
        """Nothing is left lying."""

    def damaged(self) -> Iterator[str]:
        found = self.manifest()
        digests = found.digests if found else {}
        for part in self._listed():
            if digest_of(self._storage, part) != digests.get(part):
                yield f"{_path(part)}: its content is not what was published"

    def _listed(self) -> list[str]:
        return list(listed(self._storage))

    def _is_readable(self, part: str) -> bool:
        try:
            with self._storage.open(_path(part)) as file:
                raise_unless_readable(file)
        except (OSError, pa.ArrowException) as error:
            logger.warning("%s: cannot be read (%s); it is written anew", _path(part), error)
            return False
        return True


class Draft:
    """A publish that is going on. Whoever reads sees each part as it was, or as it is to be."""

    def __init__(self, storage: Storage, before: Laid | None, *, kept: Mapping[str, int]):
        self._storage = storage
        before = before or Laid(derivation=0, recorded_at="", published_at="")
        # Told first: if this one is cut short, the next has yet another padding.
        self._laid = replace(before, generation=before.generation + 1, is_drafting=True)
        self._write(self._laid)
        self._parts = dict(kept)
        self._digests = {part: before.digests.get(part, "") for part in kept}

    def add(self, folder: str, slot: int, rows: pa.Table) -> None:
        data = parquet(rows, generation=self._laid.generation)
        part = f"{folder}/{part_name(slot)}"
        self._storage.replace(_path(part), data)
        self._parts[part] = rows.num_rows
        self._digests[part] = hashlib.sha256(data).hexdigest()

    def finish(self, *, derivation: int, recorded_at: str, now: datetime) -> None:
        for part in set(listed(self._storage)) - self._parts.keys():
            self._storage.delete(_path(part))
        self._write(
            Laid(
                derivation=derivation,
                recorded_at=recorded_at,
                published_at=now.isoformat(),
                parts=dict(sorted(self._parts.items())),
                digests=dict(sorted(self._digests.items())),
                generation=self._laid.generation,
            )
        )

    def discard(self) -> None:
        """What was replaced stays: it is what was committed, and the next publish goes on."""

    def _write(self, laid: Laid) -> None:
        self._storage.replace(MANIFEST, sums.sealed(asdict(laid)))


def read_manifest(storage: Storage) -> Laid:
    """Return what was published. Raises FileNotFoundError, ValueError, TypeError."""
    return Laid(**sums.unsealed(storage.read(MANIFEST)))


def listed(storage: Storage) -> Iterator[str]:
    """Yield the parts that are there."""
    for path in storage.list(ARTICLES_FOLDER):
        if path.endswith(".parquet"):
            yield path.removeprefix(f"{ARTICLES_FOLDER}/")


def digest_of(storage: Storage, part: str) -> str:
    with storage.open(_path(part)) as file:
        return sums.digest_of(file)


def _path(part: str) -> str:
    return f"{ARTICLES_FOLDER}/{part}"
