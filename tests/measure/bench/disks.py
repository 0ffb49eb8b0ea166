"""A slow disk: on FreeRADIUS 3.2.7 and later, logins wait for it beside each other."""

from __future__ import annotations

import itertools
import tempfile
from typing import TYPE_CHECKING

from tests.measure.bench import logins
from tests.measure.bench.logins import BUSY, CHEAP, NO_WAIT
from tests.measure.bench.servers import HOOKS, Server
from tests.measure.bench.table import Row, compared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.measure.bench.extent import Extent
    from tests.measure.bench.load import Load

WHAT = f"logins a second, {BUSY} users, a sync of the disk takes 4 ms more"


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Logins a second, against the disk as it is."""
    loads: tuple[list[Load], list[Load]] = ([], [])
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as outbox,
        Server(folder / "slow", with_slow_disk, **NO_WAIT) as slow,
        Server(folder / "usual", **NO_WAIT) as usual,
    ):
        for server in (slow, usual):
            server.site.outbox.symlink_to(outbox)
            server.add(CHEAP)
        names = itertools.cycle(CHEAP)
        for _ in range(extent.rounds):
            for server, done in zip((slow, usual), loads, strict=True):
                done.append(logins.run(server, names, BUSY, extent.seconds))
    yield compared(WHAT, *map(logins.rates, loads), "as it is")


def with_slow_disk(raddb: Path) -> None:
    """Edit a raddb: `slow_disk_hooks` instead of our hooks, in every instance."""
    for path in raddb.glob("mods-enabled/python3_smsotp*"):
        text = path.read_text().replace("module = radius_smsotp.hooks", "module = slow_disk_hooks")
        path.write_text(text.replace('python_path = "', f'python_path = "{HOOKS}:'))
