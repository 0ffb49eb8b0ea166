"""Threads as they are needed, at most so many, that never keep a process from ending."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

Job = TypeVar("Job")

QUEUE_MOST = 10_000
"""Jobs that may wait: bounds memory while a gateway hangs."""

IDLE_SECONDS = 60.0
"""A thread that has had nothing to do for so long ends."""


class Crew(Generic[Job]):
    """
    Runs `work` on each job in a daemon thread.

    `concurrent.futures` would do, but joins its threads when the interpreter ends: radiusd
    would then wait for a hanging gateway at every restart.

    Args:
        work: Must not raise; if it does, that is logged and the thread goes on.
        most: Threads at most.
    """

    def __init__(self, work: Callable[[Job], None], most: int) -> None:
        self._work = work
        self._most = most
        self._jobs: queue.Queue[Job | None] = queue.Queue(QUEUE_MOST)
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def add(self, job: Job) -> bool:
        """Take a job.  Returns False if too many wait already."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        with self._lock:
            if self._idle >= self._jobs.qsize() or self._threads >= self._most:
                return True
            self._threads += 1
        threading.Thread(target=self._run, name="smsotp-courier", daemon=True).start()
        return True

    def dismiss(self) -> None:
        """Let every thread end after the job it is at."""
        with self._lock:
            threads = self._threads
        for _ in range(threads):
            try:
                self._jobs.put_nowait(None)
            except queue.Full:
                return

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                job = None
            with self._lock:
                self._idle -= 1
                if job is None:
                    self._threads -= 1
                    return
            try:
                self._work(job)
            except Exception as error:  # noqa: BLE001  # the next job has nothing to do with it
                # The type only: the text of an unforeseen error may hold anything.
                log.error("a courier thread met %s", type(error).__name__)
