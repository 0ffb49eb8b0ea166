"""
A way between clients and a server on the loopback address that takes its time.

A process of its own, so that it keeps time while others are busy:
``python -m tests.measure.bench.distance PORT SECONDS`` prints the port that it listens on.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import subprocess
import sys
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


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what comes, each piece as late as the others, until one side is gone."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            loop.call_later(seconds, target.write, data)
    loop.call_later(seconds, target.close)


async def main(port: int, seconds: float) -> None:
    """Listen until the process is ended."""

    async def connected(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(client, there, seconds), carry(server, back, seconds))

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    # select(2) waits to the microsecond, epoll_wait(2) to the millisecond.
    make = lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())  # noqa: E731
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main(int(sys.argv[1]), float(sys.argv[2])))
