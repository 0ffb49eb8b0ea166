"""
How far a SQLite file has come, noted in a file beside it.

Who puts back a copy of the store puts back its open challenges, and codes that were spent since
would count again.  What stands beside is not put back with it, so that it shows.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path


def own(handle: int, store: os.stat_result) -> None:
    """Give a file beside the store the owner and rights of it, as SQLite's other files have."""
    if os.geteuid() == 0:
        os.fchown(handle, store.st_uid, store.st_gid)
    if os.geteuid() in {0, os.fstat(handle).st_uid}:
        os.fchmod(handle, stat.S_IMODE(store.st_mode) & 0o660)


class Mark:
    """
    The file ``STORE-mark``: a name of the store, and the number of its newest event.

    Every answer to a challenge rewrites it, and whoever writes about the whole store, without a
    sync: of a power cut it may know more than the store, and then challenges end that might have
    gone on.

    Args:
        store: The file of the store.
    """

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(f"{store.name}-mark")
        self._handle: int | None = None

    def read(self) -> tuple[int, int] | None:
        """Name and number; None if there is no such file, or nothing of ours in it."""
        try:
            found = re.fullmatch(r"([0-9]{10}) ([0-9]{19})\n", self.path.read_text("ascii"))
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return (int(found[1]), int(found[2])) if found else None

    def make(self, store: os.stat_result) -> None:
        """
        Make the file if it is not there.

        Args:
            store: Whose owner and rights it gets, as SQLite's other files do.

        Raises:
            OSError: It cannot be made or written.
        """
        self.close()
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        own(self._handle, store)

    def write(self, name: int, number: int) -> None:
        """Note how far the store has come.  One that cannot be written stays behind, no more."""
        with contextlib.suppress(OSError):
            if self._handle is None:
                self._handle = os.open(self.path, os.O_RDWR)
            os.pwrite(self._handle, b"%010d %019d\n" % (name, number), 0)

    def close(self) -> None:
        """Close the file; `write` opens it again."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
