"""The packaged data about noise, read once."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Markup:
    """One rule about class and id names; see noise.toml for what each field means."""

    rule: str
    classes: frozenset[str]
    ids: frozenset[str]
    prefixes: tuple[str, ...]
    words: frozenset[str]
    share: float
    silent: bool
    parts: bool


@dataclass(frozen=True, slots=True)
class Noise:
    """`equals` maps a whole line, as `plain_line` gives it, to its rule; `forms` are for more.

    `endings` are rule, place ("both" ends of a story, or its "tail") and form of a whole line.
    """

    markup: tuple[Markup, ...]
    printed: tuple[Markup, ...]
    equals: dict[str, str]
    forms: tuple[tuple[str, re.Pattern[str]], ...]
    also_read: tuple[str, ...]
    dated: tuple[str, ...]
    endings: tuple[tuple[str, str, re.Pattern[str]], ...]
    leads_on: re.Pattern[str]
    refusal: dict[str, frozenset[str]]


@cache
def noise() -> Noise:
    """Read noise.toml."""
    data = tomllib.loads(files(__package__).joinpath("noise.toml").read_text(encoding="utf-8"))
    lines = data["lines"]
    return Noise(
        markup=tuple(_markup(one) for one in data["markup"]),
        printed=tuple(_markup(one) for one in data["printed"]),
        equals={plain_line(p): rule for rule, d in lines.items() for p in d.get("equals", ())},
        forms=tuple(
            (rule, re.compile("|".join(d["forms"]), re.IGNORECASE))
            for rule, d in lines.items()
            if "forms" in d
        ),
        also_read=_longest_first(lines["also_read"]["starts"]),
        dated=_longest_first(lines["byline"]["starts_dated"]),
        endings=tuple(
            (rule, place, re.compile("|".join(d[place]), re.IGNORECASE))
            for rule, d in data["endings"].items()
            for place in ("both", "tail")
            if place in d
        ),
        leads_on=re.compile("|".join(data["leads_on"]["starts"]), re.IGNORECASE),
        refusal={k: frozenset(map(plain_line, v)) for k, v in data["refusal"].items()},
    )


def _markup(data: dict[str, object]) -> Markup:
    def names(key: str) -> list[str]:
        value = data.get(key, [])
        return [str(one).lower() for one in value] if isinstance(value, list) else []

    return Markup(
        rule=str(data["rule"]),
        classes=frozenset(names("classes")),
        ids=frozenset(names("ids")),
        prefixes=tuple(names("prefixes")),
        words=frozenset(names("words")),
        share=float(str(data.get("share", 0.2))),
        silent=bool(data.get("silent", False)),
        parts=bool(data.get("parts", True)),
    )


def _longest_first(phrases: list[str]) -> tuple[str, ...]:
    return tuple(sorted({plain_line(one) for one in phrases}, key=len, reverse=True))


def plain_line(text: str) -> str:
    """Return `text` as lines are compared: lower-case, without punctuation at its ends.

    >>> plain_line("» Share This: ")
    'share this'
    """
    plain = " ".join(text.replace("’", "'").casefold().split())
    start, end = 0, len(plain)
    while start < end and not plain[start].isalnum():
        start += 1
    while end > start and not plain[end - 1].isalnum():
        end -= 1
    return plain[start:end]
