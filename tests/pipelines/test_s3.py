"""An object store as a place for files: whole, checked, and with credentials that are renewed."""

from __future__ import annotations

import io
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines import s3
from pipelines.errors import LakeError, ReplacedError
from pipelines.s3 import S3Storage
from pipelines.s3_client import S3Client
from pipelines.sql import connect_offline
from pipelines.writers import holds_conditions
from tests.s3 import NO_CLOUD, Store

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture
def own(moto: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = moto.with_bucket()
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def storage(own: Store) -> S3Storage:
    return S3Storage(own.url("a/lake"))


def put_away(storage: S3Storage, folder: Path, data: bytes, path: str) -> None:
    file = folder / "file"
    file.write_bytes(data)
    storage.take(file, path)
    assert not file.exists()


@pytest.mark.parametrize("size", [0, 1, 1000, (5 << 20) - 1, 5 << 20, (11 << 20) + 7])
def test_a_file_arrives_byte_by_byte_in_as_many_parts_as_it_takes(
    storage, own, tmp_path, monkeypatch, size
):
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)  # a store takes no smaller ones
    data = random.Random(size).randbytes(size)  # noqa: S311 - no secret
    put_away(storage, tmp_path, data, "warc/2024/05/r-0.warc.gz")
    assert own.read("a/lake/warc/2024/05/r-0.warc.gz") == data
    assert storage.read("warc/2024/05/r-0.warc.gz") == data
    with storage.open("warc/2024/05/r-0.warc.gz") as file:
        assert file.read() == data


def test_what_a_killed_upload_left_is_ended_by_the_next(storage, own, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    place = {"Bucket": own.bucket, "Key": "a/lake/warc/r-0.warc.gz"}
    own.client().create_multipart_upload(**place)
    other = own.client().create_multipart_upload(**place | {"Key": "a/lake/warc/r-0.warc.gz2"})
    put_away(storage, tmp_path, bytes(6 << 20), "warc/r-0.warc.gz")
    left = own.client().list_multipart_uploads(Bucket=own.bucket).get("Uploads", ())
    assert [one["UploadId"] for one in left] == [other["UploadId"]]


@pytest.mark.parametrize("seed", range(8))
def test_an_object_is_read_as_a_file_is_wherever_one_looks(storage, seed):
    chance = random.Random(seed)  # noqa: S311 - no secret
    data = chance.randbytes(chance.choice([10, 70_000, 400_000]))
    storage.replace("some", data)
    plain, start = io.BytesIO(data), chance.randrange(len(data))
    plain.seek(start)
    with (
        storage.open("some", offset=start) as file,
        storage.opened("some", storage.head("some")) as raw,
    ):
        raw.seek(start)
        for _ in range(60):
            if chance.random() < 0.5:
                where = chance.randrange(len(data) + 20)
                assert {one.seek(where) for one in (plain, file, raw)} == {where}
            size = chance.choice([-1, 0, 1, 5, 1000, 70_000, 200_000])
            wanted = plain.read(size)
            assert file.read(size) == wanted
            assert raw.read(size) == wanted


def test_an_object_that_is_replaced_while_it_is_read_is_an_error(storage):
    storage.replace("some", bytes(200_000))
    with storage.open("some") as file:
        file.read(10)
        storage.replace("some", bytes([1]) * 200_000)
        with pytest.raises(ReplacedError, match="was replaced while it was read"):
            file.read()


def test_what_is_not_there_is_not_found_and_nobody_makes_it_up(storage):
    assert not storage.exists("some")
    assert list(storage.list("some")) == []
    for ask in (storage.read, storage.open, storage.info):
        with pytest.raises(FileNotFoundError):
            ask("some")
    storage.delete("some")  # nothing to be deleted is nothing wrong
    with (
        pytest.raises(LakeError, match="is missing"),
        connect_offline(storage) as connection,
    ):
        connection.sql(f"FROM read_parquet('{storage.address('some.parquet')}')")


def test_files_are_listed_as_in_a_folder(storage):
    paths = ["warc/b.gz", "warc/a/c.gz", "warc-other/d", "x", "articles/published_month=2024-05/p"]
    for path in paths:
        storage.replace(path, b"1")
    assert sorted(storage.list()) == sorted(paths)
    assert list(storage.list("warc")) == ["warc/a/c.gz", "warc/b.gz"]
    assert {storage.path_of(storage.address(path)) for path in paths} == set(paths)


def test_only_the_first_makes_an_object_where_the_store_holds_to_it(storage):
    assert storage.create("_sitrep.json", b"1")
    assert not storage.create("_sitrep.json", b"2")
    assert storage.read("_sitrep.json") == b"1"
    assert holds_conditions(storage)
    assert list(storage.list("_probe")) == []


def test_credentials_that_end_are_renewed_for_delta_too(own, tmp_path, monkeypatch):
    """A profile whose program gives other keys each time, good for less than a minute more."""
    program, count = tmp_path / "keys.py", tmp_path / "count"
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    program.write_text(
        "import json, pathlib\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "n = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(n))\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'key-{n}', 'SecretAccessKey': 'secret',"
        f" 'SessionToken': f'token-{{n}}', 'Expiration': {soon!r}}}))\n"
    )
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {sys.executable} {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name in KEYS:
        monkeypatch.delenv(name)
    client = S3Client(own.url(""), own.bucket)
    first, second = client.options(), client.options()
    assert first["AWS_SESSION_TOKEN"].startswith("token-")
    assert first["AWS_ACCESS_KEY_ID"] != second["AWS_ACCESS_KEY_ID"]


def test_no_credentials_is_told_with_where_they_are_looked_for(own, monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name)
    assert NO_CLOUD["AWS_EC2_METADATA_DISABLED"] == "true"
    with pytest.raises(LakeError, match=r"there are no credentials.*AWS_PROFILE"):
        S3Storage(own.url("lake")).read("some")


def test_a_prefix_that_readers_would_take_for_a_pattern_is_refused(own):
    with pytest.raises(LakeError, match="may not hold"):
        S3Storage(own.url("a[b]"))
