"""The view `clusters`: who carried a story, whose text it is, and who had it first.

It reads `articles` and `relations`, and nothing of it is stored: what is learned later of a date
or an agency holds for old clusters too. Each step adds columns to the one before, by windows and
not by joins, since DuckDB leaves out the windows that a query does not ask for: who only counts
members pays neither for reading texts nor for comparing them.
"""

from __future__ import annotations

from pipelines.agencies import ANY_MARK

# Of a member: half of its words or more are the original's, so it is no source of its own.
COPIED_FROM = 0.5
# A text that somebody has so many days before all others was seen there by one of them, or by us;
# else its date is that of a wrong clock, or the others took up what is old.
LONG_BEFORE = 90
# What a dateline and a sign-off are looked for in, in characters.
HEAD, TAIL = 200, 120

_MARKS = ANY_MARK.replace("'", "''")
_DATE_ENDS = """CASE date_published_precision
    WHEN 'day' THEN date_published + INTERVAL 1 DAY
    WHEN 'minute' THEN date_published + INTERVAL 1 MINUTE
    ELSE date_published END"""

# Clusters that were found to be one later on, and what they lead to, go by the id of the oldest.
_SAME = """
    WITH RECURSIVE links AS (
        SELECT DISTINCT unnest([cluster_id, same_as]) AS one, unnest([same_as, cluster_id]) AS other
        FROM relations WHERE same_as IS NOT NULL AND same_as <> cluster_id
    ),
    joined AS (
        SELECT one, other FROM links
        UNION
        SELECT joined.one, links.other FROM joined JOIN links ON joined.other = links.one
    ),
    founded AS (
        SELECT cluster_id, min(recorded_at) AS founded_at FROM relations
        WHERE cluster_id IN (SELECT one FROM links) GROUP BY cluster_id
    )
    SELECT one AS cluster_id, arg_min(other, (founded_at, other)) AS cluster
    FROM joined LEFT JOIN founded ON cluster_id = other
    GROUP BY one
"""

_STEPS = {
    "same": _SAME,
    "led_to": """
        SELECT articles.cluster_id, coalesce(any_value(cluster), articles.cluster_id) AS cluster,
               count(*) AS own_size
        FROM articles LEFT JOIN same ON articles.cluster_id = same.cluster_id
        GROUP BY articles.cluster_id
    """,
    "sizes": "SELECT *, sum(own_size) OVER (PARTITION BY cluster) AS size FROM led_to",
    # A date that lies in the future, or behind the moment when the page was seen (publishers move
    # theirs), or comes from a server whose clock is wrong, says less than that moment.
    "dated": f"""
        SELECT articles.*, cluster, size,
               date_published <= first_seen
                   AND NOT coalesce(
                       list_has_any(date_published_flags, ['future', 'clock']), false
                   )
                   IS TRUE AS is_dated,
               left(article_body, {HEAD}) AS head, right(article_body, {TAIL}) AS tail,
               concat_ws(' ', url, byline, array_to_string(authors, ' '), head, tail) AS marks
        FROM articles JOIN sizes ON articles.cluster_id = sizes.cluster_id
    """,  # noqa: S608 - made of our own numbers
    # It was out at `latest`, and not before `earliest`, as far as anybody can tell.
    "placed": f"""
        SELECT article_id, cluster, cluster_id, size, site, coalesce(publisher, site) AS publisher,
               url, headline, cluster_relation, content_hash, word_count, first_seen,
               CASE WHEN is_dated THEN date_published END AS date_published,
               CASE WHEN is_dated THEN date_published ELSE first_seen END AS earliest,
               CASE WHEN is_dated THEN least({_DATE_ENDS}, first_seen)
                    ELSE first_seen END AS latest,
               CASE WHEN is_dated THEN coalesce(date_published_precision, 'second')
                    ELSE 'first_seen' END AS time_is,
               CASE WHEN size > 1 THEN article_body END AS body,
               CASE WHEN regexp_matches(marks, '{_MARKS}')
                    THEN credit_of(struct_pack(
                        url := url, authors := authors, byline := byline, head := head, tail := tail
                    )) END AS credit
        FROM dated
    """,  # noqa: S608 - made of our own numbers and patterns
    # What is made of two stories is a member in name alone: it is neither's original, nor first.
    "credited": """
        SELECT * EXCLUDE (credit), credit.agency AS agency,
               coalesce(credit.is_own, false) AS is_own,
               size > 1 AND cluster_relation = 'composite' AS is_composite
        FROM placed
    """,
    "counted": """
        SELECT *,
               coalesce(min(latest) FILTER (NOT is_composite) OVER whole,
                        min(latest) OVER whole) AS first_known,
               len(list_distinct(list(site) OVER naming)) AS naming_sites,
               min(earliest) OVER naming AS named_since
        FROM credited
        WINDOW whole AS (PARTITION BY cluster), naming AS (PARTITION BY cluster, agency)
    """,
    # The agency that most sites name; of two, the one that was named first.
    "named": """
        SELECT *, earliest <= first_known AND NOT is_composite AS may_be_first,
               first_value(CASE WHEN NOT is_composite THEN agency END) OVER (
                   PARTITION BY cluster
                   ORDER BY is_composite, agency IS NULL, naming_sites DESC, named_since, agency
               ) AS cluster_agency
        FROM counted
    """,
    # Its own article is the original, unless one that does not name it was out before: the agency's
    # page may lag behind its wire, but not behind what it took over itself.
    "owned": """
        SELECT *,
               is_own AND agency = cluster_agency AND earliest <= coalesce(
                   min(latest) FILTER (agency IS DISTINCT FROM cluster_agency AND NOT is_composite)
                       OVER (PARTITION BY cluster), earliest
               ) IS TRUE AS is_agencys,
               coalesce(bool_or(is_own AND agency = cluster_agency)
                   OVER (PARTITION BY cluster), false) AS has_own
        FROM named
    """,
    "ranked": """
        SELECT *, row_number() OVER (
            PARTITION BY cluster
            ORDER BY is_composite, coalesce(is_agencys, false) DESC, may_be_first DESC,
                     word_count DESC,
                     cluster_relation = 'original' DESC, first_seen, article_id
        ) AS place
        FROM owned
    """,
    "led": """
        SELECT *,
               first_value(body) OVER original AS original_body,
               first_value(content_hash) OVER original AS original_hash,
               first_value(word_count) OVER original AS original_words,
               CASE WHEN cluster_agency IS NOT NULL
                         AND (NOT has_own OR first_value(coalesce(is_agencys, false)) OVER original)
                   THEN cluster_agency ELSE first_value(publisher) OVER original END AS source
        FROM ranked WINDOW original AS (PARTITION BY cluster ORDER BY place)
    """,
    "shared": """
        SELECT *, CASE WHEN place > 1 AND content_hash <> original_hash THEN coverage(
            struct_pack(original := original_body, member := body)
        ) END AS shared
        FROM led
    """,
    "compared": """
        SELECT * EXCLUDE (shared), coalesce(s.shared.coverage, 1.0) AS coverage,
               coalesce(s.shared.copied, 1.0) AS copied
        FROM shared s
    """,
}

