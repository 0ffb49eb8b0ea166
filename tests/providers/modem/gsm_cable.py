"""
What the stand-in for a GSM modem hangs on: a pty, or a serial server on TCP.  Both come off.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Cable(Protocol):
    """What a modem hangs on."""

    name: str

    def receive(self, seconds: float) -> bytes:
        """What came in; empty if nothing did."""

    def transmit(self, data: bytes) -> None:
        """Send, if somebody is there."""

    def unplug(self) -> None:
        """From now on the device is not there."""

    def plug_in(self) -> None:
        """It is there again, under the same name."""


class PtyCable:
    """A serial device: a link to a pty, as /dev/serial/by-id/ has links."""

    def __init__(self, folder: Path) -> None:
        self._link = folder / "modem-0"
        self.name = str(self._link)
        self._lock = threading.Lock()
        self._ends: tuple[int, int] | None = None
        self.plug_in()

    def plug_in(self) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        with self._lock:
            self._ends = (master, slave)
        self._link.symlink_to(os.ttyname(slave))

    def unplug(self) -> None:
        self._link.unlink(missing_ok=True)
        with self._lock:
            ends, self._ends = self._ends, None
            for end in ends or ():
                os.close(end)

    def receive(self, seconds: float) -> bytes:
        with self._lock:
            if self._ends is None:
                return b""
            ready, _, _ = select.select([self._ends[0]], [], [], seconds)
            return os.read(self._ends[0], 4096) if ready else b""

    def transmit(self, data: bytes) -> None:
        with self._lock:
            if self._ends is not None:
                with suppress(BlockingIOError):  # nobody reads: a serial line loses it then
                    os.write(self._ends[0], data)

    @property
    def device(self) -> str:
        """The path that the link leads to."""
        return os.path.realpath(self._link)


class TcpCable:
    """A serial server that passes one connection at a time on to the modem."""

    def __init__(self) -> None:
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._port = 0
        self._lock = threading.Lock()
        self.plug_in()
        self.name = f"socket://127.0.0.1:{self._port}"

    def plug_in(self) -> None:
        with self._lock:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]

    def unplug(self) -> None:
        with self._lock:
            for end in (self._listener, self._connection):
                if end is not None:
                    end.close()
            self._listener = self._connection = None

    def receive(self, seconds: float) -> bytes:
        with self._lock:
            if self._listener is None:
                return b""
            ends = [end for end in (self._listener, self._connection) if end is not None]
            ready, _, _ = select.select(ends, [], [], seconds)
            data = b""
            if self._connection in ready and self._connection is not None:
                try:
                    data = self._connection.recv(4096)
                except OSError:
                    data = b""
                if not data:
                    self._connection.close()
                    self._connection = None
            if self._listener in ready and self._connection is None:
                self._connection, _ = self._listener.accept()
            return data

    def transmit(self, data: bytes) -> None:
        with self._lock:
            if self._connection is not None:
                try:
                    self._connection.sendall(data)
                except OSError:
                    self._connection.close()
                    self._connection = None
