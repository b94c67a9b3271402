"""Whether one text was made from another: how much of it stands there, and what differs.

A copy is cut, shortened, reworded here and there, given a dateline and another site's closing
words. So what is asked is how much of the shorter text stands in the longer one, not how alike
they are; and whether the names and numbers in that part agree, which those of two notices made
from one template do not. The figures were measured on texts with all of that done to them
(docs/choices.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipelines.agreement import NAME, NUMBER, Codes, Writing, coded
from pipelines.shingles import (
    SHINGLE,
    SIGNS_A_WORD,
    Hashes,
    Mask,
    among,
    grams,
    is_among,
    sampled,
    words,
)

# Under this many words of its own a text is not compared: walls, notices and captions are alike.
MIN_WORDS = 40
# What is left of a text without its site's words has to be so much of it: of a daily that mostly
# repeats what lasts, the rest is not enough to know it by.
_OWN_PART = 0.25
# Of the shorter text, at least so much stands in the longer one; within one site, whose texts are
# alike for other reasons (dailies, tables), nearly all of it.
COVERED, COVERED_WITHIN_SITE = 0.6, 0.9
# So many words in a row are the same passage; of signs, which make half a word each, some more.
SHORT_RUN, SIGNS_RUN = 3, 5
# So many words that differ between two runs of the same words are an edit, not the end of a copy.
_GAP = 8
# A copy begins where its original does, or its original begins in it: what shares only passages
# further down quotes the same source. Within one site, whose dailies repeat what lasts, both do. A
# brief that is a small part has to begin as the story does.
_HEAD, _HEADS_SHARED, _BRIEF_HEAD_SHARED = 30, 0.3, 0.5
_BRIEF_WORDS, _BRIEF_PART = 100, 0.5
# At least so many of the names (or what stands for them, `agreement`) are those of the other.
_NAMES = {
    Writing.CAPITALS: 0.8,
    Writing.DENSE_CAPITALS: 0.88,
    Writing.NO_CAPITALS: 0.94,
    Writing.SIGNS: 0.9,
}
# Of more than a few numbers most are the same; of a few one, where they tell most of what tells.
_NUMBERS, _MANY_NUMBERS, _FEW_NUMBERS = 0.65, 0.77, 2
_MANY = 5
# Fewer names are looked for beyond the ends of what is shared too.
_FEW_NAMES = 10
# Texts of one matter have this in common, copies or not.
_RELATED_COVERED, _RELATED_NAMES, _RELATED_FEWEST = 0.1, 0.2, 3


@dataclass(frozen=True)
class Text:
    """A text as it is compared: a number a word (`agreement.coded`), and how it tells names."""

    codes: Codes
    writing: Writing

    @classmethod
    def of(cls, text: str) -> Text:
        written = words(text)
        codes, writing = coded(written)
        return cls(codes, writing)

    @classmethod
    def unpacked(cls, packed: bytes) -> Text:
        return cls(np.frombuffer(packed, np.uint32, offset=4), Writing(packed[0]))

    @property
    def packed(self) -> bytes:
        return bytes((self.writing, 0, 0, 0)) + self.codes.tobytes()

    @cached_property
    def hashes(self) -> Hashes:
        return (self.codes >> np.uint32(2)).astype(np.uint64)

    @cached_property
    def shingles(self) -> Hashes:
        return grams(self.hashes, SHINGLE)

    @cached_property
    def keys(self) -> list[int]:
        return sampled(self.shingles)

    def keys_in(self, mask: Mask) -> list[int]:
        """Return its keys that are of words in `mask` alone."""
        whole = np.ones(len(self.shingles), np.bool_)
        for i in range(SHINGLE):
            whole &= mask[i : i + len(whole)]
        return among(self.keys, self.shingles[whole])

    @property
    def n(self) -> int:
        """Return how many words in a row tell that a passage is the same."""
        return SIGNS_RUN if self.writing is Writing.SIGNS else SHORT_RUN

    @cached_property
    def runs(self) -> Hashes:
        return grams(self.hashes, self.n)

    @cached_property
    def sorted_runs(self) -> Hashes:
        return np.sort(self.runs)

    @cached_property
    def sorted_hashes(self) -> Hashes:
        return np.sort(self.hashes)

    @cached_property
    def pairs(self) -> Hashes:
        return grams(self.hashes, 2)

    @cached_property
    def sorted_pairs(self) -> Hashes:
        return np.sort(self.pairs)

    @cached_property
    def words(self) -> int:
        return len(self.codes) // (SIGNS_A_WORD if self.writing is Writing.SIGNS else 1)

    @cached_property
    def whole(self) -> Mask:
        return np.ones(len(self.codes), np.bool_)


@dataclass(frozen=True)
class Own:
    """A text and which of its words are its own: not what its site writes under everything."""

    text: Text
    mask: Mask

    @cached_property
    def words(self) -> int:
        return self.count(self.text.whole)

    @property
    def is_enough(self) -> bool:
        return self.words >= max(MIN_WORDS, _OWN_PART * self.text.words)

    def count(self, mask: Mask) -> int:
        """Return about how many words of its own are in `mask`."""
        count = int(np.count_nonzero(mask & self.mask))
        return count // SIGNS_A_WORD if self.text.writing is Writing.SIGNS else count

    def head(self, mask: Mask) -> float:
        """Return the share of `mask` in its first words."""
        first = np.flatnonzero(self.mask)[:_HEAD]
        return float(mask[first].mean()) if len(first) else 0.0

    def share(self, mask: Mask) -> float:
        count = np.count_nonzero(self.mask)
        return float(np.count_nonzero(mask & self.mask) / count) if count else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What of a text stands in another one, each seen from itself: 0..1.

    `mask` are the words of `new` that do, `mask_of_known` those of `known`. `names` and `numbers`:
    of those that stand in the shared part of the shorter text, how many are in the longer one.
    Where no capitals tell the names, `names` is how many words of that part are in the other text,
    seen from the one that says more of what is there: what is left out of one of them, or added,
    differs from one side only, what is put in the place of a name from both.
    """

    new: Own
    known: Own
    mask: Mask
    mask_of_known: Mask
    of_new: float
    of_known: float
    head_of_new: float
    head_of_known: float
    names: float
    numbers: float
    numbers_told: int

    @property
    def begins_known(self) -> bool:
        """Tell whether the known page begins with what is in both, and is its own."""
        return bool(self.mask_of_known[:_HEAD].mean() >= _BRIEF_HEAD_SHARED)

    @property
    def turned(self) -> Likeness:
        """Return the same as the known text has it."""
        return replace(
            self,
            new=self.known,
            known=self.new,
            mask=self.mask_of_known,
            mask_of_known=self.mask,
            of_new=self.of_known,
            of_known=self.of_new,
            head_of_new=self.head_of_known,
            head_of_known=self.head_of_new,
        )

    @property
    def is_new_shorter(self) -> bool:
        return self.new.words <= self.known.words

    @property
    def covered(self) -> float:
        """Return how much of the shorter text stands in the longer one."""
        return self.of_new if self.is_new_shorter else self.of_known

    @property
    def part(self) -> float:
        """Return how much of the longer text the shorter one makes up."""
        return self.of_known if self.is_new_shorter else self.of_new

    @property
    def rank(self) -> float:
        """Return what makes one match better than another."""
        return self.covered * self.names + 0.3 * self.part


