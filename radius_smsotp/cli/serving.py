"""
What answers over HTTP: one server, for the figures of Prometheus and for receipts of gateways.

uvicorn speaks HTTP.  Whoever is slow holds up nobody: a connection lasts for `LONGEST` seconds at
most, and there are `CONNECTIONS` of them; a body has `BODY` octets at most.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from radius_smsotp.cli.ending import Ending
from radius_smsotp.errors import SmsotpError
from radius_smsotp.server import fingerprint

log = logging.getLogger(__name__)

BODY = 262_144
"""Octets of a body at most: Infobip's hundred receipts take about 60,000."""

LONGEST = 30.0
"""Seconds that a connection lasts at most, whatever comes or does not."""

CONNECTIONS = 256
"""Connections at once; one more is closed."""

THREADS = 8
"""Requests that are worked on at once; the others wait for one of them."""

LOOK_SECONDS = 5.0
"""Between two looks at the certificate, which is renewed every few weeks."""

STOP_SECONDS = 10.0
"""For what has begun, at the end."""


@dataclass(frozen=True, slots=True)
class Request:
    """
    What came.

    Attributes:
        path: As it was sent, still escaped.
        query: What stands behind the question mark.
        headers: Names in lower case.
    """

    method: str
    path: str = field(repr=False)
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back."""

    status: int
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"


Answer = Callable[[Request], Response]


def address(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, int]:
    """Read ``HOST:PORT``."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise click.BadParameter("write HOST:PORT, as 127.0.0.1:9812 or [::1]:9812")
    return host.removeprefix("[").removesuffix("]"), int(port)


def options(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """
    The options of a command that serves.

    Args:
        default: Where it listens.
    """
    file = click.Path(path_type=Path)

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option(
                "--key", type=file, metavar="FILE", help="Its key, if it is another file."
            ),
            click.option(
                "--certificate",
                type=file,
                metavar="FILE",
                help="Speak TLS, with this certificate and what is above it (PEM); read again "
                "when it is renewed.",
            ),
            click.option(
                "--listen",
                metavar="HOST:PORT",
                default=default,
                show_default=True,
                callback=address,
                help="Where to answer; port 0 takes a free one.",
            ),
        ):
            command = option(command)
        return command

    return add


class _Bounded(H11Protocol):
    """A connection that ends, whoever is at its other side."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= CONNECTIONS:
            transport.abort()
            return
        super().connection_made(transport)
        self._ending = self.loop.call_later(LONGEST, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:
            self._ending.cancel()
            super().connection_lost(exc)


class Serving:
    """
    A server in a thread of its own.

    Args:
        answer: Called in a thread of several; what it raises is an answer too.
        listen: Host and port.
        certificate, key: For TLS, PEM.

    Attributes:
        place: Where it answers: ``https://HOST:PORT``.

    Raises:
        SmsotpError: It cannot listen there, or there is no TLS with those files.
    """

    def __init__(
        self,
        answer: Answer,
        listen: tuple[str, int],
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._answer = answer
        self._files = certificate, key
        self._pool = ThreadPoolExecutor(THREADS, "smsotp-http")
        self._config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=_Bounded,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_graceful_shutdown=int(STOP_SECONDS),
        )
        for name in ("uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # it quotes what came
        try:
            self._config.load()
        except (OSError, ssl.SSLError) as error:
            told = error.strerror or getattr(error, "reason", "") or type(error).__name__
            raise SmsotpError(f"{certificate}: no TLS with it and its key: {told}") from None
        self._seen = self._fingerprint()
        where = f"{listen[0]}:{listen[1]}"
        try:
            family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
            self._socket = socket.create_server(listen, family=family, backlog=CONNECTIONS)
        except OSError as error:
            raise SmsotpError(f"cannot listen on {where}: {error.strerror or error}") from None
        host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
        scheme = "https" if certificate else "http"
        self.place = f"{scheme}://{host}:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(self._config)
        run = partial(self._server.run, sockets=[self._socket])
        self._thread = threading.Thread(target=run, name="smsotp-serving", daemon=True)

    def until(self, ending: Ending, meanwhile: Callable[[], None] = lambda: None) -> None:
        """
        Answer until the end comes.

        Args:
            meanwhile: Called twice a second; does not raise.
        """
        self._thread.start()
        looked = time.monotonic()
        while not ending.look():
            meanwhile()
            if not self._thread.is_alive():
                raise SmsotpError("the server has ended by itself")
            if time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                self._read_certificate()
        self._server.should_exit = True
        self._thread.join(2 * STOP_SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fingerprint(self) -> tuple[object, ...]:
        return sum((fingerprint(file) for file in self._files if file is not None), ())

    def _read_certificate(self) -> None:
        """Use a certificate that has been renewed; of who is connected nobody notices."""
        certificate, key = self._files
        now = self._fingerprint()
        if now == self._seen or certificate is None or self._config.ssl is None:
            return
        self._seen = now
        try:
            # First elsewhere: one that does not go with its key would stay in use without it.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
            self._config.ssl.load_cert_chain(certificate, key)
            log.info("the certificate was read again")
        except (OSError, ssl.SSLError):
            # One of the two may have been written already: the next look sees the other.
            log.warning("%s: no TLS with it and its key; the one before stays in use", certificate)

    async def _app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """One request (ASGI 3)."""
        if scope["type"] != "http":
            return
        body, more = bytearray(), True
        while more and len(body) <= BODY:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            more = event.get("more_body", False)
        response = Response(413)
        if len(body) <= BODY:
            headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
            request = Request(
                scope["method"],
                scope["raw_path"].decode("latin-1"),
                scope["query_string"].decode("latin-1"),
                {name: value.decode("latin-1") for name, value in headers.items()},
                bytes(body),
            )
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(self._pool, self._answered, request)
        kind = [(b"content-type", response.kind.encode())] if response.body else []
        length = (b"content-length", str(len(response.body)).encode())
        # One request each: then a connection that has come to its end was a slow one.
        close = (b"connection", b"close")
        start = {"type": "http.response.start", "status": response.status}
        await send({**start, "headers": [*kind, length, close]})
        await send({"type": "http.response.body", "body": response.body})

    def _answered(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except Exception as error:  # noqa: BLE001  # the next request is another one
            # The type only: the text may hold what came.
            log.error("answering a request met %s", type(error).__name__)
            return Response(500)
