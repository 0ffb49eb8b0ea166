"""
Users who log in, as many at once as wanted: one socket each, all in one thread.

Each user asks, waits for the reply and goes on at once.  Whatever is not the expected reply
ends the bench: only logins that were accepted are counted.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench import wire
from tests.radius.site import PIN, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from tests.bench.servers import Server

PATIENCE = 30.0
"""Seconds after which a reply that is missing ends the bench."""

MOST_LOGINS = 200_000
"""Of one run, whatever the time."""


class UnexpectedReplyError(Exception):
    """A login of the bench did not go as it must."""


@dataclass
class Load:
    """
    What came of a run.

    Attributes:
        seconds: From the first request to the last reply.
        first, second: Seconds that each step took.
        server_cpu, own_cpu: Seconds of CPU, of radiusd and of this program.
    """

    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    server_cpu: float = 0.0
    own_cpu: float = 0.0

    @property
    def logins(self) -> int:
        """How many were accepted."""
        return len(self.second)


class User(asyncio.DatagramProtocol):
    """One user with a socket of their own, who asks one thing at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._identifier = 0
        self.seconds = 0.0
        """What the last reply took."""

    @classmethod
    async def of(cls, server: Server) -> Self:
        """A new user of a server."""
        loop = asyncio.get_running_loop()
        address = ("127.0.0.1", server.port)
        return (await loop.create_datagram_endpoint(lambda: cls(server), remote_addr=address))[1]

    async def first_step(self, name: str) -> bytes:
        """PIN.  Returns the State of the challenge."""
        reply = await self._ask(name, PIN.encode(), b"")
        if reply.code != wire.ACCESS_CHALLENGE:
            raise UnexpectedReplyError(f"{name} was not challenged, but got code {reply.code}")
        return reply.state

    async def second_step(self, name: str, state: bytes) -> None:
        """Code."""
        reply = await self._ask(name, self._server.code(state), state)
        if reply.code != wire.ACCESS_ACCEPT:
            raise UnexpectedReplyError(f"{name} was not accepted, but got code {reply.code}")

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, _: object) -> None:
        self.seconds = time.perf_counter() - self._sent
        self._reply.set_result(
            wire.read_reply(SECRET.encode(), self._identifier, self._authenticator, data)
        )

    def error_received(self, exc: Exception) -> None:
        self._reply.set_exception(exc)

    def _ask(self, name: str, password: bytes, state: bytes) -> asyncio.Future[wire.Reply]:
        self._identifier = (self._identifier + 1) % 16
        self._authenticator = os.urandom(16)
        self._reply = asyncio.get_running_loop().create_future()
        packet = wire.access_request(
            SECRET.encode(), self._identifier, self._authenticator, name.encode(), password, state
        )
        self._sent = time.perf_counter()
        self._transport.sendto(packet)
        return self._reply


async def log_in_again_and_again(
    server: Server, names: Iterator[str], users: int, seconds: float
) -> Load:
    """
    Let users log in for some time.

    Args:
        names: An account for every login, the same one never twice at a time.
        users: How many log in at once.
    """
    load = Load()
    crowd = [await User.of(server) for _ in range(users)]
    cpu, own_cpu = server.cpu(), time.process_time()
    began = time.perf_counter()

    async def go_on(user: User) -> None:
        while time.perf_counter() - began < seconds and load.logins < MOST_LOGINS:
            name = next(names)
            state = await user.first_step(name)
            load.first.append(user.seconds)
            await user.second_step(name, state)
            load.second.append(user.seconds)

    try:
        async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as group:
            for user in crowd:
                group.create_task(go_on(user))
    finally:
        for user in crowd:
            user.close()
    load.seconds = time.perf_counter() - began
    load.own_cpu = time.process_time() - own_cpu
    server.idle()
    load.server_cpu = server.cpu() - cpu
    return load
