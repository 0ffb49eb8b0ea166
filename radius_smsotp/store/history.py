"""The audit trail of everybody, in the order in which it was written."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from radius_smsotp.model.records import Event
from radius_smsotp.store.rows import EVENT, Connection

LATE = 1000
"""Events that may be seen before one with a lower number: PostgreSQL gives numbers first, and shows
what a transaction has written when it ends."""


class Wanted(NamedTuple):
    """Which events: all of them, but for what is said here."""

    since: datetime | None = None
    account: str = ""
    client: str = ""
    kinds: Collection[str] = ()


class History:
    """The part of a transaction that reads events, whoever they are of."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def after(self, number: int, wanted: Wanted, most: int) -> list[tuple[int, Event]]:
        """The first events with a higher number than this, each with its own."""
        return self._found("id > ?", [number], wanted, "id", most)

    def numbers(self, number: int, most: int) -> list[int]:
        """Those of the first events behind this one: many are looked through in no time."""
        sql = "SELECT id FROM event WHERE id > ? ORDER BY id LIMIT ?"
        return [int(row[0]) for row in self._db.execute(sql, (number, most))]

    def last(self, wanted: Wanted, most: int) -> list[tuple[int, Event]]:
        """The last events, the latest last."""
        return self._found("1 = 1", [], wanted, "id DESC", most)[::-1]

    def newest(self) -> int:
        """The highest number of an event; 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])

    def _found(
        self, where: str, values: list[float | str], wanted: Wanted, order: str, most: int
    ) -> list[tuple[int, Event]]:
        if wanted.since is not None:
            where, values = f"{where} AND time >= ?", [*values, wanted.since.timestamp()]
        for column in ("account", "client"):
            if value := getattr(wanted, column):
                where, values = f"{where} AND {column} = ?", [*values, value]
        if wanted.kinds:
            marks = ", ".join("?" * len(wanted.kinds))
            where, values = f"{where} AND kind IN ({marks})", [*values, *wanted.kinds]
        # Constants only: no value ever gets into a statement but by its mark.
        sql = f"SELECT {EVENT.selected}, id FROM event WHERE {where} ORDER BY {order} LIMIT ?"
        rows = self._db.execute(sql, (*values, most))
        return [(int(row["id"]), EVENT.read(row)) for row in rows]
