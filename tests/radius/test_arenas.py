"""
Threads share few of glibc's arenas, unless the administrator has said how many there may be; and
what is free in them goes back.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from radius_smsotp.radius.process import ARENAS

COUNT = """
import threading
from pathlib import Path
from radius_smsotp.radius import process

process.limit()
all_at_once = threading.Barrier(9)

def work():
    kept = [bytes(2000) for _ in range(100)]
    all_at_once.wait()
    all_at_once.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
all_at_once.wait()
# malloc/arena.c, HEAP_MAX_SIZE: a heap of an arena is aligned to 64 MiB.  The first one has none.
found = [
    line
    for line in Path("/proc/self/maps").read_text().splitlines()
    if int(line.split("-")[0], 16) % (64 << 20) == 0 and line.split()[1:5] == [
        "rw-p", "00000000", "00:00", "0"
    ]
]
print(1 + len(found))
all_at_once.wait()
"""


def arenas(**environment: str) -> int:
    """How many arenas a process with eight threads has."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return int(done.stdout)


def test_eight_threads_have_two() -> None:
    assert arenas() == ARENAS


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MALLOC_ARENA_MAX", "5"), ("GLIBC_TUNABLES", "glibc.malloc.arena_max=5")],
)
def test_the_administrator_has_the_last_word(variable: str, value: str) -> None:
    assert arenas(**{variable: value}) == 5


HOLES = """
import threading
from pathlib import Path
from radius_smsotp.radius import process

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

process.limit()
kept = []

def work():
    # As TLS sessions: large ones, between which small ones stay.
    sessions = []
    for _ in range(600):
        sessions.append(bytearray(100_000))
        kept.append(bytes(2000))

thread = threading.Thread(target=work)
thread.start()
thread.join()
before = resident()
process.trim()
print(before - resident())
"""


def test_what_is_free_goes_back() -> None:
    """60 MB in the middle of an arena, which glibc would keep."""
    done = subprocess.run(
        [sys.executable, "-c", HOLES], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) > 50_000_000
