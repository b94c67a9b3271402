"""What a publisher changed between two versions of an article, sentence by sentence, by kind."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pipelines.fingerprint import normalised
from pipelines.rewording import MOST_CHARACTERS, Known, Rewording, words_of
from pipelines.sentences import Sentence, sentences

# The order in which kinds are told: what a reader may have been misled by stands first.
KINDS = (
    "headline", "description", "authors", "date", "access",
    "numbers", "names", "quotation", "added", "removed", "typo", "wording", "moved",
)  # fmt: skip

# Two sentences are one, changed, from this share of common words on. With "Two men died." →
# "Five men died." at .67 and sentences of one report about other matters at .1 to .3.
ALIKE_FROM = 0.4
# Where one sentence stands in the place of one, less will do.
ALONE_ALIKE_FROM = 0.25
# Pairs looked at in a stretch where nothing is the same; one of more was written anew.
MOST_PAIRS = 20_000
# Beyond it `difflib` passes over sentences that keep coming back, whose time grows as a square.
MANY_SENTENCES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A version of an article, as far as its changes are told. `date` and `access` are as shown."""

    headline: str | None = None
    description: str | None = None
    article_body: str | None = None
    authors: tuple[str, ...] = ()
    date: str | None = None
    access: str | None = None
    in_language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A sentence (or field) that was changed, added (`before` is None) or removed (`after` is).

    `part` is `headline`, `description`, `body`, `authors`, `date` or `access`. The words are those
    that differ, in order.
    """

    part: str
    kinds: tuple[str, ...]
    before: str | None
    after: str | None
    words_before: tuple[str, ...] = ()
    words_after: tuple[str, ...] = ()


def changes_between(
    before: Telling, after: Telling, *, parts: Sequence[str] | None = None
) -> tuple[Change, ...]:
    """Return what was changed, in the order of the text; `parts` says where to look, else all over.

    >>> [one] = changes_between(Telling(article_body="Three men were killed. The ship sailed on."),
    ...                         Telling(article_body="Five men were killed. The ship sailed on."))
    >>> one.kinds, one.words_before, one.words_after
    (('numbers',), ('Three',), ('Five',))
    """
    language = (after.in_language or before.in_language or "").partition("-")[0]
    known = Known((before.article_body, after.article_body), language)
    found: list[Change] = []
    for part in ("headline", "description", "body", "authors", "date", "access"):
        if parts is None or part in parts:
            found += _PARTS[part](before, after, known)
    return tuple(found)


def kinds_of(changes: Sequence[Change]) -> tuple[str, ...]:
    """Return the kinds of all these changes, each once."""
    found = {kind for one in changes for kind in one.kinds}
    found |= {one.part for one in changes} & set(KINDS)
    return tuple(kind for kind in KINDS if kind in found)


# --- the parts of an article ------------------------------------------------------------------


def _headline(before: Telling, after: Telling, known: Known) -> list[Change]:
    was, now = before.headline or "", after.headline or ""
    if normalised(was) == normalised(now):
        return []
    return [_change("headline", Sentence(was), Sentence(now), known)]


def _description(before: Telling, after: Telling, known: Known) -> list[Change]:
    return _text("description", before.description, after.description, known)


def _body(before: Telling, after: Telling, known: Known) -> list[Change]:
    return _text("body", before.article_body, after.article_body, known)


def _authors(before: Telling, after: Telling, _: Known) -> list[Change]:
    was, now = ("; ".join(one.authors) or None for one in (before, after))
    return [Change(part="authors", kinds=("authors",), before=was, after=now)] if was != now else []


def _date(before: Telling, after: Telling, _: Known) -> list[Change]:
    if before.date == after.date:
        return []
    return [Change(part="date", kinds=("date",), before=before.date, after=after.date)]


def _access(before: Telling, after: Telling, _: Known) -> list[Change]:
    if before.access == after.access:
        return []
    return [Change(part="access", kinds=("access",), before=before.access, after=after.access)]


_PARTS = {
    "headline": _headline,
    "description": _description,
    "body": _body,
    "authors": _authors,
    "date": _date,
    "access": _access,
}


def _text(part: str, before: str | None, after: str | None, known: Known) -> list[Change]:
    pairs = aligned(sentences(before), sentences(after))
    return [_change(part, was, now, known) for was, now in pairs]


# --- alignment --------------------------------------------------------------------------------

Pair = tuple[Sentence | None, Sentence | None]


def aligned(before: Sequence[Sentence], after: Sequence[Sentence]) -> list[Pair]:
    """Return the sentences that differ, in the order of the text, each beside what it was.

    One that stands elsewhere now is beside itself.
    """
    keys = [[normalised(one.text) for one in side] for side in (before, after)]
    stretches = list(_stretches(keys[0], keys[1]))
    gone = Counter(keys[0][i] for low, high, _, _ in stretches for i in range(low, high))
    come = Counter(keys[1][j] for _, _, low, high in stretches for j in range(low, high))
    moved = gone & come
    left = moved.copy(), moved.copy()
    found: list[Pair] = []
    for low, high, from_, to in stretches:
        was, _ = _parted(before[low:high], keys[0][low:high], left[0])
        now, came = _parted(after[from_:to], keys[1][from_:to], left[1])
        found += [*((one, one) for one in came), *_paired(was, now)]
    return found


def _stretches(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Give where the two differ: between what stands once in each, in one order (patience diff).

    What lies between two of these is left to `difflib`, which alone takes a square of time.
    """
    low = from_ = 0
    for high, to in [*_anchors(before, after), (len(before), len(after))]:
        a, b = before[low:high], after[from_:to]
        matcher = SequenceMatcher(None, a, b, autojunk=max(len(a), len(b)) > MANY_SENTENCES)
        for tag, i, j, k, m in matcher.get_opcodes():
            if tag != "equal":
                yield low + i, low + j, from_ + k, from_ + m
        low, from_ = high + 1, to + 1


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the longest row of sentences that each text has once, in one order."""
    times = Counter(before), Counter(after)
    place = {one: j for j, one in enumerate(after) if times[1][one] == 1}
    both = [(i, place[one]) for i, one in enumerate(before) if times[0][one] == 1 and one in place]
    ends: list[int] = []  # of the rows of each length, the earliest end; kept as places in `both`
    previous: list[int] = []
    for at, (_, j) in enumerate(both):
        length = bisect_left(ends, j, key=lambda end: both[end][1])
        previous.append(ends[length - 1] if length else -1)
        ends[length : length + 1] = [at]
    row, at = [], ends[-1] if ends else -1
    while at >= 0:
        row.append(both[at])
        at = previous[at]
    return row[::-1]


def _parted(
    stretch: Sequence[Sentence], keys: Sequence[str], moved: Counter[str]
) -> tuple[list[Sentence], list[Sentence]]:
    """Return those that stayed and those that `moved` counts, which are counted off there."""
    stayed: list[Sentence] = []
    went: list[Sentence] = []
    for one, key in zip(stretch, keys, strict=True):
        (went if moved[key] else stayed).append(one)
        moved[key] -= bool(moved[key])
    return stayed, went


def _paired(before: Sequence[Sentence], after: Sequence[Sentence]) -> list[Pair]:
    """Pair the sentences of a stretch in which none is the same, so that most is kept in common."""
    if not before or not after or len(before) * len(after) > MOST_PAIRS:
        return [*((one, None) for one in before), *((None, one) for one in after)]
    floor = ALONE_ALIKE_FROM if len(before) == len(after) == 1 else ALIKE_FROM
    bags = [[_bag(one.text) for one in side] for side in (before, after)]
    gain = [[max(0.0, _alike(was, now) - floor + 0.01) for now in bags[1]] for was in bags[0]]
    return list(_walked(before, after, gain, _best(gain)))


def _best(gain: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return, of each pair of places, the most that what stands from there on has in common."""
    rows, columns = len(gain), len(gain[0])
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            kept = gain[i][j] + best[i + 1][j + 1] if gain[i][j] else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], kept)
    return best


