"""An alarm clock for one thread."""

from __future__ import annotations

import threading
import time

from radius_smsotp.delivery.alarm import Alarm

LONG = 60.0


def test_it_rings_at_each_of_its_times() -> None:
    """In whatever order it was set to them."""
    alarm, begun = Alarm(), time.monotonic()
    for seconds in (0.2, 0.05):
        alarm.set(seconds)
    alarm.wait(LONG)
    assert 0.05 <= time.monotonic() - begun < LONG
    alarm.wait(LONG)
    assert 0.2 <= time.monotonic() - begun < LONG


def test_it_does_not_ring_for_ever() -> None:
    """Who waits has other things to do; and a time that lies behind rings once."""
    alarm = Alarm()
    alarm.set(0)
    alarm.wait(LONG)
    begun = time.monotonic()
    alarm.wait(0.05)
    assert time.monotonic() - begun >= 0.05


def test_who_waits_already_wakes_up() -> None:
    """If it is set to an earlier time meanwhile."""
    alarm = Alarm()
    thread = threading.Thread(target=alarm.wait, args=(LONG,))
    thread.start()
    alarm.set(0.01)
    thread.join(LONG / 2)
    assert not thread.is_alive()
