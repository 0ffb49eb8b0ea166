"""Records for tests of the store.  Processes that they start import this and no pytest."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from radius_smsotp.model.records import (
    Account,
    Challenge,
    Client,
    Device,
    Event,
    Lockout,
    Message,
    Station,
)

if TYPE_CHECKING:
    from radius_smsotp.store.transaction import Transaction

NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ALICE = Account(
    "alice", "+491701234567", "$PBKDF2$HMACSHA2+512:1:c2FsdA==$aGFzaA==", "backup", language="de"
)
HERE = Client("wifi", "192.0.2.1", "02-00-00-00-00-01", "Office Wi-Fi")


def challenge(number: int = 1, **fields: Any) -> Challenge:
    """A challenge of alice, made now."""
    usual: dict[str, Any] = {
        "transaction_id": f"{number:032x}",
        "account": "alice",
        "client": "vpn",
        "station": "02-00-00-00-00-01",
        "key_id": "k1",
        "digits": 6,
        "phone_hint": "***67",
        "created_at": NOW,
        "expires_at": NOW + 300 * SECOND,
        "guesses_left": 3,
        "state": "open",
        "language": "de",
    }
    return Challenge(**(usual | fields))


def message(of: int = 1, /, **fields: Any) -> Message:
    """The first message of the challenge of that number; it waits for a courier."""
    usual: dict[str, Any] = {
        "transaction_id": f"{of:032x}",
        "number": 1,
        "state": "queued",
        "route": ("first", "second"),
        "sealed_phone": "00ff",
        "template": "{code} für Sie",
        "lease_owner": None,
        "lease_until": NOW,
    }
    return Message(**(usual | fields))


def add(tx: Transaction, *challenges: Challenge) -> None:
    """Add challenges, each with a message that waits."""
    for one in challenges:
        tx.add_challenge(one)
        tx.add_message(message(int(one.transaction_id, 16)))


def station(**fields: Any) -> Station:
    """A station that alice has logged in from."""
    usual: dict[str, Any] = {
        "account": "alice",
        "client": HERE.name,
        "station": HERE.station,
        "seen_at": NOW,
    }
    lockout: Lockout = fields.pop("lockout", Lockout())
    return Station(**(usual | asdict(lockout) | fields))


def device(**fields: Any) -> Device:
    """A device of alice, remembered for an hour."""
    usual: dict[str, Any] = {
        "account": "alice",
        "client": HERE.name,
        "ssid": HERE.ssid,
        "station": HERE.station,
        "number_tag": "tag",
        "expires_at": NOW + HOUR,
    }
    return Device(**(usual | fields))


def event(kind: str = "pin-wrong", **fields: Any) -> Event:
    """A line of alice's audit trail."""
    usual: dict[str, Any] = {"time": NOW, "account": "alice"}
    return Event(kind, **(usual | fields))
