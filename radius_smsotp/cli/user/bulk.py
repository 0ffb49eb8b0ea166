"""Many accounts into the store, a slice at a time: whoever waits for it waits for one at most."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import click

from radius_smsotp.cli.user import account
from radius_smsotp.model.records import Account
from radius_smsotp.store import Store, insist

SMALLEST, LARGEST = 20, 500
"""Accounts in one transaction.  PostgreSQL has room for some thousand locks by default."""

SLICE_SECONDS = 0.01
"""What one transaction shall take."""

PAUSE_SECONDS = 0.01
"""The shortest pause between two; else as long as one took, so that whoever waits gets in."""


@dataclass(frozen=True, slots=True)
class Change:
    """An account as it was, None if it is new, as it shall be, and a PIN still to be hashed."""

    before: Account | None
    after: Account
    pin: str | None = field(default=None, repr=False)


def write(store: Store, changes: Sequence[Change], advance: Callable[[int, int], None]) -> set[str]:
    """
    Write changes, but for those of accounts that are not any more as they were.

    Args:
        advance: Told how many are done, of how many.

    Returns:
        The names of those that somebody else has changed, added or deleted meanwhile.

    Raises:
        StoreError: The store failed on the way; how far it came is said on standard error.
    """
    skipped: set[str] = set()
    done, size = 0, 100
    try:
        while done < len(changes):
            part = changes[done : done + size]
            begun = time.monotonic()
            skipped |= insist(_write_slice, store, part)
            took = time.monotonic() - begun
            done += len(part)
            advance(done, len(changes))
            # At most twice as many: the first ones are quick while the caches are empty.
            factor = min(2.0, SLICE_SECONDS / max(took, 0.001))
            size = min(LARGEST, max(SMALLEST, int(size * factor)))
            time.sleep(max(PAUSE_SECONDS, 2 * took))
        store.sync(store.position)
    except BaseException:
        told = f"imported: {done - len(skipped)} of {len(changes)} accounts"
        click.echo(f"smsotp: {told}; the same file with --update imports the others", err=True)
        raise
    return skipped


def _write_slice(store: Store, part: Sequence[Change]) -> set[str]:
    names = [change.after.name for change in part]
    skipped = set()
    with store.write(*names) as tx:
        there = tx.accounts_named(names)
        # On PostgreSQL whatever has an answer of its own is a way there and back.
        remembered = tx.remembered(names)
        for change in part:
            if there.get(change.after.name) != change.before:
                skipped.add(change.after.name)
            else:
                devices = change.after.name in remembered
                account.save(tx, change.before, change.after, devices=devices)
    return skipped
