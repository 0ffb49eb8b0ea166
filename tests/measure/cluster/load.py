"""Users who log in all the while, clients that turn to the other server, and a gateway for SMS."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.radius import NoReplyError
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.radius import RadiusClient, Reply

TYPES = (0.3, 3.0)
"""Seconds that users take to type a code."""

ELSEWHERE = 0.3
"""How many answer at the other server."""

ROUNDS = 2
"""How often a client asks each server, by turns: see `RadiusClient.patience` for how long."""

SMS_PATIENCE = 15.0
"""Seconds for which a user waits for the code."""


class Gateway:
    """Takes every message by HTTP: codes by transaction_id, each as often as it came."""

    def __init__(self, address: str) -> None:
        self.codes: dict[str, str] = {}
        self.counted: Counter[str] = Counter()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                gateway.codes[query["id"][0]] = query["code"][0]
                gateway.counted[query["id"][0]] += 1
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ID")

            def log_message(self, *_: Any) -> None:
                """It would be a line for each."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        url = f"http://{address}:{self._server.server_port}/"
        parameter = {"id": "{transaction_id}", "code": "{code}", "to": "{phone}"}
        self.settings = {
            "type": "http",
            "url": url,
            "http_method": "GET",
            "parameter": parameter,
            "return_success": "ID",
        }
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take nothing any more."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Login:
    """
    One login; times are `time.monotonic()`.

    Attributes:
        state: Of the challenge that its client was given; None before.
        server: Which of the two has accepted it, by its place; None before.
        failure: Why it has ended otherwise.
    """

    user: str
    state: str | None = None
    challenged_at: float | None = None
    server: int | None = None
    accepted_at: float | None = None
    failure: str | None = None


class Load:
    """
    Logins without end, each of a user who has not logged in before.

    Args:
        clients: One for each server; with the patience of a NAS.
        users: Their names.
        rate: Logins a second.
    """

    def __init__(
        self,
        clients: Sequence[RadiusClient],
        gateway: Gateway,
        users: Sequence[str],
        rate: float,
    ) -> None:
        self.logins: list[Login] = []
        self._every = 1 / rate
        self._clients = clients
        self._gateway = gateway
        self._users = users
        self._random = random.Random(20)
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._starter = threading.Thread(target=self._start_logins, daemon=True)
        self._starter.start()

    def stop(self) -> None:
        """Begin no login any more, and wait until all have ended."""
        self._ending.set()
        self._starter.join()
        for one in self._threads:
            one.join()

    def recover(self, number: int, seconds: float) -> None:
        """Wait until of the logins that begin from now on so many in a row have been accepted."""
        begun = len(self.logins)

        def has_recovered() -> bool:
            ended = [one for one in self.logins[begun:] if one.accepted_at or one.failure]
            return len(ended) >= number and all(one.accepted_at for one in ended[-number:])

        eventually(has_recovered, seconds)

    def _start_logins(self) -> None:
        begin = time.monotonic()
        for number, user in enumerate(self._users):
            login = Login(user)
            self.logins.append(login)
            first = number % 2
            second = 1 - first if self._random.random() < ELSEWHERE else first
            typing = self._random.uniform(*TYPES)
            whole = (login, first, second, typing)
            self._threads.append(threading.Thread(target=self._log_in, args=whole, daemon=True))
            self._threads[-1].start()
            if self._ending.wait(max(0.0, begin + (number + 1) * self._every - time.monotonic())):
                return
        raise AssertionError("there are no more users")

    def _log_in(self, login: Login, first: int, second: int, typing: float) -> None:
        try:
            reply, _ = self._ask(login.user, PIN, None, first)
            if reply.kind != "Access-Challenge" or reply.state is None:
                login.failure = f"first step: {reply.kind} {reply.message}"
                return
            login.challenged_at, login.state = time.monotonic(), reply.state.decode()
            code = self._code(login.state)
            if code is None:
                login.failure = "no SMS"
                return
            time.sleep(typing)
            reply, server = self._ask(login.user, code, reply.state, second)
            if reply.kind == "Access-Accept":
                login.accepted_at, login.server = time.monotonic(), server
            else:
                login.failure = f"second step: {reply.kind} {reply.message}"
        except NoReplyError:
            login.failure = "second step: no reply" if login.state else "first step: no reply"

    def _ask(self, user: str, password: str, state: bytes | None, server: int) -> tuple[Reply, int]:
        """Ask a server, then the other, and so on.  Returns the first reply, and whose it is."""
        for place in (server, 1 - server) * ROUNDS:
            with contextlib.suppress(NoReplyError):
                return self._clients[place].ask(user, password, state), place
        raise NoReplyError

    def _code(self, state: str) -> str | None:
        until = time.monotonic() + SMS_PATIENCE
        while time.monotonic() < until:
            if state in self._gateway.codes:
                return self._gateway.codes[state]
            time.sleep(0.05)
        return None
