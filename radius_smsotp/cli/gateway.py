"""``smsotp gateway``: an SMS gateway that sends nothing, and shows each SMS on a page."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click

from radius_smsotp.cli.ending import LOOK_SECONDS, Ending
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import code

MOST_MESSAGES = 200
"""What the page shows; older ones are forgotten."""

MOST_OCTETS = 65_536
"""Of a request's body."""

POLL_SECONDS = 20.0
"""How long the page's question for news may wait for an answer."""

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # The page holds all it needs; nothing of it leaves for elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
}
"""Of every answer."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Sms:
    """A message as it was taken."""

    number: int
    to: str
    text: str
    time: str


class Inbox:
    """What has been taken, and who waits for more."""

    def __init__(self) -> None:
        self._messages: deque[Sms] = deque(maxlen=MOST_MESSAGES)
        self._changed = threading.Condition()
        self._last = 0

    def add(self, to: str, text: str) -> Sms:
        """Take a message."""
        with self._changed:
            self._last += 1
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            sms = Sms(self._last, to, text, now)
            self._messages.append(sms)
            self._changed.notify_all()
        return sms

    def after(self, number: int, patience: float) -> list[Sms]:
        """Messages later than one; waits so many seconds for the first of them."""
        until = time.monotonic() + patience
        with self._changed:
            while self._last == number:
                if not self._changed.wait(until - time.monotonic()):
                    return []
            # A page that was open while the gateway was started again knows a later number.
            start = number if number < self._last else 0
            return [one for one in self._messages if one.number > start]


class Gateway(ThreadingHTTPServer):
    """
    The server.

    Args:
        key: What a request to send must bring along; "" for nothing.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], key: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        self.inbox = Inbox()
        self.key = key
        self.page = (files(__package__) / "gateway.html").read_bytes()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing to say of a browser that was closed; the rest is told without values."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            click.echo(f"a request failed: {type(error).__name__}", err=True)


class _Handler(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"
    server_version = "smsotp"
    timeout = 2 * POLL_SECONDS

    def do_GET(self) -> None:  # the name that http.server calls
        """The page, what is new on it, or a message to send."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path == "/":
            self._answer(200, "text/html; charset=utf-8", self.server.page)
        elif url.path == "/messages":
            number = query.get("after", "0")
            if not number.isascii() or not number.isdecimal():
                self._json(400, {"error": "after is no number"})
                return
            found = self.server.inbox.after(int(number[:9]), POLL_SECONDS)
            self._json(200, [asdict(one) for one in found])
        elif url.path == "/send":
            self._send(query)
        else:
            self._json(404, {"error": "there is no such page"})

    def do_POST(self) -> None:  # the name that http.server calls
        """A message to send, as a form or as JSON."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_OCTETS:
            self.close_connection = True
            self._json(413, {"error": "the body is too long, or does not say how long it is"})
            return
        body = self.rfile.read(int(length))
        if urlsplit(self.path).path != "/send":
            self._json(404, {"error": "there is no such page"})
            return
        try:
            kind = self.headers.get_content_type()
            text = body.decode()
            said = json.loads(text) if kind == "application/json" else dict(parse_qsl(text))
        except ValueError:
            said = None
        self._send(said if isinstance(said, dict) else {})

    def _send(self, said: Mapping[str, Any]) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        given = given or str(said.get("key", ""))
        if self.server.key and not code.matches(given, self.server.key):
            self._json(401, {"error": "the key is wrong"})
            return
        to, text = said.get("to"), said.get("text")
        if not isinstance(to, str) or not isinstance(text, str) or not to or not text:
            self._json(400, {"error": "to and text are needed"})
            return
        sms = self.server.inbox.add(to, text)
        self._json(200, {"id": f"sms-{sms.number}"})

    def _json(self, status: int, value: object) -> None:
        body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        self._answer(status, "application/json; charset=utf-8", body)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        told = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (told | HEADERS).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Nothing: the address of a request may hold number and code."""


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:8025",
    show_default=True,
    metavar="HOST:PORT",
    help="Where.  Everybody who reaches it reads the codes.",
)
@click.option(
    "--key",
    metavar="KEY",
    envvar="SMSOTP_GATEWAY_KEY",
    default="",
    help="What the provider must bring along to send; $SMSOTP_GATEWAY_KEY keeps it out of the "
    "process list.",
)
def gateway(listen: str, key: str) -> None:
    """
    Be an SMS gateway that sends nothing, and shows each message on a page.

    The provider to it: {type: http, url: "http://127.0.0.1:8025/send", http_method: POST,
    parameter: {to: "{phone}", text: "{message}"}, message_id_json: id}.

    \b
    Example:
      smsotp gateway --listen 127.0.0.1:8025
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("write it as 127.0.0.1:8025", param_hint="--listen")
    # Process 1 of a container ends at no signal that it does not ask for.
    ending = Ending()
    try:
        server = Gateway((host, int(port)), key)
    except OSError as error:
        raise SmsotpError(f"cannot listen on {listen}: {error.strerror or error}") from None
    with server:
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"Open http://{shown}:{server.server_port} in a browser.")
        if host not in LOOPBACK:
            click.echo("Whoever can reach that address reads every code.", err=True)
        threading.Thread(target=server.serve_forever, args=(LOOK_SECONDS,), daemon=True).start()
        ending.come()
        server.shutdown()
