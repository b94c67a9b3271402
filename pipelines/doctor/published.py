"""The files of `articles/`, in either of the two ways in which they lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipelines import generations, in_place
from pipelines.doctor.findings import REBUILD, Finding, reason
from pipelines.doctor.snapshot import Snapshot
from pipelines.generations import STORE, below, is_whole
from pipelines.published import ARTICLES_FOLDER
from pipelines.storage import LocalStorage, Storage

# What such files are called.
OURS = rf"""{STORE}/\d{{8}}(\.json|/published_month=[^/]+/part-[^/]+\.parquet)
    | {in_place.MANIFEST} | {ARTICLES_FOLDER}/published_month=[^/]+/part-\d+\.parquet"""


def check_published(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield every part that is missing, damaged, or no part of what was published."""
    if isinstance(snapshot.storage, LocalStorage):
        yield from _generations(snapshot, snapshot.storage.folder)
    else:
        yield from _in_place(snapshot.storage)


def _generations(snapshot: Snapshot, folder: Path) -> Iterator[Finding]:
    found = generations.current(folder)
    link = folder / ARTICLES_FOLDER
    now = found[0] if found else link.readlink().name if link.is_symlink() else ""
    for path in snapshot.files:
        if not path.startswith(f"{STORE}/"):
            continue
        what = _wrong_of_generation(folder, path)
        if what and now in path.split("/")[1]:
            yield _error(path, what, REBUILD)
        elif what and (folder / path).exists():
            yield Finding(
                check="files",
                level="warning",
                where=path,
                what=f"{what}; it is of a generation that is no more read",
                remedy="it goes by itself with one of the next publishes",
            )
    yield from _lost_parts(snapshot, folder, now)


def _wrong_of_generation(folder: Path, path: str) -> str | None:
    """Return what is wrong with a file of a generation, whose name is in the path."""
    at = folder / path
    try:
        if path.endswith(".json"):
            manifest = generations.read_manifest(folder, at.stem)
            no_sums = manifest.parts and not manifest.digests
            return "is of an earlier version, without sums of its parts" if no_sums else None
        if path.endswith(".parquet"):
            return _wrong_of_part(folder, at)
    except (OSError, ValueError, TypeError) as error:
        return reason(error)
    return None


def _wrong_of_part(folder: Path, part: Path) -> str | None:
    try:
        manifest = generations.read_manifest(folder, part.parent.parent.name)
    except (OSError, ValueError, TypeError):
        return None  # As is said of the manifest.
    is_known = bool(manifest.digests) and below(part) in manifest.parts
    wrong = is_known and not is_whole(part, manifest)
    return "its content is not what was published" if wrong else None


def _lost_parts(snapshot: Snapshot, folder: Path, now: str) -> Iterator[Finding]:
    if now and f"{STORE}/{now}.json" not in snapshot.files:
        yield _error(f"{STORE}/{now}.json", "is missing", REBUILD)
    try:
        manifest = generations.read_manifest(folder, now)
    except (OSError, ValueError, TypeError):
        return
    prefix = f"{STORE}/{now}/"
    there = {one.removeprefix(prefix) for one in snapshot.files if one.startswith(prefix)}
    for part in sorted(manifest.parts.keys() - there):
        yield _error(f"{prefix}{part}", "is missing", REBUILD)
    for part in sorted(there - manifest.parts.keys()):
        yield _error(f"{prefix}{part}", "is no part of what was published", REBUILD)


def _in_place(storage: Storage) -> Iterator[Finding]:
    there = set(in_place.listed(storage))
    try:
        manifest = in_place.read_manifest(storage)
    except FileNotFoundError:
        if there:
            yield _error(in_place.MANIFEST, "is missing", REBUILD)
        return
    except (ValueError, TypeError) as error:
        yield _error(in_place.MANIFEST, reason(error), REBUILD)
        return
    for part in sorted(there | manifest.parts.keys()):
        if what := _wrong_in_place(storage, part, manifest, is_there=part in there):
            yield _error(f"{ARTICLES_FOLDER}/{part}", what, REBUILD)


def _wrong_in_place(
    storage: Storage, part: str, manifest: in_place.Laid, *, is_there: bool
) -> str | None:
    if not is_there:
        return "is missing"
    if part not in manifest.parts:
        return "is no part of what was published"
    if in_place.digest_of(storage, part) != manifest.digests.get(part):
        return "its content is not what was published"
    return None


def _error(where: str, what: str, remedy: str) -> Finding:
    return Finding(check="files", level="error", where=where, what=what, remedy=remedy)
