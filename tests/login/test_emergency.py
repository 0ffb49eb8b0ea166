"""Emergency codes stand in for those of messages, in every way in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login.answers import Accepted, Challenged, Rejected
from radius_smsotp.login.request import Step
from radius_smsotp.model import code
from radius_smsotp.model.records import Account, EmergencyCodes
from radius_smsotp.settings.schema import TextSettings
from tests.support.site import PHONE, PIN, kind, request

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

TEXTS = TextSettings()
ASKED = "Enter one of your emergency codes (10 digits): "
HOURS = timedelta(hours=24)


@pytest.fixture
def node(site: Site) -> Node:
    """A server with the default settings."""
    return site.node()


def make(node: Node, user: str = "alice", count: int = 1, uses: int = 1) -> list[str]:
    """Codes as `smsotp user code` makes them: valid for a day."""
    now, batch = node.clock(), "ab" * 16
    held = EmergencyCodes(user, batch, node.keys.current, now, now + HOURS, (uses,) * count)
    with node.store.write(user) as tx:
        tx.put_emergency(held)
        tx.ask_emergency(user)
    return code.emergency(node.keys.secret, user, batch, count)


def left(node: Node, user: str = "alice") -> tuple[int, ...]:
    """Which of them may still be used."""
    with node.store.read() as tx:
        held = tx.emergency(user)
    return held.left(node.clock()) if held else ()


class TestWithState:
    def test_it_is_asked_for_and_spent_and_no_message_is_sent(
        self, node: Node, gateways: Gateways
    ) -> None:
        """Then the next login has an SMS again.  The trail says which it was."""
        [emergency] = make(node)
        challenged = node.challenge()
        assert challenged.text == ASKED
        assert challenged.wait == 0
        assert node.second(challenged, f"{emergency[:5]} {emergency[5:]}") == Accepted()
        assert gateways.sent == []
        assert left(node) == ()
        opened, accepted = node.events()[-2:]
        assert (opened.kind, opened.detail) == ("challenge-opened", {"reason": "emergency"})
        assert accepted.detail == {"reason": "emergency", "emergency": 1}
        challenged = node.challenge()
        assert "***67" in challenged.text
        assert node.second(challenged, emergency) != Accepted()
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_it_is_asked_for_in_the_users_language(self, node: Node, site: Site) -> None:
        """As the account has it; a wrong one too."""
        site.add("hans", language="de")
        make(node, "hans")
        challenged = node.challenge("hans")
        assert challenged.text == "Bitte geben Sie einen Ihrer Notfallcodes ein (10 Ziffern): "
        again = node.second(challenged, "1", "hans")
        assert isinstance(again, Challenged)
        assert again.text.startswith("Falscher Code.")
        assert again.text.endswith(challenged.text)

    def test_one_has_as_many_uses_as_it_was_made_with(self, node: Node) -> None:
        """Of several any one counts, and each on its own."""
        codes = make(node, count=3, uses=2)
        for typed, numbers in ((1, (1, 2, 3)), (1, (1, 3)), (2, (1, 3)), (2, (1,)), (0, (1,))):
            assert node.second(node.challenge(), codes[typed]) == Accepted()
            assert left(node) == numbers
        again = node.challenge()
        assert kind(node.second(again, codes[1])) == "challenged"
        assert node.second(again, codes[0]) == Accepted()
        assert left(node) == ()

    def test_the_code_that_was_not_sent_is_none(self, node: Node) -> None:
        """What a message would have held is shorter, and so easier to guess: it lets nobody in."""
        make(node)
        challenged = node.challenge()
        key, transaction_id = node.keys.secret, challenged.transaction_id
        for digits in (6, 10):
            answer = code.derive(key, transaction_id, digits)
            assert node.second(challenged, answer) != Accepted()

    def test_guesses_count_as_those_of_messages_do(self, site: Site) -> None:
        """Three for a challenge; the account is locked, and then the right one is of no use."""
        node = site.node(lockout={"failures": 4, "minutes": 15})
        [emergency] = make(node)
        challenged = node.challenge()
        answer = node.second(challenged, "0000000000")
        assert isinstance(answer, Challenged)
        assert answer.text == f"Wrong code, 2 left. {ASKED}"
        node.second(challenged, "0000000000")
        assert node.second(challenged, "0000000000") == Rejected(TEXTS.start_again)
        assert node.second(challenged, emergency) == Rejected(TEXTS.start_again)
        again = node.challenge()
        assert node.second(again, "1") == Rejected(TEXTS.start_again)
        assert node.kinds()[-1] == "account-locked"
        assert node.second(again, emergency) == Rejected(TEXTS.start_again)
        assert node.first() == Rejected(TEXTS.failed)
        assert node.first(password=PIN + emergency) == Rejected(TEXTS.failed)
        assert left(node) == (1,)

    def test_it_belongs_to_its_account(self, node: Node) -> None:
        """A row of the store that is copied to another account makes other codes."""
        [emergency] = make(node)
        challenged = node.challenge("bob")
        assert node.second(challenged, emergency, "bob") != Accepted()
        with node.store.write("bob") as tx:
            held = tx.emergency("alice")
            assert held is not None
            tx.put_emergency(replace(held, account="bob"))
        node.clock.advance(61)
        challenged = node.challenge("bob")
        assert challenged.text == ASKED
        assert node.second(challenged, emergency, "bob") != Accepted()

    def test_after_its_time_it_is_worthless(self, node: Node) -> None:
        """A challenge that is open then ends by wrong codes; the next one is by SMS."""
        [emergency] = make(node)
        node.clock.advance(HOURS.total_seconds() - 10)
        challenged = node.challenge()
        node.clock.advance(10)
        assert kind(node.second(challenged, emergency)) == "challenged"
        assert "***67" in node.challenge().text

    def test_the_same_packet_again_gets_the_same_reply(self, node: Node) -> None:
        """And spends nothing twice."""
        [emergency] = make(node, uses=2)
        challenged = node.challenge()
        for _ in range(2):
            assert node.second(challenged, emergency, packet="0xab") == Accepted()
        with node.store.read() as tx:
            held = tx.emergency("alice")
        assert held is not None
        assert held.uses == (1,)

    def test_a_wish_for_a_message_sends_none(self, node: Node, gateways: Gateways) -> None:
        """It is no guess either."""
        make(node)
        challenged = node.challenge()
        answer = node.second(challenged, "r")
        assert isinstance(answer, Challenged)
        assert answer.text == TEXTS.resend_denied + ASKED
        assert gateways.sent == []
        assert node.stored(challenged.transaction_id).guesses_left == 3
        assert node.events()[-1].detail == {"reason": "emergency"}


class TestWhatIsUnderWay:
    def test_an_open_prompt_takes_it_and_not_what_was_sent(self, node: Node) -> None:
        """Who calls the helpdesk with the prompt open goes on there; the lost phone has no say."""
        challenged = node.challenge()
        [emergency] = make(node)
        assert node.stored(challenged.transaction_id).emergency
        sent = code.derive(node.keys.secret, challenged.transaction_id, 6)
        assert kind(node.second(challenged, sent)) == "challenged"
        assert node.second(challenged, emergency) == Accepted()

    def test_a_message_that_hangs_moves_on_to_nobody(self, site: Site, gateways: Gateways) -> None:
        """What a provider is at goes out or not; the next one is not asked, and nothing closes."""
        node = site.node()
        gate = gateways.hang("first", OSError())
        challenged = node.begun()
        [emergency] = make(node)
        gate.set()
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["first"]
        assert node.second(challenged, emergency) == Accepted()

    def test_a_lost_message_is_not_sent_again(self, site: Site, gateways: Gateways) -> None:
        """The network says that it has not arrived: so much the better."""
        node = site.node()
        challenged = node.challenge()
        make(node)
        gateways.report("first", "first-1", delivered=False)
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["first"]

    def test_limits_of_messages_do_not_stand_against_it(self, site: Site) -> None:
        """Who asked for one after the other in vain calls the helpdesk then."""
        node = site.node(limits={"per_account_hour": 1})
        node.challenge()
        node.clock.advance(61)
        assert node.first() == Rejected(TEXTS.failed)
        [emergency] = make(node)
        assert node.second(node.challenge(), emergency) == Accepted()

    def test_a_device_is_not_remembered_for_it(self, site: Site) -> None:
        """What is remembered may be what is lost."""
        node = site.node(remember=8)
        make_and_spend(node)
        assert kind(node.first()) == "challenged"


def make_and_spend(node: Node) -> None:
    """A whole login with an emergency code."""
    [emergency] = make(node)
    assert node.second(node.challenge(), emergency) == Accepted()


class TestOnePassword:
    def test_it_follows_the_pin_at_once_and_once(self, node: Node, gateways: Gateways) -> None:
        """Nobody has to be asked first; one challenge stands in the trail."""
        [emergency] = make(node)
        assert node.first(password=PIN + emergency) == Accepted()
        assert node.kinds() == ["challenge-opened", "code-accepted"]
        assert left(node) == ()
        assert gateways.sent == []
        assert node.first(password=PIN + emergency) == Rejected(TEXTS.start_again)

    def test_it_answers_the_challenge_that_is_open(self, node: Node) -> None:
        """In two halves too; with a wrong PIN it spends nothing and costs a guess."""
        [emergency] = make(node)
        challenged = node.challenge(style="reject")
        assert challenged.text == TEXTS.emergency_again
        assert node.first(password="wrong" + emergency) == Rejected(TEXTS.failed)
        assert node.stored(challenged.transaction_id).guesses_left == 2
        assert left(node) == (1,)
        typed = f"{PIN}{emergency[:5]} {emergency[5:]}"
        assert node.first(password=typed) == Accepted()
        assert node.stored(challenged.transaction_id).state == "spent"

    def test_a_device_that_keeps_one_locks_nobody_out(self, node: Node) -> None:
        """It sends both again and again, whatever is open: no guess is counted."""
        [emergency] = make(node)
        assert node.first(password=PIN + emergency) == Accepted()
        challenged = node.challenge()
        for _ in range(12):
            assert node.first(password=PIN + emergency) == Rejected(TEXTS.start_again)
        assert node.events()[-1].detail["reason"] == "old-code"
        assert node.stored(challenged.transaction_id).guesses_left == 3
        assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_a_wrong_one_costs_a_guess(self, node: Node) -> None:
        """With a challenge open, of that; without, it is a wrong PIN."""
        make(node)
        assert node.first(password=f"{PIN}0000000000") == Rejected(TEXTS.failed)
        challenged = node.challenge()
        assert node.first(password=f"{PIN}0000000000") == Rejected(TEXTS.failed)
        assert node.stored(challenged.transaction_id).guesses_left == 2
        with node.store.read() as tx:
            assert tx.lockout("alice").failures == 2

    @pytest.mark.parametrize("challenged", [True, False])
    def test_of_two_at_once_one_gets_in(self, node: Node, *, challenged: bool) -> None:
        """Both were found right before the PIN was checked."""
        [emergency] = make(node)
        if challenged:
            node.challenge()
        asked = request(password=PIN + emergency)
        outcomes = []
        both = [node.service.prepare(asked), node.service.prepare(asked)]
        for ready in both:
            assert ready.step is Step.PIN_AND_CODE
            found = {"matched": ready.matched, "number": ready.number}
            outcomes.append(node.service.begin(replace(asked, step=ready.step, **found)))
        assert outcomes[0] == Accepted()
        assert outcomes[1] != Accepted()
        assert [event.kind for event in node.events()].count("code-accepted") == 1

    def test_who_was_disabled_meanwhile_does_not_get_in(self, node: Node, site: Site) -> None:
        """What stands against a login does so when the code is spent, not before."""
        [emergency] = make(node)
        asked = request(password=PIN + emergency)
        ready = node.service.prepare(asked)
        with node.store.write("alice") as tx:
            account = tx.account("alice")
            assert account is not None
            tx.put_account(replace(account, enabled=False), node.clock())
        begun = replace(asked, step=ready.step, number=ready.number)
        assert node.service.begin(begun) == Rejected(TEXTS.failed)
        assert left(node) == (1,)


class TestHandshakes:
    def asked(self, node: Node, **more: Any) -> Any:
        """CHAP with what `prepare` says of it, proved."""
        asked = replace(request(password=None, handshake=True), **more)
        ready = node.service.prepare(asked)
        found = {"step": ready.step, "matched": ready.matched, "number": ready.number}
        return ready, replace(asked, proved=True, **found)

    def test_the_next_of_several_is_what_it_can_prove(self, node: Node) -> None:
        """In the second step, and behind a password that FreeRADIUS knows, asked for or not."""
        codes = make(node, count=3)
        state = node.challenge().transaction_id
        ready, asked = self.asked(node, transaction_id=state)
        assert ready.candidate == codes[0]
        assert node.service.answer(asked) == Accepted()
        ready, asked = self.asked(node, cleartext=PIN, provable=True)
        assert ready.candidate == PIN + codes[1]
        assert node.service.begin(asked) == Accepted()
        assert left(node) == (3,)

    def test_what_was_spent_since_it_was_named_is_not_accepted(self, node: Node) -> None:
        """The proof is of one code, and spends no other one in its place."""
        codes = make(node, count=2)
        asked = self.asked(node, cleartext=PIN, provable=True)[1]
        assert node.first(password=PIN + codes[0]) == Accepted()
        assert node.service.begin(asked) != Accepted()
        assert left(node) == (2,)


class TestAccounts:
    def test_a_name_of_a_directory_has_them_too(self, site: Site, gateways: Gateways) -> None:
        """With a number there, or with none: then it is all that lets in."""
        node = site.node()
        known: dict[str, Any] = {"known_good": True}
        assert node.first("carol", **known) == Rejected(TEXTS.failed)
        assert node.events("carol")[-1].detail["reason"] == "no-number"
        for more in ({"phones": (PHONE,)}, known):
            [emergency] = make(node, "carol")
            asked = request("carol", **more)
            ready = node.service.prepare(asked)
            assert (ready.pin_hash, ready.reason) == (None, "")
            outcome = node.service.begin(replace(asked, step=ready.step))
            assert isinstance(outcome, Challenged)
            assert node.second(outcome, emergency, "carol") == Accepted()
        assert gateways.sent == []

    def test_a_number_of_the_helpdesk_goes_first_until_its_end(
        self, site: Site, gateways: Gateways
    ) -> None:
        """Before that of a directory, and before the account's own; the trail says so."""
        node = site.node()
        end = node.clock() + HOURS
        spare = {"override": "+491707777777", "override_until": end}
        with node.store.write() as tx:
            account = tx.account("alice")
            assert account is not None
            tx.put_account(replace(account, **spare), node.clock())
            tx.put_account(Account("carol", None, **spare), node.clock())
        for _ in range(2):
            for name, more in (("alice", {}), ("carol", {"phones": (PHONE,)})):
                asked = request(name, **more)
                ready = node.service.prepare(asked)
                outcome = node.service.begin(replace(asked, step=ready.step))
                assert isinstance(outcome, Challenged)
                node.settle(outcome.transaction_id)
            node.clock.advance(HOURS.total_seconds())
        # Where the directory has none, that is what is told afterwards.
        assert node.first("carol", known_good=True) == Rejected(TEXTS.failed)
        assert node.events("carol")[-1].detail["reason"] == "no-number"
        assert [sent.phone for _, sent in gateways.sent] == ["+491707777777"] * 2 + [PHONE] * 2
        told = [event.detail for event in node.events("carol") if event.kind == "challenge-opened"]
        assert told == [{"override": "***77"}, {}]


class TestHowLongItTakes:
    """A wrong PIN must not tell in its time that there is such an account."""

    def test_all_codes_of_a_list_come_from_one_hash(
        self, node: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And from none, where what was typed is no such code."""
        made: list[int] = []
        real = code.emergency

        def counted(key: bytes, account: str, batch: str, count: int) -> list[str]:
            made.append(count)
            return real(key, account, batch, count)

        codes = make(node, count=50)
        monkeypatch.setattr(code, "emergency", counted)
        assert kind(node.first(password="4321")) == "rejected"
        assert made == []
        assert kind(node.first(password="4321" + "0" * 10)) == "rejected"
        assert made == [50]
        assert node.first(password=PIN + codes[49]) == Accepted()
        assert left(node) == tuple(range(1, 50))
