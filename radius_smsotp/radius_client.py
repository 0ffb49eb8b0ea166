"""
A RADIUS client for two steps (RFC 2865), for `smsotp login` and `smsotp demo`.

Replies must be signed with Message-Authenticator (RFC 3579 section 3.2), as ours are.
"""

from __future__ import annotations

import io
import socket
from dataclasses import dataclass
from typing import Literal

from pyrad import client, dictionary, packet

from radius_smsotp.errors import SmsotpError

DICTIONARY = """
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 octets
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE Reply-Message 18 string
ATTRIBUTE State 24 octets
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Message-Authenticator 80 octets
"""
"""RFC 2865 section 5 and RFC 3579: the few attributes that a login shows."""

LONGEST_PASSWORD = 128
"""Octets; RFC 2865 section 5.2."""

Kind = Literal["Access-Accept", "Access-Reject", "Access-Challenge"]
KINDS: dict[int, Kind] = {
    packet.AccessAccept: "Access-Accept",
    packet.AccessReject: "Access-Reject",
    packet.AccessChallenge: "Access-Challenge",
}


class NoReplyError(SmsotpError):
    """The server did not answer, or not with this secret."""


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What came back.

    Attributes:
        message: All `Reply-Message` attributes, joined.
        state: For the next request, if there was one.
    """

    kind: Kind
    message: str
    state: bytes | None


class RadiusClient:
    """
    Sends Access-Requests to one server.

    Args:
        timeout: Seconds to wait for a reply, each of `attempts` times.
    """

    def __init__(
        self, host: str, port: int, secret: str, timeout: float = 10.0, attempts: int = 2
    ) -> None:
        self._where = f"{host}:{port}"
        self._client = client.Client(
            server=host,
            authport=port,
            secret=secret.encode(),
            dict=dictionary.Dictionary(io.StringIO(DICTIONARY)),
            enforce_ma=True,
        )
        self._client.timeout = timeout
        self._client.retries = attempts
        # pyrad sets SO_REUSEADDR, with which Linux may give two sockets the same port: of two
        # clients at once, one would get the replies of both.
        self._client._SocketOpen()
        self._client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def ask(
        self, user: str, password: str | bytes, state: bytes | None = None, station: str = ""
    ) -> Reply:
        """
        Send one Access-Request.

        Raises:
            NoReplyError: No valid reply came in time.
            ValueError: The password is longer than `LONGEST_PASSWORD`.
        """
        octets = password.encode() if isinstance(password, str) else password
        if len(octets) > LONGEST_PASSWORD:
            raise ValueError(f"a password has at most {LONGEST_PASSWORD} octets")
        request = self._client.CreateAuthPacket(code=packet.AccessRequest)
        request.add_message_authenticator()
        request["User-Name"] = user
        # By number: the client must not encode the octets of a password as text.
        request[2] = [request.PwCrypt(octets)]
        if state is not None:
            request["State"] = state
        if station:
            request["Calling-Station-Id"] = station
        try:
            reply = self._client.SendPacket(request)
        except client.Timeout:
            raise NoReplyError(
                f"no valid reply from {self._where}: is FreeRADIUS running there, is this "
                "address one of its clients, and is the secret the same?"
            ) from None
        except OSError as error:
            raise NoReplyError(f"{self._where} cannot be reached ({error.strerror})") from None
        return Reply(
            KINDS[reply.code],
            "".join(reply.get("Reply-Message", [])),
            next(iter(reply.get("State", [])), None),
        )
