"""
One HTTP exchange: a request out, an answer or the reason for none back.

`Wire` does it; below are digest authentication, and the connections, which keep to time limits.
Nothing here reads environment variables or ``.netrc``, keeps cookies or follows redirects:
there is no `requests.Session`, only its adapter.
"""

from __future__ import annotations

import http.client
import io
import logging
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from radius_smsotp.errors import DeliveryError, Unavailable, Unknown
from radius_smsotp.providers import connection
from radius_smsotp.providers.http.answer import Answer
from radius_smsotp.providers.http.request import Request

BODY = 64 * 1024
"""Octets of an answer's body that are read; no SMS gateway has more to say."""

_FAULTS = (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError)
"""All that the libraries raise.  Their texts hold the URL, and so number and code."""

IDLE = 30.0
"""Seconds for which a connection is kept for the next message.  Firewalls forget about silent
connections after a minute or more, and then swallow what is sent without a word."""

CONNECTIONS = 64
"""Connections that are kept; as many as ``delivery.threads`` has by default."""


@dataclass(slots=True)
class Exchange:
    """
    How far one exchange has come.

    Attributes:
        limit: `time.monotonic()` seconds at which it ends.
        fresh: Its connection was opened for it.
        only_fresh: It must not use a connection that is open already.
        submitted: The request is written as a whole.
        sock: What it was written to.
    """

    limit: float
    fresh: bool = False
    only_fresh: bool = False
    submitted: bool = False
    sock: connection.Connection | None = None

    @property
    def answered(self) -> bool:
        """Whether the first octet of an answer is here."""
        return self.sock is not None and self.sock.allowance < connection.MOST


current: ContextVar[Exchange] = ContextVar("exchange")
"""The exchange that this thread is at.  Set by whoever uses an `Adapter`."""


class Wire:
    """The way to one gateway.  Used by several threads at once."""

    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        proxy: str | None = None,
        credentials: tuple[str, str] | None = None,
        *,
        digest: bool = False,
    ) -> None:
        """
        Args:
            context: Makes the TLS context, when it is first needed.  May raise OSError.
            proxy: URL of an HTTP proxy, with its user name and password.
            credentials: User name and password for the gateway.
            digest: Use them for digest authentication (RFC 7616), not for basic (RFC 7617).
        """
        self._make_context = context
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._auth: AuthBase | None = None
        if credentials and digest:
            self._auth = _Digest(*credentials)
        elif credentials:
            self._auth = HTTPBasicAuth(*(each.encode() for each in credentials))
        self._adapter: Adapter | None = None
        self._lock = threading.Lock()

    def exchange(self, request: Request, limit: float) -> Answer:
        """
        Send a request and read the answer.

        Args:
            request: What to send.
            limit: `time.monotonic()` seconds by which this has returned or raised.

        Raises:
            Unavailable: It was not sent.
            Unknown: It was sent, and no answer came.
        """
        exchange = Exchange(limit)
        token = current.set(exchange)
        try:
            return _read(self._send(request, exchange))
        except _FAULTS as error:
            fault = _fault(error, exchange)
        finally:
            current.reset(token)
        # Outside of `except`: the library's error holds the URL, and would come along.
        raise fault

    def close(self) -> None:
        """Close the connections that wait for the next message."""
        with self._lock:
            adapter, self._adapter = self._adapter, None
        if adapter:
            adapter.close()

    def _send(self, request: Request, exchange: Exchange) -> requests.Response:
        prepared = requests.Request(
            request.method, request.url, request.headers, data=request.body, auth=self._auth
        ).prepare()
        adapter = self._open()
        options: dict[str, Any] = {"stream": True, "proxies": self._proxies}
        options["timeout"] = connection.left(exchange.limit)
        try:
            response = adapter.send(prepared, **options)
        except _FAULTS as error:
            late = isinstance(_root(error), TimeoutError)
            if exchange.fresh or exchange.answered or late:
                raise
            # RFC 9112 9.5: a server may close a kept connection at any time.  This one was
            # closed without an octet of an answer, so the request was most likely never read;
            # and sending it again may be done (RFC 9110 9.2.2), as it is the same code.
            exchange.only_fresh = True
            response = adapter.send(prepared, **options)
        if isinstance(self._auth, _Digest):
            response = self._auth.handle_401(response, **options)
        return response

    def _open(self) -> Adapter:
        with self._lock:
            if self._adapter is None:
                self._adapter = Adapter(self._make_context())
            return self._adapter


def _read(response: requests.Response) -> Answer:
    raw = response.raw
    body = bytearray()
    fault = ""
    try:
        for part in raw.stream(8192, decode_content=False):
            body += part
            if len(body) >= BODY:
                raw.close()
                break
        raw.release_conn()
    except _FAULTS as error:
        raw.close()
        late = isinstance(_root(error), TimeoutError)
        fault = "it was not whole in time" if late else "the connection broke in the middle of it"
    plain = decompressed(bytes(body[:BODY]), response.headers.get("Content-Encoding", ""))
    return Answer(response.status_code, response.headers, plain, fault)


