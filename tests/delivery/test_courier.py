"""Delivery: what walks a message down the chain of providers."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.delivery import threads
from radius_smsotp.delivery.leases import MARGIN
from radius_smsotp.errors import Busy, Refused, Unavailable, Unknown
from radius_smsotp.login.answers import Accepted
from radius_smsotp.settings import keyring
from tests.support.site import add, eventually

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

LEASE = 10 + MARGIN
"""Seconds that a message is held for: the longest attempt, and a margin."""

SILENCE, AWAY, NO = Unknown("silence"), Unavailable("away"), Refused("no")


@pytest.fixture
def node(site: Site) -> Node:
    """A server with the default settings."""
    return site.node()


class TestTheWay:
    def test_the_first_provider_that_takes_it_is_the_last(
        self, node: Node, gateways: Gateways
    ) -> None:
        """And the store knows which it was."""
        sent = node.message(node.challenge())
        assert gateways.names() == ["first"]
        assert (sent.state, sent.provider, sent.lease_owner) == ("accepted", "first", None)
        accepted = node.events()[-1]
        assert accepted.kind == "sms-accepted"
        assert accepted.detail["provider"] == "first"
        assert accepted.detail["message_id"] == "first-1"

    @pytest.mark.parametrize("error", [NO, Busy("full"), AWAY, SILENCE, ValueError("bug")])
    def test_what_one_does_not_take_the_next_one_gets(
        self, node: Node, gateways: Gateways, error: Exception
    ) -> None:
        """At once, with the same code; each attempt is recorded."""
        gateways.will("first", error)
        challenged = node.challenge()
        assert gateways.names() == ["first", "second"]
        assert len({message.text for _, message in gateways.sent}) == 1
        assert node.message(challenged).provider == "second"
        verdict = getattr(error, "verdict", "unknown")
        assert node.kinds() == ["challenge-opened", f"sms-{verdict}", "sms-accepted"]

    def test_an_attempt_for_who_was_erased_leaves_no_line(
        self, node: Node, gateways: Gateways
    ) -> None:
        """It may end after that; nothing brings the name back, and nobody else is asked."""
        gate = gateways.hang("first", NO)
        challenged = node.begun()
        with node.store.write("alice") as tx:
            tx.erase("alice", [], node.clock())
        gate.set()
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["first"]
        with node.store.read() as tx:
            assert list(tx.kept("alice", [])) == []
            assert tx.attempts(challenged.transaction_id) == []

    def test_silence_may_be_the_end_of_it(self, site: Site, gateways: Gateways) -> None:
        """`delivery.unknown: stop`: it may have arrived, and a second SMS costs."""
        node = site.node(delivery={"unknown": "stop"})
        gateways.will("first", SILENCE)
        challenged = node.challenge()
        assert gateways.names() == ["first"]
        assert node.message(challenged).state == "unknown"
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_if_nobody_takes_it_the_challenge_is_closed(
        self, node: Node, gateways: Gateways
    ) -> None:
        """Nobody will ever have its code."""
        gateways.will("first", NO)
        gateways.will("second", NO)
        challenged = node.challenge()
        assert node.message(challenged).state == "failed"
        assert node.stored(challenged.transaction_id).state == "undelivered"
        assert node.kinds()[1:] == ["sms-refused", "sms-refused", "sms-undelivered"]

    @pytest.mark.parametrize("errors", [(SILENCE, NO), (NO, SILENCE)])
    def test_after_silence_it_may_have_arrived(
        self, node: Node, gateways: Gateways, errors: tuple[Exception, Exception]
    ) -> None:
        """Then the challenge stays open, whatever the others said."""
        for name, error in zip(("first", "second"), errors, strict=True):
            gateways.will(name, error)
        challenged = node.challenge()
        assert node.message(challenged).state == "unknown"
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_what_nobody_waits_for_any_more_goes_no_further(
        self, node: Node, gateways: Gateways
    ) -> None:
        """The SMS came although its gateway was silent, and the user is in: no second one."""
        gate = gateways.hang("first", SILENCE)
        challenged = node.begun()
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
        gate = gateways.hang("first", AWAY)
        challenged = node.begun()
        eventually(gateways.names)
        site.clock.advance(300)
        gate.set()
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["first"]

    def test_a_resend_takes_the_message_over(self, node: Node, gateways: Gateways) -> None:
        """The attempt before it ends as it likes: it moves on no more, and closes nothing."""
        gate = gateways.hang("first", AWAY)
        challenged = node.begun()
        eventually(gateways.names)
        node.second(challenged, "r")
        eventually(lambda: node.message(challenged).state == "accepted")
        gate.set()
        eventually(lambda: "sms-unavailable" in node.kinds())
        node.courier.close(20)
        assert gateways.names() == ["first", "second"]
        taken = node.message(challenged)
        assert (taken.state, taken.provider, taken.number) == ("accepted", "second", 2)

    def test_without_its_key_a_message_is_given_up(
        self, site: Site, gateways: Gateways, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Also if another key has taken over its id: it would go to a number made of noise."""
        node = site.node(delivery={"courier": "external"})
        gone, other = node.begun(), node.begun("bob")
        key = site.folder / "key"
        key.write_text(f"new {'ab' * 32}\n")
        one = site.node()
        assert one.courier.sweep() == 2
        one.settle(gone.transaction_id)
        assert one.stored(gone.transaction_id).state == "undelivered"
        site.clock.advance(LEASE + 60)
        taken_over = node.begun()
        key.write_text(f"{node.keys.current} {'cd' * 32}\n")
        two = site.node()
        assert two.courier.sweep() == 1
        two.settle(taken_over.transaction_id)
        assert two.stored(taken_over.transaction_id).state == "undelivered"
        assert gateways.sent == []
        assert "a message is given up" in caplog.text
        assert other.transaction_id != gone.transaction_id


