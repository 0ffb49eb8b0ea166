"""
Figures: how many logins, refusals and messages there were.

They come from the audit trail, and outlive it: before events are removed they are counted.  The
last quarter of an hour is not over yet, and is looked through each time.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

from radius_smsotp.core import figures
from radius_smsotp.store import insist

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from radius_smsotp.core.figures import Cell, Count
    from radius_smsotp.store import Store

SETTLED = timedelta(minutes=15)
"""After which no transaction still writes an event of that time, and no clock is so far behind."""

DAY = 86400 // figures.SLOT_SECONDS
"""Slots of a day."""

STRIDE = 16
"""Slots that are counted in one go, at most."""

ACCOUNT = "smsotp census"
"""What nobody is called: transactions that count do not make logins wait, only each other."""


def bring_forward(store: Store, now: datetime) -> None:
    """
    Count the events that were not counted yet and are old enough.

    Raises:
        StoreError: The store did not answer in time.
    """
    end = figures.slot(now - SETTLED)
    insist(_take_back, store, end)
    while not insist(_count_some, store, end):
        continue


def _take_back(store: Store, end: int) -> None:
    """
    Forget that slots were counted that are not over: somebody's clock was ahead.

    Since when it is right again is not known: what the last day brought is counted once more, too.
    """
    with store.read() as tx:
        counted = tx.figures.counted_until()
    # Two that ask at the turn of a slot may differ by one.
    if counted is not None and counted > end + 1:
        with store.write(ACCOUNT) as tx:
            if not tx.figures.take_back(counted, end - DAY):
                tx.figures.take_back(counted, end)


def _count_some(store: Store, end: int) -> bool:
    """Count some slots.  Returns whether all are counted up to slot `end`."""
    with store.read() as tx:
        counted = tx.figures.counted_until()
        begin = tx.figures.next_slot(counted or 0)
        begin = end if begin is None else min(begin, end)
        until = min(begin + STRIDE, end)
        counts = tx.figures.count_events(begin, until) if begin < until else {}
    # No event comes in between any more: that is what SETTLED is for.
    until = max(until, counted or 0)
    if until != counted:
        with store.write(ACCOUNT) as tx:
            tx.figures.add(counts, counted, until)
    return until >= end


def between(store: Store, since: datetime, until: datetime) -> list[tuple[Cell, Count]]:
    """Counts by slot, from the slot of `since` to that of `until`."""
    first, last = figures.slot(since), figures.slot(until) + 1
    with store.read() as tx:
        counted = tx.figures.counted_until() or 0
        return [
            *tx.figures.sums(first, last),
            *tx.figures.count_events(max(first, counted), last).items(),
        ]


def ever(store: Store) -> Iterable[tuple[Cell, Count]]:
    """Counts of all that ever happened: they only grow, whatever is removed."""
    with store.read() as tx:
        counted = tx.figures.counted_until() or 0
        fresh = tx.figures.count_events(counted)
        return list(itertools.chain(tx.figures.totals(), fresh.items()))
