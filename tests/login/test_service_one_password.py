"""PIN and code in one password, for clients that know no challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.answers import Accepted, Challenged, Rejected
from radius_smsotp.login.request import Step
from radius_smsotp.model.records import Client
from radius_smsotp.settings.schema import TextSettings
from tests.support.site import PHONE, PIN, add, kind, request

if TYPE_CHECKING:
    from tests.support.site import Node, Site

TEXTS = TextSettings()
FAILED = Rejected(TEXTS.failed)


@pytest.fixture
def node(site: Site) -> Node:
    """A server with the default settings."""
    return site.node()


def failures(node: Node) -> int:
    """Wrong PINs and codes of alice in a row."""
    with node.store.read() as tx:
        return tx.lockout("alice").failures


class TestStyleReject:
    def test_the_first_step_is_a_rejection_that_asks(self, site: Site) -> None:
        """With an SMS; the second step is an ordinary login, PIN and code together."""
        node = site.node(challenge={"style": "reject"})
        challenged = node.challenge()
        assert challenged.style == "reject"
        assert challenged.text == (
            "A code was sent to ***67. Log in again with your PIN followed by the code."
        )
        assert node.first(password=PIN + node.code(challenged)) == Accepted()

    def test_it_may_be_for_one_client_or_one_user(self, site: Site) -> None:
        """The user's, from FreeRADIUS, wins."""
        node = site.node(clients={"vpn": {"style": "reject"}})
        assert node.challenge().style == "reject"
        assert node.challenge(client=Client("wifi")).style == "challenge"
        assert node.challenge(style="challenge").style == "challenge"


class TestRight:
    def test_pin_and_code_let_in_once(self, node: Node) -> None:
        """Whatever the style; not a second time, in neither way."""
        challenged = node.challenge()
        code = node.code(challenged)
        assert node.first(password=PIN + code) == Accepted()
        assert kind(node.second(challenged, code)) == "rejected"
        assert kind(node.first(password=PIN + code)) == "rejected"
        assert node.kinds()[2] == "code-accepted"

    def test_the_code_of_any_open_challenge_will_do(self, site: Site, node: Node) -> None:
        """The newest and the ones before, of this client and of others."""
        old = node.challenge(client=Client("wifi"))
        site.clock.advance(60)
        new = node.challenge()
        assert node.first(password=PIN + node.code(old)) == Accepted()
        assert node.first(password=PIN + node.code(new)) == Accepted()

    def test_limits_do_not_stand_against_a_code(self, site: Site) -> None:
        """It was sent already."""
        node = site.node(limits={"per_account_hour": 1, "cooldown": 0})
        challenged = node.challenge()
        assert node.first(password=PIN + node.code(challenged)) == Accepted()

    def test_the_pin_alone_goes_to_whoever_checks_it(self, node: Node) -> None:
        """LDAP, say, for an account that has no PIN of ours."""
        challenged = node.challenge("carol", phones=(PHONE,))
        ready = node.service.prepare(
            request("carol", "Kennwort" + node.code(challenged), phones=(PHONE,))
        )
        assert (ready.step, ready.password, ready.pin_hash) == (Step.PIN_AND_CODE, "Kennwort", None)
        assert ready.matched == challenged.transaction_id

    def test_a_remembered_device_is_remembered_this_way_too(self, site: Site) -> None:
        """It was a whole login."""
        node = site.node(remember={"hours": 1})
        challenged = node.challenge()
        assert node.first(password=PIN + node.code(challenged)) == Accepted()
        assert node.first() == Accepted()


class TestWrong:
    @pytest.mark.parametrize("wrong_pin", [False, True])
    def test_a_wrong_code_burns_a_guess_and_counts(self, node: Node, wrong_pin: bool) -> None:
        """As with State; then the right code comes too late."""
        challenged = node.challenge()
        head = "wrong" if wrong_pin else PIN
        for left in (2, 1, 0):
            assert node.first(password=f"{head}000000") == FAILED
            assert node.stored(challenged.transaction_id).guesses_left == left
        assert failures(node) == 3
        assert node.first(password=PIN + node.code(challenged)) == FAILED
        assert node.stored(challenged.transaction_id).state == "exhausted"

    def test_a_wrong_pin_with_the_right_code_looks_and_costs_the_same(self, node: Node) -> None:
        """Nobody can try codes with a made-up PIN."""
        challenged = node.challenge()
        assert node.first(password="wrong" + node.code(challenged)) == FAILED
        assert node.stored(challenged.transaction_id).guesses_left == 2
        assert failures(node) == 1
        assert node.first(password=PIN + node.code(challenged)) == Accepted()

    def test_a_wrong_code_burns_a_guess_beyond_the_limits_too(self, site: Site) -> None:
        """Else whoever has the PIN could try all codes once no more SMS may be sent."""
        node = site.node(limits={"per_account_hour": 1})
        challenged = node.challenge()
        site.clock.advance(61)  # no repeat any more, and no new one either
        for _ in range(3):
            assert node.first(password=f"{PIN}000000") == FAILED
        assert node.stored(challenged.transaction_id).state == "exhausted"
        assert failures(node) == 3
        assert node.first(password=PIN + node.code(challenged)) == FAILED

    def test_an_expired_code_is_wrong(self, site: Site, node: Node) -> None:
        """Then it is just the end of a wrong PIN."""
        challenged = node.challenge()
        site.clock.advance(300)
        assert node.first(password=PIN + node.code(challenged)) == FAILED

    def test_a_code_without_a_pin_is_no_login(self, node: Node) -> None:
        """The code is the second factor."""
        challenged = node.challenge()
        assert node.first(password=node.code(challenged)) == FAILED

    def test_a_locked_account_gains_nothing(self, site: Site) -> None:
        """Not even with the right PIN and the right code."""
        node = site.node(lockout={"failures": 2})
        challenged = node.challenge()
        for _ in range(2):
            node.first(password="wrong")
        assert node.first(password=PIN + node.code(challenged)) == FAILED
        assert node.kinds()[-1] == "login-refused"


