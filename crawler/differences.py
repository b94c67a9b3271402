"""How today's reading of pages differs from what is on record, counted; and when that is worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, takewhile
from statistics import median
from typing import Any, Self

from crawler.extraction.noise import plain_line
from crawler.report import iso
from pipelines.model import Article, RelatedLink, RemovedBlock, Revision

# The gate: of a site's rows this share may lose something, and the median body this much.
TOLERATED_SHARE = 0.02
TOLERATED_MEDIAN = 0.05
LOST_WORDS = 0.2
# Of what is counted so many are named: a person reads no more, and memory stays flat.
MOST_NAMED = 200
EXAMPLES_A_COLUMN = 3
EXAMPLE_LETTERS = 160
_AROUND = 40

# Who read it is no difference; nor is what is never stored.
COLUMNS = tuple(
    name
    for name in Article.__dataclass_fields__
    if name not in {"extractor", "refusal", "canonical_link", "next_page"}
)


def differing_columns(before: Article, after: Article) -> tuple[str, ...]:
    return tuple(name for name in COLUMNS if getattr(before, name) != getattr(after, name))


def losses(before: Article, after: Article) -> tuple[str, ...]:
    """Return what got lost, any of `words` (a fifth of them), `date`, `author`, `headline`.

    >>> losses(Article(url="u", word_count=10, authors=("A",)), Article(url="u", word_count=8))
    ('words', 'author')
    """
    words = own_words(before, after)
    checks = {
        "words": words > 0 and after.word_count <= words * (1 - LOST_WORDS),
        "date": before.date_published is not None and after.date_published is None,
        "author": bool(before.authors) and not after.authors,
        "headline": bool(before.headline) and not after.headline,
    }
    return tuple(name for name, is_lost in checks.items() if is_lost)


def own_words(before: Article, after: Article) -> int:
    """Return the words of `before`, less those that were taken for what the site repeats.

    That is no loss: it was learned from other stories. But of more than half of a text nobody
    should say so unseen, and then nothing is left out.
    """
    taken = [plain_line(one.text) for one in after.removed_blocks if is_learned(one)]
    if not taken:
        return before.word_count
    kept = set(after.article_body.splitlines())
    learned, every = 0, filter(None, before.article_body.splitlines())
    for is_gone, run in groupby(every, lambda one: one not in kept):
        lines = list(run)
        # A box is kept cut: what went with its first lines, and stood with them, was in it.
        if is_gone and any(plain_line(line) in one for line in lines for one in taken):
            learned += sum(len(line.split()) for line in lines)
    return before.word_count - (learned if learned <= before.word_count / 2 else 0)


def is_learned(block: RemovedBlock) -> bool:
    return block.rule.startswith("learned:")


@dataclass(slots=True, kw_only=True)
class Tally:
    """The rows of a site, or of a part of it, as they are and as they would be.

    `worse` counts rows that lose something, `losses` names them; `refusals` counts rows whose page
    today's extractor would not store, by its reason.
    """

    rows: int = 0
    pages: int = 0
    differing: int = 0
    worse: int = 0
    unreadable: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    losses: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    words_before: list[int] = field(default_factory=list)
    words_after: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Return the tally that `plain` wrote."""
        counters = {name: Counter(said[name]) for name in ("changes", "refusals")}
        return cls(**{**said, **counters})

    def plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def count(self, revision: Revision, after: Article) -> bool:
        """Count a row; return whether it differs."""
        before = revision.article
        columns = differing_columns(before, after)
        self.rows += 1
        self.differing += bool(columns)
        self.words_before.append(own_words(before, after))
        self.words_after.append(after.word_count)
        if after.refusal:
            self.refusals[after.refusal] += 1
        for name in columns:
            self._change(revision, after, name)
        if lost := losses(before, after):
            self.worse += 1
            self._name(self.losses, _loss(revision, after, lost))
        return bool(columns)

    def fail(self, revision: Revision, error: str) -> None:
        """Count a row whose page could not be read, and which stays as it is."""
        self.unreadable += 1
        self._name(self.errors, {"url": revision.article.url, "error": error})

    def add(self, other: Tally) -> None:
        """Add a further part of the same site."""
        for name in ("rows", "pages", "differing", "worse", "unreadable"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.changes += other.changes
        self.refusals += other.refusals
        self.words_before += other.words_before
        self.words_after += other.words_after
        for example in other.examples:
            self._show(example)
        for one in other.losses:
            self._name(self.losses, one)
        for error in other.errors:
            self._name(self.errors, error)

    def gate(self) -> str | None:
        """Return why a site with this tally is refused, or None."""
        if self.worse and self.worse >= TOLERATED_SHARE * self.rows:
            return (
                f"{self.worse} of {self.rows} rows lose a fifth of their words, or their date, "
                "author or headline"
            )
        before = median(self.words_before) if self.words_before else 0
        after = median(self.words_after) if self.words_after else 0
        if before and after <= before * (1 - TOLERATED_MEDIAN):
            return f"the median body falls from {before:g} to {after:g} words"
        return None

    def _change(self, revision: Revision, after: Article, column: str) -> None:
        self.changes[column] += 1
        old, new = glimpses(_text(getattr(revision.article, column)), _text(getattr(after, column)))
        self._show(
            {"url": revision.article.url, "revision": revision.revision, "column": column,
             "before": old, "after": new}
        )  # fmt: skip

    def _show(self, example: dict[str, Any]) -> None:
        shown = sum(one["column"] == example["column"] for one in self.examples)
        if shown < EXAMPLES_A_COLUMN:
            self.examples.append(example)

    def _name(self, named: list[Any], one: Any) -> None:
        if len(named) < MOST_NAMED:
            named.append(one)


def glimpses(before: str, after: str) -> tuple[str, str]:
    """Return both texts around where they differ, short enough to be read side by side.

    >>> glimpses("The same words, and five ships.", "The same words, and four ships.")
    ('The same words, and five ships.', 'The same words, and four ships.')
    """
    start = _common(before, after)
    limit = min(len(before), len(after)) - start
    end = min(_common(before[::-1], after[::-1]), limit)
    return _cut(before, start, len(before) - end), _cut(after, start, len(after) - end)


def _common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _cut(text: str, start: int, end: int) -> str:
    first = max(0, start - _AROUND)
    last = min(len(text), end + _AROUND, first + EXAMPLE_LETTERS)
    shown = " ".join(text[first:last].split())
    return f"{'…' if first else ''}{shown}{'…' if last < len(text) else ''}"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return " | ".join(_text(one) for one in value)
    if isinstance(value, RemovedBlock):
        return f"{value.rule}: {value.text}"
    if isinstance(value, RelatedLink):
        return f"{value.text} {value.url}"
    return "" if value is None else str(value)


def _loss(revision: Revision, after: Article, lost: Sequence[str]) -> dict[str, Any]:
    return {
        "url": revision.article.url,
        "article_id": revision.article_id,
        "revision": revision.revision,
        "lost": list(lost),
        "words_before": revision.article.word_count,
        "words_after": after.word_count,
    }
