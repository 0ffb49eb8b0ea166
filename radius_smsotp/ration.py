"""What waiting under FreeRADIUS's lock is rationed by: how the time went lately."""

from __future__ import annotations

import math
import threading
from collections import deque

from radius_smsotp.core.limits import RATION_WINDOW, wait_allowance

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
        """A hook has waited, within a call that has not ended yet."""
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
