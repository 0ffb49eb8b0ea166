"""
glibc's arenas in radiusd: few, for all its threads.

An arena is memory to allocate from.  glibc gives threads up to eight a core, so that they do not
wait for each other, and keeps what each has once needed.  In radiusd one login at a time is in
Python, in one thread after the other, and SQLite takes and returns 87 KB in nearly every one of
its transactions: each arena grew until it had room for it, a third of the server's memory in the
end, and nine tenths of that were free.
"""

from __future__ import annotations

import ctypes
import os

ARENAS = 2
"""One for what happens at the same time as something else."""

M_ARENA_MAX = -8
"""malloc.h of glibc; mallopt(3)."""


def limit() -> None:
    """
    Let threads that are started from now on share `ARENAS`.

    An administrator who has said how many there may be (mallopt(3)) has the last word; other
    libraries than glibc know none.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "MALLOC_ARENA_MAX" in os.environ or "glibc.malloc.arena_max" in tunables:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)
