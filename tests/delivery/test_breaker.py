"""Which providers a message goes through."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from radius_smsotp.delivery import breaker
from radius_smsotp.delivery.breaker import FIRST_PAUSE, LONGEST_PAUSE, SLOW_AFTER, Health

NOW = timedelta(hours=12)
SECOND = timedelta(seconds=1)


def sent(health: Health, verdict: str, now: timedelta = NOW, **more: object) -> Health:
    """One send that begins and ends at `now`."""
    return breaker.ended(breaker.started(health, now), now, verdict, now, **more)  # type: ignore[arg-type]


def failed(times: int, now: timedelta = NOW) -> Health:
    """A provider that failed so often in a row."""
    health = Health()
    for _ in range(times):
        health = sent(health, "unavailable", now)
    return health


@pytest.mark.parametrize("verdict", ["unavailable", "unknown"])
def test_three_failures_in_a_row_open_the_breaker(verdict: str) -> None:
    """Two do not; after the third it is skipped for the first pause."""
    health = sent(sent(Health(), verdict), verdict)
    assert breaker.state(health, NOW) == "closed"
    health = sent(health, verdict)
    assert breaker.state(health, NOW) == "open"
    assert breaker.state(health, NOW + FIRST_PAUSE - SECOND / 1000) == "open"
    assert breaker.state(health, NOW + FIRST_PAUSE) == "probing"


@pytest.mark.parametrize("verdict", ["accepted", "refused", "busy"])
def test_what_was_answered_is_no_failure(verdict: str) -> None:
    """A refusal is about one message, and who is busy is there: the row of failures ends."""
    health = sent(failed(2), verdict)
    assert health.failures == 0
    assert breaker.state(sent(sent(health, "unknown"), "unknown"), NOW) == "closed"


def test_out_of_order_is_skipped_at_once() -> None:
    """A wrong password or an empty credit refuses every message."""
    health = sent(Health(), "refused", out_of_order=True)
    assert breaker.state(health, NOW) == "open"
    assert health.skip_until == NOW + FIRST_PAUSE


def test_a_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    """15, 30, 60, 120, 240, then always 300 seconds."""
    health, now, pauses = failed(3), NOW, []
    for _ in range(7):
        assert health.skip_until is not None
        pauses.append((health.skip_until - now).total_seconds())
        now = health.skip_until
        health = sent(health, "unavailable", now)
    assert pauses == [15, 30, 60, 120, 240, 300, 300]


def test_a_probe_that_works_closes_the_breaker() -> None:
    """It is used again, and the next pause is a first one."""
    probed = NOW + FIRST_PAUSE
    health = sent(failed(3), "accepted", probed)
    assert breaker.state(health, probed) == "closed"
    assert (health.pause, health.failures) == (timedelta(0), 0)


def test_one_probe_is_enough() -> None:
    """While it is under way, the provider is skipped."""
    probed = NOW + FIRST_PAUSE
    health = breaker.started(failed(3), probed)
    assert breaker.state(health, probed) == "open"


def test_sends_that_were_under_way_do_not_lengthen_the_pause() -> None:
    """A gateway that hangs fails for every thread at once: that is one failure, not sixty."""
    health = Health()
    for _ in range(60):
        health = breaker.started(health, NOW)
    ended = NOW + timedelta(seconds=10)
    for _ in range(60):
        health = breaker.ended(health, NOW, "unknown", ended)
    assert health.skip_until == ended + FIRST_PAUSE
    assert health.pause == FIRST_PAUSE


def test_a_send_that_was_under_way_does_not_end_a_probe() -> None:
    """What began before the pause says nothing of the probe, and lets no second one go."""
    health = breaker.started(failed(2), NOW)
    health = sent(health, "unavailable")
    probed = NOW + FIRST_PAUSE
    health = breaker.started(health, probed)
    health = breaker.ended(health, NOW, "unknown", probed)
    assert breaker.state(health, probed) == "open"


def test_three_slow_sends_open_the_breaker_before_they_end() -> None:
    """Three that have had no answer for two seconds count as three failures."""
    health = Health()
    for _ in range(3):
        health = breaker.started(health, NOW)
    assert breaker.state(health, NOW + SLOW_AFTER - SECOND / 1000) == "closed"
    assert breaker.state(health, NOW + SLOW_AFTER) == "open"
    for _ in range(3):
        health = breaker.ended(health, NOW, "accepted", NOW + 5 * SECOND)
    assert breaker.state(health, NOW + 5 * SECOND) == "closed"


def test_skipped_providers_come_last_and_not_never() -> None:
    """If all others fail, one that failed a minute ago is better than no SMS."""
    health = {"a": failed(3), "c": failed(3)}
    assert breaker.usable("abcd", health, NOW) == ["b", "d", "a", "c"]


def test_a_provider_to_be_probed_stands_in_its_place() -> None:
    """The next message tries it, in the order of the settings."""
    health = {"a": failed(3)}
    assert breaker.usable("ab", health, NOW + FIRST_PAUSE) == ["a", "b"]


def taking(*seconds: float) -> Health:
    """A provider whose verdicts took so long."""
    health = Health()
    for one in seconds:
        end = NOW + timedelta(seconds=one)
        health = breaker.ended(breaker.started(health, NOW), NOW, "accepted", end)
    return health


def test_of_a_provider_that_is_not_known_yet_nobody_expects_less_than_the_settings_allow() -> None:
    """The first message of the day may take its time."""
    assert breaker.patience(Health(), 2 * SECOND, NOW) == 2 * SECOND


def test_a_provider_is_waited_for_as_long_as_it_usually_takes() -> None:
    """One that answers at once and then hangs stops nobody for the whole of `delivery.wait`."""
    assert breaker.patience(taking(0.1, 0.02), 2 * SECOND, NOW) == timedelta(seconds=0.5)
    assert breaker.patience(taking(5), 2 * SECOND, NOW) == 2 * SECOND
    late = breaker.started(taking(0.1), NOW)
    assert breaker.patience(late, 2 * SECOND, NOW + SECOND / 4) == timedelta(seconds=0.5)
    assert breaker.patience(late, 2 * SECOND, NOW + SECOND / 2) == timedelta(0)


def test_how_long_it_usually_takes_is_forgotten_again() -> None:
    """One slow message does not make it slow for ever; a failure says nothing of it."""
    slow = taking(5, *[0.1] * (breaker.VERDICTS_KEPT - 1))
    assert breaker.patience(slow, 2 * SECOND, NOW) == 2 * SECOND
    assert breaker.patience(taking(5, *[0.1] * 8), 2 * SECOND, NOW) == SECOND / 2
    for verdict in ("unavailable", "busy"):
        assert sent(taking(0.1), verdict).took == (SECOND / 10,)


class Breaker(RuleBasedStateMachine):
    """Any sequence of sends, whenever they begin and end."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = NOW
        self.under_way: list[timedelta] = []
        self.in_a_row = 0

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def a_send_begins(self) -> None:
        self.under_way.append(self.now)
        self.health = breaker.started(self.health, self.now)

    @precondition(lambda self: self.under_way)
    @rule(
        data=st.data(),
        verdict=st.sampled_from(["accepted", "refused", "busy", "unavailable", "unknown"]),
        out_of_order=st.booleans(),
    )
    def a_send_ends(self, data: st.DataObject, verdict: str, out_of_order: bool) -> None:
        start = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(start)
        works = verdict in {"accepted", "busy"} or (verdict == "refused" and not out_of_order)
        before = self.health
        self.health = breaker.ended(
            before,
            start,
            verdict,  # type: ignore[arg-type]
            self.now,
            out_of_order=out_of_order,
        )
        self.in_a_row = 0 if works else self.in_a_row + 1
        if works:
            assert breaker.state(self.health, self.now) != "open" or self.slow() >= 3
        elif before.skip_until is not None:
            assert self.health.skip_until is not None
            assert self.health.skip_until >= before.skip_until

    def slow(self) -> int:
        """Sends without an answer for long."""
        return sum(1 for start in self.under_way if self.now - start >= SLOW_AFTER)

    @invariant()
    def failures_are_counted_in_a_row(self) -> None:
        assert self.health.failures == self.in_a_row
        assert sorted(self.health.sending_since) == sorted(self.under_way)

    @invariant()
    def a_pause_is_bounded_and_ends(self) -> None:
        assert timedelta(0) <= self.health.pause <= LONGEST_PAUSE
        if self.health.skip_until is not None:
            assert self.health.skip_until <= self.now + LONGEST_PAUSE

    @invariant()
    def what_works_is_not_skipped_and_what_fails_is(self) -> None:
        if self.health.skip_until is None:
            is_open = self.in_a_row + self.slow() >= breaker.FAILURES_TO_OPEN
            assert (breaker.state(self.health, self.now) == "open") == is_open
        elif self.now < self.health.skip_until:
            assert breaker.state(self.health, self.now) == "open"

    @invariant()
    def a_breaker_that_nobody_probes_lets_a_probe_through(self) -> None:
        if not self.under_way and self.health.skip_until is not None:
            after = max(self.now, self.health.skip_until)
            assert breaker.state(self.health, after) == "probing"

    @invariant()
    def a_route_keeps_every_provider_once(self) -> None:
        route = breaker.usable("xyz", {"y": self.health}, self.now)
        assert sorted(route) == ["x", "y", "z"]
        assert route.index("x") < route.index("z")


TestBreaker = Breaker.TestCase
TestBreaker.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
