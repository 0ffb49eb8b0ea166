"""Hosts behind one bridge, each a network namespace: whatever is plugged here ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.peers.network import own_network

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "10.77.0."
"""Of all addresses, which are a /24."""

BRIDGE = f"{PREFIX}254"
"""Whose this thread's is."""

NOBODY = "02:00:00:00:00:01"
"""A MAC address (IEEE 802, locally administered) that no host has."""


class Host:
    """One of them; see `network`."""

    def __init__(self, number: int) -> None:
        self.address = f"{PREFIX}{number}"
        self._port = f"port{number}"
        with own_network():
            self._namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        at = f"/proc/{os.getpid()}/fd/{self._namespace}"
        self.prefix = ["nsenter", f"--net={at}"]
        """What makes of a command one that runs here."""
        _ip("link", "add", self._port, "type", "veth", "peer", "eth0", "netns", at)
        _ip("link", "set", self._port, "master", "bridge", "up")
        self._ip("address", "add", f"{self.address}/24", "dev", "eth0")
        self._ip("link", "set", "eth0", "up")

    def unplug(self) -> None:
        """It has vanished: what is sent there or from there is lost."""
        _ip("link", "set", self._port, "down")

    def plug(self) -> None:
        """It is back."""
        _ip("link", "set", self._port, "up")

    def part(self, *others: Host) -> None:
        """What it and the others send each other is lost from now on."""
        for one, other in _both(self, others):
            at = ("lladdr", NOBODY, "dev", "eth0", "nud", "permanent")
            one._ip("neighbour", "replace", other.address, *at)

    def join(self, *others: Host) -> None:
        """And is not any more."""
        for one, other in _both(self, others):
            one._ip("neighbour", "delete", other.address, "dev", "eth0")

    def signal(self, sign: int, *names: str) -> None:
        """Send a signal to all processes here of these names; to all if there is no name."""
        for number in self._processes(names):
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(number, sign)

    def close(self) -> None:
        """End whatever runs here."""
        while self._processes(()):
            self.signal(signal.SIGKILL)
        os.close(self._namespace)

    def _processes(self, names: tuple[str, ...]) -> list[int]:
        here, found = os.fstat(self._namespace).st_ino, []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_here = (folder / "ns" / "net").stat().st_ino == here
                name = (folder / "comm").read_text().strip()
                if is_here and (not names or name in names):
                    found.append(int(folder.name))
        return found

    def _ip(self, *words: str) -> None:
        subprocess.run([*self.prefix, "ip", *words], check=True)


@contextlib.contextmanager
def network(*numbers: int) -> Iterator[list[Host]]:
    """Hosts with these last parts of their addresses, until the end of a `with` block."""
    with own_network(), contextlib.ExitStack() as stack:
        _ip("link", "add", "bridge", "type", "bridge")
        _ip("address", "add", f"{BRIDGE}/24", "dev", "bridge")
        _ip("link", "set", "bridge", "up")
        hosts = []
        for number in numbers:
            hosts.append(Host(number))
            stack.callback(hosts[-1].close)
        yield hosts


def _both(host: Host, others: tuple[Host, ...]) -> Iterator[tuple[Host, Host]]:
    for other in others:
        yield host, other
        yield other, host


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
