"""
Which providers a message goes through: order, and a circuit breaker for each.

Moments here are those of a clock that nobody sets: the time that has passed since some start.  What
is known of a provider is known to one process, and a jump of the wall clock says nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from radius_smsotp.model.records import Verdict

BreakerState = Literal["closed", "open", "probing"]

FAILURES_TO_OPEN = 3
"""Failures in a row after which a provider is skipped: one may be chance, three are not."""

SLOW_AFTER = timedelta(seconds=2)
"""A send without answer for this long counts as a failure until it is answered."""

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=5)
"""How long a provider is skipped before it is probed: doubled after each failed probe."""

VERDICTS_KEPT = 8
"""By so many of its last verdicts is judged how long the next one may take."""

USUAL_TIMES = 3
USUAL_MARGIN = timedelta(milliseconds=200)
"""A verdict is worth waiting for up to so many times the slowest of them, and a TLS handshake over
a long way more."""


@dataclass(frozen=True, slots=True)
class Health:
    """
    What is known of one provider.

    Attributes:
        failures: Failures in a row.
        skip_until: Skipped until then; None while it is in use.
        pause: Length of the present or the last pause.
        sending_since: Starts of the sends that have no answer yet, oldest first.
        probing: A probe is under way, and one is enough.
        took: How long the last verdicts took, `VERDICTS_KEPT` at most.
    """

    failures: int = 0
    skip_until: timedelta | None = None
    pause: timedelta = timedelta(0)
    sending_since: tuple[timedelta, ...] = ()
    probing: bool = False
    took: tuple[timedelta, ...] = ()


def state(health: Health, now: timedelta) -> BreakerState:
    """closed: in use; open: skipped; probing: the next message tries whether it works again."""
    if health.skip_until is not None:
        return "open" if now < health.skip_until or health.probing else "probing"
    slow = sum(1 for since in health.sending_since if now - since >= SLOW_AFTER)
    return "open" if health.failures + slow >= FAILURES_TO_OPEN else "closed"


def usable(route: Sequence[str], health: Mapping[str, Health], now: timedelta) -> list[str]:
    """
    The providers of a route, in the order in which to try them now.

    Those that are skipped come last instead of never: if all the others fail, a provider
    that failed a minute ago is better than no SMS.
    """
    skipped = {name for name in route if state(health.get(name, Health()), now) == "open"}
    return sorted(route, key=lambda name: name in skipped)


def patience(health: Health, most: timedelta, now: timedelta) -> timedelta:
    """
    How long it makes sense to wait for a verdict on a message that is handed over now.

    Nothing, while the provider has not answered for as long as it usually takes.

    Args:
        most: As long as whoever waits would.
    """
    if health.took:
        most = min(most, USUAL_TIMES * max(health.took) + USUAL_MARGIN)
    late = any(now - since >= most for since in health.sending_since)
    return timedelta(0) if late else most


def started(health: Health, now: timedelta) -> Health:
    """A send begins."""
    probing = health.probing or state(health, now) == "probing"
    return replace(health, sending_since=(*health.sending_since, now), probing=probing)


def ended(
    health: Health,
    start: timedelta,
    verdict: Verdict,
    now: timedelta,
    *,
    out_of_order: bool = False,
) -> Health:
    """
    A send has ended.

    Args:
        start: The `now` that `started` was given.
        verdict: A refusal is about one message and says that the provider works, unless
            `out_of_order`; so does one that is busy.
    """
    sending = list(health.sending_since)
    if start in sending:
        sending.remove(start)
    if verdict == "busy":  # which says nothing of how long it takes to send
        return Health(sending_since=tuple(sending), took=health.took)
    if verdict == "accepted" or (verdict == "refused" and not out_of_order):
        took = (*health.took, now - start)[-VERDICTS_KEPT:]
        return Health(sending_since=tuple(sending), took=took)
    # What began before the pause was over says nothing new: a gateway that hangs fails for
    # every thread at once, and only a probe may lengthen the pause.
    probed = health.skip_until is not None and start >= health.skip_until
    health = replace(
        health,
        failures=health.failures + 1,
        sending_since=tuple(sending),
        probing=health.probing and not probed,
    )
    due = health.skip_until is None and (out_of_order or health.failures >= FAILURES_TO_OPEN)
    if not (probed or due):
        return health
    pause = min(max(health.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
    return replace(health, skip_until=now + pause, pause=pause, probing=False)
