"""The dates that a page prints as its story's own: by the headline, and of nothing else there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from lxml.html import HtmlElement

from crawler.extraction.clock import words
from crawler.extraction.document import REMOVED, text_of
from crawler.extraction.folded import fold_word
from crawler.extraction.moments import EPOCH, Printed, read_dates

_MODIFIED_WORD = re.compile(
    r"updat|modif|aktualis|mis à jour|actualiz|atualiz|aggiornat|zaktualiz|aktualizacja|оновлен"
    r"|обновлен|ενημ|güncel|edited|changed|تحديث|更新|修改",
    re.IGNORECASE,
)
_PUBLISHED_WORD = re.compile(
    r"publish|posted|publi[ée]|publica|veröffentl|pubblicat|opublik|опублік|опублик|δημοσ|yayın"
    r"|giriş|erstellt|created|issued|نشر|发布|發布|發佈",
    re.IGNORECASE,
)
_DATE_NAME = re.compile(
    r"(?:^|[-_ ])(?:pub)?(?:date|datetime|time|timestamp|published|posted|postdate|pubdate|dateline"
    r"|byline|meta|submitted|info)(?:$|[-_ ])|date|timestamp|publish",
    re.IGNORECASE,
)
# Boxes of something else than the story: of other stories, posts, comments, people, the day.
_OTHERS = re.compile(
    r"(?:^|[-_ ])(?:related|latest|recent|recommend\w*|popular|trending|more|teasers?|cards?|promo"
    r"|comments?|commentlist|embed\w*|tweet|twitter|events?|calendar|bio|biography|copyright|today"
    r"|current|clock|ticker|weather|breaking|sidebar|newsletter|prev|previous|next)(?:$|[-_ ])",
    re.IGNORECASE,
)
_OTHER_TAGS = frozenset(("blockquote", "figure", "figcaption", "nav"))
_UNREAD_TAGS = frozenset(("script", "style", "head", "noscript"))
_DATE_LABEL = re.compile(r"(?:date|datum|data|fecha|дата|ημερομηνία|tarih|日期)\b", re.IGNORECASE)
_RIGHTS = re.compile(r"©|\(c\)|copyright|all rights", re.IGNORECASE)
_LONGEST_LINE = 160
# Elements that may hold a line with a date and no more.
_LINES = frozenset((
    "p", "div", "span", "time", "li", "small", "em", "strong", "h2", "h3", "h4", "h5", "h6", "td",
    "dd", "a", "b", "i", "address", "ul", "section",
))  # fmt: skip
# How far from the headline a date is still the story's: elements of the page, in order.
_BEFORE, _AFTER = 60, 250
# And from the story's first long paragraph, for a date that stands under its beginning.
_BEYOND = 12
_STORY_PARAGRAPHS, _MOST_PARAGRAPHS = 2, 40
# The words of a byline that begin small, in a line that is else all names.
_BYLINE_WORDS = frozenset((
    "by", "and", "in", "on", "at", "the", "of", "for", "from", "with", "min", "mins", "minute",
    "minutes", "read", "reading", "time", "first", "last", "date", "news", "von", "vom", "und",
    "am", "im", "zum", "par", "le", "à", "et", "de", "la", "por", "el", "y", "da", "do", "em",
    "di", "e", "il",
    "от", "и", "в", "від", "та", "і", "о", "на", "της", "του", "από", "και", "στις", "ve", "przez",
    "dnia",
))  # fmt: skip
_LONGEST_BYLINE = 10
# Characters: a box with a link to a story and a date holds no more text.
_LONGEST_CARD = 400
# Elements: no line and no card is made of so many.
_MOST_PARTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habit:
    day_first: bool | None
    formats: tuple[str, ...]

    def can_read(self, stamp: str) -> bool:
        return self.first(stamp) is not None or EPOCH.fullmatch(stamp.strip()) is not None

    def first(self, text: str) -> Printed | None:
        return next(read_dates(text, day_first=self.day_first, formats=self.formats), None)


def printed_dates(
    root: HtmlElement,
    *,
    h1: HtmlElement | None,
    day_first: bool | None,
    formats: tuple[str, ...] = (),
) -> Iterator[tuple[str, str, HtmlElement]]:
    """Yield what the page prints as its dates: (published, modified or plain), the surest first.

    Only near the headline, or before the first paragraphs of the story: dates further down
    belong to other stories, embedded posts and copyright lines.
    """
    habit = _Habit(day_first=day_first, formats=formats)
    own = frozenset(h1.iterancestors()) if h1 is not None else frozenset()
    elements, story = _window(root, h1, own)
    found: list[tuple[int, int, str, str]] = []
    for place, element in enumerate(elements):
        for rank, kind, raw in _dates_in(element, habit, own):
            if rank < _BARE or place < story:
                found.append((rank, place, kind, raw))
    for _, place, kind, raw in sorted(found, key=lambda one: one[:2])[:8]:
        yield kind, raw, elements[place]


def _window(
    root: HtmlElement, h1: HtmlElement | None, own: frozenset[HtmlElement]
) -> tuple[list[HtmlElement], int]:
    """Return the elements where a date may be the story's, and the place where its text begins."""
    scope, boxes = _scope(h1), _story_boxes(root)
    elements: list[HtmlElement] = []
    stack, at, story = [root], 0, None
    while stack:
        element = stack.pop()
        if not isinstance(element.tag, str) or element.get(REMOVED) is not None:
            continue
        if element.tag in _UNREAD_TAGS or (element not in own and _is_of_others(element, boxes)):
            continue
        if element is h1:
            at = len(elements)
        if story is None and element.tag == "p" and (h1 is None or at) and _is_long(element):
            story = len(elements)
        elements.append(element)
        if (h1 is None or at) and len(elements) >= _end(at, story):
            break
        stack.extend(reversed(element))
    begin = max(0, at - _BEFORE) if h1 is not None else 0
    end = _end(at, story) if story is not None else at + _BEYOND
    kept = [one for one in elements[begin:at] if scope is None or scope in one.iterancestors()]
    text = len(kept) + (story if story is not None else end) - (at if h1 is not None else 0)
    return kept + elements[at if h1 is not None else begin : end], text


