"""A text as sentences, in any script, each with what stands in quotation marks in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it is printed, and the words of it that are somebody's own."""

    text: str
    quoted: str = ""


def sentences(text: str | None) -> list[Sentence]:
    """Return the sentences of `text` in order; the end of a line always ends one.

    >>> [one.text for one in sentences("Lt. Gen. Roe left the U.S. Navy. Πότε; 他走了。没人知道。")]
    ['Lt. Gen. Roe left the U.S. Navy.', 'Πότε;', '他走了。', '没人知道。']
    """
    lines = (line.strip() for line in (text or "").splitlines())
    return [sentence for line in lines if line for sentence in _sentences_of(line)]


def _sentences_of(line: str) -> Iterator[Sentence]:
    is_quoted = _quoted(line) if _OPENS.search(line) else None
    start = 0
    for end in [*_ends(line), len(line)]:
        if text := line[start:end].strip():
            yield Sentence(text, _said(line, start, end, is_quoted) if is_quoted else "")
        start = end


def _said(line: str, start: int, end: int, is_quoted: Sequence[bool]) -> str:
    said = (line[at] if is_quoted[at] else " " for at in range(start, end))
    return " ".join("".join(said).split())


# --- where a sentence ends --------------------------------------------------------------------

# U+037E is the Greek question mark where it was not folded into a semicolon.
_TERMINATOR = re.compile(
    "(?P<marks>[.!?…;\u037e؟۔।։。！？｡]+)(?P<closing>[\"'”’»)\\]」』）】]*)(?P<space>\\s*)"
)
# As many characters before and behind it tell: no word that is asked for is as long.
AROUND = 40
_NEEDS_NO_SPACE = frozenset("。！？｡")
_OPENING = "\"'“‘„«»「『([（【-–—• "
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_LAST_WORD = re.compile(r"[\w.'’-]*\w$")
_NEXT_WORD = re.compile(r"[\w'’]+")
# `J`, `U.S`, `z.B`, `т.д`: letters parted by dots.
_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")


def _ends(line: str) -> Iterator[int]:
    for match in _TERMINATOR.finditer(line):
        if match.end() < len(line) and _is_end(line, match):
            yield match.end()


def _is_end(line: str, match: re.Match[str]) -> bool:
    marks, start, end = match["marks"], match.start(), match.end()
    before = line[max(0, start - AROUND) : start]
    following = line[end : end + AROUND].lstrip(_OPENING)
    if _NEEDS_NO_SPACE.intersection(marks):
        return True
    if not match["space"] or not following or following[0].islower():
        return False
    if ";" in marks or "\u037e" in marks:
        return _GREEK.search(before[-2:]) is not None
    return marks != "." or not _is_abbreviated(before, following)


def _is_abbreviated(before: str, following: str) -> bool:
    """Tell whether the full stop between the two belongs to the word before it."""
    found, after = _LAST_WORD.search(before), _NEXT_WORD.match(following)
    word = found[0].casefold() if found else ""
    next_word = after[0] if after else ""
    if word in _BEFORE_NAMES:
        return True
    if word in _BEFORE_NUMBERS:
        return following[0].isdigit()
    if word.isdigit():
        return len(word) <= 2 and re.split("['’]", next_word.casefold())[0] in _AFTER_ORDINALS
    if word in _ABBREVIATIONS or _LETTERS.fullmatch(word):
        # "in the U.S. The ship": what follows begins a sentence, unless it is an initial itself.
        is_initial = following[len(next_word) :].startswith(".")
        return next_word not in _BEGINNERS or is_initial
    return False


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


# Titles and ranks: a name follows, whatever its first letter.
_BEFORE_NAMES = _words(
    "mr mrs ms dr prof st sts gen lt col maj capt cmdr cdr adm radm vadm sgt ssgt msgt cpl pvt pfc",
    "spc brig rep reps sen sens gov pres rev hon amb lcdr comdr",
    "hptm olt oblt uffz dipl ing hr fr",  # German
    "mme mlle gal cdt",  # French
    "sr sra srta gral cnel tte cap dña",  # Spanish
    "sig dott avv ten magg serg",  # Italian
    "cel maj",  # Portuguese
    "płk ppłk mjr kpt por ppor sierż kmdr św",  # Polish
    "ген полк подп проф акад им ім вул ул",  # Russian, Ukrainian
    "κ κκ δρ αντ στρ λοχ ταξ",  # Greek
    "alb org korg tümg tuğg yb bnb yzb tğm doç sn av",  # Turkish
)
# A word of its own elsewhere ("He said no."), or a month.
_BEFORE_NUMBERS = _words(
    "no nos nr art fig sec vol p pp pg ca approx núm pág σελ αρ стр ст",
    "jan feb mar apr jun jul aug sep sept oct nov dec okt dez",
)
_ABBREVIATIONS = _words(
    "etc vs inc corp co ltd bros jr est dept univ ave blvd ft mt al cf incl",
    "bzw usw vgl inkl evtl mio mrd tsd abt str",
    "av env ee uu ud uds s.a ecc",
    "tzw np tys mln mld ok godz",
    "тыс млн млрд трлн руб долл см др пр гг рр обл грн",
    "εκ δισ βλ λ.χ π.χ δηλ κ.λπ κλπ κ.ά τηλ",
    "vb vd",
)
# After a day or a century these make an ordinal of the number: "am 3. Mai", "3. maja".
_AFTER_ORDINALS = _words(
    "januar februar märz april mai juni juli august september oktober november dezember",
    "jahrhundert jahrhunderts kompanie bataillon brigade division flottille",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
    "filo filosu tugay tümen kolordu ordu alay tabur bölük",
)
# Words that begin sentences and no names, as they are printed there.
_BEGINNERS = _words(
    "The A An In On At He She It They We But And This That These Those There According However",
    "Meanwhile Its His Her Their",
    "Der Die Das Ein Eine Er Sie Es Wir Im Am Auf Aber Und",
    "Le La Les Un Une Il Elle Ils Elles En Mais Ce Cette",
    "El Los Las Una Pero Ellos",
    "I Gli Nel Nella Ma",
    "O Os As Um Uma Em No Na Mas",
    "W Na Po Ale To Jest",
    "Он Она Они Это В На По Но Об Как",
    "Він Вона Вони Це У За Але Як",
    "Ο Η Το Οι Τα Στη Στην Στο Στις Αυτό Αυτή Όμως",
    "Bu Ve Ancak Ama",
)

# --- what is in quotation marks ---------------------------------------------------------------

# Which marks close what each opens; „so“, »so« and ”so” are German, Danish and Swedish.
_CLOSED_BY = {"“": "”", "„": "“”", "«": "»", "»": "«", '"': '"', "”": "”", "「": "」", "『": "』"}

_OPENS = re.compile(f"[{''.join(_CLOSED_BY)}]")


def _quoted(line: str) -> list[bool]:
    """Tell of each character whether it stands in quotation marks; unclosed, to the line's end."""
    marks: list[bool] = []
    closing = ""
    for character in line:
        if closing:
            closing = "" if character in closing else closing
            marks.append(bool(closing))
        else:
            closing = _CLOSED_BY.get(character, "")
            marks.append(False)
    return marks
