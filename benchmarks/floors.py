"""Floors under the figures of `extraction.py`: they may rise, and fall only with a reason.

They are pinned for the very pages that they were measured on, by a digest of each set. A floor is
lowered by `extraction.py --pin --lower "LINE"`, where LINE is a line of CHANGELOG.md that tells
users what reads worse now, and why.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

FILE = Path(__file__).with_name("floors.toml")
CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
# What a figure may fall short of its floor by: the last digit that is printed.
SLACK = 0.01
_HEAD = """# Figures in per cent that Sitrep may not fall below on these pages; see floors.py.
# Written by `extraction.py --pin`.
"""

# Set → figure → per cent.
Figures = Mapping[str, Mapping[str, float]]


def digest_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def pinned(file: Path = FILE) -> dict[str, dict[str, float]]:
    return dict(_read(file)["floors"])


def other_corpus(folder: Path, file: Path = FILE) -> list[str]:
    """Return the sets in `folder` whose pages are not those that the floors were measured on."""
    corpus = _read(file)["corpus"]
    return [name for name, digest in corpus.items() if _digest(folder, name) != digest]


def _digest(folder: Path, name: str) -> str:
    there = folder / f"{name}.parquet"
    return digest_of(there) if there.exists() else ""


def fallen(found: Figures, file: Path = FILE, *, sets: Collection[str] | None = None) -> list[str]:
    """Return a line for each figure below its floor, of these sets if some are named."""
    return [
        f"{name} {figure}: {found.get(name, {}).get(figure, 0.0):.2f}, its floor is {floor:.2f}"
        for name, floors in pinned(file).items()
        if sets is None or name in sets
        for figure, floor in floors.items()
        if found.get(name, {}).get(figure, 0.0) < floor - SLACK
    ]


def pin(found: Figures, folder: Path, *, lower: str | None, file: Path = FILE) -> list[str]:
    """Raise the floors to what was found; return why they were not, if so.

    None is lowered without `lower`, a line that the changelog has.
    """
    down = [] if other_corpus(folder, file) else fallen(found, file)
    if down and lower is None:
        return [*down, "to lower a floor, give --lower a line of CHANGELOG.md that tells it"]
    if lower is not None and lower not in CHANGELOG.read_text(encoding="utf-8"):
        return [f"CHANGELOG.md has no line with {lower!r}: users have to be told"]
    before = _read(file)
    reasons = [*before.get("lowered", []), *([lower] if lower else [])]
    digests = {name: _digest(folder, name) for name in before["corpus"]}
    file.write_text(_written(found, digests, reasons), encoding="utf-8")
    return []


def _written(found: Figures, digests: Mapping[str, str], reasons: list[str]) -> str:
    lines = [_HEAD, f"lowered = {json.dumps(reasons, ensure_ascii=False)}", "", "[corpus]"]
    lines += [f'{name} = "{digest}"' for name, digest in digests.items()]
    for name, figures in found.items():
        lines += ["", f"[floors.{name}]"]
        lines += [f"{figure} = {value:.2f}" for figure, value in figures.items()]
    return "\n".join(lines) + "\n"


def _read(file: Path) -> dict[str, dict[str, dict[str, float]]]:
    return tomllib.loads(file.read_text(encoding="utf-8"))