def _walked(
    before: Sequence[Sentence],
    after: Sequence[Sentence],
    gain: Sequence[Sequence[float]],
    best: Sequence[Sequence[float]],
) -> Iterator[Pair]:
    i = j = 0
    while i < len(before) or j < len(after):
        inside = i < len(before) and j < len(after)
        if inside and gain[i][j] and best[i][j] == gain[i][j] + best[i + 1][j + 1]:
            yield before[i], after[j]
            i, j = i + 1, j + 1
        elif i < len(before) and (j == len(after) or best[i][j] == best[i + 1][j]):
            yield before[i], None
            i += 1
        else:
            yield None, after[j]
            j += 1


def _bag(text: str) -> frozenset[tuple[str, int]]:
    """Return the words of a sentence, the second "the" apart from the first."""
    seen: Counter[str] = Counter()
    found = []
    for word in words_of(text[:MOST_CHARACTERS]):
        if word[0].isalnum():
            seen[word.casefold()] += 1
            found.append((word.casefold(), seen[word.casefold()]))
    return frozenset(found)


def _alike(one: frozenset[tuple[str, int]], other: frozenset[tuple[str, int]]) -> float:
    return 2 * len(one & other) / ((len(one) + len(other)) or 1)


# --- one sentence -----------------------------------------------------------------------------


def _change(part: str, was: Sentence | None, now: Sentence | None, known: Known) -> Change:
    if was is now:
        return _whole(part, "moved", was, now)
    if was is None or not was.text:
        return _whole(part, "added", None, now)
    if now is None or not now.text:
        return _whole(part, "removed", was, None)
    rewording = Rewording.of(was, now)
    return Change(
        part=part,
        kinds=rewording.kinds(known, is_headline=part == "headline"),
        before=was.text,
        after=now.text,
        words_before=rewording.shown(0),
        words_after=rewording.shown(1),
    )


def _whole(part: str, kind: str, was: Sentence | None, now: Sentence | None) -> Change:
    before, after = was.text if was else None, now.text if now else None
    return Change(part=part, kinds=(kind,), before=before, after=after)
