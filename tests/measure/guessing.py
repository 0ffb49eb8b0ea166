"""
How likely somebody gets in who knows a user's name and PIN, and guesses codes, for a day.

    python -m tests.measure.guessing [DAYS]      simulates 20 days of each way unless said otherwise

Computed: each challenge is worth so many guesses, each of them right once in 10^digits times, and
the limits say how many challenges there are.  Simulated: the same attack on the real rules, with
a clock that is moved, by three attackers who never rest.  So that days are enough to see it, they
are told a thousand codes among which the right one is; the computed chance is told that too.
"""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from radius_smsotp.login.answers import Accepted, Challenged
from radius_smsotp.model.records import Client
from radius_smsotp.settings.schema import Settings
from tests.support.site import PIN, Clock, Node, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.login.answers import Outcome

DAY = 86400.0

STEP = 60.0
"""Seconds after which an attacker to whom nothing is open tries again."""

TOLD = 1000
"""Codes that an attacker of the simulation is told, the right one among them."""

CLIENTS = 8
"""RADIUS clients, or stations behind them, that an attacker has at once: more than a user gets
challenges in an hour."""


def chance(guesses: int, codes: int, challenges: int) -> float:
    """
    The chance that at least one of the challenges falls.

    Args:
        guesses: For each challenge; no attacker guesses the same code twice.
        codes: That are equally likely.
    """
    return 1 - (1 - guesses / codes) ** challenges


def challenges_a_day(settings: Settings) -> int:
    """How many an account gets at most, from stations that it has not logged in from."""
    return settings.limits.per_account_hour * 24


def computed(settings: Settings, codes: int) -> float:
    """The chance of a day's guessing at one account."""
    return chance(settings.code.guesses, codes, challenges_a_day(settings))


@dataclass
class Day:
    """
    What came of one.

    Attributes:
        guesses: Codes that were compared with one of a challenge; each is compared with those of
            all that are open.
    """

    challenges: int = 0
    guesses: int = 0
    hits: int = 0
    told: list[str] = field(default_factory=list)
    open: list[tuple[Challenged, Client]] = field(default_factory=list)


class Attacker:
    """Guesses at alice, with her PIN, from many clients."""

    def __init__(self, site: Site, node: Node, dice: random.Random) -> None:
        self._site = site
        self._node = node
        self._dice = dice
        self._clients = [
            Client(f"nas{number}", "", f"10.0.0.{number}") for number in range(CLIENTS)
        ]

    def with_state(self) -> Day:
        """One challenge after the other, each answered with its `State`."""
        return self._day(at_once=1, guess=self._by_state)

    def with_many_states(self) -> Day:
        """As many challenges at once as there are, each answered with its `State`."""
        return self._day(at_once=CLIENTS, guess=self._by_state)

    def without_state(self) -> Day:
        """As many at once, all guessed at together with PIN and code in one password."""
        return self._day(at_once=CLIENTS, guess=self._by_password)

    def _day(self, at_once: int, guess: Callable[[Day], Outcome | None]) -> Day:
        day, end = Day(), self._site.clock.now.timestamp() + DAY
        while self._site.clock.now.timestamp() < end:
            while len(day.open) < at_once and self._open(day):
                pass
            while day.open and (outcome := guess(day)) is not None:
                if isinstance(outcome, Accepted):
                    day.hits += 1
                    day.open.clear()
                    # Who is in would be known by its station; what is counted here is who is not.
                    with self._node.store.write("alice") as tx:
                        tx._db.execute("DELETE FROM station")
            day.open = [one for one in day.open if self._is_open(one[0])]
            self._site.clock.advance(STEP)
        return day

    def _open(self, day: Day) -> bool:
        """Open a challenge, by the next client.  Returns False if none is to be had."""
        client = self._clients[day.challenges % CLIENTS]
        outcome = self._node.first("alice", PIN, client=client)
        known = {one.transaction_id for one, _ in day.open}
        if not isinstance(outcome, Challenged) or outcome.transaction_id in known:
            return False
        # However slow this machine is: no minutes of the clock pass while the message is sent.
        self._node.settle(outcome.transaction_id)
        day.open.append((outcome, client))
        # One answer is a guess at all that are open.
        day.told = self._told(*(self._node.code(one) for one, _ in day.open))
        day.challenges += 1
        return True

    def _told(self, *right: str) -> list[str]:
        """`TOLD` codes in any order, the right ones among them."""
        told = set(right)
        while len(told) < TOLD:
            told.add(f"{self._dice.randrange(10**6):06}")
        return self._dice.sample(sorted(told), TOLD)

    def _by_state(self, day: Day) -> Outcome | None:
        """Guess once.  None if there is nothing to guess at for now."""
        challenged, client = day.open[0]
        return self._judged(day, self._node.second(challenged, day.told.pop(), client=client))

    def _by_password(self, day: Day) -> Outcome | None:
        client = day.open[0][1]
        return self._judged(day, self._node.first("alice", PIN + day.told.pop(), client=client))

    def _judged(self, day: Day, outcome: Outcome) -> Outcome | None:
        with self._node.store.read() as tx:
            [last] = tx.events("alice", 1)
        if last.detail.get("reason") == "locked":
            return None
        day.guesses += len(day.open)
        day.open = [one for one in day.open if self._is_open(one[0])]
        return outcome

    def _is_open(self, challenged: Challenged) -> bool:
        return self._node.stored(challenged.transaction_id).is_open(self._site.clock.now)


WAYS = (Attacker.with_state, Attacker.with_many_states, Attacker.without_state)


def simulate(days: int) -> Iterator[tuple[str, list[Day]]]:
    """Days of each way to guess, on a site of its own with the default settings."""
    memory = Path("/dev/shm")
    for way in WAYS:
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
            site = Site(Path(name), Clock())
            node = site.node()
            attacker = Attacker(site, node, random.Random(6))
            lived = []
            for _ in range(days):
                lived.append(way(attacker))
                site.clock.advance(2 * 3600)
                _forget(node)
            site.close()
        yield way.__name__.replace("_", " "), lived


def _forget(node: Node) -> None:
    """An attacker who got in is known there: begin anew, as after a night."""
    with node.store.write() as tx:
        tx.clear_lockout("alice")
        tx._db.execute("DELETE FROM station")
        tx.cancel_challenges("alice")


def main() -> None:
    """Print what is computed, and what came of the simulation."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    settings, codes = Settings(), 10 ** Settings().code.digits
    most = challenges_a_day(settings)
    guesses = settings.code.guesses
    print(f"computed, default settings: {most} challenges a day, {guesses} guesses each")
    print(f"  one account, 6 digits, in a day: {computed(settings, codes):.2e}")
    print(f"  the same with 8 digits: {computed(settings, 10**8):.2e}")
    whole = chance(guesses, codes, settings.limits.per_day)
    print(f"  all accounts together, every PIN known: {whole:.2e}")
    print(f"simulated, {TOLD} codes told; computed for so many: {computed(settings, TOLD):.3f}")
    for way, lived in simulate(days):
        challenges = sum(day.challenges for day in lived) / days
        tried = sum(day.guesses for day in lived) / days
        hits = sum(day.hits for day in lived)
        expected = tried * days / TOLD
        print(f"  {way:<17} {challenges:5.0f} challenges, {tried:4.0f} guesses a day; ", end="")
        print(f"got in {hits} times, expected {expected:.0f} ± {sqrt(expected):.0f}", flush=True)


if __name__ == "__main__":
    main()
