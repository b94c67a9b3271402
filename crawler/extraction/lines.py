"""Takes out of the story's blocks the whole lines that are no part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import takewhile

from lxml.html import HtmlElement

from crawler.extraction.blocks import Block
from crawler.extraction.document import REMOVED, css_path, text_of
from crawler.extraction.endings import ending_rule
from crawler.extraction.headline import closeness
from crawler.extraction.moments import read_dates
from crawler.extraction.noise import noise, plain_line
from crawler.extraction.prune import Furniture, furniture_rule, shorten
from crawler.extraction.region import path_of
from crawler.extraction.repeats import announced_blocks, repeated_blocks
from crawler.extraction.teasers import find_teasers
from pipelines.fingerprint import tokens
from pipelines.model import RemovedBlock

_SIGN_OFF = re.compile(
    r"^\W*(?:(?:additional |with )?(?:reporting|writing|editing|compiled|written|edited|production)"
    r"(?: and (?:writing|editing))? by\b|reporting for\b|σύνταξη:|источник:|джерело:)",
    re.IGNORECASE,
)
_COPYRIGHT = re.compile(
    r"^\W*(?:©|\(c\)|copyright\b|all rights reserved|tous droits réservés|alle rechte vorbehalten)"
    r"|\ball rights reserved\W*$",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"^\W*(?:(?:photo|image|picture|video|cover|featured|file|main)\s*(?:credits?|source|courtesy|by|:)"
    r"|photo(?:graph)?s?\s*(?:by|:)|credits?\s*:|getty images|foto\s*:|фото\s*:|φωτο(?:γραφία)?\s*:"
    r"|crédit(?:s)? photo|bild\s*:|symbolbild)",
    re.IGNORECASE,
)
_FEED_FOOTER = re.compile(
    r"^(?:the post|cet article|der beitrag|la entrada|o post|l'articolo|wpis)\b.{3,300}"
    r"\b(?:appeared first on|est apparu en premier sur|erschien zuerst auf|se publicó primero en"
    r"|apareceu primeiro em|proviene da|pochodzi z serwisu)\b",
    re.IGNORECASE | re.DOTALL,
)
_BY_LINE = re.compile(r"^\W*(?:by|written by|von|par|por)\s+[^\W\d_]", re.IGNORECASE)
_FOLLOW = re.compile(
    r"^\W*(?:follow|subscribe|join|підписуйтесь|приєднуйтесь|подписывайтесь|присоединяйтесь"
    r"|ακολουθήστε|síguenos|suivez|seguici|folgen sie|śledź|obserwuj|takip)\b.*"
    r"\b(?:telegram|facebook|twitter|x|google news|whatsapp|viber|youtube|instagram|linkedin)\b",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_PEEL, _FEWEST_LEFT = 120, 25
# A line that is more of the story than this is no note at its end.
_MOST_OF_END = 0.2
_IS_SOMEONE = re.compile(
    r"\W{0,3}(?:\([^)]{1,40}\) )?(?:is|was|has|covers|writes|reports|works|joined|serves|leads|ist"
    r"|schreibt|arbeitet|est|écrit|es|escribe|è|scrive|jest|pisze|är|je)\b"
)
_ENDS_A_SENTENCE = re.compile(r"[.!?…:。！？][\"'”’»)\]]*$")
_LABEL = re.compile(r"^[^:\n]{2,30}:\s")
_SHORT, _CAPTION, _BRIEF, _TAIL, _FIRST = 40, 25, 12, 4, 3


@dataclass(slots=True)
class Cleaned:
    """What is left of the story, what was taken out, and the links that stood in it."""

    kept: list[Block] = field(default_factory=list)
    removed: list[RemovedBlock] = field(default_factory=list)
    related: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Known:
    """What the body must not repeat."""

    headline: str | None = None
    description: str | None = None
    byline: str | None = None
    authors: tuple[str, ...] = ()
    h1: HtmlElement | None = None


def clean_lines(
    blocks: list[Block], *, known: Known, furniture: Furniture | None = None, host: str = ""
) -> Cleaned:
    """Apply the rules for whole lines, then drop headings that nothing follows.

    Blocks that are no story text are reported where they stand between those that are, and
    where a rule knows them.
    """
    out = Cleaned()
    story = _Whole(_peeled(blocks, known), known=known, furniture=furniture, host=host)
    expects_link = False
    for index, block in enumerate(story.blocks):
        rule = story.rule_of_place(index)
        is_told = (expects_link and _is_link(block)) or id(block) in story.announced
        if rule is None and is_told:
            rule = "line:also_read"
        else:
            rule = rule or _also_read(block, story.blocks[index + 1 : index + 2])
            expects_link = rule == "line:also_read" and not block.links
        rule = rule or story.rule_of_text(index, kept=len(out.kept))
        if rule is not None:
            _take(out, block, rule)
        elif block.is_story:
            out.kept.append(block)
    _trim(out, known)
    return out


def _trim(out: Cleaned, known: Known) -> None:
    """Take away what speaks of the story at its two ends, and headings that nothing follows."""
    whole = sum(block.length for block in out.kept)

    def ends(blocks: list[Block], *, is_tail: bool) -> bool:
        named = [(one, ending_rule(one, known.authors, is_tail=is_tail)) for one in blocks]
        found = {id(one): rule for one, rule in named if rule and one.length < _MOST_OF_END * whole}
        for block in blocks:
            if rule := found.get(id(block)):
                _take(out, block, rule)
        out.kept = [block for block in out.kept if id(block) not in found]
        return bool(found)

    ends(out.kept[:_FIRST], is_tail=False)
    _drop_last_headings(out)
    while ends(_below_the_story(out.kept, known), is_tail=True):
        _drop_last_headings(out)


def _is_empty_heading(block: Block) -> bool:
    # What ends in a full stop is a sentence in a heading's clothes.
    return block.kind == "h" and not (block.text.endswith(".") and block.length > _FIRST)


def _below_the_story(kept: list[Block], known: Known) -> list[Block]:
    """Return the last lines up to the story's own last paragraph: no line above it is an end."""

    def is_own(block: Block) -> bool:
        is_short = block.length <= _BRIEF and block.kind != "quote"
        return not is_short and ending_rule(block, known.authors, is_tail=True) is None

    below = takewhile(lambda block: not is_own(block), reversed(kept[-_TAIL:]))
    return list(below)[::-1]