def likeness(new: Own, known: Own, *, shared: tuple[Mask, Mask] | None = None) -> Likeness:
    """Compare two texts. `shared`, if it is known: what of each stands in the other."""
    mask, other = shared or both_ways(new.text, known.text)
    shorter, longer, part = (new, known, mask) if new.words <= known.words else (known, new, other)
    if max(new.text.writing, known.text.writing) >= Writing.NO_CAPITALS:
        names = 1 - min(_foreign(new, known.text, mask), _foreign(known, new.text, other))
    else:
        names, told = _agreeing(shorter.text, longer.text, part & shorter.mask, NAME)
        if told < _FEW_NAMES:
            part = _wider(shorter.text, longer.text, part)
            names, _ = _agreeing(shorter.text, longer.text, part & shorter.mask, NAME)
    numbers, told = _agreeing(shorter.text, longer.text, part & shorter.mask, NUMBER)
    return Likeness(
        new=new,
        known=known,
        mask=mask & new.mask,
        mask_of_known=other & known.mask,
        of_new=new.share(mask),
        of_known=known.share(other),
        head_of_new=new.head(mask),
        head_of_known=known.head(other),
        names=names,
        numbers=numbers,
        numbers_told=told,
    )


def is_copy(like: Likeness, *, within_site: bool) -> bool:
    shorter, longer = sorted((like.new.words, like.known.words))
    if not (like.new.is_enough and like.known.is_enough):
        return False
    if like.covered < (COVERED_WITHIN_SITE if within_site else COVERED):
        return False
    heads = like.head_of_new, like.head_of_known
    if (min(heads) if within_site else max(heads)) < _HEADS_SHARED:
        return False
    head = like.head_of_known if like.is_new_shorter else like.head_of_new
    is_brief = shorter < _BRIEF_WORDS and shorter < _BRIEF_PART * longer
    return agrees(like) and not (is_brief and head < _BRIEF_HEAD_SHARED)


