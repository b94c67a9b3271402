"""Content-Encoding undone: gzip, deflate, br, zstd."""

from __future__ import annotations

import zlib
from typing import Literal

import pyarrow as pa

# A body larger than this, once decoded, is a bomb: a fetch stops at 32 MiB before decoding.
MOST_BODY_BYTES = 64 << 20


def decoded(data: bytes, coding: str) -> bytes:
    """Undo one Content-Encoding. Raises ValueError where `data` is not that, or too much.

    >>> decoded(zlib.compress(b"tide"), "deflate")
    b'tide'
    """
    if not data or coding in {"identity", "none", "utf-8"}:
        return data
    if coding in {"gzip", "x-gzip"}:
        return _inflated(data, zlib.MAX_WBITS + 16)
    if coding == "deflate":
        # Some servers send the bare stream, some wrap it as they should.
        bits = zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS
        return _inflated(data, bits)
    if coding in {"br", "zstd"}:
        return _unpacked(data, "brotli" if coding == "br" else "zstd")
    raise ValueError(f"unknown Content-Encoding {coding!r}")


def _inflated(data: bytes, bits: int) -> bytes:
    parts, size = [], 0
    while data:
        inflate = zlib.decompressobj(bits)
        try:
            parts.append(inflate.decompress(data, MOST_BODY_BYTES - size + 1))
        except zlib.error as error:
            # What follows a whole gzip member and is none is padding.
            if parts:
                break
            raise ValueError(str(error)) from error
        size += len(parts[-1])
        if size > MOST_BODY_BYTES:
            raise ValueError(f"more than {MOST_BODY_BYTES} bytes once decoded")
        if not inflate.eof:
            raise ValueError("the end is missing")
        data = inflate.unused_data if bits > zlib.MAX_WBITS else b""
    return b"".join(parts)


def _unpacked(data: bytes, codec: Literal["brotli", "zstd"]) -> bytes:
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            body = bytes(stream.read(MOST_BODY_BYTES + 1))
    except OSError as error:
        raise ValueError(str(error)) from error
    if len(body) > MOST_BODY_BYTES:
        raise ValueError(f"more than {MOST_BODY_BYTES} bytes once decoded")
    return body


def body_of(payload: bytes, content_encoding: str) -> bytes:
    """Undo a Content-Encoding header, the last coding first. Raises ValueError as `decoded`."""
    for coding in reversed(content_encoding.lower().replace(",", " ").split()):
        payload = decoded(payload, coding)
    return payload
