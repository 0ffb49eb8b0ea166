"""
One modem, one user at a time: the port, and the lock against other processes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

import serial

from radius_smsotp.providers.modem_at import LOST, Line
from radius_smsotp.providers.modem_errors import ModemError, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_TIMEOUT = 0.05
"""Seconds that one read waits for a byte; every wait ends so much later at most."""

WRITE_TIMEOUT = 1.0
"""Seconds until a port that takes no data (a stuck flow control) counts as broken."""

MARGIN = 0.1
"""Seconds kept back from each deadline, for the read that is under way and for closing."""


class Device:
    """A modem that is open and locked.  Built by `open_device`."""

    def __init__(self, line: Line, lock: Lock, *, is_socket: bool) -> None:
        self.line = line
        self._lock = lock
        self._is_socket = is_socket

    def is_wanted(self) -> bool:
        """True while another process, or another provider, waits for the modem."""
        return self._lock.is_wanted()

    def close(self) -> None:
        """Close the port, then let others have the modem."""
        if self._is_socket:
            # pyserial sleeps 0.3 s there; the message has been sent, and its sender is waiting.
            with suppress(RuntimeError):  # the system gives no more threads
                Thread(target=self._close, name="smsotp-modem-close", daemon=True).start()
                return
        self._close()

    def _close(self) -> None:
        self.line.close()
        self._lock.release()


def open_device(port: str, baudrate: int, lock_folder: Path, deadline: float) -> Device:
    """
    Lock and open a modem.

    Args:
        port: A device path or ``socket://HOST:PORT``.
        baudrate: For a device; a socket has none.
        lock_folder: Where the lock file goes.
        deadline: `time.monotonic()` seconds.

    Raises:
        ModemError: the modem is in use, not there, or not ours to open.
    """
    lock = Lock(lock_folder / f"{file_name(port)}.lock")
    lock.acquire(deadline)
    try:
        opened = _open_port(port, baudrate, deadline)
    except BaseException:
        lock.release()
        raise
    is_socket = "://" in port
    line = Line(opened, port if is_socket else f"{baudrate} baud")
    return Device(line, lock, is_socket=is_socket)


def file_name(port: str) -> str:
    """A name for files that belong to `port`: the same for all names of one device."""
    # /dev/serial/by-id/… is a link to /dev/ttyUSB0.
    real = port if "://" in port else os.path.realpath(port)
    return "modem-" + re.sub("[^A-Za-z0-9.]+", "-", real).strip("-")


class Lock:
    """
    A lock between processes that can tell whether somebody waits for it.

    Who waits holds a second file shared; who has the lock sees that it cannot have that file alone.
    The kernel lets go of both when a process dies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue = path.with_suffix(".queue")
        self._held: ExitStack | None = None

    def acquire(self, deadline: float) -> None:
        """Take the lock.  Raises ModemError if it is not free in time, or has no place."""
        try:
            with _opened(self._queue) as waiting:
                # Waits at most for the blink of an eye in `is_wanted`.
                fcntl.flock(waiting, fcntl.LOCK_SH)
                self._held = self._await(deadline)
        except OSError as error:
            raise ModemError(
                Verdict.UNAVAILABLE,
                f"cannot lock the modem with {self._path} ({error.strerror})",
                "let the user of FreeRADIUS write to this folder",
            ) from None

    def _await(self, deadline: float) -> ExitStack:
        with ExitStack() as cleanup:
            lock = cleanup.enter_context(_opened(self._path))
            while not _try_lock(lock):
                if time.monotonic() >= deadline:
                    raise ModemError(
                        Verdict.UNAVAILABLE,
                        "the modem is in use by another process",
                        "try again when no message is being sent",
                    )
                time.sleep(0.02)
            return cleanup.pop_all()

    def is_wanted(self) -> bool:
        """True while somebody waits in `acquire`."""
        with suppress(OSError), _opened(self._queue) as probe:
            return not _try_lock(probe)
        return False

    def release(self) -> None:
        """Let go of the lock.  May be called twice."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Locking needs no write access: a file that root made with the command line serves the user of
    # FreeRADIUS too, once root's umask has not hidden it.
    handle = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    with suppress(PermissionError):
        os.fchmod(handle, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_port(port: str, baudrate: int, deadline: float) -> serial.Serial:
    """Open a port in time; pyserial's own limit for connecting is 5 s, and a name may take more."""
    outcome: Future[serial.Serial] = Future()

    def work() -> None:
        try:
            opened = serial.serial_for_url(
                port, baudrate=baudrate, timeout=READ_TIMEOUT, write_timeout=WRITE_TIMEOUT
            )
        except LOST as error:
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
            return
        if outcome.set_running_or_notify_cancel():
            outcome.set_result(opened)
        else:
            opened.close()

    try:
        Thread(target=work, name="smsotp-modem-open", daemon=True).start()
    except RuntimeError:  # the system gives no more
        raise ModemError(
            Verdict.UNAVAILABLE, f"no thread to open {port} in", "look at the limits of this host"
        ) from None
    try:
        with suppress(TimeoutError):
            return outcome.result(max(deadline - time.monotonic(), 0))
        if not outcome.cancel():  # it came at the last moment
            return outcome.result()
    except LOST as error:
        raise _cannot_open(port, error) from None
    raise ModemError(
        Verdict.UNAVAILABLE, f"{port} did not open in time", "check the host in `port`"
    )


def _cannot_open(port: str, error: Exception) -> ModemError:
    # pyserial's exception for a socket has no number, but it was raised from one that has.
    causes = [cause for cause in (error, error.__context__) if isinstance(cause, OSError)]
    cause = next((cause for cause in causes if cause.errno), None)
    if cause is None:
        text, remedy = "not a serial port, or not at this baudrate", "check `port` and `baudrate`"
    elif cause.errno == errno.ENOENT:
        text, remedy = "no such device", "plug the modem in, or correct `port`"
    elif cause.errno == errno.EACCES:
        text = "permission denied"
        remedy = "add the user of FreeRADIUS to group dialout, and restart FreeRADIUS"
    elif "://" in port:
        text, remedy = cause.strerror or "no connection", "check `port` and the serial server"
    else:
        text, remedy = os.strerror(cause.errno or 0), "check `port`"
    return ModemError(Verdict.UNAVAILABLE, f"cannot open {port} ({text})", remedy)
