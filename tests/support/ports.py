"""Ports of the loopback address, each given to one test only."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

FIRST, PAST = 2000, 10000
"""Below those that Linux gives to whoever asks for any: none of these is taken by chance.  Of four
digits: openvpn-auth-radius reads no more."""


def free_port(more: int = 0) -> int:
    """
    A port that nobody uses, by UDP or TCP, and that no other process of the tests is given.

    Args:
        more: So many ports behind it are the caller's as well.
    """
    path = Path(f"/tmp/smsotp-test-ports-{os.getuid()}")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        port = int(file.read() or PAST) + 1
        while not all(map(_is_free, range(port, port + more + 1))):
            port = port + 1 if port < PAST else FIRST
        file.seek(0)
        # Of one width: to cut a file off can take as long as the disk does.
        file.write(f"{port + more:5}")
    return port


def _is_free(port: int) -> bool:
    if port >= PAST:
        return False
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
