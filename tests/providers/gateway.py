"""
An SMS gateway on loopback that takes HTTP requests and does with them as a test tells it.

`Gateway` records every request as it came; what it does then is a behaviour, one of the
functions at the end of this file or a test's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Behaviour = Callable[["Call"], None]


@dataclass(frozen=True)
class Received:
    """One request.  `connection` counts the connections of the gateway, from 1."""

    raw: bytes
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode(), keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Call:
    """A request that waits for its answer."""

    gateway: Gateway
    socket: socket.socket
    request: Received

    def answer(self, status: int = 200, body: str | bytes = "", **headers: str) -> None:
        """Answer as HTTP wants it; `headers` win, with ``_`` for ``-``."""
        octets = body.encode() if isinstance(body, str) else body
        fields = {"Content-Length": str(len(octets))}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{n}: {v}" for n, v in fields.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + octets)

    def hang_up(self) -> None:
        """Close the connection."""
        raise ConnectionAbortedError

    def wait(self) -> None:
        """Do nothing for as long as the gateway runs."""
        self.gateway.over.wait()

    def drip(self, octet: bytes) -> None:
        """Send `octet` every 50 ms, for ever: an ordinary time limit never ends that."""
        while not self.gateway.over.wait(0.05):
            self.socket.sendall(octet)


class Gateway:
    """
    Listens on a free port of 127.0.0.1, and serves every connection in a thread.

    Args:
        behaviour: What it does with a request; may be changed at any time as `behave`.
        tls: Makes it speak HTTPS.

    Attributes:
        instead: What it does with requests for one path.
    """

    def __init__(
        self, behaviour: Behaviour | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.behave = behaviour or answers(200, "ID: 4711")
        self.instead: dict[str, Behaviour] = {}
        self.requests: list[Received] = []
        self.connections = 0
        self.over = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, close every connection and wait for every thread."""
        self.over.set()
        self.refuse_connections()
        self.hang_up()
        for thread in self._threads:
            thread.join()

    def refuse_connections(self) -> None:
        """Stop listening; connections that are open stay so."""
        with suppress(OSError):  # a second time
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def hang_up(self) -> None:
        """Close every connection, as a gateway does that tires of waiting."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                serve = threading.Thread(target=self._serve, args=(connection, self.connections))
                self._threads.append(serve)
                with self._lock:
                    self._open.add(connection)
                serve.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        raw = connection
        try:
            connection.settimeout(20)  # whatever goes wrong, the test ends
            if self.over.is_set():
                return
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open ^= {raw, connection}
            while request := _read(connection, number):
                self.requests.append(request)
                behave = self.instead.get(request.path, self.behave)
                behave(Call(self, connection, request))
        except OSError:
            pass  # the other side may go when it likes
        finally:
            with self._lock:
                self._open -= {raw, connection}
            connection.close()


def _read(connection: socket.socket, number: int) -> Received | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        part = connection.recv(65536)
        if not part:
            return None
        raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    method, target, _ = first.split(" ")
    return Received(head + b"\r\n\r\n" + body, method, target, headers, body, number)


class Certificate(NamedTuple):
    """A certificate and its key, in PEM."""

    cert: Path
    key: Path


class Authority:
    """A certification authority of our own, made on the spot with openssl."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cert, self.key = folder / "ca.pem", folder / "ca.key"
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._openssl("req", "-x509", *self._new_key(self.key), "-out", self.cert, *usage)

    def issue(self, names: str = "DNS:localhost,IP:127.0.0.1") -> Certificate:
        """Issue a certificate for `names` (the value of subjectAltName)."""
        stem = hashlib.sha256(names.encode()).hexdigest()[:8]
        request, extensions = self._folder / f"{stem}.csr", self._folder / f"{stem}.ext"
        made = Certificate(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        extensions.write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n")
        self._openssl("req", *self._new_key(made.key), "-out", request)
        signing = ("-req", "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", 2)
        files = ("-in", request, "-out", made.cert, "-extfile", extensions)
        self._openssl("x509", *signing, *files)
        return made

    def server_context(self, certificate: Certificate, *, ask: bool = False) -> ssl.SSLContext:
        """For a gateway that shows `certificate` and, if it is to `ask`, wants one of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if ask:
            context.load_verify_locations(self.cert)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    @staticmethod
    def _new_key(path: Path) -> tuple[object, ...]:
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        return (*kind, "-subj", f"/CN={path.stem}", "-keyout", path)

    @staticmethod
    def _openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def answers(status: int = 200, body: str | bytes = "", **headers: str) -> Behaviour:
    """Answer always the same."""
    return lambda call: call.answer(status, body, **headers)


def stall(call: Call) -> None:
    """Read the request and say nothing."""
    call.wait()


def endless_headers(call: Call) -> None:
    """Send header fields for ever, as fast as they are read."""
    call.socket.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        call.socket.sendall(b"X-More: to come\r\n" * 1000)


def endless_line(call: Call) -> None:
    """Announce the size of a chunk, with digits for ever."""
    call.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        call.socket.sendall(b"0" * 65536)


def endless_trailers(call: Call) -> None:
    """Send a body, and header fields after it for ever."""
    call.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nID\r\n0\r\n")
    while True:
        call.socket.sendall(b"X-More: to come\r\n" * 1000)


def dripping_headers(call: Call) -> None:
    """Send a header that never ends, one octet at a time."""
    call.socket.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    call.drip(b"a")


def dripping_body(call: Call) -> None:
    """Send a body one octet at a time."""
    call.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nID: ")
    call.drip(b"4")


def huge_body(call: Call) -> None:
    """Send 100 MB, which begin with "ID"."""
    call.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nID")
    for _ in range(100):
        call.socket.sendall(bytes(1_000_000))


def broken_body(call: Call) -> None:
    """Close the connection in the middle of the answer."""
    call.socket.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"ID": ')
    call.hang_up()


def hang_up(call: Call) -> None:
    """Read the request and close the connection."""
    call.hang_up()


def basic(user: str, password: str) -> Behaviour:
    """Take only who logs in (RFC 7617, in UTF-8)."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def behave(call: Call) -> None:
        if call.request.headers.get("authorization") == wanted:
            call.answer(200, "ID: 4711")
        else:
            call.answer(401, f"not {password}", WWW_Authenticate='Basic realm="sms"')

    return behave


def digest(user: str, password: str, algorithm: str = "SHA-256") -> Behaviour:
    """Take only who answers the challenge (RFC 7616 3.4.1)."""
    algorithms = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}

    def hashed(*parts: str) -> str:
        return algorithms[algorithm](":".join(parts).encode()).hexdigest()

    def behave(call: Call) -> None:
        given = call.request.headers.get("authorization", "")
        fields = parse_keqv_list(parse_http_list(given.removeprefix("Digest ")))
        secret = hashed(user, "sms", password)
        request = hashed(call.request.method, call.request.target)
        counted = [fields.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")]
        if fields.get("response") == hashed(secret, *counted, request):
            call.answer(200, "ID: 4711")
        else:
            challenge = f'Digest realm="sms", nonce="n1", qop="auth", algorithm={algorithm}'
            call.answer(401, "log in", WWW_Authenticate=challenge)

    return behave


def proxy(call: Call) -> None:
    """Connect to where the request wants to go (RFC 9110 9.3.6), and pass everything on."""
    host, port = re.fullmatch(r"(.+):(\d+)", call.request.target).groups()
    with socket.create_connection((host, int(port))) as there:
        call.socket.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with suppress(OSError):
                while octets := source.recv(65536):
                    sink.sendall(octets)
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)

        back = threading.Thread(target=pump, args=(there, call.socket))
        back.start()
        pump(call.socket, there)
        back.join()
    call.hang_up()