_NEAR_FIRST = f"(earliest <= first_known + INTERVAL {LONG_BEFORE} DAY)"
_CLUSTERS = f"""
    SELECT c.cluster AS cluster_id,
           any_value(article_id) FILTER (place = 1) AS original_article_id,
           any_value(site) FILTER (place = 1) AS original_site,
           any_value(headline) FILTER (place = 1) AS original_headline,
           any_value(url) FILTER (place = 1) AS original_url,
           CASE WHEN count(*) = 1 THEN 'alone'
                WHEN bool_or(is_agencys) THEN 'agency'
                WHEN count(*) FILTER (may_be_first) = 1 THEN 'earliest'
                WHEN count(*) FILTER (may_be_first AND word_count = original_words) = 1
                    THEN 'fullest'
                ELSE 'undecided' END AS original_by,
           any_value(c.source) AS source,
           any_value(cluster_agency) AS agency,
           count(*) AS members,
           list_sort(list_distinct(list(site))) AS sites,
           len(list_distinct(list(
               CASE WHEN copied >= {COPIED_FROM} THEN c.source
                    ELSE coalesce(c.agency, c.publisher) END
           ))) AS independent_sources,
           list_sort(list_distinct(list(site) FILTER (may_be_first))) AS first_sites,
           coalesce(
               len(list_distinct(list(site) FILTER ({_NEAR_FIRST}))) = 1
                   AND min(c.first_seen) FILTER ({_NEAR_FIRST})
                       > min(earliest) FILTER (NOT {_NEAR_FIRST}), false
           ) AS first_is_doubtful,
           min(c.date_published) AS first_published,
           max(c.date_published) AS last_published,
           min(c.first_seen) AS first_seen,
           list(struct_pack(
               article_id := article_id, site := site, url := url, headline := headline,
               time := earliest, time_is := time_is, relation := cluster_relation,
               coverage := c.coverage, copied := copied, agency := c.agency
           ) ORDER BY earliest, place) AS member_articles,
           list_sort(list_distinct(list(c.cluster_id))) AS cluster_ids
    FROM compared c
    GROUP BY c.cluster
"""  # noqa: S608 - made of our own numbers

CLUSTERS = "WITH " + ",\n".join(f"{name} AS ({sql})" for name, sql in _STEPS.items()) + _CLUSTERS
