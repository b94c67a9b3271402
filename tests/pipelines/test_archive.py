"""The archive: what was received is found again, by our reader and by everyone's."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import textwrap
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import brotli
import pyarrow as pa
import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipelines.archive import read_page, read_pages, warc_path_of
from pipelines.archive_writer import Exchange, RevisitOf, WarcWriter
from pipelines.errors import ArchiveError
from pipelines.model import Hints, Kind, RecordLocation
from pipelines.spool import claim_dead, whole_length
from pipelines.storage import LocalStorage
from pipelines.warc import sha1

NOON = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
HTML = "<html><body><p>Η φρεγάτα left the quay.</p></body></html>".encode() * 20


def _exchange(**changes: object) -> Exchange:
    one = Exchange(
        site="harbour_gazette",
        kind=Kind.ARTICLE,
        run_id="r1",
        requested_url="http://gazette.example/a",
        url="https://gazette.example/a/",
        status=200,
        reason="OK",
        headers=[
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Content-Length", b"7"),
            (b"ETag", b'"1"'),
        ],
        payload=HTML,
        fetched_at=NOON,
        ip="192.0.2.7",
        redirected_from=("http://gazette.example/a",),
        hints=Hints(source="feed", headline="Η φρεγάτα", authors=("Eleni Doe",)),
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def _writer(spool: Path, *, run_id: str = "r1", n: int = 0) -> WarcWriter:
    return WarcWriter(spool, run_id=run_id, n=n, software="sitrep/0.1", clock=lambda: NOON)


def _original(location: RecordLocation, payload: bytes = HTML) -> RevisitOf:
    return RevisitOf(
        warc_record_id=location.warc_record_id,
        url="https://gazette.example/a/",
        fetched_at=NOON,
        warc_path=location.warc_path,
        warc_offset=location.warc_offset,
        payload_digest=sha1(payload),
    )


def _three(spool: Path) -> tuple[WarcWriter, list[RecordLocation]]:
    """Write a page, the same bytes again, and a 304."""
    writer = _writer(spool)
    first = writer.write(_exchange())
    again = writer.write(_exchange(revisit_of=_original(first)))
    not_modified = _exchange(
        status=304, payload=b"", headers=[("ETag", '"2"')], revisit_of=_original(first)
    )
    return writer, [first, again, writer.write(not_modified)]


def test_page_read_at_its_offset_is_what_was_received(tmp_path: Path) -> None:
    writer = _writer(tmp_path / "spool")
    location = writer.write(_exchange())
    storage = LocalStorage(tmp_path / "lake")
    storage.take(writer.close(), writer.warc_path)
    page = read_page(storage, location)
    assert page == read_page(storage, (location.warc_path, location.warc_offset))
    assert location.warc_path == "warc/2024/05/r1-0.warc.gz"
    assert (page.site, page.kind, page.run_id) == ("harbour_gazette", Kind.ARTICLE, "r1")
    assert (page.url, page.requested_url) == (
        "https://gazette.example/a/",
        "http://gazette.example/a",
    )
    assert (page.status, page.body, page.fetched_at) == (200, HTML, NOON)
    assert page.hints == _exchange().hints
    assert page.location == location
    assert (page.payload_digest, page.payload_bytes) == (sha1(HTML), len(HTML))
    assert page.headers["content-length"] == str(len(HTML))
    assert "transfer-encoding" not in page.headers


def test_warcio_reads_every_record_and_finds_the_digests_right(tmp_path: Path) -> None:
    writer, _ = _three(tmp_path)
    with writer.close().open("rb") as file:
        kinds = []
        for record in ArchiveIterator(file, check_digests="raise"):
            kinds.append(record.rec_type)
            record.content_stream().read()
            assert record.digest_checker.passed in {True, None}
    assert kinds == ["warcinfo", "response", "metadata"] + ["revisit", "metadata"] * 2


def test_fastwarc_finds_our_records_at_our_offsets(tmp_path: Path) -> None:
    writer, locations = _three(tmp_path)
    with writer.close().open("rb") as file:
        found = {
            record.record_id: record.stream_pos
            for record in FastIterator(file, verify_digests=True)
        }
    for location in locations:
        assert found[location.warc_record_id] == location.warc_offset


def test_unchanged_bytes_are_kept_once_and_read_from_where_they_are(tmp_path: Path) -> None:
    payload = gzip.compress(HTML * 50)
    storage = LocalStorage(tmp_path / "lake")
    first = _writer(tmp_path / "spool", run_id="r1")
    headers = [("Content-Encoding", "gzip"), ("Content-Type", "text/html")]
    original = first.write(_exchange(headers=headers, payload=payload))
    storage.take(first.close(), first.warc_path)
    second = _writer(tmp_path / "spool", run_id="r2")
    revisit_of = _original(original, payload)
    again = second.write(_exchange(headers=headers, payload=payload, revisit_of=revisit_of))
    later = NOON + timedelta(days=1)
    not_modified = second.write(
        _exchange(status=304, headers=[("ETag", '"2"')], fetched_at=later, revisit_of=revisit_of)
    )
    storage.take(second.close(), second.warc_path)
    page, fresh = read_page(storage, again), read_page(storage, not_modified)
    assert (page.status, page.body, page.payload_bytes) == (200, HTML * 50, len(payload))
    assert (fresh.status, fresh.body, fresh.payload_bytes) == (304, HTML * 50, 0)
    assert (fresh.headers["etag"], fresh.headers["content-type"]) == ('"2"', "text/html")
    assert fresh.fetched_at == later
    assert second.size < 3000
    assert list(read_pages(second.warc_path, storage=storage)) == [page, fresh]


def test_other_bytes_are_kept_whole_whatever_they_are_said_to_repeat(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    first = writer.write(_exchange())
    writer.write(_exchange(payload=b"<p>edited</p>", revisit_of=_original(first)))
    untold = replace(_original(first), payload_digest=None)
    writer.write(_exchange(revisit_of=untold))
    bodies = [page.body for page in read_pages(writer.close())]
    assert bodies == [HTML, b"<p>edited</p>", HTML]


def test_a_file_in_the_spool_is_read_as_it_will_lie_in_the_lake(tmp_path: Path) -> None:
    writer, locations = _three(tmp_path / "spool")
    pages = list(read_pages(writer.path))
    assert [page.location for page in pages] == locations
    assert {page.body for page in pages} == {HTML}
    assert warc_path_of(writer.path) == writer.warc_path
    storage = LocalStorage(tmp_path / "lake")
    assert read_page(storage, locations[2], spool=tmp_path / "spool") == pages[2]


@pytest.mark.parametrize(
    ("coding", "payload"),
    [
        ("gzip", gzip.compress(HTML)),
        ("x-gzip", gzip.compress(HTML[:50]) + gzip.compress(HTML[50:])),
        ("deflate", zlib.compress(HTML)),
        ("deflate", zlib.compress(HTML)[2:-4]),
        ("br", brotli.compress(HTML)),
        ("zstd", pa.compress(HTML, codec="zstd", asbytes=True)),
        ("gzip, br", brotli.compress(gzip.compress(HTML))),
        ("identity", HTML),
    ],
)
def test_body_is_decoded(tmp_path: Path, coding: str, payload: bytes) -> None:
    writer = _writer(tmp_path)
    writer.write(_exchange(headers=[("Content-Encoding", coding)], payload=payload))
    (page,) = read_pages(writer.path)
    assert page.body == HTML
    assert (page.payload_bytes, page.payload_digest) == (len(payload), sha1(payload))


@pytest.mark.parametrize(
    ("coding", "payload"),
    [
        ("gzip", HTML),
        ("gzip", gzip.compress(HTML)[:-30]),
        ("deflate", b"\xff" * 40),
        ("br", HTML),
        ("zstd", pa.compress(HTML, codec="zstd", asbytes=True)[:-9]),
        ("gzip", gzip.compress(bytes(300 << 20), 1)),
        ("rot13", HTML),
    ],
)
def test_body_that_cannot_be_decoded_is_empty_and_the_next_page_is_read(
    tmp_path: Path, coding: str, payload: bytes
) -> None:
    writer = _writer(tmp_path)
    writer.write(_exchange(headers=[("Content-Encoding", coding)], payload=payload))
    writer.write(_exchange())
    broken, whole = read_pages(writer.path)
    assert (broken.body, broken.payload_bytes) == (b"", len(payload))
    assert whole.body == HTML


def test_file_cut_anywhere_gives_the_exchanges_before_the_cut(tmp_path: Path) -> None:
    writer, locations = _three(tmp_path)
    data = writer.close().read_bytes()
    starts = [location.warc_offset for location in locations]
    ends = [*starts[1:], len(data)]
    cut_file = tmp_path / "cut" / writer.path.name
    cut_file.parent.mkdir()
    for cut in range(starts[0], len(data) + 1):
        cut_file.write_bytes(data[:cut])
        whole = [end for end in ends if end <= cut]
        assert whole_length(cut_file) == max(whole, default=starts[0])
        if cut % 25 == 0 or cut in ends:
            assert len(list(read_pages(cut_file))) == len(whole)


def test_blocks_that_a_power_cut_left_empty_are_cut_off(tmp_path: Path) -> None:
    writer, locations = _three(tmp_path)
    path = writer.close()
    whole = path.stat().st_size
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: locations[2].warc_offset + 100] + bytes(4096))
    assert whole_length(path) == locations[2].warc_offset
    path.write_bytes(data + bytes(4096))
    assert whole_length(path) == whole


def test_wrong_byte_is_an_error_that_names_file_and_offset(tmp_path: Path) -> None:
    writer, locations = _three(tmp_path / "spool")
    storage = LocalStorage(tmp_path / "lake")
    storage.take(writer.close(), writer.warc_path)
    file = tmp_path / "lake" / writer.warc_path
    data = bytearray(file.read_bytes())
    data[locations[0].warc_offset + locations[0].warc_length - 6] ^= 0xFF
    file.write_bytes(data)
    place = f"{writer.warc_path}, offset {locations[0].warc_offset}"
    for location in (locations[0], locations[2]):
        with pytest.raises(ArchiveError) as caught:
            read_page(storage, location)
        assert caught.value.where == place
    with pytest.raises(ArchiveError):
        list(read_pages(writer.warc_path, storage=storage))
    with pytest.raises(ArchiveError, match="no response"):
        read_page(storage, (writer.warc_path, 0))
    with pytest.raises(ArchiveError, match="cannot be read"):
        read_page(storage, ("warc/2024/05/none.warc.gz", 0))


def test_a_header_cannot_begin_another(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    writer.write(
        _exchange(
            url="https://gazette.example/a b\r\nWARC-Type: warcinfo",
            reason="OK\r\nX-Evil: 1",
            headers=[("X-One", "1\r\n\r\n<p>forged</p>")],
        )
    )
    (page,) = read_pages(writer.path)
    assert page.body == HTML
    assert set(page.headers) == {"x-one", "content-length"}


def test_full_disk_leaves_whole_records_and_says_what_to_do(tmp_path: Path) -> None:
    script = """
        import os, resource, sys
        from datetime import datetime, UTC
        from pathlib import Path
        from pipelines.archive_writer import Exchange, WarcWriter
        from pipelines.errors import ArchiveError
        from pipelines.model import Kind
        now = datetime(2024, 5, 1, tzinfo=UTC)
        writer = WarcWriter(Path(sys.argv[1]), run_id="r", n=0, software="s", clock=lambda: now)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        kept = 0
        try:
            while True:
                writer.write(Exchange(site="s", kind=Kind.ARTICLE, run_id="r", url="http://a/",
                    requested_url="http://a/", status=200, payload=os.urandom(3000),
                    fetched_at=now))
                kept += 1
        except ArchiveError as error:
            print(kept, writer.path.stat().st_size == writer.size, error.remedy)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    kept, whole, remedy = done.stdout.split(maxsplit=2)
    assert (int(kept) > 2, whole) == (True, "True")
    assert "free space" in remedy
    (path,) = tmp_path.glob("*.open")
    assert len(list(read_pages(path))) == int(kept)


