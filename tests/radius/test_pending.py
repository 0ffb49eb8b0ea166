"""What one call leaves open another one finds, once."""

from __future__ import annotations

import queue
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from radius_smsotp.radius.waiting import LEFT_SECONDS, Pending


@pytest.fixture
def pending() -> Pending[Any]:
    return Pending(time.monotonic)


def test_a_ticket_is_good_for_one_login_and_once(pending: Pending[Any]) -> None:
    now = time.monotonic()
    one, two = (pending.leave("disk", now, lambda name=name: name) for name in ("one", "two"))
    assert one.startswith("disk ")
    assert one != two
    conclude = pending.take(two)
    assert conclude is not None
    assert conclude() == "two"
    assert pending.take(two) is None
    assert pending.take(one) is not None


def test_a_ticket_that_nobody_has_given_finds_nothing(pending: Pending[Any]) -> None:
    pending.leave("disk", time.monotonic(), lambda: "")
    for ticket in ("", "disk", "disk 0", "disk 17"):
        assert pending.take(ticket) is None


def test_a_login_that_nobody_takes_is_not_kept_for_ever() -> None:
    """Its password is in it."""
    now = 100.0
    pending = Pending[str](lambda: now)
    left = pending.leave("delivery", now + 1, lambda: "left")
    now += 1 + LEFT_SECONDS - 0.1
    kept = pending.leave("delivery", now, lambda: "kept")
    now += 0.2
    pending.leave("disk", now, lambda: "new")
    assert pending.take(left) is None
    assert pending.take(kept) is not None


def test_instances_leave_and_take_side_by_side(pending: Pending[Any]) -> None:
    """FreeRADIUS has a lock for each of them, and none for all."""
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    tickets: queue.SimpleQueue[str] = queue.SimpleQueue()
    found = []

    def leave() -> None:
        for number in range(5000):
            # Overdue from the start: whoever leaves the next one looks at it, and takes it out.
            deadline = time.monotonic() - (LEFT_SECONDS + 1) * (number % 2)
            tickets.put(pending.leave("disk", deadline, lambda number=number: number))

    def take() -> None:
        for _ in range(5000):
            found.append(pending.take(tickets.get(timeout=20)))

    try:
        with ThreadPoolExecutor(2) as pool:
            for done in (pool.submit(leave), pool.submit(take)):
                done.result(60)
    finally:
        sys.setswitchinterval(switch)
    assert sum(one is not None for one in found) >= 2500
