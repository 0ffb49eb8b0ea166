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
from tests.documents.pages import TOP
from tests.measure.bench import (
    disks,
    gateways,
    inside,
    lasting,
    logins,
    privacyidea,
    sizes,
    starts,
    stores,
    table,
)
from tests.measure.bench.extent import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.measure.bench.extent import Extent

PAGE = TOP / "docs" / "explanation" / "speed.rst"
FIGURES = Path(__file__).with_name("figures.txt")
"""All rows."""

BEGIN, END = ".. begin speed\n", ".. end speed\n"
"""Where on the page those of `READER` stand."""

READER = (
    "logins a second, 32 users, default settings",
    "CPU of radiusd a login, 32 users, default settings, ms",
    "first step, 50 logins a second come at random, default settings, p50 / p99, ms",
    "second step, 50 logins a second come at random, default settings, p50 / p99, ms",
    "logins a second, 32 users, PIN hash of 210000 rounds",
    "logins a second, 32 users",
    "logins a second, 32 users, PostgreSQL, 0 ms away each way",
    "logins a second, 32 users, PostgreSQL, 1 ms away each way",
    "logins a second, 32 users, PostgreSQL, 5 ms away each way",
    "logins a second, 32 users, PostgreSQL, 20 ms away each way",
)
"""What somebody wants to know who looks for the first time."""

PARTS = {
    part.__name__.rpartition(".")[2]: part
    for part in (logins, stores, inside, disks, gateways, sizes, lasting, starts)
}
"""Everything there is to measure, without a download."""

ALL = {**PARTS, "privacyidea": privacyidea}


def measure(folder: Path, extent: Extent, names: Iterable[str]) -> list[table.Row]:
    """Some of it."""
    rows: list[table.Row] = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr)
        (folder / name).mkdir()
        rows += ALL[name].measure(folder / name, extent)
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


def told(rows: Iterable[table.Row]) -> list[table.Row]:
    """Those of `READER`, in its order."""
    found = {row.what: row for row in rows}
    return [found[what] for what in READER]


def filled(text: str, made: str) -> str:
    """The page with another table between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"{PAGE} has no place for the table"
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
    parser.add_argument("--write", action="store_true", help="renew speed.rst and figures.txt")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"only {', '.join(ALL)}", default=[*PARTS]
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(ALL):
        parser.error(f"{' and '.join(sorted(unknown))}: the parts are {', '.join(ALL)}")
    if options.write and set(options.parts) != set(PARTS):
        parser.error("figures.txt has the table of all parts")
    extent = QUICK if options.quick else FULL
    # Ends like Ctrl-C: every radiusd and the folder go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="smsotp-bench-") as folder:
        try:
            rows = measure(Path(folder), extent, options.parts)
        finally:
            end_children()
    print(table.plain(rows, note(extent)))
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(filled(text, table.rst(told(rows), note(extent))), encoding="utf-8")
        FIGURES.write_text(f"{table.plain(rows, note(extent))}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
