"""
The store in a PostgreSQL database, shared by several servers.

A transaction that writes locks the accounts it is about first, until it ends.  So two answers for
one account come one after the other, on whichever server, while other accounts go on beside them;
and every statement after the lock sees what those before it have committed (READ COMMITTED).
Who may send a message locks its number as well: the limits of account and number are kept to the
message.  Nobody waits for the messages of a client, or of a day: between question and commit lies
a way to the database and back, and one login at a time would be let in, of however many servers.
So those limits may be exceeded by what is under way, of each process by `CONNECTIONS` messages.
The locks are PostgreSQL's advisory ones, taken in one order: no two transactions wait for each
other.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import psycopg

from radius_smsotp.errors import ConfigurationError, Problem, StoreError
from radius_smsotp.model.records import Asker, Known
from radius_smsotp.store.durability import Durability
from radius_smsotp.store.postgres import condition
from radius_smsotp.store.postgres.connection import (
    GONE,
    NO_PASSWORD,
    Connection,
    OverdueError,
    Session,
    no_password,
    parameters,
    reason,
    shown,
    store_error,
)
from radius_smsotp.store.postgres.hosts import Hosts
from radius_smsotp.store.postgres.pool import Pool
from radius_smsotp.store.questions import Question
from radius_smsotp.store.schema import VERSIONS
from radius_smsotp.store.trail import Trail
from radius_smsotp.store.transaction import Transaction
from radius_smsotp.store.transfer import Contents

EVERYTHING = int.from_bytes(b"smsotp", "big")
"""The lock that whoever writes shares, and holds alone who writes about everything."""

MIGRATION_SECONDS = 60.0
"""How long a start may wait for another server that brings the schema forward."""

PROMPT = 0.9
"""Part of the patience that is left to a transaction that has hardly waited for a connection."""

GRACE = 0.75
"""Part of the patience after which the server ends a wait for a lock: it can say what for."""

READ = Question("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
WRITE = Question("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
SYNC = Question("SET LOCAL synchronous_commit TO ON")
SYNC_TO_STANDBY = Question(
    "SELECT set_config('synchronous_commit', "
    "CASE current_setting('synchronous_standby_names') WHEN '' THEN 'off' ELSE 'on' END, true)"
)
"""Where a standby confirms commits, no message leaves for a challenge that a fail-over loses, or
whose code could not be spent because no standby is there."""
NO_HURRY = Question(
    "SELECT set_config('statement_timeout', '0', true), "
    "set_config('idle_in_transaction_session_timeout', '0', true)"
)
LOCK_TIMEOUT = "SELECT set_config('lock_timeout', ?, true)"
KEEPALIVES = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
}
"""Of the server, too: it notices a host of ours that has gone away, and lets go of its locks."""

LONG_SECONDS = 600.0
"""That one statement of a copy may take."""

MOST_LOCKS = 500
"""Who writes about more accounts writes about everything: by default PostgreSQL has room for 6,400
locks of all its transactions together (``max_locks_per_transaction``)."""

LOCK = Question("SELECT pg_advisory_xact_lock(?)", (EVERYTHING,))
LOCK_NAMES = (
    "SELECT pg_advisory_xact_lock_shared(?), pg_advisory_xact_lock(key) "
    "FROM unnest(?::bigint[]) AS key"
)
LOCK_NUMBER = (
    "SELECT pg_advisory_xact_lock(hashtextextended(number_tag, 0)) FROM (SELECT nullif(coalesce("
    "CAST(? AS TEXT), (SELECT number_tag FROM account WHERE name = ?)), '') AS number_tag) AS one"
)
"""Of a tag, or else of an account that is locked already; no lock if there is no number."""

OWN_TABLE = """
    CREATE TABLE IF NOT EXISTS smsotp_schema (id INTEGER PRIMARY KEY, version INTEGER NOT NULL);
    INSERT INTO smsotp_schema VALUES (1, 0) ON CONFLICT DO NOTHING;
