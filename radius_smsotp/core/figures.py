"""What is counted of the audit trail, and what the counts come to.  Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SLOT_SECONDS = 900
"""Events are counted by the quarter of an hour: days of every time zone begin with one."""

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds up to which a message that a provider took belongs to each bucket of latency."""

UNTIMED = -1
"""The bucket of events that took no time."""

VERDICTS = ("accepted", "refused", "unavailable", "unknown")


class Cell(NamedTuple):
    """What is counted together.  `reason` and `provider` are "" where an event has none."""

    slot: int
    kind: str
    reason: str = ""
    provider: str = ""
    bucket: int = UNTIMED


class Count(NamedTuple):
    """How many events, and how many seconds they took all together."""

    events: int = 0
    seconds: float = 0.0

    def plus(self, events: int, seconds: float) -> Count:
        """One more count on top."""
        return Count(self.events + events, self.seconds + seconds)


def slot(time: datetime) -> int:
    """The quarter of an hour that a time lies in, counted from 1970."""
    return int(time.timestamp()) // SLOT_SECONDS


def start(number: int) -> datetime:
    """When a slot begins."""
    return datetime.fromtimestamp(number * SLOT_SECONDS, UTC)


def cell(number: int, kind: str, detail: Mapping[str, str | int | float]) -> tuple[Cell, float]:
    """Where an event is counted, and its seconds."""
    seconds, bucket = 0.0, UNTIMED
    if kind == "sms-accepted":
        seconds = float(detail.get("seconds", 0.0))
        bucket = sum(seconds > bound for bound in BOUNDS)
    reason = str(detail.get("reason", ""))
    return Cell(number, kind, reason, str(detail.get("provider", "")), bucket), seconds


@dataclass(slots=True)
class Provider:
    """
    What one provider did.

    Attributes:
        verdicts: How many attempts came to each verdict.
        delivered: Messages that the network reported as delivered, and as lost.
        seconds: Of all accepted messages together.
        buckets: How many accepted messages took up to each of `BOUNDS`, and longer.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    lost: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    @property
    def accepted(self) -> int:
        """Messages that it took."""
        return self.verdicts["accepted"]

    @property
    def attempts(self) -> int:
        """Messages that it was asked to send."""
        return sum(self.verdicts.values())

    @property
    def mean(self) -> float | None:
        """Seconds that an accepted message took, on average."""
        return self.seconds / self.accepted if self.accepted else None

    def quantile(self, part: float) -> float | None:
        """
        Seconds within which this part of the accepted messages was taken.

        As Prometheus's ``histogram_quantile`` reckons: evenly spread within a bucket, and the
        highest bound for what lies beyond it.
        """
        total = sum(self.buckets)
        if not total:
            return None
        rank, before, below = part * total, 0, 0.0
        for bound, number in zip(BOUNDS, self.buckets, strict=False):
            if number and before + number >= rank:
                return below + (bound - below) * (rank - before) / number
            before, below = before + number, bound
        return BOUNDS[-1]


@dataclass(slots=True)
class Summary:
    """
    What a stretch of time came to.

    Attributes:
        kinds: How many events of each kind.
        reasons: The same by kind and reason, where there is one.
        providers: By name.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
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

    @property
    def undelivered(self) -> int:
        """Logins that ended because no provider took their message."""
        return self.kinds["sms-undelivered"]

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
        if one.reason:
            found.reasons[one.kind, one.reason] += count.events
        if one.provider and one.kind.startswith("sms-"):
            _add(found.providers.setdefault(one.provider, Provider()), one, count)
    return found


def _add(provider: Provider, one: Cell, count: Count) -> None:
    verdict = one.kind.removeprefix("sms-")
    if verdict in VERDICTS:
        provider.verdicts[verdict] += count.events
    elif verdict == "delivered":
        provider.delivered += count.events
    elif verdict == "lost":
        provider.lost += count.events
    if verdict == "accepted":
        provider.seconds += count.seconds
        provider.buckets[min(max(one.bucket, 0), len(BOUNDS))] += count.events
