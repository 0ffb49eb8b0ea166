"""
One person: emergency codes; what is kept under a name, ours or from elsewhere, and its end.

The names of a directory are in no table of ours, but in those of what has happened to them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from radius_smsotp.model import code
from radius_smsotp.model.records import EmergencyCodes, Lockout
from radius_smsotp.store.rows import EMERGENCY, LOCKOUT, Connection
from radius_smsotp.store.statistics import COUNTED_BY

END_EMERGENCY = "DELETE FROM emergency"

OPEN = "account = ? AND state = 'open'"

NAMED = ("lockout", "station", "device", "emergency")
"""Tables that hold nothing of names that are made up: of an account, or of whom something before
ours has known."""

OF_ACCOUNT = ("account", *NAMED, "challenge", "event")
"""Tables whose rows have the name in them."""

OF_CHALLENGE = ("message", "attempt")
"""Tables whose rows hang on a challenge."""

TALLIES = (
    "scope = ? OR substr(scope, 1, ?) = ? "
    # The tag of a number has 16 digits, see `tallies.scopes`.
    "OR (substr(scope, 1, 7) = 'number ' AND substr(scope, 24, ?) = ?)"
)


class PersonStatements:
    """
    The part of a transaction that is about one person.  Names are folded.

    Args:
        connection: Takes ``?`` for a value.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    # Emergency codes

    def emergency(self, account: str) -> EmergencyCodes | None:
        """The emergency codes of an account, used up or not."""
        sql = f"SELECT {EMERGENCY.selected} FROM emergency WHERE account = ?"
        return EMERGENCY.find(self._db.execute(sql, (account,)).fetchone())

    def emergencies(self, now: datetime) -> list[EmergencyCodes]:
        """Of all accounts, those whose time is not over."""
        sql = f"SELECT {EMERGENCY.selected} FROM emergency WHERE expires_at > ? ORDER BY account"
        return [EMERGENCY.read(row) for row in self._db.execute(sql, (now.timestamp(),))]

    def put_emergency(self, codes: EmergencyCodes) -> None:
        """Store the emergency codes of an account; those that it had are gone."""
        self._db.execute(EMERGENCY.replace, EMERGENCY.values(codes))

    def ask_emergency(self, account: str) -> None:
        """From now on the open challenges of an account ask for an emergency code; none is sent."""
        challenges = f"SELECT transaction_id FROM challenge WHERE {OPEN}"
        sql = "UPDATE message SET state = 'replaced' WHERE state = 'queued' "
        self._db.execute(f"{sql} AND transaction_id IN ({challenges})", (account,))
        sql = f"UPDATE challenge SET emergency = 1, digits = ? WHERE {OPEN}"
        self._db.execute(sql, (code.EMERGENCY_DIGITS, account))

    # What is kept under a name

    def names_from(self, start: str, most: int) -> list[str]:
        """The first names that begin with `start`, of accounts of ours and of those elsewhere."""
        # Each by its own key: there may be a million of them.
        found = [
            str(row[0])
            for table in ("account", *NAMED)
            for column in ["name" if table == "account" else "account"]
            for row in self._db.execute(
                f"SELECT DISTINCT {column} FROM {table} WHERE {column} >= ? AND {column} < ? "
                f"ORDER BY {column} LIMIT ?",
                # No character comes behind the last one of Unicode.
                (start, start + "\U0010ffff", most),
            )
        ]
        return sorted(set(found))[:most]

    def elsewhere(self) -> list[tuple[str, Lockout]]:
        """Names under which something lasting is kept, and no account of ours; their failures."""
        names = " UNION ".join(f"SELECT account AS name FROM {table}" for table in NAMED)
        sql = (
            f"SELECT {LOCKOUT.selected}, name FROM ({names}) AS found "
            "LEFT JOIN lockout ON lockout.account = name "
            "WHERE name NOT IN (SELECT name FROM account) ORDER BY name"
        )
        found = self._db.execute(sql)
        return [(str(row["name"]), LOCKOUT.find(row) or Lockout()) for row in found]

    def is_known(self, name: str) -> bool:
        """Whether this is an account of ours, or a name that something before ours has known."""
        # What has happened to a name that was made up is that it was refused as one.
        mentioned = "SELECT 1 FROM event WHERE account = ? AND detail NOT LIKE ?"
        there = [f"SELECT 1 FROM {table} WHERE account = ?" for table in (*NAMED, "challenge")]
        there += ["SELECT 1 FROM account WHERE name = ?", mentioned]
        sql = " UNION ALL ".join(f"SELECT 1 WHERE EXISTS ({one})" for one in there)
        values = (*[name] * len(there), '%"unknown-account"%')
        return self._db.execute(f"{sql} LIMIT 1", values).fetchone() is not None

    def kept(self, name: str, number_tags: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """
        All that is kept of a name.

        Args:
            number_tags: Of the numbers that messages went to, see `model.code.number_tag`.

        Yields:
            A table, and a row of it by its columns.
        """
        for table, where, values in self._kept_in(name, number_tags):
            cursor = self._db.execute(f"SELECT * FROM {table} WHERE {where}", values)
            columns = [one[0] for one in cursor.description]
            for row in cursor.fetchall():
                yield table, dict(zip(columns, row, strict=True))

    def erase(self, name: str, number_tags: Collection[str], counted: datetime) -> dict[str, int]:
        """
        Remove all that is kept of a name.

        Args:
            number_tags: As in `kept`.
            counted: Events from then on were not counted yet, and stay without the name.

        Returns:
            Table to how many rows went, or lost the name.
        """
        found = {}
        late = "SELECT id, detail FROM event WHERE account = ? AND time >= ?"
        rows = self._db.execute(late, (name, counted.timestamp())).fetchall()
        for row in rows:
            detail = json.loads(row["detail"])
            left = json.dumps({key: detail[key] for key in COUNTED_BY if key in detail})
            sql = "UPDATE event SET account = '', transaction_id = '', station = '', detail = ? "
            self._db.execute(f"{sql} WHERE id = ?", (left, row["id"]))
        # Last those on which others hang.
        for table, where, values in reversed([*self._kept_in(name, number_tags)]):
            done = self._db.execute(f"DELETE FROM {table} WHERE {where}", values)
            found[table] = int(done.rowcount)
        found["event"] += len(rows)
        return dict(reversed(found.items()))

    def rename(self, old: str, new: str) -> None:
        """
        Move all that is kept of a name to one of which nothing lasting is.

        Its open challenges end, and its emergency codes, which are derived from the name.
        """
        self._db.execute(f"UPDATE challenge SET state = 'cancelled' WHERE {OPEN}", (old,))
        self._db.execute(f"{END_EMERGENCY} WHERE account = ?", (old,))
        for table in OF_ACCOUNT:
            column = "name" if table == "account" else "account"
            self._db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))
        rows = self._db.execute(f"SELECT * FROM tally WHERE {TALLIES}", _scopes(old)).fetchall()
        for row in rows:
            scope, slot = row["scope"], row["slot"]
            self._db.execute("DELETE FROM tally WHERE scope = ? AND slot = ?", (scope, slot))
            head, _, rest = scope.partition(f" {old}")
            sql = "INSERT INTO tally (scope, slot, sent) VALUES (?, ?, ?) "
            sql += "ON CONFLICT (scope, slot) DO UPDATE SET sent = tally.sent + excluded.sent"
            self._db.execute(sql, (f"{head} {new}{rest}", slot, row["sent"]))

    def _kept_in(
        self, name: str, number_tags: Collection[str]
    ) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
        """Each table that holds something of a name, the condition for its rows, and its values."""
        for table in OF_ACCOUNT:
            yield table, f"{'name' if table == 'account' else 'account'} = ?", (name,)
        challenges = "transaction_id IN (SELECT transaction_id FROM challenge WHERE account = ?)"
        for table in OF_CHALLENGE:
            yield table, challenges, (name,)
        values = _scopes(name)
        tags = [f"number {tag}" for tag in number_tags]
        marks = ", ".join("?" * len(tags))
        yield "tally", f"{TALLIES} OR scope IN ({marks})" if tags else TALLIES, (*values, *tags)


def _scopes(name: str) -> tuple[Any, ...]:
    """The values of `TALLIES`."""
    own, station, number = f"account {name}", f"account {name}\n", f" {name}\n"
    return (own, len(station), station, len(number), number)
