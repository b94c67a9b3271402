"""How near an extractor came to the truth of a page, and of a set of pages.

P, R and F1 compare the four-word shingles of a body with the truth's, each as often as it stands
there; precision and recall are averaged over pages, as Zyte's article-extraction-benchmark does. A
truth that only names snippets, which must and must not be there, has those counted instead, over
the whole set. `exact` is the share of pages whose words are the truth's, in order. `headline`,
`authors` and `date` are the shares of pages, of those whose truth has the field, that have it
exactly, up to case and punctuation; dates up to the day.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from statistics import mean
from typing import Any, NamedTuple

A_SHINGLE = 4
FIELDS = ("headline", "authors", "date")

_WORD = re.compile(r"\w+")
_NAME_PARTING = re.compile(r"\s*(?:;|,|\||&|/|\band\b|\bund\b|\n)\s*")
_NAME_LABEL = re.compile(r"^(?:by|von|par|por) ")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
# The zones that there are, in hours from UTC. Most truths give the publisher's own day.
_ZONES = range(-12, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an extractor made of a page. Empty: it found none, or failed."""

    article_body: str = ""
    headline: str | None = None
    authors: str | Sequence[str] = ()
    date_published: str | date | None = None


class Counts(NamedTuple):
    """What of a body is right, what is too much, and what is missing."""

    right: int
    wrong: int
    missing: int

    @property
    def precision(self) -> float:
        return self._share(self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self._share(self.right + self.missing)

    def _share(self, whole: int) -> float:
        # Of nothing wanted and nothing given, both are whole.
        if self.wrong == self.missing == 0:
            return 1.0
        return self.right / whole if whole else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one page was read. `fields` has those that the truth speaks of, and `exact`."""

    body: Counts
    is_by_snippets: bool
    fields: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a set of pages was read: shares between 0 and 1, `fields` as far as anyone knows."""

    pages: int
    precision: float
    recall: float
    fields: Mapping[str, float] = field(default_factory=dict)

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def score(truth: Mapping[str, Any], reading: Reading) -> Score:
    """Score one page against its truth, as the sets have it.

    `text`, or `paras` (those in brackets are optional), or the snippets `with` and `without`; and,
    as far as it is known, `title`, `authors`, `published`.
    """
    fields = {}
    if truth.get("title"):
        fields["headline"] = plain(truth["title"]) == plain(reading.headline)
    if names(truth.get("authors")):
        fields["authors"] = names(truth["authors"]) == names(reading.authors)
    published = moment(truth.get("published"))
    if published is not None:
        fields["date"] = is_same_day(published, moment(reading.date_published))
    if "with" in truth:
        return Score(body=_snippets(truth, reading), is_by_snippets=True, fields=fields)
    want = true_body(truth, reading.article_body)
    fields["exact"] = words(want) == words(reading.article_body)
    return Score(body=_shingled(want, reading), is_by_snippets=False, fields=fields)


def summarise(scores: Sequence[Score]) -> Summary:
    """Summarise a set of one kind: all by text, or all by snippets."""
    bodies = [one.body for one in scores]
    if any(one.is_by_snippets for one in scores):
        whole = Counts(*(sum(column) for column in zip(*bodies, strict=True)))
        precision, recall = whole.precision, whole.recall
    else:
        # A page that was given nothing has no precision, one that wants nothing no recall.
        precision = _mean(one.precision for one in bodies if one.right + one.wrong)
        recall = _mean(one.recall for one in bodies if one.right + one.missing)
    known = {name: [one.fields[name] for one in scores if name in one.fields] for name in _SHARES}
    fields = {name: _mean(values) for name, values in known.items() if values}
    return Summary(pages=len(scores), precision=precision, recall=recall, fields=fields)


_SHARES = ("exact", *FIELDS)


def _mean(values: Iterable[float]) -> float:
    return mean(list(values) or [0.0])


def words(text: str) -> list[str]:
    return _WORD.findall(text)


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """Count the runs of four words; a shorter text is one run, an empty one none."""
    tokens = words(text)
    if not tokens:
        return Counter()
    last = max(0, len(tokens) - A_SHINGLE)
    return Counter(tuple(tokens[at : at + A_SHINGLE]) for at in range(last + 1))


def _shingled(want: str, reading: Reading) -> Counts:
    wanted, given = shingles(want), shingles(reading.article_body)
    right = (wanted & given).total()
    return Counts(right, given.total() - right, wanted.total() - right)


def _snippets(truth: Mapping[str, Any], reading: Reading) -> Counts:
    text = _one_line(reading.article_body)
    right = sum(_one_line(one) in text for one in truth["with"])
    wrong = sum(_one_line(one) in text for one in truth["without"])
    return Counts(right, wrong, len(truth["with"]) - right)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def true_body(truth: Mapping[str, Any], given: str) -> str:
    """Return the true text; an optional paragraph is part of it only where it was taken."""
    if "paras" not in truth:
        return str(truth["text"])
    taken = " ".join(words(given))
    kept = []
    for paragraph in truth["paras"]:
        is_optional = paragraph.startswith("[") and paragraph.endswith("]")
        text = paragraph[1:-1] if is_optional else paragraph
        if not is_optional or " ".join(words(text)) in taken:
            kept.append(text)
    return "\n\n".join(kept)


def plain(text: object) -> str:
    return " ".join(words(unicodedata.normalize("NFKC", str(text or "")).lower()))


def names(people: str | Iterable[object] | None) -> set[str]:
    """Return the names in a list, or in a line as it is printed."""
    parts = _NAME_PARTING.split(people) if isinstance(people, str) else (people or ())
    return {name for name in (_NAME_LABEL.sub("", plain(one)) for one in parts) if name}


def moment(value: object) -> date | None:
    """Read a time where there is one, else a day, else nothing."""
    if isinstance(value, date):
        return value
    text = str(value or "").strip()
    try:
        return datetime.fromisoformat(text) if len(text) > 10 else date.fromisoformat(text)
    except ValueError:
        match = _DAY.search(text)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def days(value: date) -> set[date]:
    """Return the days that it can mean: of a time in UTC, each that some zone had then."""
    if not isinstance(value, datetime):
        return {value}
    if value.tzinfo is None:
        return {value.date()}
    utc = value.astimezone(UTC)
    # Midnight in UTC is how a bare day is written, not an instant.
    is_instant = value.utcoffset() == timedelta(0) and utc.time() != time(0)
    hours = _ZONES if is_instant else (0,)
    return {value.date()} | {(utc + timedelta(hours=hour)).date() for hour in hours}


def is_same_day(want: date, got: date | None) -> bool:
    if got is None:
        return False
    if isinstance(want, datetime) and isinstance(got, datetime) and want.tzinfo and got.tzinfo:
        return want.astimezone(UTC).date() == got.astimezone(UTC).date()
    return bool(days(want) & days(got))
