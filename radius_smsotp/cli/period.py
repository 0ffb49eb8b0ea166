"""Stretches of days that figures are shown for, in the time zone of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from radius_smsotp import census
from radius_smsotp.core import figures

if TYPE_CHECKING:
    from radius_smsotp.core.figures import Cell, Count
    from radius_smsotp.store import Store


@dataclass(frozen=True, slots=True)
class Period:
    """
    Whole days, today among them.

    Attributes:
        since: Midnight at which it begins.
        now: When it was looked at.
        counts: By slot, in order.
    """

    days: int
    since: datetime
    now: datetime
    counts: list[tuple[Cell, Count]]

    def summary(self) -> figures.Summary:
        """What it came to."""
        return figures.summarise(self.counts)

    def last(self, days: int) -> Period:
        """The last days of it."""
        since = midnight(self.now, days - 1)
        first = figures.slot(since)
        return Period(
            days, since, self.now, [item for item in self.counts if item[0].slot >= first]
        )

    def by_day(self) -> list[tuple[datetime, figures.Summary]]:
        """Each day with what it came to, also if that is nothing."""
        found: list[tuple[datetime, figures.Summary]] = []
        for back in range(self.days - 1, -1, -1):
            # Midnight by the clock on the wall: days of 23 and 25 hours are days too.
            first = figures.slot(midnight(self.now, back))
            last = figures.slot(midnight(self.now, back - 1))
            part = (item for item in self.counts if first <= item[0].slot < last)
            found.append((midnight(self.now, back), figures.summarise(part)))
        return found


def midnight(now: datetime, days_back: int) -> datetime:
    """The midnight with which a day began, so many days before today."""
    day = now.astimezone().date() - timedelta(days=days_back)
    return datetime(day.year, day.month, day.day).astimezone()  # of this machine


def look(store: Store, days: int, now: datetime) -> Period:
    """
    Count the last days.

    Raises:
        StoreError: The store did not answer in time.
    """
    census.bring_forward(store, now)
    since = midnight(now, days - 1)
    return Period(days, since, now, census.between(store, since, now))
