"""
One modem, one user at a time: the port, and the lock against other processes; and who holds it
between two messages, while receipts are awaited.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread

import serial

from radius_smsotp.errors import Unavailable
from radius_smsotp.providers import connection
from radius_smsotp.providers.modem.errors import ModemError
from radius_smsotp.providers.modem.line import ANSWER, LOST, MAY_NOT_WRITE, Line
from radius_smsotp.providers.modem.pdu import DeliveryReceipt, Fate

log = logging.getLogger(__name__)

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
        self.lock = lock
        self._is_socket = is_socket

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
        self.lock.release()


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
        self._held = ExitStack()

    def acquire(self, deadline: float) -> None:
        """Take the lock.  Raises ModemError if it is not free in time, or has no place."""
        try:
            with _opened(self._queue) as waiting:
                # Waits at most for the blink of an eye in `is_wanted`.
                fcntl.flock(waiting, fcntl.LOCK_SH)
                self._held = self._await(deadline)
        except OSError as error:
            fault = f"cannot lock the modem with {self._path} ({error.strerror})"
            raise ModemError(Unavailable, fault, MAY_NOT_WRITE) from None

    def _await(self, deadline: float) -> ExitStack:
        with ExitStack() as cleanup:
            lock = cleanup.enter_context(_opened(self._path))
            while not _try_lock(lock):
                if time.monotonic() >= deadline:
                    fault = "the modem is in use by another process"
                    raise ModemError(Unavailable, fault, "try again when no message is being sent")
                time.sleep(0.02)
            return cleanup.pop_all()

    def is_wanted(self) -> bool:
        """True while another process, or another provider, waits in `acquire`."""
        with suppress(OSError), _opened(self._queue) as probe:
            return not _try_lock(probe)
        return False

    def release(self) -> None:
        """Let go of the lock.  May be called twice."""
        self._held.close()


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

    opening = partial(
        serial.serial_for_url, port, baudrate, timeout=READ_TIMEOUT, write_timeout=WRITE_TIMEOUT
    )
    try:
        return connection.in_time(opening, deadline, "smsotp-modem-open", lambda late: late.close())
    except TimeoutError:
        fault = f"{port} did not open in time"
        raise ModemError(Unavailable, fault, "check the host in `port`") from None
    except RuntimeError:  # the system gives no more
        fault = f"no thread to open {port} in"
        raise ModemError(Unavailable, fault, "look at the limits of this host") from None
    except LOST as error:
        raise _cannot_open(port, error) from None


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
    return ModemError(Unavailable, f"cannot open {port} ({text})", remedy)


PATIENCE = 900.0
"""Seconds for which a receipt is awaited, and the modem kept open for it if nobody wants it."""

SLICE = 0.1
"""Seconds that the thread listens at a time: who wants to send waits so long at most."""


@dataclass(slots=True)
class _Awaited:
    message_id: str
    until: float  # time.monotonic()
    references: set[int] = field(default_factory=set)


class Receipts:
    """
    The receipts that are awaited.  Used by one thread at a time: whoever has the device.

    Args:
        tell: Called once for each message: see `providers.GivesReceipts`.
    """

    def __init__(self, tell: Callable[[str, bool, str], None]) -> None:
        self._tell = tell
        self._awaited: dict[int, _Awaited] = {}

    def expect(self, message_id: str, references: list[int]) -> None:
        """Await a receipt for each part of a message."""
        message = _Awaited(message_id, time.monotonic() + PATIENCE, set(references))
        # A reference is one octet: the network uses it again, and then the older one is lost.
        self._awaited.update(dict.fromkeys(references, message))

    def any_awaited(self) -> bool:
        """True while a receipt may still come."""
        now = time.monotonic()
        self._awaited = {key: value for key, value in self._awaited.items() if value.until > now}
        return bool(self._awaited)

    def settle(self, receipts: list[DeliveryReceipt]) -> None:
        """Take receipts out of the list, and tell what they settle."""
        while receipts:
            receipt = receipts.pop(0)
            message = self._awaited.get(receipt.reference)
            if message is None or receipt.fate is Fate.PENDING:
                continue
            del self._awaited[receipt.reference]
            message.references.discard(receipt.reference)
            if receipt.fate is Fate.FAILED:
                for reference in message.references:
                    self._awaited.pop(reference, None)
                self._tell(message.message_id, False, receipt.meaning)
            elif not message.references:
                self._tell(message.message_id, True, receipt.meaning)


class Listener(threading.Thread):
    """
    Holds the device between two sends, until the receipts came or somebody else wants it.

    Args:
        device: The open modem; it belongs to this thread until `hand_back`.
        receipts: What is awaited.
        name: The provider's name, for the thread's.
    """

    def __init__(self, device: Device, receipts: Receipts, name: str) -> None:
        super().__init__(name=f"smsotp-modem-{name}", daemon=True)
        self._device: Device | None = device
        self._receipts = receipts
        self._asked_back = threading.Event()

    def run(self) -> None:
        device = self._device
        if device is not None and not self._listen(device):
            self._device = None
            device.close()

    def _listen(self, device: Device) -> bool:
        """True if the device was asked back, False if it is of no more use here."""
        try:
            while not self._asked_back.is_set():
                device.line.fetch_receipts(time.monotonic() + ANSWER)
                self._receipts.settle(device.line.receipts)
                if not self._receipts.any_awaited() or device.lock.is_wanted():
                    return False
                device.line.listen(SLICE)
        except ModemError as error:
            log.info("no more delivery receipts for now: %s", error.text)
            return False
        return True

    def hand_back(self, deadline: float) -> Device | None:
        """
        End the thread and take the device from it; None if it has closed it.

        Raises:
            TimeoutError: `tell` took too long.
        """
        self._asked_back.set()
        self.join(max(deadline - time.monotonic(), 0))
        if self.is_alive():
            raise TimeoutError
        return self._device
