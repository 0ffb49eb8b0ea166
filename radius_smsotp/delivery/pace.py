"""
How fast messages leave through a provider: as its settings say, and as it has shown that it can.

Who is told that a provider is busy comes again at the pace at which it took messages before; a
message that comes for the first time is tried at once.  Moments are those of `delivery.breaker`.
What is known of a provider is known to one process: two of them send twice as much.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta

from radius_smsotp.model.records import Verdict

SOONEST, FIRST, LONGEST = 0.2, 1.0, 15.0
"""Seconds after which a message comes again: at the earliest, and at the latest the first time,
and ever."""

SECOND = timedelta(seconds=1)
"""Gateways count by the second: so long is what one took before it was busy looked at."""

REST, LONGEST_REST = timedelta(seconds=1.1), timedelta(seconds=5)
"""How long a provider rests that was busy, which is a second and what packets take; if it takes
nothing after that either, twice as long, up to the longest."""

KEPT = timedelta(seconds=10)
"""After so long without being busy again a provider is tried at twice the pace."""

FASTEST = timedelta(milliseconds=20)
"""A pace that was found and has become as fast as this is none."""

TAKEN_KEPT = 1000
"""Messages that were taken, of which it is known when."""

NEVER = timedelta.min
NONE = timedelta(0)

Key = tuple[str, int]
"""Of a message: see `model.records.Message.key`."""


def backoff(tries: int, chance: float) -> float:
    """
    Seconds after which a message comes again that no provider had room for.

    Exponential with full jitter, so that those that were turned away together do not come back
    together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        tries: How often all of its providers were tried before.
        chance: From 0 to 1.
    """
    most: float = min(LONGEST, FIRST * 2 ** min(tries, 10))
    return SOONEST + chance * (most - SOONEST)


class Pace:
    """
    The pace of one provider.

    Args:
        per_second: As its settings have it; None for as fast as messages come.
    """

    def __init__(self, per_second: float | None = None) -> None:
        self._interval = SECOND / per_second if per_second else NONE
        # When the next message may leave, and the next one that comes again.
        self._next = self._next_again = NEVER
        self._turns: dict[Key, timedelta] = {}
        self._asked: dict[Key, timedelta] = {}
        self._taken: deque[timedelta] = deque(maxlen=TAKEN_KEPT)
        # Of the last time that it was busy: when that message was sent, when it was told so, and
        # how many it had taken in the second before.
        self._busy: tuple[timedelta, timedelta] | None = None
        self._took = 0
        self._rest = NONE
        self._idle = False

    def wait(self, key: Key, now: timedelta, *, again: bool, ahead: bool = False) -> timedelta:
        """
        How long a message has to wait for its turn; nothing is promised yet.

        Args:
            again: It was tried before.
            ahead: It goes in front of those that wait.
        """
        asked = self._asked.get(key, NEVER)
        return max(self._turn(key, now, again=again, ahead=ahead), asked, now) - now

    def line_up(self, key: Key, now: timedelta, *, again: bool, ahead: bool = False) -> timedelta:
        """The same; the message leaves now if that is nothing, else it has this turn."""
        wait = self.wait(key, now, again=again, ahead=ahead)
        if wait > NONE:
            # Nobody has to come after one who is not to come for a minute.
            if self._asked.get(key, NEVER) < now + wait:
                self._turns[key] = now + wait
        else:
            self._turns.pop(key, None)
            self._next = now + self._interval
            self._next_again = max(self._next_again, now + self._gap(now, again=True))
        return wait

    def ended(
        self,
        key: Key,
        start: timedelta,
        verdict: Verdict,
        now: timedelta,
        *,
        again: bool,
        retry_after: float | None = None,
    ) -> None:
        """
        A send has ended.

        Args:
            start: When it began.
            retry_after: Seconds for which this message is not to come again.
        """
        self._asked.pop(key, None)
        if verdict == "accepted":
            self._taken.append(start)
            if self._busy:
                self._took += self._busy[0] - SECOND < start <= self._busy[1]
                self._idle = self._idle and start < self._busy[1]
        if verdict != "busy":
            return
        if retry_after:
            self._asked = {one: until for one, until in self._asked.items() if until > now}
            self._asked[key] = now + timedelta(seconds=retry_after)
        # All that were under way then say the same once more; and one that came for the first
        # time, beside those that keep a pace, says nothing of that pace.
        if self._busy and start < self._busy[1]:
            self._next_again = max(self._next_again, now + self._rest)
            return
        if self._busy and not again and self._gap(now, again=True):
            return
        took = sum(start - SECOND < one <= now for one in self._taken)
        self._took = took if took or not self._idle else self._took
        self._rest = min(self._rest * 2, LONGEST_REST) if self._idle else REST
        self._busy, self._idle = (start, now), True
        self._next_again = now + self._rest
        self._turns.clear()

    def _turn(self, key: Key, now: timedelta, *, again: bool, ahead: bool) -> timedelta:
        free = max(self._next, self._next_again) if again else self._next
        gap = self._gap(now, again=again)
        own = self._turns.get(key)
        if own is not None or ahead or not gap:
            return max(free, NEVER if own is None else own)
        # Who has not come for its turn by now does not come any more: it was replaced.
        self._turns = {one: turn for one, turn in self._turns.items() if turn > now - SECOND}
        return max([free, *(turn + gap for turn in self._turns.values())])

    def _gap(self, now: timedelta, *, again: bool) -> timedelta:
        """The time between two messages; nothing if there need be none."""
        if not again or self._busy is None:
            return self._interval
        found = SECOND / max(self._took, 1) / 2 ** min((now - self._busy[1]) // KEPT, 10)
        return max(self._interval, found if found >= FASTEST else NONE)
