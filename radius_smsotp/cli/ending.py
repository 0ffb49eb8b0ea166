"""How a command ends that goes on until SIGTERM or Ctrl-C, or must leave no half behind."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

LOOK_SECONDS = 0.5
"""A signal wakes the main thread only if that waits already, and if no other thread got it."""


class Ending(threading.Event):
    """Set by the first signal; a second one ends the process at once."""

    def __init__(self) -> None:
        super().__init__()
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._told)

    def come(self) -> None:
        """Return when it is set."""
        while not self.look():
            pass

    def look(self) -> bool:
        """Wait a little.  Returns whether it is set."""
        return self.wait(LOOK_SECONDS)

    def within(self, seconds: float) -> bool:
        """Wait so long at most.  Returns whether it is set."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.look():
                return True
        return self.is_set()

    def _told(self, kind: int, _: FrameType | None) -> None:
        self.set()
        signal.signal(kind, signal.SIG_DFL)


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """Let SIGTERM end what is within as Ctrl-C does: what was begun is taken back."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
