"""An alarm clock: what has to be looked after at known times, by one thread."""

from __future__ import annotations

import heapq
import threading
import time

MARGIN = 0.005
"""Seconds by which it rings late: what it rings for is due by another clock."""


class Alarm:
    """Wakes one thread; any may set it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: list[float] = []
        self._rung = threading.Event()

    def set(self, seconds: float) -> None:
        """Ring in so many seconds, besides whenever else it was set to."""
        with self._lock:
            heapq.heappush(self._times, time.monotonic() + seconds + MARGIN)
            self._rung.set()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, `seconds` at most."""
        until = time.monotonic() + seconds
        while True:
            with self._lock:
                self._rung.clear()
                first = self._times[0] if self._times else until
                now = time.monotonic()
                if first <= now:
                    self._times = [one for one in self._times if one > now]
                    heapq.heapify(self._times)
                    return
            if now >= until:
                return
            self._rung.wait(min(first, until) - now)
