"""
Figures: how many logins, refusals and messages there were.

They come from the audit trail, and outlive it: before events are removed they are counted.  The
last quarter of an hour is not over yet, and is looked through each time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from radius_smsotp.model import events
from radius_smsotp.store import Store, insist, statistics
from radius_smsotp.store.statistics import TIMED, UNTIMED, Cell, Count

SETTLED = timedelta(minutes=15)
"""After which no transaction still writes an event of that time, and no clock is so far behind."""

STRIDE = 16
"""Slots that are counted in one go, at most."""

COUNTING = "\nstatistics"
"""What nobody is called: transactions that count do not make logins wait, only each other."""


def bring_forward(store: Store, now: datetime) -> None:
    """
    Count the events that were not counted yet and are old enough.

    Raises:
        StoreError: The store did not answer in time.
    """
    end = statistics.slot(now - SETTLED)
    with store.read() as tx:
        counted = tx.figures.counted_until() or 0
    # Two that ask at the turn of a slot may differ by one.
    if counted > end + 1:
        with store.write(COUNTING) as tx:
            tx.figures.take_back(end)
    while not insist(_count_some, store, end):
        continue


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
        with store.write(COUNTING) as tx:
            tx.figures.add(counts, counted, until)
    return until >= end


def between(store: Store, since: datetime, until: datetime) -> list[tuple[Cell, Count]]:
    """Counts by slot, from the slot of `since` to that of `until`."""
    first, last = statistics.slot(since), statistics.slot(until) + 1
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


VERDICTS = ("accepted", "refused", "busy", "unavailable", "unknown")


@dataclass(slots=True)
class Timing:
    """
    How long something took.

    Attributes:
        bounds: Seconds up to which it belongs to each bucket; the last one is for what is longer.
        seconds: All together.
        buckets: How often it took so long.
    """

    bounds: Sequence[float]
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.buckets = self.buckets or [0] * (len(self.bounds) + 1)

    def add(self, bucket: int, count: Count) -> None:
        """Count some more."""
        self.seconds += count.seconds
        self.buckets[min(max(bucket, 0), len(self.bounds))] += count.events

    def quantile(self, part: float) -> float | None:
        """
        Seconds within which this part of all was over.

        As Prometheus's ``histogram_quantile`` reckons: evenly spread within a bucket, and the
        highest bound for what lies beyond it.
        """
        total = sum(self.buckets)
        if not total:
            return None
        rank, before, below = part * total, 0, 0.0
        for bound, number in zip(self.bounds, self.buckets, strict=False):
            if number and before + number >= rank:
                return below + (bound - below) * (rank - before) / number
            before, below = before + number, bound
        return self.bounds[-1]


@dataclass(slots=True)
class Provider:
    """
    What one provider did.

    Attributes:
        outcomes: How many attempts came to each of `VERDICTS`, and how many messages the network
            reported as ``delivered`` and as ``lost``.
        taking: How long it took to accept messages.
        arriving: How long after that the network said that they had arrived.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    taking: Timing = field(default_factory=lambda: Timing(TIMED["sms-accepted"]))
    arriving: Timing = field(default_factory=lambda: Timing(TIMED["sms-delivered"]))

    @property
    def accepted(self) -> int:
        """Messages that it took."""
        return self.outcomes["accepted"]

    @property
    def mean(self) -> float | None:
        """Seconds that an accepted message took, on average."""
        return self.taking.seconds / self.accepted if self.accepted else None


REFUSALS = {
    "pin-wrong": ("first", "wrong-pin"),
    "first-factor-down": ("first", "first-factor-down"),
    "eap-refused": ("first", "eap"),
    "sms-undelivered": ("first", "undelivered"),
    "login-refused": ("first", ""),
    "code-wrong": ("second", "wrong-code"),
    "code-rejected": ("second", ""),
}
"""Kind of event that lets nobody in, to the step and the reason; "" where it has one of its own."""

REASONS = events.REASONS | {
    "wrong-pin": "wrong PIN",
    "first-factor-down": "the first factor could not be checked",
    "eap": "EAP came to no login: a method, a certificate, TLS",
    "wrong-code": "wrong code",
}
"""Reason of a refusal to what it means."""


@dataclass(slots=True)
class Summary:
    """
    What a stretch of time came to.

    Attributes:
        kinds: How many events of each kind.
        refusals: Answers that let nobody in, by step (``first`` or ``second``) and reason.  One
            login may be refused several times.
        postponed: How often a message was to be sent later, by reason: ``busy`` or ``pace``.
        providers: By name.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    postponed: Counter[str] = field(default_factory=Counter)
    providers: dict[str, Provider] = field(default_factory=dict)

    @property
    def opened(self) -> int:
        """Logins whose first step was right, and that were asked for a code."""
        return self.kinds["challenge-opened"]

    @property
    def logins(self) -> int:
        """Logins that were let in, with a code or from a remembered device."""
        return self.kinds["code-accepted"] + self.kinds["device-accepted"]

    @property
    def sent(self) -> int:
        """Messages that a provider took."""
        return sum(one.accepted for one in self.providers.values())

    def ranked_refusals(self) -> dict[tuple[str, str], int]:
        """`refusals`, most frequent first."""
        return dict(sorted(self.refusals.items(), key=lambda item: (-item[1], item[0])))

    def refusals_by_words(self) -> dict[str, int]:
        """The same by what the reason means: what can happen at both steps counts once."""
        found: Counter[str] = Counter()
        for (_, reason), number in self.refusals.items():
            found[REASONS.get(reason, reason)] += number
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def cost(self, prices: Mapping[str, float]) -> float | None:
        """What the messages cost, by the price of one at each provider; None if no price is set."""
        known = [name for name in self.providers if name in prices]
        if not known and not prices:
            return None
        return sum(self.providers[name].accepted * prices[name] for name in known)


def summarise(counts: Iterable[tuple[Cell, Count]]) -> Summary:
    """Add counts up."""
    found = Summary()
    for one, count in counts:
        found.kinds[one.kind] += count.events
        step, reason = REFUSALS.get(one.kind, ("", ""))
        if step and (reason or one.reason):
            found.refusals[step, reason or one.reason] += count.events
        if one.kind == "sms-postponed":
            found.postponed[one.reason] += count.events
        elif one.provider and one.kind.startswith("sms-"):
            provider = found.providers.setdefault(one.provider, Provider())
            provider.outcomes[one.kind.removeprefix("sms-")] += count.events
            if one.kind == "sms-accepted":
                provider.taking.add(one.bucket, count)
            elif one.kind == "sms-delivered" and one.bucket != UNTIMED:
                provider.arriving.add(one.bucket, count)
    return found


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

    def summary(self) -> Summary:
        """What it came to."""
        return summarise(self.counts)

    def last(self, days: int) -> Period:
        """The last days of it."""
        since = midnight(self.now, days - 1)
        first = statistics.slot(since)
        return Period(
            days, since, self.now, [item for item in self.counts if item[0].slot >= first]
        )


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
    bring_forward(store, now)
    since = midnight(now, days - 1)
    return Period(days, since, now, between(store, since, now))
