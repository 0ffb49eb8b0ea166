"""
A way between clients and a server on the loopback address that takes its time.

A process of its own, so that it keeps time while others are busy, and one that takes little from
them: a network has no part in our cores.  ``python -m tests.measure.bench.distance PORT SECONDS``
prints the port that it listens on.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def distant(port: int, seconds: float) -> Iterator[int]:
    """The port at which a server is so many seconds away; there and back it is twice that."""
    if not seconds:
        yield port
        return
    command = [sys.executable, "-m", "tests.measure.bench.distance", str(port), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as relay:
        try:
            assert relay.stdout is not None
            yield int(relay.stdout.readline())
        finally:
            relay.terminate()


def main(port: int, seconds: float) -> None:
    """Listen until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    others: dict[socket.socket, socket.socket] = {}
    # All are as late as each other: who comes first is due first.
    late: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        # select(2) waits to the microsecond, epoll_wait(2) to the millisecond.
        ready, _, _ = select.select([listener, *others], [], [], wait)
        for one in ready:
            if one is listener:
                pair = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                for end in pair:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                others |= zip(pair, reversed(pair), strict=True)
                continue
            data = b""
            with contextlib.suppress(ConnectionError):
                data = one.recv(65536)
            late.append((time.monotonic() + seconds, others[one], data))
            if not data:
                del others[one]
        while late and late[0][0] <= time.monotonic():
            _, one, data = late.popleft()
            with contextlib.suppress(OSError):
                one.sendall(data) if data else one.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
