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
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tests.measure.bench import load
from tests.measure.bench.servers import Server, with_hook
from tests.measure.bench.table import Row, compared, medians

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.measure.bench.extent import Extent
    from tests.measure.bench.load import Load

CROWDS = (1, 32, 256)
"""Users at once."""

BUSY = 32
"""The crowd that rates and costs are taken of: more than radiusd has threads."""

ARRIVING = 100.0
"""Logins a second where users come at random, and rest: 360,000 an hour."""

CHEAP = [f"cheap{number}" for number in range(1000)]
"""Accounts whose PIN hash has 1 round, unless a server says otherwise."""

WARM_UP = 0.3
"""Seconds."""

NO_WAIT: dict[str, Any] = {"delivery": {"wait": 0}}
"""No login waits for the verdict of the provider."""

EMPTY = "empty hook"
BOOKS = "two rows and a sync"
LEAST = ", against the least that must be kept"
"""`empty_hook` and `books_hook`, and what the rows of the latter are called."""

Loads = dict[int, list["Load"]]
"""The runs of each crowd, or with each number of rounds of a PIN hash."""


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """
    Two-step logins, against the empty hook, which checks and stores nothing.

    Raises:
        UnexpectedReplyError: A login was not accepted, or its SMS not sent.
    """
    ours, empty = defaultdict(list), defaultdict(list)
    calm: dict[str, list[Load]] = {"ours": [], "empty": []}
    books: list[Load] = []
    hasty: list[Load] = []
    costly: Loads = defaultdict(list)
    hashes: dict[int, list[list[float]]] = defaultdict(list)
    keeping_books = with_hook("books_hook", f"{folder}/books.db")
    with (
        # In memory: to make a file costs a disk more than a message costs us.
        tempfile.TemporaryDirectory(dir="/dev/shm") as outbox,
        Server(folder / "empty-hook", with_hook("empty_hook")) as empty_server,
        Server(folder / "books-hook", keeping_books) as books_server,
        Server(folder / "product") as server,
        Server(folder / "product-no-wait", **NO_WAIT) as hasty_server,
        ExitStack() as stack,
    ):
        costly_servers = {
            rounds: stack.enter_context(Server(folder / f"rounds-{rounds}", rounds=rounds))
            for rounds in extent.hashes
        }
        for one in (server, *costly_servers.values()):
            one.site.outbox.symlink_to(outbox)
            one.add(CHEAP)
            one.live_through_a_day(CHEAP[0])
        hasty_server.site.outbox.symlink_to(outbox)
        hasty_server.add(CHEAP)
        hasty_server.live_through_a_day(CHEAP[0])
        names = itertools.cycle(CHEAP)
        run(empty_server, names, BUSY, WARM_UP)
        warm = run(server, names, BUSY, WARM_UP)
        run(hasty_server, names, BUSY, WARM_UP)
        run(books_server, names, BUSY, WARM_UP)
        for _ in range(extent.rounds):
            for size in CROWDS:
                empty[size].append(run(empty_server, names, size, extent.seconds))
                ours[size].append(run(server, names, size, extent.seconds))
            for kind, one in (("empty", empty_server), ("ours", server)):
                come = load.arrive(one, names, ARRIVING, extent.seconds)
                calm[kind].append(checked(one, asyncio.run(come)))
            hasty.append(run(hasty_server, names, BUSY, extent.seconds))
            books.append(run(books_server, names, BUSY, extent.seconds))
            for rounds, one in costly_servers.items():
                hashes[rounds].append([_hashes_a_second(rounds, extent.hashed)])
                costly[rounds].append(run(one, names, BUSY, extent.seconds))
        known = itertools.chain([warm], calm["ours"], *ours.values(), *costly.values())
        counted = sum(one.logins for one in known)
        found = sum(one.accepted(CHEAP) for one in (server, *costly_servers.values()))
        if found != counted:
            raise load.UnexpectedReplyError(f"{counted} logins, but {found} in the audit trail")
    yield from _rates_and_costs(ours[BUSY], empty[BUSY], EMPTY, "")
    yield from _rates_and_costs(ours[BUSY], books, BOOKS, LEAST)
    what = f"logins a second, {BUSY} users, delivery.wait: 0"
    yield compared(what, rates(hasty), rates(empty[BUSY]), EMPTY)
    yield from _with_hashes(costly, hashes, extent.hashes)
    for step in ("first", "second"):
        times = _step_times(calm["ours"], step), _step_times(calm["empty"], step)
        what = f"{step} step, {ARRIVING:g} logins a second come at random, p50 / p99, ms"
        yield compared(what, *times, EMPTY, 1e3)
    yield from _times(ours, empty)
    for step in ("first", "second"):
        times = _step_times(ours[BUSY], step), _step_times(books, step)
        yield compared(f"{step} step, {BUSY} users{LEAST}, p50 / p99, ms", *times, BOOKS, 1e3)
    shares = [[one.own_cpu / one.seconds] for one in empty[BUSY]]
    yield Row("load generator, % of one core", "", f"{medians(shares, 100)} ({EMPTY})")
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


def _rates_and_costs(ours: list[Load], other: list[Load], than: str, note: str) -> Iterator[Row]:
    found = rates(ours), rates(other)
    yield compared(f"logins a second, {BUSY} users{note}", *found, than)
    costs = ([[one.cpu / one.logins] for one in loads] for loads in (ours, other))
    yield compared(f"CPU of radiusd a login, {BUSY} users{note}, µs", *costs, than, 1e6)


def _with_hashes(
    costly: Loads, hashes: dict[int, list[list[float]]], both: tuple[int, int]
) -> Iterator[Row]:
    for rounds, loads in costly.items():
        what = f"logins a second, {BUSY} users, PIN hash of {rounds} rounds"
        yield compared(what, rates(loads), hashes[rounds], "the hash alone")
    default, slow = ([[one.cpu / one.logins] for one in costly[rounds]] for rounds in both)
    what = f"CPU of radiusd a login, {BUSY} users, PIN hash of {both[0]} rounds, ms"
    yield compared(what, default, slow, f"{both[1]} rounds", 1e3)


def _times(ours: Loads, empty: Loads) -> Iterator[Row]:
    for step in ("first", "second"):
        for size in CROWDS:
            times = _step_times(ours[size], step), _step_times(empty[size], step)
            users = "1 user" if size == 1 else f"{size} users"
            yield compared(f"{step} step, {users}, p50 / p99, ms", *times, EMPTY, 1e3)


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
