"""What must not grow: memory, threads and open files of a process, and the size of a store."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import mean


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One look.

    Attributes:
        memory: Resident memory, MiB.
        store: The store with its write-ahead log, MiB.
    """

    memory: float
    threads: float
    files: float
    store: float


MAY_GROW = Reading(memory=1.5, threads=8, files=12, store=4.5)
"""From the second to the last quarter of the time, on average.  What FreeRADIUS and Python set
aside comes in the first one.  In half an hour one server of two has 8,000 logins between them:
1.5 MiB are 190 octets for each.  SQLite has 4 MiB of write-ahead log before it begins that anew;
eight threads, and their connections, come and go with the gateways."""


def read(pid: int, store: Path) -> Reading:
    """Look at a process and at a store."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    sizes = [path.stat().st_size for path in store.parent.glob(f"{store.name}*")]
    return Reading(
        int(values["VmRSS"].split()[0]) / 1024,
        int(values["Threads"]),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        sum(sizes) / 2**20,
    )


def quarters(readings: list[Reading]) -> list[Reading]:
    """The mean of each quarter of the time."""
    size = max(1, len(readings) // 4)
    parts = [readings[place : place + size] for place in range(0, 4 * size, size)]
    return [Reading(*map(mean, zip(*map(astuple, part), strict=True))) for part in parts]


def grown(readings: list[Reading], may_grow: Reading = MAY_GROW) -> list[str]:
    """What has grown by more than it may, one sentence each."""
    _, second, _, last = quarters(readings)
    faults = []
    for field in fields(Reading):
        before, after = getattr(second, field.name), getattr(last, field.name)
        if after - before > getattr(may_grow, field.name):
            faults.append(f"{field.name} grew from {before:.1f} to {after:.1f}")
    return faults
