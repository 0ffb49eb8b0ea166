"""How much is measured: enough to trust the figures, or enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """
    How long it all takes.

    Attributes:
        rounds: All is measured so often, in turn; a figure is the median.
        seconds: One run of logins.
        gateway: Seconds that the slow gateway takes.
        hanging: Seconds for which the hanging gateway is watched.
    """

    rounds: int
    seconds: float
    gateway: float
    hanging: float


FULL = Extent(rounds=3, seconds=4.0, gateway=1.0, hanging=10.0)
QUICK = Extent(rounds=1, seconds=0.2, gateway=0.2, hanging=1.5)
