"""
Noise: first steps that fail in numbers, and what they may cost.

A first step costs a hash and a thread of FreeRADIUS, whoever asks: else time would tell which names
there are.  So whoever sends made-up names fast enough would have all of both.  Failures use up a
budget: of a name at a station, of a station, of a client.  A name that has none left is refused
before anything is looked at.  A station or a client that has none left may have only so much under
way at once, and what is beyond that is refused likewise: so there are threads left for everybody
else, and for answers to challenges, which nothing here holds back.  Hashes that nobody could wait
for are not begun either, whoever asks.

Nothing goes by whether a name exists, or has ever logged in: what is refused at once would tell.
All moments are monotonic seconds.  What is kept is of one process, and bounded in size.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from radius_smsotp.model import pin
from radius_smsotp.model.records import Client


class Allowance(NamedTuple):
    """
    How many failures are none of noise.

    Attributes:
        burst: At once.
        per_second: And on and on.
        returned: How many a whole login gives back; a right first factor, one.
        again: With so many left it is no noise any more, once all were used up.
    """

    burst: float
    per_second: float
    returned: float
    again: float


STATION = Allowance(60, 0.5, 60, 30)
"""Of a station: a whole office may be behind one address."""

CLIENT = Allowance(30, 1, 3, 15)
"""Of a client: four may fail for each that logs in."""


def of_name(lockout_failures: int) -> Allowance:
    """Of a name at one station: more than lock an account, and back before a lock-out is over."""
    return Allowance(3 * lockout_failures, 0.1, 3 * lockout_failures, 1)


MOST = 1_000_000
"""Rounds of PBKDF2 that all noise may have under way: less than a second on one core."""

LEAST = MOST // 16
"""What a first step counts for at least, as it has a thread.  So noise has 16 of them; FreeRADIUS
has 32 unless ``max_servers`` says more."""

MOST_OF_ALL = 5_000_000
"""Rounds of PBKDF2 that all together may have under way, for each core: four seconds, after which
clients have asked again, if not given up.  If all of them ran at once, none would end in time."""

AGAIN = 60.0
"""Seconds in which a name that was held back goes first if it comes again.  People try again;
made-up names do not come twice."""

LOST = 30.0
"""Seconds after which a first step is under way no more, whatever became of it: FreeRADIUS's
``max_request_time`` unless set."""

TOLD = 60.0
"""Seconds in which a client is told of once."""

MANY = 10
"""So many first steps that are held back are worth a word, even if none has failed yet."""

KEPT = 8192
"""Of names, of stations and of clients: those that were last seen."""

Key = tuple[str, ...]
"""What has a budget: client; client and station; client, station and name."""


class Level(NamedTuple):
    """What was left of a budget, and when; and whether it was used up, and is not free again."""

    left: float
    at: float
    used_up: bool = False


def left(level: Level | None, allowance: Allowance, now: float) -> float:
    """How many failures are left; `burst` where none has been."""
    if level is None:
        return allowance.burst
    return min(allowance.burst, level.left + (now - level.at) * allowance.per_second)


def is_used_up(level: Level | None, allowance: Allowance, now: float) -> bool:
    """Whether none is left, or has not been for long enough."""
    enough = allowance.again if level is not None and level.used_up else 1
    return left(level, allowance, now) < enough


def added(level: Level | None, number: float, allowance: Allowance, now: float) -> Level:
    """A budget with so many more, or one failure less."""
    value = min(allowance.burst, max(0.0, left(level, allowance, now) + number))
    before = level is not None and level.used_up
    return Level(value, now, value < (allowance.again if before else 1))


def fits(under_way: Mapping[Key, float], scope: Key, cost: float, most: float) -> bool:
    """
    Whether a first step may begin: while all together have less than `most`, or its scope less
    than its share, or nothing at all.
    """
    own = under_way.get(scope, 0.0)
    share = most / max(1, len(under_way))
    return own == 0 or own + cost <= share or sum(under_way.values()) + cost <= most


def rounds(pin_hash: str | None) -> int:
    """What a first step costs, in rounds of PBKDF2; nothing here if another module checks it."""
    return pin.iterations(pin_hash) if pin_hash else 0


class Work:
    """
    First steps that are under way.

    Args:
        most: Rounds that may be at once.
        least: What a first step counts for at least.
    """

    def __init__(self, most: float, least: float) -> None:
        self.most, self.least = most, least
        self.under_way: dict[Key, float] = {}

    def fits(self, scope: Key, rounds: float, factor: float = 1) -> bool:
        """See `fits`; with `factor` times as much room."""
        return fits(self.under_way, scope, max(self.least, rounds), factor * self.most)

    def begin(self, scope: Key, rounds: float) -> None:
        """It begins."""
        self.under_way[scope] = self.under_way.get(scope, 0) + max(self.least, rounds)

    def end(self, scope: Key, rounds: float) -> None:
        """It ends."""
        self.under_way[scope] -= max(self.least, rounds)
        if self.under_way[scope] <= 0:
            del self.under_way[scope]


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A first step that may begin.

    Attributes:
        name: Whose, and where.
        work: Beside which.
        scope: With whose it counts.
        factor: How much more room it has than others.
    """

    name: Key
    work: Work
    scope: Key
    factor: float = 1


