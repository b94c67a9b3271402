"""How an object store is reached: boto3's chain of credentials, resolved once and handed on."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from pipelines.s3_errors import code_of, no_bucket, told

# Their debug lines hold the headers of each request, the signature with them; their other lines
# tell where each client found what it knows.
for _name in ("boto3", "botocore", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)

# A store that fails one call in ten fails eight in a row once in a hundred million.
_ATTEMPTS = 8
_AT_ONCE = 16


class S3Client:
    """`boto`: the client for objects. `options()` is the same for delta-rs.

    What boto3 reads from environment, files and machine is asked for once; credentials that end
    are renewed by it some fifteen minutes before they do, and are never written down.
    """

    def __init__(self, url: str, bucket: str):
        with told(url):
            self._session = boto3.Session()
            # The first one only finds out where the store is, and what kind it is of.
            found = self._session.client("s3", config=_config(is_aws=True))
            self._endpoint = found.meta.endpoint_url
            host = urlsplit(self._endpoint).hostname or ""
            self._is_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
            there = _region_of(found, bucket, url)
            # What other stores say of regions is not to be leaned on.
            self._region = (there if self._is_aws else None) or _region(found)
            self.boto = self._session.client(
                "s3", region_name=self._region, config=_config(is_aws=self._is_aws)
            )

    def options(self) -> dict[str, str]:
        """Return what delta-rs has to know, with credentials good for ten minutes or more."""
        said = {
            "AWS_REGION": self._region,
            # A log entry is put only where there is none: the store refuses the second of two.
            "AWS_CONDITIONAL_PUT": "etag",
            # boto3 has found the credentials: nothing else is to be asked for any.
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if not self._is_aws:
            said["AWS_ENDPOINT_URL"] = self._endpoint
            said["AWS_ALLOW_HTTP"] = str(self._endpoint.startswith("http:")).lower()
        return said | self._keys()

    def _keys(self) -> dict[str, str]:
        with told(self._endpoint):
            found = self._session.get_credentials()
            keys = found.get_frozen_credentials() if found else None
        if keys is None:
            return {}
        token = {"AWS_SESSION_TOKEN": keys.token} if keys.token else {}
        return {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        } | token


def _region(client: Any) -> str:
    said = client.meta.region_name
    return said if said and said != "aws-global" else "us-east-1"


def _region_of(client: Any, bucket: str, url: str) -> str | None:
    """Return where the bucket says that it is: boto3 goes there from elsewhere, delta-rs does not.

    None where it does not say; why not is told by what is asked for next.
    """
    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
        if code_of(error) == "404":
            raise no_bucket(url) from error
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found: str | None = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    return found


def _config(*, is_aws: bool) -> Config:
    # Other stores know neither checksums in a trailer (Ceph 16 takes them for content) nor names
    # of buckets in the host; Content-MD5, which each request carries, they all know.
    checksums = "when_supported" if is_aws else "when_required"
    return Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=_AT_ONCE,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        s3=None if is_aws else {"addressing_style": "path"},
    )
