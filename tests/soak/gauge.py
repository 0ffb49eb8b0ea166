"""What must not grow: memory, threads and open files of a process, and the size of a store."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import mean


@dataclass(frozen=True, slots=True)
class Reading:
    """
    One look at a server that is as it was installed, and at the memory of one with one arena.

    glibc gives threads up to eight arenas a core, memory to allocate from.  What one thread has
    left is of no use to the next in another arena, so a server is as large as the largest moments
    of all its arenas together; it takes tens of thousands of logins until each has had them.
    With one arena (``MALLOC_ARENA_MAX=1``) all use what any has left, and what is still growing
    is kept by somebody.

    Attributes:
        memory: Resident memory, MiB.
        one_arena: The same of the server with one arena.
        store: The store with its write-ahead log, MiB.
    """

    memory: float
    one_arena: float
    threads: float
    files: float
    store: float


MAY_GROW = Reading(memory=8.0, one_arena=1.5, threads=8, files=12, store=4.5)
"""From the second to the last quarter of the time, on average.  What FreeRADIUS and Python set
aside comes in the first one.  1.5 MiB are 200 octets for each of the 7,500 logins of half an hour
that are between them at one server of three.  SQLite has 4 MiB of write-ahead log before it begins
that anew; eight threads, and their connections, come and go with the gateways."""


def read(pid: int, pid_of_one_arena: int, store: Path) -> Reading:
    """Look at two processes and at a store."""
    values = _status(pid)
    sizes = [path.stat().st_size for path in store.parent.glob(f"{store.name}*")]
    return Reading(
        _memory(values),
        _memory(_status(pid_of_one_arena)),
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


def _status(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _memory(status: dict[str, str]) -> float:
    return int(status["VmRSS"].split()[0]) / 1024
