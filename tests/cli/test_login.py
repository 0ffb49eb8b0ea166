"""``smsotp login`` against a server that answers whatever a test wants."""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
import subprocess
import threading
from typing import TYPE_CHECKING, Self

import pytest

from tests.cli.installation import PROGRAM, environ

if TYPE_CHECKING:
    from collections.abc import Sequence

CHALLENGE, REJECT = 11, 3
USER_NAME, REPLY_MESSAGE, STATE, STATION, SIGNATURE = 1, 18, 24, 31, 80
"""RFC 2865 section 5, RFC 3579 section 3.2."""

Attributes = list[tuple[int, bytes]]


class Server:
    """A RADIUS server that gives these replies, one to each request, and keeps what it was sent."""

    def __init__(self, *replies: tuple[int, Attributes], secret: bytes = b"geheim") -> None:
        self.requests: list[Attributes] = []
        self._replies, self._secret = replies, secret
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._socket.close()

    @property
    def options(self) -> list[str]:
        """How the program finds it."""
        return ["--server", f"127.0.0.1:{self._socket.getsockname()[1]}", "--timeout", "5"]

    def _serve(self) -> None:
        for code, attributes in self._replies:
            request, sender = self._socket.recvfrom(4096)
            self.requests.append(_attributes(request[20:]))
            body = b"".join(bytes([kind, len(text) + 2]) + text for kind, text in attributes)
            head = struct.pack("!BBH", code, request[1], 20 + len(body) + 18)
            unsigned = head + request[4:20] + body + bytes([SIGNATURE, 18]) + bytes(16)
            body += bytes([SIGNATURE, 18]) + hmac.digest(self._secret, unsigned, "md5")
            signed = head + request[4:20] + body + self._secret
            self._socket.sendto(head + hashlib.md5(signed).digest() + body, sender)


def _attributes(octets: bytes) -> Attributes:
    found = []
    while octets:
        found.append((octets[0], octets[2 : octets[1]]))
        octets = octets[octets[1] :]
    return found


def login(
    *arguments: str | bytes, answers: bytes = b"1234\n", secret: str | bytes | None = "geheim"
) -> subprocess.CompletedProcess[str]:
    """The program, which reads PIN and code from a pipe."""
    given: Sequence[str | bytes] = [] if secret is None else ["--secret", secret]
    done = subprocess.run(
        [*PROGRAM, "login", *arguments, *given],
        env=environ() | {"PYTHONIOENCODING": "utf-8:strict"},
        input=answers,
        capture_output=True,
        timeout=30,
        check=False,
    )
    text = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, *text)


def test_what_the_server_says_cannot_steer_the_terminal() -> None:
    evil = [(REPLY_MESSAGE, b"\x1b]0;title\x07Code: "), (STATE, b"\x1b[2J")]
    with Server((CHALLENGE, evil), (REJECT, [])) as server:
        done = login("alice", *server.options, answers=b"1234\n1\n")
    assert done.returncode == 1
    assert "Reply-Message = ?]0;title?Code:" in done.stdout
    assert "State = 0x1b5b324a" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_message_that_is_not_utf_8_is_shown_as_far_as_it_goes() -> None:
    with Server((REJECT, [(REPLY_MESSAGE, b"Pr\xfcfung")])) as server:
        done = login("alice", *server.options)
    assert (done.returncode, done.stderr) == (1, "")
    assert "Reply-Message = Pr\ufffdfung" in done.stdout


def test_what_is_typed_goes_out_as_it_is() -> None:
    """From a terminal that is set to Latin-1, where the secret is written so as well."""
    arguments = (b"m\xfcller", "--station", b"caf\xe9")
    with Server((REJECT, []), secret=b"gr\xfcn") as server:
        done = login(*arguments, *server.options, answers=b"\xe4\xf6\n", secret=b"gr\xfcn")
    assert (done.returncode, done.stderr) == (1, "")
    sent = dict(server.requests[0])
    assert (sent[USER_NAME], sent[STATION]) == (b"m\xfcller", b"caf\xe9")


@pytest.mark.parametrize(
    ("arguments", "answers", "fault"),
    [
        (["n" * 254], b"1234\n", "a user name has at most 253 octets"),
        (["alice", "--station", "s" * 254], b"1234\n", "a station has at most 253 octets"),
        (["alice"], b"1" * 129 + b"\n", "a password has at most 128 octets"),
        (["alice", "--timeout", "inf"], b"1234\n", "inf is not between 0 and 600"),
        (["alice", "--timeout", "nan"], b"1234\n", "nan is not between 0 and 600"),
        (["alice", "--timeout", "0"], b"1234\n", "0.0 is not between 0 and 600"),
        (["alice", "--timeout", "-1"], b"1234\n", "-1.0 is not between 0 and 600"),
    ],
)
def test_what_cannot_be_sent_is_wrong_usage_and_named(
    arguments: list[str], answers: bytes, fault: str
) -> None:
    done = login(*arguments, answers=answers)
    assert done.returncode == 2
    assert fault in done.stderr
    assert "PIN:" not in done.stderr


def test_without_a_terminal_the_pin_is_not_taken_for_the_secret() -> None:
    done = login("alice", secret=None)
    assert done.returncode == 2
    assert "Missing option '--secret'" in done.stderr
    assert done.stdout == ""
