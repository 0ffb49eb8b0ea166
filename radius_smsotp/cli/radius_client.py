"""
A RADIUS client for two steps (RFC 2865), for `smsotp login` and `smsotp demo`.

Replies must be signed with Message-Authenticator (RFC 3579 section 3.2), as ours are.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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

LONGEST_TEXT = 253
"""Octets; RFC 2865 section 5."""

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
        self._client = _client(host, secret, authport=port, enforce_ma=True)
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
            ValueError: Something is longer than an attribute can hold.
        """
        request = _request(self._client, user, password)
        if state is not None:
            request["State"] = state
        if station:
            request[31] = [_octets(station, "a station", LONGEST_TEXT)]
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
            "".join(map(_text, reply.get("Reply-Message", []))),
            next(iter(reply.get("State", [])), None),
        )


def access_request(
    user: str, password: str, secret: str, address: str, more: Mapping[int, str]
) -> bytes:
    """
    An Access-Request, for whoever sends it in another way.

    Args:
        address: Of the client, IPv4, in the packet; "" to say none.
        more: Texts by their attribute's number.

    Raises:
        ValueError: Something is longer than an attribute can hold.
    """
    request = _request(_client("", secret), user, password)
    if address:
        request["NAS-IP-Address"] = address
    for number, text in more.items():
        request[number] = [_octets(text, "a text", LONGEST_TEXT)]
    return bytes(request.RequestPacket())


def _client(host: str, secret: str, **more: Any) -> client.Client:
    known = dictionary.Dictionary(io.StringIO(DICTIONARY))
    return client.Client(server=host, secret=_octets(secret), dict=known, **more)


def _request(maker: client.Client, user: str, password: str | bytes) -> packet.AuthPacket:
    """A signed request with name and password."""
    octets = _octets(password, "a password", LONGEST_PASSWORD)
    request = maker.CreateAuthPacket(code=packet.AccessRequest)
    request.add_message_authenticator()
    # By number: what was typed goes out as it is, UTF-8 or not.
    request[1] = [_octets(user, "a user name", LONGEST_TEXT)]
    request[2] = [request.PwCrypt(octets)]
    return request


def _octets(text: str | bytes, what: str = "a secret", longest: int | None = None) -> bytes:
    """What goes into a packet; an argument that is not UTF-8 has surrogates for its octets."""
    octets = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if longest is not None and len(octets) > longest:
        raise ValueError(f"{what} has at most {longest} octets")
    return octets


def _text(value: str | bytes) -> str:
    """What pyrad has made of a text: it leaves one that is not UTF-8 as it is."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
