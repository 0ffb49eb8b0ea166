#!/usr/bin/python3 -I
"""
Between OpenVPN 2.6 and a RADIUS server that answers the PIN with Access-Challenge: two prompts.

OpenVPN runs it, as the user that it is itself, for three of its options, each time with the file
of the servers as first argument:

    auth-user-pass-verify "/etc/openvpn/smsotp.py /etc/openvpn/radius.conf" via-file
    client-connect "/etc/openvpn/smsotp.py /etc/openvpn/radius.conf"
    client-disconnect "/etc/openvpn/smsotp.py /etc/openvpn/radius.conf"

A line of that file is a server, its secret, and the seconds that it has to answer, as pam_radius
has them; accounting goes to the port behind:

    192.0.2.10:1812 not-my-secret 10

What is waited for is waited for in the background (deferred authentication): the tunnels of
others go on.  A challenge goes to the client as CRV1 (doc/management-notes.txt of OpenVPN,
"Challenge/Response Protocol"), and the answer comes back in a password; the state id of both is the
State of RADIUS, as hex digits, and nothing is kept here.  It needs Python 3.9 and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import socket
import struct
import sys
import time
from pathlib import Path

# RFC 2865, RFC 2866 and RFC 3579: packets and attributes.
REQUEST, ACCEPT, REJECT, ACCOUNTING, ACCOUNTED, CHALLENGE = 1, 2, 3, 4, 5, 11
USER_NAME, USER_PASSWORD, REPLY_MESSAGE, STATE, SIGNATURE = 1, 2, 18, 24, 80
FRAMED_ADDRESS, CALLING_STATION, NAS_IDENTIFIER, NAS_PORT_TYPE = 8, 31, 32, 61
STATUS, IN, OUT, SESSION, SECONDS, IN_HIGH, OUT_HIGH = 40, 42, 43, 44, 46, 52, 53
START, STOP, VIRTUAL = 1, 2, 5

DEFERRED = 2
"""Exit status: the answer comes later, in the file ``auth_control_file``."""

UNAVAILABLE = "Login is not possible at the moment. Please try again later."


class Server:
    """One RADIUS server, by its line."""

    def __init__(self, line: str) -> None:
        place, secret, *rest = line.split()
        host, port = place, "1812"
        if place.startswith("["):  # [2001:db8::1]:1812
            host, _, port = place[1:].partition("]")
            port = port.lstrip(":") or "1812"
        elif place.count(":") == 1:
            host, port = place.split(":")
        self.host, self.port = host, int(port)
        self.secret = secret.encode()
        self.timeout = float(rest[0]) if rest else 10.0

    def ask(self, password: bytes, pairs: list[tuple[int, bytes]]) -> tuple[int, dict[int, bytes]]:
        """An Access-Request.  Returns what kind of reply came, and its attributes."""
        authenticator = secrets.token_bytes(16)
        hidden = [(USER_PASSWORD, self._hide(password, authenticator))]
        body = encode([(SIGNATURE, bytes(16)), *pairs, *hidden])
        head = struct.pack("!BBH", REQUEST, secrets.randbelow(256), 20 + len(body)) + authenticator
        # RFC 3579 section 3.2; it is the first attribute.
        signature = hmac.digest(self.secret, head + body, "md5")
        return self._exchange(head + body[:2] + signature + body[18:], self.port, signed=True)

    def account(self, pairs: list[tuple[int, bytes]]) -> None:
        """An Accounting-Request."""
        body = encode(pairs)
        head = struct.pack("!BBH", ACCOUNTING, secrets.randbelow(256), 20 + len(body))
        # RFC 2866 section 3.
        packet = head + md5(head + bytes(16) + body + self.secret) + body
        self._exchange(packet, self.port + 1, signed=False)

    def _hide(self, password: bytes, before: bytes) -> bytes:
        """RFC 2865 section 5.2."""
        hidden = b""
        password += bytes(-len(password) % 16 or (0 if password else 16))
        for at in range(0, len(password), 16):
            mask = int.from_bytes(md5(self.secret + before), "big")
            before = (int.from_bytes(password[at : at + 16], "big") ^ mask).to_bytes(16, "big")
            hidden += before
        return hidden

    def _exchange(self, packet: bytes, port: int, *, signed: bool) -> tuple[int, dict[int, bytes]]:
        """Send it, again every three seconds, until what comes is a reply to it."""
        family, kind, _, _, place = socket.getaddrinfo(self.host, port, type=socket.SOCK_DGRAM)[0]
        until = time.monotonic() + self.timeout
        with socket.socket(family, kind) as line:
            line.connect(place)
            while (left := until - time.monotonic()) > 0:
                line.send(packet)
                again = time.monotonic() + min(3.0, left)
                while (left := again - time.monotonic()) > 0:
                    line.settimeout(left)
                    try:
                        reply = line.recv(4096)
                    except socket.timeout:  # noqa: UP041  another class before Python 3.10
                        break
                    pairs = self._read(reply, packet, signed=signed)
                    if pairs is not None:
                        return reply[0], pairs
        raise OSError("no answer that is signed with this secret")

    def _read(self, reply: bytes, packet: bytes, *, signed: bool) -> dict[int, bytes] | None:
        """The attributes of a reply; None if it is none, or not signed (BlastRADIUS)."""
        size = int.from_bytes(reply[2:4], "big")
        if not 20 <= size <= len(reply) or reply[1] != packet[1]:
            return None
        reply = reply[:size]
        head, body = reply[:4] + packet[4:20], reply[20:]
        if not hmac.compare_digest(reply[4:20], md5(head + body + self.secret)):
            return None
        pairs: dict[int, bytes] = {}
        at = 0
        while at + 2 <= len(body) and body[at + 1] >= 2:
            kind, value = body[at], body[at + 2 : at + body[at + 1]]
            if kind == SIGNATURE:
                blank = body[: at + 2] + bytes(16) + body[at + 18 :]
                right = hmac.digest(self.secret, head + blank, "md5")
                signed = signed and not hmac.compare_digest(value, right)
            # Of a text in several pieces, the whole (RFC 2865 section 5.18).
            pairs[kind] = pairs.get(kind, b"") + value
            at += body[at + 1]
        return None if signed else pairs


def md5(octets: bytes) -> bytes:
    """What RADIUS is made of."""
    return hashlib.md5(octets, usedforsecurity=False).digest()


def encode(pairs: list[tuple[int, bytes]]) -> bytes:
    """Attributes, as they stand in a packet."""
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in pairs)


def integer(value: int) -> bytes:
    """RFC 2865 section 5: four octets."""
    return struct.pack("!I", value & 0xFFFFFFFF)


def who(user: str, trust: str) -> list[tuple[int, bytes]]:
    """
    What every request says.

    Args:
        trust: What OpenVPN calls the client's address before, or after, it was let in.
    """
    address = os.environ.get(f"{trust}_ip") or os.environ.get(f"{trust}_ip6", "unknown")
    return [
        (USER_NAME, user.encode()[:253]),
        (CALLING_STATION, address.encode()),
        (NAS_IDENTIFIER, socket.gethostname().encode()[:253]),
        (NAS_PORT_TYPE, integer(VIRTUAL)),
    ]


def log_in(servers: list[Server], user: str, password: str) -> str | None:
    """
    One step of a login.

    Returns:
        None if the user may come in, else what the client is told.
    """
    pairs = who(user, "untrusted")
    if answer := re.fullmatch("CRV1::((?:[0-9a-f]{2}){1,253})::(.*)", password):
        pairs.append((STATE, bytes.fromhex(answer[1])))
        password = answer[2]
    secret = password.encode()
    if len(secret) > 128:
        return "The password is too long."
    for server in servers:
        try:
            kind, reply = server.ask(secret, pairs)
        except OSError as error:
            print(f"smsotp: {server.host}:{server.port}: {error}", file=sys.stderr)
            continue
        words = reply.get(REPLY_MESSAGE, b"").decode("utf-8", "replace").split()
        text = "".join(one for one in " ".join(words) if one.isprintable())
        if kind == ACCEPT:
            return None
        if kind == CHALLENGE:
            # R: an answer is wanted; E: it may be shown while it is typed.
            name = base64.b64encode(user.encode()).decode()
            return f"CRV1:R,E:{reply.get(STATE, b'').hex()}:{name}:{text}"
        # A word that OpenVPN would take for something else gets a blank before it.
        return f" {text}" if text.startswith(("CRV1:", "TEMP")) else text
    return UNAVAILABLE


def account(servers: list[Server], status: int) -> None:
    """Tell of a session that begins or ends."""
    said = os.environ
    user = said.get("username") or said.get("common_name", "")
    pairs = who(user, "trusted")
    session = f"{said.get('time_unix', '0')}-{said.get('trusted_port', '0')}"
    pairs += [(STATUS, integer(status)), (SESSION, session.encode())]
    if address := said.get("ifconfig_pool_remote_ip"):
        pairs.append((FRAMED_ADDRESS, socket.inet_aton(address)))
    if status == STOP:
        pairs.append((SECONDS, integer(int(said.get("time_duration", "0")))))
        for name, low, high in (("received", IN, IN_HIGH), ("sent", OUT, OUT_HIGH)):
            octets = int(said.get(f"bytes_{name}", "0"))
            pairs += [(low, integer(octets)), (high, integer(octets >> 32))]
    for server in servers:
        try:
            server.account(pairs)
        except OSError as error:
            print(f"smsotp: accounting, {server.host}: {error}", file=sys.stderr)
        else:
            return


def servers_of(path: Path) -> list[Server]:
    """Those of a file; what is wrong with it, and no secret, is the text of ValueError."""
    found = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith("#"):
            try:
                found.append(Server(line))
            except ValueError:
                wanted = "HOST[:PORT] SECRET [SECONDS]"
                raise ValueError(f"{path}:{number}: a line is {wanted}") from None
    if not found:
        raise ValueError(f"{path}: names no server")
    return found


def main() -> int:
    """Returns the exit status that OpenVPN reads."""
    try:
        servers = servers_of(Path(sys.argv[1]))
    except ValueError as error:
        print(f"smsotp: {error}", file=sys.stderr)
        return 1
    status = {"client-connect": START, "client-disconnect": STOP}.get(os.environ["script_type"])
    if status is not None:
        if os.fork() == 0:
            account(servers, status)
        return 0
    # OpenVPN removes the file when this process ends.
    user, password = Path(sys.argv[2]).read_text("utf-8", "replace").split("\n")[:2]
    if os.fork():
        return DEFERRED
    answer: str | None = UNAVAILABLE
    try:
        answer = log_in(servers, user, password)
    finally:
        if answer is not None:
            tell("auth_failed_reason_file", answer)
        tell("auth_control_file", "1" if answer is None else "0")
    return 0


def tell(name: str, text: str) -> None:
    """Write into a file of OpenVPN's, unless that is gone, with the client that waited."""
    place = Path(os.environ[name])
    with contextlib.suppress(FileNotFoundError), place.open("r+", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
