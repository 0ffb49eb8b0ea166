"""Where events go besides the store: the journal, a syslog server, a file."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from radius_smsotp.cli import output, trace
from radius_smsotp.model.records import Event
from radius_smsotp.settings.file import Loaded

NAME = "smsotp"

AUTHPRIV = 10
"""RFC 5424 section 6.2.1: security and authorization messages."""

WARNING, INFORMATIONAL = 4, 6

JOURNAL = Path("/run/systemd/journal/socket")

TAIL = 1 << 20
"""Octets at the end of a file among which lines are looked for that were written already."""


def record(number: int, event: Event, told: str) -> dict[str, Any]:
    """An event as one JSON object; docs/reference/commands/events.rst says what it holds."""
    return {
        "id": number,
        **trace.record(event),
        "time": output.iso(event.time),
        "told": told,
    }


class Sink(Protocol):
    """Takes events, each an object of `record`, in their order."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Take one.  Raises OSError: it was not taken, and is to be tried again."""

    def sync(self) -> None:
        """Return when what was taken would outlast a crash of this machine, as far as can be."""

    def has(self) -> set[int]:
        """Which of the last events were taken already, as far as that can be seen."""

    def close(self) -> None:
        """Let go of it."""


def opened(loaded: Loaded) -> Sink:
    """What the settings say.  Raises OSError."""
    audit = loaded.values.audit
    if audit.sink == "journal":
        return Journal(JOURNAL)
    if audit.sink == "syslog":
        return Syslog(audit.syslog)
    return File(loaded.path.parent / audit.file)


def _severity(event: Mapping[str, Any]) -> int:
    return WARNING if event["kind"] in trace.BAD else INFORMATIONAL


class File:
    """A line of JSON each.  A file that is moved away, as logrotate does, is made anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def write(self, event: Mapping[str, Any]) -> None:
        """See `Sink`."""
        self._follow()
        self._file.write(json.dumps(event).encode() + b"\n")

    def sync(self) -> None:
        """See `Sink`."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def has(self) -> set[int]:
        """See `Sink`.  A line that was not written whole is ended."""
        with self._path.open("rb") as file:
            file.seek(max(0, self._file.tell() - TAIL))
            lines = file.read().split(b"\n")
        if lines[-1]:
            self._file.write(b"\n")
        found = set()
        for line in lines:
            try:
                found.add(int(json.loads(line)["id"]))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def close(self) -> None:
        """See `Sink`."""
        self._file.close()

    def _open(self) -> IO[bytes]:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        return os.fdopen(handle, "ab")

    def _follow(self) -> None:
        mine = os.fstat(self._file.fileno())
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            self._file.close()
            self._file = self._open()


class Syslog:
    """
    RFC 5424, to a local socket, or to a server by UDP (RFC 5426) or TCP (RFC 6587 section 3.4.1).

    Args:
        address: A path, ``udp://HOST[:PORT]`` or ``tcp://HOST[:PORT]``.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._frames = False
        self._socket: socket.socket | None = None

    def write(self, event: Mapping[str, Any]) -> None:
        """See `Sink`."""
        if self._socket is None:
            self._socket = self._connected()
        priority = AUTHPRIV * 8 + _severity(event)
        head = f"<{priority}>1 {event['time']} {socket.gethostname()} {NAME} {os.getpid()}"
        line = f"{head} {event['kind'][:32]} - {json.dumps(event)}".encode()
        try:
            self._socket.sendall(b"%d %s" % (len(line), line) if self._frames else line)
        except OSError:
            self.close()
            raise

    def sync(self) -> None:
        """See `Sink`: what the other side does with it is not told."""

    def has(self) -> set[int]:
        """See `Sink`."""
        return set()

    def close(self) -> None:
        """See `Sink`."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _connected(self) -> socket.socket:
        if self._address.startswith("/"):
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.connect(self._address)
            return made
        parts = urlsplit(self._address)
        self._frames = parts.scheme == "tcp"
        where = (parts.hostname or "", parts.port or (601 if self._frames else 514))
        if self._frames:
            return socket.create_connection(where, timeout=10)
        kind = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(*kind[:3])
        made.connect(kind[4])
        return made


class Journal:
    """systemd's journal, each field under a name of its own (systemd.journal-fields(7))."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = str(path)

    def write(self, event: Mapping[str, Any]) -> None:
        """See `Sink`."""
        fields = {
            "MESSAGE": f"{event['account'] or '-'}: {event['told']}",
            "PRIORITY": str(_severity(event)),
            "SYSLOG_FACILITY": str(AUTHPRIV),
            "SYSLOG_IDENTIFIER": NAME,
            **{
                f"SMSOTP_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
                for name, value in event.items()
            },
        }
        # https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: the form with lengths takes any text.
        parts = (
            b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(value.encode())), value.encode())
            for name, value in fields.items()
        )
        self._socket.sendto(b"".join(parts), self._path)

    def sync(self) -> None:
        """See `Sink`: the journal writes by itself."""

    def has(self) -> set[int]:
        """See `Sink`."""
        return set()

    def close(self) -> None:
        """See `Sink`."""
        self._socket.close()
