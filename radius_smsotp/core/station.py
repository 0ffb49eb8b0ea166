"""Who is behind a RADIUS client: one form of Calling-Station-Id, and the SSID."""

from __future__ import annotations

import functools
import ipaddress
import re

_MAC = re.compile("[0-9a-f]{2}(?:[-:. ]?[0-9a-f]{2}){5}", re.IGNORECASE)
"""AA-BB-CC-DD-EE-FF, aa:bb:cc:dd:ee:ff, aabb.ccdd.eeff, aabb-ccdd-eeff, aabbccddeeff."""

_PORT = re.compile(r"\[(?P<bracketed>[^]]+)\](?::\d+)?|(?P<strongswan>.+)\[\d+\]|(?P<v4>[^:]+):\d+")
"""[2001:db8::1]:4500; 192.0.2.1[4500], as strongSwan writes it; 192.0.2.1:4500."""

STATIONS = 4096
"""Remembered results: the same station is in each request of a login, and comes back."""


@functools.lru_cache(STATIONS)
def normalise_station(station: str) -> str:
    """
    One form for all writings of a Calling-Station-Id.

    Returns:
        A MAC address as "00-10-A4-23-19-C0" (RFC 3580 section 3.21), an IP address in its short
        form and without the port that some VPN servers add, anything else without the blanks
        around it.
    """
    station = station.strip()
    if _MAC.fullmatch(station):
        digits = re.sub("[^0-9A-F]", "", station.upper())
        return "-".join(digits[at : at + 2] for at in range(0, 12, 2))
    return _address(station) or station


@functools.lru_cache(STATIONS)
def ssid(called: str) -> str:
    """
    The SSID in a Called-Station-Id, "" if there is none.

    Args:
        called: "00-10-A4-23-19-C0:Guests" (RFC 3580 section 3.20); the MAC address of the access
            point in any writing, or its name or IP address.  An SSID may hold colons itself.
    """
    mac = _MAC.match(called)
    if mac and (mac.end() == len(called) or not re.match("[0-9a-f]", called[mac.end() :], re.I)):
        # Whatever separates the two, as in FreeRADIUS's own policy.d/canonicalization.
        return called[mac.end() + 1 :]
    return "" if _address(called) else called.partition(":")[2]


def _address(text: str) -> str:
    """The IP address that a text is, with or without a port; "" if it is none."""
    found = _PORT.fullmatch(text)
    bare = text if found is None else next(part for part in found.groups() if part)
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
