"""An EAP client that sends whatever a test wants, in Access-Requests of its own."""

from __future__ import annotations

import io
import socket
from dataclasses import dataclass

from pyrad import client, dictionary, packet

from radius_smsotp.cli.radius_client import DICTIONARY, KINDS

IDENTITY, NAK, GTC = 1, 3, 6
RESPONSE = 2


def response(identifier: int, method: int, data: bytes) -> bytes:
    """A well-formed EAP response (RFC 3748 section 4.1)."""
    length = (5 + len(data)).to_bytes(2, "big")
    return bytes([RESPONSE, identifier]) + length + bytes([method]) + data


@dataclass(frozen=True)
class EapReply:
    """What came back: kind of RADIUS packet, EAP packet, State."""

    kind: str
    eap: bytes
    state: bytes | None

    @property
    def identifier(self) -> int:
        """Of the EAP packet."""
        return self.eap[1]

    @property
    def prompt(self) -> str:
        """Of a Request/GTC."""
        assert (self.eap[0], self.eap[4]) == (1, GTC), self.eap
        assert int.from_bytes(self.eap[2:4], "big") == len(self.eap)
        return self.eap[5:].decode()


class EapClient:
    """
    Speaks to a port of the loopback address.

    Args:
        more: Further attributes of each request, by number.
    """

    def __init__(self, port: int, secret: str, more: dict[int, bytes] | None = None) -> None:
        self._more = more or {}
        attributes = f"{DICTIONARY}ATTRIBUTE EAP-Message 79 octets\n"
        self._client = client.Client(
            server="127.0.0.1",
            authport=port,
            secret=secret.encode(),
            dict=dictionary.Dictionary(io.StringIO(attributes)),
            enforce_ma=True,
        )
        self._client.timeout = 20
        self._client.retries = 1
        self._client._SocketOpen()
        self._client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def send(self, eap: bytes, state: bytes | None = None, user: str = "alice") -> EapReply:
        """Send one packet, whose signature and that of the reply are checked."""
        request = self._client.CreateAuthPacket(code=packet.AccessRequest)
        request.add_message_authenticator()
        request["User-Name"] = user
        # RFC 3579 section 3.1: in attributes of 253 octets.
        request["EAP-Message"] = [eap[at : at + 253] for at in range(0, len(eap), 253)] or [b""]
        if state is not None:
            request["State"] = state
        for number, value in self._more.items():
            request[number] = [value]
        reply = self._client.SendPacket(request)
        eap = b"".join(reply.get("EAP-Message", []))
        return EapReply(KINDS[reply.code], eap, next(iter(reply.get("State", [])), None))

    def begin(self, user: str = "alice") -> EapReply:
        """The first round: a name, for the question for the PIN."""
        return self.send(response(7, IDENTITY, user.encode()), user=user)

    def answer(self, asked: EapReply, text: str | bytes, user: str = "alice") -> EapReply:
        """Answer a question."""
        data = text.encode() if isinstance(text, str) else text
        return self.send(response(asked.identifier, GTC, data), asked.state, user)
