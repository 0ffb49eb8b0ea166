"""Logins that one call into the module leaves open, for another call to wait and conclude."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

LEFT_SECONDS = 60.0
"""For so long after its deadline a login is kept.  It is taken at once, or never: then the policy
does not call what would take it."""


class Pending(Generic[Result]):
    """What is to be waited for in other instances of the module."""

    def __init__(self) -> None:
        # Each instance has a lock of its own in FreeRADIUS: they come here side by side.
        self._lock = threading.Lock()
        self._tickets = itertools.count(1)
        self._left: dict[str, tuple[float, Callable[[], Result]]] = {}

    def leave(self, what: str, deadline: float, conclude: Callable[[], Result]) -> str:
        """
        Leave a login open.

        Args:
            what: Is waited for.
            deadline: Until when, in `time.monotonic()` seconds.

        Returns:
            The ticket by which it is found; begins with `what`.
        """
        now = time.monotonic()
        ticket = f"{what} {next(self._tickets)}"
        with self._lock:
            while self._left:
                oldest = next(iter(self._left))
                if self._left[oldest][0] + LEFT_SECONDS > now:
                    break
                del self._left[oldest]
            self._left[ticket] = (deadline, conclude)
        return ticket

    def take(self, ticket: str) -> Callable[[], Result] | None:
        """What concludes a login, once; None if it is not here."""
        with self._lock:
            _, conclude = self._left.pop(ticket, (0.0, None))
        return conclude
