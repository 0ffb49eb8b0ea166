"""Devices that keep what let them in, or the PIN alone, and people who are short of time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login.answers import Accepted, Rejected
from radius_smsotp.login.request import Round, Step
from radius_smsotp.model.records import Client, Lockout
from radius_smsotp.settings.schema import TextSettings
from tests.support.site import PIN, kind, request

if TYPE_CHECKING:
    from tests.support.site import Node, Site

TEXTS = TextSettings()
OFFICE = Client("wifi", "192.0.2.1", "02-00-00-00-00-01", "Office")
OTHER = Client("wifi", "192.0.2.1", "02-00-00-00-00-02", "Office")
NAMELESS = Client("wifi", "192.0.2.1", "", "Office")
VPN = Client("vpn", "192.0.2.2", "198.51.100.7")
ONCE: dict[str, Any] = {"client": OFFICE, "style": "reject", "tunnelled": True}
"""A device that is asked once, in its tunnel."""


@pytest.fixture
def node(site: Site) -> Node:
    """A server that remembers devices in the Wi-Fi for twelve hours."""
    return site.node(clients={"wifi": {"remember": 12}})


def log_in(node: Node, **more: Any) -> str:
    """A whole login with PIN and code in one password.  Returns that."""
    password = PIN + node.code(node.challenge(**more))
    assert node.first(password=password, **more) == Accepted()
    return password


def sent(node: Node) -> int:
    """Messages to alice."""
    return node.kinds().count("challenge-opened")


def failures(node: Node) -> int:
    """Those of alice and of her stations."""
    with node.store.read() as tx:
        stations = [dict(row)["failures"] for row in tx._db.execute("SELECT * FROM station")]
        return tx.lockout("alice").failures + sum(stations)


class TestKeptCode:
    """PIN and code as the password of a device, which sends them again."""

    def test_on_a_remembered_device_they_are_the_pin(self, site: Site, node: Node) -> None:
        """At every server, as long as it is remembered, also when the challenge is pruned."""
        password = log_in(node, client=OFFICE)
        for server in (node, site.node()):
            for _ in range(10):
                site.clock.advance(3600 / 2)
                assert server.first(password=password, client=OFFICE) == Accepted()
        with node.store.write() as tx:
            tx._db.execute("DELETE FROM challenge")
        assert node.first(password=password, client=OFFICE) == Accepted()
        assert node.kinds().count("code-accepted") == 1
        assert failures(node) == 0

    def test_the_pin_is_right_as_well_or_it_counts(self, node: Node) -> None:
        """A code that is spent opens nothing."""
        password = log_in(node, client=OFFICE)
        code = password[len(PIN) :]
        for wrong in ("wrong" + code, code, PIN[:-1] + code, PIN + "x" + code):
            assert node.first(password=wrong, client=OFFICE) == Rejected(TEXTS.failed)
        assert failures(node) == 4
        assert node.first(password=f"{PIN}{(int(code) + 1) % 10**6:06}", client=OFFICE) == Rejected(
            TEXTS.failed
        )
        assert failures(node) == 5

    def test_two_devices_behind_one_address_keep_one_each(self, site: Site, node: Node) -> None:
        """A station knows its last codes, not only the last one."""
        kept = [log_in(node, client=OFFICE)]
        with node.store.write() as tx:
            tx.forget_devices("alice")
        kept.append(log_in(node, client=OFFICE))
        site.clock.advance(3600)
        with node.store.write() as tx:
            tx._db.execute("DELETE FROM challenge")
        assert [node.first(password=one, client=OFFICE) for one in kept] == [Accepted()] * 2

    @pytest.mark.parametrize("client", [OTHER, NAMELESS, VPN])
    def test_elsewhere_it_is_an_old_code_and_no_failure(self, node: Node, client: Client) -> None:
        """However often it comes; no SMS goes out, and a login meanwhile is not disturbed."""
        password = log_in(node, client=OFFICE)
        challenged = node.challenge(client=VPN)
        for _ in range(12):
            assert node.first(password=password, client=client) == Rejected(TEXTS.start_again)
        assert failures(node) == 0
        assert sent(node) == 2
        last = node.events()[-1]
        assert (last.kind, last.detail, last.station) == (
            "login-refused",
            {"reason": "old-code"},
            client.station,
        )
        assert node.stored(challenged.transaction_id).guesses_left == 3
        assert node.second(challenged, node.code(challenged), client=VPN) == Accepted()

    def test_where_it_is_forgotten_it_is_one_too(self, site: Site, node: Node) -> None:
        """Weeks later, from the same station and from any other; in the end it is a wrong PIN."""
        password = log_in(node, client=OFFICE)
        site.clock.advance(80 * 86400)
        for client in (OFFICE, OTHER):
            assert node.first(password=password, client=client) == Rejected(TEXTS.start_again)
        assert failures(node) == 0
        site.clock.advance(11 * 86400)
        with node.store.write() as tx:
            tx.prune(site.clock(), site.clock(), site.clock())
        for client in (OFFICE, OTHER):
            assert node.first(password=password, client=client) == Rejected(TEXTS.failed)

    def test_who_gave_the_code_where_it_was_asked_for_has_kept_none(self, node: Node) -> None:
        """So that such a login, which most are, writes no more than before."""
        challenged = node.challenge(client=VPN)
        right = node.code(challenged)
        assert node.second(challenged, right, client=VPN, packet="0x01") == Accepted()
        assert node.first(password=PIN + right, client=OTHER) == Rejected(TEXTS.failed)
        assert node.first(password=PIN + right, client=VPN) == Rejected(TEXTS.start_again)

    def test_a_locked_account_gains_nothing(self, site: Site) -> None:
        """Nor does whoever sends an old code to find out whether it is locked."""
        node = site.node(clients={"wifi": {"remember": 12}}, lockout={"failures": 2})
        password = log_in(node, client=OFFICE)
        for _ in range(2):
            node.first(password="wrong", client=OFFICE)
        assert node.first(password=password, client=OFFICE) == Rejected(TEXTS.failed)

    def test_a_handshake_proves_it_too(self, node: Node) -> None:
        """MS-CHAPv2 of a device that is remembered, or not; or the PIN alone."""
        password = log_in(node, client=OFFICE)
        for client, expected in ((OFFICE, Accepted()), (VPN, Rejected(TEXTS.start_again))):
            more: dict[str, Any] = {"client": client, "handshake": True, "cleartext": PIN}
            ready = node.service.prepare(request(password=None, **more))
            assert (ready.step, ready.candidate) == (Step.PIN_AND_OLD_CODE, password)
            told = {"step": ready.step, "matched": ready.matched, **more}
            proved = request(password=None, proved=True, **told)
            assert node.service.begin(proved) == expected
        alone = node.service.begin(request(password=None, **told))
        assert kind(alone) == "challenged"

    def test_a_new_code_is_none_of_the_old_ones(
        self, node: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else it could not be told from one that is kept."""
        first = node.challenge(client=VPN)
        assert node.first(password=PIN + node.code(first), client=VPN) == Accepted()
        drawn = iter([first.transaction_id, "f" * 32])
        monkeypatch.setattr("secrets.token_hex", lambda _: next(drawn))
        assert node.challenge(client=VPN).transaction_id == "f" * 32


