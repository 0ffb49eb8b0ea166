"""
What a test without a mark may not do: start a program of another make, or ask another machine.

Python tells of both (PEP 578), whoever it is that does it; so a test that needs a mark and has none
fails, and says why.
"""

from __future__ import annotations

import ipaddress
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYWHERE = {"python", "python3", "sh", "bash", "env", "true", "openssl", "findmnt", "git"}
"""Programs that every Debian with a checkout of this has."""

_watching: list[str] = []


@contextmanager
def watched(test: str) -> Iterator[None]:
    """Hold a test to it."""
    if not _watching:
        sys.addaudithook(_look)  # for ever: it cannot be removed
    _watching[:] = [test]
    try:
        yield
    finally:
        _watching[:] = [""]


def _look(event: str, given: tuple[Any, ...]) -> None:
    if not any(_watching):
        return
    if event == "subprocess.Popen":
        program = Path(str(given[0]))
        # A test may well write a program, and run it.
        if program.name not in EVERYWHERE and not program.is_relative_to(tempfile.gettempdir()):
            raise AssertionError(f"{_watching[0]} starts {program}: mark it")
    elif event == "socket.connect" and isinstance(given[1], tuple):
        try:
            address = ipaddress.ip_address(given[1][0])
        except ValueError:
            return  # a name, which is looked up first
        if not address.is_loopback and not address.is_unspecified:
            raise AssertionError(f"{_watching[0]} asks {address}: mark it")
