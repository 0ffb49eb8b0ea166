"""
What can be read and written in one transaction.

Figures have a module of their own beside this one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from radius_smsotp.model.lockout import STATION_KNOWN
from radius_smsotp.model.records import SKEW, Tally
from radius_smsotp.store import questions, rows
from radius_smsotp.store.statistics import FigureStatements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from radius_smsotp.model.records import Account, Challenge, Client, Device, Event, Lockout
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


LOCKED = "locked_until > ? AND last_failure_at <= ?"
"""As `model.lockout.is_locked` says."""


class AccountStatements:
    """The part of a transaction that is about accounts.  Names are folded."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def account(self, name: str) -> Account | None:
        """The account of that name."""
        row = self._db.execute(*questions.account(name)).fetchone()
        return None if row is None else rows.account(row)

    def accounts_named(self, names: Sequence[str]) -> dict[str, Account]:
        """Those of these accounts that are there, by name."""
        marks = ", ".join("?" * len(names))
        sql = f"SELECT {rows.ACCOUNT} FROM account WHERE name IN ({marks})"  # noqa: S608
        found = map(rows.account, self._db.execute(sql, tuple(names)))
        return {one.name: one for one in found}

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
        sql = (
            f"SELECT {rows.ACCOUNT}, failures, last_failure_at, locked_until FROM account "  # noqa: S608
            "LEFT JOIN lockout ON lockout.account = account.name ORDER BY name"
        )
        for row in self._db.execute(sql):
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
        self._db.execute(
            f"INSERT INTO account ({rows.ACCOUNT}, created_at, changed_at) "  # noqa: S608  # constants
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "phone = excluded.phone, pin_hash = excluded.pin_hash, provider = excluded.provider, "
            "enabled = excluded.enabled, language = excluded.language, "
            "changed_at = excluded.changed_at",
            (*rows.account_row(account), now.timestamp(), now.timestamp()),
        )


def _locked(now: datetime) -> tuple[float, float]:
    """The values of `LOCKED`."""
    return now.timestamp(), (now + SKEW).timestamp()


SLOT = 300
"""Seconds in a slot of the tallies.  An hourly limit looks back for its time and up to one slot
more, so that never more than it says leave in any hour."""

HOUR_SLOTS = 3600 // SLOT
"""The daily limit counts by the hour, and looks back for up to an hour more: 25 rows to add up
at each login instead of 289."""

DAY_SLOTS = 86400 // SLOT + HOUR_SLOTS - 1
"""How many slots before the present one an hour begins that still reaches into the last day."""

PRUNE_SLICE = 200
"""Rows that one `prune` removes at most: few enough that no login waits for it."""


