"""Text that can be written down: JSON may hold half a character, and no file can."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

T = TypeVar("T")


def well_formed(value: T) -> T:
    """Return `value` (a text, tuple or dataclass of such) with U+FFFD for halves of characters.

    A title cut in the middle of an emoji comes as `"\\\\ud83d"` in JSON: Python takes it, and no
    encoding does, so that one such title would keep a whole batch out of the lake.

    >>> well_formed("cut \\ud83d here")
    'cut \\ufffd here'
    """
    return _well_formed(value)  # type: ignore[no-any-return]


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _text(value)
    if isinstance(value, tuple):
        return tuple(_well_formed(one) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        found = {one.name: getattr(value, one.name) for one in fields(value)}
        changed = {n: new for n, old in found.items() if (new := _well_formed(old)) != old}
        return replace(value, **changed) if changed else value
    return value


def _text(value: str) -> str:
    # By way of UTF-16, two halves that belong together become one character again.
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
