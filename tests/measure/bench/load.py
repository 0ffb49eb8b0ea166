"""
Users who log in, as many at once as wanted: one socket each, all in one thread.

A user asks, waits for the reply, and goes on at once.  A reply other than the right one ends
the bench: only logins that were accepted are counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support import radius
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.measure.bench.servers import Server

SECRET = radius.SECRET.encode()

PATIENCE = 30.0
"""Seconds after which a missing reply ends the bench."""

MOST_LOGINS = 200_000
"""In one run, whatever time is left."""

IDENTIFIERS = 16
"""Of RADIUS, in turn, for each socket.  FreeRADIUS keeps a reply for `cleanup_delay`, 5 s, or
until its identifier comes again; with all 256, `max_requests` of them would soon be there."""


ARRIVALS = "arrivals"
"""Seed of when those who come at random come."""

ARRIVED_MOST = 500
"""Of them at once; one more ends the bench: the server cannot keep up."""


class UnexpectedReplyError(Exception):
    """A login did not go as it must."""


@dataclass
class Load:
    """
    What came of a run.

    Attributes:
        seconds: From the first request to the last reply.
        first, second: Seconds that each step took.
        cpu: Seconds of CPU that radiusd spent on it, until the last message was sent.
        own_cpu: Seconds of CPU that this program spent.
    """

    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    cpu: float = 0.0
    own_cpu: float = 0.0

    @property
    def logins(self) -> int:
        """How many there were; each was accepted."""
        return len(self.second)

    @property
    def rate(self) -> float:
        """Logins a second."""
        return self.logins / self.seconds


class User(asyncio.DatagramProtocol):
    """
    One user, with a socket of their own.

    Attributes:
        seconds: What the last reply took.
    """

    def __init__(self, server: Server) -> None:
        self.seconds = 0.0
        self._server = server
        self._identifier = 0

    async def first_step(self, name: str) -> bytes:
        """Log in with the PIN.  Returns the State of the challenge."""
        reply = await self._ask(name, PIN.encode(), b"")
        if reply[0] != radius.CHALLENGE:
            raise UnexpectedReplyError(f"{name} was not challenged, but got code {reply[0]}")
        return dict(radius.attributes(reply))[radius.STATE]

    async def second_step(self, name: str, state: bytes) -> None:
        """Answer the challenge with its code."""
        reply = await self._ask(name, self._server.code(state), state)
        if reply[0] != radius.ACCEPT:
            raise UnexpectedReplyError(f"{name} was not accepted, but got code {reply[0]}")

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        """See `asyncio`."""
        self._transport = transport

    def datagram_received(self, data: bytes, _: object) -> None:
        """See `asyncio`."""
        if self._reply.done():
            return  # nobody waits for it any more
        self.seconds = time.perf_counter() - self._asked
        if radius.answers(SECRET, self._request, data):
            self._reply.set_result(data)
        else:
            self._reply.set_exception(UnexpectedReplyError("not a reply to this request"))

    def error_received(self, exc: Exception) -> None:
        """See `asyncio`: the server is not there."""
        self._reply.set_exception(exc)

    def _ask(self, name: str, password: bytes, state: bytes) -> asyncio.Future[bytes]:
        self._identifier = (self._identifier + 1) % IDENTIFIERS
        self._reply = asyncio.get_running_loop().create_future()
        pairs = [(radius.USER_NAME, name.encode()), (radius.USER_PASSWORD, password)]
        if state:
            pairs.append((radius.STATE, state))
        self._request = radius.access_request(SECRET, pairs, identifier=self._identifier)
        self._asked = time.perf_counter()
        self._transport.sendto(self._request)
        return self._reply


async def whole_login(user: User, name: str, load: Load) -> None:
    """Both steps of one login, noted."""
    state = await user.first_step(name)
    load.first.append(user.seconds)
    await user.second_step(name, state)
    load.second.append(user.seconds)


async def arrive(server: Server, names: Iterator[str], rate: float, seconds: float) -> Load:
    """
    Let users come at random, so many a second on average, whether others wait or not.

    Args:
        names: An account for each login; none comes again while it is in use.
    """
    load = Load()
    chance = random.Random(ARRIVALS)  # the same arrivals for all that is compared

    async def log_in_once(idle: list[User]) -> None:
        user = idle.pop()
        await whole_login(user, next(names), load)
        idle.append(user)

    async with crowd(server, ARRIVED_MOST) as idle:
        began = time.perf_counter()
        async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as group:
            due = began
            while (due := due + chance.expovariate(rate)) < began + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(log_in_once(idle))
        load.seconds = time.perf_counter() - began
    server.settle()
    return load


@asynccontextmanager
async def crowd(server: Server, size: int) -> AsyncIterator[list[User]]:
    """So many users of one server."""
    loop = asyncio.get_running_loop()
    users: list[User] = []
    try:
        for _ in range(size):
            _, user = await loop.create_datagram_endpoint(
                lambda: User(server), remote_addr=("127.0.0.1", server.port)
            )
            users.append(user)
        yield users
    finally:
        for user in users:
            user.close()


async def log_in(
    server: Server,
    names: Iterator[str],
    size: int,
    seconds: float,
    most: int = MOST_LOGINS,
    *,
    settle: bool = True,
) -> Load:
    """
    Let `size` users at once log in, again and again, for some time.

    Args:
        names: An account for each login; none comes again while it is in use.
        most: Logins at most, and about.
        settle: Wait until the last message is sent.
    """
    load = Load()

    async def go_on(user: User) -> None:
        while time.perf_counter() - began < seconds and load.logins < most:
            await whole_login(user, next(names), load)

    async with crowd(server, size) as users:
        cpu, own_cpu, began = server.cpu(), time.process_time(), time.perf_counter()
        async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(go_on(user))
        load.seconds = time.perf_counter() - began
        load.own_cpu = time.process_time() - own_cpu
    if settle:
        server.settle()
    load.cpu = server.cpu() - cpu
    return load
