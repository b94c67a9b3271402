"""WARC files as others write them, whole, cut and wrong."""

from __future__ import annotations

import gzip
import io
import random
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.content_coding import body_of
from pipelines.errors import ArchiveError
from pipelines.foreign_http import UnusableError, repeated_answer, whole_answer
from pipelines.foreign_warc import Fault, ForeignRecord, open_foreign, record_at, records
from pipelines.warc import sha1

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


def raw(
    n: int = 0,
    *,
    block: bytes | None = None,
    kind: str = "response",
    version: str = "WARC/1.0",
    length: int | str | None = None,
    extra: Sequence[str] = (),
) -> bytes:
    """Return one record as it stands in an uncompressed file."""
    body = HEAD + random.Random(n).randbytes(700) if block is None else block  # noqa: S311 - bytes
    lines = [
        version,
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:test:{n}>",
        f"WARC-Target-URI: https://gazette.example/2024/05/story-{n}/",
        "WARC-Date: 2024-05-06T08:00:00Z",
        *extra,
    ]
    size = len(body) if length is None else length
    lines += [f"Content-Length: {size}"] if size != "none" else []
    return "\r\n".join([*lines, "", ""]).encode() + body + b"\r\n\r\n"


def members(*some: bytes) -> bytes:
    return b"".join(gzip.compress(one) for one in some)


def read(data: bytes) -> tuple[list[str], list[str]]:
    """Return the ids of the records in `data`, each held, and what is wrong."""
    found = list(records(io.BytesIO(data), wants=lambda _: True))
    faults = [str(one) for one in found if isinstance(one, Fault)]
    ids = [one.id.strip("<>") for one in found if isinstance(one, ForeignRecord)]
    return ids, faults


