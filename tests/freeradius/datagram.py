"""RADIUS packets octet by octet (RFC 2865), for what no client library would send."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ACCEPT, REJECT, CHALLENGE = 2, 3, 11
USER_NAME, USER_PASSWORD, STATE, PROXY_STATE, MESSAGE_AUTHENTICATOR = 1, 2, 24, 33, 80

HEADER = struct.Struct("!BBH16s")
"""Code, identifier, length, authenticator: RFC 2865 section 3."""


def hidden(secret: bytes, authenticator: bytes, password: bytes) -> bytes:
    """RFC 2865 section 5.2: a password as it stands in `User-Password`."""
    padded = password.ljust(-(-max(len(password), 1) // 16) * 16, b"\0")
    blocks, before = [], authenticator
    for place in range(0, len(padded), 16):
        mask = hashlib.md5(secret + before).digest()
        before = bytes(a ^ b for a, b in zip(padded[place : place + 16], mask, strict=True))
        blocks.append(before)
    return b"".join(blocks)


def access_request(
    secret: bytes,
    attributes: Iterable[tuple[int, bytes]],
    *,
    signed: bool = True,
    identifier: int = 0,
    authenticator: bytes | None = None,
) -> bytes:
    """
    An Access-Request.

    Args:
        attributes: Numbers and values; that of `USER_PASSWORD` is hidden here.
        signed: Whether Message-Authenticator goes first.
    """
    authenticator = authenticator or os.urandom(16)
    pairs = [(MESSAGE_AUTHENTICATOR, bytes(16))] if signed else []
    for number, value in attributes:
        is_password = number == USER_PASSWORD
        pairs.append((number, hidden(secret, authenticator, value) if is_password else value))
    body = b"".join(bytes((number, len(value) + 2)) + value for number, value in pairs)
    packet = HEADER.pack(1, identifier, HEADER.size + len(body), authenticator) + body
    if not signed:
        return packet
    place = HEADER.size + 2
    # RFC 3579 section 3.2: over the whole packet, with zeros where the signature goes.
    return packet[:place] + hmac.digest(secret, packet, "md5") + packet[place + 16 :]


def attributes(packet: bytes) -> list[tuple[int, bytes]]:
    """Numbers and values of a packet."""
    pairs, place = [], HEADER.size
    while place < len(packet):
        number, length = packet[place], packet[place + 1]
        pairs.append((number, packet[place + 2 : place + length]))
        place += length
    return pairs


def is_signed(secret: bytes, request: bytes, reply: bytes) -> bool:
    """Whether a reply carries the Message-Authenticator that RFC 3579 section 3.2 asks for."""
    found = [value for number, value in attributes(reply) if number == MESSAGE_AUTHENTICATOR]
    if len(found) != 1:
        return False
    zeroed = reply[:4] + request[4:20] + reply[20:].replace(found[0], bytes(16), 1)
    return hmac.digest(secret, zeroed, "md5") == found[0]


def exchange(port: int, packet: bytes, patience: float = 20.0) -> bytes | None:
    """Send a packet to the loopback address.  Returns the reply, None if there was none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(patience)
        line.connect(("127.0.0.1", port))
        line.send(packet)
        try:
            return line.recv(4096)
        except TimeoutError:
            return None
