"""Checksums of what has none of its own, so that one flipped byte can be found and named.

Parquet files carry theirs in their names. For log entries, checkpoints and WARC files they lie
apart, in `_sums/`, written once what they describe is on the disk: so a log entry with its sums is
acknowledged, and one without may be what a power cut left. Files of ours that are JSON carry the
sum of themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from pipelines.storage import Storage

STORE = "_sums"
_SEAL = "sha256"
_CHUNK = 1 << 20

# By path within the lake: {"bytes": n, "sha256": hex}.
Sums = Mapping[str, Mapping[str, Any]]


def sealed(said: Mapping[str, Any]) -> bytes:
    """Return JSON that carries the sum of itself.

    >>> unsealed(sealed({"a": 1}))
    {'a': 1}
    """
    whole = dict(said) | {_SEAL: _digest(_json(said))}
    return _json(whole)


def unsealed(data: bytes) -> dict[str, Any]:
    """Return what was sealed. Raises ValueError when a byte of it is another."""
    said = json.loads(data)
    if not isinstance(said, dict) or _SEAL not in said:
        raise ValueError("it has no sum of itself")
    del said[_SEAL]
    # Not only the sum: a space more would not change what is said, but is not what was written.
    if sealed(said) != data:
        raise ValueError("its content is not what its sum says")
    return said


def part_name(data: bytes) -> str:
    """Return the name of a Parquet file with this content."""
    return f"part-{_digest(data)[:32]}.parquet"


def is_named_by_content(path: str) -> bool:
    stem = path.rpartition("/")[2].removeprefix("part-").removesuffix(".parquet")
    return len(stem) == 32 and not stem.strip("0123456789abcdef")


def is_what_its_name_says(storage: Storage, path: str) -> bool:
    with storage.open(path) as file:
        return path.endswith(f"/part-{digest_of(file)[:32]}.parquet")


def digest_of(file: BinaryIO) -> str:
    """Return the SHA-256 of what is left of a file, in memory that does not grow with it."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def write(storage: Storage, name: str, paths: Iterable[str]) -> None:
    """Write down the sums of files under `name`; when this returns they outlast a power cut."""
    files = {}
    for path in paths:
        with storage.open(path) as file:
            files[path] = of(file)
    put(storage, name, files)


def put(storage: Storage, name: str, files: Sums) -> None:
    """Write down sums that were taken before the files came here."""
    storage.replace(at(name), sealed({"files": files}))


def of(file: BinaryIO) -> Mapping[str, Any]:
    """Return the size and the sum of a file that was just opened."""
    digest = digest_of(file)
    return {"bytes": file.tell(), "sha256": digest}


def read(storage: Storage, name: str) -> Sums | None:
    """Return the sums under `name`; None where there are none that are whole."""
    try:
        files: Sums = unsealed(storage.read(at(name)))["files"]
    except (OSError, ValueError, KeyError):
        return None
    return files


def names(storage: Storage) -> Iterator[str]:
    """Yield the names of all sums, those of one table in the order of its versions."""
    for path in storage.list(STORE):
        if path.endswith(".json") and not path.rpartition("/")[2].startswith("."):
            yield path.removeprefix(f"{STORE}/").removesuffix(".json")


def sweep(storage: Storage) -> None:
    """Remove what was on its way to its name when its process died."""
    for path in storage.list(STORE):
        if path.rpartition("/")[2].startswith("."):
            storage.delete(path)


def at(name: str) -> str:
    """Return where the sums under `name` lie in the lake."""
    return f"{STORE}/{name}.json"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, indent=1).encode() + b"\n"
