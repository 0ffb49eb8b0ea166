"""
EAP in RADIUS (RFC 3579): a client that sends whatever a test wants, in Access-Requests of its own
or inside a TTLS tunnel (RFC 5281).
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.radius import SECRET, STATE, USER_NAME, RadiusClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.freeradius import Radiusd

EAP_MESSAGE = 79
LONGEST = 253
"""Octets of an attribute: RFC 3579 section 3.1."""

IDENTITY, NAK, GTC, TTLS, PEAP, MSCHAPV2 = 1, 3, 6, 21, 25, 26
RESPONSE = 2
LENGTH, MORE = 0x80, 0x40
"""RFC 5281 section 9.1: flags."""
FRAGMENT = 1000


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
        more: Further attributes of each request.
    """

    def __init__(
        self, port: int, secret: str = SECRET, more: Sequence[tuple[int, bytes]] = ()
    ) -> None:
        self._client = RadiusClient(port, secret, more=more)

    def send(self, eap: bytes, state: bytes | None = None, user: str | bytes = "alice") -> EapReply:
        """Send one packet, whose signature and that of the reply are checked."""
        parts = [eap[at : at + LONGEST] for at in range(0, len(eap), LONGEST)] or [b""]
        name = user if isinstance(user, bytes) else user.encode()
        pairs = [(USER_NAME, name), *((EAP_MESSAGE, part) for part in parts)]
        if state is not None:
            pairs.append((STATE, state))
        reply = self._client.send(pairs)
        return EapReply(reply.kind, reply.joined(EAP_MESSAGE), reply.state)

    def begin(self, user: str = "alice") -> EapReply:
        """The first round: a name, for the question for the PIN."""
        return self.send(response(7, IDENTITY, user.encode()), user=user)

    def answer(self, asked: EapReply, text: str | bytes, user: str = "alice") -> EapReply:
        """Answer a question."""
        data = text.encode() if isinstance(text, str) else text
        return self.send(response(asked.identifier, GTC, data), asked.state, user)


def avp(number: int, value: bytes, vendor: int = 0) -> bytes:
    """One attribute (RFC 5281 section 10.1), mandatory."""
    own = vendor.to_bytes(4, "big") if vendor else b""
    length = 8 + len(own) + len(value)
    flags = b"\xc0" if vendor else b"\x40"
    head = number.to_bytes(4, "big") + flags + length.to_bytes(3, "big") + own
    return head + value + bytes(-length % 4)


def hello() -> bytes:
    """With which a device begins TLS, as the data of EAP-TTLS or PEAP."""
    said = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said).do_handshake()
    data = said.read()
    return bytes([LENGTH]) + len(data).to_bytes(4, "big") + data


class TtlsClient:
    """
    One conversation, at the port that access points ask.

    Args:
        more: Further attributes that the access point sends with each packet.
    """

    method = TTLS

    def __init__(self, radiusd: Radiusd, more: Sequence[tuple[int, bytes]] = ()) -> None:
        self._client = EapClient(radiusd.port, more=more)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(radiusd.folder / "certs" / "smsotp" / "ca.pem")
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        reply = self._client.send(response(1, IDENTITY, b"anonymous"), user="anonymous")
        self._reply = reply
        if reply.eap[4] != self.method:
            self._reply = self._send(reply, NAK, bytes([self.method]))
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
            else:
                break
        if self._out.pending or self.method == PEAP:
            self._exchange()

    def heard(self) -> bytes:
        """What has come through the tunnel."""
        found = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            found = self._tls.read()
        return found

    def ask(self, *avps: bytes) -> EapReply:
        """Send attributes through the tunnel.  Returns what the access point hears."""
        self._tls.write(b"".join(avps))
        self._exchange()
        return self._reply

    def _exchange(self) -> None:
        """Send what TLS has to say, and take what it is answered."""
        data = self._out.read()
        for at in range(0, len(data), FRAGMENT):
            part = data[at : at + FRAGMENT]
            flags, head = (MORE if at + FRAGMENT < len(data) else 0), b""
            if at == 0:
                flags, head = flags | LENGTH, len(data).to_bytes(4, "big")
            self._reply = self._send(self._reply, self.method, bytes([flags]) + head + part)
        if not data:
            self._reply = self._send(self._reply, self.method, b"\0")
        while self._reply.kind == "Access-Challenge":
            packet = self._reply.eap
            assert packet[4] == self.method, packet
            flags = packet[5]
            self._in.write(packet[10 if flags & LENGTH else 6 :])
            if not flags & MORE:
                return
            self._reply = self._send(self._reply, self.method, b"\0")

    def _send(self, asked: EapReply, method: int, data: bytes) -> EapReply:
        packet = response(asked.identifier, method, data)
        return self._client.send(packet, asked.state, user="anonymous")


class PeapClient(TtlsClient):
    """The same with PEAP: what goes through the tunnel is EAP without code, identifier, length."""

    method = PEAP
