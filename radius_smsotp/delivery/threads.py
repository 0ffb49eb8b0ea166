"""Threads as they are needed, at most so many, that never keep a process from ending."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Job = TypeVar("Job")

QUEUE_MOST = 10_000
"""Jobs that may wait: bounds memory while a gateway hangs."""

IDLE_SECONDS = 60.0
"""A thread that has had nothing to do for so long ends."""


class Threads(Generic[Job]):
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
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        # One lock for both counts: a thread may end while there are more threads than jobs, so
        # that a job which finds one to spare will not be left without.
        self._lock = threading.Lock()
        self._under_way = 0
        self._threads = 0
        self._dismissed = False

    def add(self, job: Job) -> bool:
        """Take a job.  Returns False if too many wait already, or there is no thread for it."""
        with self._lock:
            if self._under_way - self._threads >= QUEUE_MOST:
                return False
            if self._threads <= self._under_way and self._threads < self._most:
                self._start()
            if self._threads == 0:
                return False
            self._under_way += 1
            self._jobs.put(job)
            return True

    def dismiss(self) -> None:
        """Let every thread end when no job is left."""
        with self._lock:
            self._dismissed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="smsotp-courier", daemon=True).start()
        except RuntimeError:  # the system gives no more
            log.error("a thread could not be started; there are %d", self._threads)
        else:
            self._threads += 1

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                job = None
            if job is not None:
                self._do(job)
                if not self._dismissed:
                    continue
            with self._lock:
                if self._under_way < self._threads:
                    self._threads -= 1
                    return

    def _do(self, job: Job) -> None:
        try:
            self._work(job)
        except Exception as error:  # noqa: BLE001  # the next job has nothing to do with it
            # The type only: the text of an unforeseen error may hold anything.
            log.error("a courier thread met %s", type(error).__name__)
        finally:
            with self._lock:
                self._under_way -= 1
