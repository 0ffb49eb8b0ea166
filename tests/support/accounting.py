"""A client that accounts (RFC 2866): Accounting-Requests, and what is answered."""

from __future__ import annotations

import hmac
import itertools
from hashlib import md5
from typing import TYPE_CHECKING

from tests.support.radius import (
    CALLING_STATION_ID,
    HEADER,
    MESSAGE_AUTHENTICATOR,
    SECRET,
    USER_NAME,
    answers,
    attributes,
    exchange,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

REQUEST, RESPONSE = 4, 5
START, STOP, INTERIM, ON = 1, 2, 3, 7
NAS_ADDRESS, FRAMED_ADDRESS = 4, 8
STATUS, DELAY, INPUT, OUTPUT, SESSION, TIME, CAUSE, IN_ROUNDS = 40, 41, 42, 43, 44, 46, 49, 52

_identifiers = itertools.count()


def number(value: int) -> bytes:
    """An integer as it travels."""
    return value.to_bytes(4, "big")


def told(
    status: int,
    session: str = "a1",
    user: bytes = b"alice",
    more: Iterable[tuple[int, bytes]] = (),
) -> list[tuple[int, bytes]]:
    """What a client tells of a session."""
    pairs = [(USER_NAME, user), (STATUS, number(status)), (SESSION, session.encode())]
    pairs += [(NAS_ADDRESS, bytes((127, 0, 0, 1))), (CALLING_STATION_ID, b"02-00-00-00-00-01")]
    pairs += [(FRAMED_ADDRESS, bytes((192, 0, 2, 9)))]
    if status == STOP:
        pairs += [(INPUT, number(1_500_000)), (OUTPUT, number(5)), (TIME, number(3700))]
        pairs += [(CAUSE, number(1)), (IN_ROUNDS, number(1))]
    return [*pairs, *more]


def account(
    port: int,
    pairs: Iterable[tuple[int, bytes]],
    secret: str = SECRET,
    *,
    signed: bool = False,
    patience: float = 20.0,
) -> dict[int, bytes] | None:
    """
    Send one Accounting-Request.

    Returns:
        The attributes of the response, whose authenticator is checked; None if there is none.
    """
    body = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in pairs)
    if signed:
        body = bytes((MESSAGE_AUTHENTICATOR, 18)) + bytes(16) + body
    head = HEADER.pack(REQUEST, next(_identifiers) % 256, HEADER.size + len(body), bytes(16))
    if signed:
        # RFC 3579 section 3.2, with an authenticator of zeros, as in the one of the packet.
        proof = hmac.digest(secret.encode(), head + body, "md5")
        body = body[:2] + proof + body[18:]
    # RFC 2866 section 3.
    packet = head[:4] + md5(head + body + secret.encode()).digest() + body
    reply = exchange(port, packet, patience)
    if reply is None:
        return None
    assert reply[0] == RESPONSE
    assert answers(secret.encode(), packet, reply)
    return dict(attributes(reply))
