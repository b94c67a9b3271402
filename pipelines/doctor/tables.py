"""The tables held against each other, and `articles` against what it is made of."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.deduplicate import APART
from pipelines.doctor.findings import BACKUP, REBUILD, Finding
from pipelines.doctor.snapshot import Snapshot
from pipelines.lake import Lake
from pipelines.published_check import articles_equal_revisions
from pipelines.schema import TABLES
from pipelines.sql import connect_offline, scan

_STORED = "('new', 'changed', 'unchanged', 'not_modified')"
_TABLE = f"{BACKUP}, with the whole folder of its table"
# (table, what, SQL that gives an id a row)
_RULES: tuple[tuple[str, str, str], ...] = (
    (
        "revisions",
        "stands there more than once",
        """SELECT concat_ws(' ', article_id, 'revision', revision, 'extraction', extraction)
           FROM revisions GROUP BY article_id, revision, extraction HAVING count(*) > 1""",
    ),
    (
        "captures",
        "stands there more than once",
        "SELECT warc_record_id FROM captures GROUP BY 1 HAVING count(*) > 1",
    ),
    (
        "captures",
        "another capture says that it lies at the same place",
        """SELECT concat(warc_path, ', offset ', warc_offset) FROM captures
           GROUP BY warc_path, warc_offset HAVING count(DISTINCT warc_record_id) > 1""",
    ),
    (
        "furniture",
        "stands there more than once",
        """SELECT concat_ws(' ', site, kind, place, text_hash) FROM furniture
           GROUP BY site, kind, place, text_hash, recorded_at HAVING count(*) > 1""",
    ),
    (
        "runs",
        "stands there more than once",
        "SELECT run_id FROM runs GROUP BY 1 HAVING count(*) > 1",
    ),
    (
        "revisions",
        "the capture that it was made of is missing, or says otherwise",
        f"""SELECT concat_ws(' ', r.article_id, 'revision', r.revision, 'extraction', r.extraction)
            FROM revisions r ANTI JOIN captures c
              ON c.warc_record_id = r.warc_record_id AND c.warc_path = r.warc_path
              AND c.warc_offset = r.warc_offset AND c.article_id = r.article_id
              AND CASE WHEN r.extraction = 1
                  THEN c.verdict IN ('new', 'changed') AND c.revision = r.revision
                  ELSE c.verdict IN {_STORED} AND c.revision >= r.revision END""",  # noqa: S608 - our own names
    ),
    (
        "captures",
        "the revision that it made is missing",
        """SELECT c.warc_record_id FROM captures c ANTI JOIN revisions r
             ON r.article_id = c.article_id AND r.revision = c.revision
             AND r.warc_record_id = c.warc_record_id
           WHERE c.verdict IN ('new', 'changed')""",
    ),
    (
        "captures",
        "the article that it names is missing",
        """SELECT c.warc_record_id FROM captures c ANTI JOIN revisions r
             ON r.article_id = c.article_id AND r.revision = c.revision
           WHERE c.article_id IS NOT NULL AND c.revision IS NOT NULL""",
    ),
    (
        "revisions",
        "the revision before it is missing",
        """SELECT concat_ws(' ', n.article_id, 'revision', n.revision)
           FROM revisions n ANTI JOIN revisions b
             ON b.article_id = n.article_id AND b.revision = n.previous_revision
           WHERE n.previous_revision IS NOT NULL""",
    ),
    (
        "relations",
        "it has none",
        "SELECT DISTINCT r.article_id FROM revisions r ANTI JOIN relations USING (article_id)",
    ),
    (
        "relations",
        "there is no such article",
        "SELECT DISTINCT l.article_id FROM relations l ANTI JOIN revisions USING (article_id)",
    ),
    (
        "relations",
        "its cluster is named after an article that is not there",
        f"""SELECT DISTINCT l.article_id FROM relations l
            ANTI JOIN revisions r ON r.article_id = replace(l.cluster_id, '{APART}', '')""",  # noqa: S608 - our own word
    ),
)


def check_tables(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what cannot be read, stands there twice, or does not agree with another table."""
    for table, error in snapshot.unreadable.items():
        yield Finding(
            check="tables", level="error", where=f"{table}/", what=error.message, remedy=_TABLE
        )
    if snapshot.unreadable:
        return
    with connect_offline(snapshot.storage) as connection:
        for table, schema in TABLES.items():
            scan(connection, snapshot.parts[table], schema).create_view(table)
        for table, what, sql in _RULES:
            result = connection.execute(f"SELECT * FROM ({sql}) ORDER BY 1")  # noqa: S608 - our own
            while row := result.fetchone():
                yield Finding(
                    check="tables",
                    level="error",
                    where=f"{table}, {row[0]}",
                    what=what,
                    remedy=_TABLE,
                )


def check_articles(lake: Lake) -> Iterator[Finding]:
    """Yield how `articles/` differs from what is derived anew."""
    with lake.kept_still():
        for difference in articles_equal_revisions(lake):
            yield Finding(
                check="articles",
                level="error",
                where="articles/",
                what=difference,
                remedy=REBUILD,
            )
