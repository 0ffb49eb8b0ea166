"""How a command ends that goes on until SIGTERM or Ctrl-C, or must leave no half behind."""

from __future__ import annotations

import contextlib
import queue
import signal
import time
from collections.abc import Iterator
from types import FrameType

LOOK_SECONDS = 0.5
"""A signal wakes the main thread only if that waits already, and if no other thread got it."""


class Ending:
    """
    Set by the first signal; a second one ends the process at once.

    No threading.Event: its lock may be held by the very thread that a signal interrupts, and then
    both wait for ever.  To put something into a SimpleQueue may interrupt anything.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._signs: queue.SimpleQueue[None] = queue.SimpleQueue()
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._told)

    def is_set(self) -> bool:
        """Whether the end has come."""
        return self._is_set

    def set(self) -> None:
        """Let it come.  From any thread."""
        self._is_set = True
        self._signs.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait so long at most, in one thread.  Returns whether it is set."""
        with contextlib.suppress(queue.Empty):
            if not self._is_set:
                self._signs.get(timeout=seconds)
        return self._is_set

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
