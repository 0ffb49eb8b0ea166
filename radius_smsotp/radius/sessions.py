"""What a client tells of sessions (RFC 2866): an Accounting-Request to an event of the trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from radius_smsotp.model import events
from radius_smsotp.model.identity import fold_name, normalise_station
from radius_smsotp.model.records import Event
from radius_smsotp.radius import packets

KINDS = {"Start": events.SESSION_STARTED, "Stop": events.SESSION_ENDED}
"""``Acct-Status-Type`` to the kind of event; what comes in between is none."""

ADDRESSES = (
    "Framed-IP-Address",
    "Framed-IPv6-Address",
    "Framed-IPv6-Prefix",
    "Delegated-IPv6-Prefix",
)
"""Who the user is in the network, in the order in which one is taken."""

GIGAWORD = 1 << 32
"""RFC 2869 sections 5.1 and 5.2: how often a counter of octets has gone round."""

LATEST = timedelta(days=1)
"""A client that says it has tried for longer (``Acct-Delay-Time``) is not believed."""

LONGEST = 64
"""Characters of a value that are kept."""


def reported(lists: Mapping[str, Any] | None, now: datetime) -> Event | None:
    """
    The event that an Accounting-Request tells of.

    Args:
        lists: What rlm_python3 passes.
        now: When it came; what it tells of may be longer ago.

    Returns:
        None if it tells of no session that begins or ends, or not whose it is.
    """
    request = packets.first_values((lists or {}).get("request"))
    kind = KINDS.get(request.get("Acct-Status-Type", ""))
    name = request.get("Stripped-User-Name") or request.get("User-Name")
    session = _text(request, "Acct-Session-Id")
    if kind is None or not name or not session:
        return None
    detail: dict[str, str | int | float] = {
        "session": session,
        "address": next(filter(None, (_text(request, one) for one in ADDRESSES)), ""),
    }
    if kind == events.SESSION_ENDED:
        detail |= {
            "lasted": _number(request, "Acct-Session-Time"),
            "received": _octets(request, "Input"),
            "sent": _octets(request, "Output"),
            "cause": _text(request, "Acct-Terminate-Cause"),
        }
    ago = min(timedelta(seconds=_number(request, "Acct-Delay-Time")), LATEST)
    station = normalise_station(_text(request, "Calling-Station-Id"))
    client = request.get("SMSOTP-Client", "unknown")
    told = {key: value for key, value in detail.items() if value != ""}
    return Event(kind, now - ago, fold_name(name), "", client, station, told)


def _text(request: Mapping[str, str], attribute: str) -> str:
    return request.get(attribute, "").partition("\0")[0][:LONGEST]


def _number(request: Mapping[str, str], attribute: str) -> int:
    value = request.get(attribute, "")
    return int(value) if value.isdecimal() else 0


def _octets(request: Mapping[str, str], way: str) -> int:
    """What went one way, as the client sees it: ``Input`` comes from the user."""
    rounds = _number(request, f"Acct-{way}-Gigawords")
    return rounds * GIGAWORD + _number(request, f"Acct-{way}-Octets")
