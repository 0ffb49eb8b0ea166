"""A process that stands still."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

SECONDS = 20.0


def freeze(*numbers: int) -> None:
    """
    Stop processes by their ids, and wait until each of their threads has stopped.

    SIGSTOP alone only asks for it: on a busy machine a thread may answer another question first.
    What has ended meanwhile stands still as well.
    """
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGSTOP)
    until = time.monotonic() + SECONDS
    while not all(map(_stands, numbers)):
        assert time.monotonic() < until, f"of {numbers} one goes on"
        time.sleep(0.01)


def _stands(number: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{number}/task").iterdir():
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            if state not in "TZ":
                return False
    return True