def _end(at: int, story: int | None) -> int:
    return at + _AFTER if story is None else min(story + _BEYOND, at + _AFTER)


def _scope(h1: HtmlElement | None) -> HtmlElement | None:
    """Return what a date above the headline must stand in: beyond is today's, or another's."""
    if h1 is None:
        return None
    above = [one for one in h1.iterancestors() if one.tag not in ("html", "body")]
    named = next((one for one in above if one.tag in ("article", "main")), None)
    return named if named is not None else above[:8][-1] if above else None


def _is_of_others(element: HtmlElement, boxes: frozenset[HtmlElement]) -> bool:
    if element.tag in _OTHER_TAGS:
        return True
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    if element.tag in ("aside", "footer") and not _DATE_NAME.search(names):
        return element.tag == "aside" or next(element.iterancestors("article"), None) is None
    return len(names) > 1 and element not in boxes and bool(_OTHERS.search(names))


def _story_boxes(root: HtmlElement) -> frozenset[HtmlElement]:
    """Return what holds the page's text, whatever it is named after: long paragraphs."""
    counts: Counter[HtmlElement] = Counter()
    long = (one for one in root.iter("p") if one.get(REMOVED) is None and _is_long(one))
    for paragraph in islice(long, _MOST_PARAGRAPHS):
        counts.update(paragraph.iterancestors())
    return frozenset(box for box, count in counts.items() if count >= _STORY_PARAGRAPHS)


def _is_long(paragraph: HtmlElement) -> bool:
    return len(text_of(paragraph).split()) >= 25


_BARE = 4