def decompressed(body: bytes, coding: str) -> bytes:
    """
    What `body` says if it is compressed, which nobody has asked for: the request says "identity".

    Some servers compress all the same, and an accepted message would be taken for a refused one.
    Where it is not what `coding` says, it is left as it is.
    """
    # RFC 9110 8.4.1; many send "deflate" without the header of zlib.
    kinds = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
    for kind in kinds.get(coding.strip().lower(), ()):
        with suppress(zlib.error):
            return zlib.decompressobj(kind).decompress(body, BODY)
    return body


def _fault(error: BaseException, exchange: Exchange) -> DeliveryError:
    root = _root(error)
    # With TLS 1.3, a server objects to our certificate when we have begun to write.
    alert = isinstance(root, ssl.SSLError) and "ALERT" in str(root.reason)
    if exchange.submitted and not (alert and not exchange.answered):
        return Unknown(f"the gateway got the message and gave no answer: {_reason(root)}")
    return Unavailable(f"the message was not sent: {_reason(root)}")


def _root(error: BaseException) -> BaseException:
    """The first of a chain of errors, which the libraries wrap in various ways."""
    for _ in range(20):
        below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        below = below or next((a for a in error.args if isinstance(a, BaseException)), None)
        if below is None:
            break
        error = below
    return error


def _reason(error: BaseException) -> str:
    """What happened, without the URL that the text of a library's error may hold."""
    if tunnel := re.match(r"Tunnel connection failed: (\d{3})", str(error)):
        return f"the proxy answered {tunnel[1]}"
    if isinstance(error, _ChallengeError):
        return str(error)
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed"
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return connection.reason(error)
    if isinstance(error, http.client.HTTPException):
        return "what came is not HTTP"
    return type(error).__name__


class _ChallengeError(ValueError):
    """Its text is safe to tell."""


class _Digest(HTTPDigestAuth):
    """RFC 7616, by `requests`, and safe against what a gateway may say."""

    def handle_401(self, r: requests.Response, **kwargs: Any) -> requests.Response:
        if r.status_code == 401 and "digest" in r.headers.get("WWW-Authenticate", "").lower():
            # This one was refused.  Its body would be read without limit, and is not needed.
            current.get().submitted = False
            r.raw.close()
            r.raw = io.BytesIO()
        response: requests.Response = super().handle_401(r, **kwargs)  # type: ignore[no-untyped-call]
        return response

    def build_digest_header(self, method: str, url: str) -> str:
        try:
            header: str | None = super().build_digest_header(method, url)  # type: ignore[no-untyped-call]
        except KeyError:
            header = None
        if header is None:
            raise _ChallengeError("it asks for a kind of digest authentication that is not known")
        return header


def _is_elsewhere(_: logging.LogRecord) -> bool:
    return current.get(None) is None


# urllib3 logs request targets, some at level WARNING, and they hold number and code.
for _name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_is_elsewhere)


class _Response(http.client.HTTPResponse):
    """
    An answer, behind all that a gateway may say in between.

    RFC 9110 15.2: any number of 1xx may come first.  `http.client` passes over 100 alone and would
    take 102 for the answer; the answer itself would then be that to the next message.
    """

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
        return version, http.client.CONTINUE if status < 200 else status, reason


class _Timed(HTTPConnection):
    """A connection that keeps to the time limit of the exchange it serves."""

    response_class = _Response
    _used_at = 0.0

    def _new_conn(self) -> connection.Connection:
        sock = connection.connect(self.host, self.port, current.get().limit)
        # Header and body are written one after the other: the second must not wait for the
        # first to be acknowledged.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self) -> None:
        current.get().fresh = True
        super().connect()

    @property
    def is_connected(self) -> bool:
        # The pool asks before it hands out a connection that was used before.
        stale = time.monotonic() - self._used_at > IDLE
        return super().is_connected and not stale and not current.get().only_fresh

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        exchange = current.get()
        exchange.sock = cast("connection.Connection", self.sock)
        exchange.sock.deadline, exchange.sock.allowance = exchange.limit, connection.MOST
        super().request(*args, **kwargs)
        exchange.submitted = True
        self._used_at = time.monotonic()


class _Tls(_Timed, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Timed


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


class Adapter(HTTPAdapter):
    """`requests` with connections of ours.  TLS is what `context` says, and nothing else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        if context.verify_mode == ssl.CERT_NONE:
            # It was asked for; a line on stderr for each connection changes nothing.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        super().__init__(pool_connections=2, pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        _use_our_connections(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)
        _use_our_connections(manager)
        return manager

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to set: the context has it all."""


def _use_our_connections(manager: Any) -> None:
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
