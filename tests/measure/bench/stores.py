"""
A PostgreSQL, here and further away, of one server and of two.

From FreeRADIUS 3.2.7 on those who wait for it wait side by side, in several instances of the
module; compared is one instance, as on older versions.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

from radius_smsotp.raddb import files, freeradius
from tests.measure.bench import load, logins
from tests.measure.bench.distance import distant
from tests.measure.bench.logins import BUSY, CHEAP
from tests.measure.bench.servers import Server
from tests.measure.bench.table import Row, compared, medians
from tests.store.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.measure.bench.extent import Extent
    from tests.measure.bench.load import Load

FEW = 16
"""Users at once, of one server or of two together."""


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Logins a second."""
    server = freeradius.find()
    assert server is not None
    kinds: list[Callable[[Path], None] | None] = [None]
    if server.runs_several_instances:
        kinds.append(with_one_instance)
    postgres = PostgresServer()
    done: dict[float, list[list[Load]]] = {one: [[] for _ in kinds] for one in extent.milliseconds}
    shared: dict[float, list[list[float]]] = {one: [] for one in extent.milliseconds}
    alone: dict[float, list[list[float]]] = {one: [] for one in extent.milliseconds}
    try:
        postgres.start("max_connections=500")  # for all the radiusd together
        with ExitStack() as stack:
            outbox = stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))
            servers = {}
            for away in extent.milliseconds:
                port = stack.enter_context(distant(postgres.port, away / 1000))
                for kind, edit in enumerate(kinds):
                    url = postgres.make_url().replace(f":{postgres.port}/", f":{port}/")
                    one = Server(folder / f"{away:g}-{kind}", edit, store=url)
                    one.add(CHEAP)
                    one.site.outbox.symlink_to(outbox)
                    servers[away, kind] = stack.enter_context(one)
            pairs = {}
            for away in extent.milliseconds:
                other = Server(folder / f"{away:g}-other", beside=servers[away, 0])
                pairs[away] = servers[away, 0], stack.enter_context(other)
            names = itertools.cycle(CHEAP)
            for one in servers.values():
                logins.run(one, names, BUSY, min(logins.WARM_UP, extent.seconds))
            for _ in range(extent.rounds):
                for (away, kind), one in servers.items():
                    done[away][kind].append(logins.run(one, names, BUSY, extent.seconds))
                for away, (one, other) in pairs.items():
                    user = logins.run(one, names, 1, extent.seconds)
                    steps = (logins.percentiles(step)[0] for step in (user.first, user.second))
                    alone[away].append(list(steps))
                    rate = logins.run(one, names, FEW, extent.seconds).rate
                    shared[away].append([rate, together([one, other], names, extent.seconds)])
    finally:
        postgres.close()
    for away, (ours, *others) in done.items():
        where, rates = f"PostgreSQL, {away:g} ms away each way", logins.rates(ours)
        what = f"logins a second, {BUSY} users, {where}"
        yield (
            compared(what, rates, logins.rates(others[0]), "one instance")
            if others
            else Row(what, medians(rates))
        )
        what = f"logins a second, {FEW} users, {where}, one server / two"
        yield Row(what, medians(shared[away]))
        yield Row(f"first / second step, 1 user, {where}, p50, ms", medians(alone[away], 1e3))


def together(servers: list[Server], names: Iterator[str], seconds: float) -> float:
    """Logins a second of servers that share a store, each with its share of `FEW` users."""

    async def all_of_them() -> list[Load]:
        share = FEW // len(servers)
        return await asyncio.gather(*(load.log_in(one, names, share, seconds) for one in servers))

    done = asyncio.run(all_of_them())
    number, sent = sum(one.logins for one in done), servers[0].take_messages()
    if sent != number:
        raise load.UnexpectedReplyError(f"{number} logins, but {sent} SMS")
    return sum(one.rate for one in done)


def with_one_instance(raddb: Path) -> None:
    """Edit a raddb: what waits for the database waits in one place."""
    for name in files.POOL_LINKS:
        (raddb / name).unlink()
