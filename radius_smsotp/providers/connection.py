"""
TCP and TLS connections that end at a deadline, whatever the other side does.

The time limit of an ordinary socket starts anew with every octet that comes in, so a server that
sends one octet a second can hold a thread for ever.  Here the deadline holds for the whole
connection, and so does a limit on what is read from it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import ipaddress
import math
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from pathlib import Path
from typing import Any, TypeVar

from radius_smsotp.providers import Fault

MOST = 1 << 20
"""Octets that are read from one connection: no answer of a gateway comes near it."""

NEXT_AFTER = 0.25
"""Seconds after which the next address of a name is tried beside those that have not answered
(RFC 8305 5): IPv6 without a way out is common, and its addresses come first."""

T = TypeVar("T")

KEPT = 16
"""TLS contexts that are kept: few sites have as many gateways."""


class Connection(socket.socket):
    """
    A socket of which every operation ends at `deadline` with TimeoutError.

    Attributes:
        deadline: `time.monotonic()` seconds, or None for no limit.
        allowance: Octets that may still be read.
    """

    deadline: float | None = None
    allowance: int = MOST

    def recv_into(self, *arguments: Any) -> int:
        """As `socket.socket.recv_into`; raises ConnectionError beyond the allowance."""
        self._arm()
        count = super().recv_into(*arguments)
        self.allowance -= count
        if self.allowance < 0:
            raise ConnectionError("the answer is too long")
        return count

    def send(self, *arguments: Any) -> int:
        """As `socket.socket.send`."""
        self._arm()
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """As `socket.socket.sendall`."""
        self._arm()
        super().sendall(*arguments)

    def gettimeout(self) -> float | None:
        """As `socket.socket.gettimeout`: TLS takes it over for its handshake, one operation."""
        self._arm()
        return super().gettimeout()

    def _arm(self) -> None:
        if self.deadline is not None:
            self.settimeout(left(self.deadline))


class SecureConnection(Connection, ssl.SSLSocket):
    """The same under TLS."""


def left(deadline: float) -> float:
    """Seconds until `deadline`.  Raises TimeoutError if it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


def connect(host: str, port: int, deadline: float) -> Connection:
    """
    Open a TCP connection to the address of `host` that takes it first.

    Raises:
        OSError: No address of it took the connection; TimeoutError at the deadline.
    """
    addresses = list(_resolve(host, port, deadline))
    failure = OSError("the name has no address")
    under_way: dict[int, Connection] = {}
    poll = select.poll()
    next_at = 0.0
    try:
        while addresses or under_way:
            seconds = left(deadline)
            if addresses and (not under_way or time.monotonic() >= next_at):
                try:
                    connection = _begin(addresses.pop(0))
                except OSError as error:
                    failure = error
                    continue
                under_way[connection.fileno()] = connection
                poll.register(connection, select.POLLOUT)
                next_at = time.monotonic() + NEXT_AFTER
            if addresses:
                seconds = min(seconds, max(next_at - time.monotonic(), 0))
            for number, _ in poll.poll(math.ceil(seconds * 1000)):
                poll.unregister(number)
                connection = under_way.pop(number)
                code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    connection.deadline = deadline
                    connection._arm()
                    return connection
                connection.close()
                failure = OSError(code, os.strerror(code))
                next_at = 0.0
    finally:
        for connection in under_way.values():
            connection.close()
    raise failure


def _begin(address: tuple[Any, ...]) -> Connection:
    """
    Begin to connect to one address, as `socket.getaddrinfo` gives it.

    Raises:
        OSError: At once, as for IPv6 where the kernel has none: no fault of the other addresses.
    """
    family, kind, protocol, _, where = address
    connection = Connection(family, kind, protocol)
    connection.setblocking(False)
    code = connection.connect_ex(where)
    if code not in (0, errno.EINPROGRESS):
        connection.close()
        raise OSError(code, os.strerror(code))
    return connection


