"""A lake in a bucket: `s3://bucket/prefix`, on AWS or on a store that speaks as it does."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import duckdb
from botocore.exceptions import ClientError

from pipelines.errors import LakeError
from pipelines.s3_client import S3Client
from pipelines.s3_errors import code_of, told, told_by_delta
from pipelines.s3_reading import DuckFiles, Head, ObjectFile, fetch, told_by_duckdb
from pipelines.storage import REFUSED, FileInfo

# Above it a file goes up in several parts, each with its own checksum. A store takes 10,000.
PART_BYTES = 16 << 20
_BUFFER_BYTES = 1 << 16
# What the answer to a conditional PUT is where the object is there, or just comes to be there.
_BEYOND = frozenset({"InvalidRange", "416"})
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class S3Storage:
    """Objects under a prefix. Each is put whole: nobody ever sees a part of one.

    Every upload carries its Content-MD5, which the store compares; on AWS, boto3 adds a CRC that
    is kept with the object.
    """

    def __init__(self, url: str):
        parts = urlsplit(url)
        self._bucket, self._prefix = parts.netloc, unquote(parts.path).strip("/")
        if not self._bucket:
            raise LakeError(
                "names no bucket", where=url, remedy="set SITREP_LAKE to s3://bucket/prefix"
            )
        if refused := sorted(REFUSED.intersection(self._prefix)):
            raise LakeError(
                f"the lake's prefix may not hold {' '.join(refused)}",
                where=url,
                remedy="set SITREP_LAKE to another",
            )
        self._s3 = S3Client(self.url, self._bucket)

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def table_url(self, path: str) -> str:
        return self.address(path)

    def refused(self, error: Exception, where: str) -> LakeError | None:
        if isinstance(error, duckdb.Error):
            return told_by_duckdb(error)
        return told_by_delta(error, where)

    def table_options(self) -> dict[str, str] | None:
        return self._s3.options()

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.register_filesystem(DuckFiles(self))

    def address(self, path: str) -> str:
        return f"s3://{self._bucket}/{self._key(path)}"

    def path_of(self, address: str) -> str:
        return self._path(unquote(address).removeprefix(f"s3://{self._bucket}/"))

    def exists(self, path: str) -> bool:
        try:
            self.head(path)
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        return (one.path for one in self.infos(prefix))

    def infos(self, prefix: str = "") -> Iterator[FileInfo]:
        return (_info(path, head) for path, head in self.heads(prefix))

    def heads(self, prefix: str) -> Iterator[tuple[str, Head]]:
        """Yield path and head of every object under the folder `prefix`, in order."""
        inside = f"{self._key(prefix)}/".lstrip("/")
        found = []
        with told(self.url):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=inside):
                found += page.get("Contents", ())
        for one in sorted(found, key=lambda one: str(one["Key"]).split("/")):
            yield (
                self._path(one["Key"]),
                Head(size_bytes=one["Size"], etag=one["ETag"], modified=one["LastModified"]),
            )

    def info(self, path: str) -> FileInfo:
        return _info(path, self.head(path))

    def head(self, path: str) -> Head:
        """Return what the store says of an object. Raises FileNotFoundError."""
        place = {"Bucket": self._bucket, "Key": self._key(path)}
        with told(self.address(path)):
            try:
                said = self._client.head_object(**place)
            except ClientError as error:
                if code_of(error) == "404":
                    raise
                # The answer to HEAD has no body, and says nothing of why: that to GET does.
                said = self._client.get_object(**place)
                said["Body"].close()
        return Head(
            size_bytes=said["ContentLength"], etag=said["ETag"], modified=said["LastModified"]
        )

    def open(self, path: str, *, offset: int = 0) -> BinaryIO:
        try:
            file = ObjectFile.opened_at(self._client, self._bucket, self._key(path), offset)
        except LakeError as error:
            # Nothing lies there: it ends before, or is empty.
            if not _is(error, _BEYOND):
                raise
            file = self.opened(path, self.head(path))
            file.seek(offset)
        # What reads by lines and small pieces is spared a call for each.
        return cast("BinaryIO", io.BufferedReader(file, _BUFFER_BYTES))

    def opened(self, path: str, head: Head) -> ObjectFile:
        return ObjectFile(self._client, self._bucket, self._key(path), head)

    def read(self, path: str) -> bytes:
        return fetch(self._client, self._bucket, self._key(path))[0]

    def replace(self, path: str, data: bytes) -> None:
        with told(self.address(path)):
            self._put(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """Put `data` where nothing is; False where something is. The store has to hold to it."""
        try:
            with told(self.address(path)):
                self._put(path, data, IfNoneMatch="*")
        except LakeError as error:
            if not _is(error, _TAKEN):
                raise
            return False
        return True

    def take(self, source: Path, path: str) -> None:
        size = source.stat().st_size
        with told(self.address(path)):
            if size <= PART_BYTES:
                self._put(path, source.read_bytes())
            else:
                self._put_in_parts(path, source)
        if self.info(path).size_bytes != size:
            raise LakeError(
                "did not arrive as it was sent", where=self.address(path), remedy="run it again"
            )
        source.unlink()

    def make_folder(self, path: str) -> None:
        """Nothing to do: there are no folders."""

    def settle(self, paths: Iterable[str]) -> None:
        """Nothing to do: what a store has acknowledged, it has."""

    def delete(self, path: str) -> None:
        with told(self.address(path)):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(path))

    @property
    def _client(self) -> Any:
        return self._s3.boto

    def _key(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise LakeError("is not a path inside the lake", where=path)
        return f"{self._prefix}/{path}".strip("/")

    def _path(self, key: str) -> str:
        return key.removeprefix(f"{self._prefix}/") if self._prefix else key

    def _put(self, path: str, data: bytes, **conditions: str) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._key(path),
            Body=data,
            ContentMD5=_md5(data),
            **conditions,
        )

    def _put_in_parts(self, path: str, source: Path) -> None:
        place = {"Bucket": self._bucket, "Key": self._key(path)}
        self._abort_others(place)
        upload = {**place, "UploadId": self._client.create_multipart_upload(**place)["UploadId"]}
        try:
            parts = list(self._upload(upload, source))
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            # Parts of an upload that never ends are paid for, and seen by nobody.
            with suppress(Exception):
                self._client.abort_multipart_upload(**upload)
            raise

    def _upload(self, upload: dict[str, str], source: Path) -> Iterator[dict[str, Any]]:
        with source.open("rb") as file:
            number = 0
            while data := file.read(PART_BYTES):
                number += 1
                answer = self._client.upload_part(
                    **upload, PartNumber=number, Body=data, ContentMD5=_md5(data)
                )
                sums = {key: one for key, one in answer.items() if key.startswith("Checksum")}
                yield {"PartNumber": number, "ETag": answer["ETag"]} | sums

    def _abort_others(self, place: dict[str, str]) -> None:
        """End the uploads to this name that a killed process began: it has but one writer."""
        begun = self._client.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
        for one in begun.get("Uploads", ()):
            if one["Key"] == place["Key"]:
                self._client.abort_multipart_upload(**place, UploadId=one["UploadId"])


def _is(error: LakeError, codes: frozenset[str]) -> bool:
    cause = error.__cause__
    return isinstance(cause, ClientError) and code_of(cause) in codes


def _info(path: str, head: Head) -> FileInfo:
    return FileInfo(path=path, size_bytes=head.size_bytes, modified=head.modified.timestamp())


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
