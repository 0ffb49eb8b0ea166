"""What our module is within FreeRADIUS's process: lines of its log, threads, and its end."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)


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


REFUSALS_SECONDS = 60.0
"""Between two lines of the log that say the same of all logins."""


class Refusals:
    """
    Logins refused because of the store: a line at once, then one a minute with their number.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told_at = -REFUSALS_SECONDS
        self._number = 0
        self._why = ""

    def count(self, why: str) -> None:
        """There is one more."""
        with self._lock:
            self._number += 1
            self._why = why
            is_due = self._clock() - self._told_at >= REFUSALS_SECONDS
        if is_due:
            self.tell()

    def tell(self) -> None:
        """Write the line, if there is anything to tell."""
        with self._lock:
            number, self._number = self._number, 0
            if not number:
                return
            self._told_at = self._clock()
        log.error("%s: %d login%s refused", self._why, number, "" if number == 1 else "s")


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


def trim() -> None:
    """
    Give the memory back that is free, of whatever in the process (malloc_trim(3)).

    A TLS session of FreeRADIUS leaves holes of some 100 kB, which glibc would keep for ever.  It
    takes 1 ms of CPU, and 14 where 180 MB go back.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def where(error: Exception) -> str:
    """Type and place of an unforeseen error; its text may hold a password."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{trace.tb_lineno}"


ENDING_SECONDS = 0.5
"""For so long FreeRADIUS's end waits for threads that have something under way."""


def end() -> None:
    """
    End the process here, once what is nearly done is done.

    FreeRADIUS before 3.2.7 ends the interpreter without holding its lock (`Py_Finalize` in
    `mod_detach`), and crashes if a thread has been at work.  It has stopped serving, removed its
    PID file and written its log by now: all it would still do is to free memory.
    """
    until = time.monotonic() + ENDING_SECONDS
    # FreeRADIUS's own threads, which it has ended by now, have names that Python made up.
    names = ("Dummy", "Main")
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.name.startswith(names):
            thread.join(max(0.0, until - time.monotonic()))
    os._exit(0)
