"""Servers on loopback that do as a test tells them, and certificates for them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Certificate(NamedTuple):
    """A certificate that signs itself, so that it is its own authority."""

    cert: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """For a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def make_certificate(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> Certificate:
    """Make a certificate with openssl for `names` (the value of subjectAltName)."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName={names}"]
    files = ["-keyout", str(made.key), "-out", str(made.cert)]
    subprocess.run([*command.split(), *subject, *files], check=True, capture_output=True)
    return made


class Stoppable(Protocol):
    """A server that runs from its making until it is stopped."""

    def stop(self) -> None:
        """Stop, and wait until it has stopped."""


class Peer:
    """
    A TCP server that runs `talk` for every connection, each in a thread.

    Whatever `talk` does with the socket is what the other side sees.  `over` is set when the
    server stops, for a `talk` that wants to wait as long as it lasts.
    """

    def __init__(self, talk: Callable[[socket.socket, threading.Event], None]) -> None:
        self.talk = talk
        self.over = threading.Event()
        self.seen = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.over.is_set():
                connection.close()
                return
            self.seen += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)  # whatever goes wrong, the test ends
            with suppress(OSError):  # the other side may go when it likes
                self.talk(connection, self.over)

    def stop(self) -> None:
        """Stop, and wait for every thread."""
        if not self.over.is_set():
            self.over.set()
            with socket.socket() as last:  # wakes the thread that accepts
                last.connect(("127.0.0.1", self.port))
            for thread in self._threads:
                thread.join()
            self._listener.close()


@contextmanager
def starting(make: Callable[..., Stoppable]) -> Iterator[Callable[..., Any]]:
    """Gives a function that starts what `make` makes; all of it is stopped at the end."""
    with ExitStack() as stack:

        def start(*arguments: Any, **named: Any) -> Stoppable:
            started = make(*arguments, **named)
            stack.callback(started.stop)
            return started

        yield start


def drip(connection: socket.socket, over: threading.Event, octet: bytes = b"2") -> None:
    """Send an octet every 50 ms, for ever: an ordinary time limit never ends that."""
    while not over.wait(0.05):
        connection.sendall(octet)


def closed_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
