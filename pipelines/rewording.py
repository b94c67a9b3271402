"""One sentence against what it was: which words differ, and what kind of change that is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, cached_property

from pipelines.fingerprint import normalised
from pipelines.number_words import figures, is_figure
from pipelines.sentences import Sentence, sentences

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# A sign of Chinese or Japanese; a figure; a word, "F-35" and "п'ять" too; a mark.
_WORD = (
    rf"[{_CJK}]"
    r"|\d+(?:[.,'٬٫]\d+)*(?: \d{3}(?!\d))*"
    rf"|(?:(?![{_CJK}])\w)(?:(?![{_CJK}])\w|['-](?=\w))*"
    r"|[^\w\s]"
)
# Whoever makes the views pays for these only when a query asks for an edit.
_compiled = cache(re.compile)
_HYPHENATED = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)+")
# Names are gathered from this much of a text, and a sentence that is longer is no sentence.
MOST_CHARACTERS = 50_000
# A sentence of more words is compared without those that stand in it all over.
MANY_WORDS = 2_000


def words_of(text: str) -> list[str]:
    """Return words, figures and marks; "twenty-five" is three of them, "F-35" one."""
    return [piece for word in _compiled(_WORD).findall(normalised(text)) for piece in _pieces(word)]


def _pieces(word: str) -> list[str]:
    # With a capital behind it, or a digit, a hyphen is part of a name.
    is_plain = "-" in word and word[1:].islower() and _HYPHENATED.fullmatch(word)
    return re.split(r"(-)", word) if is_plain else [word]


@dataclass(frozen=True)
class Known:
    """What is known of both texts when one sentence is looked at: the language, and the names."""

    texts: tuple[str | None, ...]
    language: str

    @cached_property
    def names(self) -> frozenset[str]:
        """In lower case: words that have a capital in mid-sentence, and never a small letter."""
        names: set[str] = set()
        small: set[str] = set()
        for text in self.texts:
            for sentence in sentences((text or "")[:MOST_CHARACTERS]):
                words = words_of(sentence.text)
                small |= {word for word in words if word.islower()}
                named = (
                    at for at in range(len(words)) if _is_plainly_name(words, at, self.language)
                )
                names |= {_bare(words[at]) for at in named}
        return frozenset(names - small)


_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rewording:
    """Two versions of a sentence: their words, and the places of each run of words that differs."""

    sentences: tuple[Sentence, Sentence]
    words: tuple[list[str], list[str]]
    runs: tuple[tuple[_Span, _Span], ...]

    @classmethod
    def of(cls, was: Sentence, now: Sentence) -> Rewording:
        words = words_of(was.text[:MOST_CHARACTERS]), words_of(now.text[:MOST_CHARACTERS])
        matcher = SequenceMatcher(None, *words, autojunk=max(map(len, words)) > MANY_WORDS)
        runs = (((i, j), (k, m)) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal")
        return cls((was, now), words, tuple(runs))

    def shown(self, side: int) -> tuple[str, ...]:
        """Return the runs that differ, before (0) or after (1)."""
        spans = (run[side] for run in self.runs)
        return tuple(_shown(self.words[side][i:j]) for i, j in spans if j > i)

    def kinds(self, known: Known, *, is_headline: bool) -> tuple[str, ...]:
        """Return which of `numbers`, `names`, `quotation`, `typo` apply, or else `wording`."""
        counted = [figures(words, language=known.language) for words in self.words]
        named = (self._names(side, known, is_headline=is_headline) for side in (0, 1))
        quoted = [normalised(one.quoted) for one in self.sentences]
        found = {
            "numbers": counted[0] != counted[1],
            "names": any(named),
            "quotation": quoted[0] != quoted[1],
            "typo": self._is_whole() and all(self._is_typo(run, known) for run in self.runs),
        }
        return tuple(kind for kind, is_so in found.items() if is_so) or ("wording",)

    def _is_whole(self) -> bool:
        return all(len(one.text) <= MOST_CHARACTERS for one in self.sentences)

    def _names(self, side: int, known: Known, *, is_headline: bool) -> set[str]:
        """Return the names on one side that are not on the other, in small letters either."""
        words = self.words[side]
        changed = (at for run in self.runs for at in range(*run[side]))
        named = {_bare(words[at]) for at in changed if _is_name(words, at, known, is_headline)}
        return named - {_bare(word) for word in self.words[1 - side]}

    def _is_typo(self, run: tuple[_Span, _Span], known: Known) -> bool:
        (i, j), (k, m) = run
        was, now = (
            [w for w in self.words[side][slice(*run[side])] if w[0].isalnum()] for side in (0, 1)
        )
        if any(is_figure(word, language=known.language) for word in (*was, *now)):
            return False
        if "".join(was).casefold() == "".join(now).casefold():  # case, marks, a space
            return True
        if not was or not now:
            side, (start, end), extra = (0, (i, j), was) if was else (1, (k, m), now)
            return _is_doubled(self.words[side], start, end) and len(extra) == 1
        return len(was) == len(now) and all(map(_is_misspelt, was, now))


_NO_SPACE = (
    rf" (?=[.,;:!?%)\]])|(?<=[(\[$€£]) |(?<=[{_CJK}]) (?=[{_CJK}])|(?<=\w) (?=-)|(?<=-) (?=\w)"
)


def _shown(words: Sequence[str]) -> str:
    return _compiled(_NO_SPACE).sub("", " ".join(words))


# --- names ------------------------------------------------------------------------------------

# Days and months that have a capital and are no names.
_CALENDAR_WORDS = """
    monday tuesday wednesday thursday friday saturday sunday january february march april may june
    july august september october november december montag dienstag mittwoch donnerstag freitag
    samstag sonntag januar februar märz mai juni juli oktober dezember δευτέρα τρίτη τετάρτη πέμπτη
    παρασκευή σάββατο κυριακή ιανουαρίου φεβρουαρίου μαρτίου απριλίου μαΐου ιουνίου ιουλίου
    αυγούστου σεπτεμβρίου οκτωβρίου νοεμβρίου δεκεμβρίου i
