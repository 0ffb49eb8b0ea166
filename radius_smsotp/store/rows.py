"""Rows of the store to values of `model.records`, and back."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, Protocol

from radius_smsotp.model.records import Account, Challenge, Delivery, Device, Event, Lockout

Row = tuple[Any, ...]

TRANSACTION_ID = re.compile("[0-9a-f]{32}")

_encode = json.JSONEncoder(ensure_ascii=False).encode


class Connection(Protocol):
    """The part of a DB-API connection that is used here.  It takes ``?`` for a value."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any:
        """Run one statement.  Returns a cursor."""

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """Run one statement for each of several rows.  Returns a cursor."""


ACCOUNT = "name, phone, pin_hash, provider, enabled, language"
CHALLENGE = (
    "transaction_id, account, client, station, key_id, digits, phone_hint, created_at, "
    "expires_at, guesses_left, state, delivery_state, route, sealed_phone, template, sends, "
    "provider, lease_owner, lease_until, answered, language"
)
DEVICE = "account, client, ssid, station, number_tag, expires_at"
EVENT = "kind, time, account, transaction_id, client, station, detail"


def seconds(time: datetime | None) -> float | None:
    """Seconds since 1970-01-01 UTC."""
    return None if time is None else time.timestamp()


def moment(value: float | None) -> datetime | None:
    """Undo `seconds`."""
    return None if value is None else datetime.fromtimestamp(value, UTC)


def instant(value: float) -> datetime:
    """A time that is always there."""
    return datetime.fromtimestamp(value, UTC)


def account(row: Row) -> Account:
    """A row of `ACCOUNT` columns."""
    return Account(row[0], row[1], row[2], row[3], bool(row[4]), row[5])


def account_row(value: Account) -> Row:
    """The `ACCOUNT` columns of an account."""
    return (
        value.name,
        value.phone,
        value.pin_hash,
        value.provider,
        int(value.enabled),
        value.language,
    )


def lockout(row: Row | None) -> Lockout:
    """A row of failures, last_failure_at, locked_until; none means that nothing was counted."""
    return Lockout() if row is None else Lockout(row[0], moment(row[1]), moment(row[2]))


def challenge(row: Row) -> Challenge:
    """A row of `CHALLENGE` columns."""
    return Challenge(
        transaction_id=row[0],
        account=row[1],
        client=row[2],
        station=row[3],
        key_id=row[4],
        digits=row[5],
        phone_hint=row[6],
        created_at=datetime.fromtimestamp(row[7], UTC),
        expires_at=datetime.fromtimestamp(row[8], UTC),
        guesses_left=row[9],
        state=row[10],
        delivery=Delivery(
            state=row[11],
            # Names of providers hold no blank, see `settings.Settings.providers`.
            route=tuple(row[12].split()),
            sealed_phone=row[13],
            template=row[14],
            sends=row[15],
            provider=row[16],
            lease_owner=row[17],
            lease_until=moment(row[18]),
        ),
        answered=row[19],
        language=row[20],
    )


def challenge_row(value: Challenge) -> Row:
    """The `CHALLENGE` columns of a challenge."""
    delivery = value.delivery
    return (
        value.transaction_id,
        value.account,
        value.client,
        value.station,
        value.key_id,
        value.digits,
        value.phone_hint,
        value.created_at.timestamp(),
        value.expires_at.timestamp(),
        value.guesses_left,
        value.state,
        delivery.state,
        " ".join(delivery.route),
        delivery.sealed_phone,
        delivery.template,
        delivery.sends,
        delivery.provider,
        delivery.lease_owner,
        seconds(delivery.lease_until),
        value.answered,
        value.language,
    )


def device(row: Row) -> Device:
    """A row of `DEVICE` columns."""
    return Device(
        account=row[0],
        client=row[1],
        ssid=row[2],
        station=row[3],
        number_tag=row[4],
        expires_at=datetime.fromtimestamp(row[5], UTC),
    )


def device_row(value: Device) -> Row:
    """The `DEVICE` columns of a device."""
    return (
        value.account,
        value.client,
        value.ssid,
        value.station,
        value.number_tag,
        value.expires_at.timestamp(),
    )


def event(row: Row) -> Event:
    """A row of `EVENT` columns."""
    time = datetime.fromtimestamp(row[1], UTC)
    return Event(row[0], time, row[2], row[3], row[4], row[5], json.loads(row[6]))


def event_row(value: Event) -> Row:
    """The `EVENT` columns of an event."""
    return (
        value.kind,
        value.time.timestamp(),
        value.account,
        value.transaction_id,
        value.client,
        value.station,
        _encode(value.detail),
    )
