"""
EAP-GTC in as many rounds as a login takes (RFC 3748 section 5.6): packets to answers, prompts
to packets.

What the server needs to know in the next round travels in `State`, which the tunnel keeps and
no device sees.
"""

from __future__ import annotations

import re

from radius_smsotp.login.request import Round, Step
from radius_smsotp.model.text import GTC_OCTETS, fit

# RFC 3748 sections 4.1 and 4.2: codes.
REQUEST, RESPONSE, SUCCESS = 1, 2, 3

# RFC 3748 section 5: types.
IDENTITY, NAK, GTC, MSCHAPV2 = 1, 3, 6, 26

HEADER = 4
"""Octets of code, identifier and length, which the length counts too (RFC 3748 section 4)."""

METHODS = {
    4: "MD5",
    5: "OTP",
    6: "GTC",
    13: "TLS",
    17: "LEAP",
    18: "SIM",
    21: "TTLS",
    23: "AKA",
    25: "PEAP",
    26: "MSCHAPv2",
    43: "FAST",
    50: "AKA'",
    52: "PWD",
    55: "TEAP",
}
"""Types that devices ask for (IANA, EAP Method Types)."""

TUNNELS = frozenset((21, 25))
"""Those whose TLS is FreeRADIUS's to end, before what is inside gets here."""

NAMED = 8
"""Types of a NAK that are told; hardly any device knows more."""

NOBODY = "0" * 32
"""In place of a transaction_id while the first factor is asked for."""


STATE = re.compile(r"([0-9a-f]{32})([0-9a-f]{2})([0-9a-f]{16})?")
"""transaction_id or `NOBODY`, the identifier of the request, and the echo of the first answer."""


def read(packet: bytes, state: str, *, two: bool = False) -> Round:
    """
    Read the response of a device.

    Args:
        packet: EAP-Message, whole.
        state: `State` as text, "" if there is none.
        two: The device may be asked two questions at most.
    """
    if len(packet) <= HEADER:
        return Round(None, reason="broken", fault="sent an EAP packet without type")
    code, identifier = packet[0], packet[1]
    length = int.from_bytes(packet[2:HEADER], "big")
    if code != RESPONSE or not HEADER < length <= len(packet):
        fault = "sent an EAP packet that is no whole response"
        return Round(None, identifier, reason="broken", fault=fault)
    # RFC 3748 section 4.1: what is behind the length is padding.
    method, data = packet[HEADER], packet[HEADER + 1 : length]
    if method == IDENTITY:
        return Round(Step.IDENTITY, identifier)
    if method == NAK:
        step = Step.MSCHAPV2 if MSCHAPV2 in data else None
        reason = "outer" if TUNNELS.intersection(data) else "inner"
        fault = f"refuses EAP-GTC and asks for {wanted(data)}"
        return Round(step, identifier, reason=reason, fault=fault)
    if method != GTC:
        fault = f"sent EAP type {named(method)} in place of GTC"
        return Round(None, identifier, reason="inner", fault=fault)
    asked = STATE.fullmatch(state)
    if asked is None:
        fault = "answers a question that was not asked"
        return Round(None, identifier, reason="broken", fault=fault)
    transaction_id, expected, echo = asked[1], int(asked[2], 16), asked[3] or ""
    if identifier != expected:
        # RFC 3579 section 2.2 would have it ignored, but a tunnel waits for a reply.
        fault = "answers another question than the one asked"
        return Round(None, identifier, reason="broken", fault=fault)
    if transaction_id == NOBODY:
        return Round(Step.PIN, identifier, data)
    return Round(Step.CODE, identifier, data, transaction_id, echo, last=two)


def wanted(data: bytes) -> str:
    """What a NAK asks for (RFC 3748 section 5.3.1); 0 is no type."""
    return ", ".join(map(named, dict.fromkeys(filter(None, data[:NAMED])))) or "nothing else"


def named(method: int) -> str:
    """A type by its name, if it has one here."""
    return METHODS.get(method, str(method))


def ask(
    answered: Round, prompt: str, transaction_id: str = "", echo: str = ""
) -> tuple[str, bytes]:
    """
    Ask the next question.

    Returns:
        `State`, and the packet: Request/GTC with the prompt, in UTF-8.
    """
    # RFC 3748 section 4.1: the identifier changes with each new request.
    identifier = (answered.identifier + 1) % 256
    shown = fit(prompt, GTC_OCTETS).encode()
    state = f"{transaction_id or NOBODY}{identifier:02x}{echo}"
    return state, _packet(REQUEST, identifier, bytes([GTC]) + shown)


def begin(answered: Round, name: str) -> bytes:
    """The packet with which another method begins: Response/Identity (section 5.1)."""
    return _packet(RESPONSE, answered.identifier, bytes([IDENTITY]) + name.encode())


def succeed(answered: Round) -> bytes:
    """The packet that ends a login well, with the identifier of the response (section 4.2)."""
    return _packet(SUCCESS, answered.identifier, b"")


def _packet(code: int, identifier: int, rest: bytes) -> bytes:
    return bytes([code, identifier]) + (HEADER + len(rest)).to_bytes(2, "big") + rest
