"""The login, request by request: two steps, on one server and on several."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Refused, StoreError
from radius_smsotp.login.answers import Accepted, Challenged, Rejected
from radius_smsotp.settings import keyring
from radius_smsotp.settings.schema import TextSettings
from tests.support.site import PHONE, PIN, kind

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

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
        gateways.will("second", Refused("no"))
        challenged = node.challenge()
        assert node.stored(challenged.transaction_id).state == "undelivered"
        assert node.second(challenged, "000000") == Rejected(TEXTS.undelivered)

    def test_an_answer_whose_key_is_missing_costs_no_guess_and_says_so(
        self, site: Site, node: Node, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nobody here knows whether it was right; at the server that made the code it still is."""
        challenged = node.challenge()
        code = node.code(challenged)
        own = (site.folder / "key").read_text()
        strange = own.replace(node.keys.current, "k1").replace(node.keys.secret.hex(), "ab" * 32)
        (site.folder / "key").write_text(strange)
        other = site.node()
        for answer in (code, "000000", "r"):
            assert kind(other.second(challenged, answer)) == "rejected"
            assert other.events()[-1].detail == {"reason": "other-key"}
        # PIN and code in one is a wrong PIN here.
        assert kind(other.first(password=PIN + code)) == "rejected"
        assert other.events()[-1].kind == "pin-wrong"
        assert other.events()[-1].detail == {"reason": "other-key"}
        assert caplog.text.count("this server has another key than the one that made") == 4
        assert node.stored(challenged.transaction_id).guesses_left == 3
        assert len(site.gateways.sent) == 1
        (site.folder / "key").write_text(own)
        assert site.node().second(challenged, code) == Accepted()

    @pytest.mark.parametrize("way", ["in place", "moved"])
    def test_a_spent_code_does_not_count_again_when_the_store_was_put_back(
        self, site: Site, node: Node, way: str
    ) -> None:
        """Its challenge is open in the copy, and ends as soon as the copy is opened."""
        challenged, copy = node.challenge(), site.folder / "copy.db"
        code = node.code(challenged)
        node.store.close()
        shutil.copy(site.store_path, copy)
        assert node.second(challenged, code) == Accepted()
        node.store.close()
        if way == "moved":
            copy.replace(site.store_path)
        else:
            shutil.copy(copy, site.store_path)
        again = site.node()
        assert again.second(challenged, code) != Accepted()
        assert again.events()[-1].detail == {"reason": "cancelled"}
        # Others, of later on, are as good as ever, and the next start ends none of them.
        later = again.challenge(password=PIN)
        again.store.close()
        assert site.node().second(later, again.code(later)) == Accepted()

    def test_a_new_key_forgets_no_message_to_a_number(self, site: Site) -> None:
        """What leaves for a number is counted under a tag that hangs on a key."""
        limits = {"per_account_hour": 0, "per_number_hour": 3, "cooldown": 0}
        node = site.node(limits=limits)
        for _ in range(2):
            node.challenge()
        keyring.add(site.folder / "key", datetime.now(UTC) - timedelta(hours=1))
        other = site.node(limits=limits)
        assert other.keys.current != node.keys.current
        for server in (node, other):
            assert kind(server.first()) == ("challenged" if server is node else "rejected")

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