FIVE = [raw(n) for n in range(5)]
IDS = [f"urn:test:{n}" for n in range(5)]
FORMS = {
    "a gzip member a record": members(*FIVE),
    "gzip of a single member": gzip.compress(b"".join(FIVE)),
    "not compressed": b"".join(FIVE),
    "gzip cut anywhere into members": members(
        *(b"".join(FIVE)[at : at + 333] for at in range(0, len(b"".join(FIVE)), 333))
    ),
    "several records a member": members(b"".join(FIVE[:2]), b"".join(FIVE[2:])),
    "blank lines between": b"\r\n\r\n".join(FIVE),
    "empty members between": members(FIVE[0], b"", FIVE[1], b"", *FIVE[2:]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_gives_the_same_records(form):
    assert read(FORMS[form]) == (IDS, [])


@pytest.mark.parametrize("form", FORMS)
def test_a_record_can_be_read_again_where_it_says_it_begins(form):
    file = io.BytesIO(FORMS[form])
    found = [one for one in records(file, wants=lambda _: True) if isinstance(one, ForeignRecord)]
    again = [record_at(file, one.offset) for one in found if one.is_at_offset]
    assert again == [one for one in found if one.is_at_offset]
    if form in {"a gzip member a record", "not compressed"}:
        assert len(again) == len(FIVE)


@pytest.mark.parametrize("version", ["WARC/0.18", "WARC/1.0", "WARC/1.1"])
def test_versions_of_the_standard_are_read_alike(version):
    assert read(members(raw(1, version=version))) == (["urn:test:1"], [])


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_cut_costs_the_record_that_it_cuts_and_is_said(data):
    form = data.draw(st.sampled_from(["a gzip member a record", "not compressed"]))
    whole = FORMS[form]
    at = data.draw(st.integers(1, len(whole) - 1))
    sizes = [len(gzip.compress(one)) if "gzip" in form else len(one) for one in FIVE]
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    # The two line ends behind a record that is not compressed are none of its bytes.
    spare = 0 if "gzip" in form else 4
    ids, faults = read(whole[:at])
    assert ids == IDS[: sum(end - spare <= at for end in ends)]
    is_between = any(end - spare <= at <= end for end in ends)
    assert len(faults) == (0 if is_between else 1)
    assert is_between or "cut" in faults[0] or "gzip" in faults[0] or "begins" in faults[0]


# Of the first three bytes alone it hangs whether the file is one of gzip.
@given(at=st.integers(3, len(FORMS["a gzip member a record"]) - 1), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_never_alters_a_record_and_costs_no_other(at, bit):
    whole = bytearray(FORMS["a gzip member a record"])
    whole[at] ^= 1 << bit
    found = list(records(io.BytesIO(bytes(whole)), wants=lambda _: True))
    good = {
        one.id: one for one in records(io.BytesIO(FORMS["not compressed"]), wants=lambda _: True)
    }
    blocks = [one for one in found if isinstance(one, ForeignRecord)]
    assert len(blocks) >= len(FIVE) - 1
    assert all(one.block == good[one.id].block for one in blocks)


def test_single_member_gzip_that_is_cut_gives_what_is_whole():
    ids, faults = read(FORMS["gzip of a single member"][:-900])
    assert ids == IDS[:3]
    assert len(faults) == 1
    assert "cut in the middle" in faults[0]


WRONG = {
    "no Content-Length": raw(9, length="none"),
    "Content-Length is no number": raw(9, length=-5),
    "no record begins where": raw(9, length=20),
    "no record begins": b"<!doctype html><p>not a record</p>",
    "has no end": b"WARC/1.0\r\n" + b"x" * (2 << 20),
    "larger than a gigabyte": raw(9, length=10**12),
    "is no number": raw(9, length=10**30),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_record_is_said_and_those_behind_its_member_are_read(what):
    ids, faults = read(members(FIVE[0], WRONG[what], FIVE[1]))
    assert [one for one in ids if one != "urn:test:9"] == IDS[:2]
    assert len(faults) == 1
    assert what in faults[0]
    assert faults[0].startswith(f"offset {len(members(FIVE[0]))}: ")


def test_rubbish_behind_the_last_record_is_said():
    ids, faults = read(FORMS["a gzip member a record"] + b"rubbish")
    assert ids == IDS
    assert "is not gzip" in faults[0]


def test_a_bomb_is_neither_held_nor_inflated_beyond_its_place():
    zeros = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    parts = [zeros.compress(raw(9, block=b"", length=(1 << 30) + 1)[:-4])]
    parts += [zeros.compress(bytes(1 << 20)) for _ in range(64)]
    bomb = b"".join([*parts, zeros.flush()])
    tracemalloc.start()
    ids, faults = read(members(FIVE[0]) + bomb + members(FIVE[1]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (ids, len(faults)) == (IDS[:2], 1)
    assert peak < 8 << 20


def test_a_record_larger_than_a_crawl_takes_is_gone_past():
    film = raw(9, block=HEAD + bytes(40 << 20))
    for data in (members(film, FIVE[0]), film + FIVE[0]):
        found = list(records(io.BytesIO(data), wants=lambda _: True))
        assert [one.is_too_large for one in found if isinstance(one, ForeignRecord)] == [
            True,
            False,
        ]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "holds no record"),
        (gzip.compress(b""), "holds no record"),
        (b"<!doctype html><title>404</title>", "is no WARC file"),
        (gzip.compress(b"<!doctype html><title>404</title>"), "is no WARC file"),
        (b"filedesc://x.arc 0.0.0.0 19960923142103 text/plain 76\n", "is an ARC file"),
        (gzip.compress(b"filedesc://x.arc 0.0.0.0 19960923142103 text/plain 76\n"), "is an ARC"),
        (b"PK\x03\x04 and so on", "is a zip file"),
        (b"\x28\xb5\x2f\xfd and so on", "is packed with zstd"),
        (b"\x1f\x8b\x08 and nothing that inflates", "is no WARC file"),
    ],
)
def test_what_is_no_warc_file_is_said_with_a_remedy(tmp_path, data, what):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match=what) as caught:
        open_foreign(path)
    assert caught.value.where == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["missing.warc.gz", "."])
def test_a_missing_file_and_a_folder_are_said(tmp_path: Path, name: str):
    with pytest.raises(ArchiveError) as caught:
        open_foreign(tmp_path / name)
    assert caught.value.remedy


# --- the answer in a record ---------------------------------------------------------------------

TEXT = b"<p>The minehunter left the slipway.</p>" * 20


def answer_of(head: str, payload: bytes, **said: str):
    block = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + payload
    return whole_answer(block, {name.replace("_", "-"): value for name, value in said.items()})


def chunked(payload: bytes) -> bytes:
    parts = [payload[at : at + 50] for at in range(0, len(payload), 50)]
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(one), one) for one in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "encode", [bytes, gzip.compress, zlib.compress], ids=["", "gzip", "deflate"]
)
@pytest.mark.parametrize("transfer", [bytes, chunked], ids=["whole", "chunked"])
def test_transfer_coding_is_undone_and_content_coding_kept(request, encode, transfer):
    coding = request.node.callspec.id.rpartition("-")[2]
    lines = ["Content-Type: text/html"]
    lines += [f"Content-Encoding: {coding}"] if coding else []
    lines += ["Transfer-Encoding: chunked"] if transfer is chunked else []
    sent = transfer(encode(TEXT))
    answer = answer_of("\r\n".join(lines), sent, warc_payload_digest=sha1(sent))
    assert answer.payload == encode(TEXT)
    assert body_of(answer.payload, coding) == TEXT
    assert answer.is_html