def _dates_in(
    element: HtmlElement, habit: _Habit, own: frozenset[HtmlElement]
) -> Iterator[tuple[int, str, str]]:
    names = " ".join(
        (element.get(key) or "") for key in ("class", "id", "itemprop", "property", "data-testid")
    )
    stamp = element.get("datetime") or (element.get("content") if element.get("itemprop") else None)
    if stamp and (element.tag == "time" or "date" in names.lower()) and habit.can_read(stamp):
        if _is_beside_link(element, own):
            return
        kind = _kind(f"{names} {text_of(element)} {_text_before(element)}")
        yield (0 if kind == "published" or element.get("pubdate") is not None else 2), kind, stamp
        return
    line = _own_line(element)
    if not any(char.isdigit() for char in line):
        return
    if _RIGHTS.search(line) or _is_beside_link(element, own):
        return
    is_named = bool(_DATE_NAME.search(names) or _DATE_LABEL.match(line)) or element.tag == "time"
    for kind, piece in _labelled(line, names):
        date = habit.first(piece)
        if date is None or not (is_named or kind != "plain" or _is_byline(piece, date)):
            continue
        is_alone = not re.search(r"\w", piece[: date.start] + piece[date.end :])
        yield (1 if kind == "published" else 3 if is_named or is_alone else _BARE), kind, piece


def _is_beside_link(element: HtmlElement, own: frozenset[HtmlElement]) -> bool:
    """Tell whether the date stands with a link to a story: in its list item, card or row."""
    parent = element.getparent()
    if parent is None or parent in own or _short_text(parent, _LONGEST_CARD) is None:
        return False
    return any(_is_title(link) for link in parent.iter("a") if element not in link.iterancestors())


def _is_title(link: HtmlElement) -> bool:
    if "author" in f"{link.get('rel') or ''} {link.get('href') or ''} {link.get('class') or ''}":
        return False
    count = len(text_of(link).split())
    return 4 <= count <= 30 and not any(one.isdigit() for one in text_of(link)[-4:])


def _is_byline(line: str, date: Printed) -> bool:
    """Tell whether all of `line` beside its date are names and the small words between them."""
    rest = re.findall(r"[^\W\d_]+", line[: date.start] + " " + line[date.end :])
    known = words()
    others = [one for one in rest if fold_word(one) not in known.beside | known.leading]
    return len(others) <= _LONGEST_BYLINE and all(
        not one[0].islower() or one in _BYLINE_WORDS for one in others
    )


def _own_line(element: HtmlElement) -> str:
    """Return the text of an element that is a line, none that holds others or is too long."""
    if element.tag not in _LINES:
        return ""
    if any(child.tag in ("div", "p", "ul", "section", "table") for child in element):
        return ""
    return _short_text(element, _LONGEST_LINE) or ""


def _short_text(element: HtmlElement, longest: int) -> str | None:
    """Return the text under `element`, None where it is longer; read no further than that."""
    size = 0
    for count, node in enumerate(element.iter()):
        size += len((node.text or "").strip()) + len((node.tail or "").strip())
        if size > 2 * longest + len((element.tail or "").strip()) or count > _MOST_PARTS:
            return None
    text = text_of(element)
    return text if len(text) <= longest else None


def _text_before(element: HtmlElement) -> str:
    previous = element.getprevious()
    parent = element.getparent()
    text = (previous.tail or text_of(previous)) if previous is not None else ""
    return text or ((parent.text or "") if parent is not None else "")


def _kind(text: str) -> str:
    if _PUBLISHED_WORD.search(text):
        return "published"
    return "modified" if _MODIFIED_WORD.search(text) else "plain"


def _labelled(line: str, names: str) -> Iterator[tuple[str, str]]:
    """Part "Published 1 May 2023, updated 2 May 2023" into its two dates."""
    starts = sorted(
        [(m.start(), "published") for m in _PUBLISHED_WORD.finditer(line)]
        + [(m.start(), "modified") for m in _MODIFIED_WORD.finditer(line)]
    )
    if not starts:
        yield _kind(names) if _MODIFIED_WORD.search(names) else "plain", line
        return
    if starts[0][0] > 0:
        yield "plain", line[: starts[0][0]]
    ends = [start for start, _ in starts[1:]] + [len(line)]
    for (start, kind), end in zip(starts, ends, strict=True):
        yield kind, line[start:end]
