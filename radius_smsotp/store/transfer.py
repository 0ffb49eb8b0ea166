"""Everything in a store, into another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from radius_smsotp.errors import StoreError
from radius_smsotp.store.rows import Connection
from radius_smsotp.store.schema import TABLES
from radius_smsotp.store.transaction import END_OPEN


class NotEmptyError(StoreError):
    """There is something in the store that was to be filled."""


class Copied(Protocol):
    """What a store is to a copy of it, see `store.Store`."""

    @property
    def name(self) -> str:
        """The URL as it may be shown."""

    def snapshot(self) -> AbstractContextManager[Contents]:
        """One state of the whole store."""

    def refill(self) -> AbstractContextManager[Contents]:
        """A durable transaction beside which nobody else writes."""


def copy(
    source: Copied, target: Copied, advance: Callable[[int, int], None], *, overwrite: bool = False
) -> dict[str, int]:
    """
    Copy everything: one state of the source, and all of it or nothing.

    Args:
        source: In use or not: nobody waits for it meanwhile.
        target: Migrated; whoever writes to it waits until the end.
        advance: Called with the rows that were copied so far, and with all that there are.
        overwrite: Whether what is in the target may go.

    Returns:
        Table to number of rows.

    Raises:
        NotEmptyError: The target is not empty, and stays as it is.
        StoreError: One of them did not work; the target stays as it was.
    """
    with source.snapshot() as here, target.refill() as there:
        counts = here.counts()
        if not overwrite and there.is_held():
            raise NotEmptyError(f"{target.name} is not empty")
        there.clear()
        whole, done = sum(counts.values()), 0
        for table in TABLES:
            for columns, rows in here.slices(table):
                kept = [at for at, name in enumerate(columns) if (table, name) != ("event", "id")]
                # Events are numbered anew, in the same order: their table numbers them itself.
                there.add(
                    table, [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]
                )
                done += len(rows)
                advance(done, whole)
        # It is another one from here on: a code that is spent in one would count in the other.
        there.end_challenges()
    return counts


def refuse_held(target: Copied) -> None:
    """
    Look whether a store may be filled before anything of it is changed, its schema included.

    Raises:
        NotEmptyError: It may not.
        StoreError: It did not answer, or is of an older version.
    """
    with target.snapshot() as there:
        if there.is_held():
            raise NotEmptyError(f"{target.name} is not empty")


OF_SERVERS = {"known_key", "authority", "server"}
"""Tables that say with what its servers use the store."""

SLICE = 1000
"""Rows that are read and written at a time."""


class Contents:
    """The store within one transaction, table by table."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def counts(self) -> dict[str, int]:
        """Table to number of rows."""
        return {
            table: int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in TABLES
        }

    def is_held(self) -> bool:
        """Whether there is more than what 'init' and 'raddb' note of a server itself."""
        return any(number for table, number in self.counts().items() if table not in OF_SERVERS)

    def slices(self, table: str) -> Iterator[tuple[tuple[str, ...], list[Sequence[Any]]]]:
        """The rows of a table in the order of its key, a slice at a time, under their columns."""
        key = TABLES[table]
        named, marks = ", ".join(key), ", ".join("?" * len(key))
        after: tuple[Any, ...] = ()
        while True:
            beyond = f"WHERE ({named}) > ({marks})" if after else ""
            sql = f"SELECT * FROM {table} {beyond} ORDER BY {named} LIMIT {SLICE}"
            cursor = self._db.execute(sql, after)
            rows = cursor.fetchall()
            if not rows:
                return
            columns = tuple(one[0] for one in cursor.description)
            yield columns, rows
            after = tuple(rows[-1][columns.index(name)] for name in key)

    def add(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a table."""
        named, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self._db.executemany(f"INSERT INTO {table} ({named}) VALUES ({marks})", rows)

    def end_challenges(self) -> None:
        """End all open challenges, and emergency codes."""
        for statement in END_OPEN:
            self._db.execute(statement)

    def clear(self) -> None:
        """Remove all rows."""
        for table in TABLES:
            self._db.execute(f"DELETE FROM {table}")
