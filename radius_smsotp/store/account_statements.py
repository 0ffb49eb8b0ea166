"""
Accounts, as a transaction reads and writes them.

An account may stand in an import that is valid and not yet moved (see `staging`): what is there
counts, and not what the table of accounts still has.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from radius_smsotp.model.records import SKEW
from radius_smsotp.store import questions, rows
from radius_smsotp.store.staging import VALID, Staging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from radius_smsotp.model.records import Account, Lockout
    from radius_smsotp.store.rows import Connection

# Constants only: no value ever gets into a statement but by its mark.
LIST = (
    f"SELECT {rows.ACCOUNT}, failures, last_failure_at, locked_until FROM ("  # noqa: S608
    f"SELECT {rows.ACCOUNT} FROM staged_account WHERE batch IN ({VALID}) "
    f"UNION ALL SELECT {rows.ACCOUNT} FROM account WHERE NOT EXISTS (SELECT 1 FROM staged_account "
    f"WHERE batch IN ({VALID}) AND staged_account.name = account.name)"
    ") AS found LEFT JOIN lockout ON lockout.account = found.name ORDER BY name"
)
LOCKED = "locked_until > ? AND last_failure_at <= ?"
"""As `model.lockout.is_locked` says."""


class AccountStatements:
    """The part of a transaction that is about accounts.  Names are folded."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def account(self, name: str) -> Account | None:
        """The account of that name."""
        found = self._db.execute(*questions.account(name)).fetchall()
        return rows.account(max(found, key=itemgetter(-1))) if found else None

    def next_pin_hash(self, name: str) -> str | None:
        """The PIN hash of the first account from that name on, or else of the first one at all."""
        for start in (name, ""):
            sql = "SELECT pin_hash FROM account WHERE name >= ? ORDER BY name LIMIT 1"
            row = self._db.execute(sql, (start,)).fetchone()
            if row is not None:
                return None if row[0] is None else str(row[0])
        return None

    def accounts(self) -> Iterator[tuple[Account, Lockout]]:
        """All accounts with their lock-outs, by name."""
        for row in self._db.execute(LIST):
            yield rows.account(row), rows.lockout(None if row[6] is None else row[6:])

    def count_accounts(self, now: datetime) -> dict[str, int]:
        """How many accounts are ``enabled``, ``disabled``, and ``locked`` at the moment."""
        sql = "SELECT enabled, count(*) FROM account GROUP BY enabled"
        by_state = {bool(enabled): int(number) for enabled, number in self._db.execute(sql)}
        # Stations have counters of their own, under the account's name and a line break.
        whose = "replace(account, ?, '') = account"
        sql = f"SELECT count(*) FROM lockout WHERE {LOCKED} AND {whose}"  # noqa: S608
        [locked] = self._db.execute(sql, (*_locked(now), "\n")).fetchone()
        return {
            "enabled": by_state.get(True, 0),
            "disabled": by_state.get(False, 0),
            "locked": int(locked),
        }

    def locked_stations(self, now: datetime) -> dict[str, list[tuple[str, str, datetime]]]:
        """Name to the stations that are locked: client, station, and until when, the last first."""
        sql = (
            f"SELECT account, locked_until FROM lockout WHERE {LOCKED} "  # noqa: S608
            "AND replace(account, ?, '') <> account ORDER BY locked_until DESC"
        )
        found: dict[str, list[tuple[str, str, datetime]]] = {}
        for counter, until in self._db.execute(sql, (*_locked(now), "\n")):
            # Its parts stand on lines of their own: see `login.stations`.
            name, client, station = str(counter).split("\n", 2)
            found.setdefault(name, []).append((client, station, rows.instant(until)))
        return found

    def names_from(self, start: str, most: int) -> list[str]:
        """The first names that begin with `start`."""
        sql = "SELECT name FROM account WHERE name >= ? AND name < ? ORDER BY name LIMIT ?"
        # No character comes behind the last one of Unicode.
        found = self._db.execute(sql, (start, start + "\U0010ffff", most))
        return [str(name) for (name,) in found]

    def put_account(self, account: Account, now: datetime) -> None:
        """Add or replace an account."""
        self._land(account.name)
        self._db.execute(
            f"INSERT INTO account ({rows.ACCOUNT}, created_at, changed_at) "  # noqa: S608  # constants
            f"VALUES (?, ?, ?, ?, ?, ?, ?, ?) {rows.REPLACE_ACCOUNT}",
            (*rows.account_row(account), now.timestamp(), now.timestamp()),
        )

    def _land(self, name: str) -> None:
        """Move an account out of a valid import, before it is changed."""
        staging = Staging(self._db)
        for batch in staging.valid_batches():
            staging.land(batch, name, name)


def _locked(now: datetime) -> tuple[float, float]:
    """The values of `LOCKED`."""
    return now.timestamp(), (now + SKEW).timestamp()
