"""Settings: flag, then environment, then `sitrep.toml` in the working folder, then the default."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from crawler import __version__
from crawler.reservations import NAMES
from pipelines.errors import SettingsError

PREFIX = "SITREP_"
FILE = "sitrep.toml"
# Read by the test suite alone, but set in the same environments as the others.
_FOREIGN = frozenset({"SITREP_REQUIRE_SERVICES"})


def _default_workers() -> int:
    return min(4, os.cpu_count() or 1)


class Settings(BaseModel):
    """Every setting, under the name it has in `sitrep.toml`; the environment's is `SITREP_NAME`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lake: str = "lake"
    state: str = "sqlite:///state/sitrep.db"
    spool: Path | None = None
    sites: Path | None = None
    allow_private_networks: bool = False
    user_agent: str = f"sitrep/{__version__} (news archive)"
    contact: str = ""
    workers: int = Field(default_factory=_default_workers, ge=1, le=64)
    crawls_at_once: int = Field(default=2, ge=1, le=32)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    reservations: tuple[str, ...] = ("tdm",)
    api_token: str | None = None
    bench_data: Path | None = None

    @field_validator("lake")
    @classmethod
    def _lake_is_named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must name a folder or s3://bucket/prefix")
        return value

    @field_validator("state")
    @classmethod
    def _state_is_a_url(cls, value: str) -> str:
        try:
            make_url(value)
        except ArgumentError as error:
            raise ValueError(
                f"{value!r} is not a database URL, such as sqlite:///state/sitrep.db"
            ) from error
        return value

    @field_validator("reservations", mode="before")
    @classmethod
    def _names_parted(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("reservations")
    @classmethod
    def _reservations_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value == ("none",):
            return ()
        for name in value:
            if name not in NAMES:
                raise ValueError(f"{name!r} is none of {', '.join(NAMES)}, nor `none`")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def state_folder(self) -> Path:
        """The folder of the SQLite file, or `state/` when the state is on a server."""
        url = make_url(self.state)
        if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
            return Path("state")
        return Path(url.database).parent

    @property
    def spool_folder(self) -> Path:
        return self.spool or self.state_folder / "spool"

    @property
    def locks_folder(self) -> Path:
        return self.state_folder / "locks"

    @property
    def sites_folder(self) -> Path | None:
        """The folder of the user's own site files; `./sites` when it exists and none is named."""
        if self.sites is not None:
            return self.sites
        return Path("sites") if Path("sites").is_dir() else None

    @property
    def full_user_agent(self) -> str:
        return f"{self.user_agent} +{self.contact}" if self.contact else self.user_agent

    def settings_hash(self) -> str:
        """Return 12 hex digits of what shapes the results; never of secrets."""
        keys = {"user_agent", "allow_private_networks", "reservations"}
        shaping = self.model_dump(mode="json", include=keys)
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:12]


def read_settings(
    flags: Mapping[str, Any], *, environment: Mapping[str, str], folder: Path
) -> Settings:
    """Return the settings in force. Raises SettingsError naming the key that is wrong."""
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, read in (
        (FILE, _from_file(folder / FILE)),
        ("environment", _from_environment(environment)),
        ("flag", {key: value for key, value in flags.items() if value is not None}),
    ):
        values |= read
        origin |= dict.fromkeys(read, source)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise SettingsError(
            first["msg"].removeprefix("Value error, "), where=_shown(key, origin.get(key, ""))
        ) from error


def _shown(key: str, source: str) -> str:
    return f"{PREFIX}{key.upper()}" if source == "environment" else f"{source} {key}".strip()


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    names = {f"{PREFIX}{key.upper()}": key for key in Settings.model_fields}
    found = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name in _FOREIGN:
            continue
        if name not in names:
            raise _unknown(name, names)
        if value != "":
            found[names[name]] = value
    return found


def _from_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot be read ({error})", where=str(file)) from error
    for key in data:
        if key not in Settings.model_fields:
            raise _unknown(key, Settings.model_fields, where=str(file))
    return data


def _unknown(key: str, known: Mapping[str, object], where: str | None = None) -> SettingsError:
    near = difflib.get_close_matches(key, known, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(sorted(known))}"
    return SettingsError(f"unknown setting {key}", where=where, remedy=remedy)
