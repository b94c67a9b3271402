"""A way to an object store that goes wrong as real ones do.

    with FlakyS3(store.endpoint) as flaky:
        flaky.fault = every(10, refused(500, "InternalError"))

It passes every call on as it came (the signature covers `Host`, so that is kept too) and every
answer as it is, unless `fault` gives another. `calls` has them all.
"""

from __future__ import annotations

import itertools
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.s3 import REGION

# Those that belong to one connection; the length is said anew.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}
_SIGNED_FOR = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/")
_WRITES = {"PUT", "POST", "DELETE"}


class Cut(Enum):
    """Where a connection is closed instead of the whole answer."""

    BEFORE = "the call is not passed on"
    MIDDLE = "half of the answer's body"
    AFTER = "the call was done, its answer is lost"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    # Whether the store is asked first, so that the answer belies what was done.
    is_too_late: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call; `path` has the query. `region` is the one its signature is made for."""

    n: int
    method: str
    path: str
    region: str | None
    status: int | None = None

    @property
    def writes(self) -> bool:
        return self.method in _WRITES


Fault = Callable[[Call], Answer | Cut | None]


def refused(
    status: int,
    code: str,
    message: str = "",
    *,
    extra: str = "",
    is_too_late: bool = False,
    **headers: str,
) -> Fault:
    """Answer as a store does: an XML document with a code."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code>'
        f"<Message>{message or code}</Message>{extra}<RequestId>0001</RequestId></Error>"
    ).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Answer(status, body, {"Content-Type": "application/xml", **named}, is_too_late)
    return lambda _: answer


def every(n: int, fault: Fault, *, of: Callable[[Call], bool] = lambda _: True) -> Fault:
    """Have each `n`-th of some calls go wrong."""
    count = itertools.count(1)
    lock = threading.Lock()

    def now_and_then(call: Call) -> Answer | Cut | None:
        if not of(call):
            return None
        with lock:
            turn = next(count)
        return fault(call) if turn % n == 0 else None

    return now_and_then


def cut(where: Cut) -> Fault:
    return lambda _: where


def server_error(*, is_too_late: bool = False) -> Fault:
    return refused(500, "InternalError", "We encountered an internal error. Please try again.",
                   is_too_late=is_too_late)  # fmt: skip


def slow_down() -> Fault:
    return refused(503, "SlowDown", "Please reduce your request rate.")


def expired_token() -> Fault:
    return refused(400, "ExpiredToken", "The provided token has expired.")


def skewed_clock() -> Fault:
    message = "The difference between the request time and the current time is too large."
    return refused(403, "RequestTimeTooSkewed", message)


def unknown_key() -> Fault:
    message = "The AWS Access Key Id you provided does not exist in our records."
    return refused(403, "InvalidAccessKeyId", message)


def no_bucket(bucket: str) -> Fault:
    message = "The specified bucket does not exist"
    return refused(404, "NoSuchBucket", message, extra=f"<BucketName>{bucket}</BucketName>")


def read_only() -> Fault:
    """Refuse what writes, as a policy does."""
    denied = refused(403, "AccessDenied", "Access Denied")
    return lambda call: denied(call) if call.writes else None


def lives_in(region: str) -> Fault:
    """Refuse what is signed for another region, as AWS does, and say which would be right."""
    wrong = refused(
        400,
        "AuthorizationHeaderMalformed",
        f"The authorization header is malformed; the region '{REGION}' is wrong; "
        f"expecting '{region}'",
        extra=f"<Region>{region}</Region>",
        x_amz_bucket_region=region,
    )
    return lambda call: wrong(call) if call.region != region else None


def moved_to(bucket: str, region: str) -> Fault:
    """Send everybody to the bucket's own region, as the endpoint of another one does."""
    endpoint = f"{bucket}.s3.{region}.amazonaws.com"
    message = "The bucket you are attempting to access must be addressed using its endpoint."
    return refused(301, "PermanentRedirect", message, extra=f"<Endpoint>{endpoint}</Endpoint>",
                   x_amz_bucket_region=region)  # fmt: skip


class FlakyS3:
    """The way to one store, on loopback; `fault` may be set while it is used."""

    def __init__(self, upstream: str):
        self.upstream = urlsplit(upstream)
        self.fault: Fault | None = None
        self.calls: list[Call] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def forget_calls(self) -> None:
        with self._lock:
            self.calls.clear()

    def refusals(self) -> list[Call]:
        """Return the calls that did not get the store's own answer."""
        return [call for call in self.calls if call.status is None]

    def number(self) -> int:
        with self._lock:
            return next(self._numbers)

    def note(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, flaky: FlakyS3):
        self.flaky = flaky
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: Any) -> None:
        pass  # clients that are killed hang up in the middle of things


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def _take(self) -> None:
        body = b"".join(_body(self))
        signed = _SIGNED_FOR.search(self.headers.get("Authorization", ""))
        call = Call(self.server.flaky.number(), self.command, self.path, signed and signed[1])
        fault = self.server.flaky.fault(call) if self.server.flaky.fault else None
        if fault is Cut.BEFORE:
            self.server.flaky.note(call)
            self._hang_up()
        elif isinstance(fault, Answer) and not fault.is_too_late:
            self.server.flaky.note(call)
            self._answer(fault.status, fault.headers.items(), fault.body)
        else:
            self._pass_on(call, body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _take  # noqa: N815 - http.server's names

    def _pass_on(self, call: Call, body: bytes, fault: Answer | Cut | None) -> None:
        status, headers, data = _asked(self.server.flaky.upstream.netloc, self, body)
        if fault is None:
            self.server.flaky.note(Call(call.n, call.method, call.path, call.region, status))
            self._answer(status, headers, data)
            return
        self.server.flaky.note(call)
        if isinstance(fault, Answer):
            self._answer(fault.status, fault.headers.items(), fault.body)
            return
        if fault is Cut.MIDDLE:
            self._answer(status, headers, data, only=len(data) // 2)
        self._hang_up()

    def _answer(
        self,
        status: int,
        headers: Iterable[tuple[str, str]],
        data: bytes,
        *,
        only: int | None = None,
    ) -> None:
        self.send_response_only(status)
        length = str(len(data))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if only is None else data[:only])

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        pass


def _body(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            yield handler.rfile.read(size)
            handler.rfile.readline()
        while handler.rfile.readline().strip():
            pass
    else:
        yield handler.rfile.read(int(handler.headers.get("Content-Length", 0)))


def _asked(
    upstream: str, handler: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Ask the store what the handler was asked; return its status, headers and whole body."""
    connection = HTTPConnection(upstream, timeout=60)
    try:
        connection.putrequest(
            handler.command, handler.path, skip_host=True, skip_accept_encoding=True
        )
        for name, value in handler.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                connection.putheader(name, value)
        if body or handler.command in {"PUT", "POST"}:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer: HTTPResponse = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()
