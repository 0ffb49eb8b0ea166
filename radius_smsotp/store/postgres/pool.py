"""
The connections of one process to PostgreSQL, and a circuit breaker around them.

No login connects: psycopg_pool does that in a thread of its own.  Once the database was gone,
nobody waits for it any more but a thread that looks whether it is back: FreeRADIUS lets one
login at a time in, and each would wait behind all those before it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from radius_smsotp.errors import StoreError
from radius_smsotp.store.postgres.connection import GONE, Connection, CutError

log = logging.getLogger(__name__)

CONNECTIONS = 16
"""Of one process at most: eight logins at a time are in here, and couriers write briefly."""

IDLE_SECONDS = 300.0
"""After which a connection beyond the first is let go of."""

LOOK_PATIENCE = 5.0
"""Seconds that an answer may take then; a connection to several hosts may need that."""

LOOK_SECONDS = 0.5
"""How often to look whether a database that was gone is back."""

GIVE_UP_SECONDS = 1.0
"""For how long the pool goes on by itself: its pauses double, ours do not."""

# Its lines would go to standard error, and hold what we say in sentences.
logging.getLogger("psycopg.pool").disabled = True
logging.getLogger("psycopg").disabled = True


class Pool:
    """
    Connections that are ready.

    Args:
        given: Parameters of libpq.
        configure: Called once with each new connection.
    """

    def __init__(self, given: dict[str, Any], configure: Callable[[Connection], None]) -> None:
        self._given = given
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
        if db.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            db.close()
        db.home.putconn(db)

    def trip(self) -> None:
        """Nobody waits for the database any more until it has answered again."""
        with self._lock:
            if self._down or self._closing.is_set():
                return
            self._down = True
        why = f" ({Connection.failure})" if Connection.failure else ""
        log.error("%s%s; logins are refused until it is back", GONE, why)
        threading.Thread(target=self._look, name="smsotp-database", daemon=True).start()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._closing.set()
        with self._lock:
            self._pool.close(timeout=1.0)

    def _made(self) -> ConnectionPool[Connection]:
        return ConnectionPool(
            kwargs={**self._given, "autocommit": True},
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
        told = Connection.failure
        # Those that are idle may hang as well, each for as long as we would wait.
        with self._lock:
            if self._closing.is_set():
                return
            hanging, self._pool = self._pool, self._made()
        hanging.close(timeout=0)
        while not self._closing.is_set():
            try:
                db = self._ready(LOOK_PATIENCE)
                db.patience = LOOK_PATIENCE
                try:
                    db.execute(b"SELECT 1", prepare=False)
                finally:
                    self.give_back(db)
            except (psycopg.Error, PoolTimeout, PoolClosed):
                if Connection.failure not in {"", told}:
                    told = Connection.failure
                    log.error("the database cannot be reached: %s", told)
                self._closing.wait(LOOK_SECONDS)
            else:
                self._down = False
                log.warning("the database answers again")
                return
