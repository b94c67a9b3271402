"""What an object store refuses, told in one line with the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from pipelines.errors import LakeError, UnreachedError

_KEPT = "what was fetched is kept and taken up again"
_CHAIN = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or whatever else boto3 "
    "takes credentials from"
)
_RENEW = f"renew the credentials (a new token, `aws sso login`) and run it again; {_KEPT}"
_RIGHTS = (
    "the credentials need s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject and "
    f"s3:AbortMultipartUpload there; {_KEPT}"
)
_LATER = f"run it again later; {_KEPT}"
_REACH = f"see that AWS_ENDPOINT_URL_S3 and the network are right; {_KEPT}"
_REGION = "set AWS_DEFAULT_REGION to the bucket's region"

# By the code of the store's answer: what, remedy.
_CODES = {
    "NoSuchBucket": ("there is no such bucket", "create it, or name another in SITREP_LAKE"),
    "InvalidBucketName": ("that is no name of a bucket", "name another in SITREP_LAKE"),
    "ExpiredToken": ("the credentials have expired", _RENEW),
    "ExpiredTokenException": ("the credentials have expired", _RENEW),
    "TokenRefreshRequired": ("the credentials have expired", _RENEW),
    "RequestExpired": ("the credentials have expired", _RENEW),
    "InvalidToken": ("the credentials are refused (InvalidToken)", _CHAIN),
    "InvalidAccessKeyId": ("the credentials are refused (InvalidAccessKeyId)", _CHAIN),
    "SignatureDoesNotMatch": ("the credentials are refused (SignatureDoesNotMatch)", _CHAIN),
    "RequestTimeTooSkewed": (
        "this machine's clock differs too much from the store's",
        f"set the clock, best by NTP, and run it again; {_KEPT}",
    ),
    "AccessDenied": ("access is denied", _RIGHTS),
    "AllAccessDisabled": ("access is denied", _RIGHTS),
    "MethodNotAllowed": ("the store lets nothing be written there", _RIGHTS),
    "PermanentRedirect": ("the bucket is in another region", _REGION),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", _REGION),
    "IllegalLocationConstraintException": ("the bucket is in another region", _REGION),
    "QuotaExceeded": ("the quota is used up", f"have it raised, and run it again; {_KEPT}"),
    "SlowDown": ("the store asks for fewer calls", _LATER),
    "InternalError": ("the store has a fault of its own", _LATER),
    "ServiceUnavailable": ("the store is not available", _LATER),
}
# The same by status, where an answer has no body: that to HEAD.
_STATUSES = {
    301: "PermanentRedirect",
    403: "AccessDenied",
    405: "MethodNotAllowed",
    500: "InternalError",
    502: "ServiceUnavailable",
    503: "ServiceUnavailable",
    504: "ServiceUnavailable",
}
# What delta-rs says of calls that were not answered, or cut off in the middle of the answer.
_UNREACHED = re.compile(r"error sending request|HTTP error|error decoding response body|body error")
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what boto3 raises into LakeError, or FileNotFoundError where there is no object."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in _ABSENT:
            raise FileNotFoundError(2, "is missing", where) from error
        raise _refused(error, where) from error
    except BotoCoreError as error:
        raise _unreached(error, where) from error


def no_bucket(where: str) -> LakeError:
    return _told("NoSuchBucket", where)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def told_by_delta(error: Exception, where: str) -> LakeError | None:
    """Return what an error of delta-rs says of the store, which stands somewhere in its text.

    None where it says nothing of it.
    """
    text = str(error)
    code = re.search(r"<Code>(\w+)</Code>", text)
    status = re.search(r"\b(?:status|code)\D{0,20}\b([1-5]\d\d)\b", text)
    name = code[1] if code else _STATUSES.get(int(status[1]), "") if status else ""
    if name in _CODES:
        region = re.search(r"<Region>([\w-]+)</Region>", text)
        return _told(name, where, region=region[1] if region else None)
    if _UNREACHED.search(text):
        return UnreachedError("cannot be reached", where=where, remedy=_REACH)
    return None


def _refused(error: ClientError, where: str) -> LakeError:
    said, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code = code_of(error)
    name = code if code in _CODES else _STATUSES.get(int(meta.get("HTTPStatusCode", 0)), code)
    if name not in _CODES:
        why = said.get("Message") or "it does not say why"
        return LakeError(f"the store refuses it ({code}: {why})", where=where, remedy=_LATER)
    region = meta.get("HTTPHeaders", {}).get("x-amz-bucket-region") or said.get("Region")
    return _told(name, where, region=region)


def _told(name: str, where: str, *, region: str | None = None) -> LakeError:
    what, remedy = _CODES[name]
    if remedy is _REGION and region:
        what, remedy = f"the bucket is in the region {region}", f"set AWS_DEFAULT_REGION={region}"
    return LakeError(what, where=where, remedy=remedy)


def _unreached(error: BotoCoreError, where: str) -> LakeError:
    match error:
        case boto.NoCredentialsError():
            return LakeError("there are no credentials", where=where, remedy=_CHAIN)
        case boto.PartialCredentialsError() | boto.CredentialRetrievalError():
            return LakeError(f"no whole credentials ({error})", where=where, remedy=_CHAIN)
        case boto.ProfileNotFound() | boto.ConfigParseError() | boto.SSOError():
            return LakeError(str(error), where=where, remedy=_CHAIN)
        case boto.ParamValidationError():
            return LakeError(
                "that is no name of a bucket", where=where, remedy="name another in SITREP_LAKE"
            )
    return UnreachedError(f"cannot be reached ({error})", where=where, remedy=_REACH)
