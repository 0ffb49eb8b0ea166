"""How messages are counted: under which names, in which slots of time, and added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from datetime import datetime
from itertools import chain

from radius_smsotp.model.records import Counted, Counter, Tally

SLOT = 300
"""Seconds in a slot of the tallies.  An hourly limit looks back for its time and up to one slot
more, so that never more than it says leave in any hour."""

HOUR_SLOTS = 3600 // SLOT
"""The daily limit counts by the hour, and looks back for up to an hour more: 25 rows to add up
at each login instead of 289."""

DAY_SLOTS = 86400 // SLOT + HOUR_SLOTS - 1
"""How many slots before the present one an hour begins that still reaches into the last day."""

RANK = {"account": 0, "number": 1, "client": 2, "all": 3}
"""How the names of `scopes` begin, in their order."""

_COLUMNS = [f"tally_{one.name}" for one in fields(Tally)]


def own(counter: Counter) -> str:
    """The account and the place of a station that is counted on its own; "" for all others."""
    # An account's name is one line.
    place = (counter.account, counter.client, counter.station)
    return "\n".join(place) if counter.station else ""


def scopes(counter: Counter, number_tag: str) -> tuple[str, str, str, str]:
    """The names under which one message is counted, in the order of `Tally`."""
    alone = own(counter)
    number = f"number {number_tag} {alone}" if alone else f"number {number_tag}"
    return (f"account {alone or counter.account}", number, f"client {counter.client}", "all")


def slots(now: datetime) -> tuple[int, int, int, int]:
    """The slots in which one message is counted now, in the order of `Tally`."""
    slot = int(now.timestamp()) // SLOT
    return (slot, slot, slot, slot - slot % HOUR_SLOTS)


def counted(counter: Counter, number_tag: str, now: datetime) -> Counted:
    """What one message is counted under now."""
    return tuple(zip(scopes(counter, number_tag), slots(now), strict=True))


def changes(more: Iterable[Counted], less: Iterable[Counted]) -> list[tuple[str, int, int]]:
    """
    What some messages more and some less come to: scopes with slots, each with a number.

    Returns:
        In one order, that of `Tally`: what many count under comes last.
    """
    found: dict[tuple[str, int], int] = {}
    for step, messages in ((1, more), (-1, less)):
        for place in chain(*messages):
            found[place] = found.get(place, 0) + step
    ranked = [(RANK[scope.partition(" ")[0]], scope, slot, n) for (scope, slot), n in found.items()]
    return [(scope, slot, n) for _, scope, slot, n in sorted(ranked) if n]


def without(tally: Tally, counter: Counter, number_tag: str, messages: Iterable[Counted]) -> Tally:
    """A tally of these scopes, without some messages that are counted in it."""
    counted = [scope for one in messages for scope, _ in one]
    if not counted:
        return tally
    less = [counted.count(scope) for scope in scopes(counter, number_tag)]
    return Tally(*(max(sent - of, 0) for sent, of in zip(astuple(tally), less, strict=True)))


def hours(now: datetime) -> tuple[int, int]:
    """
    The first and the last slot of the last hour.

    What lies as far ahead counts as well: a clock may have gone back since.  What lies further
    ahead does not, or who was at a limit would be there until the clock has caught up.
    """
    slot = int(now.timestamp()) // SLOT
    return (slot - HOUR_SLOTS, slot + HOUR_SLOTS)


def days(now: datetime) -> tuple[int, int]:
    """The same of the last day."""
    slot = int(now.timestamp()) // SLOT
    return (slot - DAY_SLOTS, slot + DAY_SLOTS)


def selected(named: Sequence[str], hour: str, day: str) -> str:
    """
    The columns of a tally, as a SELECT names them.

    Args:
        named: SQL for each of `scopes`.
        hour, day: SQL for the first and the last slot of `hours` and of `days`, with AND.
    """
    parts = zip(named, (hour, hour, hour, day), _COLUMNS, strict=True)
    return ", ".join(
        f"(SELECT sum(sent) FROM tally WHERE scope = {scope} AND slot BETWEEN {span}) AS {column}"
        for scope, span, column in parts
    )


def read(sums: Iterable[int | None]) -> Tally:
    """The tally in a row of `selected` columns."""
    return Tally(*[int(one or 0) for one in sums])
