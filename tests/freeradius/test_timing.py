"""
What stands against a login does not show in how long the answer takes.

Durations are ranked, not compared in milliseconds: the chance that a request of one kind takes
longer than one of another kind is one half where nothing tells them apart.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.noise import of_name
from radius_smsotp.model.records import Counter, Lockout
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.freeradius import Radiusd, Site

ROUNDS = 1000
"""Few, so that what else takes time is not lost in the hash."""

REQUESTS = 150
"""Of each kind; where only a few of them are told apart, `FEWER`."""

FEWER = 100

PLAIN = 0.25
"""How far from one half the chance is where anybody can tell, as by a hash that is left out."""


def alike(requests: int) -> float:
    """
    How far from one half the chance may be where distributions are equal: six times its standard
    deviation (Mann and Whitney, 1947), beyond which it is once in 10^8 runs.
    """
    return 6 * math.sqrt((2 * requests + 1) / 12) / requests


def superiority(some: Sequence[float], others: Sequence[float]) -> float:
    """
    The chance that one of `some` is longer than one of `others`, ties counted half.

    This is the U of Mann and Whitney, as a share of all pairs.
    """
    ranked = sorted(others)
    wins = sum(bisect_left(ranked, one) + bisect_right(ranked, one) for one in some)
    return wins / (2 * len(some) * len(others))


def durations(
    radiusd: Radiusd,
    kinds: dict[str, tuple[str, str]],
    requests: int = REQUESTS,
    station: str = "",
) -> dict[str, list[float]]:
    """
    Ask by turns, in another order each time, so that whatever slows this machine slows all.

    Args:
        kinds: Kind to name and password of the request.
        station: Where all of them come from.
    """
    dice = random.Random(4226)
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(requests):
        for kind in dice.sample(sorted(kinds), len(kinds)):
            # From elsewhere each time: so much of one name from one place would be held back.
            place = station or f"10.0.{number // 256}.{number % 256}"
            began = time.perf_counter()
            reply = radiusd.ask(*kinds[kind], station=place)
            taken[kind].append(time.perf_counter() - began)
            assert (reply.kind, reply.message, reply.state) == (
                "Access-Reject",
                "Login failed.",
                None,
            )
    return taken


def test_the_measure_itself() -> None:
    assert superiority([1, 2, 3], [1, 2, 3]) == 0.5
    assert superiority([4, 5], [1, 2, 3]) == 1
    assert superiority([1], [1, 2]) == 0.25
    # As distributions that are equal come out.
    dice = random.Random(4226)
    chances = [superiority(*([dice.random() for _ in range(50)] for _ in "12")) for _ in range(500)]
    assert 5.5 < alike(50) / statistics.stdev(chances) < 6.5
    assert alike(FEWER) < PLAIN


@pytest.fixture
def refusing(make_site: Callable[..., Site]) -> Site:
    """A site with an account for each thing that may stand against a login."""
    site = make_site(
        pin={"iterations": ROUNDS},
        lockout={"failures": 1_000_000, "minutes": 60},
        limits={"countries": ["+49"], "per_account_hour": 1, "cooldown": 0},
    )
    site.add("alice", rounds=ROUNDS)
    site.add("disabled", rounds=ROUNDS, enabled=False)
    site.add("pinless", text=None)
    site.add("locked", rounds=ROUNDS)
    site.add("numberless", phone=None, rounds=ROUNDS)
    site.add("abroad", phone="+12025550123", rounds=ROUNDS)
    site.add("thrifty", phone="+491701111111", rounds=ROUNDS)
    now = datetime.now(UTC)
    with site.store.write() as tx:
        tx.put_lockout("locked", Lockout(10, now, now + timedelta(hours=1)))
        tx.count_message(Counter("thrifty", "local"), "", now)
    return site


def test_kinds_of_refusal_cannot_be_told_apart(refusing: Site) -> None:
    radiusd = refusing.start()
    names = ("nobody", "disabled", "locked", "numberless", "abroad", "thrifty", "pinless")
    kinds = {name: (name, PIN) for name in names} | {"wrong PIN": ("alice", "4321")}
    taken = durations(radiusd, kinds)
    told = {
        f"{one}, {other}": round(superiority(taken[one], taken[other]), 3)
        for one, other in combinations(sorted(kinds), 2)
    }
    apart = {pair: chance for pair, chance in told.items() if abs(chance - 0.5) > alike(REQUESTS)}
    assert not apart, told
    # None of these has become another kind meanwhile.
    reasons = {name: refusing.events(name)[-1].detail.get("reason") for name in names}
    assert reasons == {
        "nobody": "unknown-account",
        "disabled": "disabled",
        "locked": "locked",
        "numberless": "no-phone",
        "abroad": "country",
        "thrifty": "per_account_hour",
        "pinless": "no-pin",
    }


def test_rounds_of_another_number_are_seen_and_tell_nobody_apart(refusing: Site) -> None:
    """
    Fifteen times the rounds are many milliseconds, which this measure finds.  It is the same for
    the account, for another one that may not log in, and for its neighbour who does not exist.
    """
    refusing.add("slow", rounds=15 * ROUNDS)
    refusing.add("slow2", rounds=15 * ROUNDS, enabled=False)
    radiusd = refusing.start()
    names = {"usual": "alice", "slow": "slow", "disabled": "slow2", "nobody": "slow1"}
    kinds = {kind: (name, "4321") for kind, name in names.items()}
    taken = durations(radiusd, kinds, FEWER)
    assert superiority(taken["slow"], taken["usual"]) - 0.5 > PLAIN
    for kind in ("disabled", "nobody"):
        assert abs(superiority(taken[kind], taken["slow"]) - 0.5) < alike(FEWER), kind


def test_what_is_held_back_is_held_back_whoever_it_is(make_site: Callable[..., Site]) -> None:
    """At once, before a hash that would take milliseconds."""
    site = make_site(pin={"iterations": 15 * ROUNDS})
    site.add("alice", rounds=15 * ROUNDS)
    site.add("pinless", text=None)
    radiusd = site.start()
    names = ("alice", "pinless", "nobody")
    for name in names:
        for _ in range(int(of_name(10).burst)):
            radiusd.ask(name, "4321", station="192.0.2.7")
    kinds = {name: (name, "4321") for name in names}
    elsewhere = durations(radiusd, {"alice": kinds["alice"]}, 30)["alice"]
    taken = durations(radiusd, kinds, FEWER, "192.0.2.7")
    for name in names:
        assert superiority(elsewhere, taken[name]) - 0.5 > PLAIN
        assert abs(superiority(taken[name], taken["alice"]) - 0.5) < alike(FEWER), name
