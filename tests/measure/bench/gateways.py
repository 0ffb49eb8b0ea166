"""What a gateway that is slow, or that hangs, does to those who log in."""

from __future__ import annotations

import asyncio
import itertools
import math
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.measure.bench import load
from tests.measure.bench.logins import CHEAP, NO_WAIT, percentiles
from tests.measure.bench.servers import Server, with_hook
from tests.measure.bench.table import Row, compared, medians
from tests.providers.gateway import Call, Gateway, answers, stall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.measure.bench.extent import Extent
    from tests.providers.gateway import Behaviour

TOGETHER = [f"user{number}" for number in range(12)]

PAUSE = 0.02
"""Seconds between two second steps of others."""

ARRIVAL = 1.0
"""Seconds after which a crowd that comes at once has been let in, and only waits."""

NAIVE = "SMS sent inside the hook"

RATE = 2.0
"""Messages a second that a gateway takes which has no room for more."""

OTHERS, PREFIX = 20, "+43664"
"""How many log in meanwhile, and what their numbers begin with."""


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Gateways that are slow or hang, against one that is not, and a hook that asks them itself."""
    yield from _rates(folder, extent)
    last: dict[str, list[list[float]]] = {"ours": [], "naive": []}
    others: dict[str, list[list[float]]] = {"ours": [], "naive": []}
    arriving: dict[str, list[list[float]]] = {"ours": [], "naive": []}
    bounds: list[list[float]] = []
    for turn in range(extent.rounds):
        for kind in ("ours", "naive"):
            with _server(kind, folder / f"{kind}-slow{turn}") as (server, gateway):
                gateway.behave = _after(extent.gateway)
                seconds = asyncio.run(_until_all_are_challenged(server))
                last[kind].append([seconds / extent.gateway])
            with _server(kind, folder / f"{kind}-hanging{turn}") as (server, gateway):
                waiting = [f"user{number}" for number in range(extent.crowd)]
                late = extent.late if kind == "ours" else 0.0
                steps = _second_steps(server, gateway, waiting, extent.hanging, late)
                times = asyncio.run(steps)
                arrived = int(ARRIVAL / PAUSE)
                arriving[kind].append([max(times[:arrived])])
                others[kind].append(percentiles(times[arrived:]))
                if kind == "ours":
                    bounds.append([server.threads(), server.memory() / 1e6])
    yield compared(
        f"{len(TOGETHER)} users together, gateway takes {extent.gateway:g} s: "
        "all are challenged after, times the gateway's",
        last["ours"],
        last["naive"],
        NAIVE,
    )
    yield Row(
        f"{extent.crowd} users wait for a gateway that hangs for {extent.hanging:g} s: "
        "second steps of others, p50 / p99, ms",
        medians(others["ours"], 1e3),
        f"{medians(others['naive'], 1e3)} ({NAIVE})",
    )
    yield Row(
        "in the second before, in which they come: the longest, ms",
        medians(arriving["ours"], 1e3),
        f"{medians(arriving['naive'], 1e3)} ({NAIVE})",
    )
    yield Row("meanwhile: threads of radiusd / its memory, MB", medians(bounds))
    yield from _busy(folder, extent)


def _busy(folder: Path, extent: Extent) -> Iterator[Row]:
    """A gateway that takes two messages a second: when all have theirs, and who waits meanwhile."""
    seconds: dict[float | None, list[list[float]]] = {None: [], RATE: []}
    others: list[list[float]] = []
    names = [f"user{number}" for number in range(extent.turned_away)]
    for turn in range(extent.rounds):
        for pace, found in seconds.items():
            with Gateway(taking(RATE)) as gateway:
                one = {**provider(gateway.url), "per_second": pace}
                ways = {"order": ["gateway"], "prefixes": {PREFIX: ["folder"]}}
                providers = {"gateway": one, "folder": {"type": "folder", "path": "outbox"}}
                name = f"busy{pace or ''}-{turn}"
                with Server(folder / name, providers=providers, delivery=ways) as server:
                    took, second = asyncio.run(_until_all_are_sent(server, names))
            found.append([took])
            if pace is None:
                others.append(percentiles(second))
    yield compared(
        f"{len(names)} users together, gateway takes {RATE:g} a second: all have an SMS after, s",
        seconds[None],
        seconds[RATE],
        f"per_second: {RATE:g}",
    )
    yield Row("meanwhile: second steps of others, p50 / p99, ms", medians(others, 1e3))


def taking(per_second: float) -> Behaviour:
    """A gateway that takes so many messages in any second, and has no room for the others."""
    taken: deque[float] = deque()
    lock = threading.Lock()

    def behave(call: Call) -> None:
        with lock:
            now = time.monotonic()
            while taken and taken[0] <= now - 1:
                taken.popleft()
            room = len(taken) < per_second
            if room:
                taken.append(now)
        call.answer(200 if room else 429, "ID: 4711")

    return behave


async def _until_all_are_sent(server: Server, names: list[str]) -> tuple[float, list[float]]:
    """
    A crowd comes at once; others, whose messages go another way, log in meanwhile.

    Returns:
        Seconds until the last of the crowd has an SMS, and those that second steps took.
    """
    others = [f"other{number}" for number in range(OTHERS)]
    server.add(names)
    server.add(others, PREFIX)
    second = []
    async with (
        load.crowd(server, len(names)) as crowd,
        load.crowd(server, len(others)) as beside,
        asyncio.timeout(len(names) + load.PATIENCE),
    ):
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for user, name in zip(crowd, names, strict=True):
                group.create_task(user.first_step(name))
        for user, name in zip(beside, others, strict=True):
            await user.second_step(name, await user.first_step(name))
            second.append(user.seconds)
        while server.sent(names) < len(names):
            await asyncio.sleep(PAUSE)
        return time.perf_counter() - began, second


def _rates(folder: Path, extent: Extent) -> Iterator[Row]:
    """How many log in while messages take their time, each user again and again."""
    rates: dict[float, list[list[float]]] = {0.0: [], extent.gateway: []}
    second: list[list[float]] = []
    for turn in range(extent.rounds):
        for seconds, found in rates.items():
            with _gateway(seconds) as url:
                name = f"{seconds:g}-{turn}"
                settings = {"providers": {"gateway": provider(url)}, **NO_WAIT}
                with Server(folder / name, **settings) as server:
                    server.add(CHEAP)
                    users = itertools.cycle(CHEAP)
                    work = load.log_in(
                        server, users, extent.crowd, extent.seconds, settle=seconds == 0
                    )
                    done = asyncio.run(work)
            found.append([done.rate])
            if seconds:
                second.append(percentiles(done.second))
    what = f"logins a second, {extent.crowd} users, gateway takes {extent.gateway:g} s"
    yield compared(what, rates[extent.gateway], rates[0.0], "gateway that answers at once")
    yield Row("meanwhile: second step, p50 / p99, ms", medians(second, 1e3))


@contextmanager
def _gateway(seconds: float) -> Iterator[str]:
    """A gateway that takes so long; its URL."""
    command = [sys.executable, "-m", "tests.measure.bench.slow_gateway", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        finally:
            process.kill()


def provider(url: str) -> dict[str, Any]:
    # A GET: the gateway of this bench reads no body.
    parameter = {"to": "{phone}", "text": "{message}"}
    return {"type": "http", "url": url, "http_method": "GET", "parameter": parameter}


@contextmanager
def _server(kind: str, folder: Path) -> Iterator[tuple[Server, Gateway]]:
    with Gateway(answers(200, "ID: 4711")) as gateway:
        edit = with_hook("naive_hook", gateway.url) if kind == "naive" else None
        with Server(folder, edit, providers={"gateway": provider(gateway.url)}) as server:
            yield server, gateway


def _after(seconds: float) -> Behaviour:
    """A gateway that accepts every message, but takes its time."""

    def behave(call: Call) -> None:
        call.gateway.over.wait(seconds)
        call.answer(200, "ID: 4711")

    return behave


async def _until_all_are_challenged(server: Server) -> float:
    """Seconds until the last of those who start together is asked for the code."""
    server.add(TOGETHER)
    async with load.crowd(server, len(TOGETHER)) as users:
        began = time.perf_counter()
        async with asyncio.timeout(load.PATIENCE), asyncio.TaskGroup() as group:
            for user, name in zip(users, TOGETHER, strict=True):
                group.create_task(user.first_step(name))
        return time.perf_counter() - began


async def _second_steps(
    server: Server, gateway: Gateway, crowded: list[str], seconds: float, late: float
) -> list[float]:
    """
    Users who were challenged before answer one by one, while a crowd waits for the gateway.

    Returns:
        Seconds that each answer took; infinite if there was no reply before the end.
    """
    names = [f"other{number}" for number in range(int((ARRIVAL + seconds) / PAUSE))]
    server.add(crowded + names)
    async with (
        load.crowd(server, len(names)) as others,
        load.crowd(server, len(crowded)) as crowd,
        asyncio.timeout(ARRIVAL + seconds + late + load.PATIENCE),
    ):
        pairs = list(zip(others, names, strict=True))
        states = [await other.first_step(name) for other, name in pairs]
        gateway.behave = stall
        waiting = [
            asyncio.create_task(user.first_step(name))
            for user, name in zip(crowd, crowded, strict=True)
        ]
        answering = []
        for (other, name), state in zip(pairs, states, strict=True):
            answering.append(asyncio.create_task(other.second_step(name, state)))
            await asyncio.sleep(PAUSE)
        await asyncio.wait(answering, timeout=late)
        for task in waiting + answering:
            task.cancel()
        ended = await asyncio.gather(*answering, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception):
            raise one
    return [
        math.inf if isinstance(one, asyncio.CancelledError) else other.seconds
        for other, one in zip(others, ended, strict=True)
    ]
