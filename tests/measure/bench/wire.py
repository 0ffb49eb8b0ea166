"""RADIUS as the bench speaks it (RFC 2865): PAP, State and Message-Authenticator, nothing else."""

from __future__ import annotations

import hmac
import struct
from hashlib import md5
from typing import NamedTuple

ACCESS_REQUEST = 1
ACCESS_ACCEPT = 2
ACCESS_CHALLENGE = 11

USER_NAME = 1
USER_PASSWORD = 2
STATE = 24
MESSAGE_AUTHENTICATOR = 80

HEADER = struct.Struct("!BBH16s")
"""Code, identifier, length, authenticator: RFC 2865 section 3."""

LONGEST_PASSWORD = 16
"""Octets: one block of RFC 2865 section 5.2 is enough for a PIN or a code."""


class Reply(NamedTuple):
    """Its code, and `State` or b""."""

    code: int
    state: bytes


def access_request(
    secret: bytes, identifier: int, authenticator: bytes, user: bytes, password: bytes, state: bytes
) -> bytes:
    """A signed Access-Request, with `State` if there is one."""
    attributes = b"".join(
        (
            # First: the signature stands after the header and two octets of its own.
            _attribute(MESSAGE_AUTHENTICATOR, bytes(16)),
            _attribute(USER_NAME, user),
            _attribute(USER_PASSWORD, _hidden(secret, authenticator, password)),
            _attribute(STATE, state) if state else b"",
        )
    )
    length = HEADER.size + len(attributes)
    packet = HEADER.pack(ACCESS_REQUEST, identifier, length, authenticator) + attributes
    # RFC 3579 section 3.2: over the whole packet, with zeros where the signature goes.
    signature = hmac.digest(secret, packet, "md5")
    place = HEADER.size + 2
    return packet[:place] + signature + packet[place + 16 :]


def read_reply(secret: bytes, identifier: int, authenticator: bytes, packet: bytes) -> Reply:
    """
    Read the reply to the request that had this identifier and authenticator.

    Raises:
        ValueError: It is no reply to that request, or not signed with this secret.
    """
    # RFC 2865 section 3: the Response Authenticator.
    signed = md5(packet[:4] + authenticator + packet[HEADER.size :] + secret).digest()
    if packet[1] != identifier or packet[4 : HEADER.size] != signed:
        raise ValueError("not a reply to this request")
    state = b""
    place = HEADER.size
    while place < len(packet):
        kind, length = packet[place], packet[place + 1]
        if kind == STATE:
            state = packet[place + 2 : place + length]
        place += length
    return Reply(packet[0], state)


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def _hidden(secret: bytes, authenticator: bytes, password: bytes) -> bytes:
    """RFC 2865 section 5.2: the password, XORed with MD5(secret + authenticator)."""
    if len(password) > LONGEST_PASSWORD:
        raise ValueError(f"the bench sends passwords of at most {LONGEST_PASSWORD} octets")
    mask = int.from_bytes(md5(secret + authenticator).digest(), "big")
    plain = int.from_bytes(password.ljust(LONGEST_PASSWORD, b"\0"), "big")
    return (plain ^ mask).to_bytes(LONGEST_PASSWORD, "big")
