"""A stand-in for sipgate on loopback: HTTPS, with an XML-RPC parser."""

from __future__ import annotations

import base64
import threading
import xmlrpc.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.contract import PHONE, message
from radius_smsotp.providers.sipgate import Provider, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.providers.peers import Certificate

USER = "someone@example.org"
PASSWORD = "pass & wörd"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Not to stderr: that the other side goes is what some tests are about."""


class Sipgate:
    """sipgate as far as we use it: checks the password and keeps what it is asked to send."""

    secrets = (PASSWORD, BASIC.removeprefix("Basic "))

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self.calls: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.tunnels: list[str] = []
        self.answer: Callable[[str], tuple[int, dict[str, str], bytes]] = self.accept
        self.over = threading.Event()
        self.silent = False
        self._server = _Server(("127.0.0.1", 0), self._handler())
        context = certificate.server_context()
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def provider(self, **settings: Any) -> Provider:
        given = {
            "type": "sipgate",
            "username": USER,
            "password": PASSWORD,
            "url": f"https://localhost:{self.port}/RPC2",
            "ca_file": str(self.certificate.cert),
            **settings,
        }
        folder = self.certificate.cert.parent
        surroundings = Surroundings(folder=folder, smtp_servers={}, lock_folder=folder)
        return Provider("sms", Settings.model_validate(given), surroundings)

    def accept(self, _method: str) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, struct(StatusCode=200, StatusString="Method success", SessionID="4F00BA")

    def refuse(self) -> None:
        # What a careless server may repeat: all of it.
        told = f"no {PHONE} {message().text} {PASSWORD} {BASIC}"
        fault = xmlrpc.client.Fault(508, told)
        self.answer = lambda _: (200, {}, xmlrpc.client.dumps(fault).encode())

    def be_busy(self) -> None:
        self.answer = lambda _: (503, {"Retry-After": "7"}, b"closed for " + PHONE.encode())

    def go_away(self) -> None:
        self.answer = lambda _: (500, {}, b"closed for " + PHONE.encode())

    def fall_silent(self) -> None:
        self.silent = True

    def received(self) -> list[tuple[str, str]]:
        return [
            (struct["RemoteUri"].removeprefix("sip:").partition("@")[0], struct["Content"])
            for method, struct in self.calls
            if method == "samurai.SessionInitiate"
        ]

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sipgate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name http.server calls
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sipgate.headers.append(dict(self.headers))
                if self.headers["Authorization"] != BASIC:
                    self._send(401, {}, b"no " + self.headers["Authorization"].encode())
                    return
                parameters, method = xmlrpc.client.loads(body)
                if sipgate.silent:
                    sipgate.over.wait()
                status, headers, answer = sipgate.answer(method or "")
                if status == 200:
                    sipgate.calls.append((method or "", parameters[0] if parameters else None))
                self._send(status, headers, answer)

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not to stderr."""

        return Handler


def struct(**members: Any) -> bytes:
    return xmlrpc.client.dumps((members,), methodresponse=True, encoding="utf-8").encode()
