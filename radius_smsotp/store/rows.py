"""
Rows of the store to values of `model.records`, and back.

A record is a row of its table: a column for each field, under its name, and some beside them.  What
is read is named after table and column: ``challenge_state``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import datetime, timezone
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from radius_smsotp.model import records

T = TypeVar("T")

TRANSACTION_ID = re.compile("[0-9a-f]{32}")


class Row(Protocol):
    """A row of a result: by the name of a column, which takes longer, or by its place."""

    def __getitem__(self, column: Any, /) -> Any:
        """The value of a column; of a slice, a tuple of them."""

    def __iter__(self) -> Iterator[Any]:
        """The values."""


class Connection(Protocol):
    """The part of a DB-API connection that is used here.  It takes ``?`` for a value."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any:
        """Run one statement.  Returns a cursor, whose rows are `Row`."""

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """Run one statement for each of several rows.  Returns a cursor."""


def seconds(time: datetime | None) -> float | None:
    """Seconds since 1970-01-01 UTC."""
    return None if time is None else time.timestamp()


def at(value: float) -> datetime:
    """Undo `seconds` of a time that there is."""
    return datetime.fromtimestamp(value, timezone.utc)


def moment(value: float | None) -> datetime | None:
    """Undo `seconds`."""
    return None if value is None else at(value)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def written(codes: tuple[records.Spent, ...]) -> str:
    """Codes that were spent, as a column has them."""
    return " ".join(f"{one.transaction_id}:{one.digits}:{one.key_id}" for one in codes)


def spent(text: str) -> tuple[records.Spent, ...]:
    """Undo `written`."""
    found = (one.split(":", 2) for one in text.split())
    return tuple(records.Spent(one, key_id, int(digits)) for one, digits, key_id in found)


def counted(text: str) -> records.Counted:
    """What a message is counted under, from a column."""
    return tuple((str(scope), int(slot)) for scope, slot in json.loads(text))


CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "bool": (int, bool),
    "datetime": (seconds, moment),
    "datetime | None": (seconds, moment),
    "tuple[int, ...]": (lambda numbers: " ".join(map(str, numbers)), _numbers),
    # Names of providers hold no blank, see `settings.schema.Settings.providers`.
    "tuple[str, ...]": (" ".join, lambda text: tuple(text.split())),
    "tuple[Spent, ...]": (written, spent),
    "Counted": (json.dumps, counted),
    "dict[str, str | int | float]": (json.JSONEncoder(ensure_ascii=False).encode, json.loads),
}
"""Type of a field to what writes it, and what reads it.  Others are as they are."""


class Table(Generic[T]):
    """
    A table whose rows are records.

    Args:
        key: Its primary key, the names of columns.
        before, after: Columns around those of the record.
        renamed: Field to the name of its column, where that is another one.

    Attributes:
        width: How many columns there are.
    """

    def __init__(
        self,
        name: str,
        record: type[T],
        key: str,
        *,
        before: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
        **renamed: str,
    ) -> None:
        made: Any = record
        of = [(one.name, renamed.get(one.name, one.name), str(one.type)) for one in fields(made)]
        self._make = made
        self._fields = attrgetter(*(field for field, _, _ in of))
        codecs = [CODECS.get(kind, (None, None)) for _, _, kind in of]
        self._writers = [write for write, _ in codecs]
        self._readers = [read for _, read in codecs]
        self.columns = (*before, *(column for _, column, _ in of), *after)
        self.width = len(self.columns)
        self._begin, self._end = len(before), len(before) + len(of)
        marks = ", ".join("?" * len(self.columns))
        self.selected = ", ".join(f"{name}.{one} AS {name}_{one}" for one in self.columns)
        self.insert = f"INSERT INTO {name} ({', '.join(self.columns)}) VALUES ({marks})"
        # What is there becomes the new one, but for when it was made.
        changed = [one for one in self.columns if one not in {*key.split(", "), "created_at"}]
        changes = ", ".join(f"{one} = excluded.{one}" for one in changed)
        self.replace = f"{self.insert} ON CONFLICT ({key}) DO UPDATE SET {changes}"

    def read(self, row: Row, at: int = 0) -> T:
        """The record in a row of `selected` columns, which begin `at` this place."""
        values = zip(row[at + self._begin : at + self._end], self._readers, strict=True)
        found: T = self._make(*[value if read is None else read(value) for value, read in values])
        return found

    def find(self, row: Row | None, at: int = 0) -> T | None:
        """The same; None where there is no row, or a join has found none of this table."""
        # A first column is never NULL.
        return None if row is None or row[at] is None else self.read(row, at)

    def values(self, one: T) -> tuple[Any, ...]:
        """The columns of a record."""
        values = zip(self._fields(one), self._writers, strict=True)
        return tuple([value if write is None else write(value) for value, write in values])


ACCOUNT = Table("account", records.Account, "name", after=("created_at", "changed_at"))
LOCKOUT = Table("lockout", records.Lockout, "account", before=("account",))
DECOY = Table("decoy", records.Lockout, "number", before=("number",))
STATION = Table("station", records.Station, "account, client, station")
CHALLENGE = Table("challenge", records.Challenge, "transaction_id")
MESSAGE = Table("message", records.Message, "transaction_id, number")
ATTEMPT = Table(
    "attempt",
    records.Attempt,
    "transaction_id, message, number",
    before=("transaction_id", "message", "number"),
    after=("time",),
    message_id="provider_id",
)
EMERGENCY = Table("emergency", records.EmergencyCodes, "account")
DEVICE = Table("device", records.Device, "account, client, ssid, station")
EVENT = Table("event", records.Event, "id")


def selected(*tables: Table[Any]) -> str:
    """The columns of tables, as a SELECT names them."""
    return ", ".join(one.selected for one in tables)


def found(row: Row, *tables: Table[Any]) -> Iterator[Any]:
    """What `Table.find` makes of a row that begins with the `selected` columns of tables."""
    at = 0
    for one in tables:
        yield one.find(row, at)
        at += one.width