def secure(connection: Connection, host: str, context: ssl.SSLContext) -> SecureConnection:
    """
    Put TLS over a connection; the certificate must be valid and for `host`.

    Args:
        connection: Not to be used any more afterwards.
        host: Name or address.
        context: From `tls_context`.

    Raises:
        OSError: ssl.SSLCertVerificationError among others.
    """
    deadline, allowance = connection.deadline, connection.allowance
    secured = context.wrap_socket(connection, server_hostname=host)
    assert isinstance(secured, SecureConnection)  # noqa: S101  # for mypy: sslsocket_class is it
    secured.deadline, secured.allowance = deadline, allowance
    return secured


def tls_context(
    ca_file: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    *,
    verify: bool = True,
) -> ssl.SSLContext:
    """
    How certificates are checked, and which one is ours.  Not to be changed: others use it too.

    Args:
        ca_file: Certificates to trust, PEM; None for those of the system.
        cert: Our own certificate, PEM.
        key: Its key; None if `cert` holds it as well.
        verify: Whether the other side must prove who it is.

    Raises:
        OSError: A file cannot be read, or does not hold what it should.
    """
    system = ssl.get_default_verify_paths()
    files = (system.cafile, system.capath, ca_file, cert, key)
    return _tls_context(tuple(map(_stamp, files)), ca_file, cert, key, verify)


@functools.lru_cache(maxsize=KEPT)
def _tls_context(
    _: object, ca_file: Path | None, cert: Path | None, key: Path | None, verify: bool
) -> ssl.SSLContext:
    """
    Made once for all who ask for the same, until one of its files changes.

    The certificates of all CAs take 1.5 MB.  Made by another thread after each reading of the
    settings, they would come to lie in the memory of one thread after the other.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = SecureConnection
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert:
        # Without a function for it, OpenSSL asks for the passphrase on the terminal, and waits.
        context.load_cert_chain(cert, key, password=lambda: "")
    return context


def ca_faults(ca_file: Path | None) -> list[Fault]:
    """What is wrong with the setting ``ca_file``."""
    try:
        tls_context(ca_file)
    except OSError as error:
        fault = f"{ca_file} cannot be used ({reason(error)})"
        return [("ca_file", fault, "name a readable file of certificates (PEM)")]
    return []


def reason(error: OSError) -> str:
    """Why a connection failed, in words for the administrator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no reason given').replace('_', ' ').lower()}"
    # Numbers of getaddrinfo(3) are negative; those of the system have their own words, and
    # asyncio puts the address into the error's.
    number = error.errno or 0
    words = os.strerror(number) if number > 0 else error.strerror
    return (words or str(error) or type(error).__name__).lower()


def _stamp(path: str | Path | None) -> tuple[int, int, int] | None:
    """What changes when a file does."""
    try:
        status = Path(path).stat() if path else None
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_size, status.st_ino)


def _resolve(host: str, port: int, deadline: float) -> list[Any]:
    """The addresses of `host`, as `socket.getaddrinfo` gives them."""

    def ask() -> list[Any]:
        try:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label of no or more than 63 characters
            raise OSError("the name is not a host name") from None

    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return ask()
    # A resolver without network waits for up to half a minute (resolv.conf(5)).
    try:
        return in_time(ask, deadline, "smsotp-resolve")
    except TimeoutError:
        raise TimeoutError("no name server answered in time") from None
    except RuntimeError:
        raise OSError("no thread to look the name up") from None


def in_time(
    work: Callable[[], T], deadline: float, name: str, drop: Callable[[T], object] = lambda _: None
) -> T:
    """
    Do what cannot be interrupted, in a thread of its own.

    Args:
        deadline: `time.monotonic()` seconds.
        name: Of the thread.
        drop: Takes what comes too late.

    Raises:
        TimeoutError: It was not done in time.
        RuntimeError: The system gives no thread.
        Exception: Whatever `work` raises.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  # it belongs to who waits for it
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
            return
        if outcome.set_running_or_notify_cancel():
            outcome.set_result(result)
        else:
            drop(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        return outcome.result(max(deadline - time.monotonic(), 0))
    except LateError:
        if outcome.cancel():
            raise TimeoutError("it was not done in time") from None
        return outcome.result()  # it came at the last moment
