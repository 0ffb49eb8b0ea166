"""RADIUS octet by octet (RFC 2865), and a client that sends whatever a test wants."""

from __future__ import annotations

import hmac
import itertools
import os
import socket
import struct
from dataclasses import dataclass, field
from hashlib import md5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECRET = "testing123"
"""Shared with every server of the tests."""

REQUEST, ACCEPT, REJECT, CHALLENGE, STATUS_SERVER = 1, 2, 3, 11, 12
KINDS = {ACCEPT: "Access-Accept", REJECT: "Access-Reject", CHALLENGE: "Access-Challenge"}

USER_NAME, USER_PASSWORD, NAS_PORT, REPLY_MESSAGE, STATE, SESSION_TIMEOUT = 1, 2, 5, 18, 24, 27
VENDOR_SPECIFIC, CALLED_STATION_ID, CALLING_STATION_ID, NAS_IDENTIFIER = 26, 30, 31, 32
PROXY_STATE = 33
MESSAGE_AUTHENTICATOR = 80

HEADER = struct.Struct("!BBH16s")
"""Code, identifier, length, authenticator: RFC 2865 section 3."""

PLACE = HEADER.size + 2
"""Where the signature stands, which goes first."""

PATIENCE = 20.0
"""Seconds."""

ACCESS_POINT = "02-00-00-00-00-FF"
"""How one names itself in `Called-Station-Id`, before the SSID."""


class NoReplyError(Exception):
    """There was none in time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What came back.

    Attributes:
        message: All `Reply-Message` attributes, joined.
        state: For the next request, if there was one.
        pairs: All attributes, by number.
    """

    kind: str
    message: str
    state: bytes | None
    pairs: tuple[tuple[int, bytes], ...] = field(compare=False, repr=False)

    def joined(self, number: int) -> bytes:
        """All attributes of a number, joined."""
        return b"".join(value for one, value in self.pairs if one == number)


