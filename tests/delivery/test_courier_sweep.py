"""Messages that nobody sends: of a process that died, or of hooks elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.delivery import courier as courier_module
from radius_smsotp.delivery.leases import MARGIN
from radius_smsotp.errors import StoreError
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from radius_smsotp.store.transaction import Transaction
    from tests.support.site import Gateways, Node, Site

LEASE = 10 + MARGIN
"""Seconds that a message is held for: the longest attempt, and a margin."""


@pytest.fixture
def node(site: Site) -> Node:
    """A server with the default settings."""
    return site.node()


def busy(node: Node, gateways: Gateways) -> None:
    """From the next message on nobody can write to the store of a server, until told otherwise."""

    def take() -> None:
        node.store._writing.acquire()  # type: ignore[attr-defined]
        node.store._patience = 0.02  # type: ignore[attr-defined]

    gateways.will("first", take, None)


class TestLeftBehind:
    def test_what_a_dead_process_held_is_sent_by_another(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """As soon as its lease has run out, and not before."""
        gateways.hang("first")
        challenged = node.begun()
        eventually(gateways.names)
        other = site.node()
        site.clock.advance(LEASE - 0.1)
        assert other.courier.sweep() == 0
        site.clock.advance(0.1)
        gateways.will("first", None)
        assert other.courier.sweep() == 1
        other.settle(challenged.transaction_id)
        assert other.message(challenged).state == "accepted"
        assert other.courier.sweep() == 0

    def test_a_second_message_does_not_wait_for_the_first_one(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """Who asks for one more while a gateway hangs has it sent, by a courier outside too."""
        hooks = site.node(delivery={"courier": "external"})
        gate = gateways.hang("first")
        challenged = hooks.begun()
        assert node.courier.sweep() == 1
        eventually(gateways.names)
        hooks.second(challenged, "r")
        assert node.courier.sweep() == 1
        eventually(lambda: gateways.names() == ["first", "second"])
        gate.set()

    def test_a_lease_lasts_for_the_slowest_provider_of_the_route(self, site: Site) -> None:
        """The first one may be skipped, and the message with the other from the start."""
        slow = {"type": "scripted", "timeout": 60}
        node = site.node(providers={"first": {"type": "scripted"}, "second": slow})
        owner, until = node.courier.lease(site.clock(), ("first", "second"))
        assert owner == node.courier.owner
        assert (until - site.clock()).total_seconds() == 60 + MARGIN

    def test_what_waited_too_long_in_the_queue_is_left_to_who_took_it(
        self, site: Site, gateways: Gateways
    ) -> None:
        """One thread, and it hangs: another server sends the message behind it, once."""
        node = site.node(delivery={"threads": 1, "courier": "internal"})
        gate = gateways.hang("first")
        hanging, waiting = node.begun(), node.begun("bob")
        eventually(gateways.names)
        site.clock.advance(LEASE)
        gateways.will("first", None)
        other = site.node(delivery={"threads": 2})
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
        gate = gateways.hang("first")
        hanging, waiting = node.begun(), node.begun("bob")
        eventually(gateways.names)
        site.clock.advance(LEASE)
        gate.set()
        node.settle(hanging.transaction_id)
        node.settle(waiting.transaction_id)
        assert len(gateways.sent) == 2
        assert node.message(waiting).state == "accepted"

    def test_a_sweep_takes_no_more_than_can_be_begun(self, site: Site, gateways: Gateways) -> None:
        """The others are for the other servers."""
        node = site.node(delivery={"courier": "external", "threads": 1})
        node.begun()
        node.begun("bob")
        gate = gateways.hang("first")
        assert node.courier.sweep() == 1
        assert node.courier.sweep() == 0
        gate.set()
        eventually(lambda: node.courier.sweep() == 1)

    def test_what_another_host_may_still_hold_stands_in_nobodys_way(
        self, site: Site, gateways: Gateways
    ) -> None:
        """However many messages a host has left behind, which are not taken up at once."""
        gateways.hang("first")
        far, near = site.node(), site.node()
        far.courier.owner = "elsewhere:1:2"
        far.begun()
        site.clock.advance(1)
        near.begun("bob")
        eventually(lambda: len(gateways.names()) == 2)
        site.clock.advance(LEASE)
        gateways.will("first", None)
        other = site.node(delivery={"threads": 1})
        assert other.courier.sweep() == 0  # it looks at as many as it could begin
        assert other.courier.sweep() == 1
        eventually(lambda: not other.courier._sendings)
        assert other.courier.sweep() == 0
        site.clock.advance(LEASE)
        assert other.courier.sweep() == 1

    def test_providers_that_are_gone_are_replaced(self, site: Site, gateways: Gateways) -> None:
        """The settings may have changed while the message waited."""
        node = site.node(delivery={"courier": "external"})
        challenged = node.begun()
        other = site.node(providers={"new": {"type": "scripted"}})
        assert other.courier.sweep() == 1
        other.settle(challenged.transaction_id)
        assert gateways.names() == ["new"]

    def test_what_has_left_is_recorded_when_the_store_is_back(
        self, site: Site, node: Node, gateways: Gateways, caplog: pytest.LogCaptureFixture
    ) -> None:
        """However long that takes: nobody sends it once more."""
        busy(node, gateways)
        challenged = node.begun()
        eventually(lambda: "is recorded when the store is back" in caplog.text)
        assert node.message(challenged).state == "queued"
        site.clock.advance(LEASE)
        assert node.courier.sweep() == 0
        node.store._writing.release()  # type: ignore[attr-defined]
        node.settle(challenged.transaction_id)
        assert node.message(challenged).state == "accepted"
        assert gateways.names() == ["first"]

    def test_what_was_recorded_unheard_is_not_recorded_twice(
        self, node: Node, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A connection may break after the commit."""
        whole, answers = node.store.write, [StoreError("it was cut")]

        @contextmanager
        def cut(*accounts: str, **more: bool) -> Iterator[Transaction]:
            with whole(*accounts, **more) as tx:
                yield tx
            if answers:
                raise answers.pop()

        gateways.will("first", lambda: monkeypatch.setattr(node.store, "write", cut))
        challenged = node.challenge()
        assert not answers
        with node.store.read() as tx:
            assert len(tx.attempts(challenged.transaction_id)) == 1
        assert node.kinds().count("sms-accepted") == 1

    def test_a_verdict_that_could_not_be_recorded_is_not_the_end(
        self, site: Site, node: Node, gateways: Gateways, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Of one that ends meanwhile the lease runs out, and the message is taken up again."""
        busy(node, gateways)
        challenged = node.begun()
        eventually(lambda: "is recorded when the store is back" in caplog.text)
        node.courier.close()
        eventually(lambda: "could not be recorded" in caplog.text)
        node.store._writing.release()  # type: ignore[attr-defined]
        assert node.message(challenged).state == "queued"
        other = site.node()
        site.clock.advance(LEASE)
        gateways.will("first", None)
        assert other.courier.sweep() == 1
        other.settle(challenged.transaction_id)
        assert other.message(challenged).state == "accepted"


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
        challenged = node.begun()
        stored = node.message(challenged)
        assert (stored.lease_owner, stored.lease_until) == (None, courier_module.FREE)
        other = site.node()
        gate = gateways.hang("first")
        assert other.courier.sweep() == 1
        eventually(gateways.names)
        threading.Timer(0.05, gate.set).start()
        until = time.monotonic() + 20
        assert node.courier.wait(challenged.transaction_id, until) == "accepted"

    def test_a_resend_is_left_to_it_as_well(self, site: Site, gateways: Gateways) -> None:
        """With the next provider first."""
        node = site.node(delivery={"courier": "external"})
        challenged = node.begun()
        for expected in (["first"], ["first", "second"]):
            assert node.courier.sweep() == 1
            eventually(lambda: node.message(challenged).state == "accepted")
            assert gateways.names() == expected
            node.second(challenged, "r")
