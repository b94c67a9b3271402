"""Where each field of an article comes from, with the candidates that lost: `explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lxml.html import HtmlElement

from crawler.extraction import Reading, reading_of, signs_of_cut
from crawler.extraction.candidates import Candidate, Choice, said
from crawler.extraction.dates import Moment
from crawler.extraction.document import css_path, full_css_path
from crawler.extraction.moments import FINENESS
from crawler.extraction.prune import Furniture
from crawler.extraction.region import (
    DENSEST,
    FAMILY,
    SITE_FILE,
    TRAFILATURA,
    TRAFILATURA_TEXT,
    Selection,
)
from crawler.site import Site
from pipelines.model import Article, Hints, RemovedBlock

FIELDS = (
    "headline", "description", "authors", "byline", "date_published", "date_modified",
    "in_language", "article_section", "keywords", "image_url", "is_accessible_for_free",
    "is_truncated", "article_body", "publisher", "country",
)  # fmt: skip
_WITNESSES = {
    SITE_FILE: "extract.body of the site file says that the story stands there",
    TRAFILATURA: "its text is found again in the page's own blocks, most of it in this region",
    TRAFILATURA_TEXT: "its lines as they are: they meet too few of the page's own blocks",
    DENSEST: "the box with the most text that is no link: trafilatura finds nothing, or far less",
    FAMILY: "the paragraphs in boxes of one name: what trafilatura finds is mostly titles",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one place says of a field, and why it was taken or left."""

    source: str
    at: str
    raw: Any
    value: Any
    is_chosen: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the value of a field comes from; `candidates` are in order of precedence.

    `source` is `json-ld`, `meta`, `feed`, `sitemap`, `html`, `url`, `site` (its site file), `text`
    (the body itself), or None where nothing says it.
    """

    field: str
    value: Any
    source: str | None
    at: str | None
    raw: Any
    why: str
    candidates: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A block that was taken out. `source` is whose rule it was: `html`, `site` or `learned`."""

    rule: str
    selector: str
    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`region` is the CSS path of what holds the story, `witness` who says so."""

    article: Article
    fields: tuple[Provenance, ...]
    witness: str | None = None
    region: str | None = None
    removed_blocks: tuple[Removed, ...] = ()

    def of(self, field: str) -> Provenance:
        return next(one for one in self.fields if one.field == field)


def explain(
    html: bytes,
    url: str,
    *,
    site: Site | None = None,
    headers: Mapping[str, str] | None = None,
    hints: Hints | None = None,
    fetched_at: datetime | None = None,
    furniture: Furniture | None = None,
) -> Explanation:
    """Read a page as `extract` does, and tell of each field what it was chosen among."""
    article, reading = reading_of(
        html,
        url,
        site=site,
        headers=headers,
        hints=hints,
        fetched_at=fetched_at,
        furniture=furniture,
    )
    if reading is None:
        nothing = Choice(why="the page cannot be read")
        return Explanation(
            article=article, fields=tuple(_provenance(name, article, nothing) for name in FIELDS)
        )
    chosen = reading.chosen | {
        "is_truncated": _cut(reading),
        "article_body": _body(reading.body.story),
        "country": _only("site", "country", article.country),
    }
    story = reading.body.story
    return Explanation(
        article=article,
        fields=tuple(_provenance(name, article, chosen[name]) for name in FIELDS),
        witness=story.witness if story else None,
        region=_region(story),
        removed_blocks=tuple(map(removed, article.removed_blocks)),
    )


def _only(source: str, at: str, raw: str | None) -> Choice:
    told = said(source, at, raw)
    return Choice(raw, tuple(told), next(iter(told), None), "nothing else says it")


def _cut(reading: Reading) -> Choice:
    signs = tuple(signs_of_cut(reading))
    winner = next(iter(signs), None)
    return Choice(bool(signs), signs, winner, "" if signs else "nothing shows that it was cut off")


def _body(story: Selection | None) -> Choice:
    if story is None:
        return Choice()
    where = _region(story)
    winner = Candidate(
        "site" if story.witness == SITE_FILE else "html",
        f"{story.witness}: {where}" if where else story.witness,
        _words(story.witnesses.get(story.witness)),
        where or story.witness,
        _WITNESSES[story.witness],
    )
    others = (
        Candidate("html", name, _words(words), name, "found no story that is so much fuller")
        for name, words in story.witnesses.items()
        if name != story.witness
    )
    return Choice(None, (winner, *others), winner)


def _words(words: int | None) -> str | None:
    return None if words is None else f"{words} words of prose"


def _region(story: Selection | None) -> str | None:
    return full_css_path(story.region) if story and story.region is not None else None


def removed(block: RemovedBlock) -> Removed:
    """Tell whose rule took a block out."""
    head, _, _ = block.rule.partition(":")
    source = head if head in ("learned", "site") else "html"
    return Removed(rule=block.rule, selector=block.selector, text=block.text, source=source)


def _provenance(field: str, article: Article, choice: Choice) -> Provenance:
    told = tuple(_told(one, place, choice) for place, one in enumerate(choice.candidates))
    winner = next((one for one in told if one.is_chosen), None)
    return Provenance(
        field=field,
        value=getattr(article, field),
        source=winner.source if winner else None,
        at=winner.at if winner else None,
        raw=winner.raw if winner else None,
        why=winner.why if winner else _why_nothing(choice),
        candidates=told,
    )


def _why_nothing(choice: Choice) -> str:
    if not choice.candidates:
        return choice.why or "nothing says it"
    is_read = any(one.value is not None for one in choice.candidates)
    return choice.why if is_read else "nothing that says it can be used"


def _told(one: Candidate, place: int, choice: Choice) -> Told:
    value = one.value.when if isinstance(one.value, Moment) else one.value
    return Told(
        source=one.source,
        at=css_path(one.at) if isinstance(one.at, HtmlElement) else one.at,
        raw=_fixed(one.raw),
        value=_fixed(value),
        is_chosen=one is choice.winner,
        why=_why(one, place, choice),
    )


def _is_same(one: Candidate, winner: Candidate) -> bool:
    if isinstance(one.value, Moment):
        mine, its = one.value, winner.value
        return (mine.when, mine.precision) == (its.when, its.precision)
    return bool(one.value == winner.value)


def _why_not_then(moment: Moment, winner: Moment) -> str:
    """Say why another date was left: it is taken only for one that it agrees with."""
    is_coarser = FINENESS[moment.precision] < FINENESS[winner.precision]
    is_near = abs(moment.when - winner.when) <= timedelta(days=1)
    if is_coarser and is_near:
        return "is less precise than the winner"
    return "names another time than the first that can be read"


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _why(one: Candidate, place: int, choice: Choice) -> str:
    if one.why or one is choice.winner:
        return one.why or choice.why
    if one.value is None:
        return "nothing in it can be used"
    if isinstance(one.value, Moment) and choice.winner and not _is_same(one, choice.winner):
        return _why_not_then(one.value, choice.value)
    if choice.winner is None:
        return ""
    if place < choice.candidates.index(choice.winner):
        return "the winner says the same, and more"
    same = "says the same, and " if _is_same(one, choice.winner) else ""
    return f"{same}comes after the winner in the order of precedence"
