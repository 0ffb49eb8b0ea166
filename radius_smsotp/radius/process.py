"""Log lines into FreeRADIUS's own log."""

from __future__ import annotations

import ctypes
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RadiusdHandler(logging.Handler):
    """
    Writes with ``radiusd.radlog``.

    Args:
        radlog: ``radlog(level, text)`` of the module that rlm_python3 provides.
        levels: Python's log levels to FreeRADIUS's.
    """

    def __init__(self, radlog: Callable[[int, str], object], levels: Mapping[int, int]) -> None:
        super().__init__()
        self._radlog = radlog
        self._levels = levels

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one line."""
        try:
            # A user name may hold anything; a line of the log is one line.
            text = " ".join(record.getMessage().splitlines())
            text = "".join(char if char.isprintable() else "?" for char in text)
            self._radlog(self._levels.get(record.levelno, 0), f"smsotp: {text}")
        except Exception:  # noqa: BLE001  # logging must never end a login
            self.handleError(record)


def install(handler: logging.Handler) -> None:
    """Send the records of this package to `handler`, and nowhere else."""
    # handleError would print a traceback to standard error, with the values in it.
    logging.raiseExceptions = False
    logger = logging.getLogger("radius_smsotp")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)


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
