"""Everything in a store, into another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp.errors import StoreError
from radius_smsotp.store.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from radius_smsotp.store import Store


class NotEmptyError(StoreError):
    """There is something in the store that was to be filled."""


def copy(
    source: Store, target: Store, advance: Callable[[int, int], None], *, overwrite: bool = False
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
        if not overwrite and any(there.counts().values()):
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
    return counts
