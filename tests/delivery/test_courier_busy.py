"""Busy is not no: a message that no provider has room for comes again, while its code lives."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.delivery import courier as courier_module
from radius_smsotp.errors import Busy, Refused, Unavailable, Unknown
from radius_smsotp.login.answers import Accepted
from tests.support.site import RunningClock, Site, add, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from radius_smsotp.login.answers import Challenged
    from tests.support.site import Gateways, Node

FULL, AWAY, SILENCE, NO = Busy("full"), Unavailable("away"), Unknown("silence"), Refused("no")

AGAIN = 2.0
"""Seconds after which a message that was turned away once has come again."""


@pytest.fixture
def node(site: Site) -> Node:
    """A server with one provider."""
    return site.node(providers={"first": {"type": "scripted"}})


def come_again(node: Node, challenged: Challenged, seconds: float = AGAIN) -> str:
    """Let time pass, have a look at what waits, and say what became of a message."""
    node.clock.advance(seconds)
    node.courier.sweep()
    node.settle(challenged.transaction_id)
    return node.message(challenged).state


class TestComesAgain:
    @pytest.mark.parametrize("error", [FULL, AWAY])
    def test_what_nobody_takes_now_is_sent_later(
        self, node: Node, gateways: Gateways, error: Exception
    ) -> None:
        """The challenge stays open, and nobody waits for a verdict that cannot come."""
        gateways.will("first", error, None)
        challenged = node.begun()
        begun = time.monotonic()
        assert node.courier.wait(challenged.transaction_id, begun + 60) == "queued"
        assert time.monotonic() - begun < 30
        waiting = node.message(challenged)
        assert (waiting.postponed, waiting.tries, waiting.lease_owner) == (True, 1, None)
        assert node.courier.wait(challenged.transaction_id, time.monotonic() + 60) == "queued"
        assert come_again(node, challenged, 0.1) == "queued"
        assert come_again(node, challenged) == "accepted"
        assert gateways.names() == ["first", "first"]
        verdict = "busy" if error is FULL else "unavailable"
        told = ["challenge-opened", f"sms-{verdict}", "sms-postponed", "sms-accepted"]
        assert node.kinds() == told
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_it_is_tried_ever_more_rarely(self, node: Node, gateways: Gateways) -> None:
        """With full jitter, of which this is the middle."""
        gateways.will("first", AWAY)
        challenged, waits = node.challenge(), []
        for _ in range(6):
            waits.append((node.message(challenged).not_before - node.clock()).total_seconds())  # type: ignore[operator]
            come_again(node, challenged, waits[-1])
        assert waits == [0.6, 1.1, 2.1, 4.1, 7.6, 7.6]

    def test_retry_after_is_kept(self, site: Site, node: Node, gateways: Gateways) -> None:
        """By the message that was told so; others are tried at once."""
        gateways.will("first", Busy("429", retry_after=60), None)
        challenged = node.challenge()
        other = node.challenge("bob")
        assert node.message(other).state == "accepted"
        assert come_again(node, challenged, 59.9) == "queued"
        assert come_again(site.node(), challenged, 0.1) == "accepted"

    def test_a_provider_that_is_asked_for_longer_than_the_code_lives_has_said_no(
        self, node: Node, gateways: Gateways
    ) -> None:
        """The user need not wait for what will not come."""
        gateways.will("first", Busy("429", retry_after=300))
        challenged = node.challenge()
        assert node.message(challenged).state == "failed"
        assert node.kinds()[-1] == "sms-undelivered"

    def test_after_a_restart_another_process_sends_it_once(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """The row says when, and the lease who: of two that look, one sends."""
        gateways.will("first", FULL, None)
        challenged = node.challenge()
        node.courier.close()
        one, two = site.node(), site.node()
        site.clock.advance(AGAIN)
        barrier = threading.Barrier(2)

        def look(server: Node) -> None:
            barrier.wait(20)
            server.courier.sweep()

        threads = [threading.Thread(target=look, args=(server,)) for server in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        for server in (one, two):
            server.settle(challenged.transaction_id)
        assert gateways.names() == ["first", "first"]
        assert one.message(challenged).state == "accepted"


class TestTheWay:
    def test_the_next_provider_comes_first(self, site: Site, gateways: Gateways) -> None:
        """At once; only when none has room the message waits, for all of them."""
        node = site.node()
        gateways.will("first", FULL)
        challenged = node.challenge()
        assert (gateways.names(), node.message(challenged).state) == (
            ["first", "second"],
            "accepted",
        )
        gateways.will("second", AWAY, None)
        other = node.challenge("bob")
        assert node.message(other).route == ("first", "second")
        assert come_again(node, other) == "accepted"
        assert gateways.names()[2:] == ["first", "second", "first", "second"]

    def test_who_has_said_no_is_not_asked_again(self, site: Site, gateways: Gateways) -> None:
        """The same message would get the same answer; nor is who may have sent it."""
        node = site.node(providers={name: {"type": "scripted"} for name in ("a", "b", "c")})
        gateways.will("a", NO)
        gateways.will("b", SILENCE)
        gateways.will("c", FULL, FULL, NO)
        challenged = node.challenge()
        assert node.message(challenged).route == ("c",)
        assert come_again(node, challenged) == "queued"
        assert come_again(node, challenged, 5) == "unknown"
        assert gateways.names() == ["a", "b", "c", "c", "c"]
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_if_all_say_no_in_the_end_the_challenge_is_closed(
        self, node: Node, gateways: Gateways
    ) -> None:
        """Nobody will ever have its code."""
        gateways.will("first", FULL, NO)
        challenged = node.challenge()
        assert come_again(node, challenged) == "failed"
        assert node.stored(challenged.transaction_id).state == "undelivered"

    def test_who_waits_for_a_provider_that_hangs_holds_one_thread(
        self, site: Site, gateways: Gateways
    ) -> None:
        """Of those that come again one tries a provider that is skipped; the others look later."""
        node = site.node(providers={"first": {"type": "scripted"}})
        gateways.will("first", AWAY)
        challenges = [node.challenge("alice"), node.challenge("bob")]
        for name in ("carol", "dave"):
            add(site, name, "+491708888888")
            challenges.append(node.challenge(name))
        gate, tried = gateways.hang("first", AWAY), len(gateways.names())
        site.clock.advance(AGAIN)
        assert node.courier.sweep() == 1
        eventually(lambda: len(gateways.names()) == tried + 1)
        site.clock.advance(AGAIN)
        assert node.courier.sweep() == 0
        gate.set()


class TestTheEnd:
    def test_nothing_is_sent_for_a_code_that_has_expired(
        self, site: Site, gateways: Gateways
    ) -> None:
        """The last try lies before that; then the challenge is closed."""
        node = site.node(providers={"first": {"type": "scripted"}}, code={"lifetime": 30})
        gateways.will("first", FULL)
        challenged = node.challenge()
        for _ in range(300):
            come_again(node, challenged, 0.1)
        assert node.message(challenged).state == "failed"
        assert node.kinds()[-1] == "sms-undelivered"
        tried = len(gateways.names())
        assert tried > 3
        assert come_again(node, challenged, 60) == "failed"
        assert len(gateways.names()) == tried

    def test_nor_for_one_that_was_spent(self, node: Node, gateways: Gateways) -> None:
        """The helpdesk may have read it out, or the SMS of a silent gateway has come."""
        gateways.will("first", FULL, None)
        challenged = node.challenge()
        assert node.second(challenged, node.code(challenged)) == Accepted()
        assert come_again(node, challenged) == "failed"
        assert gateways.names() == ["first"]

    def test_who_asks_for_one_more_gets_that_one_alone(
        self, node: Node, gateways: Gateways
    ) -> None:
        """At once, and not after the one before it."""
        gateways.will("first", FULL, None)
        challenged = node.challenge()
        node.second(challenged, "r")
        node.settle(challenged.transaction_id)
        assert (node.message(challenged).number, node.message(challenged).tries) == (2, 0)
        assert come_again(node, challenged) == "accepted"
        assert gateways.names() == ["first", "first"]

    def test_a_newer_login_takes_the_place_of_what_waits(
        self, node: Node, gateways: Gateways
    ) -> None:
        """Its code does as well: one SMS, not two."""
        gateways.will("first", *[Busy("full", retry_after=100)] * 2, None)
        old = node.challenge()
        node.clock.advance(60)
        new = node.challenge()
        assert new.transaction_id != old.transaction_id
        assert node.message(old).state == "replaced"
        assert come_again(node, new, 100) == "accepted"
        assert len(gateways.sent) == 3
        assert node.second(old, node.code(new)) == Accepted()

    def test_a_repeat_within_the_cooldown_waits_for_the_same(
        self, node: Node, gateways: Gateways
    ) -> None:
        """And keeps nobody waiting for a verdict."""
        gateways.will("first", FULL, None)
        challenged = node.challenge()
        again = node.begun()
        assert (again.transaction_id, again.wait) == (challenged.transaction_id, 0)
        assert come_again(node, challenged) == "accepted"


class TestPerSecond:
    def test_what_is_more_waits_for_its_turn(self, site: Site, gateways: Gateways) -> None:
        """And is told of; the prompt goes out at once."""
        node = site.node(providers={"first": {"type": "scripted", "per_second": 0.5}})
        first, second = node.challenge(), node.challenge("bob")
        assert (node.message(first).state, node.message(second).state) == ("accepted", "queued")
        told = node.events("bob")[-1]
        assert (told.kind, told.detail) == (
            "sms-postponed",
            {"reason": "pace", "provider": "first", "wait": 2.0},
        )
        assert come_again(node, second, 1.9) == "queued"
        assert come_again(node, second, 0.1) == "accepted"
        assert node.kinds("bob") == ["challenge-opened", "sms-postponed", "sms-accepted"]

    def test_another_provider_takes_it_if_that_is_sooner(
        self, site: Site, gateways: Gateways
    ) -> None:
        """By more than a second: for less nobody pays for another gateway."""
        paced = {"type": "scripted", "per_second": 1}
        node = site.node(providers={"first": paced, "second": {"type": "scripted"}})
        challenges = [node.challenge(), node.challenge("bob")]
        add(site, "carol", "+491708888888")
        challenges.append(node.challenge("carol"))
        states = [node.message(one).state for one in challenges]
        assert states == ["accepted", "queued", "accepted"]
        assert gateways.names() == ["first", "second"]

    def test_a_courier_outside_keeps_it_too(self, site: Site, gateways: Gateways) -> None:
        """Who has no turn stays in the store, and is told of once."""
        paced = {"first": {"type": "scripted", "per_second": 0.5}}
        hooks = site.node(delivery={"courier": "external"}, providers=paced)
        challenges = [hooks.begun(), hooks.begun("bob")]
        add(site, "carol", "+491708888888")
        challenges.append(hooks.begun("carol"))
        courier = site.node().courier
        counts = []
        for _ in range(5):
            counts.append(courier.sweep())
            eventually(lambda: not courier._sendings)
            site.clock.advance(1)
        assert counts == [1, 0, 1, 0, 1]
        assert [hooks.message(one).state for one in challenges] == ["accepted"] * 3
        assert hooks.kinds("carol").count("sms-postponed") == 1


class Throttle:
    """A gateway that takes so many in any second, and says of the others that they are too many."""

    def __init__(self, per_second: int) -> None:
        self.turned_away = 0
        self._per_second = per_second
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            now = time.monotonic()
            while self._taken and self._taken[0] <= now - 1:
                self._taken.popleft()
            if len(self._taken) >= self._per_second:
                self.turned_away += 1
                raise Busy("ESME_RTHROTTLED")
            self._taken.append(now)


@pytest.mark.slow
@pytest.mark.parametrize("per_second", [None, 2.0])
def test_at_a_gateway_that_takes_two_a_second_all_get_theirs(
    tmp_path: Path, gateways: Gateways, per_second: float | None
) -> None:
    """Twelve at once are through after some 6 seconds; who goes elsewhere does not notice."""
    paced = {"type": "scripted", "per_second": per_second}
    site = Site(tmp_path, RunningClock(), gateways)
    other = {"prefixes": {"+43": ["second"]}, "order": ["first"]}
    node = site.node(delivery=other, providers={"first": paced, "second": {"type": "scripted"}})
    throttle = Throttle(2)
    gateways.will("first", throttle)
    names = [f"user{number}" for number in range(12)]
    for number, name in enumerate(names):
        add(site, name, f"+4917012345{number:02}")
    add(site, "austrian", "+436641234567")
    sweep = threading.Thread(target=node.courier.sweep_forever, daemon=True)
    sweep.start()
    challenges = [node.begun(name) for name in names]
    assert node.message(node.challenge("austrian")).state == "accepted"
    eventually(lambda: {node.message(one).state for one in challenges} == {"accepted"})
    taken = [
        event.time for name in names for event in node.events(name) if event.kind == "sms-accepted"
    ]
    opened = min(event.time for event in node.events(names[0]))
    assert len(taken) == 12
    # Seven seconds on a machine that does nothing else: the tenth part of what a code lives.
    assert (max(taken) - opened).total_seconds() < courier_module.SWEEP_SECONDS["internal"] * 15
    assert per_second is None or throttle.turned_away <= 2
    site.close()
    sweep.join(20)
