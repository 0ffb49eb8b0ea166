"""The login, request by request: two steps, repeats, resends, remembered devices."""

from __future__ import annotations

import re
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp import keyring
from radius_smsotp.errors import Refused, StoreError, Unavailable
from radius_smsotp.outcome import Accepted, Challenged, Rejected
from radius_smsotp.settings import TextSettings
from tests.site import PHONE, kind

if TYPE_CHECKING:
    from tests.site import Gateways, Node, Site

TEXTS = TextSettings()
START_AGAIN = Rejected(TEXTS.start_again)


@pytest.fixture
def node(site: Site) -> Node:
    """A server with the default settings."""
    return site.node()


def reason(node: Node, name: str = "alice") -> Any:
    """The reason in the last event of an account."""
    return node.events(name)[-1].detail.get("reason")


class TestTwoSteps:
    def test_pin_then_code_is_a_login(self, node: Node, gateways: Gateways) -> None:
        """The prompt names the masked number; the SMS brings the code; the code lets in."""
        challenged = node.challenge()
        assert re.fullmatch(r"[0-9a-f]{32}", challenged.transaction_id)
        assert challenged.text == "Enter the 6-digit code sent to ***67: "
        assert challenged.style == "challenge"
        [(name, message)] = gateways.sent
        code = node.code(challenged)
        assert (name, message.phone, message.code) == ("first", PHONE, code)
        assert message.text == f"{code} is your login code. It is valid for 5 minutes."
        assert node.second(challenged, code) == Accepted()
        assert node.kinds() == ["challenge-opened", "sms-accepted", "code-accepted"]

    def test_a_code_is_spent_once(self, node: Node) -> None:
        """The same answer again, a second later, is nothing."""
        challenged = node.challenge()
        code = node.code(challenged)
        node.second(challenged, code)
        assert node.second(challenged, code) == START_AGAIN
        assert reason(node) == "spent"

    def test_wrong_codes_are_asked_again_until_no_guess_is_left(self, node: Node) -> None:
        """With the same State; then the right code comes too late."""
        challenged = node.challenge()
        prompt = challenged.text
        for left in (2, 1):
            again = node.second(challenged, "000000")
            assert isinstance(again, Challenged)
            assert again.transaction_id == challenged.transaction_id
            assert again.text == f"Wrong code, {left} left. {prompt}"
            assert again.wait == 0
        assert node.second(challenged, "000000") == START_AGAIN
        assert node.second(challenged, node.code(challenged)) == START_AGAIN
        assert reason(node) == "exhausted"
        wrong = [event for event in node.kinds() if event.startswith("code-")]
        assert wrong == ["code-wrong", "code-wrong", "code-rejected", "code-rejected"]

    def test_the_right_code_after_a_wrong_one_lets_in(self, node: Node) -> None:
        """And what was counted is forgotten."""
        challenged = node.challenge()
        node.second(challenged, "000000")
        assert node.second(challenged, node.code(challenged)) == Accepted()
        with node.store.read() as tx:
            assert tx.lockout("alice").failures == 0

    @pytest.mark.parametrize(("seconds", "outcome"), [(299.9, "accepted"), (300, "rejected")])
    def test_a_code_lives_as_long_as_the_settings_say(
        self, site: Site, node: Node, seconds: float, outcome: str
    ) -> None:
        """To the moment."""
        challenged = node.challenge()
        site.clock.advance(seconds)
        assert kind(node.second(challenged, node.code(challenged))) == outcome
        assert reason(node) == (None if outcome == "accepted" else "expired")

    def test_a_challenge_of_somebody_else_is_worth_nothing(self, node: Node) -> None:
        """Not even with its right code; for its owner it stays as it was."""
        challenged = node.challenge("alice")
        code = node.code(challenged)
        assert node.second(challenged, code, "bob") == START_AGAIN
        assert reason(node, "bob") == "foreign"
        assert node.second(challenged, code, "alice") == Accepted()

    def test_a_state_that_names_nothing_is_refused(self, node: Node) -> None:
        """Made up, or pruned."""
        made_up = Challenged("f" * 32, "", "challenge")
        assert node.second(made_up, "000000") == START_AGAIN
        assert reason(node) == "unknown-challenge"

    def test_every_rejection_is_found_under_its_challenge(self, site: Site, node: Node) -> None:
        """`smsotp trace TRANSACTION_ID` tells the whole story, to its end."""
        challenged = node.challenge()
        site.clock.advance(300)
        node.second(challenged, "000000")
        assert node.kinds(challenged.transaction_id) == [
            "challenge-opened",
            "sms-accepted",
            "code-rejected",
        ]

    def test_a_name_is_the_same_in_every_writing(self, node: Node) -> None:
        """In both steps."""
        challenged = node.challenge("ALICE")
        assert node.second(challenged, node.code(challenged), "Alice") == Accepted()

    def test_an_account_that_was_changed_has_to_start_again(self, node: Node) -> None:
        """The code went to a number that may not be the user's any more."""
        challenged = node.challenge()
        with node.store.write() as tx:
            tx.cancel_challenges("alice")
        assert node.second(challenged, node.code(challenged)) == START_AGAIN
        assert reason(node) == "cancelled"

    def test_a_message_that_nobody_took_is_said(self, node: Node, gateways: Gateways) -> None:
        """There will be no code: the challenge is closed."""
        gateways.will("first", Refused("no"))
        gateways.will("second", Unavailable("busy"))
        challenged = node.challenge()
        assert node.stored(challenged.transaction_id).state == "undelivered"
        assert node.second(challenged, "000000") == Rejected(TEXTS.undelivered)

    def test_without_its_key_a_challenge_is_worth_nothing(self, site: Site, node: Node) -> None:
        """Whoever takes a key out of the file ends what was made with it."""
        challenged = node.challenge()
        code = node.code(challenged)
        (site.folder / "key").unlink()
        keyring.create(site.folder / "key")
        other = site.node()
        assert kind(other.second(challenged, code)) == "challenged"
        assert kind(other.second(challenged, "r")) == "challenged"
        other.settle(challenged.transaction_id)
        assert len(site.gateways.sent) == 1

    def test_a_key_that_took_over_the_id_of_another_opens_nothing(
        self, site: Site, node: Node
    ) -> None:
        """No seal, no code, and no exception either."""
        challenged = node.challenge()
        code = node.code(challenged)
        (site.folder / "key").write_text(f"{node.keys.current} {'ab' * 32}\n")
        other = site.node()
        assert kind(other.second(challenged, code)) == "challenged"
        assert kind(other.second(challenged, "r")) == "challenged"
        other.settle(challenged.transaction_id)
        assert len(site.gateways.sent) == 1

    def test_a_new_key_does_not_end_what_runs(self, site: Site, node: Node) -> None:
        """It stands above the old one until then."""
        challenged = node.challenge()
        key = site.folder / "key"
        key.write_text(f"new {'ab' * 32}\n{key.read_text()}")
        other = site.node()
        assert other.second(challenged, node.code(challenged)) == Accepted()
        new = other.challenge()
        assert other.stored(new.transaction_id).key_id == "new"

    def test_what_waits_for_its_verdict_says_so(self, site: Site) -> None:
        """`Challenged.wait` is for the hook: how long the verdict is worth waiting for."""
        node = site.node(clients={"patient": {"wait": 3}})
        first = node.first()
        assert isinstance(first, Challenged)
        assert (first.wait, first.route) == (1.0, ("first", "second"))


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
        from radius_smsotp.core.model import Client

        vpn = node.challenge()
        wifi = node.challenge(client=Client("wifi"))
        assert vpn.transaction_id != wifi.transaction_id

    def test_after_a_login_the_next_one_gets_a_new_code(self, node: Node) -> None:
        """A spent challenge is not repeated."""
        first = node.challenge()
        node.second(first, node.code(first))
        assert node.challenge().transaction_id != first.transaction_id


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
        assert (node.kinds()[-1], reason(node)) == ("sms-resend-denied", "per_account_hour")
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
        from radius_smsotp.core.model import Client

        for client in (
            Client("vpn", "", "02-00-00-00-00-02"),
            Client("vpn"),
            Client("wifi", "", "02-00-00-00-00-01"),
        ):
            assert kind(node.first(client=client)) != "accepted"

    def test_a_device_without_a_name_is_not_remembered(self, site: Site) -> None:
        """All that do not say who they are would be one."""
        from radius_smsotp.core.model import Client

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


