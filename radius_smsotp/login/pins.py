"""PIN hashes on their way from the store to FreeRADIUS, and back once a right PIN has come."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field

from radius_smsotp.delivery.threads import Threads
from radius_smsotp.errors import StoreError
from radius_smsotp.model import code, pin
from radius_smsotp.model.records import Account
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import Store, insist

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Renewal:
    """A hash that is not as new ones are, and what was typed when the first factor was right."""

    name: str
    pin_hash: str = field(repr=False)
    typed: str = field(repr=False)


class Pins:
    """
    The PINs of accounts, under one set of settings.

    Args:
        iterations: Rounds of new hashes.
    """

    def __init__(self, iterations: int, keyring: Keyring, store: Store) -> None:
        self._iterations = iterations
        self._keyring = keyring
        self._store = store
        self._random = secrets.token_bytes(pin.SALT_OCTETS + pin.HASH_OCTETS)
        # Nobody waits for it, and it shall not keep two cores from those who log in.
        self._threads = Threads(self._renew, 1)

    def has_key(self, pin_hash: str) -> bool:
        """Whether this server can open a hash."""
        return self._keyring.has_pin_key(pin_hash)

    def opened(self, name: str, pin_hash: str | None) -> str | None:
        """What `pap` compares with; None if there is no hash, or its key is not here."""
        return None if pin_hash is None else self._keyring.open_pin(name, pin_hash)

    def decoy(self, neighbour: str | None) -> str:
        """
        A sealed hash that no PIN has.  Opening and checking it takes as long as an account's.

        Args:
            neighbour: `Known.neighbour`.  Its rounds are the same for one name each time, and over
                many names those that the accounts here have, as old and new ones differ in them.
        """
        rounds = pin.iterations(neighbour) if neighbour else self._iterations
        return self._keyring.sealing + pin.decoy(self._random, rounds)

    def renew(self, account: Account | None, typed: str | None) -> None:
        """
        See to it that a hash has as many rounds as new ones, and is sealed.

        Args:
            account: Whose first factor was right just now.
            typed: What it was, None if it was proved.
        """
        if account is None or account.pin_hash is None or typed is None:
            return
        # A new key is not enough: other servers may not have it yet.
        rounds = pin.iterations(account.pin_hash)
        if rounds != self._iterations or not pin.sealed_with(account.pin_hash):
            # If too many wait, the next login is another chance.
            self._threads.add(Renewal(account.name, account.pin_hash, typed))

    def close(self) -> None:
        """Let go of everything."""
        self._threads.dismiss()

    def _renew(self, due: Renewal) -> None:
        opened = self._keyring.open_pin(due.name, due.pin_hash)
        if opened is None:
            return
        if pin.iterations(opened) != self._iterations:
            # It may have been another first factor than our PIN that was right: LDAP's, say.
            salt, rounds = pin.salt(opened), pin.iterations(opened)
            if not code.matches(pin.digest(due.typed, salt, rounds), opened):
                return
            salt = secrets.token_bytes(pin.SALT_OCTETS)
            opened = pin.digest(due.typed, salt, self._iterations)
        try:
            insist(self._store_hash, due, self._keyring.seal_pin(due.name, opened))
        except StoreError as error:
            log.warning("the hash of a PIN could not be renewed: %s", error)

    def _store_hash(self, due: Renewal, renewed: str) -> None:
        with self._store.write(due.name) as tx:
            tx.exchange_pin_hash(due.name, due.pin_hash, renewed)
