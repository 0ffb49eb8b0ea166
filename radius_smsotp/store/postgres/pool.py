"""
The connections of one process to PostgreSQL, and a circuit breaker around them.

No login connects: psycopg_pool does that in a thread of its own.  Once the database was gone,
nobody waits for it any more but a thread that looks whether it is back: FreeRADIUS lets one
login at a time in, and each would wait behind all those before it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from radius_smsotp.errors import StoreError
from radius_smsotp.store.postgres.connection import GONE, Connection, CutError, OverdueError
from radius_smsotp.store.postgres.hosts import Hosts

log = logging.getLogger(__name__)

CONNECTIONS = 24
"""Of one process at most: 16 logins at a time are in here, and couriers write briefly."""

IDLE_SECONDS = 300.0
"""After which a connection beyond the first is let go of."""

LOOK_PATIENCE = 5.0
"""Seconds that an answer may take then; a connection to several hosts may need that."""

LOOK_SECONDS = 0.5
"""How often to look whether a database that was gone is back."""

LASTING = (
    b"BEGIN; SET LOCAL synchronous_commit TO ON; "
    b"SELECT pg_logical_emit_message(true, 'radius-smsotp', ''); COMMIT"
)
"""A commit that must outlast a fail-over, as that of a spent code, of nothing."""

UNCONFIRMED = "no synchronous standby confirms what is committed (synchronous_standby_names)"

GIVE_UP_SECONDS = 1.0
"""For how long the pool goes on by itself: its pauses double, ours do not."""

# Its lines would go to standard error, and hold what we say in sentences.
logging.getLogger("psycopg.pool").disabled = True
logging.getLogger("psycopg").disabled = True


class Pool:
    """
    Connections that are ready.

    Args:
        hosts: Where to connect to.
        configure: Called once with each new connection.
    """

    def __init__(self, hosts: Hosts, configure: Callable[[Connection], None]) -> None:
        self._hosts = hosts
        self._configure = configure
        self._down = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._pool = self._made()

    def take(self, use: Callable[[Connection], None], until: float) -> None:
        """
        Use a connection, which is to be given back afterwards if that works.

        Args:
            use: Called within the patience that the connection has then; once more with another
                one after `CutError`.
            until: `time.monotonic()` seconds.

        Raises:
            StoreError: There is none in time, or the database is known to be gone.
        """
        if self._down:
            raise StoreError(f"{GONE}; it is tried again all the time")
        while True:
            try:
                db = self._ready(until - time.monotonic())
            except (PoolTimeout, PoolClosed):
                self.trip()
                raise StoreError(GONE) from None
            db.patience = until - time.monotonic()
            try:
                if not db.is_cut():
                    return use(db)
                db.close()
            except CutError:
                db.close()
            except BaseException:
                self.give_back(db)
                raise
            self.give_back(db)

    def give_back(self, db: Connection) -> None:
        """Let others use it; one that is not idle is closed."""
        if db.overdue:
            # It counts as one of ours until the server has let go of it.
            threading.Thread(
                target=_abandon, args=(db,), name="smsotp-abandon", daemon=True
            ).start()
            return
        conn = db.pgconn
        if conn.transaction_status != TransactionStatus.IDLE or conn.pipeline_status:
            db.close()
        db.home.putconn(db)

    def trip(self) -> None:
        """Nobody waits for the database any more until it has answered again."""
        with self._lock:
            if self._down or self._closing.is_set():
                return
            self._down = True
        self._hosts.doubt()
        why = f" ({self._hosts.failure})" if self._hosts.failure else ""
        log.error("%s%s; logins are refused until it is back", GONE, why)
        threading.Thread(target=self._look, name="smsotp-database", daemon=True).start()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._closing.set()
        with self._lock:
            self._pool.close(timeout=1.0)

    def _made(self) -> ConnectionPool[Connection]:
        return ConnectionPool(
            kwargs={"hosts": self._hosts, "autocommit": True},
            connection_class=Connection,
            configure=self._configure,
            min_size=1,
            max_size=CONNECTIONS,
            max_idle=IDLE_SECONDS,
            reconnect_timeout=GIVE_UP_SECONDS,
            num_workers=1,
            open=True,
        )

    def _ready(self, seconds: float) -> Connection:
        """A connection that will go back to where it is from."""
        pool = self._pool
        db = pool.getconn(seconds)
        db.home = pool
        return db

    def _look(self) -> None:
        told = self._hosts.failure
        # Those that are idle may hang as well, each for as long as we would wait.
        with self._lock:
            if self._closing.is_set():
                return
            hanging, self._pool = self._pool, self._made()
        hanging.close(timeout=0)
        while not self._closing.is_set():
            lacking = self._lacking()
            if lacking is None:
                self._down = False
                log.warning("the database answers again")
                return
            if lacking not in {"", told}:
                told = lacking
                log.error("the database cannot be used: %s", told)
            self._closing.wait(LOOK_SECONDS)

    def _lacking(self) -> str | None:
        """What keeps a spent code from being kept, "" if nobody says; None: nothing does."""
        try:
            db = self._ready(LOOK_PATIENCE)
            try:
                db.patience = LOOK_PATIENCE
                [(standbys,)] = db.execute(b"SHOW synchronous_standby_names", prepare=False)
                db.warnings.clear()
                with contextlib.suppress(OverdueError):
                    db.execute(LASTING, prepare=False)
                    if not db.warnings:
                        return None
                self._hosts.doubt()
                if not db.overdue:  # else there is something to be called off before
                    db.close()
                return UNCONFIRMED if standbys else "nothing is committed (is its disk in order?)"
            finally:
                self.give_back(db)
        except (psycopg.Error, PoolTimeout, PoolClosed):
            return self._hosts.failure


def _abandon(db: Connection) -> None:
    db.abandon()
    db.home.putconn(db)
