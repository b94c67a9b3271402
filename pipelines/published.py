"""How `articles/` is laid down: what a publish and its readers may ask of either storage.

A part keeps its name for good, whatever it holds, so that a reader that has listed it finds it:
pyarrow leaves out, without a word, what is gone between its listing and its look at each file. But
a reader may also open a file twice, or ask for several pieces of it, and get some of the old part
and some of the new. So no two contents that follow each other have anything at the same place: each
publish pads its parts by another length, and what is read with the old one's footer is no page at
all, but an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

ARTICLES_FOLDER = "articles"
ROWS_A_GROUP = 10_000
# A reader that is at it while a thousand publishes replace a part might meet the same padding.
_PADDINGS, _STRIDE_BYTES = 1024, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was published. `parts`: path below `articles/` → rows. Times are ISO 8601.

    `digests`: part → SHA-256 of its content.
    """

    derivation: int
    recorded_at: str
    published_at: str
    parts: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_places(cls, parts: Iterable[str]) -> Manifest:
        """Return one that says no more than which parts there are."""
        return cls(derivation=0, recorded_at="", published_at="", parts=dict.fromkeys(parts, 0))


class Draft(Protocol):
    """What `articles/` is to be; until `finish` it counts as not published."""

    def add(self, folder: str, slot: int, rows: pa.Table) -> None:
        """Write part `slot` of a month's folder, in place of the one that was there."""
        ...

    def finish(self, *, derivation: int, recorded_at: str, now: datetime) -> None: ...

    def discard(self) -> None:
        """Let go of what was drafted, as far as that can be done."""
        ...


class Published(Protocol):
    """`articles/`, as it lies in a storage."""

    def manifest(self) -> Manifest | None:
        """Return what was published last; None before, or where that cannot be read."""
        ...

    def parts(self) -> list[str] | None:
        """Return the addresses of what a reader finds now, in order; None before a publish."""
        ...

    def places(self) -> Manifest | None:
        """Return the parts whose articles have to stay where they are when all is built anew."""
        ...

    def address(self, part: str) -> str:
        """Return the address of a part, for DuckDB."""
        ...

    def draft(self, *, kept: Mapping[str, int]) -> Draft:
        """Begin the next publish, with the parts `kept` as they are."""
        ...

    def sweep(self, *, now: datetime) -> None:
        """Remove what no reader needs any more."""
        ...

    def damaged(self) -> Iterator[str]:
        """Yield a line for each part whose content is not what was published."""
        ...


def slot_of(part: str) -> int:
    """Return the slot of a part, by its name.

    >>> slot_of("published_month=2024-05/part-0003.parquet")
    3
    """
    return int(part.rpartition("/")[2].removesuffix(".parquet").split("-")[1])


def part_name(slot: int) -> str:
    return f"part-{slot:04d}.parquet"


def raise_unless_readable(part: BinaryIO) -> None:
    """Raise OSError or pyarrow.ArrowException where a part does not tell what it holds."""
    pq.read_table(part, columns=["article_id", "word_count"])


def parquet(rows: pa.Table, *, generation: int) -> bytes:
    """Return a part's content: zstd 3, row groups of 10 000, bloom filters on its keys.

    Before the first row group lie as many bytes of nothing as no other `generation` near it has.
    """
    padding_bytes = _STRIDE_BYTES * (1 + generation % _PADDINGS)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        rows.schema,
        compression="zstd",
        compression_level=3,
        bloom_filter_options={
            name: {"ndv": min(rows.num_rows, ROWS_A_GROUP), "fpp": 0.01}
            for name in ("article_id", "url")
        },
    ) as writer:
        # It has written the four bytes that a Parquet file begins with, and asks the sink where
        # it is before each page.
        sink.write(bytes(padding_bytes))
        writer.write_table(rows, row_group_size=ROWS_A_GROUP)
    return sink.getvalue().to_pybytes()