class Transaction(AccountStatements, EventStatements):
    """
    The store within one transaction.  Names are folded (see `model.identity.fold_name`).

    Args:
        connection: Takes ``?`` for a value.
        lock: Called with the names under which messages are counted, before the counts are read
            in order to count one more; None where nobody else writes meanwhile.
    """

    def __init__(
        self, connection: Connection, lock: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        super().__init__(connection)
        self._lock = lock

    @property
    def figures(self) -> FigureStatements:
        """How many events there were."""
        return FigureStatements(self._db)

    # Accounts: see AccountStatements

    def delete_account(self, name: str) -> bool:
        """
        Remove an account with its lock-out and devices, and cancel its open challenges.

        Returns:
            Whether it was there.
        """
        self.clear_lockout(name)
        self.clear_stations(name, known=False)
        self.forget_devices(name)
        self.cancel_challenges(name)
        return self._count("DELETE FROM account WHERE name = ?", name) > 0

    # Lock-outs

    def lockout(self, account: str) -> Lockout:
        """Failures and lock-out of an account, ours or from elsewhere."""
        return rows.lockout(self._db.execute(*questions.lockout(account)).fetchone())

    def put_lockout(self, account: str, lockout: Lockout) -> None:
        """Store failures and lock-out of an account."""
        seconds, until = rows.seconds, rows.seconds(lockout.locked_until)
        self._db.execute(
            "INSERT INTO lockout (account, failures, last_failure_at, locked_until) "
            "VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET "
            "failures = excluded.failures, last_failure_at = excluded.last_failure_at, "
            "locked_until = excluded.locked_until",
            (account, lockout.failures, seconds(lockout.last_failure_at), until),
        )

    def clear_lockout(self, account: str) -> bool:
        """Forget failures and lock-out.  Returns whether there was anything to forget."""
        return self._count("DELETE FROM lockout WHERE account = ?", account) > 0

    def clear_stations(self, account: str, *, known: bool = True) -> bool:
        """The same for the stations of an account, which stay `known` or not."""
        action = "UPDATE lockout SET failures = 0, locked_until = NULL WHERE failures > 0 AND"
        action = action if known else "DELETE FROM lockout WHERE"
        sql = f"{action} substr(account, 1, ?) = ?"
        return self._count(sql, len(account) + 1, f"{account}\n") > 0

    # Challenges

    def challenge(self, transaction_id: str) -> Challenge | None:
        """One challenge, in whatever state."""
        row = self._db.execute(*questions.challenge(transaction_id)).fetchone()
        return None if row is None else rows.challenge(row)

    def open_challenges(self, now: datetime, account: str | None = None) -> list[Challenge]:
        """The challenges that may still be answered, newest first; of one account or of all."""
        asked = questions.all_open(now) if account is None else questions.open_of(account, now)
        return [rows.challenge(row) for row in self._db.execute(*asked)]

    def add_challenge(self, challenge: Challenge) -> None:
        """Add a challenge."""
        row = rows.challenge_row(challenge)
        marks = ", ".join("?" * len(row))
        sql = f"INSERT INTO challenge ({rows.CHALLENGE}) VALUES ({marks})"  # noqa: S608  # constants
        self._db.execute(sql, row)

    def save_answer(self, challenge: Challenge) -> None:
        """Store what an answer changed: state, guesses left, and which answer it was."""
        one = challenge
        self._db.execute(
            "UPDATE challenge SET state = ?, guesses_left = ?, answered = ? "
            "WHERE transaction_id = ?",
            (one.state, one.guesses_left, one.answered, one.transaction_id),
        )

    def save_delivery(self, challenge: Challenge, sends_before: int | None = None) -> bool:
        """
        Store what delivery changed: its state, route, provider, sends and lease.

        Args:
            sends_before: `sends` as the store must still have it; None: as `challenge` has it.

        Returns:
            False, and nothing is stored, if the message was asked for again meanwhile.
        """
        delivery = challenge.delivery
        changed = self._count(
            "UPDATE challenge SET delivery_state = ?, route = ?, sends = ?, provider = ?, "
            "lease_owner = ?, lease_until = ? WHERE transaction_id = ? AND sends = ?",
            delivery.state,
            " ".join(delivery.route),
            delivery.sends,
            delivery.provider,
            delivery.lease_owner,
            rows.seconds(delivery.lease_until),
            challenge.transaction_id,
            delivery.sends if sends_before is None else sends_before,
        )
        return changed > 0

    def cancel_challenges(self, account: str) -> int:
        """End all open challenges of an account.  Returns how many there were."""
        sql = "UPDATE challenge SET state = 'cancelled' WHERE account = ? AND state = 'open'"
        return self._count(sql, account)

    def unsent(self, now: datetime, most: int) -> list[Challenge]:
        """Open challenges whose message waits and that nobody holds the lease of, oldest first."""
        sql = (
            f"SELECT {rows.CHALLENGE} FROM challenge WHERE delivery_state = 'queued' "  # noqa: S608
            "AND lease_until <= ? AND state = 'open' AND expires_at > ? "
            "ORDER BY lease_until, created_at LIMIT ?"
        )
        values = (now.timestamp(), now.timestamp(), most)
        return [rows.challenge(row) for row in self._db.execute(sql, values)]

    # Tallies

    def tally(self, account: str, number_tag: str, client: str, now: datetime) -> Tally:
        """
        Messages that were asked for in the last hour and day.

        What lies as far ahead counts as well: a clock may have gone back since.  What lies further
        ahead does not, or who was at a limit would be there until the clock has caught up.
        """
        slot = int(now.timestamp()) // SLOT
        hour = slot - HOUR_SLOTS
        names = _scopes(account, number_tag, client)
        if self._lock is not None:
            self._lock(names)
        hours = (hour, slot + HOUR_SLOTS)
        days = (slot - DAY_SLOTS, slot + DAY_SLOTS)
        values = (names[0], *hours, names[1], *hours, names[2], *hours, names[3], *days)
        one = "(SELECT sum(sent) FROM tally WHERE scope = ? AND slot BETWEEN ? AND ?)"
        sums = self._db.execute(f"SELECT {one}, {one}, {one}, {one}", values).fetchone()
        return Tally(*(int(sent or 0) for sent in sums))

    def count_message(self, account: str, number_tag: str, client: str, now: datetime) -> None:
        """Count one message."""
        slot = int(now.timestamp()) // SLOT
        slots = (slot, slot, slot, slot - slot % HOUR_SLOTS)
        one = "(?, ?, 1)"
        self._db.execute(
            f"INSERT INTO tally (scope, slot, sent) VALUES {one}, {one}, {one}, {one} "  # noqa: S608
            "ON CONFLICT (scope, slot) DO UPDATE SET sent = tally.sent + 1",
            [*chain(*zip(_scopes(account, number_tag, client), slots, strict=True))],
        )

    # Remembered devices

    def is_remembered(
        self, account: str, client: Client, number_tag: str, now: datetime, longest: timedelta
    ) -> bool:
        """
        Whether the station behind this client needs no code now, to this number.

        Args:
            longest: How long devices are remembered.  One for which that is not over for longer
                yet was noted by a clock that has gone back since, or under other settings.
        """
        sql = (
            "SELECT 1 FROM device WHERE account = ? AND client = ? AND ssid = ? AND station = ? "
            "AND number_tag = ? AND expires_at > ? AND expires_at <= ?"
        )
        place = (client.name, client.ssid, client.station)
        latest = now + longest + SKEW
        values = (account, *place, number_tag, now.timestamp(), latest.timestamp())
        return self._db.execute(sql, values).fetchone() is not None

    def devices(self, account: str, now: datetime) -> list[Device]:
        """The remembered devices of an account, by client, SSID and station."""
        sql = (
            f"SELECT {rows.DEVICE} FROM device WHERE account = ? AND expires_at > ? "  # noqa: S608
            "ORDER BY client, ssid, station"
        )
        return [rows.device(row) for row in self._db.execute(sql, (account, now.timestamp()))]

    def remember_device(self, device: Device) -> None:
        """Let this device log in without a code; what was known of it before is replaced."""
        self._db.execute(
            f"INSERT INTO device ({rows.DEVICE}) VALUES (?, ?, ?, ?, ?, ?) "  # noqa: S608  # constants
            "ON CONFLICT (account, client, ssid, station) DO UPDATE SET "
            "number_tag = excluded.number_tag, expires_at = excluded.expires_at",
            rows.device_row(device),
        )

    def forget_devices(self, account: str, station: str | None = None) -> int:
        """
        Forget the devices of an account.

        Args:
            station: Only this one, wherever it was; None for all.

        Returns:
            How many there were.
        """
        if station is None:
            return self._count("DELETE FROM device WHERE account = ?", account)
        sql = "DELETE FROM device WHERE account = ? AND station = ?"
        return self._count(sql, account, station)

    # Audit trail: see EventStatements

    # Providers

    def put_breaker(self, provider: str, state: str, since: datetime, reason: str) -> None:
        """Note that a provider is skipped from now on, or used again."""
        self._db.execute(
            "INSERT INTO breaker (provider, state, since, reason) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (provider) DO UPDATE SET state = excluded.state, since = excluded.since, "
            "reason = excluded.reason",
            (provider, state, since.timestamp(), reason),
        )

    def breakers(self) -> dict[str, tuple[str, datetime | None, str]]:
        """Provider to state, since when, and why."""
        found = self._db.execute("SELECT provider, state, since, reason FROM breaker")
        return {row[0]: (row[1], rows.moment(row[2]), row[3]) for row in found}

    # Clean-up

    def prune(self, challenges_before: datetime, events_before: datetime, now: datetime) -> int:
        """
        Remove at most `PRUNE_SLICE` rows of each kind that are past their use.

        Returns:
            How many rows went; 0 when there is nothing left to remove.
        """
        doomed = (
            ("challenge", "transaction_id", "expires_at", challenges_before.timestamp()),
            ("event", "id", "time", events_before.timestamp()),
            ("device", "account, client, ssid, station", "expires_at", now.timestamp()),
            ("lockout", "account", "last_failure_at", (now - STATION_KNOWN).timestamp()),
            ("tally", "scope, slot", "slot", int(now.timestamp()) // SLOT - DAY_SLOTS),
        )
        removed = 0
        for table, key, column, limit in doomed:
            sql = (
                f"DELETE FROM {table} WHERE ({key}) IN "  # noqa: S608  # constants only
                f"(SELECT {key} FROM {table} WHERE {column} < ? LIMIT {PRUNE_SLICE})"
            )
            removed += self._count(sql, limit)
        return removed

    def _count(self, sql: str, *values: Any) -> int:
        """Run a statement, and say how many rows it changed."""
        return int(self._db.execute(sql, values).rowcount)


def _scopes(account: str, number_tag: str, client: str) -> tuple[str, str, str, str]:
    """The names under which one message is counted, in the order of `Tally`."""
    return (f"account {account}", f"number {number_tag}", f"client {client}", "all")