def agrees(like: Likeness) -> bool:
    """Tell whether the names and numbers of the shared part are those of the other text."""
    writing = max(like.new.text.writing, like.known.text.writing)
    if like.names < _NAMES[writing]:
        return False
    if like.numbers_told > _FEW_NUMBERS:
        return like.numbers >= (_MANY_NUMBERS if like.numbers_told >= _MANY else _NUMBERS)
    needed = 1 if writing >= Writing.NO_CAPITALS else _FEW_NUMBERS
    return like.numbers_told < needed or like.numbers > 0


def are_related(one: Own, other: Own) -> bool:
    """Tell whether two texts are about one matter: some of the same words, or of the names."""
    if shares_words(one, other.text) or shares_words(other, one.text):
        return True
    mine, theirs = (np.unique(_told(own.text, own.mask, NAME)) for own in (one, other))
    common = int(np.count_nonzero(is_among(mine, theirs)))
    return common >= max(_RELATED_FEWEST, _RELATED_NAMES * min(len(mine), len(theirs)))


def shares_words(own: Own, other: Text) -> bool:
    return own.share(standing(own.text, other)) >= _RELATED_COVERED


def both_ways(new: Text, known: Text) -> tuple[Mask, Mask]:
    return standing(new, known), standing(known, new)


def standing(text: Text, where: Text) -> Mask:
    """Return which words of `text` stand in `where`, in runs of the same words."""
    n = max(text.n, where.n)
    runs = text.runs if text.n == n else grams(text.hashes, n)
    there = where.sorted_runs if where.n == n else np.sort(grams(where.hashes, n))
    gap = _GAP * SIGNS_A_WORD if n > SHORT_RUN else _GAP
    return closed(spread(is_among(runs, there), n, len(text.codes)), gap)


def _wider(text: Text, where: Text, mask: Mask) -> Mask:
    """Return a part with what goes on at its ends in pairs of the same words."""
    pairs = spread(is_among(text.pairs, where.sorted_pairs), 2, len(text.codes))
    return closed(mask | (pairs & _near(mask, _GAP)), _GAP)


def _near(mask: Mask, most: int) -> Mask:
    steps = np.zeros(len(mask) + 1, np.int32)
    on = np.flatnonzero(mask)
    np.add.at(steps, np.maximum(on - most, 0), 1)
    np.add.at(steps, np.minimum(on + most + 1, len(mask)), -1)
    return np.cumsum(steps[:-1]) > 0


def spread(hits: Mask, n: int, length: int) -> Mask:
    """Return the words, of `length`, that lie in a hit: the start of a run of `n`."""
    mask = np.zeros(length, np.bool_)
    for i in range(n):
        mask[i : i + len(hits)] |= hits
    return mask


def closed(mask: Mask, gap: int) -> Mask:
    """Return `mask` with the gaps of up to `gap` words between two parts of it filled."""
    on = np.flatnonzero(mask)
    before = np.diff(on)
    short = (before > 1) & (before <= gap + 1)
    if not short.any():
        return mask
    steps = np.zeros(len(mask) + 1, np.int32)
    np.add.at(steps, on[:-1][short], 1)
    np.add.at(steps, on[1:][short], -1)
    return mask | (np.cumsum(steps[:-1]) > 0)


def _agreeing(text: Text, where: Text, mask: Mask, flag: np.uint32) -> tuple[float, int]:
    """Return how many of the names or numbers in a part are in another text; and their number."""
    told = np.unique(_told(text, mask, flag))
    if not len(told):
        return 1.0, 0
    return float(is_among(told, where.sorted_hashes).mean()), len(told)


def _told(text: Text, mask: Mask, flag: np.uint32) -> Hashes:
    """Return what tells in a part of a text: its names or numbers; of signs, each pair of them."""
    if flag == NAME and text.writing is Writing.SIGNS:
        return text.pairs[mask[1:] & mask[:-1]]
    told: Hashes = text.hashes[mask & ((text.codes & flag) != 0)]
    return told


def _foreign(own: Own, where: Text, mask: Mask) -> float:
    """Return the share of a text's words in `mask` that are nowhere in another.

    A sign is, when it stands beside neither of its neighbours there, and nor does the one beside
    it: what is put in the place of a name are two of them or more, a single one is a desk's edit.
    """
    text = own.text
    if text.writing is Writing.SIGNS:
        is_new = ~is_among(text.pairs, where.sorted_pairs)
        alone = np.append(is_new, True) & np.append(True, is_new)
        in_two = alone[1:] & alone[:-1]
        foreign = np.append(in_two, False) | np.append(False, in_two)
    else:
        foreign = ~is_among(text.hashes, where.sorted_hashes)
    part = mask & own.mask
    count = np.count_nonzero(part)
    return float(np.count_nonzero(foreign & part) / count) if count else 0.0
