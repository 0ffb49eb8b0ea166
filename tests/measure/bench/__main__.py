"""
All measurements, one table: ``sh tests/bench.sh``.

Whatever is compared runs in turn, round by round, on the same machine within the same minutes:
the ratios mean something, the absolute figures are this machine's.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from radius_smsotp.raddb import freeradius
from tests.documents.reference import README
from tests.measure.bench import (
    chart,
    disks,
    gateways,
    inside,
    lasting,
    logins,
    sizes,
    starts,
    stores,
    table,
)
from tests.measure.bench.extent import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.measure.bench.extent import Extent

CHART = Path(__file__).with_name("speed.svg")
BEGIN, END = ".. begin speed\n", ".. end speed\n"
"""Where in README.rst the table stands."""


PARTS = {
    part.__name__.rpartition(".")[2]: part
    for part in (logins, inside, disks, gateways, sizes, stores, lasting, starts)
}
"""Everything there is to measure."""


def measure(folder: Path, extent: Extent, names: Iterable[str]) -> list[table.Row]:
    """Some of it."""
    rows: list[table.Row] = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr)
        (folder / name).mkdir()
        rows += PARTS[name].measure(folder / name, extent)
    return rows


def note(extent: Extent) -> str:
    """Where and how it was measured."""
    server = freeradius.find()
    assert server is not None
    version = ".".join(map(str, server.version))
    cores = len(os.sched_getaffinity(0))
    return (
        f"FreeRADIUS {version}, Python {platform.python_version()}, {cores} cores, load generator "
        f"included. Median of {extent.rounds}, measured in turn. Every login counted was accepted."
    )


def filled(text: str, made: str) -> str:
    """README.rst with another table between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, "README.rst has no place for the table"
    return f"{before}{BEGIN}\n{made}\n\n{END}{after}"


def end_children() -> None:
    """End what a signal has kept us from taking note of: it may come right after a fork."""
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split():
        os.kill(int(pid), signal.SIGKILL)
        os.waitpid(int(pid), 0)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("tests/bench.sh", description="How fast radius_smsotp is.")
    parser.add_argument("--quick", action="store_true", help="seconds; shows that it works")
    parser.add_argument("--rst", action="store_true", help="the table as README.rst has it")
    parser.add_argument("--write", action="store_true", help="renew table and chart of README.rst")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"only {', '.join(PARTS)}", default=[*PARTS]
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{' and '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    if options.write and set(options.parts) != set(PARTS):
        parser.error("README.rst has the table of all parts")
    extent = QUICK if options.quick else FULL
    # Ends like Ctrl-C: every radiusd and the folder go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="smsotp-bench-") as folder:
        try:
            rows = measure(Path(folder), extent, options.parts)
        finally:
            end_children()
    show = table.rst if options.rst else table.plain
    print(show(rows, note(extent)))
    if options.write:
        text = README.read_text(encoding="utf-8")
        README.write_text(filled(text, table.rst(rows, note(extent))), encoding="utf-8")
        CHART.write_text(chart.svg(chart.groups(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
