"""The HTTP answer in a foreign record: whole and as its digests say, or why it is of no use."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.content_coding import body_of
from pipelines.warc import header_map

_STATUS_LINE = re.compile(r"(HTTP/\d(?:\.\d)?) +(\d{3})(?: +(.*))?")
_FOLD = re.compile(r"\r?\n[ \t]+")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_CODING = "content-encoding"

_ALGORITHMS = {"sha1", "sha256", "sha512", "md5", "sha-1", "sha-256", "sha-512"}


class UnusableError(Exception):
    """The record gives no article; `reason` is a word to count it by."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer as our archive takes it: its payload free of transfer coding."""

    http_version: str
    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    payload: bytes

    @property
    def is_html(self) -> bool:
        """By its Content-Type; without one, by its first sign."""
        kind = header_map([f"{k}: {v}" for k, v in self.headers]).get("content-type", "")
        media = kind.partition(";")[0].strip().lower()
        return media in _HTML if media else self.payload.lstrip()[:1] == b"<"


def head_of(block: bytes) -> tuple[Answer, bytes]:
    """Return what the head of an answer says, with no payload, and the bytes behind it.

    Raises UnusableError (`broken_http`).
    """
    end = _HEAD_END.search(block)
    head, rest = (block[: end.start()], block[end.end() :]) if end else (block.rstrip(), b"")
    first, *lines = _FOLD.sub(" ", head.decode("latin-1")).splitlines() or [""]
    status_line = _STATUS_LINE.fullmatch(first.strip())
    if status_line is None:
        raise UnusableError("broken_http")
    pairs = [line.partition(":") for line in lines]
    answer = Answer(
        http_version=status_line[1],
        status=int(status_line[2]),
        reason=status_line[3] or "",
        headers=[(name.strip(), value.strip()) for name, colon, value in pairs if colon],
        payload=b"",
    )
    return answer, rest


def refuse_status(status: int) -> None:
    """Raises UnusableError where an answer of this status holds no page."""
    if status == 304:
        raise UnusableError("not_modified")
    if 300 <= status < 400:
        raise UnusableError("redirect")
    if status != 200:
        raise UnusableError(f"http_{status}")


def whole_answer(block: bytes, said: Mapping[str, str]) -> Answer:
    """Return the answer in a response record whose WARC headers are `said`.

    Raises UnusableError: `broken_http`, `redirect`, `http_404`, `truncated`, `wrong_digest`,
    `broken_encoding`, `empty`.
    """
    head, raw = head_of(block)
    refuse_status(head.status)
    if said.get("warc-truncated") or said.get("warc-segment-number", "1") != "1":
        raise UnusableError("truncated")
    headers = header_map([f"{name}: {value}" for name, value in head.headers])
    payload = _payload(raw, headers)
    answer, body = _decodable(replace(head, payload=payload), headers)
    _check_digests(said, block=block, payloads=(payload, raw, body))
    return answer


def repeated_answer(block: bytes, original: Answer) -> Answer:
    """Return the answer in a revisit record, whose payload is that of `original`.

    Raises UnusableError (`not_modified`, `redirect`, `http_404`).
    """
    if not block.strip():
        return original
    head, _ = head_of(block)
    refuse_status(head.status)
    anew = [(name, value) for name, value in head.headers if not _is_of_payload(name)]
    kept = [(name, value) for name, value in original.headers if _is_of_payload(name)]
    return replace(head, headers=[*anew, *kept], payload=original.payload)


def _is_of_payload(name: str) -> bool:
    return name.lower().startswith(("content-", "transfer-encoding", "x-archive-orig-"))


def _payload(raw: bytes, headers: Mapping[str, str]) -> bytes:
    payload = raw
    if "chunked" in headers.get("transfer-encoding", "").lower():
        payload = _without_chunks(raw)
    length = headers.get("content-length", "")
    if payload is raw and length.isdigit() and len(raw) < int(length):
        raise UnusableError("truncated")
    if not payload:
        raise UnusableError("empty")
    return payload


def _without_chunks(raw: bytes) -> bytes:
    """Undo chunks; some programs do that themselves, and keep the header."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = raw.find(b"\r\n", at)
        size = _chunk_size(raw[at:end]) if end >= 0 else None
        if size is None:
            if at == 0:
                return raw
            raise UnusableError("truncated")
        if size == 0:
            return b"".join(parts)
        part = raw[end + 2 : end + 2 + size]
        if len(part) < size:
            raise UnusableError("truncated")
        parts.append(part)
        at = end + 2 + size + 2


def _chunk_size(line: bytes) -> int | None:
    text = line.partition(b";")[0].strip()
    return int(text, 16) if re.fullmatch(rb"[0-9A-Fa-f]{1,15}", text) else None


def _decodable(answer: Answer, headers: Mapping[str, str]) -> tuple[Answer, bytes]:
    """Return the answer and its body. One that was decoded before it was kept says so no more."""
    try:
        return answer, body_of(answer.payload, headers.get(_CODING, ""))
    except ValueError as error:
        if answer.payload.lstrip()[:1] != b"<":
            raise UnusableError("broken_encoding") from error
    renamed = [
        (f"X-Archive-Orig-{name}" if name.lower() == _CODING else name, value)
        for name, value in answer.headers
    ]
    return replace(answer, headers=renamed), answer.payload


def _check_digests(said: Mapping[str, str], *, block: bytes, payloads: Iterable[bytes]) -> None:
    """Raises UnusableError (`wrong_digest`) where one that is named does not fit.

    Programs differ in what they call the payload: with chunks, without, decoded.
    """
    if not _fits(said.get("warc-block-digest"), [block]):
        raise UnusableError("wrong_digest")
    if not _fits(said.get("warc-payload-digest"), payloads):
        raise UnusableError("wrong_digest")


def _fits(digest: str | None, candidates: Iterable[bytes]) -> bool:
    algorithm, colon, value = (digest or "").partition(":")
    if not colon or algorithm.lower() not in _ALGORITHMS:
        return True  # none, or of a kind that we cannot tell
    name = algorithm.lower().replace("-", "")
    return any(
        value.strip() in _spellings(hashlib.new(name, one, usedforsecurity=False).digest())
        for one in candidates
    )


def _spellings(digest: bytes) -> set[str]:
    base32, base64_ = base64.b32encode(digest).decode(), base64.b64encode(digest).decode()
    found = {base32, base32.lower(), base64_, digest.hex(), digest.hex().upper()}
    return found | {one.rstrip("=") for one in found}
