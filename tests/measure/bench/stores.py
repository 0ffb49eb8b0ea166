"""Several radiusd on one store: what one interpreter's lock holds up, another one does."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tests.measure.bench import load
from tests.measure.bench.distance import distant
from tests.measure.bench.logins import BUSY, CHEAP, NO_WAIT
from tests.measure.bench.servers import Server
from tests.measure.bench.table import Row, compared
from tests.store.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.measure.bench.extent import Extent

FRONT = "SQLite, behind a front"
FAR = "PostgreSQL, 1 ms away"
ONE_WAY = 0.0005
"""Seconds: half of what `FAR` says."""


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Logins a second, against one radiusd with SQLite."""
    postgres = PostgresServer()
    rates: dict[tuple[str, int], list[list[float]]] = {}
    try:
        postgres.start()
        kinds = [("SQLite", number) for number in extent.sqlite]
        kinds += [(FRONT, number) for number in extent.workers]
        kinds += [("PostgreSQL", number) for number in extent.postgresql]
        kinds += [(FAR, 1)]
        with ExitStack() as stack:
            far = stack.enter_context(distant(postgres.port, ONE_WAY))
            ports = {"PostgreSQL": postgres.port, FAR: far}
            servers = {}
            for kind, processes in kinds:
                settings: dict[str, Any] = dict(NO_WAIT)
                if kind in ports:
                    url = postgres.make_url()
                    settings["store"] = url.replace(f":{postgres.port}/", f":{ports[kind]}/")
                several = "workers" if kind == FRONT else "processes"
                place = folder / str(len(servers))
                server = Server(place, **{several: processes}, **settings)
                server.add(CHEAP)
                stack.enter_context(server)
                servers[kind, processes] = server, itertools.cycle(CHEAP)
                rates[kind, processes] = []
            for _ in range(extent.rounds):
                for which, (server, names) in servers.items():
                    done = asyncio.run(load.log_in(server, names, BUSY, extent.seconds))
                    rates[which].append([done.rate])
    finally:
        postgres.close()
    for (kind, processes), values in list(rates.items())[1:]:
        several = "workers" if kind == FRONT else "radiusd"
        what = f"logins a second, {BUSY} users, {kind}, {processes} {several}"
        yield compared(what, values, rates[kinds[0]], "SQLite, 1 radiusd")
