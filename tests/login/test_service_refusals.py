"""Who is refused, why, and how little of it shows; accounts from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from radius_smsotp.login.answers import Accepted, Challenged, Rejected
from radius_smsotp.login.request import Step
from radius_smsotp.model.identity import Obstacle
from radius_smsotp.model.records import Client, Counter, Lockout
from radius_smsotp.settings.schema import TextSettings
from tests.support.site import PHONE, PIN, add, kind, pap, request

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

FAILED = Rejected(TextSettings().failed)
JAMAICA = "+18762101234"


@pytest.fixture
def crowd(site: Site) -> Node:
    """A server with an account for every reason to refuse."""
    countries, refused = ["+49", "GB", "+1"], ["+4475"]
    node = site.node(limits={"countries": countries, "refused": refused, "per_account_hour": 1})
    add(node, "disabled", PHONE, enabled=False)
    add(node, "locked", "+491701111111")
    add(node, "no-phone", None)
    add(node, "country", JAMAICA)
    add(node, "prefix", "+447512345678")
    add(node, "premium", "+19002345678")
    add(node, "special", "+447012345678")
    add(node, "per_account_hour", "+491702222222")
    with node.store.write() as tx:
        now = site.clock()
        tx.put_lockout("locked", Lockout(10, now, now.replace(hour=23)))
        tx.count_message(Counter("per_account_hour", ""), "", now)
    return node


REASONS = (
    *("unknown-account", "disabled", "locked", "no-phone", "per_account_hour"),
    *get_args(Obstacle),
)


class TestAllRefusalsLookAlike:
    @pytest.mark.parametrize("name", REASONS)
    @pytest.mark.parametrize("password", [PIN, "wrong", f"{PIN}000000"])
    def test_whatever_the_pin(
        self, crowd: Node, gateways: Gateways, name: str, password: str
    ) -> None:
        """The same words as for a wrong PIN, and no SMS; the reason is in the audit trail."""
        assert crowd.first("alice", "wrong") == FAILED
        assert crowd.first(name, password) == FAILED
        last = crowd.events(name)[-1]
        assert (last.kind, last.detail) == ("login-refused", {"reason": name})
        assert gateways.sent == []

    @pytest.mark.parametrize("name", REASONS)
    def test_they_take_as_long(self, crowd: Node, name: str) -> None:
        """FreeRADIUS checks a hash of as many rounds, which no PIN has."""
        ready = crowd.service.prepare(request(name, PIN))
        usual = crowd.service.prepare(request("alice", PIN))
        assert ready.pin_hash is not None
        assert usual.pin_hash is not None
        assert not pap(ready.pin_hash, PIN)
        assert [len(part) for part in ready.pin_hash.split(":")] == [
            len(part) for part in usual.pin_hash.split(":")
        ]
        assert ready.step == usual.step is Step.PIN

    @pytest.mark.parametrize("name", REASONS)
    def test_a_refused_login_is_not_counted(self, crowd: Node, name: str) -> None:
        """Whoever is locked out stays so for its time; no row is kept for made-up names."""
        with crowd.store.read() as tx:
            before = tx.lockout(name)
        crowd.first(name, "wrong")
        with crowd.store.read() as tx:
            assert tx.lockout(name) == before

    def test_an_account_without_a_pin_is_one_whose_pin_is_wrong(self, site: Site) -> None:
        """Where nothing else knows its password; the audit trail says what it lacks."""
        node = site.node()
        add(node, "pinless", text=None)
        for name in ("pinless", "alice"):
            ready = node.service.prepare(request(name, "wrong"))
            assert (ready.step, ready.reason) == (Step.PIN, "")
            assert ready.pin_hash is not None
            said = request(name, "wrong", step=ready.step, pin_hash=ready.pin_hash, mismatch=True)
            assert node.service.first_factor_failed(said) == FAILED
        lockouts = []
        for name in ("pinless", "alice"):
            with node.store.read() as tx:
                lockouts.append(tx.lockout(name))
        assert lockouts[0] == lockouts[1] != Lockout()
        assert node.events("pinless")[-1].detail == {"reason": "no-pin"}
        assert node.events("alice")[-1].detail == {}

    @pytest.mark.parametrize(
        "other",
        [{"mismatch": False}, {"pin_hash": "$PBKDF2$HMACSHA2+512:10:x$y"}],
        ids=["a directory refused it", "a hash from elsewhere did not match"],
    )
    def test_it_is_not_said_to_lack_a_pin_where_something_else_has_compared(
        self, site: Site, other: dict[str, Any]
    ) -> None:
        node = site.node()
        add(node, "pinless", text=None)
        ready = node.service.prepare(request("pinless", "wrong"))
        asked = {"pin_hash": ready.pin_hash, "mismatch": True} | other
        node.service.first_factor_failed(request("pinless", "wrong", step=Step.PIN, **asked))
        assert node.events("pinless")[-1].detail == {}

    def test_a_handshake_that_nothing_could_compare_is_no_guess(self, site: Site) -> None:
        """A device that knows no other method shall not lock its user out."""
        node = site.node()
        add(node, "pinless", text=None)
        reasons = {"alice": "hashed-pin", "pinless": "unprovable"}
        for name, reason in reasons.items():
            asked = request(name, None, handshake=True, uncompared=True, step=Step.PIN)
            assert node.service.first_factor_failed(asked) == FAILED
            assert node.events(name)[-1].detail == {"reason": reason}
            with node.store.read() as tx:
                assert tx.lockout(name) == Lockout()

    def test_an_obstacle_that_came_between_pin_and_challenge_counts(self, crowd: Node) -> None:
        """The decision is made again in the transaction that opens the challenge."""
        ready = crowd.service.prepare(request("alice"))
        assert ready.reason == ""
        with crowd.store.write() as tx:
            tx.delete_account("alice")
        assert crowd.service.begin(request("alice", step=ready.step)) == FAILED


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "ways"),
        [
            ({"per_account_hour": 2}, [{}, {}]),
            ({"per_number_hour": 2}, [{}, {"user": "alias"}]),
            ({"per_client_hour": 2}, [{}, {"user": "bob"}]),
            ({"per_day": 2}, [{}, {"user": "bob", "client": Client("wifi")}]),
        ],
    )
    def test_no_more_than_the_limit_leave(
        self, site: Site, gateways: Gateways, limits: dict[str, int], ways: list[dict[str, Any]]
    ) -> None:
        """For one account, to one number, for one client, in all."""
        [name] = limits
        off = {"per_account_hour": 0, "per_number_hour": 0, "cooldown": 0}
        node = site.node(limits=off | limits)
        add(node, "alias", PHONE)
        for way in ways:
            node.challenge(**way)
        assert node.first() == FAILED
        assert node.events()[-1].detail == {"reason": name}
        assert len(gateways.sent) == 2
        site.clock.advance(25 * 3600)  # a day, and the hour by which days are counted
        assert kind(node.first()) == "challenged"

    def test_an_hour_later_it_goes_on(self, site: Site) -> None:
        """At the latest a slot of the tally later."""
        node = site.node(limits={"per_account_hour": 1, "cooldown": 0})
        node.challenge()
        site.clock.advance(3600 - 1)
        assert node.first() == FAILED
        site.clock.advance(301)
        assert kind(node.first()) == "challenged"


class TestLockout:
    def test_wrong_pins_and_wrong_codes_count_together(self, site: Site) -> None:
        """At the last one the account is locked, for the right PIN too."""
        node = site.node(lockout={"failures": 3, "minutes": 15})
        challenged = node.challenge()
        node.second(challenged, "000000")
        node.first(password="wrong")
        node.first(password="wrong")
        assert node.kinds()[-2:] == ["pin-wrong", "account-locked"]
        assert node.first() == FAILED
        assert kind(node.second(challenged, node.code(challenged))) == "rejected"
        site.clock.advance(15 * 60)
        assert kind(node.first()) == "challenged"

    def test_it_outlives_a_restart_and_holds_on_every_server(self, site: Site) -> None:
        """It is in the store."""
        node = site.node(lockout={"failures": 1})
        node.first(password="wrong")
        assert site.node().first() == FAILED

    def test_going_on_does_not_make_it_longer(self, site: Site) -> None:
        """Nobody can keep somebody else locked out with wrong PINs, once it has begun."""
        node = site.node(lockout={"failures": 1, "minutes": 15})
        for _ in range(15):
            node.first(password="wrong")
            site.clock.advance(60)
        assert kind(node.first()) == "challenged"

    def test_a_login_forgets_what_was_counted(self, site: Site) -> None:
        """Failures count in a row."""
        node = site.node(lockout={"failures": 2})
        for _ in range(3):
            node.first(password="wrong")
            challenged = node.challenge()
            assert node.second(challenged, node.code(challenged)) == Accepted()

    def test_a_first_factor_that_does_not_answer_is_nobodys_fault(self, site: Site) -> None:
        """LDAP is down: said so, and not counted."""
        node = site.node(lockout={"failures": 1})
        rejected = node.service.first_factor_down(request())
        assert rejected == Rejected(TextSettings().unavailable)
        assert node.kinds() == ["first-factor-down"]
        assert kind(node.first()) == "challenged"


class TestAccountsFromElsewhere:
    def test_a_number_from_freeradius_makes_an_account(
        self, site: Site, gateways: Gateways
    ) -> None:
        """In any writing of its country; none of ours is needed, and no PIN of ours is checked."""
        node = site.node(country="DE")
        asked = request("carol", "Kennwort", phones=("0170 / 765 43 21",))
        ready = node.service.prepare(asked)
        assert (ready.pin_hash, ready.reason) == (None, "")
        challenged = node.challenge("carol", phones=("0170 / 765 43 21",))
        assert gateways.sent[0][1].phone == "+491707654321"
        assert challenged.text.endswith("***21: ")
        assert node.second(challenged, node.code(challenged), "carol") == Accepted()

    def test_it_wins_over_the_number_in_the_store(self, site: Site, gateways: Gateways) -> None:
        """And the PIN stays that of the account."""
        node = site.node()
        assert node.first(password="wrong", phones=("+491707654321",)) == FAILED
        node.challenge(phones=("+491707654321",))
        assert gateways.sent[0][1].phone == "+491707654321"

    def test_a_number_that_is_none_is_a_bad_one(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is not replaced by another one; the log says so without the number."""
        node = site.node()
        assert node.first(phones=("0170 7654321",)) == FAILED
        told = "SMSOTP-Phone has no country code"
        assert node.events()[-1].detail == {"reason": "bad-phone", "number": told}
        assert "has no country code" in caplog.text
        assert "7654321" not in caplog.text

    def test_the_first_number_that_is_one_and_allowed_is_taken(
        self, site: Site, gateways: Gateways
    ) -> None:
        """A directory has several values of `mobile`, in any order and of any quality."""
        node = site.node(country="DE", limits={"countries": ["+49"]})
        numbers = ("ext. 4711", "+43 664 1234567", "0170 7654321", PHONE)
        node.challenge("carol", phones=numbers)
        assert gateways.sent[0][1].phone == "+491707654321"
        told = {
            "number": "value 1 of SMSOTP-Phone holds letters, "
            "value 2 of SMSOTP-Phone is of AT, which limits.countries does not name"
        }
        assert node.events("carol")[0].detail == told
        assert node.first("dora", phones=numbers[:2]) == FAILED
        assert node.events("dora")[-1].detail == told | {"reason": "country"}
        assert node.first("emil", phones=(*numbers[:1], "491701234567")) == FAILED
        assert node.events("emil")[-1].detail["number"] == (
            "value 1 of SMSOTP-Phone holds letters, value 2 of SMSOTP-Phone begins with a country "
            "code, and neither + nor 00 before it"
        )

    def test_a_premium_number_is_passed_over_and_alone_refused(
        self, site: Site, gateways: Gateways
    ) -> None:
        """A directory's numbers go by the same rules as those of accounts."""
        node = site.node(limits={"countries": ["DE"], "special": ["+49180"]})
        premium, shared = "+49 900 1234567", "+49 180 12345678"
        node.challenge("carol", phones=(premium, shared, PHONE))
        assert gateways.sent[0][1].phone == "+4918012345678"
        told = "SMSOTP-Phone is a premium number, to which a message costs more"
        assert node.events("carol")[0].detail == {"number": f"value 1 of {told}"}
        for password in (PIN, "wrong"):
            assert node.first("dora", password, phones=(premium,)) == FAILED
            assert node.events("dora")[-1].detail == {"reason": "premium", "number": told}
        assert len(gateways.sent) == 1

    def test_what_cannot_be_used_is_logged_and_the_settings_hold(
        self, site: Site, gateways: Gateways, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A text without the code would be an SMS that helps nobody."""
        node = site.node()
        challenged = node.challenge(
            "carol", phones=(PHONE,), provider="third", style="sms", template="Hi {{code}} {name}"
        )
        assert (challenged.style, challenged.route) == ("challenge", ("first", "second"))
        assert gateways.sent[0][1].text.startswith(node.code(challenged))
        for name in ("Provider", "Style", "Text"):
            assert f"SMSOTP-{name} of 'carol'" in caplog.text
        assert "Hi" not in caplog.text

    def test_an_account_of_ours_that_is_disabled_stays_so(self, site: Site) -> None:
        """Whatever LDAP says of it."""
        node = site.node()
        add(node, "disabled", PHONE, enabled=False)
        assert node.first("disabled", phones=(PHONE,)) == FAILED

    def test_it_is_locked_like_any_other(self, site: Site) -> None:
        """The lock-out is by name."""
        node = site.node(lockout={"failures": 2})
        for _ in range(2):
            ready = node.service.prepare(request("carol", "wrong", phones=(PHONE,)))
            node.service.first_factor_failed(
                request("carol", "wrong", phones=(PHONE,), step=ready.step, reason=ready.reason)
            )
        assert node.first("carol", phones=(PHONE,)) == FAILED
        assert node.events("carol")[-1].detail == {"reason": "locked"}

    def test_it_may_say_provider_text_and_style(self, site: Site, gateways: Gateways) -> None:
        """The provider goes first; one that does not exist changes nothing."""
        node = site.node(limits={"cooldown": 0})
        challenged = node.challenge(provider="second", template="{code} für {name}", style="reject")
        assert challenged.style == "reject"
        [(name, message)] = gateways.sent
        assert (name, message.text) == ("second", f"{message.code} für alice")
        node.challenge(provider="third")
        assert gateways.names() == ["second", "first"]

    def test_an_account_may_have_a_provider_of_its_own(
        self, site: Site, gateways: Gateways
    ) -> None:
        """Before the others, also if these do not have it in their order."""
        node = site.node(delivery={"order": ["first"]})
        add(node, "bob", PHONE, provider="second")
        challenged = node.first("bob")
        assert isinstance(challenged, Challenged)
        assert challenged.route == ("second", "first")
        node.settle(challenged.transaction_id)
        assert gateways.names() == ["second"]
