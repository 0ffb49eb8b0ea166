"""
Many accounts into the store at once: all of them or none, while logins go on.

What happens in the store, and why nobody waits for it, stands in `radius_smsotp.store.imports`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import click

from radius_smsotp.cli.user import account
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from radius_smsotp.model.records import Account, Event
    from radius_smsotp.store import Store

SMALLEST, LARGEST = 20, 1000
"""Accounts in one transaction."""

SLICE_SECONDS = 0.02
"""What one transaction shall take; whoever waits for the store waits for one at most."""

PAUSE_SECONDS = 0.01
"""The shortest pause between two; else as long as one took, so that whoever waits gets in."""

ABANDONED = timedelta(minutes=1)
"""An import for which nothing was laid ready for so long is one that was killed, wherever it ran.
On this host it is known at once."""


@dataclass(frozen=True, slots=True)
class Change:
    """An account as it was, None if it is new, as it shall be, and a PIN still to be hashed."""

    before: Account | None
    after: Account
    pin: str | None = field(default=None, repr=False)


def tidy(store: Store) -> bool:
    """
    Finish what an import that was killed has left behind.

    Returns:
        False if another import is just being laid ready.
    """
    with store.read() as tx:
        valid, begun = tx.staging.valid_batches(), tx.staging.unfinished()
    for name in valid:
        _land(store, name, lambda _: None)
    now = datetime.now(UTC)
    abandoned = [name for name, at in begun if now - at >= ABANDONED or _has_ended(name)]
    for name in abandoned:
        _discard(store, name)
    return len(abandoned) == len(begun)


def write(
    store: Store,
    changes: Sequence[Change],
    newest: float,
    stage: Callable[[int], None],
    land: Callable[[int], None],
) -> None:
    """
    Write all changes, or none.

    Args:
        newest: `Staging.newest_change` when they were planned.
        stage: Told of so many more accounts that are laid ready.
        land: Told of so many more accounts that are where they belong.

    Raises:
        SmsotpError: Nothing was written; or, as it says, everything.
    """
    batch = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
    try:
        _stage(store, batch, changes, newest, stage)
        _make_valid(store, batch)
    except SmsotpError as error:
        if not _is_valid(store, batch):
            with contextlib.suppress(SmsotpError):
                _discard(store, batch)
            raise SmsotpError(f"{error}; nothing was imported") from None
    except BaseException:
        # Ctrl-C; after a kill, the next one does it.
        _discard(store, batch)
        raise
    try:
        _land(store, batch, land)
    except BaseException:
        told = "everything is imported and counts; 'smsotp prune' tidies up behind it"
        click.echo(f"smsotp: {told}", err=True)
        raise


def _has_ended(batch: str) -> bool:
    """
    Whether the process behind an import is known to be gone.

    One that runs all the same (in another container with this host's name, say) finds its import
    taken away, says so, and has changed nothing.
    """
    host, _, rest = batch.partition(":")
    process = rest.partition(":")[0]
    if host != socket.gethostname() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is somebody else's
    return False


def _stage(
    store: Store,
    batch: str,
    changes: Sequence[Change],
    newest: float,
    progress: Callable[[int], None],
) -> None:
    with store.write(batch) as tx:
        tx.staging.begin(batch, newest, datetime.now(UTC))
    start, pace = 0, _Pace()
    while start < len(changes):
        part = [_staged(change) for change in changes[start : start + pace.size]]
        # Nobody else writes about a name like this one: no login has to wait for it.
        with pace, store.write(batch) as tx:
            tx.staging.add(batch, part, datetime.now(UTC))
        progress(len(part))
        start += len(part)


def _staged(change: Change) -> tuple[Account, Event, bool]:
    event, forget = account.change(change.before, change.after)
    return change.after, event, forget


def _make_valid(store: Store, batch: str) -> None:
    """The moment from which all of it counts: one row, whatever the number of accounts."""
    with store.read() as tx:
        lost = tx.staging.deleted_meanwhile(batch)
    with store.write(durable=True) as tx:
        lost = lost or tx.staging.changed_meanwhile(batch)
        if lost:
            raise SmsotpError(f"somebody else has changed '{lost}' meanwhile")
        if not tx.staging.make_valid(batch):
            raise SmsotpError("another import has taken the place of this one")


def _is_valid(store: Store, batch: str) -> bool:
    """Whether it counts although the store said otherwise: its answer may have been lost."""
    try:
        with store.read() as tx:
            return batch in tx.staging.valid_batches()
    except SmsotpError:
        return False


def _land(store: Store, batch: str, progress: Callable[[int], None]) -> None:
    pace = _Pace()
    while True:
        with store.read() as tx:
            names = tx.staging.next_names(batch, pace.size)
        if not names:
            break
        with pace, store.write(*names) as tx:
            tx.staging.land(batch, names[0], names[-1])
        progress(len(names))
    with store.write(batch) as tx:
        tx.staging.discard(batch, SMALLEST)


def _discard(store: Store, batch: str) -> None:
    left, pace = True, _Pace()
    while left:
        with pace, store.write(batch) as tx:
            left = tx.staging.discard(batch, pace.size) > 0


class _Pace:
    """How much goes into one transaction: as much as takes `SLICE_SECONDS` here and now."""

    def __init__(self) -> None:
        self.size = 100
        self._begun = 0.0

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        took = time.monotonic() - self._begun
        # At most twice as many: the first ones are quick while the caches are empty.
        factor = min(2.0, SLICE_SECONDS / max(took, 0.001))
        self.size = min(LARGEST, max(SMALLEST, int(self.size * factor)))
        time.sleep(max(PAUSE_SECONDS, took))
