"""Fields that a page, its feed or its site's file states in so many words."""

from __future__ import annotations

from dataclasses import replace

from crawler.extraction.candidates import Candidate, Choice, first_of, hinted, said
from crawler.extraction.jsonld import JsonLd
from crawler.extraction.metadata import Metadata, absolute
from crawler.site import Site
from pipelines.fingerprint import tokens
from pipelines.model import Hints

_REPEATS = "only repeats how the article_body begins"


def find_publisher(site: Site | None, metadata: Metadata, jsonld: JsonLd) -> Choice:
    return first_of(
        [
            *said("site", "publisher", site.publisher if site else None),
            *metadata.said("og:site_name"),
            *said("json-ld", "publisher", jsonld.publisher),
        ]
    )


def find_section(metadata: Metadata, jsonld: JsonLd, hints: Hints) -> Choice:
    return first_of(
        [
            *said("json-ld", "articleSection", jsonld.section),
            *metadata.said("article:section"),
            *hinted(hints, "article_section"),
        ]
    )


def find_keywords(metadata: Metadata, jsonld: JsonLd, hints: Hints) -> Choice:
    told = [
        *said("json-ld", "keywords", jsonld.keywords),
        *said("meta", "article:tag", metadata.all("article:tag")),
        # Of these two one is a copy of the other, or a list for search engines.
        *metadata.said("news_keywords", "keywords")[:1],
        *hinted(hints, "keywords"),
    ]
    return first_of(replace(one, value=_words(one.raw)) for one in told)


def _words(raw: str | list[str] | tuple[str, ...]) -> tuple[str, ...] | None:
    words = [part.strip() for part in raw.split(",")] if isinstance(raw, str) else raw
    return tuple(dict.fromkeys(word for word in words if word)) or None


def find_image(metadata: Metadata, jsonld: JsonLd, hints: Hints, *, url: str) -> Choice:
    told = [
        *metadata.said("og:image", "twitter:image")[:1],
        *said("json-ld", "image", jsonld.image),
        *hinted(hints, "image_url"),
    ]
    return first_of(replace(one, value=absolute(one.raw, url)) for one in told)


def declared_languages(site: Site | None, metadata: Metadata, hints: Hints) -> list[Candidate]:
    """Return what is said of the language, the surest first."""
    # Where a site has two, neither is known to be this page's.
    only = site.in_language[0] if site and len(site.in_language) == 1 else None
    return [
        *said("site", "in_language", only),
        *hinted(hints, "in_language"),
        *said("html", "html[lang]", metadata.language),
    ]


def without_repeated(description: Choice, body: str) -> Choice:
    """Drop a description that only repeats how the body begins."""
    text: str | None = description.value
    if not text:
        return replace(description, value=None, winner=None)
    cut = text.rstrip(" .…[]")
    begins = " ".join(tokens(body[: 2 * len(cut) + 200]))
    if not begins.startswith(" ".join(tokens(cut))):
        return description
    candidates = (
        replace(one, why=_REPEATS) if one is description.winner else one
        for one in description.candidates
    )
    return Choice(None, tuple(candidates), None, "what would be taken " + _REPEATS)
