"""A state with a million articles of invented words, and what 500 more cost it.

An article is 450 words on average of a vocabulary of 60,000 with Zipf's frequencies, on one of 200
sites, each of which writes the same 40 words under all it publishes. Of the new ones a part are
copies, whole, cut or edited, of articles whose text the state still keeps.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from measuring import own_peak_mb

from pipelines.agreement import Writing, coded
from pipelines.copies import Text
from pipelines.copy_tables import TEXTS_KEPT, put_keys, put_texts
from pipelines.deduplicate import deduplicated
from pipelines.fingerprint import content_hash
from pipelines.lake import Lake
from pipelines.ledger import Ledger
from pipelines.model import Article, RecordLocation
from pipelines.revise import article_id, first_revision
from pipelines.state import State
from pipelines.state_tables import ArticleState

VOCABULARY, SITES, WORDS, UNDER = 60_000, 200, 450, 40
CHUNK = 5_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    articles: int
    new: int
    copies: float = 0.2  # of the new ones


class Invention:
    """Articles by their number: the same each time, as words or as what is made of them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        syllables = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "za", "dri", "plo"]
        chosen = rng.integers(0, len(syllables), (VOCABULARY, 5))
        self.words = ["".join(syllables[i] for i in row) for row in chosen]
        is_name = rng.random(VOCABULARY) < 0.15
        self.words = [w.title() if name else w for w, name in zip(self.words, is_name, strict=True)]
        self.codes = coded(self.words)[0]
        weights = 1 / np.arange(1, VOCABULARY + 1)
        self._bounds = np.cumsum(weights / weights.sum())

    def _drawn(self, rng: np.random.Generator, count: int) -> Indices:
        return np.minimum(np.searchsorted(self._bounds, rng.random(count)), VOCABULARY - 1)

    def indices(self, number: int) -> Indices:
        rng = np.random.default_rng((2, number))
        own = self._drawn(rng, int(rng.integers(150, 2 * WORDS - 150)))
        return np.concatenate([own, self._drawn(np.random.default_rng((3, number % SITES)), UNDER)])

    def text(self, number: int) -> Text:
        return Text(self.codes[self.indices(number)], Writing.CAPITALS)

    def body(self, indices: Indices) -> str:
        return " ".join(self.words[i] for i in indices)

    def copy(self, number: int, how: int) -> Indices:
        """Return an article as another site has it: whole, cut to a fourth, or edited."""
        indices = self.indices(number)[:-UNDER]
        if how == 1:
            return indices[: max(60, len(indices) // 4)]
        if how == 2:
            rng = np.random.default_rng((4, number))
            edited = rng.random(len(indices)) < 0.08
            return np.where(edited, self._drawn(rng, len(indices)), indices)
        return indices


def measure(scale: Scale) -> dict[str, float]:
    """Return what the index takes and what the new articles cost, in CPU seconds and in bytes."""
    with TemporaryDirectory() as folder:
        state = State.open(f"sqlite:///{folder}/state.sqlite")
        lake = Lake.open(f"{folder}/lake", create=True)
        invention = Invention()
        _fill_articles(state, scale.articles)
        before = _size(folder)
        _fill_index(state, invention, scale.articles)
        grown = _size(folder) - before
        said = _take(Ledger(lake, state), invention, scale)
        state.close()
    return {
        "articles": scale.articles,
        "bytes_an_article": round(grown / scale.articles),
        **said,
        "peak_mb": round(own_peak_mb()),
    }


def _fill_articles(state: State, articles: int) -> None:
    for start in range(0, articles, CHUNK):
        some = (_article_state(n, "") for n in range(start, min(start + CHUNK, articles)))
        with state.transaction() as transaction:
            transaction.put_articles(some)


def _fill_index(state: State, invention: Invention, articles: int) -> None:
    """Put in what a crawl would: of what each site writes under everything, the first three."""
    for start in range(0, articles, CHUNK):
        chunk = range(start, min(start + CHUNK, articles))
        kept = chunk if chunk.stop > articles - TEXTS_KEPT else ()
        texts = {n: invention.text(n) for n in chunk}
        with state.transaction() as transaction:
            put_keys(transaction, _keys(texts))
            put_texts(transaction, {_id(n): (f"{n:032x}", texts[n].packed) for n in kept})


def _keys(texts: dict[int, Text]) -> Iterator[tuple[int, str]]:
    for number, text in texts.items():
        own = text if number < 3 * SITES else Text(text.codes[:-UNDER], text.writing)
        yield from ((key, _id(number)) for key in own.keys)


def _take(ledger: Ledger, invention: Invention, scale: Scale) -> dict[str, float]:
    cpu, found, copies = 0.0, 0, int(scale.new * scale.copies)
    kept = min(TEXTS_KEPT, scale.articles)
    for n in range(scale.new):
        number = scale.articles + n
        of = scale.articles - kept + (n * 7919) % kept
        indices = invention.copy(of, n % 3) if n < copies else invention.indices(number)
        body = invention.body(indices)
        started = time.process_time()
        found += _took(ledger, number, body)
        cpu += time.process_time() - started
    started = time.process_time()
    with ledger.state.transaction() as transaction:
        ledger.copies.save("new", transaction)
    saved = time.process_time() - started
    return {
        "new": scale.new,
        "cpu_seconds": round(cpu + saved, 2),
        "cpu_ms_a_document": round(1000 * (cpu + saved) / scale.new, 2),
        "copies": copies,
        "copies_found": found,
    }


def _took(ledger: Ledger, number: int, body: str) -> bool:
    site = f"site{number % SITES}"
    article = Article(url="", site=site, article_body=body, content_hash=content_hash(body))
    place = RecordLocation(warc_path="new", warc_offset=0, warc_length=0, warc_record_id="")
    revision = first_revision(
        article, canonical_url=f"https://n/{number}", fetched_at=BEGAN, location=place
    )
    found = deduplicated(ledger, revision, site=site, current=None)
    state = _article_state(number, article.content_hash)
    if found.keys is not None:
        ledger.copies.keep("new", state, found.text, keys=found.keys)
    return found.relations[0].cluster_id != revision.article_id


def _id(number: int) -> str:
    return article_id(f"https://n/{number}", 1)


def _article_state(number: int, content: str) -> ArticleState:
    url = f"https://n/{number}"
    return ArticleState(
        article_id=_id(number),
        site=f"site{number % SITES}",
        canonical_url=url,
        url=url,
        revision=1,
        content_hash=content or f"{number:032x}",
        word_count=WORDS,
        cluster_id=_id(number),
        cluster_relation="original",
        first_seen=BEGAN + timedelta(seconds=number),
    )


def _size(folder: str) -> int:
    with closing(sqlite3.connect(f"{folder}/state.sqlite")) as connection:
        [pages], [size] = (
            connection.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size")
        )
    return int(pages * size)
