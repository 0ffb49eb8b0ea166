"""
Accounts of an import: all of them become valid in one moment, however many they are.

They are laid ready in the table ``staged_account`` in slices, where nobody sees them.  One row of
``batch`` then makes them valid: from there on whoever asks for an account finds it here.  Last,
they move into the table of accounts, in slices again; it does not matter who moves them, or when.
So nobody waits for longer than a slice takes, and a crash leaves all of the import or none of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from radius_smsotp.errors import StoreError
from radius_smsotp.model.records import Event
from radius_smsotp.store import rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from radius_smsotp.model.records import Account
    from radius_smsotp.store.rows import Connection

VALID = "SELECT batch.name FROM batch WHERE batch.valid = 1"

PART = "FROM staged_account WHERE batch = ? AND name >= ? AND name <= ?"


class Staging:
    """The part of a transaction that is about imports.  Names are folded."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def newest_change(self) -> float:
        """When an account was changed last, in seconds since 1970-01-01 UTC."""
        [newest] = self._db.execute("SELECT max(changed_at) FROM account").fetchone()
        return float(newest or 0.0)

    def begin(self, batch: str, newest: float, now: datetime) -> None:
        """
        Begin an import.

        Args:
            newest: `newest_change` when it was planned.
        """
        sql = "INSERT INTO batch (name, valid, newest, touched_at) VALUES (?, 0, ?, ?)"
        self._db.execute(sql, (batch, newest, now.timestamp()))

    def add(
        self, batch: str, accounts: Iterable[tuple[Account, Event, bool]], now: datetime
    ) -> None:
        """
        Lay accounts ready.

        Args:
            accounts: Each as it shall be, with the event that tells of it, and whether its
                remembered devices are to be forgotten.

        Raises:
            StoreError: The import was discarded by somebody else.
        """
        sql = "UPDATE batch SET touched_at = ? WHERE name = ? AND valid = 0"
        if not self._db.execute(sql, (now.timestamp(), batch)).rowcount:
            raise StoreError("another import has taken the place of this one")
        columns = f"batch, {rows.ACCOUNT}, kind, detail, forget"
        values = [
            (batch, *rows.account_row(one), event.kind, rows.detail(event), int(forget))
            for one, event, forget in accounts
        ]
        marks = ", ".join("?" * len(columns.split(", ")))
        sql = f"INSERT INTO staged_account ({columns}) VALUES ({marks})"  # noqa: S608  # constants
        self._db.executemany(sql, values)

    def changed_meanwhile(self, batch: str) -> str | None:
        """One of its accounts that somebody else has changed or added since it was planned."""
        sql = (
            "SELECT account.name FROM account JOIN staged_account ON batch = ? "
            "AND staged_account.name = account.name "
            "WHERE changed_at > (SELECT newest FROM batch WHERE batch.name = ?) LIMIT 1"
        )
        row = self._db.execute(sql, (batch, batch)).fetchone()
        return None if row is None else str(row[0])

    def deleted_meanwhile(self, batch: str) -> str | None:
        """One of the accounts that it changes and that is not there any more."""
        sql = (
            "SELECT name FROM staged_account WHERE batch = ? AND kind = 'account-changed' AND "
            "NOT EXISTS (SELECT 1 FROM account WHERE account.name = staged_account.name) LIMIT 1"
        )
        row = self._db.execute(sql, (batch,)).fetchone()
        return None if row is None else str(row[0])

    def make_valid(self, batch: str) -> bool:
        """From now on all of it counts.  Returns False if it is not there any more."""
        sql = "UPDATE batch SET valid = 1 WHERE name = ? AND valid = 0"
        return int(self._db.execute(sql, (batch,)).rowcount) > 0

    def valid_batches(self) -> list[str]:
        """The imports that are valid and not yet moved."""
        return [str(name) for (name,) in self._db.execute(VALID)]

    def unfinished(self) -> list[tuple[str, datetime]]:
        """The imports that are not valid, and when something was last laid ready for them."""
        sql = "SELECT name, touched_at FROM batch WHERE valid = 0"
        return [(str(name), rows.instant(at)) for name, at in self._db.execute(sql)]

    def next_names(self, batch: str, most: int) -> list[str]:
        """The first names that stand in it, in order."""
        sql = "SELECT name FROM staged_account WHERE batch = ? ORDER BY name LIMIT ?"
        return [str(name) for (name,) in self._db.execute(sql, (batch, most))]

    def land(self, batch: str, first: str, last: str) -> None:
        """Move the accounts from `first` to `last`, with all that follows from their change."""
        part = (batch, first, last)
        # When this happens is when it happened: the clock is that of the import.
        sql = "SELECT touched_at FROM batch WHERE name = ?"
        row = self._db.execute(sql, (batch,)).fetchone()
        if row is None:
            return
        now = float(row[0])
        self._forget_devices(part, now)
        changed = f"SELECT name {PART} AND kind = 'account-changed'"
        cancel = "UPDATE challenge SET state = 'cancelled' WHERE state = 'open' AND account IN"
        self._db.execute(f"{cancel} ({changed})", part)
        self._db.execute(
            f"INSERT INTO account ({rows.ACCOUNT}, created_at, changed_at) "
            f"SELECT {rows.ACCOUNT}, ?, ? {PART} {rows.REPLACE_ACCOUNT}",
            (now, now, *part),
        )
        self._db.execute(
            f"INSERT INTO event ({rows.EVENT}) SELECT kind, ?, name, '', '', '', detail {PART}",
            (now, *part),
        )
        self._db.execute(f"DELETE {PART}", part)

    def discard(self, batch: str, most: int) -> int:
        """
        Remove at most so many accounts that were laid ready; when none is left, the import.

        Returns:
            How many there were; 0 as well, and nothing is removed, if they are valid.
        """
        names = self.next_names(batch, most)
        if names and batch in self.valid_batches():
            return 0
        if names:
            self._db.execute(f"DELETE {PART}", (batch, names[0], names[-1]))
        else:
            self._db.execute("DELETE FROM batch WHERE name = ?", (batch,))
        return len(names)

    def _forget_devices(self, part: tuple[str, str, str], now: float) -> None:
        sql = (
            "SELECT device.account, detail, count(*) FROM device JOIN staged_account ON "
            "device.account = staged_account.name WHERE batch = ? AND name >= ? AND name <= ? "
            "AND forget = 1 GROUP BY device.account, detail"
        )
        for name, detail, number in self._db.execute(sql, part).fetchall():
            self._db.execute("DELETE FROM device WHERE account = ?", (name,))
            told = {"devices": int(number), "by": json.loads(detail).get("by", "")}
            event = Event("device-forgotten", rows.instant(now), name, detail=told)
            marks = "?, ?, ?, ?, ?, ?, ?"
            sql = f"INSERT INTO event ({rows.EVENT}) VALUES ({marks})"  # noqa: S608  # constants
            self._db.execute(sql, rows.event_row(event))
