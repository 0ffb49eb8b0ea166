"""
The connections of provider ``http``: `requests`, with a time limit that holds for all of it.

`requests` limits the time for each single read.  A gateway that sends one octet a second would
hold a thread for hours, and one whose headers do not end would take all memory.  So it gets
connections from `radius_smsotp.providers.connection` here, which keep to a deadline and read a
bounded amount.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from radius_smsotp.providers import connection

if TYPE_CHECKING:
    from pathlib import Path

IDLE = 30.0
"""Seconds for which a connection is kept for the next message.  Firewalls forget about silent
connections after a minute or more, and then swallow what is sent without a word."""

CONNECTIONS = 64
"""Connections that are kept; as many as ``delivery.threads`` has by default."""


@dataclass(slots=True)
class Attempt:
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


current: ContextVar[Attempt] = ContextVar("attempt")
"""The attempt that this thread is at.  Set by whoever uses an `Adapter`."""


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
    """A connection that keeps to the time limit of the attempt it serves."""

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
        attempt = current.get()
        attempt.sock = cast("connection.Connection", self.sock)
        attempt.sock.deadline, attempt.sock.allowance = attempt.limit, connection.MOST
        super().request(*args, **kwargs)
        attempt.submitted = True
        self._used_at = time.monotonic()


class _Plain(_Timed):
    pass


class _Tls(_Timed, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


class _SecureConnection(connection.SecureConnection):
    def do_handshake(self, block: bool = False) -> None:
        if attempt := current.get(None):
            self.settimeout(connection.left(attempt.limit))
        super().do_handshake(block)


@connection.kept
def tls_context(
    ca_file: Path | None, cert: Path | None, key: Path | None, *, verify: bool
) -> ssl.SSLContext:
    """
    TLS as the settings want it.

    Args:
        ca_file: Certificates to trust; else those of the system.
        cert: Our own certificate, in PEM.
        key: Its key; None if `cert` holds it as well.
        verify: Whether the gateway must prove who it is.

    Raises:
        OSError: A file cannot be read or used.
    """
    context = connection.make_tls_context(ca_file, verify=verify)
    context.sslsocket_class = _SecureConnection
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    if cert:
        # Without a function for it, OpenSSL asks for the passphrase on the terminal, and waits.
        context.load_cert_chain(cert, key, password=lambda: "")
    return context


class Adapter(HTTPAdapter):
    """`requests` with connections of ours.  TLS is what `context` says, and nothing else."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
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