def _drop_last_headings(out: Cleaned) -> None:
    last = list(takewhile(_is_empty_heading, reversed(out.kept)))
    # A list that is told in headings ends in many of them.
    for block in last if len(last) < _FIRST else ():
        out.kept.pop()
        _take(out, block, "line:heading_without_text")


def _peeled(blocks: list[Block], known: Known) -> list[Block]:
    """Part the first and last lines of a block from the rest where they are noise of their own.

    Pages without paragraphs print the date, a break, and the story in one box.
    """
    out: list[Block] = []
    for place, block in enumerate(blocks):
        lines = block.text.split("\n") if block.kind == "p" else [block.text]
        start, end = 0, len(lines)
        while start < end - 1 and _is_noise(block, lines[start], known, is_first=place < _FIRST):
            start += 1
        while end > start + 1 and _is_noise(block, lines[end - 1], known, is_first=False):
            end -= 1
        groups = [*lines[:start], "\n".join(lines[start:end]), *lines[end:]]
        out += [block] if len(groups) == 1 else [_part_of(block, one) for one in groups]
    return out


def _is_noise(block: Block, line: str, known: Known, *, is_first: bool) -> bool:
    if len(line) > _LONGEST_PEEL:
        return False
    part = _part_of(block, line)
    rule = _whole_line(part, known, is_tail=False, is_first=is_first)
    return rule not in (None, "line:link_only", "line:no_words")


def _part_of(block: Block, text: str) -> Block:
    links = [link for link in block.links if link[0] in text]
    chars = sum(len("".join(name.split())) for name, _ in links)
    return replace(block, text=text, links=links, link_chars=chars, words=tuple(tokens(text)))


