"""Delivery: what walks a message down the chain of providers."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp import courier as courier_module
from radius_smsotp import crew, keyring
from radius_smsotp.courier import LEASE_MARGIN
from radius_smsotp.errors import Refused, StoreError, Unavailable, Unknown
from radius_smsotp.outcome import Accepted, Challenged
from tests.site import add, eventually

if TYPE_CHECKING:
    from radius_smsotp.core.model import Delivery
    from tests.site import Gateways, Node, Site

LEASE = 10 + LEASE_MARGIN
"""Seconds that a message is held for: the longest attempt, and a margin."""

SILENCE, BUSY, NO = Unknown("silence"), Unavailable("busy"), Refused("no")


@pytest.fixture
def node(site: Site) -> Node:
    """A server with the default settings."""
    return site.node()


def begun(node: Node, user: str = "alice") -> Challenged:
    """A first step whose message is on its way."""
    challenged = node.first(user)
    assert isinstance(challenged, Challenged)
    return challenged


def delivery(node: Node, challenged: Challenged) -> Delivery:
    """What the store says of a message."""
    return node.stored(challenged.transaction_id).delivery


def hang(gateways: Gateways, name: str, then: Exception | None = None) -> threading.Event:
    """Let a provider hang until the event is set."""
    gate = threading.Event()

    def step() -> None:
        assert gate.wait(30)
        if then is not None:
            raise then

    gateways.will(name, step)
    return gate


class TestTheWay:
    def test_the_first_provider_that_takes_it_is_the_last(
        self, node: Node, gateways: Gateways
    ) -> None:
        """And the store knows which it was."""
        sent = delivery(node, node.challenge())
        assert gateways.names() == ["first"]
        assert (sent.state, sent.provider, sent.lease_owner) == ("accepted", "first", None)
        accepted = node.events()[-1]
        assert accepted.kind == "sms-accepted"
        assert accepted.detail["provider"] == "first"
        assert accepted.detail["message_id"] == "first-1"

    @pytest.mark.parametrize("error", [NO, BUSY, SILENCE, ValueError("bug")])
    def test_what_one_does_not_take_the_next_one_gets(
        self, node: Node, gateways: Gateways, error: Exception
    ) -> None:
        """At once, with the same code; each attempt is recorded."""
        gateways.will("first", error)
        challenged = node.challenge()
        assert gateways.names() == ["first", "second"]
        assert len({message.text for _, message in gateways.sent}) == 1
        assert delivery(node, challenged).provider == "second"
        verdict = getattr(error, "verdict", "unknown")
        assert node.kinds() == ["challenge-opened", f"sms-{verdict}", "sms-accepted"]

    def test_silence_may_be_the_end_of_it(self, site: Site, gateways: Gateways) -> None:
        """`delivery.unknown: stop`: it may have arrived, and a second SMS costs."""
        node = site.node(delivery={"unknown": "stop"})
        gateways.will("first", SILENCE)
        challenged = node.challenge()
        assert gateways.names() == ["first"]
        assert delivery(node, challenged).state == "unknown"
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_if_nobody_takes_it_the_challenge_is_closed(
        self, node: Node, gateways: Gateways
    ) -> None:
        """Nobody will ever have its code."""
        gateways.will("first", NO)
        gateways.will("second", BUSY)
        challenged = node.challenge()
        assert delivery(node, challenged).state == "failed"
        assert node.stored(challenged.transaction_id).state == "undelivered"
        assert node.kinds()[1:] == ["sms-refused", "sms-unavailable", "sms-undelivered"]

    @pytest.mark.parametrize("errors", [(SILENCE, NO), (NO, SILENCE)])
    def test_after_silence_it_may_have_arrived(
        self, node: Node, gateways: Gateways, errors: tuple[Exception, Exception]
    ) -> None:
        """Then the challenge stays open, whatever the others said."""
        for name, error in zip(("first", "second"), errors, strict=True):
            gateways.will(name, error)
        challenged = node.challenge()
        assert delivery(node, challenged).state == "unknown"
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_what_nobody_waits_for_any_more_goes_no_further(
        self, node: Node, gateways: Gateways
    ) -> None:
        """The SMS came although its gateway was silent, and the user is in: no second one."""
        gate = hang(gateways, "first", SILENCE)
        challenged = begun(node)
        eventually(gateways.names)
        assert node.second(challenged, node.code(challenged)) == Accepted()
        gate.set()
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["first"]
        assert node.kinds()[-1] == "sms-unknown"

    def test_what_has_expired_goes_no_further(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """A code that is worth nothing is not worth an SMS."""
        gate = hang(gateways, "first", BUSY)
        challenged = begun(node)
        eventually(gateways.names)
        site.clock.advance(300)
        gate.set()
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["first"]

    def test_a_resend_takes_the_message_over(self, node: Node, gateways: Gateways) -> None:
        """The attempt before it ends as it likes: it moves on no more, and closes nothing."""
        gate = hang(gateways, "first", BUSY)
        challenged = begun(node)
        eventually(gateways.names)
        node.second(challenged, "r")
        eventually(lambda: delivery(node, challenged).state == "accepted")
        gate.set()
        eventually(lambda: "sms-unavailable" in node.kinds())
        node.courier.close(20)
        assert gateways.names() == ["first", "second"]
        taken = delivery(node, challenged)
        assert (taken.state, taken.provider, taken.sends) == ("accepted", "second", 2)

    def test_without_its_key_a_message_is_given_up(
        self, site: Site, gateways: Gateways, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Also if another key has taken over its id: it would go to a number made of noise."""
        node = site.node(delivery={"courier": "external"})
        gone, other = begun(node), begun_again(site, node)
        key = site.folder / "key"
        key.write_text(f"new {'ab' * 32}\n")
        one = site.node()
        assert one.courier.sweep() == 2
        one.settle(gone.transaction_id)
        assert one.stored(gone.transaction_id).state == "undelivered"
        site.clock.advance(LEASE + 60)
        taken_over = begun(node)
        key.write_text(f"{node.keys.current} {'cd' * 32}\n")
        two = site.node()
        assert two.courier.sweep() == 1
        two.settle(taken_over.transaction_id)
        assert two.stored(taken_over.transaction_id).state == "undelivered"
        assert gateways.sent == []
        assert "a message is given up" in caplog.text
        assert other.transaction_id != gone.transaction_id


