"""
The audit trail, as a transaction reads and writes it.

Events are found by account and by time.  There is no index by challenge: each event would write to
another page of it, at each login three.  So those of a challenge are looked for where they must be:
among its account's, and among all of its time, in which others may have answered it.  Only where
the challenge itself is gone, are all events looked through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from radius_smsotp.store import rows

if TYPE_CHECKING:
    from radius_smsotp.model.records import Event
    from radius_smsotp.store.rows import Connection

BEFORE, AFTER = 60.0, 3600.0
"""Seconds around the life of a challenge in which others may have answered it: the clocks of
several servers differ, and an answer that comes late is told of as well."""

LATE = 1000
"""On PostgreSQL a number may be seen after so many higher ones: its transaction took longer."""


class EventStatements:
    """The part of a transaction that is about the audit trail."""

    _db: Connection

    def add_event(self, event: Event) -> None:
        """Add a line to the audit trail."""
        self._db.execute(
            f"INSERT INTO event ({rows.EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants
            rows.event_row(event),
        )

    def events(self, name_or_id: str, most: int) -> list[Event]:
        """
        The last events of an account or of a challenge, in the order in which they happened.

        That is not always the order of their times: a clock may go back.
        """
        return [event for _, event in self.numbered_events(name_or_id, most)]

    def numbered_events(
        self, name_or_id: str, most: int, since: int = 0
    ) -> list[tuple[int, Event]]:
        """
        The same, each with the number that is its own.

        Args:
            since: Only those with a higher number, and `LATE` before it.
        """
        places = [("account = ?", [name_or_id])]
        if rows.TRANSACTION_ID.fullmatch(name_or_id):
            places += self._places(name_or_id)
        # Constants only: no value ever gets into a statement but by its mark.
        found = " UNION ".join(f"SELECT id FROM event WHERE id > ? AND {one}" for one, _ in places)  # noqa: S608
        values = [value for _, own in places for value in (since - LATE, *own)]
        sql = (
            f"SELECT {rows.EVENT}, id FROM event WHERE id IN (SELECT id FROM ({found}) AS found "  # noqa: S608  # constants only
            "ORDER BY id DESC LIMIT ?) ORDER BY id"
        )
        got = self._db.execute(sql, (*values, most))
        return [(int(row[-1]), rows.event(row)) for row in got]

    def newest_event(self) -> int:
        """The highest number of an event; 0 if there is none."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])

    def _places(self, transaction_id: str) -> list[tuple[str, list[Any]]]:
        """Conditions under which the events of a challenge are found, and their values."""
        mine = "transaction_id = ?"
        sql = "SELECT account, created_at, expires_at FROM challenge WHERE transaction_id = ?"
        row = self._db.execute(sql, (transaction_id,)).fetchone()
        if row is None:
            return [(mine, [transaction_id])]
        account, created_at, expires_at = row
        span = [transaction_id, created_at - BEFORE, expires_at + AFTER]
        return [
            (f"{mine} AND account = ?", [transaction_id, account]),
            (f"{mine} AND time >= ? AND time < ?", span),
        ]
