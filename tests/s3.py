"""Stores that speak S3, as the tests see them: an address, keys, and buckets of a test's own."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import boto3
import pyarrow.fs
import pytest
from botocore.config import Config

REGION = "us-east-1"
# The whole AWS chain of a machine, closed: what a developer has set up is no part of a test, and a
# client without keys would ask 169.254.169.254 for some.
NO_CLOUD = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Store:
    """A server that speaks S3, and a bucket there."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str = ""
    region: str = REGION

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets to have `sitrep`, boto3, pyarrow or the AWS tools use this store."""
        return NO_CLOUD | {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
        }

    @property
    def options(self) -> dict[str, str]:
        """What Polars and delta-rs want to be told."""
        return {
            "aws_endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_region": self.region,
            "aws_allow_http": "true",
            "aws_conditional_put": "etag",
        }

    @property
    def arrow(self) -> pyarrow.fs.S3FileSystem:
        return pyarrow.fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            endpoint_override=self.endpoint.removeprefix("http://"),
            scheme="http",
            region=self.region,
        )

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            # Ceph 16 knows no checksums but the MD5.
            config=Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def with_bucket(self, *, is_versioned: bool = False) -> Store:
        """Return the store with a bucket of its own, empty."""
        made = replace(self, bucket=f"bucket-{os.getpid()}-{next(_NUMBERS)}")
        client = made.client()
        client.create_bucket(Bucket=made.bucket)
        if is_versioned:
            client.put_bucket_versioning(
                Bucket=made.bucket, VersioningConfiguration={"Status": "Enabled"}
            )
        return made

    def url(self, prefix: str) -> str:
        return f"s3://{self.bucket}/{prefix}"

    def objects(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects under a prefix, in order."""
        pages = self.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return [one["Key"] for page in found for one in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        data: bytes = self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def daemon(
    command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block; killed, for it has nothing to save.

    Where the system can, it also ends with this process, however that ends. It is in a group of
    its own, so that a Ctrl-C of the suite leaves its end to us.
    """
    setpriv = shutil.which("setpriv")
    bound = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*bound, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(
    endpoint: str, *, log: Path, needs: Sequence[subprocess.Popen[bytes]], patience: float = 60
) -> None:
    """Return when `endpoint` answers; fail the test when one of the processes ended before."""
    end = time.monotonic() + patience
    while not _answers(endpoint):
        if time.monotonic() > end or any(one.poll() is not None for one in needs):
            said = log.read_text(errors="replace")[-2000:]
            pytest.fail(f"{endpoint} does not answer: {said}")
        time.sleep(0.05)


def _answers(endpoint: str) -> bool:
    try:
        with urlopen(endpoint, timeout=5):  # noqa: S310 - http, on loopback
            return True
    except HTTPError:
        return True
    except OSError:
        return False