class _Whole:
    """All blocks of the story's box: what a line is shows by its place among the others."""

    def __init__(
        self, blocks: list[Block], *, known: Known, furniture: Furniture | None, host: str
    ) -> None:
        stories = [index for index, block in enumerate(blocks) if block.is_story]
        self.blocks, self.known, self.furniture = blocks, known, furniture
        self.first, self.last = (stories[0], stories[-1]) if stories else (0, -1)
        self.tail = set(stories[-_TAIL:])
        self.teasers = find_teasers(blocks, host=host)
        self.repeated = repeated_blocks(blocks)
        self.announced = announced_blocks(blocks)
        self.length = sum(blocks[index].length for index in stories)

    def rule_of_place(self, index: int) -> str | None:
        """Return the rule of a block that the site, another story's card or the page repeats."""
        block = self.blocks[index]
        if rule := furniture_rule(block.text, self.furniture):
            return rule
        if index in self.teasers:
            return "line:teaser"
        return "line:repeated" if id(block) in self.repeated else None

    def rule_of_text(self, index: int, *, kept: int) -> str | None:
        """Return the rule of a line by what it says; `kept` lines of the story are before it."""
        block = self.blocks[index]
        if not block.is_story:
            is_inside = self.first < index < self.last and block.length >= _FIRST
            return "not_story" if is_inside else None
        rule = _repeated(block, kept, self.known, self.blocks[index + 1 : index + 4])
        # Of a page that is no more than its own standfirst, that is the story.
        if rule == "description_repeated" and self.length - block.length < _FEWEST_LEFT:
            rule = None
        is_tail, is_first = index in self.tail, kept < _FIRST
        rule = rule or _whole_line(block, self.known, is_tail=is_tail, is_first=is_first)
        rule = rule or _after_promo(block)
        # A page of pictures tells its story in what stands below them.
        is_all = self.length - block.length < _FEWEST_LEFT
        return rule or (None if is_all else _below_picture(block))


def _after_promo(block: Block) -> str | None:
    """Tell the one sentence that advertises another story under its picture.

    The picture's link was taken away by its markup; the sentence itself bears no mark.
    """
    before = block.element.getprevious()
    if before is None or before.get(REMOVED) is None or block.kind != "p" or block.links:
        return None
    is_promo = before.tag == "a" and bool(before.get("href")) and not text_of(before)
    is_sentence = block.length <= _SHORT and not re.search(r"[.!?…][”\"']?\s+\S", block.text)
    return "line:teaser" if is_promo and is_sentence else None


def _below_picture(block: Block) -> str | None:
    """Tell a caption that is a paragraph of its own: a line under a picture, and no sentence."""
    if block.kind != "p" or block.length > _CAPTION or _ENDS_A_SENTENCE.search(block.text):
        return None
    element, before = block.element, block.element.getprevious()
    while before is not None and (before.get(REMOVED) is not None or before.tag in ("br", "meta")):
        before = before.getprevious()
    is_strong = next(element.iter("strong", "b", "h1", "h2", "h3"), None) is not None
    if before is None or is_strong or (element.getprevious() is None and element.text is None):
        return None
    is_picture = next(before.iter("img", "picture"), None) is not None and not text_of(before)
    return "caption" if is_picture else None


def _take(out: Cleaned, block: Block, rule: str) -> None:
    out.removed.append(
        RemovedBlock(text=shorten(block.text), rule=rule, selector=css_path(block.element))
    )
    if rule in ("line:also_read", "line:link_only", "line:teaser"):
        out.related += block.links


def _is_link(block: Block) -> bool:
    return block.link_share > 0.9


def _also_read(block: Block, following: list[Block]) -> str | None:
    """Tell a line such as "Also read: …" whose rest is a link, or that stands before one."""
    plain = plain_line(block.text)
    phrases = noise().also_read if plain.startswith(noise().also_read) else ()
    phrase = next((p for p in phrases if _begins(plain, p)), None)
    if phrase is None and _is_label_and_link(block):
        return "line:also_read"
    if phrase is None or block.length > _SHORT:
        return None
    if plain == phrase:
        stands_by_link = bool(following) and _is_link(following[0])
        return "line:also_read" if block.links or stands_by_link else None
    rest = len("".join(plain[len(phrase) :].split()))
    return "line:also_read" if block.links and block.link_chars >= 0.7 * rest else None


