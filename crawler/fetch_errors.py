"""What went wrong with a request, in one word to count and one line to read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

from OpenSSL import SSL
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadTimeoutError,
    IgnoreRequest,
    ResponseDataLossError,
)
from service_identity import VerificationError
from twisted.internet import error as internet
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.web._newclient import ParseError
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss

from crawler.network import refusal_of
from crawler.refusals import NotAskedError
from pipelines.errors import SitrepError


def describe(error: BaseException, url: str) -> tuple[str, str]:
    """Return (reason, line): the reason is a word such as `timeout` or `dns`.

    `url` is what was asked for when it went wrong, after redirects.
    """
    causes = list(_causes(error))
    for kinds, reason, line in _KINDS:
        if any(isinstance(one, kinds) for one in causes):
            refusal = refusal_of(urlsplit(url).hostname or "") if reason == "dns" else None
            return ("private_address", refusal) if refusal else (reason, line)
    if isinstance(error, NotAskedError):
        return error.reason, str(error)
    if isinstance(error, SitrepError):
        return "archive", str(error)
    if isinstance(error, IgnoreRequest):
        return "redirect_loop", "redirects without end" if "redirect" in str(error) else str(error)
    said = " ".join(str(error).split())
    return type(error).__name__, said or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what is inside it: Scrapy and Twisted each put theirs around another."""
    while error is not None:
        yield error
        if isinstance(error, ResponseFailed):
            for reason in error.reasons:
                yield from _causes(reason.value)
        error = error.__cause__


_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...] = (
    ((CannotResolveHostError, internet.DNSLookupError), "dns", "the host has no address"),
    (
        (DownloadTimeoutError, internet.TimeoutError, DeferredTimeoutError, asyncio.TimeoutError),
        "timeout",
        "no whole answer in time",
    ),
    (
        (DownloadConnectionRefusedError, internet.ConnectionRefusedError),
        "refused_connection",
        "the connection was refused",
    ),
    (DownloadCancelledError, "too_large", "the response is larger than the limit"),
    ((SSL.Error, VerificationError), "certificate", "the certificate cannot be verified"),
    (ParseError, "no_http", "the answer is no HTTP"),
    (
        (ResponseDataLossError, PotentialDataLoss),
        "cut",
        "the body is shorter than its Content-Length",
    ),
    ((internet.ConnectionLost, internet.ConnectionDone), "reset", "the connection was cut off"),
)
