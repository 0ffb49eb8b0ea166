"""
Rows of the store to values of `model.records`, and back.

A column is read by the name of its table and its own: ``challenge_state``.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, Protocol

from radius_smsotp.model.records import (
    Account,
    Attempt,
    Challenge,
    Device,
    Event,
    Lockout,
    Message,
    Station,
)

TRANSACTION_ID = re.compile("[0-9a-f]{32}")

_encode = json.JSONEncoder(ensure_ascii=False).encode


class Row(Protocol):
    """A row of a result: by the name of a column, or in the order of the columns."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""


class Connection(Protocol):
    """The part of a DB-API connection that is used here.  It takes ``?`` for a value."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any:
        """Run one statement.  Returns a cursor, whose rows are `Row`."""

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """Run one statement for each of several rows.  Returns a cursor."""


COLUMNS = {
    "account": ("name", "phone", "pin_hash", "provider", "enabled", "language"),
    "lockout": ("account", "failures", "last_failure_at", "locked_until"),
    "decoy": ("number", "failures", "last_failure_at", "locked_until"),
    "station": (
        *("account", "client", "station", "seen_at"),
        *("failures", "last_failure_at", "locked_until"),
    ),
    "challenge": (
        *("transaction_id", "account", "client", "station", "key_id", "digits", "phone_hint"),
        *("created_at", "expires_at", "guesses_left", "state", "answered", "language"),
    ),
    "message": (
        *("transaction_id", "number", "state", "route", "sealed_phone", "template", "provider"),
        *("not_before", "lease_owner", "lease_until"),
    ),
    "attempt": (
        *("transaction_id", "message", "number", "provider", "verdict", "provider_id"),
        *("time", "seconds", "text"),
    ),
    "device": ("account", "client", "ssid", "station", "number_tag", "expires_at"),
    "breaker": ("provider", "state", "since", "reason"),
    "event": ("kind", "time", "account", "transaction_id", "client", "station", "detail"),
}
"""Table to the columns that make a record."""


def selected(*tables: str) -> str:
    """The columns of tables, as a SELECT names them for the functions here."""
    return ", ".join(
        f"{table}.{one} AS {table}_{one}" for table in tables for one in COLUMNS[table]
    )


def insertion(table: str, *more: str) -> str:
    """The INSERT of a record, and of columns beside it."""
    columns = (*COLUMNS[table], *more)
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # constants


def replacement(table: str, key: str, *more: str) -> str:
    """The same where a record of that key may be there: it becomes the new one."""
    names = (one for one in (*COLUMNS[table], *more) if one not in key.split(", "))
    changes = ", ".join(f"{one} = excluded.{one}" for one in names)
    return f"{insertion(table, *more)} ON CONFLICT ({key}) DO UPDATE SET {changes}"


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
    """An account."""
    return Account(
        name=row["account_name"],
        phone=row["account_phone"],
        pin_hash=row["account_pin_hash"],
        provider=row["account_provider"],
        enabled=bool(row["account_enabled"]),
        language=row["account_language"],
    )


def account_values(one: Account) -> tuple[Any, ...]:
    """The columns of an account."""
    return (one.name, one.phone, one.pin_hash, one.provider, int(one.enabled), one.language)


def lockout(row: Row, table: str = "lockout") -> Lockout:
    """The failures of an account or a station; none where there is no row of it."""
    return Lockout(
        failures=row[f"{table}_failures"] or 0,
        last_failure_at=moment(row[f"{table}_last_failure_at"]),
        locked_until=moment(row[f"{table}_locked_until"]),
    )


def lockout_values(one: Lockout) -> tuple[Any, ...]:
    """The columns of failures."""
    return (one.failures, seconds(one.last_failure_at), seconds(one.locked_until))


def station(row: Row) -> Station:
    """A station."""
    return Station(
        account=row["station_account"],
        client=row["station_client"],
        station=row["station_station"],
        seen_at=instant(row["station_seen_at"]),
        lockout=lockout(row, "station"),
    )


def station_values(one: Station) -> tuple[Any, ...]:
    """The columns of a station."""
    place = (one.account, one.client, one.station, one.seen_at.timestamp())
    return (*place, *lockout_values(one.lockout))


def challenge(row: Row) -> Challenge:
    """A challenge."""
    return Challenge(
        transaction_id=row["challenge_transaction_id"],
        account=row["challenge_account"],
        client=row["challenge_client"],
        station=row["challenge_station"],
        key_id=row["challenge_key_id"],
        digits=row["challenge_digits"],
        phone_hint=row["challenge_phone_hint"],
        created_at=instant(row["challenge_created_at"]),
        expires_at=instant(row["challenge_expires_at"]),
        guesses_left=row["challenge_guesses_left"],
        state=row["challenge_state"],
        answered=row["challenge_answered"],
        language=row["challenge_language"],
    )


def challenge_values(one: Challenge) -> tuple[Any, ...]:
    """The columns of a challenge."""
    return (
        one.transaction_id,
        one.account,
        one.client,
        one.station,
        one.key_id,
        one.digits,
        one.phone_hint,
        one.created_at.timestamp(),
        one.expires_at.timestamp(),
        one.guesses_left,
        one.state,
        one.answered,
        one.language,
    )


def message(row: Row) -> Message:
    """A message."""
    return Message(
        transaction_id=row["message_transaction_id"],
        number=row["message_number"],
        state=row["message_state"],
        # Names of providers hold no blank, see `settings.schema.Settings.providers`.
        route=tuple(row["message_route"].split()),
        sealed_phone=row["message_sealed_phone"],
        template=row["message_template"],
        provider=row["message_provider"],
        not_before=moment(row["message_not_before"]),
        lease_owner=row["message_lease_owner"],
        lease_until=moment(row["message_lease_until"]),
    )


def message_values(one: Message) -> tuple[Any, ...]:
    """The columns of a message."""
    return (
        one.transaction_id,
        one.number,
        one.state,
        " ".join(one.route),
        one.sealed_phone,
        one.template,
        one.provider,
        seconds(one.not_before),
        one.lease_owner,
        seconds(one.lease_until),
    )


def attempt(row: Row) -> Attempt:
    """An attempt."""
    return Attempt(
        provider=row["attempt_provider"],
        verdict=row["attempt_verdict"],
        text=row["attempt_text"],
        message_id=row["attempt_provider_id"] or None,
        seconds=row["attempt_seconds"],
    )


def device(row: Row) -> Device:
    """A remembered device."""
    return Device(
        account=row["device_account"],
        client=row["device_client"],
        ssid=row["device_ssid"],
        station=row["device_station"],
        number_tag=row["device_number_tag"],
        expires_at=instant(row["device_expires_at"]),
    )


def device_values(one: Device) -> tuple[Any, ...]:
    """The columns of a remembered device."""
    place = (one.account, one.client, one.ssid, one.station)
    return (*place, one.number_tag, one.expires_at.timestamp())


def event(row: Row) -> Event:
    """A line of the audit trail."""
    return Event(
        kind=row["event_kind"],
        time=instant(row["event_time"]),
        account=row["event_account"],
        transaction_id=row["event_transaction_id"],
        client=row["event_client"],
        station=row["event_station"],
        detail=json.loads(row["event_detail"]),
    )


def event_values(one: Event) -> tuple[Any, ...]:
    """The columns of a line of the audit trail."""
    return (
        one.kind,
        one.time.timestamp(),
        one.account,
        one.transaction_id,
        one.client,
        one.station,
        _encode(one.detail),
    )
