"""Log lines into FreeRADIUS's own log."""

from __future__ import annotations

import logging
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