class TestWaiting:
    def test_the_verdict_ends_the_wait(self, node: Node, gateways: Gateways) -> None:
        """At once, however long it might have been."""
        gate = gateways.hang("first")
        challenged = node.begun()
        timer = threading.Timer(0.05, gate.set)
        timer.start()
        until = time.monotonic() + 20
        assert node.courier.wait(challenged.transaction_id, until) == "accepted"

    def test_nor_does_the_record_prolong_it(self, node: Node, gateways: Gateways) -> None:
        """A database further away, say: what it is told then changes nothing for who waits."""
        writing = node.store._writing  # type: ignore[attr-defined]
        gateways.will("first", writing.acquire)
        challenged = node.begun()
        until = time.monotonic() + 20
        assert node.courier.wait(challenged.transaction_id, until) == "accepted"
        assert node.message(challenged).state == "queued"
        writing.release()
        node.settle(challenged.transaction_id)
        assert node.message(challenged).state == "accepted"

    def test_who_comes_late_need_not_ask_the_store(
        self, node: Node, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those who wait do so one after the other: a way there and back each would add up."""
        gate = gateways.hang("first")
        challenged = node.begun()
        wait = node.courier.waiting(challenged.transaction_id)
        gate.set()
        assert node.courier.wait(challenged.transaction_id, time.monotonic() + 20) == "accepted"
        monkeypatch.setattr(node.store, "read", None)
        assert wait(0) == "accepted"

    def test_the_time_ends_the_wait(self, node: Node, gateways: Gateways) -> None:
        """The message is still on its way then."""
        gateways.hang("first")
        challenged = node.begun()
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
        assert node.courier.patience(route, 1.0) == 1.0
        assert node.courier.patience((), 1.0) == 0
        gate = gateways.hang("first")
        challenged = node.begun()
        eventually(gateways.names)
        site.clock.advance(1)
        assert node.courier.patience(route, 1.0) == 0
        assert node.courier.patience(("second", "first"), 1.0) == 1.0
        gate.set()
        node.settle(challenged.transaction_id)
        assert node.courier.patience(route, 1.0) == 1.0


class TestBounds:
    def test_no_more_messages_are_sent_at_once_than_allowed(
        self, site: Site, gateways: Gateways
    ) -> None:
        """`delivery.threads`; the others wait."""
        node = site.node(delivery={"threads": 2})
        gate = gateways.hang("first")
        waiting = [node.begun(), node.begun("bob")]
        eventually(lambda: len(gateways.names()) == 2)
        add(node, "carol", "+491708888888")
        waiting.append(node.begun("carol"))
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
        gate = gateways.hang("first")
        node.begun()
        eventually(gateways.names)
        with monkeypatch.context() as patch:
            patch.setattr(threads, "QUEUE_MOST", 0)
            refused = node.begun("bob")
            assert node.courier.wait(refused.transaction_id, 0) == "queued"
        assert "too many messages wait" in caplog.text
        gate.set()
        eventually(lambda: "sms-accepted" in node.kinds())
        site.clock.advance(LEASE)
        eventually(lambda: node.courier.sweep() == 1)
        node.settle(refused.transaction_id)
        assert node.message(refused).state == "accepted"


class TestClosing:
    def test_messages_under_way_are_finished(self, node: Node, gateways: Gateways) -> None:
        """Within the patience; then the providers are closed."""
        gate = gateways.hang("first")
        challenged = node.begun()
        eventually(gateways.names)
        threading.Timer(0.05, gate.set).start()
        node.courier.close(20)
        assert node.message(challenged).state == "accepted"
        assert gateways.closed == ["first", "second"]

    def test_without_patience_nothing_is_waited_for(self, node: Node, gateways: Gateways) -> None:
        """What hangs stays in the store, under its lease."""
        gateways.hang("first")
        challenged = node.begun()
        eventually(gateways.names)
        node.courier.close()
        assert gateways.closed == ["first", "second"]
        assert node.message(challenged).state == "queued"

    def test_after_it_nothing_is_taken_up(self, site: Site, gateways: Gateways) -> None:
        """Whoever comes next does."""
        node = site.node(delivery={"courier": "external"})
        node.begun()
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
