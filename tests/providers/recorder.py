"""An HTTP server that keeps what it is sent and answers what it is told to."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType


class Taken(NamedTuple):
    """One request.  Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, as a gateway documents it."""

    status: int
    body: str = ""


class RecordingGateway:
    """
    On a free port of 127.0.0.1.

    Attributes:
        requests: What came.
        answer: What goes back.
        answers: What goes back from a path of its own.
    """

    def __init__(self) -> None:
        self.requests: list[Taken] = []
        self.answer = Answer(200)
        self.answers: dict[str, Answer] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> RecordingGateway:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                url = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0))).decode()
                gateway.requests.append(Taken(self.command, url.path, url.query, headers, body))
                answer = gateway.answers.get(url.path, gateway.answer)
                content = answer.body.encode()
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _take  # noqa: N815  # the names http.server calls

            def log_message(self, *_: object) -> None:
                """Not to stderr."""

        return Handler