"""
_CALENDAR = frozenset(_CALENDAR_WORDS.split())
_BEFORE_A_HEAD = frozenset("':-([")


def _is_name(words: Sequence[str], at: int, known: Known, is_headline: bool) -> bool:
    word = words[at]
    if word.islower() or is_figure(word, language=known.language):
        return False
    # A headline may have a capital to every word, or be all of capitals.
    if not is_headline and _is_plainly_name(words, at, known.language):
        return True
    return word[0].isupper() and _bare(word) in known.names


def _is_plainly_name(words: Sequence[str], at: int, language: str) -> bool:
    """Tell whether a word is a name by its capitals alone, wherever else it stands."""
    word = words[at]
    if word.islower() or not word[0].isalpha() or _bare(word) in _CALENDAR:
        return False
    if any(c.isupper() or c.isdigit() for c in word[1:]):
        return True
    if not word[0].isupper() or _is_head(words, at):
        return False
    return language != "de" or _stands_by_a_capital(words, at)


def _is_head(words: Sequence[str], at: int) -> bool:
    if at == 0 or words[at - 1] in _BEFORE_A_HEAD:
        return True
    return words[at - 1] == '"' and words[:at].count('"') % 2 == 1  # the one that opens


def _stands_by_a_capital(words: Sequence[str], at: int) -> bool:
    """German has a capital to every noun; "Kapitän Anna Beispiel" has three in a row."""
    beside = [words[i] for i in (at - 1, at + 1) if 0 <= i < len(words) and not _is_head(words, i)]
    return any(word[0].isupper() for word in beside)


def _bare(word: str) -> str:
    return word.casefold().removesuffix("'s")


# --- misspellings -----------------------------------------------------------------------------


def _is_doubled(words: Sequence[str], start: int, end: int) -> bool:
    """Tell whether what was taken out or put in repeats the word beside it."""
    run = [word.casefold() for word in words[start:end]]
    before, after = words[max(0, start - len(run)) : start], words[end : end + len(run)]
    return run in ([w.casefold() for w in before], [w.casefold() for w in after])


def _is_misspelt(was: str, now: str) -> bool:
    """Tell whether two words are one, of which a letter or two went wrong, and not the first.

    "could" and "would", "armed" and "unarmed", "Iran" and "Iraq" are each two words.
    """
    one, other = was.casefold(), now.casefold()
    if _unaccented(one) == _unaccented(other):
        return True
    shorter = min(len(one), len(other))
    is_name = was[0].isupper() and now[0].isupper()
    allowed = (shorter >= 6) if is_name else (shorter >= 4) + (shorter >= 8)
    return one[0] == other[0] and allowed > 0 and _distance(one, other, most=allowed) <= allowed


def _unaccented(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _distance(one: str, other: str, *, most: int) -> int:
    """Return how many letters are wrong, missing, too many or swapped; `most` + 1 for more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        rows.append(list(_row(one, other, i, a, rows)))
    return rows[-1][-1]


def _row(one: str, other: str, i: int, a: str, rows: Sequence[Sequence[int]]) -> Iterator[int]:
    left = i
    yield left
    for j, b in enumerate(other, 1):
        left = min(rows[-1][j] + 1, left + 1, rows[-1][j - 1] + (a != b))
        if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
            left = min(left, rows[-2][j - 2] + 1)
        yield left