def test_spool_of_a_killed_process_is_taken_up_and_a_live_one_is_not(tmp_path: Path) -> None:
    live, _ = _three(tmp_path)
    script = """
        import os, signal, sys
        from datetime import datetime, UTC
        from pathlib import Path
        from pipelines.archive_writer import Exchange, WarcWriter
        from pipelines.model import Kind
        now = datetime(2024, 5, 1, tzinfo=UTC)
        for n in (1, 2):
            writer = WarcWriter(Path(sys.argv[1]), run_id="r", n=n, software="s",
                clock=lambda: now)
            if n == 2:
                break
            kept = writer
            kept.write(Exchange(site="s", kind=Kind.ARTICLE, run_id="r", url="http://a/",
                requested_url="http://a/", status=200, payload=b"kept", fetched_at=now))
        with kept.path.open("ab") as file:
            file.write(b"\\x1f\\x8b\\x08\\x00\\x00")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    claimed = [(path.name, [p.body for p in read_pages(path)]) for path in claim_dead(tmp_path)]
    assert claimed == [("r-1.warc.gz.open", [b"kept"])]
    assert not (tmp_path / "r-2.warc.gz.open").exists()
    live.close()
    assert [path.name for path in claim_dead(tmp_path)] == ["r-1.warc.gz.open"]
    live.release()
    assert len(list(claim_dead(tmp_path))) == 2


def test_two_writers_never_share_a_file(tmp_path: Path) -> None:
    _writer(tmp_path)
    with pytest.raises(ArchiveError, match="cannot be made"):
        _writer(tmp_path)


def test_other_programs_files_are_read_without_their_transfer_coding(tmp_path: Path) -> None:
    path = tmp_path / "other.warc.gz"
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for body in (b"4\r\n<p>a\r\n4\r\n</p>\r\n0\r\n\r\n", b"<p>not chunked</p>"):
            headers = StatusAndHeaders(
                "200 OK", [("Transfer-Encoding", "chunked")], protocol="HTTP/1.1"
            )
            record = writer.create_warc_record(
                "http://other.example/", "response", payload=BytesIO(body), http_headers=headers
            )
            writer.write_record(record)
    pages = list(read_pages(path))
    assert [page.body for page in pages] == [b"<p>a</p>", b"<p>not chunked</p>"]
    assert pages[0].requested_url == pages[0].url == "http://other.example/"
    os.truncate(path, path.stat().st_size - 3)
    assert len(list(read_pages(path))) == 1
