"""What an Accounting-Request tells becomes one event, or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from radius_smsotp.radius import sessions
from tests.support.radiusd import lists

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STOP = {
    "User-Name": "Alice",
    "Acct-Status-Type": "Stop",
    "Acct-Session-Id": "a1",
    "SMSOTP-Client": "vpn",
    "Calling-Station-Id": "02:00:00:00:00:0a",
    "Framed-IP-Address": "192.0.2.9",
    "Acct-Session-Time": "60",
    "Acct-Input-Octets": "1",
    "Acct-Input-Gigawords": "2",
    "Acct-Output-Octets": "3",
    "Acct-Terminate-Cause": "User-Request",
    "Acct-Delay-Time": "5",
}


def test_an_end_with_all_that_is_told() -> None:
    event = sessions.reported(lists(STOP.items()), NOW)
    assert event is not None
    assert (event.kind, event.account, event.client) == ("session-ended", "alice", "vpn")
    assert event.station == "02-00-00-00-00-0A"
    assert event.time == NOW - timedelta(seconds=5)
    assert event.detail == {
        "session": "a1",
        "address": "192.0.2.9",
        "lasted": 60,
        "received": 2 * 2**32 + 1,
        "sent": 3,
        "cause": "User-Request",
    }


@pytest.mark.parametrize(
    "other",
    [
        {"Acct-Status-Type": "Interim-Update"},
        {"Acct-Status-Type": "Accounting-On"},
        {"Acct-Session-Id": ""},
        {"User-Name": ""},
    ],
)
def test_what_is_no_session_of_anybody(other: dict[str, str]) -> None:
    assert sessions.reported(lists((STOP | other).items()), NOW) is None
    assert sessions.reported(None, NOW) is None


def test_values_that_nobody_can_mean() -> None:
    """A number that is none is nothing, a text has an end, and no clock is a day behind."""
    strange = {"Acct-Session-Time": "-1", "Acct-Input-Octets": "x", "Acct-Delay-Time": "9" * 9}
    told = STOP | strange | {"Acct-Session-Id": "y" * 253, "Framed-IP-Address": ""}
    event = sessions.reported(lists(told.items()), NOW)
    assert event is not None
    assert event.time == NOW - timedelta(days=1)
    assert (event.detail["lasted"], event.detail["received"]) == (0, 2 * 2**32)
    assert event.detail["session"] == "y" * 64
    assert "address" not in event.detail