def test_chunks_that_were_undone_before_are_no_chunks():
    assert answer_of("Transfer-Encoding: chunked", TEXT).payload == TEXT


def test_a_body_that_was_decoded_before_it_was_kept_is_no_longer_called_encoded():
    answer = answer_of("Content-Encoding: br\r\nContent-Type: text/html", TEXT)
    names = [name for name, _ in answer.headers]
    assert names == ["X-Archive-Orig-Content-Encoding", "Content-Type"]
    assert answer.payload == TEXT


@pytest.mark.parametrize(
    ("head", "payload", "said", "reason"),
    [
        ("Content-Length: 99999", TEXT, {}, "truncated"),
        ("Transfer-Encoding: chunked", chunked(TEXT)[:-30], {}, "truncated"),
        ("A: b", TEXT, {"warc_truncated": "length"}, "truncated"),
        ("A: b", TEXT, {"warc_segment_number": "2"}, "truncated"),
        ("A: b", TEXT, {"warc_payload_digest": sha1(b"other")}, "wrong_digest"),
        ("A: b", TEXT, {"warc_block_digest": sha1(b"other")}, "wrong_digest"),
        ("A: b", TEXT, {"warc_payload_digest": "sha256:" + "0" * 64}, "wrong_digest"),
        ("Content-Encoding: rot13", b"\0\1\2", {}, "broken_encoding"),
        ("Content-Encoding: gzip", gzip.compress(TEXT)[:-9], {}, "broken_encoding"),
        ("A: b", b"", {}, "empty"),
    ],
)
def test_an_answer_that_is_not_whole_or_not_as_said_is_refused(head, payload, said, reason):
    with pytest.raises(UnusableError) as caught:
        answer_of(head, payload, **said)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"", "broken_http"),
        (b"<p>no head at all</p>", "broken_http"),
        (b"HTTP/1.1 soon\r\n\r\n", "broken_http"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "redirect"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "not_modified"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "http_404"),
        (b"HTTP/1.1 206 Partial Content\r\n\r\nhalf", "http_206"),
    ],
)
def test_an_answer_without_a_page_is_refused(block, reason):
    with pytest.raises(UnusableError) as caught:
        whole_answer(block, {})
    assert caught.value.reason == reason


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
@pytest.mark.parametrize("spell", ["base32", "hex", "HEX", "base64"])
def test_digests_of_every_usual_kind_and_spelling_are_held_against_the_bytes(algorithm, spell):
    import base64
    import hashlib

    digest = hashlib.new(algorithm, TEXT).digest()
    value = {
        "base32": base64.b32encode(digest).decode(),
        "hex": digest.hex(),
        "HEX": digest.hex().upper(),
        "base64": base64.b64encode(digest).decode(),
    }[spell]
    assert answer_of("A: b", TEXT, warc_payload_digest=f"{algorithm}:{value}").payload == TEXT


def test_headers_come_in_their_order_folded_lines_joined():
    answer = answer_of("B: 1\r\nA: 2\r\n  3\r\nB: 4\r\nno header", TEXT)
    assert answer.headers == [("B", "1"), ("A", "2 3"), ("B", "4")]


def test_a_revisit_has_its_own_head_and_the_payload_with_its_coding_of_what_it_repeats():
    original = answer_of("Content-Encoding: gzip\r\nETag: old", gzip.compress(TEXT))
    found = repeated_answer(b"HTTP/1.1 200 OK\r\nETag: new\r\nContent-Length: 0\r\n\r\n", original)
    assert found.headers == [("ETag", "new"), ("Content-Encoding", "gzip")]
    assert found.payload == original.payload
    assert repeated_answer(b"", original) == original
