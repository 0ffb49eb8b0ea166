"""Threads as they are needed."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.delivery import threads as module
from radius_smsotp.delivery.threads import Threads
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


class Work:
    """Jobs that hang until they are let go: each job is an event."""

    def __init__(self) -> None:
        self.begun: list[threading.Event] = []
        self.done: list[threading.Event] = []
        self.everything: list[threading.Event] = []
        self._lock = threading.Lock()

    def job(self) -> threading.Event:
        """A job that is done when it is set."""
        one = threading.Event()
        self.everything.append(one)
        return one

    def __call__(self, job: threading.Event) -> None:
        with self._lock:
            self.begun.append(job)
        assert job.wait(30)
        with self._lock:
            self.done.append(job)


@pytest.fixture
def work() -> Iterator[Work]:
    """What threads do; whatever hangs at the end is let go."""
    one = Work()
    yield one
    for job in one.everything:
        job.set()


@pytest.fixture
def hectic() -> Iterator[None]:
    """Threads take turns as often as they can, so that they meet everywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def threads() -> int:
    """How many threads of ours there are."""
    return sum(thread.name == "smsotp-courier" for thread in threading.enumerate())


def no_threads() -> bool:
    """Whether all of them have ended."""
    return threads() == 0


def test_no_thread_before_the_first_job(work: Work) -> None:
    """radiusd may fork until then."""
    Threads(work, 4)
    assert no_threads()


def test_each_job_that_finds_all_busy_gets_a_thread_up_to_the_most(work: Work) -> None:
    """The jobs beyond wait for one that is done."""
    some = Threads(work, 3)
    jobs = [work.job() for _ in range(5)]
    for job in jobs:
        assert some.add(job)
    eventually(lambda: len(work.begun) == 3)
    assert threads() == 3
    jobs[1].set()
    eventually(lambda: len(work.begun) == 4)
    for job in jobs:
        job.set()
    eventually(lambda: len(work.done) == 5)
    assert threads() <= 3
    some.dismiss()
    eventually(no_threads)


def test_a_thread_that_waits_is_used_again(work: Work) -> None:
    """Jobs one after the other need one thread."""
    some = Threads(work, 8)
    for number in range(20):
        job = work.job()
        job.set()
        some.add(job)
        eventually(lambda number=number: len(work.done) > number)
        # It is idle a moment after it is done; a job that comes in between may get another.
    assert threads() <= 2
    some.dismiss()
    eventually(no_threads)


@pytest.mark.usefixtures("hectic")
def test_no_job_waits_behind_one_that_hangs(work: Work) -> None:
    """However fast they come: with threads to spare, every job has begun."""
    some = Threads(work, 1000)
    for _ in range(30):
        before = len(work.begun)
        ready = work.job()
        ready.set()
        some.add(ready)  # leaves a thread that is idle, or just about to be
        jobs = [work.job() for _ in range(5)]
        for job in jobs:
            some.add(job)
        eventually(lambda before=before: len(work.begun) == before + 6)
        for job in jobs:
            job.set()
    eventually(lambda: len(work.done) == 180)
    some.dismiss()
    eventually(no_threads)


def test_threads_that_are_idle_for_long_end(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next job gets a new one."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.02)
    some = Threads(work, 4)
    for expected in (1, 2):
        job = work.job()
        job.set()
        some.add(job)
        eventually(no_threads)
        assert len(work.done) == expected


@pytest.mark.usefixtures("hectic")
def test_no_job_is_lost_to_a_thread_that_is_ending(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may come at the very moment at which the last idle thread gives up."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0005)
    some = Threads(work, 1)
    for number in range(200):
        job = work.job()
        job.set()
        assert some.add(job)
        eventually(lambda number=number: len(work.done) == number + 1)
    eventually(no_threads)


def test_too_many_waiting_jobs_are_refused(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded while a gateway hangs; whoever is refused stays in the store."""
    monkeypatch.setattr(module, "QUEUE_MOST", 3)
    some = Threads(work, 1)
    first = work.job()
    assert some.add(first)
    eventually(lambda: work.begun == [first])
    assert [some.add(work.job()) for _ in range(4)] == [True, True, True, False]
    for job in work.everything:
        job.set()
    eventually(lambda: len(work.done) == 4)
    assert some.add(work.everything[0])
    some.dismiss()
    eventually(no_threads)


def test_dismissed_threads_end_after_the_jobs_they_have(work: Work) -> None:
    """The idle at once, the busy one when its jobs are done."""
    some = Threads(work, 2)
    quick, hanging, waiting = work.job(), work.job(), work.job()
    some.add(quick)
    some.add(hanging)
    eventually(lambda: len(work.begun) == 2)
    quick.set()
    some.add(waiting)
    eventually(lambda: len(work.begun) == 3)
    some.dismiss()
    assert threads() == 2
    waiting.set()
    eventually(lambda: threads() == 1)
    hanging.set()
    eventually(no_threads)
    assert len(work.done) == 3


def test_threads_that_were_dismissed_still_works(work: Work) -> None:
    """A login that was under way while the settings changed hands over to the old one."""
    some = Threads(work, 2)
    some.dismiss()
    job = work.job()
    job.set()
    assert some.add(job)
    eventually(lambda: work.done == [job])
    eventually(no_threads)


def test_a_job_that_fails_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged by its type: the text of an unforeseen error may hold anything."""
    done = threading.Event()

    def work(job: str) -> None:
        if job == "bad":
            raise ValueError("code 123456")
        done.set()

    some = Threads(work, 1)
    with caplog.at_level(logging.ERROR):
        some.add("bad")
        some.add("good")
        assert done.wait(20)
    assert "ValueError" in caplog.text
    assert "123456" not in caplog.text
    some.dismiss()
    eventually(no_threads)


def test_without_a_thread_to_be_had_a_job_is_refused(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may give none; then nobody would ever do it.  Later it works again."""

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    some = Threads(work, 2)
    job = work.job()
    job.set()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        assert not some.add(job)
    assert some.add(job)
    eventually(lambda: work.done == [job])
    some.dismiss()
    eventually(no_threads)


def test_a_hanging_job_does_not_keep_the_process() -> None:
    """radiusd ends at once, whatever a gateway does."""
    program = """
import threading
from radius_smsotp.delivery.threads import Threads
begun = threading.Event()
def work(job):
    begun.set()
    threading.Event().wait()
some = Threads(work, 2)
some.add(1)
assert begun.wait(20)
some.dismiss()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
