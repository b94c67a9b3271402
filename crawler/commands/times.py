"""Times as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click


class IsoTime(click.ParamType[datetime]):
    """ISO 8601: a day, or a time with or without offset; without one it is UTC."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            when = datetime.fromisoformat(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-11-23 or 2026-11-23T08:00Z", param, ctx)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
