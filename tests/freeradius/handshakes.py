"""
A client that proves its password: CHAP (RFC 1994), MS-CHAP (RFC 2433), MS-CHAPv2 (RFC 2759).

The attributes are those of RFC 2865 section 5.3 and RFC 2548 section 2.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Literal

from Crypto.Cipher import ARC4, DES
from Crypto.Hash import MD4

from tests.support import radius
from tests.support.radius import (
    CALLING_STATION_ID,
    STATE,
    USER_NAME,
    VENDOR_SPECIFIC,
    RadiusClient,
    vendor,
)

Kind = Literal["chap", "mschap", "mschapv2"]

CHAP_PASSWORD, CHAP_CHALLENGE = 3, 60
MICROSOFT = 311
RESPONSE, ERROR, ENCRYPTED, CHALLENGE, RESPONSE2, SUCCESS2, CHANGE2 = 1, 2, 6, 11, 25, 26, 27
KEYS = {12, 16, 17}
"""Attributes of Microsoft (RFC 2548 section 2): the last, those with keys for MPPE."""

MAGIC = (
    b"Magic server to client signing constant",
    b"Pad to make it do more than one iteration",
)
"""RFC 2759 section 8.7."""


@dataclass(frozen=True)
class Reply:
    """
    What came back.

    Attributes:
        proved: The server has proved that it knows the password too (MS-CHAPv2).
        keys: There are keys for MPPE in it.
        error: MS-CHAP-Error, behind the octet that names the handshake.
        whole: All of it.
    """

    kind: str
    message: str
    state: bytes | None
    proved: bool
    keys: bool
    error: bytes = b""
    whole: radius.Reply | None = None


class HandshakeClient:
    """
    Speaks to a port of the loopback address.

    Attributes:
        identifier: One octet, by which a handshake is told from others.
    """

    def __init__(self, port: int, station: str = "192.0.2.7") -> None:
        self._client = RadiusClient(port)
        self._station = station.encode()
        self.identifier = b"\x05"

    def ask(
        self,
        kind: Kind,
        password: str,
        state: bytes | None = None,
        user: str = "alice",
        old: str | None = None,
    ) -> Reply:
        """
        One request; the signature of the reply is checked.

        Args:
            old: In its place `password` is to be from now on, with MS-CHAPv2.
        """
        pairs = [(USER_NAME, user.encode()), (CALLING_STATION_ID, self._station)]
        if state is not None:
            pairs.append((STATE, state))
        challenge, peer = os.urandom(16), os.urandom(16)
        if kind == "chap":
            digest = hashlib.md5(self.identifier + password.encode() + challenge).digest()
            pairs += [(CHAP_PASSWORD, self.identifier + digest), (CHAP_CHALLENGE, challenge)]
        elif kind == "mschap":
            proof = _proof(password, challenge[:8])
            told = self.identifier + b"\x01" + bytes(24) + proof
            pairs += [_microsoft(CHALLENGE, challenge[:8]), _microsoft(RESPONSE, told)]
        else:
            hashed = hashlib.sha1(peer + challenge + user.encode()).digest()[:8]
            proof = _proof(password, hashed)
            told = peer + bytes(8) + proof
            pairs.append(_microsoft(CHALLENGE, challenge))
            if old is None:
                pairs.append(_microsoft(RESPONSE2, self.identifier + b"\x00" + told))
            else:
                pairs += self._change(old, password, told)
        reply = self._client.send(pairs)
        # RFC 2865 section 5.26: type, length and value of what a vendor adds; one in each here.
        heads = MICROSOFT.to_bytes(4, "big")
        added = {
            value[4]: value[6:]
            for number, value in reply.pairs
            if number == VENDOR_SPECIFIC and value.startswith(heads)
        }
        return Reply(
            reply.kind,
            reply.message,
            reply.state,
            kind == "mschapv2"
            and added.get(SUCCESS2, b"")[1:] == _authenticator(password, proof, hashed),
            bool(KEYS & added.keys()),
            added.get(ERROR, b"")[1:],
            reply,
        )

    def _change(self, old: str, new: str, told: bytes) -> list[tuple[int, bytes]]:
        """Another password (RFC 2548 sections 2.1.7 and 2.3.4), and what proves it."""
        text = new.encode("utf-16-le")
        # RFC 2759 section 8.10.
        block = os.urandom(512 - len(text)) + text + len(text).to_bytes(4, "little")
        sealed = ARC4.new(_hash(old)).encrypt(block)
        key = _hash(new)
        halves = zip((_hash(old)[:8], _hash(old)[8:]), (key[:7], key[7:14]), strict=True)
        # RFC 2759 section 8.13.
        known = b"".join(_des(by).encrypt(half) for half, by in halves)
        parts = [sealed[at : at + 243] for at in range(0, len(sealed), 243)]
        return [
            _microsoft(CHANGE2, b"\x07" + self.identifier + known + told + bytes(2)),
            *(
                _microsoft(ENCRYPTED, b"\x06" + self.identifier + number.to_bytes(2, "big") + part)
                for number, part in enumerate(parts, 1)
            ),
        ]


def _microsoft(kind: int, value: bytes) -> tuple[int, bytes]:
    return vendor(MICROSOFT, kind, value)


def _hash(password: str) -> bytes:
    """RFC 2759 section 8.3."""
    return MD4.new(password.encode("utf-16-le")).digest()


def _proof(password: str, challenge: bytes) -> bytes:
    """RFC 2759 section 8.5: 24 octets."""
    key = _hash(password) + bytes(5)
    return b"".join(_des(key[at : at + 7]).encrypt(challenge) for at in (0, 7, 14))


def _des(octets: bytes) -> DES.DesCipher:
    """RFC 2759 section 8.6: a key of 56 bits, spread over eight octets."""
    bits = int.from_bytes(octets, "big")
    return DES.new(bytes((bits >> shift & 0x7F) << 1 for shift in range(49, -7, -7)), DES.MODE_ECB)


def _authenticator(password: str, proof: bytes, hashed: bytes) -> bytes:
    """RFC 2759 section 8.7: what only who knows the password can answer."""
    twice = MD4.new(_hash(password)).digest()
    digest = hashlib.sha1(twice + proof + MAGIC[0]).digest()
    return b"S=" + hashlib.sha1(digest + hashed + MAGIC[1]).hexdigest().upper().encode()
