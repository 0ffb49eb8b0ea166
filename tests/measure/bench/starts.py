"""How long it takes to start."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.measure.bench.servers import Server, without_module
from tests.measure.bench.table import Row, compared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.measure.bench.extent import Extent


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """radiusd with and without the module; the command line, and a Python that does nothing."""
    ready, ready_without, told, python = [], [], [], []
    for turn in range(extent.rounds):
        with Server(folder / f"without-module{turn}", without_module) as server:
            ready_without.append([server.ready_after])
        with Server(folder / f"with-module{turn}") as server:
            ready.append([server.ready_after])
        python.append([_seconds(sys.executable, "-c", "")])
        told.append([_seconds(sys.executable, "-m", "radius_smsotp", "--help")])
    yield compared("radiusd is ready after, ms", ready, ready_without, "without the module", 1e3)
    yield compared("smsotp --help, ms", told, python, "Python itself", 1e3)


def _seconds(*command: object) -> float:
    """How long a program runs."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    return time.perf_counter() - began