def hidden(secret: bytes, authenticator: bytes, password: bytes) -> bytes:
    """RFC 2865 section 5.2: a password as it stands in `User-Password`."""
    padded = password.ljust(-(-max(len(password), 1) // 16) * 16, b"\0")
    found, before = b"", authenticator
    for place in range(0, len(padded), 16):
        mask = int.from_bytes(md5(secret + before).digest(), "big")
        plain = int.from_bytes(padded[place : place + 16], "big")
        before = (mask ^ plain).to_bytes(16, "big")
        found += before
    return found


def access_request(
    secret: bytes,
    attributes: Iterable[tuple[int, bytes]],
    *,
    signed: bool = True,
    identifier: int = 0,
    authenticator: bytes | None = None,
    code: int = REQUEST,
) -> bytes:
    """
    An Access-Request, or a packet of another kind that is signed like one.

    Args:
        attributes: Numbers and values; that of `USER_PASSWORD` is hidden here.
        signed: Whether Message-Authenticator goes first.
    """
    authenticator = authenticator or os.urandom(16)
    body = bytes((MESSAGE_AUTHENTICATOR, 18)) + bytes(16) if signed else b""
    for number, value in attributes:
        sent = hidden(secret, authenticator, value) if number == USER_PASSWORD else value
        body += bytes((number, len(sent) + 2)) + sent
    packet = HEADER.pack(code, identifier, HEADER.size + len(body), authenticator) + body
    if not signed:
        return packet
    # RFC 3579 section 3.2: over the whole packet, with zeros where the signature goes.
    return packet[:PLACE] + hmac.digest(secret, packet, "md5") + packet[PLACE + 16 :]


def attributes(packet: bytes) -> list[tuple[int, bytes]]:
    """Numbers and values of a packet."""
    pairs, place = [], HEADER.size
    while place < len(packet):
        number, length = packet[place], packet[place + 1]
        pairs.append((number, packet[place + 2 : place + length]))
        place += length
    return pairs


def vendor(number: int, kind: int, value: bytes) -> tuple[int, bytes]:
    """An attribute of a vendor's (RFC 2865 section 5.26)."""
    return VENDOR_SPECIFIC, number.to_bytes(4, "big") + bytes((kind, len(value) + 2)) + value


def answers(secret: bytes, request: bytes, reply: bytes) -> bool:
    """Whether a reply is one to this request: RFC 2865 section 3, the Response Authenticator."""
    right = md5(reply[:4] + request[4:20] + reply[20:] + secret).digest()
    return reply[1] == request[1] and reply[4:20] == right


def is_signed(secret: bytes, request: bytes, reply: bytes) -> bool:
    """
    Whether a reply carries the Message-Authenticator that RFC 3579 section 3.2 asks for, before all
    else: BlastRADIUS forges what nothing secret stands before.
    """
    numbers = [number for number, _ in attributes(reply)]
    if numbers.count(MESSAGE_AUTHENTICATOR) != 1 or numbers[0] != MESSAGE_AUTHENTICATOR:
        return False
    zeroed = reply[:4] + request[4:20] + reply[20:PLACE] + bytes(16) + reply[PLACE + 16 :]
    return hmac.digest(secret, zeroed, "md5") == reply[PLACE : PLACE + 16]


def exchange(
    port: int,
    packet: bytes,
    patience: float = PATIENCE,
    host: str = "127.0.0.1",
    attempts: int = 1,
    source: str = "",
) -> bytes | None:
    """
    Send a packet, from a port of its own; `source` is the address to send from.

    Args:
        patience: Seconds to wait for a reply, unless nobody is there who could send one; then it is
            sent again, so many times in all.

    Returns:
        The reply, None if there was none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(patience)
        line.bind((source, 0))
        line.connect((host, port))
        for _ in range(attempts):
            try:
                line.send(packet)
                return line.recv(4096)
            except (TimeoutError, ConnectionRefusedError):
                continue
    return None


class RadiusClient:
    """
    Asks one server; each request comes from a port of its own, so that threads may share it.

    Args:
        patience: Seconds to wait for a reply, each of `attempts` times.
        more: Attributes of each request.
        source: The address to ask from.

    Attributes:
        port: Whom it asks, which may come to be another.
    """

    def __init__(
        self,
        port: int,
        secret: str = SECRET,
        *,
        host: str = "127.0.0.1",
        patience: float = PATIENCE,
        attempts: int = 1,
        more: Sequence[tuple[int, bytes]] = (),
        source: str = "",
    ) -> None:
        self.port = port
        self.patience = patience
        self._secret = secret.encode()
        self._host = host
        self._attempts = attempts
        self._more = tuple(more)
        self._source = source
        self._identifiers = itertools.count()

    def ask(
        self,
        user: str | bytes = "alice",
        password: str | bytes = "",
        state: bytes | None = None,
        station: str = "",
        *,
        called: str = "",
        more: Sequence[tuple[int, bytes]] = (),
    ) -> Reply:
        """
        One Access-Request with a password.

        Raises:
            NoReplyError: No reply came in time.
        """
        pairs = [(USER_NAME, _octets(user)), (USER_PASSWORD, _octets(password))]
        for number, value in ((CALLING_STATION_ID, station), (CALLED_STATION_ID, called)):
            if value:
                pairs.append((number, value.encode()))
        if state is not None:
            pairs.append((STATE, state))
        return self.send([*pairs, *more])

    def send(self, pairs: Iterable[tuple[int, bytes]]) -> Reply:
        """One Access-Request with these attributes; it is signed, as the reply has to be."""
        identifier = next(self._identifiers) % 256
        packet = access_request(self._secret, [*pairs, *self._more], identifier=identifier)
        asked = (self.port, packet, self.patience, self._host, self._attempts)
        reply = exchange(*asked, self._source)
        if reply is None:
            raise NoReplyError(f"no reply from {self._host}:{self.port}")
        assert answers(self._secret, packet, reply), "not a reply to this request"
        assert is_signed(self._secret, packet, reply), "it is not signed, or not before all else"
        found = tuple(attributes(reply))
        message = b"".join(value for number, value in found if number == REPLY_MESSAGE)
        state = next((value for number, value in found if number == STATE), None)
        return Reply(KINDS[reply[0]], message.decode("utf-8", "replace"), state, found)


def _octets(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
