"""How a command ends that goes on until SIGTERM or Ctrl-C, or must leave no half behind."""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

from radius_smsotp.errors import ConfigurationError

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""A signal wakes the main thread only if that waits already, and if no other thread got it."""

AGAIN_SECONDS = 2.0
"""Between two looks whether the database, or whoever else is needed, is there again."""


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


def once_there(attempt: Callable[[], T], ending: Ending) -> T | None:
    """
    Try until the database that is needed answers: after a power cut it may be up after us.

    Args:
        attempt: Raises ConfigurationError; one that is not `passing` is raised.

    Returns:
        None if the end has come before.
    """
    told = ""
    while True:
        try:
            return attempt()
        except ConfigurationError as error:
            if not error.passing:
                raise
            if str(error) != told:
                told = str(error)
                log.warning("%s; tried again every %.0f s", told, AGAIN_SECONDS)
        if ending.within(AGAIN_SECONDS):
            return None


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """Let SIGTERM end what is within as Ctrl-C does: what was begun is taken back."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
