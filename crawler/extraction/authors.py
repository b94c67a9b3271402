"""Who wrote it: people are authors, else an agency; a desk or the site's own name is a byline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lxml.html import HtmlElement

from crawler.extraction.candidates import Candidate, Choice, first_of, hinted, said
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata
from crawler.extraction.printed_bylines import (
    OTHER_WORK,
    author_links,
    byline_elements,
    lines_beside,
    printed_line,
)
from pipelines.fingerprint import tokens
from pipelines.model import Hints

_BY = re.compile(
    r"^\W*(?:(?:written|posted|story|reported|report) by|authors?\s*:|autor(?:in|en)?\s*:"
    r"|autor(?:in)?/-?autor(?:in)?\s*:?"
    r"|texte?\s*:|by\s*:|by\b"
    r"|view all posts by|all posts by|more from"
    r"|von\b|par\b|por\b"
    r"|(?:\w+\s){1,2}(?:by|von|par|por)\s(?=(?-i:[^\W\d_a-z]))"
    r"|di\b|του\b|της\b|Автор\s*:|автор\b|Yazar\s*:)\s*:?\s*",
    re.IGNORECASE,
)
_AND = re.compile(
    r"\s*(?:;|\||&|\band\b|\bund\b|(?-i:\bet\b|\by\b|\be\b)|/|\bκαι\b|\bта\b|\bі\b|\bи\b|,)\s*",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"\b(reporter|correspondent|editor|writer|staff|contributor|columnist|producer|analyst"
    r"|bureau|chief|senior|associate|director|special to|reuters|associated press|afp|\bap\b)\b",
    re.IGNORECASE,
)
_DESK = re.compile(
    r"\b(newsroom|staff|\w*desk|editors?|editorial|team|redaktion|rédaction|redaction|redacción"
    r"|redakcja|redazione|redação|news service|newswire|press release|admin|administrator|agencies"
    r"|agency|agenturen|agences|agencias|journalist\w*|redakteur\w*|periodista|giornalista|reporters?|correspondents?|web|wire|online|contributors?|bureau|webmaster"
    r"|редакц\w*|агентств\w*|редакція|σύνταξη|συντακτική|ομάδα)\b",
    re.IGNORECASE,
)
_AGENCIES = frozenset(
    (
        "reuters",
        "ap",
        "afp",
        "dpa",
        "upi",
        "ansa",
        "efe",
        "tass",
        "pap",
        "apa",
        "ukrinform",
        "xinhua",
        "yonhap",
        "interfax",
        "unian",
        "anadolu",
        "bloomberg",
        "dpa-afx",
        "press association",
        "agence france presse",
        "sid",
        "sda",
        "epd",
        "kna",
        "tt",
        "ritzau",
        "ntb",
        "belga",
        "anp",
        "lusa",
        "canadian press",
        "the canadian press",
        "united press international",
        "deutsche presse agentur",
        "kyodo news",
        "kyodo",
        "associated press",
        "the associated press",
        "ria novosti",
    )
)
# What stands behind a name: a degree, the initials that sign its pieces, the agency it is of.
_BEHIND = re.compile(
    r"\s*(?:\([^()]{1,12}\)|,?\s\b(?-i:MS|MA|MD|RD|RDN|LD|CPT|Ph\.?D\.?|M\.?Sc\.?)"
    r"|\s(?:the )?associated press|\sreuters|\safp)\W*$",
    re.IGNORECASE,
)
_DEGREE = re.compile(r"(?:[A-Z]\.?){2,4}")
_PAPER = re.compile(
    r"\b(?:times|news|gazette|tribune|journal|herald|magazine|chronicle|media|network|report"
    r"|observer)$",
    re.IGNORECASE,
)
_NOT_A_NAME = re.compile(
    r"https?://|www\.|@|\d|[<>{}]|\.(?:com|org|net|de|uk)$|^the "
    r"|\b(updated|published|posted|min read)\b"
)
_ACCOUNT = re.compile(r"[\W\d_]+|[^\s@]+@[^\s@]+")
# Where a printed line stops naming people: its date, its separators.
_LINE_END = re.compile(
    r"\s*(?:[|•·]|\d|\bupdated\b|\bpublished\b|\bposted\b"
    # A whole date, which a theme may glue to the name; May and April are names, too.
    r"|(?-i:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
    r"\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{4}\b))",
    re.IGNORECASE,
)
_LONGEST_NAME, _SURE_NAME = 60, 6
_OTHER_TAGS = (
    "parsely-author", "sailthru.author", "dc.creator", "dcterms.creator", "cxenseparse:author",
)  # fmt: skip
_FULLEST = "comes first, or names all of those that the first names, and more"
_AGENCY = "names a news agency as the author"
_EDITORS = "without those of whom the page prints that they edited or reviewed it"
_OTHERS = "names others than the first that names anyone, or fewer"
_NOBODY = "names nobody: a desk, the site itself, an agency, or no name"


@dataclass(frozen=True, slots=True)
class Credits:
    authors: tuple[str, ...]
    byline: str | None
    chosen: Choice
    chosen_byline: Choice


def find_credits(
    shown: Sequence[HtmlElement],
    *,
    metadata: Metadata,
    jsonld: JsonLd,
    publisher: str | None,
    hints: Hints,
    h1: HtmlElement | None = None,
) -> Credits:
    """Read the people from JSON-LD, then meta tags, then the printed line, then the feed.

    `shown` are the page's visible elements, in order.

    Where none of these names any, from lines by the headline that begin as a byline does, or link
    to an author's page; and then an agency that is named as the author.
    """
    house = {
        " ".join(tokens(n))
        for n in (publisher, metadata.first("og:site_name"), jsonld.publisher)
        if n
    }
    elements = byline_elements(shown)
    printed = [printed_line(element) for element in elements]
    linked = [name for element in elements for name in author_links(element)]
    tag, tagged = from_meta(metadata)
    sources = [
        *said("json-ld", "author", list(jsonld.authors)),
        *said("meta", tag, tagged),
        *(said("html", elements[0], linked or printed) if elements else ()),
        *hinted(hints, "authors"),
    ]
    chosen = _fullest([replace(one, value=people_of(one.raw, house)) for one in sources])
    chosen = _of_writers(chosen, printed)
    fallback = [*jsonld.authors, *jsonld.organizations, *tagged, *hints.authors]
    beside = lines_beside(shown, h1) if not chosen.value else []
    if beside:
        line = Candidate("html", "beside the headline", beside, people_of(beside, house))
        chosen = _fullest([*chosen.candidates, line])
    found: list[str] = list(chosen.value)
    # Beside people only where the page's own data name it as they name them.
    told = [*jsonld.authors, *jsonld.organizations] if found else [*fallback, *printed]
    agency = [one for one in agencies_in(told, house) if one not in found]
    byline = first_of(
        [
            *(Candidate("html", *one) for one in zip(elements, printed, printed, strict=True)),
            *(Candidate("json-ld", "author", one, one) for one in jsonld.authors),
            *(Candidate("json-ld", "author", one, one) for one in jsonld.organizations),
            *(Candidate("meta", tag, one, one) for one in tagged),
            *(
                replace(all_, raw=one, value=one)
                for all_ in hinted(hints, "authors")
                for one in all_.raw
            ),
            *(Candidate("html", "beside the headline", one, one) for one in beside),
        ]
    )
    if agency:
        chosen = _with_agency(chosen, agency, byline.candidates, house)
    return Credits((*found, *agency), byline.value, chosen, byline)


def _with_agency(
    chosen: Choice, agency: list[str], lines: Iterable[Candidate], house: set[str]
) -> Choice:
    """Add the line that names the agency: the winner where nobody else is named."""
    # The page's own data come before what it prints.
    in_turn = sorted(lines, key=lambda one: one.source == "html")
    giver = next(one for one in in_turn if agencies_in([one.raw], house) == agency)
    line = replace(giver, value=agency, why=_AGENCY)
    return replace(chosen, candidates=(*chosen.candidates, line), winner=chosen.winner or line)


def _fullest(sources: list[Candidate]) -> Choice:
    """Choose the first source that names people, or one that names them all and more."""
    found: list[str] = []
    winner: Candidate | None = None
    candidates: list[Candidate] = []
    for one in sources:
        # A later source may name all of the first one's people and more; never others instead.
        is_fuller = len(one.value) > len(found) and set(one.value) >= set(found)
        is_told = is_fuller or (one.value and one.value == found)
        why = "" if is_told else _OTHERS if one.value else _NOBODY
        candidates.append(replace(one, why=why))
        if is_fuller:
            found, winner = one.value, candidates[-1]
    return Choice(found, tuple(candidates), winner, _FULLEST)


def _of_writers(chosen: Choice, printed: list[str]) -> Choice:
    people = _writers(chosen.value, printed)
    why = chosen.why if people == chosen.value else f"{chosen.why}; {_EDITORS}"
    return replace(chosen, value=people, why=why)


def _writers(people: list[str], printed: list[str]) -> list[str]:
    """Leave out those of whom the page prints that they edited or reviewed, if others wrote it."""
    line = " | ".join(printed)
    others, rest = " ".join(OTHER_WORK.findall(line)), OTHER_WORK.sub(" ", line)
    return [one for one in people if one not in others or one in rest] or people


def agencies_in(lines: Iterable[str], house: set[str]) -> list[str]:
    """Return the first news agency that a line names as the author, unless it is the site itself.

    >>> agencies_in(["By Associated Press", "Reuters"], set())
    ['Associated Press']
    """
    for line in lines:
        for part in _AND.split(_BY.sub("", line.strip())):
            name, plain = part.strip(" .,()"), " ".join(tokens(part))
            if plain in _AGENCIES and plain not in house:
                return [name]
    return []


def from_meta(metadata: Metadata) -> tuple[str, list[str]]:
    """Return the name of the meta tag that names the authors, and the names."""
    # The narrower name first: `author` is often the house that owns the site.
    named = (
        (tag, [one for one in metadata.all(tag) if _is_named(one)])
        for tag in ("article:author", "author", "byl")
    )
    tag, names = next(((tag, values) for tag, values in named if values), ("", []))
    if (metadata.first("twitter:label1") or "").lower().startswith(("written by", "author", "by")):
        names += metadata.all("twitter:data1")[:1]
        tag = tag or "twitter:data1"
    names += metadata.all("twitter:misc:written by")[:1]
    if names:
        return tag or "twitter:misc:written by", names
    tags = [one for one in _OTHER_TAGS if one in metadata.values]
    return next(iter(tags), ""), metadata.all(*tags)


def _is_named(value: str) -> bool:
    """Tell a name from an address, and from the number of an account."""
    return not value.startswith(("http", "/")) and not _ACCOUNT.fullmatch(value)


def people_of(lines: Iterable[str], house: set[str]) -> list[str]:
    """Return the names of people in `lines`: each once, without "By", titles and desks.

    >>> people_of(["By Anna Petrou and Tom Lee, Reuters"], set())
    ['Anna Petrou', 'Tom Lee']
    """
    people: list[str] = []
    for line in lines:
        people += [name for name in _people_in(line, house) if name not in people]
    return people


def _people_in(line: str, house: set[str]) -> Iterable[str]:
    line, is_named = _BY.sub("", OTHER_WORK.sub(" ", line).strip()), False
    for part in _AND.split(_LINE_END.split(line)[0]):
        name = _BEHIND.sub("", _BY.sub("", part.strip(" .,–—-·•\u00a0")))
        if is_person(name, house):
            is_named = True
            yield name
        elif name and is_named:
            # What follows is a title or a paper: "Ann Lee, Chief Officer and Head of Harbours".
            return


def is_person(name: str, house: set[str]) -> bool:
    plain = " ".join(tokens(name))
    if not plain or plain in house or plain in _AGENCIES or len(name) > _LONGEST_NAME:
        return False
    # "Gazette North", and "Gazette November" where a date was cut from the line.
    if any(plain.startswith(f"{one} " if len(one) < _SURE_NAME else one) for one in house):
        return False
    if _NOT_A_NAME.search(name.lower()) or _DESK.search(name) or _ROLE.search(name):
        return False
    if _DEGREE.fullmatch(name) or _PAPER.search(name):
        return False
    if name[0].islower() and name[0] != "d":
        return False
    return 1 <= len(name.split()) <= 6 and not (plain.isdigit() or len(plain) < 2)
