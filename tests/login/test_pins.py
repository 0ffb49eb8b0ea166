"""PIN hashes: sealed, of earlier versions, and renewed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.user import bulk
from radius_smsotp.login.answers import Accepted
from radius_smsotp.login.request import Step
from radius_smsotp.model import pin
from radius_smsotp.model.records import Account
from radius_smsotp.settings import keyring
from tests.support.site import PHONE, PIN, ROUNDS, Node, eventually, kind, pap, request

if TYPE_CHECKING:
    from tests.support.site import Site

OLD_ROUNDS = 25


@pytest.fixture
def node(site: Site) -> Node:
    """A server, where alice and bob are as the version before left them."""
    one = site.node()
    for name in ("alice", "bob"):
        put(one, name, pin.digest(PIN, b"0123456789abcdef", OLD_ROUNDS))
    return one


def put(node: Node, name: str, pin_hash: str) -> None:
    """An account with this hash."""
    with node.store.write() as tx:
        tx.put_account(Account(name, PHONE, pin_hash), datetime.now(UTC))


def kept(node: Node, name: str = "alice") -> str:
    """The hash of an account as it is kept."""
    with node.store.read() as tx:
        found = tx.account(name)
    assert found is not None
    assert found.pin_hash is not None
    return found.pin_hash


def is_renewed(node: Node, name: str = "alice") -> bool:
    """Whether a hash is as new ones are."""
    found = kept(node, name)
    return (pin.sealed_with(found), pin.iterations(found)) == (node.keys.sealing, ROUNDS)


def settled(node: Node) -> None:
    """Nothing is being renewed: bob, who comes after all others, was."""
    put(node, "bob", pin.digest(PIN, b"0123456789abcdef", OLD_ROUNDS))
    assert kind(node.first("bob")) != "rejected"
    eventually(lambda: is_renewed(node, "bob"))


def test_a_hash_of_before_is_taken_and_renewed_at_the_next_right_pin(node: Node) -> None:
    """The rounds of the settings, a salt of its own, and the seal; the login goes on meanwhile."""
    before = kept(node)
    challenged = node.challenge()
    eventually(lambda: is_renewed(node))
    assert pin.salt(kept(node)) != pin.salt(before)
    assert node.second(challenged, node.code(challenged)) == Accepted()
    assert kind(node.first()) == "challenged"
    assert kind(node.first(password="4321")) == "rejected"
    assert "account-changed" not in node.kinds()


def test_a_wrong_pin_renews_nothing(node: Node) -> None:
    before = kept(node)
    node.first(password="4321")
    settled(node)
    assert kept(node) == before


def test_the_password_of_another_first_factor_is_none_of_ours(node: Node) -> None:
    """LDAP found it right: the PIN in our store stays."""
    before = kept(node)
    asked = replace(request(password="of the directory"), step=Step.PIN)
    assert kind(node.service.begin(asked)) == "challenged"
    settled(node)
    assert kept(node) == before


def test_an_account_without_pin_gets_none(node: Node) -> None:
    with node.store.write() as tx:
        tx.put_account(Account("alice", PHONE, None), datetime.now(UTC))
    assert kind(node.first(known_good=True)) == "challenged"
    settled(node)
    with node.store.read() as tx:
        found = tx.account("alice")
    assert found is not None
    assert found.pin_hash is None


def test_a_pin_that_is_changed_meanwhile_stays_changed(node: Node) -> None:
    """It was set between the login and the renewal."""
    before, other = kept(node), node.keys.seal_pin("alice", pin.digest("2580", b"s" * 16, ROUNDS))
    renewed = node.keys.seal_pin("alice", pin.digest(PIN, b"t" * 16, ROUNDS))
    put(node, "alice", other)
    with node.store.write("alice") as tx:
        tx.exchange_pin_hash("alice", before, renewed)
    assert kept(node) == other


def test_hashes_follow_to_a_new_key_with_their_salt_and_rounds(node: Node, site: Site) -> None:
    """No PIN is hashed for that."""
    node.first()
    eventually(lambda: is_renewed(node))
    before = kept(node)
    keyring.add(site.folder / "key", datetime(2026, 1, 1, tzinfo=UTC), for_pins=True)
    other = site.node()
    assert other.keys.sealing != node.keys.sealing
    # Not with a login: a server that has not got the key yet still opens it.
    other.challenge()
    settled(other)
    assert kept(other) == before
    assert bulk.seal(other.store, other.keys) == 1
    assert kept(other).split("$")[1:-1] == before.split("$")[1:-1]
    # A server that has the new key and waits for it leaves them as they are.
    path = site.folder / "key"
    path.write_text(path.read_text().replace("2026-01-01T", "9999-01-01T"))
    waiting = site.node()
    assert waiting.keys.sealing == node.keys.sealing
    assert bulk.seal(waiting.store, waiting.keys) == 0
    assert kind(waiting.first()) == "challenged"
    assert pin.sealed_with(kept(waiting)) == other.keys.sealing
    # One that has not got it yet says so, and counts nothing.
    assert kind(node.first()) == "rejected"
    assert node.events()[-1].detail == {"reason": "other-key"}


def test_a_hash_in_another_row_is_worth_nothing(node: Node) -> None:
    """Who can write to the store cannot give a known PIN to somebody else."""
    put(node, "mallory", node.keys.seal_pin("mallory", pin.digest("1111", b"s" * 16, ROUNDS)))
    assert kind(node.first("mallory", "1111")) == "challenged"
    put(node, "alice", kept(node, "mallory"))
    assert kind(node.first("alice", "1111")) == "rejected"
    assert node.kinds("alice") == ["pin-wrong"]


class TestKeyOfAnotherServer:
    @pytest.fixture
    def foreign(self, node: Node) -> Node:
        """Alice's PIN is sealed with a key that is not here."""
        sealed = node.keys.seal_pin("alice", pin.digest(PIN, b"s" * 16, OLD_ROUNDS))
        put(node, "alice", sealed.replace(node.keys.sealing, "p20991231-00000000"))
        return node

    def test_a_right_pin_is_refused_and_not_counted(
        self, foreign: Node, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Nobody here knows that it is right; trace and log say why."""
        assert kind(foreign.first()) == "rejected"
        [event] = foreign.events()
        assert (event.kind, event.detail) == ("login-refused", {"reason": "other-key"})
        assert "another key than the one that made the code, or sealed the PIN" in caplog.text
        with foreign.store.read() as tx:
            assert tx.lockout("alice").failures == 0

    def test_it_takes_as_long_as_a_wrong_one(self, foreign: Node) -> None:
        decoy = foreign.service.prepare(request()).pin_hash
        assert decoy is not None
        assert pin.iterations(decoy) == OLD_ROUNDS
        assert not pap(decoy, PIN)

    def test_what_else_stands_against_the_login_is_told_instead(self, foreign: Node) -> None:
        with foreign.store.write() as tx:
            found = tx.account("alice")
            assert found is not None
            tx.put_account(replace(found, enabled=False), datetime.now(UTC))
        foreign.first()
        assert foreign.events()[-1].detail == {"reason": "disabled"}

    def test_no_guess_is_lost_with_pin_and_code_in_one(self, foreign: Node, site: Site) -> None:
        sealed = kept(foreign)
        put(foreign, "alice", pin.digest(PIN, b"s" * 16, ROUNDS))
        challenged = foreign.challenge()
        eventually(lambda: is_renewed(foreign))
        put(foreign, "alice", sealed)
        for tail in (foreign.code(challenged), "000000"):
            assert kind(foreign.first(password=PIN + tail)) == "rejected"
        assert foreign.stored(challenged.transaction_id).guesses_left == 3
        assert foreign.second(challenged, foreign.code(challenged)) == Accepted()