class TestPinThatEndsInDigits:
    @pytest.fixture
    def node(self, site: Site) -> Node:
        """A server, with dora who has such a PIN."""
        one = site.node()
        add(one, "dora", PHONE, "1234567890")
        return one

    def test_it_is_a_pin(self, node: Node) -> None:
        """Alone it opens a challenge, and gets the same one again; nothing is burned."""
        first = node.challenge("dora", "1234567890")
        again = node.challenge("dora", "1234567890")
        assert first.transaction_id == again.transaction_id
        assert node.stored(first.transaction_id).guesses_left == 3

    def test_followed_by_a_code_it_lets_in(self, node: Node) -> None:
        """What stands before the last six digits is the PIN."""
        challenged = node.challenge("dora", "1234567890")
        assert node.first("dora", "1234567890" + node.code(challenged)) == Accepted()

    def test_without_an_open_challenge_digits_are_digits(self, node: Node) -> None:
        """A wrong one counts as a PIN."""
        assert node.first("dora", "1234567890000000") == FAILED
        assert node.kinds("dora") == ["pin-wrong"]

    def test_beyond_the_limits_the_right_pin_is_no_failure(self, site: Site) -> None:
        """It is refused, in the same words, and not counted."""
        node = site.node(limits={"per_account_hour": 1})
        add(node, "dora", PHONE, "1234567890")
        challenged = node.challenge("dora", "1234567890")
        site.clock.advance(61)
        assert node.first("dora", "1234567890") == FAILED
        assert node.stored(challenged.transaction_id).guesses_left == 3
        assert node.events("dora")[-1].detail == {"reason": "per_account_hour"}
        with node.store.read() as tx:
            assert tx.lockout("dora").failures == 0


@pytest.mark.parametrize("digits", [7, 9])
def test_the_code_is_as_long_as_its_challenge_says(site: Site, digits: int) -> None:
    """Also if the settings have changed since."""
    node = site.node(code={"digits": digits})
    challenged = node.challenge()
    later = site.node(code={"digits": 6})
    assert later.first(password=PIN + node.code(challenged)) == Accepted()


class TestFirstFactorByClient:
    """A client that has checked it asks for a code by a word; what else holds, holds there too."""

    @pytest.fixture
    def node(self, site: Site) -> Node:
        """A server whose client "vpn" has, and where devices would be remembered."""
        vpn = {"first_factor_by_client": ["sms", ""], "remember": 12}
        return site.node(clients={"vpn": vpn}, lockout={"failures": 4})

    def test_the_code_alone_lets_in_once(self, node: Node) -> None:
        """However it is typed; a code that is spent is old, and no guess."""
        code = node.code(node.challenge(password="sms"))
        assert node.first(password=f"{code[:3]}-{code[3:]}") == Accepted()
        assert kind(node.first(password=code)) == "rejected"
        assert node.events()[-1].detail == {"reason": "old-code"}
        assert failures(node) == 0

    def test_a_device_that_is_remembered_needs_one_all_the_same(self, node: Node) -> None:
        """With its PIN it does not."""
        challenged = node.challenge(password="")
        assert node.second(challenged, node.code(challenged)) == Accepted()
        assert kind(node.first(password="sms")) == "challenged"
        assert node.first() == Accepted()

    def test_a_device_in_its_tunnel_has_shown_the_client_nothing(self, node: Node) -> None:
        """An access point passes on what is said; the word is a wrong PIN, the code no login."""
        for word in ("sms", ""):
            assert node.first(password=word, tunnelled=True) == FAILED
        code = node.code(node.challenge())
        assert node.first(password=code, tunnelled=True) == FAILED
        assert failures(node) == 3

    def test_wrong_codes_count_and_a_lock_is_one(self, node: Node) -> None:
        """For the word as well."""
        challenged = node.challenge(password="sms")
        for left in (2, 1):
            again = node.first(password="000000")
            assert isinstance(again, Challenged)
            assert again.text.startswith(f"Wrong code, {left} left.")
        assert kind(node.first(password="000000")) == "rejected"
        assert node.stored(challenged.transaction_id).state == "exhausted"
        assert kind(node.first(password="wrong")) == "rejected"
        assert node.first(password="sms") == FAILED
        assert node.events()[-1].detail == {"reason": "locked"}

    def test_a_pin_before_the_code_is_checked(self, node: Node) -> None:
        """Who types one means it."""
        code = node.code(node.challenge(password="sms"))
        assert node.first(password="wrong" + code) == FAILED
        assert node.first(password=PIN + code) == Accepted()

    def test_nobody_else_may_answer_for_it(self, node: Node) -> None:
        """Where a first factor is asked for, its challenges are none."""
        challenged = node.challenge(password="sms")
        there = Client("wifi", "192.0.2.9", "02-00-00-00-00-01")
        code = node.code(challenged)
        assert kind(node.second(challenged, code, client=there)) == "rejected"
        assert node.events()[-1].detail == {"reason": "foreign-client"}
        assert node.first(password=PIN + code, client=there) == FAILED
        assert node.first(password=code) == Accepted()
