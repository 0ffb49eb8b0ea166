"""Networks of a test's own: a loopback address, and a wire to another one if wanted."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLONE_NEWNET = 0x40000000
"""linux/sched.h"""

HERE, THERE = "10.77.0.1", "10.77.0.2"
"""Of the ends of the wire."""

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """
    Move this thread, and what it starts meanwhile, into a new network namespace.

    Whatever a program does to addresses and routes ends with it.
    """
    # Python has these calls from 3.12 on.
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _check(_libc.unshare(CLONE_NEWNET))
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            _check(_libc.setns(before, CLONE_NEWNET))
    finally:
        os.close(before)


@contextlib.contextmanager
def wire() -> Iterator[Callable[..., list[str]]]:
    """
    Lay a wire from ``here``, in the network of this thread, to ``there``, in another new one.

    Both ends are gone with the last process that is in the other network.

    Yields:
        What makes of a command one that runs at the other end.
    """
    with own_network():
        other = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    at = f"/proc/{os.getpid()}/fd/{other}"

    def there(*words: object) -> list[str]:
        return ["nsenter", f"--net={at}", *map(str, words)]

    try:
        for words in (
            ["ip", "link", "add", "here", "type", "veth", "peer", "there", "netns", at],
            ["ip", "address", "add", f"{HERE}/24", "dev", "here"],
            ["ip", "link", "set", "here", "up"],
            there("ip", "address", "add", f"{THERE}/24", "dev", "there"),
            there("ip", "link", "set", "there", "up"),
        ):
            subprocess.run(words, check=True)
        yield there
    finally:
        os.close(other)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
