"""
Room that is kept back for a clean-up on a full disk.

To remove anything SQLite has to write first: the log, and from the log what the file has grown by.
On a full disk it cannot.  A file that goes before a clean-up begins leaves room for both.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from radius_smsotp.store.mark import own

OCTETS = 512 * 1024
"""Measured: when 1,181 pages of log, all of the audit trail, were to go into the file, it had to
grow by 13 pages of 4 KiB.  What is removed then goes through a log that is empty."""


class Reserve:
    """
    The file ``STORE-reserve``, with nothing in it.

    Args:
        store: The file of the store.
    """

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(f"{store.name}-reserve")
        self._is_released = False

    def keep(self, store: os.stat_result) -> None:
        """
        Make the file if it is not there and not released.  A disk that has no room for it stays
        without.

        Args:
            store: Whose owner it gets.
        """
        if self._is_released:
            return
        with contextlib.suppress(OSError):  # it is there; or there is no room, or no right
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                own(handle, store)
                os.posix_fallocate(handle, 0, OCTETS)
            except OSError:
                self.path.unlink()  # a part of it would be taken for the whole
            finally:
                os.close(handle)

    def release(self) -> None:
        """Remove it, until `renew`."""
        self._is_released = True
        with contextlib.suppress(OSError):
            self.path.unlink()

    def renew(self, store: os.stat_result) -> None:
        """Keep it back again."""
        self._is_released = False
        self.keep(store)
