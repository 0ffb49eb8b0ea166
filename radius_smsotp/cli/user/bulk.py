"""Many accounts into the store, a slice at a time: whoever waits for it waits for one at most."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.user import account
from radius_smsotp.model import pin
from radius_smsotp.model.records import Account
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import Store, insist

T = TypeVar("T")

SMALLEST, LARGEST = 20, 500
"""Accounts in one transaction.  PostgreSQL has room for some thousand locks by default."""

SLICE_SECONDS = 0.01
"""What one transaction shall take."""

PAUSE_SECONDS = 0.01
"""The shortest pause between two; else as long as one took, so that whoever waits gets in."""


@dataclass(frozen=True, slots=True)
class Change:
    """An account as it was, None if there was none, as it shall be, and its PIN if it gets one."""

    before: Account | None
    after: Account
    pin: str | None = field(default=None, repr=False)

    @property
    def is_new(self) -> bool:
        """Whether there was no account of ours."""
        return self.before is None or (self.before.is_bare and not self.after.is_bare)

    @property
    def fields(self) -> list[str]:
        """What differs, as the trail names it."""
        return account.differing(self.before or Account(self.after.name, None), self.after)


def write(
    store: Store, changes: Sequence[Change], advance: Callable[[int, int], None], again: str
) -> set[str]:
    """
    Write changes, but for those of accounts that are not any more as they were.

    Args:
        advance: Told how many are done, of how many.
        again: How whoever interrupts this has the others written.

    Returns:
        The names of those that somebody else has changed, added or deleted meanwhile.

    Raises:
        StoreError: The store failed on the way; how far it came is said on standard error.
    """
    skipped: set[str] = set()
    done = 0

    def tell(now: int, whole: int) -> None:
        nonlocal done
        done = now
        advance(now, whole)

    def write_slice(part: Sequence[Change]) -> None:
        skipped.update(insist(_write_slice, store, part))

    try:
        _in_slices(changes, write_slice, tell)
        store.sync(store.position)
    except BaseException:
        told = f"written: {done - len(skipped)} of {len(changes)} accounts"
        click.echo(f"smsotp: {told}; {again}", err=True)
        raise
    return skipped


def seal(store: Store, keys: Keyring) -> int:
    """
    Bring the PIN hashes under the key for new ones, in place: no PIN is needed for it.

    Those whose key is not here stay as they are.

    Returns:
        How many were not under it.
    """
    with store.read() as tx:
        hashes = [(one.name, one.pin_hash) for one, _ in tx.accounts() if one.pin_hash]
    due = [
        (name, before, keys.seal_pin(name, opened))
        for name, before in hashes
        if not keys.is_sealed(before)
        if (opened := keys.open_pin(name, before)) is not None
    ]

    def seal_slice(part: Sequence[tuple[str, str, str]]) -> None:
        insist(_seal_slice, store, part)

    with output.progress("Sealing PINs") as advance:
        _in_slices(due, seal_slice, advance)
    if due:
        store.sync(store.position)
    return len(due)


def sealed(store: Store) -> Counter[str]:
    """Key to how many PIN hashes are sealed with it; under "" those that are not sealed."""
    with store.read() as tx:
        hashes = [one.pin_hash for one, _ in tx.accounts() if one.pin_hash]
    return Counter(map(pin.sealed_with, hashes))


def _seal_slice(store: Store, part: Sequence[tuple[str, str, str]]) -> None:
    with store.write(*(name for name, _, _ in part)) as tx:
        for name, before, after in part:
            tx.exchange_pin_hash(name, before, after)


def _in_slices(
    items: Sequence[T], work: Callable[[Sequence[T]], None], advance: Callable[[int, int], None]
) -> None:
    """Call `work` on one slice after the other, each as long as `SLICE_SECONDS` allows."""
    done, size = 0, 100
    while done < len(items):
        part = items[done : done + size]
        begun = time.monotonic()
        work(part)
        took = time.monotonic() - begun
        done += len(part)
        advance(done, len(items))
        # At most twice as many: the first ones are quick while the caches are empty.
        factor = min(2.0, SLICE_SECONDS / max(took, 0.001))
        size = min(LARGEST, max(SMALLEST, int(size * factor)))
        time.sleep(max(PAUSE_SECONDS, 2 * took))


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
