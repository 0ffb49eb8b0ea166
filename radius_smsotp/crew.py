"""Threads as they are needed, at most so many, that never keep a process from ending."""

from __future__ import annotations

import logging
import threading
from collections import deque
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
        # One lock for jobs and counts: a thread that has just taken a job, or given up
        # waiting, must never still count as idle when the next job comes.
        self._change = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._threads = 0
        self._idle = 0
        self._dismissed = False

    def add(self, job: Job) -> bool:
        """Take a job.  Returns False if too many wait already, or there is no thread for it."""
        with self._change:
            if len(self._jobs) >= QUEUE_MOST:
                return False
            self._jobs.append(job)
            if self._idle < len(self._jobs) and self._threads < self._most:
                self._start()
            if self._threads == 0:
                self._jobs.pop()
                return False
            self._change.notify()
            return True

    def dismiss(self) -> None:
        """Let every thread end when no job is left."""
        with self._change:
            self._dismissed = True
            self._change.notify_all()

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="smsotp-courier", daemon=True).start()
        except RuntimeError:  # the system gives no more
            log.error("a thread could not be started; there are %d", self._threads)
        else:
            self._threads += 1

    def _run(self) -> None:
        while True:
            with self._change:
                self._idle += 1
                self._change.wait_for(lambda: self._jobs or self._dismissed, IDLE_SECONDS)
                self._idle -= 1
                if not self._jobs:
                    self._threads -= 1
                    return
                job = self._jobs.popleft()
            try:
                self._work(job)
            except Exception as error:  # noqa: BLE001  # the next job has nothing to do with it
                # The type only: the text of an unforeseen error may hold anything.
                log.error("a courier thread met %s", type(error).__name__)