def _is_label_and_link(block: Block) -> bool:
    """Tell "See earlier: …" in words that nobody listed: a label, then a story's title as link."""
    label = _LABEL.match(block.text)
    if label is None or block.kind != "p" or len(block.links) != 1:
        return False
    title = block.links[0][0]
    is_rest = block.text[label.end() :].strip(" .") == title.strip(" .")
    return is_rest and len(title.split()) >= _FIRST and len(label[0].split()) <= _FIRST


def _begins(plain: str, phrase: str) -> bool:
    return plain.startswith(phrase) and not plain[len(phrase) : len(phrase) + 1].isalnum()


def _repeated(block: Block, place: int, known: Known, following: list[Block]) -> str | None:
    if block.element is known.h1:
        return "headline_repeated"
    is_title = block.kind == "h" or block.length >= _FIRST
    if known.headline and place < _FIRST and is_title:
        if block.key and block.key == " ".join(_words(known.headline)):
            return "headline_repeated"
        if block.kind == "h" and closeness(block.text, known.headline) > 0.9:
            return "headline_repeated"
    is_early = place < 2 and bool(known.description)
    if not is_early or block.key != " ".join(_words(known.description or "")):
        return None
    # Many a description is the first paragraph of the story: only one set apart is a standfirst.
    alike = any(path_of(one.element) == path_of(block.element) for one in following)
    return None if alike else "description_repeated"


@lru_cache(maxsize=64)
def _words(text: str) -> tuple[str, ...]:
    """Return the words of a headline or standfirst, which every block is compared with."""
    return tuple(tokens(text))


def _whole_line(block: Block, known: Known, *, is_tail: bool, is_first: bool) -> str | None:
    plain, length = plain_line(block.text), block.length
    if not plain:
        return "line:no_words"
    if (rule := noise().equals.get(plain)) and block.kind != "row":
        return f"line:{rule}"
    if length <= 60 and (rule := _phrased(block.text)):
        return f"line:{rule}"
    if length <= 60 and is_tail and _SIGN_OFF.match(block.text):
        return "sign_off"
    if length <= (_SHORT if is_tail else _BRIEF) and _COPYRIGHT.search(block.text):
        return "copyright"
    if length <= 25 and _CREDIT.match(block.text) and block.kind != "h":
        return "credit"
    if length <= _SHORT and is_tail and _FOLLOW.match(block.text):
        return "line:follow"
    if length <= 60 and _FEED_FOOTER.match(block.text):
        return "line:feed_footer"
    if is_tail and _is_biography(block, known):
        return "author_bio"
    if _is_byline(block, plain, known, is_first=is_first):
        return "byline"
    if _is_link(block) and block.kind == "p" and length >= 4:
        return "line:link_only"
    return None


def _phrased(text: str) -> str | None:
    """Return the rule whose form the whole line has."""
    plain = " ".join(text.split())
    return next((rule for rule, form in noise().forms if form.fullmatch(plain)), None)


def _is_biography(block: Block, known: Known) -> bool:
    """Tell the sentence at the end that says who an author is."""
    name = next((one for one in known.authors if block.text.startswith(one)), None)
    return (
        name is not None
        and len(name.split()) > 1
        and bool(_IS_SOMEONE.match(block.text[len(name) :]))
    )


def _is_byline(block: Block, plain: str, known: Known, *, is_first: bool) -> bool:
    if block.length > 20:
        return False
    names = {plain_line(name) for name in (*known.authors, known.byline or "")} - {""}
    if plain in names or (plain.startswith("by ") and plain[3:] in names):
        return True
    if is_first and _BY_LINE.match(block.text) and any(name in plain for name in names):
        return True
    dated = noise().dated
    is_dated = plain.startswith(dated) and any(_begins(plain, one) for one in dated)
    dates = list(read_dates(block.text, day_first=True)) if is_dated or is_first else []
    if is_dated and dates:
        return True
    # A date that stands alone under the headline.
    return bool(dates) and dates[0].end - dates[0].start >= 0.6 * len(block.text)
