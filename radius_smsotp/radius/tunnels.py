"""
The outer end of EAP: why a tunnel of PEAP or TTLS did not come about.

What FreeRADIUS's modules refuse there never gets to a login.  They say why in
``Module-Failure-Message``; and who falls silent says nothing, so what has begun is remembered.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from radius_smsotp.model import identity
from radius_smsotp.model.records import Client, Event
from radius_smsotp.radius import eap, packets

SILENT = 120.0
"""Seconds after which a device that has gone no further is told of: FreeRADIUS forgets it then
(``timer_expire`` of eap_smsotp)."""

KEPT = 2048
"""Devices that are remembered; of more, the oldest are forgotten."""

ALERT = re.compile(r"Alert (read|write):\w+:(.+)")
"""What FreeRADIUS says of an alert, in OpenSSL's words (src/main/tls.c, ``cbtls_info``)."""

FAILED = re.compile(r"Failed reading from OpenSSL: .*::(.+)")
"""The same of what OpenSSL could not read."""

ALERTS = {
    "unknown CA": "authority",
    "certificate expired": "dates",
    **dict.fromkeys(
        (
            "access denied",
            "bad certificate",
            "certificate revoked",
            "certificate unknown",
            "internal error",  # wpa_supplicant, of a wrong name
            "unsupported certificate",
        ),
        "certificate",
    ),
    **dict.fromkeys(
        (
            "handshake failure",
            "inappropriate fallback",
            "insufficient security",
            "protocol version",
        ),
        "tls",
    ),
}
"""A device's alerts (RFC 5246 section 7.2, in OpenSSL's words) to the reason, see `fault`."""

LOST = ("No EAP session matching state", "EAP requires the State attribute")
"""Of a conversation that is not under way (rlm_eap/mem.c)."""

NAMELESS = "EAP-Identity Unknown"

MALFORMED = ("Malformed EAP Message", "More than 50 roundtrips")

HELLO = re.compile(rb"\x16\x03..." + rb"\x01", re.DOTALL)
"""A record of TLS with a ClientHello (RFC 5246 sections 6.2.1 and 7.4)."""

LENGTH = 0x80
"""The flag that four octets of length come first (RFC 5281 section 9.1)."""


class Fault(NamedTuple):
    """Why EAP came to nothing: a reason of `model.events.EAP_REASONS`, and words."""

    reason: str
    words: str = ""


def fault(packet: bytes, said: Sequence[str], name: str) -> Fault | None:
    """
    Why FreeRADIUS's modules have refused a response.  Pure.

    Args:
        packet: EAP-Message, or its beginning.
        said: Every ``Module-Failure-Message``.
        name: `User-Name`.

    Returns:
        None if it is not for this: a login in the tunnel has been refused, say.
    """
    for one in said:
        if alert := ALERT.search(one):
            reason = ALERTS.get(alert[2], "ended")
            if alert[1] == "write" and reason != "tls":
                reason = "broken"
            whose = "it says" if alert[1] == "read" else "it was told"
            return Fault(reason, f"{whose} '{alert[2]}'")
    whole = "\n".join(said)
    if any(one in whole for one in LOST):
        return Fault("conversation")
    if unread := FAILED.search(whole):
        return Fault("broken", unread[1])
    if any(one in whole for one in MALFORMED) or len(packet) <= eap.HEADER:
        return Fault("broken")
    method, data = packet[eap.HEADER], packet[eap.HEADER + 1 :]
    if method == eap.IDENTITY:
        other = NAMELESS in whole or data.decode("utf-8", "replace") != name
        return Fault("identity" if other else "full")
    if method == eap.NAK:
        bare = {eap.GTC, eap.MSCHAPV2}.intersection(data)
        return Fault("bare" if bare else "method", f"it asks for {eap.wanted(data)}")
    if method in eap.TUNNELS:
        return None
    return Fault("method", f"it sends {eap.named(method)} in place of what it was asked for")


def is_hello(packet: bytes) -> bool:
    """Whether a response begins TLS: what follows is the server's certificate."""
    if len(packet) <= eap.HEADER + 1 or packet[eap.HEADER] not in eap.TUNNELS:
        return False
    begun = eap.HEADER + 2 + (4 if packet[eap.HEADER + 1] & LENGTH else 0)
    return HELLO.match(packet, begun) is not None


class Tunnels:
    """Devices that were shown the server's certificate, of one process, and have not gone on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[tuple[str, str], tuple[float, Event]] = {}

    def heard(self, lists: Mapping[str, Any] | None, now: datetime, clock: float) -> Event | None:
        """
        What the policy hands on: TLS that begins, and what was refused.

        Args:
            clock: Monotonic seconds.

        Returns:
            The event that it comes to, if it is one.
        """
        request = packets.parse(lists)
        values = packets.first_values((lists or {}).get("request"))
        packet = packets.octets(values.get("EAP-Message"))
        if request is None or packet is None:
            return None
        said, client = packets.failures(lists), request.client
        account = "" if identity.is_anonymous(request.account) else request.account

        def event(kind: str, detail: dict[str, str | int | float]) -> Event:
            told = {key: value for key, value in detail.items() if value}
            return Event(kind, now, account, "", client.name, client.station, told)

        if request.eap is None and not said and is_hello(packet):
            self._begin(client, clock, event("eap-abandoned", {"ssid": client.ssid}))
            return None
        self.stands(client)
        found = fault(packet, said, request.identity)
        if request.eap is not None and (found is None or found.reason != "conversation"):
            found = Fault(request.eap.reason, request.eap.fault)
        if found is None:
            return None
        detail = {"reason": found.reason, "text": found.words, "ssid": client.ssid}
        return event("eap-refused", {**detail})

    def stands(self, client: Client) -> None:
        """What a device says in its tunnel has come: whatever follows is told of there."""
        self._begun.pop((client.name, client.station), None)

    def silent(self, clock: float) -> list[Event]:
        """Those that have fallen silent since, each told of once."""
        with self._lock:
            # Logins run beside this.
            begun = list(self._begun.items())
            over = [key for key, (at, _) in begun if clock - at >= SILENT]
            found = [self._begun.pop(key, None) for key in over]
        return [one[1] for one in found if one is not None]

    def _begin(self, client: Client, clock: float, event: Event) -> None:
        if not client.station:
            return  # it could be anybody's
        with self._lock:
            # One that tries again and again is told of as well: its first time counts.
            self._begun.setdefault((client.name, client.station), (clock, event))
            if len(self._begun) > KEPT:
                self._begun.pop(next(iter(self._begun)), None)
