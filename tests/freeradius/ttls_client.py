"""A device that sends whatever a test wants inside a TTLS tunnel (RFC 5281)."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from tests.freeradius.eap_client import IDENTITY, NAK, EapClient, EapReply, response

if TYPE_CHECKING:
    from tests.freeradius.site import Radiusd

TTLS = 21
LENGTH, MORE = 0x80, 0x40
"""RFC 5281 section 9.1: flags."""
FRAGMENT = 1000


def avp(number: int, value: bytes) -> bytes:
    """One attribute (RFC 5281 section 10.1), mandatory."""
    length = 8 + len(value)
    head = number.to_bytes(4, "big") + b"\x40" + length.to_bytes(3, "big")
    return head + value + bytes(-length % 4)


class TtlsClient:
    """
    One conversation, at the port that access points ask.

    Args:
        more: Further attributes that the access point sends with each packet, by number.
    """

    def __init__(self, radiusd: Radiusd, secret: str, more: dict[int, bytes]) -> None:
        self._client = EapClient(radiusd.port, secret, more)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(radiusd.folder / "certs" / "smsotp" / "ca.pem")
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        reply = self._client.send(response(1, IDENTITY, b"anonymous"), user="anonymous")
        self._reply = self._send(reply, NAK, bytes([TTLS]))
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._exchange()
            else:
                break
        if self._out.pending:
            self._exchange()

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
            self._reply = self._send(self._reply, TTLS, bytes([flags]) + head + part)
        if not data:
            self._reply = self._send(self._reply, TTLS, b"\0")
        while self._reply.kind == "Access-Challenge":
            packet = self._reply.eap
            assert packet[4] == TTLS, packet
            flags = packet[5]
            self._in.write(packet[10 if flags & LENGTH else 6 :])
            if not flags & MORE:
                return
            self._reply = self._send(self._reply, TTLS, b"\0")

    def _send(self, asked: EapReply, method: int, data: bytes) -> EapReply:
        packet = response(asked.identifier, method, data)
        return self._client.send(packet, asked.state, user="anonymous")
