"""`articles/`, one link that is flipped: the old view or the new one, never half of one.

    articles                -> _articles/00000012
    _articles/00000012/published_month=2024-05/part-0000.parquet
    _articles/00000012.json     the manifest: up to which commit, which parts, their sums and rows
    _articles/00000011/ …       until those who still read it are done

A generation is made of hard links to the parts that did not change and of new parts, which have
the names of those in whose place they come.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from pipelines import sums
from pipelines.errors import LakeError
from pipelines.published import ARTICLES_FOLDER as LINK
from pipelines.published import Manifest, parquet, part_name, raise_unless_readable
from pipelines.storage import fsync, make_folder

logger = logging.getLogger(__name__)

STORE = "_articles"
# A reader that listed the files of an old generation has this long to open them.
GRACE = timedelta(minutes=10)


class Generations:
    """`articles/` in a lake that is a folder."""

    def __init__(self, lake: Path):
        self._lake = lake

    def manifest(self) -> Manifest | None:
        found = current(self._lake)
        return found[1] if found else None

    def parts(self) -> list[str] | None:
        link = self._lake / LINK
        return [str(part) for part in _parts(link)] if link.exists() else None

    def places(self) -> Manifest | None:
        """Return where articles lie: moved, one would be missed or seen twice by a reader."""
        link = self._lake / LINK
        parts = _parts(link) if link.exists() else ()
        return Manifest.of_places(below(part) for part in parts if _is_readable(part))

    def address(self, part: str) -> str:
        return str(self._lake / LINK / part)

    def draft(self, *, kept: Mapping[str, int]) -> Draft:
        return Draft(self._lake, kept=kept)

    def sweep(self, *, now: datetime) -> None:
        """Remove the generations replaced longer than `GRACE` ago, but not the last one."""
        found = current(self._lake)
        if found is None:
            return
        store = self._lake / STORE
        names = sorted(path.name for path in store.iterdir() if path.is_dir())
        kept = [name for name in names if name <= found[0]][-2:]
        for name, following in pairwise(names):
            if name not in kept and _published_before(self._lake, following, now - GRACE):
                shutil.rmtree(store / name, ignore_errors=True)
                _manifest_path(self._lake, name).unlink(missing_ok=True)

    def damaged(self) -> Iterator[str]:
        if (found := current(self._lake)) is None:
            return
        for part in _parts(self._lake / LINK):
            if not is_whole(part, found[1]):
                yield f"{part}: its content is not what was published"


def current(lake: Path) -> tuple[str, Manifest] | None:
    """Return the name and the manifest of the generation that is read now."""
    link = lake / LINK
    if not link.is_symlink():
        if link.exists():
            raise LakeError(
                "is no link, so something else than a publish made it",
                where=str(link),
                remedy="move it away; the next crawl publishes it anew",
            )
        return None
    name = link.readlink().name
    try:
        return name, read_manifest(lake, name)
    except (OSError, ValueError, TypeError) as error:
        # Readable as it is, but what it was made of is unknown: to be built anew.
        logger.warning("%s: its manifest cannot be read (%s)", link, error)
        return None


def read_manifest(lake: Path, name: str) -> Manifest:
    """Return the manifest of a generation. Raises OSError, ValueError, TypeError."""
    return Manifest(**sums.unsealed(_manifest_path(lake, name).read_bytes()))


def is_whole(part: Path, manifest: Manifest) -> bool:
    """Tell whether a part's content is what its generation's manifest says."""
    with part.open("rb") as file:
        return sums.digest_of(file) == manifest.digests.get(below(part))


def _parts(link: Path) -> list[Path]:
    return sorted(link.resolve().glob("*/*.parquet"))


def below(part: Path) -> str:
    """Return a part's path below `articles/`, as its manifest has it."""
    return f"{part.parent.name}/{part.name}"


def _is_readable(part: Path) -> bool:
    try:
        with part.open("rb") as file:
            raise_unless_readable(file)
    except (OSError, pa.ArrowException) as error:
        logger.warning("%s: cannot be read (%s); it is written anew", part, error)
        return False
    return True


class Draft:
    """The next generation, which nobody reads until its `finish`."""

    def __init__(self, lake: Path, *, kept: Mapping[str, int]):
        now = current(lake)
        self._lake = lake
        self._name = f"{int(now[0]) + 1 if now else _last(lake) + 1:08d}"
        self._parts = dict(kept)
        digests = now[1].digests if now else {}
        self._digests = {part: digests.get(part, "") for part in kept}
        self._folder = lake / STORE / self._name
        # What a publish that was killed left under this name.
        shutil.rmtree(self._folder, ignore_errors=True)
        make_folder(self._folder)
        for part in kept:
            _link(lake / LINK / part, self._folder / part)

    def add(self, folder: str, slot: int, rows: pa.Table) -> None:
        data = parquet(rows, generation=int(self._name))
        part = f"{folder}/{part_name(slot)}"
        path = self._folder / part
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        fsync(path)
        self._parts[part] = rows.num_rows
        self._digests[part] = hashlib.sha256(data).hexdigest()

    def finish(self, *, derivation: int, recorded_at: str, now: datetime) -> None:
        """Make this what `articles` is, in one step."""
        manifest = Manifest(
            derivation=derivation,
            recorded_at=recorded_at,
            published_at=now.isoformat(),
            parts=dict(sorted(self._parts.items())),
            digests=dict(sorted(self._digests.items())),
        )
        for folder in [*self._folder.iterdir(), self._folder]:
            fsync(folder)
        path = _manifest_path(self._lake, self._name)
        path.write_bytes(sums.sealed(asdict(manifest)))
        fsync(path)
        fsync(path.parent)
        temporary = self._lake / f".{LINK}.{self._name}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path(STORE) / self._name)
        temporary.replace(self._lake / LINK)
        fsync(self._lake)

    def discard(self) -> None:
        """Remove what was drafted, unless it is what is read now."""
        if (self._lake / LINK).resolve() == self._folder.resolve():
            return
        shutil.rmtree(self._folder, ignore_errors=True)


def _published_before(lake: Path, name: str, when: datetime) -> bool:
    try:
        return datetime.fromisoformat(read_manifest(lake, name).published_at) < when
    except (OSError, ValueError, TypeError):
        return False


def _manifest_path(lake: Path, name: str) -> Path:
    return lake / STORE / f"{name}.json"


def _last(lake: Path) -> int:
    store = lake / STORE
    names = [path.name for path in store.iterdir() if path.is_dir()] if store.is_dir() else []
    return max((int(name) for name in names if name.isdigit()), default=0)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        # A file system without hard links.
        shutil.copyfile(source, target)
        fsync(target)
