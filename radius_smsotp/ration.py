"""What waiting under FreeRADIUS's lock is rationed by: how the time went lately."""

from __future__ import annotations

import threading
from collections import deque

from radius_smsotp.core.limits import RATION_WINDOW, wait_allowance


class Ration:
    """The waits of one process, and its work between them.  All times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: deque[tuple[float, float]] = deque()
        # By the second, waits included: at each login some of them are added up.
        self._calls: deque[list[float]] = deque()

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
            return wait_allowance(self._waits, now, most, share, self._busy(now))

    def waited(self, start: float, end: float) -> None:
        """A hook has waited, within a call that has not ended yet."""
        with self._lock:
            self._waits.append((start, end))

    def called(self, start: float, end: float) -> None:
        """A call into the module has ended."""
        second = end // 1
        with self._lock:
            if not self._calls or self._calls[-1][0] != second:
                self._calls.append([second, 0.0])
                while self._calls[0][0] < second - RATION_WINDOW - 1:
                    self._calls.popleft()
            self._calls[-1][1] += end - start

    def _busy(self, now: float) -> float:
        """The part of the last `RATION_WINDOW` seconds in which the module was at work."""
        begin = now - RATION_WINDOW
        # Of the second in which the window begins, a part is in it.
        parts = [(min(1.0, second + 1 - begin), seconds) for second, seconds in self._calls]
        called = sum(part * seconds for part, seconds in parts if part > 0)
        waited = sum(end - max(start, begin) for start, end in self._waits)
        return min(1.0, max(0.0, (called - waited) / RATION_WINDOW))
