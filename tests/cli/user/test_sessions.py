"""Beginnings and ends of sessions are put together, whichever of both is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from radius_smsotp.cli.user import sessions
from radius_smsotp.model.records import Event

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def told(kind: str, minute: int, session: str = "a1", **detail: str | int | float) -> Event:
    """One event of alice's at the client "vpn"."""
    time = NOW + timedelta(minutes=minute)
    return Event(kind, time, "alice", "", "vpn", "192.0.2.7", {"session": session, **detail})


def test_pairs_and_what_has_no_other_half() -> None:
    trail = [
        told("session-ended", 0, "before", lasted=5, received=1, sent=2),
        told("session-started", 1, address="192.0.2.9"),
        told("code-accepted", 2),
        told("session-started", 3, "b2"),
        told("session-ended", 4, lasted=180, received=1500, sent=2, cause="User-Request"),
        # A client that has started anew counts anew.
        told("session-started", 5),
    ]
    before, first, second, third = sessions.paired(trail)
    assert (before.started, before.lasted) == (None, 5)
    assert (first.started, first.ended) == (trail[1].time, trail[4].time)
    assert (first.address, first.cause) == ("192.0.2.9", "User-Request")
    assert (second.session, second.ended) == ("b2", None)
    assert (third.started, third.ended) == (trail[5].time, None)
    assert sessions.told(first).endswith("with 192.0.2.9: 3 min, 1.5 kB in, 2 B out")
    assert sessions.told(second).endswith("at vpn from 192.0.2.7, no end reported")
    assert sessions.told(before).startswith("to ")
