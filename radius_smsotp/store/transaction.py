"""
What can be read and written in one transaction.

Figures have a module of their own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any

from radius_smsotp.model import identity
from radius_smsotp.model.lockout import STATION_KNOWN
from radius_smsotp.model.records import (
    UNANSWERED,
    Account,
    Asker,
    Challenge,
    Counted,
    Counter,
    Event,
    Known,
    Lockout,
    Message,
    Tally,
)
from radius_smsotp.store import questions, rows, tallies
from radius_smsotp.store.attempts import AttemptStatements
from radius_smsotp.store.history import LATE, History
from radius_smsotp.store.people import END_EMERGENCY, PersonStatements
from radius_smsotp.store.rows import (
    ACCOUNT,
    CHALLENGE,
    DECOY,
    EVENT,
    LOCKOUT,
    MESSAGE,
    Connection,
    T,
    Table,
    selected,
)
from radius_smsotp.store.servers import ServerStatements
from radius_smsotp.store.stations import LOCKED, StationStatements, locked_at
from radius_smsotp.store.statistics import FigureStatements

BEFORE, AFTER = 60.0, 3600.0
"""Seconds around the life of a challenge in which others may have answered it: the clocks of
several servers differ, and an answer that comes late is told of as well."""

PRUNE_SLICE = 200
"""Rows that one `prune` removes at most: few enough that no login waits for it."""

END_OPEN = ("UPDATE challenge SET state = 'cancelled' WHERE state = 'open'", END_EMERGENCY)
"""Ends the challenges that are open, and emergency codes: they may be spent in another store."""

OF_DELIVERY = (
    *("state", "route", "provider", "not_before", "lease_owner", "lease_until"),
    *("tries", "counted"),
)
SAVED = ", ".join(f"{column} = ?" for column in OF_DELIVERY)
_of_delivery = itemgetter(*map(MESSAGE.columns.index, OF_DELIVERY))

EVENT_OF = (
    f"INSERT INTO event ({', '.join(EVENT.columns)}) "
    f"SELECT {', '.join('?' * EVENT.width)} FROM message WHERE transaction_id = ? AND number = ?"
)

NEWEST = (
    "(SELECT max(number) FROM message AS other "
    "WHERE other.transaction_id = challenge.transaction_id)"
)


class Transaction(AttemptStatements, PersonStatements, ServerStatements, StationStatements):
    """
    The store within one transaction.  Names are folded (see `model.identity.fold_name`).

    Args:
        connection: Takes ``?`` for a value.
        lock: Called with the tag of a number, before the messages to it are counted in order to
            send one more; None where nobody else writes meanwhile.
        admits: Says whether an event that is noted becomes a line of its own.

    Attributes:
        summed: What was noted and has none, to be counted once this transaction is committed.
    """

    def __init__(
        self,
        connection: Connection,
        lock: Callable[[str], None] | None = None,
        admits: Callable[[Event], bool] = lambda _: True,
    ) -> None:
        super().__init__(connection)
        self._lock = lock
        self._admits = admits
        self.summed: list[Event] = []

    @property
    def figures(self) -> FigureStatements:
        """How many events there were."""
        return FigureStatements(self._db)

    @property
    def history(self) -> History:
        """The events of everybody."""
        return History(self._db)

    # A login

    def known(self, asker: Asker, now: datetime) -> Known:
        """What a step of a login needs to know first, in one question."""
        asked = questions.known(asker, now)
        return questions.answered(self._db.execute(*asked).fetchall())

    # Accounts

    def account(self, name: str) -> Account | None:
        """The account of that name."""
        return self.accounts_named([name]).get(name)

    def accounts_named(self, names: Sequence[str]) -> dict[str, Account]:
        """Those of these accounts that are there, by name."""
        marks = ", ".join("?" * len(names))
        sql = f"SELECT {ACCOUNT.selected} FROM account WHERE name IN ({marks})"
        found = map(ACCOUNT.read, self._db.execute(sql, tuple(names)))
        return {one.name: one for one in found}

    def accounts(self) -> Iterator[tuple[Account, Lockout]]:
        """All accounts with their lock-outs, by name."""
        sql = (
            f"SELECT {selected(ACCOUNT, LOCKOUT)} FROM account "
            "LEFT JOIN lockout ON lockout.account = account.name ORDER BY name"
        )
        for row in self._db.execute(sql):
            yield ACCOUNT.read(row), LOCKOUT.find(row, ACCOUNT.width) or Lockout()

    def count_accounts(self, now: datetime) -> dict[str, int]:
        """How many accounts are ``enabled``, ``disabled``, and ``locked`` at the moment."""
        sql = "SELECT enabled, count(*) AS number FROM account GROUP BY enabled"
        by_state = {bool(row["enabled"]): int(row["number"]) for row in self._db.execute(sql)}
        locked = self._number(f"SELECT count(*) FROM lockout WHERE {LOCKED}", *locked_at(now))
        enabled, disabled = by_state.get(True, 0), by_state.get(False, 0)
        return {"enabled": enabled, "disabled": disabled, "locked": locked}

    def put_account(self, account: Account, now: datetime) -> None:
        """Add or replace an account."""
        values = (*ACCOUNT.values(account), now.timestamp(), now.timestamp())
        # The tag of the number is noted with the next message to it: see `put_number_tag`.
        sql = "number_tag = CASE WHEN account.phone = excluded.phone THEN account.number_tag END"
        self._db.execute(f"{ACCOUNT.replace}, {sql}", values)

    def exchange_pin_hash(self, name: str, before: str, after: str) -> None:
        """Put another hash of the same PIN in the place of one, if that is still there."""
        sql = "UPDATE account SET pin_hash = ? WHERE name = ? AND pin_hash = ?"
        self._db.execute(sql, (after, name, before))

    def delete_account(self, name: str) -> bool:
        """
        Remove an account with its lock-out, stations, devices and emergency codes; cancel its open
        challenges.

        Returns:
            Whether it was there.
        """
        self.clear_lockout(name)
        self._db.execute("DELETE FROM station WHERE account = ?", (name,))
        self.forget_devices(name)
        self._db.execute("DELETE FROM emergency WHERE account = ?", (name,))
        self.cancel_challenges(name)
        return self._count("DELETE FROM account WHERE name = ?", name) > 0

    # Lock-outs

    def lockout(self, account: str) -> Lockout:
        """Failures and lock-out of an account, ours or from elsewhere."""
        return self._first(LOCKOUT, "lockout WHERE account = ?", account) or Lockout()

    def put_lockout(self, account: str, lockout: Lockout) -> None:
        """Store failures and lock-out of an account."""
        self._db.execute(LOCKOUT.replace, (account, *LOCKOUT.values(lockout)))

    def clear_lockout(self, account: str) -> bool:
        """Forget failures and lock-out.  Returns whether there was anything to forget."""
        return self._count("DELETE FROM lockout WHERE account = ?", account) > 0

    def note_refusal(self, account: str, now: datetime) -> None:
        """Write as much as for a wrong PIN where none counts: it must not show in the time."""
        # One row for all would be waited for, and one for each name be more than anybody keeps.
        values = (identity.share(account), *DECOY.values(Lockout(1, now)))
        self._db.execute(DECOY.replace, values)

    # Challenges

    def challenge(self, transaction_id: str) -> Challenge | None:
        """One challenge, in whatever state."""
        return self._first(CHALLENGE, "challenge WHERE transaction_id = ?", transaction_id)

    def open_challenges(
        self, now: datetime, account: str | None = None
    ) -> list[tuple[Challenge, Message | None]]:
        """
        The challenges that may still be answered, newest first; of one account or of all.

        Returns:
            Each with its newest message, if it has one.
        """
        whose, value = ("", ()) if account is None else ("AND account = ?", (account,))
        sql = (
            f"SELECT {selected(CHALLENGE, MESSAGE)} FROM challenge LEFT JOIN message "
            f"ON message.transaction_id = challenge.transaction_id AND number = {NEWEST} "
            f"WHERE challenge.state = 'open' AND expires_at > ? {whose} ORDER BY created_at DESC"
        )
        found = self._db.execute(sql, (now.timestamp(), *value))
        return [(CHALLENGE.read(row), MESSAGE.find(row, CHALLENGE.width)) for row in found]

    def add_challenge(self, challenge: Challenge) -> None:
        """Add a challenge."""
        self._db.execute(CHALLENGE.insert, CHALLENGE.values(challenge))

    def save_answer(self, challenge: Challenge) -> None:
        """
        Store what an answer changed: state, guesses left, and which answer it was; and the hint,
        if its code goes another way.
        """
        one = challenge
        sql = "UPDATE challenge SET state = ?, guesses_left = ?, answered = ?, phone_hint = ? "
        values = (one.state, one.guesses_left, one.answered, one.phone_hint, one.transaction_id)
        self._db.execute(f"{sql} WHERE transaction_id = ?", values)

    def spend(self, transaction_ids: Sequence[str]) -> int:
        """Spend open challenges, whatever was answered.  Returns how many there were."""
        marks = ", ".join("?" * len(transaction_ids))
        sql = "UPDATE challenge SET state = 'spent', answered = '' WHERE state = 'open'"
        return self._count(f"{sql} AND transaction_id IN ({marks})", *transaction_ids)

    def cancel_challenges(self, account: str) -> None:
        """End all open challenges of an account."""
        sql = "UPDATE challenge SET state = 'cancelled' WHERE account = ? AND state = 'open'"
        self._db.execute(sql, (account,))

    def forget_unanswered(self, account: str, now: datetime) -> bool:
        """Forget what was asked for lately and came to its end.  Returns whether there was any."""
        sql = f"{END_OPEN[0]} AND account = ? AND expires_at <= ? AND created_at > ?"
        since = (now - UNANSWERED).timestamp()
        return self._count(sql, account, now.timestamp(), since) > 0

    def end_challenges(self) -> int:
        """End all open challenges, and emergency codes.  Returns how many challenges there were."""
        number, _ = (self._count(statement) for statement in END_OPEN)
        return number

    # Messages

    def message(self, transaction_id: str) -> Message | None:
        """The newest message of a challenge."""
        where = "message WHERE transaction_id = ? ORDER BY number DESC LIMIT 1"
        return self._first(MESSAGE, where, transaction_id)

    def add_message(self, message: Message) -> None:
        """Add a message."""
        self._db.execute(MESSAGE.insert, MESSAGE.values(message))

    def save_message(self, message: Message, held_by: str | None = None) -> None:
        """
        Store what delivery changed: `OF_DELIVERY`.

        Nothing, if another message has replaced this one.

        Args:
            held_by: Nothing either, if somebody else holds its lease.
        """
        values = _of_delivery(MESSAGE.values(message))
        of = "WHERE transaction_id = ? AND number = ? AND state <> 'replaced'"
        whose = "" if held_by is None else " AND lease_owner = ?"
        held = () if held_by is None else (held_by,)
        self._db.execute(
            f"UPDATE message SET {SAVED} {of}{whose}",
            (*values, *message.key, *held),
        )

    def unsent(self, now: datetime, most: int) -> list[tuple[Challenge, Message]]:
        """
        Messages of open challenges that are due and that nobody holds the lease of.

        Returns:
            Those that were asked for once more first, and then the oldest.
        """
        sql = (
            f"SELECT {selected(CHALLENGE, MESSAGE)} FROM message JOIN challenge "
            "ON challenge.transaction_id = message.transaction_id "
            "WHERE message.state = 'queued' AND lease_until <= ? "
            "AND (not_before IS NULL OR not_before <= ?) "
            "AND challenge.state = 'open' AND expires_at > ? "
            "ORDER BY number DESC, lease_until, created_at LIMIT ?"
        )
        found = self._db.execute(sql, (*[now.timestamp()] * 3, most))
        return [(CHALLENGE.read(row), MESSAGE.read(row, CHALLENGE.width)) for row in found]

    def postponed(self, now: datetime) -> int:
        """How many messages wait for their turn, or to be tried again."""
        sql = "SELECT count(*) FROM message WHERE state = 'queued' AND not_before > ?"
        return self._number(sql, now.timestamp())

    def too_late(self, now: datetime, most: int) -> list[tuple[Challenge, Message]]:
        """Messages that nobody holds the lease of, and whose code is worth nothing any more."""
        sql = (
            f"SELECT {selected(CHALLENGE, MESSAGE)} FROM message JOIN challenge "
            "ON challenge.transaction_id = message.transaction_id "
            "WHERE message.state = 'queued' AND lease_until <= ? "
            "AND (challenge.state <> 'open' OR expires_at <= ?) LIMIT ?"
        )
        found = self._db.execute(sql, (*[now.timestamp()] * 2, most))
        return [(CHALLENGE.read(row), MESSAGE.read(row, CHALLENGE.width)) for row in found]

    # Tallies

    def tally(self, counter: Counter, number_tag: str, now: datetime) -> Tally:
        """Messages that left, or may yet, of those asked for in the last hour and day."""
        if self._lock is not None:
            self._lock(number_tag)
        asked = questions.tally(counter, number_tag, now)
        return tallies.read(self._db.execute(*asked).fetchone())

    def count_message(
        self, counter: Counter, number_tag: str, now: datetime, less: Iterable[Counted] = ()
    ) -> Counted:
        """
        Count one message.

        Args:
            less: What those were counted under whose place it takes.

        Returns:
            What it is counted under.
        """
        counted = tallies.counted(counter, number_tag, now)
        self._add_to_tallies([counted], less)
        return counted

    def withdraw(self, transaction_id: str) -> None:
        """Send the message of a challenge no more that `Known.waiting` has."""
        self._db.execute(
            "UPDATE message SET state = 'replaced', counted = '[]' "
            "WHERE transaction_id = ? AND state = 'queued'",
            (transaction_id,),
        )

    def give_back(self, *messages: Message) -> None:
        """Count messages no more: they have not left, and never will."""
        sql = (
            "UPDATE message SET counted = '[]' "
            "WHERE transaction_id = ? AND number = ? AND counted <> '[]'"
        )
        counted = [one for one in messages if one.counted and self._count(sql, *one.key)]
        self._add_to_tallies((), [one.counted for one in counted])

    def _add_to_tallies(self, more: Iterable[Counted], less: Iterable[Counted]) -> None:
        # One statement for all of it, in one order: who locks rows one by one can stand in the way
        # of somebody who has locked another one before.
        changes = tallies.changes(more, less)
        if changes:
            rows = ", ".join(["(?, ?, ?)"] * len(changes))
            self._db.execute(
                f"INSERT INTO tally (scope, slot, sent) VALUES {rows} "
                "ON CONFLICT (scope, slot) DO UPDATE SET sent = tally.sent + excluded.sent",
                [*chain(*changes)],
            )

    def put_number_tag(self, account: str, number_tag: str) -> None:
        """Note under which tag messages to the number of an account are counted."""
        sql = "UPDATE account SET number_tag = ? WHERE name = ?"
        self._db.execute(sql, (number_tag, account))

    # Audit trail

    def add_event(self, event: Event, of: Message | None = None) -> None:
        """
        Add a line to the audit trail.

        Args:
            of: Nothing, if this message was erased meanwhile.
        """
        if of is None:
            self._db.execute(EVENT.insert, EVENT.values(event))
        else:
            self._db.execute(EVENT_OF, (*EVENT.values(event), *of.key))

    def note(self, event: Event) -> bool:
        """The same for what has no end (see `store.trail`).  Returns whether it got a line."""
        if self._admits(event):
            self.add_event(event)
            return True
        self.summed.append(event)
        return False

    def known_names(self, names: Collection[str]) -> set[str]:
        """Those of these names that are accounts of ours, or have failed and are from elsewhere."""
        marks = ", ".join("?" * len(names))
        sql = f"SELECT name FROM account WHERE name IN ({marks}) UNION "
        sql += f"SELECT account FROM lockout WHERE account IN ({marks})"
        return {str(row["name"]) for row in self._db.execute(sql, (*names, *names))}

    def events(self, name_or_id: str, most: int) -> list[Event]:
        """
        The last events of an account, of a challenge, or of a station that is a MAC or IP address,
        in the order in which they happened.

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
        elif station := identity.station_address(name_or_id):
            places.append(("station = ?", [station]))
        # Constants only: no value ever gets into a statement but by its mark.
        found = " UNION ".join(f"SELECT id FROM event WHERE id > ? AND {one}" for one, _ in places)
        values = [value for _, own in places for value in (since - LATE, *own)]
        sql = (
            f"SELECT {EVENT.selected}, id FROM event WHERE id IN (SELECT id FROM ({found}) "
            "AS found ORDER BY id DESC LIMIT ?) ORDER BY id"
        )
        got = self._db.execute(sql, (*values, most))
        return [(int(row["id"]), EVENT.read(row)) for row in got]

    def _places(self, transaction_id: str) -> list[tuple[str, list[Any]]]:
        """Conditions under which the events of a challenge are found, and their values."""
        mine = "transaction_id = ?"
        challenge = self.challenge(transaction_id)
        if challenge is None:
            return [(mine, [transaction_id])]
        begun, ended = challenge.created_at.timestamp(), challenge.expires_at.timestamp()
        return [
            (f"{mine} AND account = ?", [transaction_id, challenge.account]),
            (f"{mine} AND time >= ? AND time < ?", [transaction_id, begun - BEFORE, ended + AFTER]),
        ]

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
        return {
            row["provider"]: (row["state"], rows.moment(row["since"]), row["reason"])
            for row in found
        }

    # Clean-up

    def prune(
        self,
        challenges_before: datetime,
        events_before: datetime,
        now: datetime,
        *,
        events_to: int = 0,
        most: int = PRUNE_SLICE,
    ) -> int:
        """
        Remove rows that are past their use, the oldest first, at most so many of each kind.

        Args:
            events_to: Events up to this number go too, see `FigureStatements.event_beyond`.

        Returns:
            How many rows went; 0 when there is nothing left to remove.
        """
        failed_before = (now - STATION_KNOWN).timestamp()
        doomed = (
            ("event", "id", "time", events_before.timestamp()),
            ("event", "id", "id", events_to + 1),
            ("device", "account, client, ssid, station", "expires_at", now.timestamp()),
            ("emergency", "account", "expires_at", failed_before),
            ("lockout", "account", "last_failure_at", failed_before),
            ("decoy", "number", "last_failure_at", failed_before),
            ("station", "account, client, station", "seen_at", failed_before),
            ("authority", "place", "seen_at", events_before.timestamp()),
            ("server", "place", "seen_at", events_before.timestamp()),
            (
                "tally",
                "scope, slot",
                "slot",
                int(now.timestamp()) // tallies.SLOT - tallies.DAY_SLOTS,
            ),
        )
        removed = self._prune_challenges(challenges_before, most)
        for table, key, column, limit in doomed:
            sql = (
                f"DELETE FROM {table} WHERE ({key}) IN "
                f"(SELECT {key} FROM {table} WHERE {column} < ? ORDER BY {column} LIMIT ?)"
            )
            removed += self._count(sql, limit, most)
        return removed

    def _prune_challenges(self, before: datetime, most: int) -> int:
        """The challenges of `prune`, with their messages and attempts."""
        sql = "SELECT transaction_id FROM challenge WHERE expires_at < ? LIMIT ?"
        old = [row["transaction_id"] for row in self._db.execute(sql, (before.timestamp(), most))]
        marks = ", ".join("?" * len(old))
        for table in ("attempt", "message", "challenge") if old else ():
            self._db.execute(f"DELETE FROM {table} WHERE transaction_id IN ({marks})", old)
        return len(old)

    def _first(self, table: Table[T], source: str, *values: Any) -> T | None:
        """The first record of a table (with conditions); None if there is none."""
        return table.find(
            self._db.execute(f"SELECT {table.selected} FROM {source}", values).fetchone()
        )

    def _count(self, sql: str, *values: Any) -> int:
        """Run a statement, and say how many rows it changed."""
        return int(self._db.execute(sql, values).rowcount)

    def _number(self, sql: str, *values: Any) -> int:
        """The one number that a statement asks for."""
        return int(self._db.execute(sql, values).fetchone()[0])