"""

MADE_AT_ONCE = {"23505", "42P07", "42710"}
"""What CREATE TABLE IF NOT EXISTS fails with if another session is just making the same."""


class PostgresStore(Durability):
    """A store in the database that a URL of libpq names."""

    def __init__(self, url: str, patience: float) -> None:
        super().__init__(self._emit)
        self.trail = Trail()
        self._given = parameters(url)
        secret = str(self._given.get("password") or "")
        self._hosts = Hosts(self._given, lambda error: reason(error, secret))
        self._patience = patience
        self._lock = threading.Lock()
        self._pool: Pool | None = None
        self._started: object = None
        self._generation = 0

    @property
    def name(self) -> str:
        """See `Store.name`."""
        return shown(self._given)

    @property
    def folder(self) -> Path | None:
        """None: it lies elsewhere."""
        return None

    def exists(self) -> bool:
        """See `Store.exists`."""
        with self._alone() as db:
            return _version(db) is not None

    def migrate(self) -> None:
        """See `Store.migrate`."""
        with self._alone() as db:
            version = _version(db)
            if version is None:
                _make_own_table(db)
            if version != len(VERSIONS):
                self._step_forward(db)
            lacking = condition.missing_rights(db)
            if lacking:
                remedy = "GRANT SELECT, INSERT, UPDATE, DELETE on all tables to this role"
                raise self._fault(f"this role may not use {', '.join(lacking)}", remedy)

    def is_replaced(self) -> bool:
        """False: who is connected to a database keeps it from being dropped or renamed."""
        return False

    @property
    def generation(self) -> int:
        """See `Store.generation`."""
        return self._generation

    def look(self, asker: Asker, now: datetime) -> Known:
        """See `Store.look`.  No transaction: it would cost one more way there and back."""
        with self._transaction(lambda _: []) as session:
            return Transaction(session).known(asker, now)

    @contextlib.contextmanager
    def login(
        self, asker: Asker, now: datetime, *, durable: bool = False
    ) -> Iterator[tuple[Transaction, Known]]:
        """See `Store.login`."""
        opens = asker.transaction_id is None
        lasts = [SYNC] if durable else [SYNC_TO_STANDBY] if opens else []
        with self._writing([asker.account], lasts) as (tx, session):
            if opens:
                session.defer(LOCK_NUMBER, (asker.number_tag, asker.account))
            yield tx, tx.known(asker, now)

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """See `Store.read`."""
        with self._transaction(lambda _: [READ]) as session:
            yield Transaction(session)

    @contextlib.contextmanager
    def write(self, *accounts: str, durable: bool = False) -> Iterator[Transaction]:
        """See `Store.write`."""
        with self._writing(accounts, [SYNC] if durable else []) as (tx, _):
            yield tx

    @contextlib.contextmanager
    def _writing(
        self, accounts: Collection[str], lasts: Sequence[Question]
    ) -> Iterator[tuple[Transaction, Session]]:
        lock = _lock_of(sorted(map(_key, set(accounts)))) if accounts else LOCK

        def start(seconds: float) -> list[Question]:
            # Some of the time may have gone into waiting for a connection.
            limit = f"{_milliseconds(seconds)}"
            hurry = [Question(LOCK_TIMEOUT, (limit,))] if seconds < self._patience * PROMPT else []
            return [WRITE, *lasts, *hurry, lock]

        def lock_number(tag: str) -> None:
            session.defer(LOCK_NUMBER, (tag, ""))

        with self._transaction(start) as session:
            tx = Transaction(session, lock_number, self.trail.admits)
            yield tx, session
        self.committed()
        self.trail.count(tx.summed)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Contents]:
        """See `Store.snapshot`."""
        with self._transaction(lambda _: [READ, NO_HURRY], LONG_SECONDS) as session:
            yield Contents(session)

    @contextlib.contextmanager
    def refill(self) -> Iterator[Contents]:
        """See `Store.refill`."""
        start = [WRITE, SYNC, NO_HURRY, LOCK]
        with self._transaction(lambda _: start, LONG_SECONDS) as session:
            yield Contents(session)

    def inspect(self) -> tuple[str, list[Problem]]:
        """See `Store.inspect`."""
        with self._transaction(lambda _: [READ]) as session:
            return condition.inspect(session, f"store ({self.name})")

    def room(self) -> contextlib.AbstractContextManager[None]:
        """See `Store.room`.  The disk is the database's."""
        return contextlib.nullcontext()

    def give_back(self) -> int:
        """See `Store.give_back`.  Autovacuum has what was removed used again."""
        return 0

    def idle(self) -> int:
        """See `Store.idle`."""
        return 0

    def compact(self) -> None:
        """See `Store.compact`.  It would lock out every server for as long as it takes."""
        raise StoreError(
            "the database uses the room again by itself; to shrink it is up to its "
            "administrator (VACUUM FULL, while no login waits)"
        )

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @contextlib.contextmanager
    def _transaction(
        self, start: Callable[[float], Sequence[Question]], patience: float | None = None
    ) -> Iterator[Session]:
        """What the arguments are, see `Session`."""
        pool = self._opened()

        def take(use: Callable[[Connection], None]) -> None:
            pool.take(use, time.monotonic() + self._patience)

        session = Session(take, start, patience)
        try:
            try:
                yield session
                session.commit()
            except BaseException:
                session.leave()
                raise
            finally:
                if session.connection is not None:
                    pool.give_back(session.connection)
        except OverdueError:
            pool.trip()
            raise StoreError(f"{GONE} within {self._patience:g} s") from None
        except psycopg.Error as error:
            raise store_error(error) from error

    def _emit(self) -> None:
        """
        Commit a message that nobody reads, and wait for it: so is all that came before in the log.

        PostgreSQL does not wait for a transaction that has written nothing.
        """
        with self._transaction(lambda _: [WRITE, SYNC]) as session:
            session.defer("SELECT pg_logical_emit_message(true, 'radius-smsotp', '')", ())

    def _opened(self) -> Pool:
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self._hosts, self._configure)
            return self._pool

    def _configure(self, db: Connection) -> None:
        """The server's own timeouts: it shall not go on when we have given up."""
        db.patience = MIGRATION_SECONDS
        milliseconds = max(1, int(self._patience * 1000))
        settings = {
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": max(milliseconds, 1000),
            "lock_timeout": _milliseconds(self._patience),
            # What must be durable says so.
            "synchronous_commit": "off",
        }
        facts = b"SELECT pg_backend_pid(), pg_postmaster_start_time()"
        [(process, started)] = db.execute(facts, prepare=False)
        if started != self._started:
            self._started = started
            self._generation += 1
        if process == db.info.backend_pid:
            made = {**settings, **KEEPALIVES}
            db.execute("; ".join(f"SET {name} = {made[name]}" for name in made).encode())
        else:
            # A pooler (PgBouncer) has a number of its own.  Between two transactions it may change
            # the connection behind it, where others have settings and prepared statements.
            db.prepare_threshold = None
            values = tuple(f"{part}" for one in settings.items() for part in one)
            marks = ", ".join(["set_config(?, ?, true)"] * len(settings))
            db.opening = [Question(f"SELECT {marks}", values)]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A connection of its own, beside the pool: nothing stays open, no thread is started."""
        remedy = "see that it runs, and that this host and role may reach it"
        try:
            db = Connection.connect(hosts=self._hosts, autocommit=True, prepare_threshold=None)
        except psycopg.Error:
            fault = f"cannot be reached ({self._hosts.failure})"
            if NO_PASSWORD in self._hosts.failure:
                remedy = no_password(self._given)
            raise self._fault(fault, remedy, passing=True) from None
        try:
            db.patience = MIGRATION_SECONDS
            yield db
        except psycopg.Error as error:
            # Of those are a server that ends just now, and one that has no room.
            passing = isinstance(error, psycopg.OperationalError)
            fault, remedy = str(store_error(error)), "see the log of the database"
            raise self._fault(fault, remedy, passing=passing) from None
        finally:
            db.abandon()

    def _step_forward(self, db: Connection) -> None:
        db.execute(b"BEGIN")
        # Whoever comes second waits here, and finds nothing left to do.
        [version] = db.execute(b"SELECT version FROM smsotp_schema FOR UPDATE").fetchone() or [0]
        if version > len(VERSIONS):
            raise self._fault(
                f"has schema {version}, this program knows up to {len(VERSIONS)}",
                "upgrade radius-smsotp on this server",
            )
        for statements in VERSIONS[version:]:
            for statement in statements:
                db.execute(_dialect(statement).encode())
        db.execute(b"UPDATE smsotp_schema SET version = %s", [len(VERSIONS)])
        db.execute(b"COMMIT")

    def _fault(self, fault: str, remedy: str, *, passing: bool = False) -> ConfigurationError:
        return ConfigurationError([Problem(f"store ({self.name})", fault, remedy, passing=passing)])


def _dialect(statement: str) -> str:
    """A statement of `schema` as PostgreSQL has it: a key that numbers itself, rows in a heap."""
    key = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    numbered = statement.replace("id INTEGER PRIMARY KEY", f"id {key}")
    return numbered.replace("WITHOUT ROWID", "").replace("instr(", "strpos(")


def _version(db: Connection) -> int | None:
    """The version of the schema, None if there is none."""
    [there] = db.execute(b"SELECT to_regclass('smsotp_schema') IS NOT NULL").fetchone() or [False]
    if not there:
        return None
    row = db.execute(b"SELECT version FROM smsotp_schema").fetchone()
    return int(row[0]) if row else None


def _make_own_table(db: Connection) -> None:
    """Make the table that the other store does not need, whoever else is at it."""
    while True:
        try:
            db.execute(f"BEGIN; {OWN_TABLE} COMMIT".encode(), prepare=False)
        except psycopg.Error as error:
            if error.sqlstate not in MADE_AT_ONCE:
                raise
            db.execute(b"ROLLBACK")
        else:
            return


def _key(name: str) -> int:
    """
    The key of a name's lock: 64 bits, as PostgreSQL has them.

    Should two names have the same one, they wait for each other.
    """
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _lock_of(keys: list[int]) -> Question:
    if len(keys) > MOST_LOCKS:
        return LOCK
    # As text: a list would take psycopg longer than all the other values of the transaction.
    return Question(LOCK_NAMES, (EVERYTHING, f"{{{','.join(map(str, keys))}}}"))


def _milliseconds(patience: float) -> int:
    """For how long the server lets somebody wait for a lock who has so many seconds."""
    return max(1, int(patience * GRACE * 1000))
