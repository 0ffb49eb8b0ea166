"""What a gateway that is slow, or that hangs, does to those who log in."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from tests.bench import load
from tests.bench.servers import Server, with_hook
from tests.bench.table import Row, compared, medians
from tests.providers.gateway import Call, Gateway, answers, stall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.extent import Extent
    from tests.providers.gateway import Behaviour

TOGETHER = [f"user{number}" for number in range(12)]
WAITING = [f"user{number}" for number in range(40)]

PAUSE = 0.1
"""Seconds between two second steps of others."""

NAIVE = "SMS sent inside the hook"


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Two gateways, against a hook that asks them itself."""
    last: dict[str, list[list[float]]] = {"ours": [], "naive": []}
    others: dict[str, list[list[float]]] = {"ours": [], "naive": []}
    for turn in range(extent.rounds):
        for kind in ("ours", "naive"):
            with _server(kind, folder / f"{kind}-slow{turn}") as (server, gateway):
                gateway.behave = _after(extent.gateway)
                seconds = asyncio.run(_until_all_are_challenged(server))
                last[kind].append([seconds / extent.gateway])
            with _server(kind, folder / f"{kind}-hanging{turn}") as (server, gateway):
                times = asyncio.run(_second_steps(server, gateway, extent.hanging))
                others[kind].append([median(times), max(times)])
    yield compared(
        f"{len(TOGETHER)} users together, gateway takes {extent.gateway:g} s: "
        "all are challenged after, times the gateway's",
        last["ours"],
        last["naive"],
        NAIVE,
    )
    yield Row(
        f"{len(WAITING)} users wait for a gateway that hangs for {extent.hanging:g} s: "
        "second steps of others, p50 / worst, ms",
        medians(others["ours"], 1e3),
        f"{medians(others['naive'], 1e3)} ({NAIVE})",
    )


@contextmanager
def _server(kind: str, folder: Path) -> Iterator[tuple[Server, Gateway]]:
    with Gateway(answers(200, "ID: 4711")) as gateway:
        edit = with_hook("naive_hook", gateway.url) if kind == "naive" else None
        parameter = {"to": "{phone}", "text": "{message}"}
        provider = {"type": "http", "url": gateway.url, "parameter": parameter}
        with Server(folder, edit, providers={"gateway": provider}) as server:
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


async def _second_steps(server: Server, gateway: Gateway, seconds: float) -> list[float]:
    """
    Users who were challenged before answer one by one, while `WAITING` wait for the gateway.

    Returns:
        Seconds that each answer took; infinite if there was no reply before the end.
    """
    names = [f"other{number}" for number in range(int(seconds / PAUSE))]
    server.add(WAITING + names)
    async with (
        load.crowd(server, len(names)) as others,
        load.crowd(server, len(WAITING)) as crowd,
        asyncio.timeout(seconds + load.PATIENCE),
    ):
        pairs = list(zip(others, names, strict=True))
        states = [await other.first_step(name) for other, name in pairs]
        gateway.behave = stall
        waiting = [
            asyncio.create_task(user.first_step(name))
            for user, name in zip(crowd, WAITING, strict=True)
        ]
        answering = []
        for (other, name), state in zip(pairs, states, strict=True):
            answering.append(asyncio.create_task(other.second_step(name, state)))
            await asyncio.sleep(PAUSE)
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
