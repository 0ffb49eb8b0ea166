"""
Where accounts, challenges and events are kept, so that several servers share them.

A store gives transactions; what can be read and written in one stands in
`radius_smsotp.store.transaction`.  All SQL of the project is in this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from radius_smsotp.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from radius_smsotp.store.transaction import Transaction


class Store(Protocol):
    """One store.  Used by several threads at once, and by several processes."""

    @property
    def folder(self) -> Path:
        """Where files belong that go with this store (locks of devices)."""

    def exists(self) -> bool:
        """
        Whether there is anything to `migrate`, or it would be made.

        Raises:
            ConfigurationError: This user may not even look.
        """

    def migrate(self) -> None:
        """
        Make the store if it is not there, and bring its schema to this version.

        Raises:
            ConfigurationError: It cannot be made, read, written, or is of a newer version.
        """

    def read(self) -> AbstractContextManager[Transaction]:
        """
        A transaction that sees one state of the store and changes nothing.

        Raises:
            StoreError: The store did not answer in time.
        """

    def write(self, *, durable: bool = False) -> AbstractContextManager[Transaction]:
        """
        A transaction that nobody else writes beside; rolled back if the block raises.

        Args:
            durable: It must survive a power cut: True where a code is spent or a guess is
                counted, False where losing the last moments costs one more SMS at most.

        Raises:
            StoreError: The store did not answer in time.
        """

    def backup(self, path: Path) -> None:
        """
        Copy the whole store, while it is in use, into a new file.

        Raises:
            FileExistsError: There is a file at `path`; nothing is overwritten.
            StoreError: The store, or the disk under `path`, did not work.
        """

    def close(self) -> None:
        """Close all connections; the next transaction opens new ones."""


def open_store(url: str, patience: float = 1.0) -> Store:
    """
    The store that a URL names.  Nothing is opened yet.

    Args:
        url: ``sqlite:///PATH`` with an absolute path.
        patience: Seconds to wait for another process that is writing.

    Raises:
        ConfigurationError: There is no such kind of store.
    """
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path.startswith("/"):
        from radius_smsotp.store.sqlite import SqliteStore  # noqa: PLC0415  # only what is used

        return SqliteStore(path, patience)
    # Not the whole URL: it may hold a password.
    fault = f"'{url.partition(':')[0]}' is no kind of store"
    raise ConfigurationError([Problem("store", fault, "write sqlite:///PATH")])