class TestSeveralServers:
    def test_the_same_code_at_two_servers_lets_in_once(self, site: Site, node: Node) -> None:
        """At the same moment, again and again."""
        servers = [node, site.node()]
        with ThreadPoolExecutor(2) as pool:
            for _ in range(20):
                challenged = node.challenge()
                code = node.code(challenged)
                gate = threading.Barrier(2)

                def answer(server: Node, gate=gate, one=challenged, code=code) -> str:  # type: ignore[no-untyped-def]
                    gate.wait(20)
                    return kind(server.second(one, code))

                assert sorted(pool.map(answer, servers)) == ["accepted", "rejected"]
                site.clock.advance(3600)

    def test_the_same_first_step_at_two_servers_sends_one_sms(
        self, site: Site, node: Node, gateways: Gateways
    ) -> None:
        """A client that asks the second server because the first one is slow."""
        servers = [node, site.node()]
        with ThreadPoolExecutor(2) as pool:
            asked = list(pool.map(lambda server: server.challenge(), servers))
        assert asked[0].transaction_id == asked[1].transaction_id
        assert len(gateways.sent) == 1


class TestStoreThatFails:
    def test_a_login_that_cannot_be_recorded_does_not_happen(
        self, site: Site, gateways: Gateways
    ) -> None:
        """Nobody is let in, no message is sent; afterwards all is as before."""
        node = site.node()
        challenged = node.challenge()
        code = node.code(challenged)
        node.store._patience = 0.05  # type: ignore[attr-defined]
        node.store.close()
        other = sqlite3.connect(site.store_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for ask in (
            lambda: node.second(challenged, code),
            lambda: node.second(challenged, "r"),
            lambda: node.first(password="wrong"),
        ):
            with pytest.raises(StoreError, match="another process is writing"):
                ask()
        site.clock.advance(60)
        with pytest.raises(StoreError):
            node.first()
        other.execute("ROLLBACK")
        other.close()
        assert len(gateways.sent) == 1
        assert node.second(challenged, code) == Accepted()
        assert node.kinds() == ["challenge-opened", "sms-accepted", "code-accepted"]
