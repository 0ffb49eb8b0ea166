"""How many logins a second, at what cost, and how long each step takes."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.measure.bench import load
from tests.measure.bench.servers import Server, with_hook
from tests.measure.bench.table import Row, compared, medians

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.measure.bench.extent import Extent
    from tests.measure.bench.load import Load

BUSY = 32
"""The crowd that rates and costs are taken of: more than radiusd has threads."""

ARRIVING = {"default": 50.0, "ours": 100.0}
"""Logins a second where users come at random, and rest: 180,000 and 360,000 an hour."""

CHEAP = [f"cheap{number}" for number in range(1000)]
"""Accounts whose PIN hash has 1 round, unless a server says otherwise."""

HASHED = ("default", "passwords")
"""Servers whose PIN hashes have the rounds of `Extent.hashes`."""

WARM_UP = 0.3
"""Seconds, at most."""

NO_WAIT: dict[str, Any] = {"delivery": {"wait": 0}}
"""No login waits for the verdict of the provider."""

FLOOR = "two rows and a sync"
"""`books_hook`: the least that must be kept."""

HASH = "the hash alone"

DEFAULT = ", default settings"


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """
    Two-step logins: with default settings, against the hash of their PINs; and without the hash,
    against the least that must be kept.

    Raises:
        UnexpectedReplyError: A login was not accepted, or its SMS not sent.
    """
    crowds: dict[str, dict[int, list[Load]]] = {one: defaultdict(list) for one in ("ours", "floor")}
    calm: dict[str, list[Load]] = defaultdict(list)
    busy: dict[str, list[Load]] = defaultdict(list)
    hashes: dict[str, list[list[float]]] = defaultdict(list)
    with (
        # In memory: to make a file costs a disk more than a message costs us.
        tempfile.TemporaryDirectory(dir="/dev/shm") as outbox,
        Server(folder / "default", rounds=extent.hashes[0]) as default,
        Server(folder / "passwords", rounds=extent.hashes[1]) as passwords,
        Server(folder / "ours") as ours,
        Server(folder / "floor", with_hook("books_hook", f"{folder}/books.db")) as floor,
    ):
        servers = {"default": default, "passwords": passwords, "ours": ours, "floor": floor}
        product = (default, passwords, ours)
        for one in product:
            one.site.outbox.symlink_to(outbox)
            one.add(CHEAP)
            one.live_through_a_day(CHEAP[0])
        names = itertools.cycle(CHEAP)
        warm_up = min(WARM_UP, extent.seconds)
        counted = sum(run(one, names, BUSY, warm_up).logins for one in product)
        run(floor, names, BUSY, warm_up)
        for _ in range(extent.rounds):
            for kind, rounds in zip(HASHED, extent.hashes, strict=True):
                hashes[kind].append([_hashes_a_second(rounds, extent.hashed)])
                busy[kind].append(run(servers[kind], names, BUSY, extent.seconds))
            for size in extent.crowds:
                for kind, loads in crowds.items():
                    loads[size].append(run(servers[kind], names, size, extent.seconds))
            for kind, rate in (*ARRIVING.items(), ("floor", ARRIVING["ours"])):
                come = load.arrive(servers[kind], names, rate, extent.seconds)
                calm[kind].append(checked(servers[kind], asyncio.run(come)))
        known = itertools.chain(*crowds["ours"].values(), *busy.values(), *calm.values())
        counted += sum(one.logins for one in known) - sum(one.logins for one in calm["floor"])
        found = sum(one.accepted(CHEAP) for one in product)
        if found != counted:
            raise load.UnexpectedReplyError(f"{counted} logins, but {found} in the audit trail")
    yield from _with_hashes(busy, hashes, extent.hashes[1])
    for step in ("first", "second"):
        what = f"{step} step, {ARRIVING['default']:g} logins a second come at random{DEFAULT}"
        yield Row(f"{what}, p50 / p99, ms", medians(_step_times(calm["default"], step), 1e3))
    both = crowds["ours"], crowds["floor"]
    yield compared(f"logins a second, {BUSY} users", *(rates(one[BUSY]) for one in both), FLOOR)
    costs = ([[one.cpu / one.logins] for one in loads[BUSY]] for loads in both)
    yield compared(f"CPU of radiusd a login, {BUSY} users, µs", *costs, FLOOR, 1e6)
    for step in ("first", "second"):
        times = (_step_times(calm[kind], step) for kind in ("ours", "floor"))
        what = f"{step} step, {ARRIVING['ours']:g} logins a second come at random, p50 / p99, ms"
        yield compared(what, *times, FLOOR, 1e3)
    for step, size in itertools.product(("first", "second"), extent.crowds):
        times = (_step_times(loads[size], step) for loads in both)
        users = "1 user" if size == 1 else f"{size} users"
        yield compared(f"{step} step, {users}, p50 / p99, ms", *times, FLOOR, 1e3)
    shares = [[one.own_cpu / one.seconds] for one in crowds["floor"][BUSY]]
    yield Row("load generator, % of one core", "", f"{medians(shares, 100)} ({FLOOR})")
    yield Row("logins of radius_smsotp, all accepted, all SMS sent", f"{counted:,}")


def run(server: Server, names: Iterator[str], size: int, seconds: float) -> Load:
    """Let users log in, and see that every message of ours was sent."""
    return checked(server, asyncio.run(load.log_in(server, names, size, seconds)))


def checked(server: Server, done: Load) -> Load:
    """The same, once it is seen that every message of ours was sent."""
    sent = server.take_messages()
    if server.site.outbox.exists() and sent != done.logins:
        raise load.UnexpectedReplyError(f"{done.logins} logins, but {sent} SMS")
    return done


def _with_hashes(
    busy: dict[str, list[Load]], hashes: dict[str, list[list[float]]], most: int
) -> Iterator[Row]:
    for kind, note in zip(HASHED, (DEFAULT, f", PIN hash of {most} rounds"), strict=True):
        what = f"logins a second, {BUSY} users{note}"
        yield compared(what, rates(busy[kind]), hashes[kind], HASH)
    default, slow = ([[one.cpu / one.logins] for one in busy[kind]] for kind in HASHED)
    what = f"CPU of radiusd a login, {BUSY} users{DEFAULT}, ms"
    yield compared(what, default, slow, f"{most} rounds", 1e3)


def rates(loads: Sequence[Load]) -> list[list[float]]:
    """Logins a second, for each round."""
    return [[one.rate] for one in loads]


def _step_times(loads: Sequence[Load], step: str) -> list[list[float]]:
    return [percentiles(getattr(one, step)) for one in loads]


def percentiles(seconds: list[float]) -> list[float]:
    """The 50th and the 99th of 100."""
    ordered = sorted(seconds)
    return [ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]]


def _hashes_a_second(rounds: int, hashed: int) -> float:
    """How many PINs all cores together can check when there is nothing else to do."""
    cores = len(os.sched_getaffinity(0))
    number = hashed // rounds * cores
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        # Python's own lock is released meanwhile.
        list(pool.map(_hash, [rounds] * number))
        return number / (time.perf_counter() - began)


def _hash(rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", b"1234", bytes(16), rounds)
