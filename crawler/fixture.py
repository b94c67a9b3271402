"""A site's look-alike page beside the article it ought to give, compared field by field."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crawler.extraction import extract, unmatched_body
from crawler.site import Site
from pipelines.errors import SiteError
from pipelines.model import Article, Hints

PAGE, EXPECTED = "page.html", "expected.json"


@dataclass(frozen=True, slots=True)
class FieldResult:
    """One field: what stands in expected.json, what the extractor gave, and whether they agree."""

    field: str
    expected: object
    got: object
    ok: bool


def compare(site: Site, folder: Path) -> list[FieldResult]:
    """Extract `folder`/page.html as `site` and compare every field that expected.json names.

    expected.json holds `url`, `article` and, where they matter, `headers`, `hints` (as in
    `pipelines.model.Hints`) and `fetched_at`. A site's `extract.body` that matches nothing on the
    page is a field of its own that is not ok. Raises SiteError where a file is missing or wrong.
    """
    expected = _read_expected(folder)
    html = _read_page(folder)
    given = to_json(_extract(site, html, folder, expected))
    fields: dict[str, object] = expected["article"]
    results = [
        FieldResult(n, want, given.get(n), want == given.get(n)) for n, want in fields.items()
    ]
    selector = unmatched_body(
        html, site, headers=expected.get("headers"), fetched_at=_fetched_at(expected)
    )
    lost = [FieldResult("extract.body", selector, None, ok=False)] if selector else []
    return lost + results


def _read_expected(folder: Path) -> dict[str, Any]:
    file = folder / EXPECTED
    remedy = f'write the page as {PAGE} and {{"url": …, "article": {{…}}}} as {EXPECTED}'
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SiteError(
            f"cannot be read ({error.strerror})", where=str(file), remedy=remedy
        ) from error
    except ValueError as error:
        raise SiteError(f"is not JSON: {error}", where=str(file), remedy=remedy) from error
    if not isinstance(data, dict) or not isinstance(data.get("article"), dict) or "url" not in data:
        raise SiteError("needs the keys 'url' and 'article'", where=str(file), remedy=remedy)
    unknown = set(data["article"]) - set(Article.__dataclass_fields__)
    if unknown:
        raise SiteError(f"unknown field '{min(unknown)}' of an article", where=str(file))
    return data


def _read_page(folder: Path) -> bytes:
    file = folder / PAGE
    try:
        return file.read_bytes()
    except OSError as error:
        raise SiteError(f"cannot be read ({error.strerror})", where=str(file)) from error


def _fetched_at(expected: dict[str, Any]) -> datetime | None:
    fetched = expected.get("fetched_at")
    return datetime.fromisoformat(fetched) if fetched else None


def _extract(site: Site, html: bytes, folder: Path, expected: dict[str, Any]) -> Article:
    return extract(
        html,
        str(expected["url"]),
        site=site,
        headers=expected.get("headers"),
        hints=_hints(expected.get("hints"), folder / EXPECTED),
        fetched_at=_fetched_at(expected),
    )


def _hints(data: dict[str, Any] | None, file: Path) -> Hints | None:
    if data is None:
        return None
    lists: dict[str, Any] = {
        name: tuple(data[name]) for name in ("authors", "keywords") if name in data
    }
    try:
        return Hints(**{**data, **lists})
    except TypeError as error:
        raise SiteError(f"hints: {error}", where=str(file)) from error


def to_json(article: Article) -> dict[str, object]:
    """Return the article as JSON would hold it: times with Z, lists for tuples."""
    return {name: _plain(value) for name, value in asdict(article).items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value
