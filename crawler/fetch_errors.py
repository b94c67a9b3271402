"""What went wrong with a request, in one word to count and one line to read."""

from __future__ import annotations

import asyncio

from scrapy.exceptions import DownloadCancelledError, DownloadTimeoutError, IgnoreRequest
from twisted.internet import error as internet
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.web.client import ResponseFailed

from crawler.network import PrivateAddressError
from crawler.refusals import NotAskedError
from pipelines.errors import SitrepError


def describe(error: BaseException) -> tuple[str, str]:
    """Return (reason, line): the reason is a word such as `timeout` or `dns`."""
    for kinds, reason, line in _KINDS:
        if isinstance(error, kinds):
            return reason, line or str(error)
    if isinstance(error, NotAskedError):
        return error.reason, str(error)
    if isinstance(error, SitrepError):
        return "archive", str(error)
    if isinstance(error, IgnoreRequest):
        return "redirect_loop", str(error) or "too many redirects"
    if isinstance(error, ResponseFailed) and error.reasons:
        return describe(error.reasons[0].value)
    return type(error).__name__, str(error) or type(error).__name__


_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...] = (
    (PrivateAddressError, "private_address", ""),
    (internet.DNSLookupError, "dns", "the host's name cannot be resolved"),
    (
        (DownloadTimeoutError, internet.TimeoutError, DeferredTimeoutError, asyncio.TimeoutError),
        "timeout",
        "no answer in time",
    ),
    (internet.ConnectionRefusedError, "refused_connection", "the connection was refused"),
    (DownloadCancelledError, "too_large", "the response is larger than the limit"),
    ((internet.ConnectionLost, internet.ConnectionDone), "reset", "the connection was cut off"),
)