def begun_again(site: Site, node: Node) -> Challenged:
    """A first step of somebody else."""
    add(node, "bob", "+491709999999")
    return begun(node, "bob")


class TestWaiting:
    def test_the_verdict_ends_the_wait(self, node: Node, gateways: Gateways) -> None:
        """At once, however long it might have been."""
        gate = hang(gateways, "first")
        challenged = begun(node)
        timer = threading.Timer(0.05, gate.set)
        timer.start()
        until = time.monotonic() + 20
        assert node.courier.wait(challenged.transaction_id, until) == "accepted"

    def test_the_time_ends_the_wait(self, node: Node, gateways: Gateways) -> None:
        """The message is still on its way then."""
        hang(gateways, "first")
        challenged = begun(node)
        for until in (time.monotonic() + 0.05, time.monotonic() - 1):
            assert node.courier.wait(challenged.transaction_id, until) == "queued"

    def test_what_is_done_already_is_known(self, node: Node, gateways: Gateways) -> None:
        """From the store, by any server."""
        gateways.will("first", NO)
        gateways.will("second", NO)
        challenged = node.challenge()
        assert node.courier.wait(challenged.transaction_id, 0) == "failed"
        assert node.courier.wait("f" * 32, 0) == "failed"

    def test_a_provider_that_hangs_promises_no_verdict(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """Then nobody need wait for it; the one that stands in for it may be prompt."""
        route = ("first", "second")
        assert node.courier.is_prompt(route, 1.0)
        assert not node.courier.is_prompt((), 1.0)
        gate = hang(gateways, "first")
        challenged = begun(node)
        eventually(gateways.names)
        site.clock.advance(1)
        assert not node.courier.is_prompt(route, 1.0)
        assert node.courier.is_prompt(("second", "first"), 1.0)
        gate.set()
        node.settle(challenged.transaction_id)
        assert node.courier.is_prompt(route, 1.0)


class TestLeftBehind:
    def test_what_a_dead_process_held_is_sent_by_another(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """As soon as its lease has run out, and not before."""
        hang(gateways, "first")
        challenged = begun(node)
        eventually(gateways.names)
        other = site.node()
        site.clock.advance(LEASE - 0.1)
        assert other.courier.sweep() == 0
        site.clock.advance(0.1)
        gateways.will("first", None)
        assert other.courier.sweep() == 1
        other.settle(challenged.transaction_id)
        assert delivery(other, challenged).state == "accepted"
        assert other.courier.sweep() == 0

    def test_a_lease_lasts_for_the_slowest_provider_of_the_route(self, site: Site) -> None:
        """The first one may be skipped, and the message with the other from the start."""
        slow = {"type": "scripted", "timeout": 60}
        node = site.node(providers={"first": {"type": "scripted"}, "second": slow})
        owner, until = node.courier.lease(site.clock(), ("first", "second"))
        assert owner == node.courier.owner
        assert (until - site.clock()).total_seconds() == 60 + LEASE_MARGIN

    def test_what_waited_too_long_in_the_queue_is_left_to_who_took_it(
        self, site: Site, gateways: Gateways
    ) -> None:
        """One thread, and it hangs: another server sends the message behind it, once."""
        node = site.node(delivery={"threads": 1, "courier": "internal"})
        gate = hang(gateways, "first")
        hanging, waiting = begun(node), begun_again(site, node)
        eventually(gateways.names)
        site.clock.advance(LEASE)
        gateways.will("first", None)
        other = site.node()
        assert other.courier.sweep() == 2
        other.settle(waiting.transaction_id)
        gate.set()
        node.settle(hanging.transaction_id)
        node.settle(waiting.transaction_id)
        sent = [message.transaction_id for _, message in gateways.sent]
        assert sent.count(waiting.transaction_id) == 1

    def test_what_waited_too_long_and_nobody_took_is_sent(
        self, site: Site, gateways: Gateways
    ) -> None:
        """Late is better than never; its lease begins anew."""
        node = site.node(delivery={"threads": 1})
        gate = hang(gateways, "first")
        hanging, waiting = begun(node), begun_again(site, node)
        eventually(gateways.names)
        site.clock.advance(LEASE)
        gate.set()
        node.settle(hanging.transaction_id)
        node.settle(waiting.transaction_id)
        assert len(gateways.sent) == 2
        assert delivery(node, waiting).state == "accepted"

    def test_a_sweep_takes_no_more_than_can_be_begun(self, site: Site, gateways: Gateways) -> None:
        """The others are for the other servers."""
        node = site.node(delivery={"courier": "external", "threads": 1})
        begun(node)
        begun_again(site, node)
        gate = hang(gateways, "first")
        assert node.courier.sweep() == 1
        assert node.courier.sweep() == 0
        gate.set()
        eventually(lambda: node.courier.sweep() == 1)

    def test_providers_that_are_gone_are_replaced(self, site: Site, gateways: Gateways) -> None:
        """The settings may have changed while the message waited."""
        node = site.node(delivery={"courier": "external"})
        challenged = begun(node)
        other = site.node(providers={"new": {"type": "scripted"}})
        assert other.courier.sweep() == 1
        other.settle(challenged.transaction_id)
        assert gateways.names() == ["new"]

    def test_a_verdict_that_could_not_be_recorded_is_not_the_end(
        self, site: Site, node: Node, gateways: Gateways, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The lease runs out, and the message is taken up again."""

        def busy() -> None:
            node.store._writing.acquire()  # type: ignore[attr-defined]
            node.store._patience = 0.02  # type: ignore[attr-defined]

        gateways.will("first", busy, None)
        challenged = begun(node)
        eventually(lambda: "could not be recorded" in caplog.text)
        node.store._writing.release()  # type: ignore[attr-defined]
        assert delivery(node, challenged).state == "queued"
        site.clock.advance(LEASE)
        assert node.courier.sweep() == 1
        node.settle(challenged.transaction_id)
        assert delivery(node, challenged).state == "accepted"


class TestSweeping:
    def test_it_goes_on_whatever_happens(
        self, node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A thread that ended would leave messages behind for good."""
        monkeypatch.setitem(courier_module.SWEEP_SECONDS, "internal", 0.001)
        monkeypatch.setattr(courier_module, "TROUBLE_SECONDS", 0.001)
        errors: list[Exception | None] = [StoreError("busy"), ValueError("code 739154"), None, None]
        done = threading.Event()

        def sweep() -> int:
            error = errors.pop(0)
            if not errors:
                done.set()
                errors.append(None)
            if error is not None:
                raise error
            return 0

        monkeypatch.setattr(node.courier, "sweep", sweep)
        thread = threading.Thread(target=node.courier.sweep_forever)
        thread.start()
        assert done.wait(20)
        node.courier.close()
        thread.join(20)
        assert not thread.is_alive()
        assert "cannot look for messages to send: busy" in caplog.text
        assert "ValueError" in caplog.text
        assert "739154" not in caplog.text

    def test_it_ends_at_once(self, node: Node) -> None:
        """With the server."""
        thread = threading.Thread(target=node.courier.sweep_forever)
        thread.start()
        node.courier.close()
        thread.join(20)
        assert not thread.is_alive()


class TestExternal:
    def test_hooks_send_nothing_and_see_what_came_of_it(
        self, site: Site, gateways: Gateways
    ) -> None:
        """The process `smsotp courier` does the rest."""
        node = site.node(delivery={"courier": "external"})
        challenged = begun(node)
        stored = delivery(node, challenged)
        assert (stored.lease_owner, stored.lease_until) == (None, site.clock())
        other = site.node()
        gate = hang(gateways, "first")
        assert other.courier.sweep() == 1
        eventually(gateways.names)
        threading.Timer(0.05, gate.set).start()
        until = time.monotonic() + 20
        assert node.courier.wait(challenged.transaction_id, until) == "accepted"

    def test_a_resend_is_left_to_it_as_well(self, site: Site, gateways: Gateways) -> None:
        """With the next provider first."""
        node = site.node(delivery={"courier": "external"})
        challenged = begun(node)
        for expected in (["first"], ["first", "second"]):
            assert node.courier.sweep() == 1
            eventually(lambda: delivery(node, challenged).state == "accepted")
            assert gateways.names() == expected
            node.second(challenged, "r")


class TestBounds:
    def test_no_more_messages_are_sent_at_once_than_allowed(
        self, site: Site, gateways: Gateways
    ) -> None:
        """`delivery.threads`; the others wait."""
        node = site.node(delivery={"threads": 2})
        gate = hang(gateways, "first")
        waiting = [begun(node), begun_again(site, node)]
        eventually(lambda: len(gateways.names()) == 2)
        add(node, "carol", "+491708888888")
        waiting.append(begun(node, "carol"))
        assert len(gateways.names()) == 2
        gate.set()
        for one in waiting:
            node.settle(one.transaction_id)
        assert len(gateways.names()) == 3

    def test_what_does_not_fit_into_the_queue_stays_in_the_store(
        self,
        site: Site,
        gateways: Gateways,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Its lease runs out, and a sweep takes it up again."""
        node = site.node(delivery={"threads": 1})
        gate = hang(gateways, "first")
        begun(node)
        eventually(gateways.names)
        with monkeypatch.context() as patch:
            patch.setattr(crew, "QUEUE_MOST", 0)
            refused = begun_again(site, node)
            assert node.courier.wait(refused.transaction_id, 0) == "queued"
        assert "too many messages wait" in caplog.text
        gate.set()
        eventually(lambda: "sms-accepted" in node.kinds())
        site.clock.advance(LEASE)
        eventually(lambda: node.courier.sweep() == 1)
        node.settle(refused.transaction_id)
        assert delivery(node, refused).state == "accepted"


class TestClosing:
    def test_messages_under_way_are_finished(self, node: Node, gateways: Gateways) -> None:
        """Within the patience; then the providers are closed."""
        gate = hang(gateways, "first")
        challenged = begun(node)
        eventually(gateways.names)
        threading.Timer(0.05, gate.set).start()
        node.courier.close(20)
        assert delivery(node, challenged).state == "accepted"
        assert gateways.closed == ["first", "second"]

    def test_without_patience_nothing_is_waited_for(self, node: Node, gateways: Gateways) -> None:
        """What hangs stays in the store, under its lease."""
        hang(gateways, "first")
        challenged = begun(node)
        eventually(gateways.names)
        node.courier.close()
        assert gateways.closed == ["first", "second"]
        assert delivery(node, challenged).state == "queued"

    def test_after_it_nothing_is_taken_up(self, site: Site, gateways: Gateways) -> None:
        """Whoever comes next does."""
        node = site.node(delivery={"courier": "external"})
        begun(node)
        node.courier.close()
        assert node.courier.sweep() == 0
        assert gateways.sent == []


def test_every_attempt_is_recorded_without_a_secret(node: Node, gateways: Gateways) -> None:
    """Neither the code, nor the text, nor the number stands in any event."""
    gateways.will("first", SILENCE)
    challenged = node.challenge()
    written: list[Any] = [str(event) for event in node.events()]
    assert len(written) == 3
    for secret in (node.code(challenged), "1701234567", "is your login code"):
        assert not [line for line in written if secret in line]


def test_a_courier_is_told_from_every_other(site: Site) -> None:
    """Also from another one in the same process: each has leases of its own."""
    assert site.node().courier.owner != site.node().courier.owner
    assert keyring.read(site.folder / "key").current
