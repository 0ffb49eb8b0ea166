"""How many logins a second, at what cost, and how long each step takes."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from radius_smsotp.settings import PinSettings
from tests.bench import load
from tests.bench.servers import Server, with_hook
from tests.bench.table import Row, compared, number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.extent import Extent
    from tests.bench.load import Load

CROWDS = (1, 32, 256)
"""Users at once."""

BUSY = 32
"""The crowd that rates and costs are taken of: more than radiusd has threads."""

ACCOUNTS = 1000
WARM_UP = 0.3
"""Seconds."""

HASHES = 5
"""For each core, to see how many it can do."""

ROUNDS = PinSettings().iterations


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """
    Two-step logins, against the empty hook, which checks and stores nothing.

    Raises:
        UnexpectedReplyError: The audit trail has not exactly the logins that were counted.
    """
    cheap = [f"cheap{number}" for number in range(ACCOUNTS)]
    costly = [f"costly{number}" for number in range(ACCOUNTS)]
    empty: dict[int, list[Load]] = defaultdict(list)
    ours: dict[int, list[Load]] = defaultdict(list)
    hashed: list[Load] = []
    ceilings = []
    with (
        Server(folder / "empty-hook", with_hook("empty_hook")) as empty_server,
        Server(folder / "product") as server,
    ):
        server.add(cheap)
        server.add(costly, ROUNDS)
        names, costly_names = itertools.cycle(cheap), itertools.cycle(costly)
        counted = 0
        for one in (empty_server, server):
            warm = asyncio.run(load.log_in(one, names, BUSY, WARM_UP))
        counted += warm.logins
        for _ in range(extent.rounds):
            for size in CROWDS:
                run = load.log_in(empty_server, names, size, extent.seconds)
                empty[size].append(asyncio.run(run))
                run = load.log_in(server, names, size, extent.seconds)
                ours[size].append(asyncio.run(run))
            run = load.log_in(server, costly_names, BUSY, extent.seconds)
            hashed.append(asyncio.run(run))
            ceilings.append([_hashes_a_second()])
        counted += sum(one.logins for one in itertools.chain(hashed, *ours.values()))
        found = server.accepted(cheap + costly)
        if found != counted:
            raise load.UnexpectedReplyError(f"{counted} logins, but {found} in the audit trail")
    than = "empty hook"
    rates, limits = ([_rate(one) for one in loads[BUSY]] for loads in (ours, empty))
    yield compared(f"logins a second, {BUSY} users", rates, limits, than)
    slow = [_rate(one) for one in hashed]
    what = f"logins a second, {BUSY} users, PIN hash of {ROUNDS} rounds"
    yield compared(what, slow, ceilings, "the hash alone")
    costs, least = ([[one.cpu / one.logins] for one in loads[BUSY]] for loads in (ours, empty))
    yield compared("CPU of radiusd a login, µs", costs, least, than, 1e6)
    for step in ("first", "second"):
        for size in CROWDS:
            what = f"{step} step, {size} user{'s' * (size > 1)}, p50 / p99, ms"
            times, best = ([_percentiles(getattr(o, step)) for o in s[size]] for s in (ours, empty))
            yield compared(what, times, best, than, 1e3)
    shares = sorted(one.own_cpu / one.seconds for one in empty[BUSY])
    share = f"{number(100 * shares[len(shares) // 2])} %"
    yield Row("load generator, part of one core", "", f"{share} ({than})")


def _rate(one: Load) -> list[float]:
    return [one.logins / one.seconds]


def _percentiles(seconds: list[float]) -> list[float]:
    ordered = sorted(seconds)
    return [ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]]


def _hashes_a_second() -> float:
    """How many PINs all cores together could check if there were nothing else to do."""
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        # Python's lock is released meanwhile.
        list(pool.map(_hash, range(HASHES * cores)))
        return HASHES * cores / (time.perf_counter() - began)


def _hash(_: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", b"1234", bytes(16), ROUNDS)
