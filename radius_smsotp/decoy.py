"""What is checked in place of a PIN's hash where no PIN may be right."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from radius_smsotp.core import pin
from radius_smsotp.core.model import Lockout
from radius_smsotp.core.name import share

if TYPE_CHECKING:
    from datetime import datetime

    from radius_smsotp.store import Store
    from radius_smsotp.store.transaction import Transaction


class Decoys:
    """
    Hashes that no PIN has.  Checking one takes as long as checking an account's.

    Args:
        iterations: PBKDF2 rounds where nothing in the store says how many.
    """

    def __init__(self, store: Store, iterations: int) -> None:
        self._store = store
        self._iterations = iterations
        self._random = secrets.token_bytes(pin.SALT_OCTETS + 64)

    def of(self, name: str, pin_hash: str | None) -> str:
        """
        The decoy for a name.

        Args:
            pin_hash: Of the account, if there is one: its decoy has as many rounds.
        """
        if pin_hash is None:
            # The rounds of its neighbour: the same for one name each time, and over many names
            # those that the accounts here have, as old and new ones differ in them.
            with self._store.read() as tx:
                pin_hash = tx.next_pin_hash(name)
        return pin.decoy(self._random, pin.iterations(pin_hash) if pin_hash else self._iterations)


def note_failure(tx: Transaction, name: str, now: datetime) -> None:
    """
    Write as much as for a wrong PIN where no failure counts, so that it does not show in the time.

    Args:
        name: Folded, of whoever was refused.
    """
    # No name has a line break.  One row for all would be waited for, and one for each name be
    # more than anybody keeps: those who share a row share a stripe of a PostgreSQL store too, and
    # wait for each other no more than those do whose PIN was wrong.
    tx.put_lockout(f"\n{share(name)}", Lockout(1, now))