@dataclass(slots=True)
class Report:
    """
    What there is to say of a client.

    Attributes:
        failures, held: First steps that failed, and that were held back, since it was told of
            before or began.
        station: Where it comes from, "" if from several or if none is named.
        told: When it was told of before.
    """

    failures: int = 0
    held: int = 0
    station: str = ""
    told: float = -math.inf


class Budget:
    """What is left of one kind of budget, of those that were last seen."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self.levels: dict[Key, Level] = {}

    def is_used_up(self, key: Key, now: float) -> bool:
        """See `is_used_up`."""
        return is_used_up(self.levels.get(key), self.allowance, now)

    def is_full(self, key: Key, now: float) -> bool:
        """Whether nobody has failed for long enough."""
        return left(self.levels.get(key), self.allowance, now) >= self.allowance.burst

    def add(self, key: Key, number: float, now: float) -> None:
        """See `added`.  Those that are full again are forgotten."""
        level = added(self.levels.get(key), number, self.allowance, now)
        _put(self.levels, key, level, lambda one: self.is_full(one, now))

    def give_back(self, key: Key, now: float, *, whole: bool) -> None:
        """A login was right, or only its first factor."""
        if key in self.levels:
            self.add(key, self.allowance.returned if whole else 1, now)

    def stand_still(self, key: Key, now: float) -> None:
        """Time gives nothing back."""
        _put(self.levels, key, self.levels[key]._replace(at=now))


class Noise:
    """
    What one process knows of failures, and of the first steps that noise has under way.

    Args:
        cores: Of this machine, that hashes are computed on.

    Attributes:
        names: Their budget, whose allowance hangs on the settings.
    """

    def __init__(self, cores: int = 1, lockout_failures: int = 10) -> None:
        self.names = Budget(of_name(lockout_failures))
        self._lock = threading.Lock()
        self._stations, self._clients = Budget(STATION), Budget(CLIENT)
        self._trusted: dict[Key, float] = {}
        self._held: dict[Key, float] = {}
        self._begun: dict[str, tuple[Work, Key, float, float]] = {}
        self._all, self._noise = Work(MOST_OF_ALL * cores, 1), Work(MOST, LEAST)
        self._reports: dict[str, Report] = {}

    def ask(self, name: str, client: Client, now: float) -> Entry | None:
        """
        Whether a first step may begin.

        Args:
            name: Folded, of an account or not.

        Returns:
            None if it is held back.
        """
        whole, place, own = _keys(name, client)
        with self._lock:
            self._forget_lost(now)
            if self.names.is_used_up(own, now):
                return None
            work, scope = self._scope(whole, place, now)
            again = now - self._held.get(own, -math.inf) < AGAIN
            entry = Entry(own, work, scope, 2 if again else 1)
            if work.fits(scope, 1, entry.factor):
                return entry
            self._hold(entry, now)
            return None

    def begin(self, entry: Entry, packet: str, rounds: float, now: float) -> bool:
        """
        A first step begins.

        Args:
            packet: By which it is known until it ends.
            rounds: What it costs.

        Returns:
            False if there is no room for that: then it is held back.
        """
        work, scope = entry.work, entry.scope
        if not packet or (work is self._all and not rounds):
            return True
        with self._lock:
            if not work.fits(scope, rounds, entry.factor):
                self._hold(entry, now)
                return False
            self._held.pop(entry.name, None)
            self._end(packet)
            self._begun[packet] = (work, scope, rounds, now)
            work.begin(scope, rounds)
            return True

    def end(self, packet: str) -> None:
        """A first step has ended, or what it costs is spent."""
        with self._lock:
            self._end(packet)

    def failed(self, name: str, client: Client, now: float) -> None:
        """A first step was refused."""
        whole, place, own = _keys(name, client)
        with self._lock:
            report = self._report(client.name)
            if self._clients.is_full(whole, now):
                report.failures = report.held = 0  # it has been quiet
            report.failures += 1
            self._clients.add(whole, -1, now)
            self._stations.add(place, -1, now)
            self.names.add(own, -1, now)

    def succeeded(self, name: str, client: Client, now: float, *, whole: bool) -> None:
        """A first factor was right; or, if `whole`, somebody is let in."""
        client_key, place, own = _keys(name, client)
        with self._lock:
            if whole and client.station:
                _put(self._trusted, place, now)
            self._clients.give_back(client_key, now, whole=whole)
            self._stations.give_back(place, now, whole=whole)
            self.names.give_back(own, now, whole=whole)

    def report(self, client: Client, now: float) -> Report | None:
        """What there is to tell of a client, if it makes noise and it is time to."""
        with self._lock:
            found = self._reports.get(client.name)
            if found is None or now - found.told < TOLD:
                return None
            if found.held < MANY and not self._clients.is_used_up((client.name,), now):
                return None
            self._reports[client.name] = Report(told=now)
            if self._stations.is_used_up((client.name, client.station), now):
                found.station = client.station
            return found

    def _scope(self, whole: Key, place: Key, now: float) -> tuple[Work, Key]:
        """Beside which work a first step counts, and with whose."""
        if place[1] and self._stations.is_used_up(place, now):
            return self._noise, place
        if place in self._trusted:
            return self._all, place
        return (self._noise if self._clients.is_used_up(whole, now) else self._all), whole

    def _hold(self, entry: Entry, now: float) -> None:
        """One is held back: as long as noise comes, time gives nothing back."""
        _put(self._held, entry.name, now, lambda one: now - self._held[one] >= AGAIN)
        if entry.work is self._noise:
            budget = self._clients if len(entry.scope) == 1 else self._stations
            budget.stand_still(entry.scope, now)
        self._report(entry.scope[0]).held += 1

    def _report(self, client: str) -> Report:
        found = self._reports.get(client) or Report()
        _put(self._reports, client, found)
        return found

    def _end(self, packet: str) -> None:
        if packet in self._begun:
            work, scope, rounds, _ = self._begun.pop(packet)
            work.end(scope, rounds)

    def _forget_lost(self, now: float) -> None:
        while self._begun:
            packet = next(iter(self._begun))
            if now - self._begun[packet][3] < LOST and len(self._begun) < KEPT:
                break
            self._end(packet)


def _keys(name: str, client: Client) -> tuple[Key, Key, Key]:
    """All that a first step counts for: client, station, name."""
    place = (client.name, client.station)
    return place[:1], place, (*place, name)


K = TypeVar("K")
V = TypeVar("V")


def _put(
    kept: dict[K, V], key: K, value: V, is_over: Callable[[K], bool] = lambda _: False
) -> None:
    """Keep something as the newest of `KEPT`; of the oldest two, forget those that are over."""
    kept.pop(key, None)
    kept[key] = value
    for one in list(itertools.islice(kept, 2)):
        if one != key and (len(kept) > KEPT or is_over(one)):
            del kept[one]
