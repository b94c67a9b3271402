"""Objects read piece by piece, as files: by our own code, and by DuckDB."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
from botocore.exceptions import HTTPClientError, ResponseStreamingError
from fsspec.spec import AbstractFileSystem
from fsspec.utils import glob_translate
from urllib3.exceptions import HTTPError

from pipelines.errors import LakeError, ReplacedError
from pipelines.s3_errors import told

if TYPE_CHECKING:
    from pipelines.s3 import S3Storage

# What is asked for at first; read on in order, it doubles up to the most. A record of the archive
# is mostly within the first, and so is the footer of a Parquet file, at the other end.
_FIRST_BYTES, _MOST_BYTES = 1 << 16, 1 << 23
_ATTEMPTS = 6
_REPLACED = "was replaced while it was read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a store says of an object; `etag` changes with its content."""

    size_bytes: int
    etag: str
    modified: datetime


class ObjectFile(io.RawIOBase):
    """One object, as it was when it was opened: replaced meanwhile, it gives an error.

    `held` is what is known of it already, from `start` on.
    """

    def __init__(
        self, client: Any, bucket: str, key: str, head: Head, *, start: int = 0, held: bytes = b""
    ):
        super().__init__()
        self._client, self._bucket, self._key, self._head = client, bucket, key, head
        self._at = self._start = start
        self._held = held
        self._ahead = _FIRST_BYTES

    @classmethod
    def opened_at(cls, client: Any, bucket: str, key: str, offset: int) -> ObjectFile:
        """Open at `offset` with one call, which brings what lies there. FileNotFoundError."""
        wanted = f"bytes={offset}-{offset + _FIRST_BYTES - 1}"
        held, answer = fetch(client, bucket, key, Range=wanted)
        size = int(answer["ContentRange"].rpartition("/")[2])
        head = Head(size_bytes=size, etag=answer["ETag"], modified=answer["LastModified"])
        return cls(client, bucket, key, head, start=offset, held=held)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._head.size_bytes}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        end = self._head.size_bytes if size < 0 else min(self._at + size, self._head.size_bytes)
        if end <= self._at:
            return b""
        if not (self._start <= self._at and end <= self._start + len(self._held)):
            self._fetch(end)
        found = self._held[self._at - self._start : end - self._start]
        self._at = end
        return found

    def _fetch(self, end: int) -> None:
        """Have what lies from here to `end`, and what is likely to be asked for next."""
        is_next = self._start < self._at <= self._start + len(self._held)
        self._ahead = min(2 * self._ahead, _MOST_BYTES) if is_next else _FIRST_BYTES
        size = self._head.size_bytes
        # A footer is asked for from its end: its length, then itself.
        start = min(self._at, max(0, size - _FIRST_BYTES))
        end = min(max(end, self._at + self._ahead), size)
        wanted = f"bytes={start}-{end - 1}"
        etag = self._head.etag
        self._held, _ = fetch(self._client, self._bucket, self._key, etag=etag, Range=wanted)
        self._start = start


def fetch(
    client: Any, bucket: str, key: str, *, etag: str | None = None, **options: str
) -> tuple[bytes, dict[str, Any]]:
    """Return an object's content, or a range of it, and what the store says of it.

    It is asked for again where it is cut off. Raises FileNotFoundError, and LakeError, also where
    it is not the one that `etag` says.
    """
    where = f"s3://{bucket}/{key}"
    for attempt in range(_ATTEMPTS):
        with told(where):
            answer = client.get_object(Bucket=bucket, Key=key, **options)
            if etag not in {None, answer["ETag"]}:
                raise ReplacedError(_REPLACED, where=where, remedy="read it again")
            with suppress(HTTPError, HTTPClientError, ResponseStreamingError, OSError):
                data: bytes = answer["Body"].read()
                if len(data) == answer["ContentLength"]:
                    return data, answer
        time.sleep(0.1 * 2**attempt)
    raise LakeError("is cut off again and again", where=where, remedy="run it again later")


class SharedFile(io.RawIOBase):
    """An object that several threads read, each from its own place in it.

    DuckDB's threads share a file: one seeks and reads, and another may do so in between.
    """

    def __init__(self, opened: Callable[[], ObjectFile]):
        super().__init__()
        self._opened = opened
        self._own = threading.local()

    @property
    def _file(self) -> ObjectFile:
        if not hasattr(self._own, "file"):
            self._own.file = self._opened()
        file: ObjectFile = self._own.file
        return file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class DuckFiles(AbstractFileSystem):  # type: ignore[misc]
    """A lake's objects for DuckDB, whose own extension for them would have to be downloaded.

    One for each connection: of an object that is opened several times, as DuckDB does in one scan,
    it gives what it was the first time, or an error.
    """

    protocol = "s3"
    cachable = False

    def __init__(self, storage: S3Storage):
        super().__init__()
        self._storage = storage
        self._heads: dict[str, Head] = {}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> SharedFile:
        if mode != "rb":
            raise LakeError("is only read", where=path, remedy="see `sitrep export`")
        return SharedFile(partial(self._storage.opened, self._path(path), self._head(path)))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        head = self._head(path)
        return {"name": path, "size": head.size_bytes, "type": "file", "ETag": head.etag}

    def modified(self, path: str) -> datetime:
        return self._head(path).modified

    def glob(self, path: str, **_: Any) -> list[str]:
        if not re.search(r"[*?\[]", path):
            return [path]
        wanted = re.compile(glob_translate(self._strip_protocol(path)))
        return [one for one in self._every() if wanted.match(one)]

    def _every(self) -> Iterator[str]:
        return (self._strip_protocol(self._storage.address(one)) for one in self._storage.list())

    def _head(self, path: str) -> Head:
        path = self._path(path)
        if path not in self._heads:
            self._list(path.partition("/")[0])
        if path not in self._heads:
            where = self._storage.address(path)
            raise LakeError("is missing", where=where, remedy="run sitrep doctor")
        return self._heads[path]

    def _list(self, folder: str) -> None:
        """Look at a whole folder at once: a call for a thousand files, in place of one for each."""
        for path, head in self._storage.heads(folder):
            self._heads.setdefault(path, head)

    def _path(self, path: str) -> str:
        return self._storage.path_of(f"s3://{self._strip_protocol(path)}")


def told_by_duckdb(error: duckdb.Error) -> LakeError | None:
    """Return the error of ours that DuckDB wraps as a traceback; None where there is none."""
    text = str(error)
    raised = re.findall(r"^[\w.]*Error: (.*)$", text, re.MULTILINE)
    if not text.startswith("Traceback") or not raised:
        return None
    said = raised[-1]
    if _REPLACED in said:
        return ReplacedError(said)
    return LakeError(said)