class TestStoredPin:
    """A device with the PIN alone as its password."""

    def ask(self, site: Site, node: Node, minutes: int, *, gtc: bool = False) -> list[str]:
        """It tries once a minute.  Returns what it gets."""
        more = ONCE | ({"style": None} if gtc else {})
        got = []
        for _ in range(minutes):
            outcome = node.first(**more)
            got.append(kind(outcome))
            if kind(outcome) == "challenged" and gtc:
                tid = outcome.transaction_id  # type: ignore[union-attr]
                self.echo(node, tid)
            site.clock.advance(60)
        return got

    def echo(self, node: Node, transaction_id: str) -> None:
        """It answers the question for the code with the PIN."""
        challenge = node.stored(transaction_id)
        echo = node.service._issuer.echo(challenge, PIN)
        turn = Round(Step.CODE, 1, PIN.encode(), transaction_id, echo)
        more = {"client": OFFICE, "transaction_id": transaction_id, "tunnelled": True}
        answer = request(password=PIN, eap=turn, **more)
        assert kind(node.service.answer(replace(answer, step=Step.CODE))) == "challenged"

    @pytest.mark.parametrize("gtc", [False, True], ids=["asked once", "asked twice"])
    def test_it_gets_two_messages_an_hour(self, site: Site, node: Node, gtc: bool) -> None:
        """Whichever server it asks; then one more when an hour is over."""
        got = self.ask(site, node, 8, gtc=gtc)
        assert sent(node) == 2
        assert got == ["challenged"] * 8
        got = self.ask(site, site.node(), 52, gtc=gtc)
        assert sent(node) == 2
        assert got[:2] == ["challenged"] * 2
        assert set(got[2:]) == {"rejected"}
        assert node.events()[-1].detail == {"reason": "stored-password"}
        assert failures(node) == 0
        self.ask(site, node, 60, gtc=gtc)
        assert sent(node) == 4

    def test_meanwhile_its_owner_logs_in_everywhere_else(self, site: Site, node: Node) -> None:
        """From a VPN, from another device, from one that does not say who it is."""
        self.ask(site, node, 20)
        for client in (VPN, OTHER, NAMELESS):
            challenged = node.challenge(client=client)
            assert node.second(challenged, node.code(challenged), client=client) == Accepted()

    def test_a_login_from_it_ends_that(self, site: Site, node: Node) -> None:
        """With a code that was sent before or goes to another device; then all begins anew."""
        self.ask(site, node, 20)
        elsewhere = node.challenge(client=VPN)
        assert node.first(password=PIN + node.code(elsewhere), **ONCE) == Accepted()
        with node.store.write() as tx:
            tx.forget_devices("alice")
        site.clock.advance(1)
        assert kind(node.first(**ONCE)) == "challenged"
        assert sent(node) == 4

    def test_the_helpdesk_ends_it(self, site: Site, node: Node) -> None:
        """Somebody is there after all; codes that are open stay so."""
        self.ask(site, node, 20)
        challenged = node.challenge(client=VPN)
        with node.store.write() as tx:
            assert tx.forget_unanswered("alice", site.clock())
            assert not tx.forget_unanswered("bob", site.clock())
        assert kind(node.first(**ONCE)) == "challenged"
        assert node.second(challenged, node.code(challenged), client=VPN) == Accepted()

    def test_a_code_that_is_open_is_taken_from_it(self, site: Site, node: Node) -> None:
        """Its owner has come, and types both; nobody is sent another one for it."""
        self.ask(site, node, 7)
        challenged = node.first(**ONCE)
        assert node.first(password=PIN + node.code(challenged), **ONCE) == Accepted()  # type: ignore[arg-type]

    def test_who_is_asked_for_the_code_and_gives_up_is_no_device(
        self, site: Site, node: Node
    ) -> None:
        """A VPN user to whom no SMS comes, until the limit."""
        for _ in range(6):
            assert kind(node.first(client=VPN)) == "challenged"
            site.clock.advance(301)
        assert sent(node) == 6

    def test_who_mistypes_is_no_device(self, site: Site, node: Node) -> None:
        """A wrong code, in whatever way it comes, or a wrong PIN."""
        for answer in (f"{PIN}000000", f"{PIN}000001", "wrong", "wrong", "wrong", PIN):
            assert kind(node.first(**ONCE)) == "challenged"
            node.first(password=answer, **ONCE)
            site.clock.advance(301)
        assert sent(node) == 6

    def test_a_wrong_pin_is_still_counted_meanwhile(self, site: Site, node: Node) -> None:
        """Somebody guesses codes at what is open, say."""
        self.ask(site, node, 6)
        challenged = node.first(**ONCE)
        assert kind(node.first(password=f"{PIN}000000", **ONCE)) == "rejected"
        assert node.stored(challenged.transaction_id).guesses_left == 2  # type: ignore[union-attr]
        assert failures(node) == 1

    def test_nobody_stops_the_messages_of_another_station(self, site: Site, node: Node) -> None:
        """Who has the PIN and asks from anywhere else, as often as there is to ask."""
        log_in(node, client=OFFICE)
        with node.store.write() as tx:
            tx.forget_devices("alice")
        for number in range(20):
            node.first(**(ONCE | {"client": Client("wifi", "", f"02-00-00-00-01-{number:02}")}))
        before = sent(node)
        site.clock.advance(60)
        assert kind(node.first(**ONCE)) == "challenged"
        assert sent(node) == before + 1


