"""What the page's head says: meta tags, links, title, language."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from lxml.html import HtmlElement

from crawler.extraction.candidates import Candidate, said
from crawler.extraction.document import text_of


@dataclass(frozen=True, slots=True)
class Metadata:
    """Meta tags by lower-case name, property or itemprop, each with its values in order."""

    values: dict[str, list[str]] = field(default_factory=dict)
    canonical: str | None = None
    title: str | None = None
    language: str | None = None
    base: str = ""

    def first(self, *names: str) -> str | None:
        """Return the first value of the first of `names` that the page gives."""
        return next((self.values[name][0] for name in names if name in self.values), None)

    def said(self, *names: str) -> list[Candidate]:
        """Return the first value of each of `names` that the page gives, in that order."""
        given = (name for name in names if name in self.values)
        return [one for name in given for one in said("meta", name, self.values[name][0])]

    def all(self, *names: str) -> list[str]:
        return [value for name in names for value in self.values.get(name, [])]


def read_metadata(root: HtmlElement, url: str) -> Metadata:
    """Read the head of the page at `url`."""
    values: dict[str, list[str]] = {}
    for tag in root.iter("meta"):
        content = " ".join((tag.get("content") or "").split())
        for attribute in ("property", "name", "itemprop"):
            name = (tag.get(attribute) or "").strip().lower()
            # An itemprop in the page's body may speak of another thing (a comment, a video).
            if name and content and (attribute != "itemprop" or name not in values):
                values.setdefault(name, []).append(content)
    base = next((tag.get("href") for tag in root.iter("base") if tag.get("href")), None)
    return Metadata(
        values=values,
        canonical=_canonical(root, url),
        title=_title(root),
        language=root.get("lang") or root.get("xml:lang") or None,
        base=absolute(base or "", url) or url,
    )


def _canonical(root: HtmlElement, url: str) -> str | None:
    for tag in root.iter("link"):
        if "canonical" in (tag.get("rel") or "").lower().split() and tag.get("href"):
            return absolute(tag.get("href") or "", url)
    return None


def _title(root: HtmlElement) -> str | None:
    for tag in root.iter("title"):
        parent = tag.getparent()
        if parent is not None and parent.tag != "svg":
            return text_of(tag) or None
    return None


def absolute(link: str, base: str) -> str | None:
    """Return `link` made absolute, or None where it is no web address."""
    try:
        joined = urljoin(base, link.strip())
        parts = urlsplit(joined)
    except ValueError:
        return None
    return joined if parts.scheme in ("http", "https") and parts.netloc else None
