"""Provider ``snpp``: the Simple Network Paging Protocol (RFC 1861), level one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radius_smsotp.errors import DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import (
    TUNNEL,
    BaseProvider,
    Fault,
    Message,
    ProviderSettings,
    Receipt,
    is_loopback,
)
from radius_smsotp.providers.connection import Connection, connect, reason


class Settings(ProviderSettings):
    """Settings of an ``snpp`` provider: what is not among them is told as for every other."""

    type: Literal["snpp"]
    host: str = Field(min_length=1, description="name or address of the server")
    port: int = Field(444, ge=1, le=65535, description="its TCP port")


class Provider(BaseProvider[Settings]):
    """Sends through one server, with a connection for each message."""

    def _faults(self, limit: float) -> list[Fault]:
        """Look whether the server is there."""
        try:
            self._greeted(limit).close()
        except DeliveryError as error:
            return [("host", str(error), "see that it runs, and that this host may reach it")]
        return []

    def _weaknesses(self, here: str) -> list[Fault]:
        """The protocol has no TLS."""
        if is_loopback(self._settings.host):
            return []
        return [(f"{here}.host", "messages go there in plain text", TUNNEL)]

    def _send(self, message: Message, limit: float) -> Receipt:
        """Three lines, each of which has to be agreed to."""
        text = " ".join(message.text.split())  # 4.5.3: one line
        with self._greeted(limit) as line:
            ask(line, f"PAGE {message.phone.lstrip('+')}")
            ask(line, f"MESS {text}")
            try:
                ask(line, "SEND")
            except Unavailable as error:
                # It may have been sent: another provider must not be asked at once.
                raise Unknown(f"{error}, after the message was handed over") from None
        return Receipt()

    def _greeted(self, limit: float) -> Connection:
        """A connection to a server that is ready."""
        try:
            line = connect(self._settings.host, self._settings.port, limit)
        except OSError as error:
            raise Unavailable(f"cannot be reached ({reason(error)})") from None
        try:
            ask(line, "")
        except DeliveryError:
            line.close()
            raise
        return line


def ask(line: Connection, command: str) -> None:
    """
    Say something, and hear that it was right.

    Args:
        line: Ends by itself when the time is over.
        command: "" to hear the greeting.

    Raises:
        Refused, Unavailable: With the number of the reply alone: its text may quote the message.
    """
    try:
        if command:
            line.sendall(f"{command}\r\n".encode())
        reply = b""
        while not reply.endswith(b"\n"):
            octet = line.recv(1)
            if not octet:
                raise Unavailable("has closed the connection")
            reply += octet
    except OSError as error:
        raise Unavailable(f"does not answer ({reason(error)})") from None
    code = reply[:3].decode("ascii", "replace")
    if code.startswith("5"):
        raise Refused(f"answers {code}")
    if not code.startswith("2"):
        raise Unavailable(f"answers {code}")
