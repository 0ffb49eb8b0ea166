"""
Waiting: how long a hook may wait under FreeRADIUS's lock, and logins that wait beside it.

The ration goes by how the time went lately.  A login that is left to another instance of the module
is found there by its ticket.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

LATELY = 0.25
"""Seconds in which what was counts for 1/e."""

PAUSE = 0.001
"""Seconds.  Where no more lie between two calls FreeRADIUS was at work for the second one."""


class Ration:
    """The waits of one process, and its work between them.  All times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: deque[tuple[float, float]] = deque()
        # Of the call that goes on.
        self._waited = 0.0
        self._ended = 0.0
        self._busy = 0.0

    def allowance(self, now: float, most: float, share: float) -> float:
        """
        How long a hook may wait now.

        Args:
            most: As long as it would, in seconds.
            share: ``delivery.wait_share``.
        """
        with self._lock:
            while self._waits and now - self._waits[0][1] > RATION_WINDOW:
                self._waits.popleft()
            busy = self._busy * math.exp((self._ended - now) / LATELY)
            return wait_allowance(self._waits, now, most, share, busy)

    def waited(self, start: float, end: float) -> None:
        """A hook has waited, within a call that has not ended yet; less than `PAUSE` is work."""
        if end - start < PAUSE:
            return
        with self._lock:
            self._waits.append((start, end))
            self._waited += end - start

    def called(self, start: float, end: float) -> None:
        """A call into the module has ended."""
        with self._lock:
            passed = end - self._ended
            if passed <= 0:  # beside another one
                return
            begin = start if start - self._ended > PAUSE else self._ended
            work = max(0.0, end - begin - self._waited)
            kept = math.exp(-passed / LATELY)
            self._busy = self._busy * kept + work / passed * (1 - kept)
            self._ended, self._waited = end, 0.0


RATION_WINDOW = 10.0
"""Seconds over which waiting under FreeRADIUS's lock is rationed."""


def wait_allowance(
    waits: Iterable[tuple[float, float]],
    now: float,
    most: float,
    share: float,
    busy: float = 0.0,
) -> float:
    """
    How long the next hook may wait under the lock that all others wait for.

    Over any `RATION_WINDOW` seconds, wherever they begin, at most `share` of the time is
    waited; while there is work, of the time that it leaves.  After a wait, those who queued
    behind it go first: no wait follows until the last one is paid back, so that no login
    stands behind two waits in a row.

    Args:
        waits: Earlier waits as (start, end), monotonic seconds, oldest first.
        now: Monotonic seconds.
        most: The longest single wait, seconds.
        share: The part of the time that may be waited, 0 to 1; at 1, everybody may.
        busy: The part of the time, lately, in which the module was at work.

    Returns:
        Seconds, 0 or more.
    """
    if share >= 1:
        return max(0.0, most)
    share *= 1 - busy
    if most <= 0 or share <= 0:
        return 0.0
    begin, left, allowance = now - RATION_WINDOW, share * RATION_WINDOW, 0.0
    debt = 1 / share - 1
    recent = []
    for start, end in waits:
        if now < end + (end - start) * debt:
            return 0.0
        if end > begin:
            since = start if start > begin else begin
            recent.append((since, end))
            left -= end - since
    if left >= most:
        return most
    # While this login waits, the window that ends with it moves on: it costs nothing as long
    # as the window leaves an earlier wait behind at the same pace.
    for start, end in recent:
        if start - begin >= left:
            break
        left -= start - begin
        allowance += end - begin
        begin = end
    return max(0.0, min(most, allowance + left))


Result = TypeVar("Result")

LEFT_SECONDS = 60.0
"""For so long after its deadline a login is kept.  It is taken at once, or never: then the policy
does not call what would take it."""


class Pending(Generic[Result]):
    """What is to be waited for in other instances of the module; `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Each instance has a lock of its own in FreeRADIUS: they come here side by side.
        self._lock = threading.Lock()
        self._tickets = itertools.count(1)
        self._left: dict[str, tuple[float, Callable[[], Result]]] = {}

    def leave(self, what: str, deadline: float, conclude: Callable[[], Result]) -> str:
        """
        Leave a login open.

        Args:
            what: Is waited for.
            deadline: Until when, by the clock.

        Returns:
            The ticket by which it is found; begins with `what`.
        """
        now = self._clock()
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
