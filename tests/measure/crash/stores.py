"""The stores that a crash may damage: how to make one, how to look for damage, how to end it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Protocol

import psycopg

from tests.store.postgres_server import PostgresServer

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = ("radiusd", "courier", "command")
"""What may be killed whatever the store."""

HEAPS = """
SELECT class.relname, damage.msg
FROM pg_class AS class CROSS JOIN LATERAL verify_heapam(class.oid) AS damage
WHERE class.relkind = 'r'
"""

INDEXES = """
SELECT bt_index_check(class.oid, true)
FROM pg_class AS class JOIN pg_am ON pg_am.oid = class.relam
WHERE class.relkind = 'i' AND pg_am.amname = 'btree' AND class.relpersistence = 'p'
"""


class Stores(Protocol):
    """
    One kind of store.

    Attributes:
        kinds: What may be killed.
    """

    kinds: tuple[str, ...]

    def make(self, folder: Path) -> str:
        """The URL of a new one, for the site in `folder`."""

    def damage(self, url: str) -> list[str]:
        """What is damaged, one sentence each."""

    def kill(self) -> None:
        """End the server of the stores as ``kill -9`` does, and start it again."""

    def close(self) -> None:
        """Remove everything that does not lie in the sites' folders."""


class SqliteStores:
    """Files: nobody serves them."""

    kinds = PROCESSES

    def make(self, folder: Path) -> str:
        """See `Stores`."""
        return f"sqlite:///{folder}/smsotp.db"

    def damage(self, url: str) -> list[str]:
        """See `Stores`."""
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db:
            found = [row[0] for row in db.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found[:3]

    def kill(self) -> None:
        """See `Stores`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `Stores`."""


class PostgresStores:
    """Databases of one server, which syncs what it commits."""

    kinds = (*PROCESSES, "database")

    def __init__(self) -> None:
        self._server = PostgresServer()
        try:
            self._server.start()
        except BaseException:
            self._server.close()
            raise

    def make(self, folder: Path) -> str:  # it does not lie there
        """See `Stores`."""
        return self._server.make_url()

    def damage(self, url: str) -> list[str]:
        """See `Stores`.  Of the catalogue as well."""
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
            found = [f"{table}: {text}" for table, text in db.execute(HEAPS)]
            try:
                db.execute(INDEXES)
            except psycopg.Error as error:
                found.append(str(error))
        return found[:3]

    def kill(self) -> None:
        """See `Stores`."""
        self._server.kill()
        self._server.start()

    def close(self) -> None:
        """See `Stores`."""
        self._server.close()


KINDS: dict[str, type[SqliteStores | PostgresStores]] = {
    "sqlite": SqliteStores,
    "postgres": PostgresStores,
}
