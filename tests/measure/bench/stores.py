"""
A PostgreSQL, here and further away.

From FreeRADIUS 3.2.7 on those who wait for it wait side by side, in several instances of the
module; compared is one instance, as on older versions.
"""

from __future__ import annotations

import itertools
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING

from radius_smsotp.raddb import files, freeradius
from tests.measure.bench import logins
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


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Logins a second."""
    server = freeradius.find()
    assert server is not None
    kinds: list[Callable[[Path], None] | None] = [None]
    if server.runs_several_instances:
        kinds.append(with_one_instance)
    postgres = PostgresServer()
    done: dict[float, list[list[Load]]] = {one: [[] for _ in kinds] for one in extent.milliseconds}
    try:
        postgres.start()
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
            names = itertools.cycle(CHEAP)
            for one in servers.values():
                logins.run(one, names, BUSY, min(logins.WARM_UP, extent.seconds))
            for _ in range(extent.rounds):
                for (away, kind), one in servers.items():
                    done[away][kind].append(logins.run(one, names, BUSY, extent.seconds))
    finally:
        postgres.close()
    for away, (ours, *others) in done.items():
        what = f"logins a second, {BUSY} users, PostgreSQL, {away:g} ms away each way"
        if others:
            yield compared(what, logins.rates(ours), logins.rates(others[0]), "one instance")
        else:
            yield Row(what, medians(logins.rates(ours)))


def with_one_instance(raddb: Path) -> None:
    """Edit a raddb: what waits for the database waits in one place."""
    for name in files.POOL_LINKS:
        (raddb / name).unlink()