class TestPatience:
    """A supplicant gives up before its user has typed the code."""

    def test_in_eap_the_same_code_is_taken_in_the_next_conversation(
        self, site: Site, node: Node
    ) -> None:
        """After 65 seconds, at another server, and up to a minute before its end."""
        more: dict[str, Any] = {"client": OFFICE, "tunnelled": True}
        first = node.challenge(**more)
        site.clock.advance(65)
        again = site.node().challenge(**more)
        site.clock.advance(175)
        last = node.challenge(**more)
        assert first.transaction_id == again.transaction_id == last.transaction_id
        assert sent(node) == 1
        assert node.second(last, node.code(first), **more) == Accepted()

    def test_the_first_code_is_right_where_a_second_one_is_asked_for(
        self, site: Site, node: Node
    ) -> None:
        """Both logins are over with it, and the packet may come again."""
        old = node.challenge(client=VPN)
        site.clock.advance(65)
        new = node.challenge(client=VPN)
        right = node.code(old)
        for _ in range(2):
            assert node.second(new, right, client=VPN, packet="0x01") == Accepted()
        assert {node.stored(one.transaction_id).state for one in (old, new)} == {"spent"}
        assert node.kinds().count("code-accepted") == 1
        for one in (old, new):
            for answer in (right, node.code(new)):
                assert kind(node.second(one, answer, client=VPN, packet="0x02")) == "rejected"
        with node.store.read() as tx:
            assert tx.lockout("alice") == Lockout()

    def test_a_wrong_code_is_a_guess_at_both(self, site: Site, node: Node) -> None:
        """As behind the PIN: else many open ones would be as many guesses."""
        old = node.challenge(client=VPN)
        site.clock.advance(65)
        new = node.challenge(client=VPN)
        for left in (2, 1, 0):
            node.second(new, "000000", client=VPN)
            assert {node.stored(one.transaction_id).guesses_left for one in (old, new)} == {left}
        assert kind(node.second(old, node.code(old), client=VPN)) == "rejected"
        assert failures(node) == 3

    @pytest.mark.parametrize("bind", ["client", "station"])
    def test_a_code_counts_from_where_it_may_be_answered(self, site: Site, bind: str) -> None:
        """`challenge.bind` holds for it as well, and it costs no guess there."""
        node = site.node(challenge={"bind": bind})
        old = node.challenge(client=OFFICE)
        new = node.challenge(client=VPN)
        assert kind(node.second(new, node.code(old), client=VPN)) == "challenged"
        assert node.stored(old.transaction_id).guesses_left == 3

    def test_nobody_elses_code_counts(self, node: Node) -> None:
        """Bob's challenge is open, too."""
        alice, bob = node.challenge(client=VPN), node.challenge("bob", client=VPN)
        assert kind(node.second(alice, node.code(bob), client=VPN)) == "challenged"
        assert node.stored(bob.transaction_id).guesses_left == 3
