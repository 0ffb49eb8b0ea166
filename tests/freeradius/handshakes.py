"""
A client that proves its password: CHAP (RFC 1994), MS-CHAP (RFC 2433), MS-CHAPv2 (RFC 2759).

The attributes are those of RFC 2865 section 5.3 and RFC 2548 section 2.
"""

from __future__ import annotations

import hashlib
import io
import os
import socket
from dataclasses import dataclass
from typing import Literal

from Crypto.Cipher import DES
from Crypto.Hash import MD4
from pyrad import client, dictionary, packet

from radius_smsotp.cli.radius_client import DICTIONARY, KINDS
from tests.freeradius.site import SECRET

Kind = Literal["chap", "mschap", "mschapv2"]

MICROSOFT = """
ATTRIBUTE CHAP-Password 3 octets
ATTRIBUTE CHAP-Challenge 60 octets
VENDOR Microsoft 311
BEGIN-VENDOR Microsoft
ATTRIBUTE MS-CHAP-Response 1 octets
ATTRIBUTE MS-CHAP-Error 2 octets
ATTRIBUTE MS-CHAP-Challenge 11 octets
ATTRIBUTE MS-CHAP-MPPE-Keys 12 octets
ATTRIBUTE MS-MPPE-Send-Key 16 octets
ATTRIBUTE MS-MPPE-Recv-Key 17 octets
ATTRIBUTE MS-CHAP2-Response 25 octets
ATTRIBUTE MS-CHAP2-Success 26 octets
END-VENDOR Microsoft
"""
KEYS = ("MS-CHAP-MPPE-Keys", "MS-MPPE-Send-Key", "MS-MPPE-Recv-Key")
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
    """

    kind: str
    message: str
    state: bytes | None
    proved: bool
    keys: bool
    error: bytes = b""


class HandshakeClient:
    """
    Speaks to a port of the loopback address.

    Attributes:
        identifier: One octet, by which a handshake is told from others.
    """

    def __init__(self, port: int, station: str = "192.0.2.7") -> None:
        self._client = client.Client(
            server="127.0.0.1",
            authport=port,
            secret=SECRET.encode(),
            dict=dictionary.Dictionary(io.StringIO(DICTIONARY + MICROSOFT)),
            enforce_ma=True,
        )
        self._client.timeout = 20
        self._client.retries = 1
        self._client._SocketOpen()
        self._client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self._station = station
        self.identifier = b"\x05"

    def ask(
        self, kind: Kind, password: str, state: bytes | None = None, user: str = "alice"
    ) -> Reply:
        """One request; the signature of the reply is checked."""
        request = self._client.CreateAuthPacket(code=packet.AccessRequest)
        request.add_message_authenticator()
        request["User-Name"] = user
        request["Calling-Station-Id"] = self._station
        if state is not None:
            request["State"] = state
        challenge, peer = os.urandom(16), os.urandom(16)
        if kind == "chap":
            digest = hashlib.md5(self.identifier + password.encode() + challenge).digest()
            request["CHAP-Password"] = self.identifier + digest
            request["CHAP-Challenge"] = challenge
        elif kind == "mschap":
            proof = _proof(password, challenge[:8])
            request["MS-CHAP-Challenge"] = challenge[:8]
            request["MS-CHAP-Response"] = self.identifier + b"\x01" + bytes(24) + proof
        else:
            hashed = hashlib.sha1(peer + challenge + user.encode()).digest()[:8]
            proof = _proof(password, hashed)
            request["MS-CHAP-Challenge"] = challenge
            request["MS-CHAP2-Response"] = self.identifier + b"\x00" + peer + bytes(8) + proof
        reply = self._client.SendPacket(request)
        told = b"".join(reply.get("MS-CHAP2-Success", []))
        return Reply(
            KINDS[reply.code],
            "".join(reply.get("Reply-Message", [])),
            next(iter(reply.get("State", [])), None),
            kind == "mschapv2" and told[1:] == _authenticator(password, proof, hashed),
            any(name in reply for name in KEYS),
            b"".join(reply.get("MS-CHAP-Error", []))[1:],
        )


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
