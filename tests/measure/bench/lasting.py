"""What radiusd has in memory after many logins."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from tests.measure.bench import load
from tests.measure.bench.logins import BUSY, CHEAP, NO_WAIT
from tests.measure.bench.servers import Server
from tests.measure.bench.table import Row, medians

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.measure.bench.extent import Extent

LONGEST = 600.0
"""Seconds that the logins may take."""


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Memory and threads at the start, and after the first and the last tenth."""
    with Server(folder / "lasting", **NO_WAIT) as server:
        server.add(CHEAP)
        names = itertools.cycle(CHEAP)
        found = [(server.memory(), server.threads())]
        for part in (0.1, 0.9):
            most = int(extent.lasting * part)
            asyncio.run(load.log_in(server, names, BUSY, LONGEST, most))
            server.take_messages()
            found.append((server.memory(), server.threads()))
    memory, threads = zip(*found, strict=True)
    after = f"at the start / after {extent.lasting // 10:,} / {extent.lasting:,} logins"
    yield Row(f"memory of radiusd {after}, MB", medians([memory], 1e-6))
    yield Row(f"threads of radiusd {after}", medians([threads]))
