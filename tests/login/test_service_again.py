"""Who comes again: repeated first steps, one more SMS, remembered devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import Refused
from radius_smsotp.login.answers import Accepted, Challenged, Rejected
from radius_smsotp.model.records import Client
from radius_smsotp.settings.schema import TextSettings
from tests.support.site import kind

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

TEXTS = TextSettings()


@pytest.fixture
def node(site: Site) -> Node:
    """A server with the default settings."""
    return site.node()


class TestRepeat:
    def test_a_repeat_gets_the_same_challenge_and_no_sms(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """Within the cooldown, on any server."""
        first = node.challenge()
        site.clock.advance(59.9)
        for server in (node, site.node()):
            assert server.challenge().transaction_id == first.transaction_id
        assert len(gateways.sent) == 1
        assert node.kinds().count("challenge-repeated") == 2

    def test_after_the_cooldown_there_is_a_new_one(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """With a code of its own; the old one still lets in."""
        old = node.challenge()
        site.clock.advance(60)
        new = node.challenge()
        assert new.transaction_id != old.transaction_id
        assert node.code(new) != node.code(old)
        assert len(gateways.sent) == 2
        assert node.second(old, node.code(old)) == Accepted()

    def test_another_client_gets_a_challenge_of_its_own(self, node: Node) -> None:
        """The VPN's prompt is no answer to the Wi-Fi's question."""
        vpn = node.challenge()
        wifi = node.challenge(client=Client("wifi"))
        assert vpn.transaction_id != wifi.transaction_id

    def test_after_a_login_the_next_one_gets_a_new_code(self, node: Node) -> None:
        """A spent challenge is not repeated."""
        first = node.challenge()
        node.second(first, node.code(first))
        assert node.challenge().transaction_id != first.transaction_id


class TestRetransmission:
    """The same packet comes again, after FreeRADIUS has forgotten it or at another server."""

    def test_the_code_is_spent_once_and_both_are_let_in(self, site: Site, node: Node) -> None:
        """Only a reply to this very packet fits the client that asks (RFC 2865 section 3)."""
        challenged = node.challenge()
        code = node.code(challenged)
        assert node.second(challenged, code, packet="0x01") == Accepted()
        for server in (node, site.node()):
            assert server.second(challenged, code, packet="0x01") == Accepted()
        assert kind(node.second(challenged, code, packet="0x02")) == "rejected"
        assert kind(node.second(challenged, "000000", packet="0x01")) == "rejected"
        assert node.kinds().count("code-accepted") == 1
        assert node.kinds().count("answer-repeated") == 2

    def test_a_wrong_code_is_one_guess(self, node: Node) -> None:
        """And one failure of the account."""
        challenged = node.challenge()
        first = node.second(challenged, "000000", packet="0x01")
        assert node.second(challenged, "000000", packet="0x01") == first
        assert node.stored(challenged.transaction_id).guesses_left == 2
        with node.store.read() as tx:
            assert tx.lockout("alice").failures == 1

    def test_a_resend_sends_once(self, node: Node, gateways: Gateways) -> None:
        """The user has asked once."""
        challenged = node.challenge()
        texts = []
        for _ in range(2):
            again = node.second(challenged, "r", packet="0x01")
            assert isinstance(again, Challenged)
            texts.append(again.text)
            node.settle(challenged.transaction_id)
        assert texts[0].startswith("Sent again. ")
        assert texts[1] == texts[0]
        assert len(gateways.sent) == 2


class TestResend:
    def test_it_sends_the_same_code_through_the_next_provider(
        self, node: Node, gateways: Gateways
    ) -> None:
        """Round the chain; it is no guess."""
        challenged = node.challenge()
        for _ in range(3):
            again = node.second(challenged, "r")
            assert isinstance(again, Challenged)
            assert again.text == f"Sent again. {challenged.text}"
            node.settle(challenged.transaction_id)
        assert gateways.names() == ["first", "second", "first", "second"]
        assert {message.code for _, message in gateways.sent} == {node.code(challenged)}
        assert node.stored(challenged.transaction_id).guesses_left == 3
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_it_does_not_wait_behind_a_provider_that_hangs(
        self, node: Node, gateways: Gateways
    ) -> None:
        """Whoever asks again has no SMS: the provider that is at it is not the next one."""
        gateways.hang("first")
        challenged = node.first()
        assert isinstance(challenged, Challenged)
        node.second(challenged, "r")
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["first", "second"]
        gateways.release()

    def test_it_counts_for_the_limits(self, site: Site) -> None:
        """At the limit it is denied, costs no guess, and the code stays good."""
        node = site.node(limits={"per_account_hour": 2})
        challenged = node.challenge()
        assert "Sent again" in node.second(challenged, "R ").text  # type: ignore[union-attr]
        node.settle(challenged.transaction_id)
        denied = node.second(challenged, "r")
        assert isinstance(denied, Challenged)
        assert denied.text.startswith(TEXTS.resend_denied)
        last = node.events()[-1]
        assert (last.kind, last.detail) == ("sms-resend-denied", {"reason": "per_account_hour"})
        assert node.stored(challenged.transaction_id).guesses_left == 3
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_a_message_that_could_be_sent_no_more_is_still_the_one_before(
        self, node: Node, gateways: Gateways
    ) -> None:
        """A resend that fails does not close a challenge whose code is on the phone."""
        challenged = node.challenge()
        for name in ("first", "second"):
            gateways.will(name, Refused("no credit", out_of_order=True))
        node.second(challenged, "r")
        node.settle(challenged.transaction_id)
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_without_a_resend_word_there_is_none(self, site: Site) -> None:
        """`r` is a wrong code then."""
        node = site.node(clients={"vpn": {"resend": ""}})
        challenged = node.challenge()
        assert "Wrong code" in node.second(challenged, "r").text  # type: ignore[union-attr]


class TestRememberedDevices:
    @pytest.fixture
    def node(self, site: Site) -> Node:
        """A server that remembers for an hour, and has been logged in to."""
        one = site.node(remember={"hours": 1}, limits={"per_account_hour": 1})
        challenged = one.challenge()
        assert one.second(challenged, one.code(challenged)) == Accepted()
        return one

    def test_a_device_needs_its_pin_only(self, node: Node, gateways: Gateways) -> None:
        """No message is sent, so no limit stands against it."""
        assert node.first() == Accepted()
        assert len(gateways.sent) == 1
        assert node.kinds()[-1] == "device-accepted"

    def test_the_pin_it_does_need(self, node: Node) -> None:
        """A stolen device alone is nothing."""
        assert node.first(password="wrong") == Rejected(TEXTS.failed)

    def test_for_so_long_and_no_longer(self, site: Site, node: Node) -> None:
        """It counts from the whole login."""
        site.clock.advance(3599)
        assert node.first() == Accepted()
        site.clock.advance(1)
        assert kind(node.first()) != "accepted"

    def test_only_this_device_behind_this_client(self, node: Node) -> None:
        """One that does not say which it is, is none."""
        for client in (
            Client("vpn", "", "02-00-00-00-00-02"),
            Client("vpn"),
            Client("wifi", "", "02-00-00-00-00-01"),
        ):
            assert kind(node.first(client=client)) != "accepted"

    def test_a_device_without_a_name_is_not_remembered(self, site: Site) -> None:
        """All that do not say who they are would be one."""
        node = site.node(remember={"hours": 1})
        challenged = node.challenge(client=Client("vpn"))
        node.second(challenged, node.code(challenged), client=Client("vpn"))
        assert kind(node.first(client=Client("vpn"))) == "challenged"

    def test_by_default_no_device_is(self, site: Site) -> None:
        """`remember.hours: 0`."""
        node = site.node()
        challenged = node.challenge()
        node.second(challenged, node.code(challenged))
        assert kind(node.first()) == "challenged"
