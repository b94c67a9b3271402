"""A site as data: what a site file may say, read and checked."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import cssselect
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from crawler.rhythm import is_ascending
from pipelines.errors import SiteError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


def duration(text: object) -> timedelta | None:
    """Read `30m`, `2s`, `30d`; an empty string is None.

    >>> duration("90m")
    datetime.timedelta(seconds=5400)
    """
    if isinstance(text, timedelta) or text is None:
        return text
    if text == "":
        return None
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError("not a duration; write a number and ms, s, m, h or d, such as '30m'")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def spell(length: timedelta) -> str:
    """Write a duration as a site file has it.

    >>> spell(timedelta(minutes=90))
    '90m'
    """
    seconds = length.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


def _required_duration(text: object) -> timedelta:
    value = duration(text)
    if value is None:
        raise ValueError("must not be empty; write a duration such as '30m'")
    return value


def _ascending(ages: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if not is_ascending(ages):
        raise ValueError("must be ages above zero, each longer than the one before: ['1h', '1d']")
    return ages


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _css(selector: str) -> str:
    try:
        cssselect.parse(selector)
    except cssselect.SelectorError as error:
        raise ValueError(f"{selector!r} is not a CSS selector ({error})") from error
    return selector


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{value!r} is not an absolute http(s) URL")
    return value


Duration = Annotated[timedelta, BeforeValidator(_required_duration)]
OptionalDuration = Annotated[timedelta | None, BeforeValidator(duration)]
Url = Annotated[str, Field(min_length=1), BeforeValidator(lambda v: _url(str(v)))]
Css = Annotated[str, BeforeValidator(lambda v: _css(str(v)))]
Ages = Annotated[tuple[Duration, ...], AfterValidator(_ascending)]
Languages = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExtractRules(_Strict):
    """What the generic extractor gets wrong on one site."""

    body: str = ""
    prune: tuple[Css, ...] = ()
    date_formats: tuple[str, ...] = ()

    @field_validator("body")
    @classmethod
    def _body_is_css(cls, value: str) -> str:
        return _css(value) if value else value


class Layout(ExtractRules):
    """The rules that held until a redesign (that day not included), for what the archive keeps."""

    until: date


class Site(_Strict):
    """One site file. `name` is the file's name without `.toml`; `file` is where it was read."""

    name: str
    file: str = ""
    publisher: str = Field(min_length=1)
    home: Url
    in_language: Languages = ()
    time_zone: str
    country: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    every: Duration = timedelta(minutes=30)
    feeds: tuple[Url, ...] = ()
    sitemaps: tuple[Url, ...] = ()
    listings: tuple[Url, ...] = ()
    wordpress: str = ""
    article_url: str = ""
    hosts: tuple[str, ...] = ()
    delay: Duration = timedelta(seconds=2)
    connections: int = Field(default=1, ge=1, le=16)
    max_age: OptionalDuration = None
    revisits: Ages = tuple(map(_required_duration, ("1h", "6h", "1d", "7d", "30d")))
    revisit_budget: int = Field(default=200, ge=0)
    unverified: tuple[str, ...] = ()
    extract: ExtractRules = ExtractRules()
    layout: tuple[Layout, ...] = ()

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"{value!r} is not an IANA time zone, such as 'Europe/Athens'"
            ) from error
        return value

    @field_validator("article_url")
    @classmethod
    def _pattern_compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression ({error})") from error
        return value

    @field_validator("wordpress")
    @classmethod
    def _wordpress_base(cls, value: str) -> str:
        if value and not value.rstrip("/").endswith("/wp-json"):
            raise ValueError(f"{value!r} must be the address that ends in /wp-json")
        return _url(value).rstrip("/") if value else value

    @field_validator("unverified")
    @classmethod
    def _unverified_keys_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for key in value:
            if key.split(".")[0] not in Site.model_fields:
                raise ValueError(f"{key!r} is no key of a site file")
        return value

    def owns(self, url: str) -> bool:
        """Tell whether `url` lies on one of this site's hosts (port included where it is odd)."""
        return _bare(_netloc(url)) in self._netlocs()

    def names_host_of(self, url: str) -> bool:
        """Tell whether one of this site's feeds, sitemaps or listings is on the host of `url`."""
        named = (*self.feeds, *self.sitemaps, *self.listings)
        return _netloc(url) in {_netloc(one) for one in named} or self.owns(url)

    def _netlocs(self) -> frozenset[str]:
        own = [_netloc(self.home), *(h.lower() for h in self.hosts)]
        own += [_netloc(self.wordpress)] if self.wordpress else []
        return frozenset(_bare(netloc) for netloc in own)

    def aliases(self) -> dict[str, str]:
        """Return host → home's host for each further host, as `canonical_url` takes them."""
        home = _bare(_netloc(self.home))
        return {_bare(host.lower()): home for host in self.hosts if _bare(host.lower()) != home}

    def rules_at(self, when: date) -> ExtractRules:
        """Return the extraction rules that held on `when`: the earliest layout that outlasts it."""
        later = sorted((one for one in self.layout if when < one.until), key=lambda one: one.until)
        return later[0] if later else self.extract

    def rules_hash(self) -> str:
        """Return 12 hex digits that change when anything does that extraction reads of the file."""
        read = {"in_language", "time_zone", "extract", "layout", "publisher"}
        text = json.dumps(self.model_dump(mode="json", include=read), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _netloc(url: str) -> str:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = (parts.hostname or "").lower()
    try:
        port = parts.port
    except ValueError:
        return ""
    return host if port in {None, default} else f"{host}:{port}"


def _bare(netloc: str) -> str:
    return netloc.removeprefix("www.")


def read_site(file: Path) -> Site:
    """Read one site file. Raises SiteError, one line that names file and key, where it is wrong."""
    name = file.stem
    if not _NAME.fullmatch(name):
        raise SiteError(
            "a site's name is made of a-z, 0-9 and _", where=str(file), remedy="rename the file"
        )
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SiteError(f"cannot be read ({error.strerror})", where=str(file)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteError(f"is not TOML: {error}", where=str(file)) from error
    try:
        return Site.model_validate({**data, "name": name, "file": str(file)})
    except ValidationError as error:
        raise SiteError(_first_line(error), where=str(file)) from error


def _first_line(error: ValidationError) -> str:
    # A misspelt key is both unknown and missing; only the first says how to mend it.
    found = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    lines = [_describe(dict(one)) for one in found]
    return lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more)"


def _describe(error: dict[str, Any]) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), _known_keys(error["loc"]), n=1)
        return f"unknown key '{path}'" + (f"; did you mean '{near[0]}'?" if near else "")
    if error["type"] == "missing":
        return f"key '{path}' is missing"
    return f"key '{path}': {error['msg'].removeprefix('Value error, ')}"


def _known_keys(loc: tuple[object, ...]) -> list[str]:
    nested: dict[str, type[BaseModel]] = {"extract": ExtractRules, "layout": Layout}
    model = nested.get(str(loc[0]), Site) if len(loc) > 1 else Site
    return [key for key in model.model_fields if key not in {"name", "file"}]
