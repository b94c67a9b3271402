"""An article of the lake, found by its address or its id, with its versions."""

from __future__ import annotations

from crawler.addresses import key_of
from crawler.commands.common import Context
from pipelines.errors import UsageError
from pipelines.lake import Lake
from pipelines.schema import Row
from pipelines.sql import rows_of
from pipelines.state import State
from pipelines.views import connect


def article_id_of(context: Context, lake: Lake, article: str) -> str:
    """Return the id that an address or an id means; unknown ones are left for `versions_of`."""
    if "://" not in article:
        return article
    site = context.register.owner(article)
    state = State.open_to_read(context.settings.state)
    try:
        known = state.article_at(site.name, key_of(article, site)) if site else None
    finally:
        state.close()
    if known is not None:
        return known.article_id
    with connect(lake) as connection:
        sql = "SELECT article_id FROM articles WHERE url = ? OR canonical_url = ? LIMIT 1"
        found = connection.execute(sql, [article, article]).fetchone()
    return found[0] if found else article


def versions_of(lake: Lake, article_id: str, asked: str) -> list[Row]:
    sql = "SELECT * FROM revisions WHERE article_id = ? ORDER BY revision"
    with connect(lake) as connection:
        found = rows_of(connection, sql, [article_id])
    if not found:
        raise UsageError(
            "no such article in the lake", where=asked, remedy="see `sitrep query`, or crawl it"
        )
    return found


def chosen_version(versions: list[Row], revision: int | None, asked: str) -> Row:
    by_number = {row["revision"]: row for row in versions}
    number = revision or max(by_number)
    if number not in by_number:
        known = ", ".join(map(str, by_number))
        raise UsageError(f"has no revision {number}", where=asked, remedy=f"there are {known}")
    return by_number[number]
