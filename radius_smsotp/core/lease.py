"""When somebody else may take up a message whose lease has run out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import timedelta

    from radius_smsotp.core.model import Challenge, Delivery


@dataclass(frozen=True, slots=True)
class Watched:
    """
    A lease of another host that has run out by the clock of this one.

    Attributes:
        since: When it was first seen so: time that has passed since some start.
    """

    delivery: Delivery
    since: timedelta


def sort_out(
    found: Iterable[Challenge],
    host: str,
    watched: Mapping[str, Watched],
    length: Callable[[tuple[str, ...]], timedelta],
    now: timedelta,
) -> tuple[list[Challenge], dict[str, Watched]]:
    """
    Tell who has left a message behind from whose clock is behind.

    Of a lease that another host holds its length is believed, not its end: that is by a clock which
    may differ.  It is over once it was seen unchanged for so long.

    Args:
        found: Challenges whose message waits, its lease run out by the clock of this host.
        host: The name of this host, with which its owners of leases begin.
        watched: What was returned the last time, by transaction_id.
        length: How long the lease of a message with this route is.
        now: Time that has passed since some start, on a clock that nobody sets.

    Returns:
        What may be taken up, and what is to be watched.
    """
    due: list[Challenge] = []
    seen: dict[str, Watched] = {}
    for challenge in found:
        delivery = challenge.delivery
        owner = delivery.lease_owner
        if owner is None or owner.startswith(f"{host}:"):
            due.append(challenge)
            continue
        one = watched.get(challenge.transaction_id)
        if one is None or one.delivery != delivery:
            one = Watched(delivery, now)
        if now - one.since >= length(delivery.route):
            due.append(challenge)
        else:
            seen[challenge.transaction_id] = one
    return due, seen
