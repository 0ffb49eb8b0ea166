"""All rows of a store, whatever they mean: what a copy of it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from radius_smsotp.store.rows import Connection
from radius_smsotp.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SLICE = 1000
"""Rows that are read and written at a time."""


class Contents:
    """The store within one transaction, table by table."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def counts(self) -> dict[str, int]:
        """Table to number of rows."""
        return {
            table: int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
            for table in TABLES
        }

    def slices(self, table: str) -> Iterator[tuple[tuple[str, ...], list[Sequence[Any]]]]:
        """The rows of a table in the order of its key, a slice at a time, under their columns."""
        key = TABLES[table]
        named, marks = ", ".join(key), ", ".join("?" * len(key))
        after: tuple[Any, ...] = ()
        while True:
            beyond = f"WHERE ({named}) > ({marks})" if after else ""
            sql = f"SELECT * FROM {table} {beyond} ORDER BY {named} LIMIT {SLICE}"  # noqa: S608
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
        self._db.executemany(f"INSERT INTO {table} ({named}) VALUES ({marks})", rows)  # noqa: S608

    def clear(self) -> None:
        """Remove all rows."""
        for table in TABLES:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608
