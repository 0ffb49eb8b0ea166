"""A login that cannot succeed takes as long as one that could."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.core import pin
from radius_smsotp.core.model import Account
from tests.site import PHONE, PIN, ROUNDS, add, pap, request

if TYPE_CHECKING:
    from tests.site import Node, Site


@pytest.fixture
def node(site: Site) -> Node:
    """A server, with accounts from a time when PINs had fewer rounds, and from a later one."""
    one = site.node()
    with one.store.write() as tx:
        for number in range(40):
            rounds = 5 if number < 30 else 20
            pin_hash = pin.digest(PIN, os.urandom(16), rounds)
            account = Account(f"user{number * 7 % 40}", PHONE, pin_hash, enabled=number % 2 == 0)
            tx.put_account(account, datetime.now(UTC))
    return one


def rounds(node: Node, name: str) -> int:
    """How many rounds FreeRADIUS is told to check for a name."""
    pin_hash = node.service.admission.prepare(request(name)).pin_hash
    assert pin_hash is not None
    assert len(pin_hash.split("$")[-1]) == 88  # 64 octets in base64
    return pin.iterations(pin_hash)


def test_an_account_that_may_not_log_in_keeps_its_own(node: Node) -> None:
    with node.store.read() as tx:
        accounts = [account for account, _ in tx.accounts() if account.pin_hash]
    refused = [account for account in accounts if not account.enabled]
    assert len(refused) == 20
    for account in accounts:
        assert account.pin_hash is not None
        assert rounds(node, account.name) == pin.iterations(account.pin_hash)


def test_an_unknown_name_has_those_of_an_account_always_the_same(node: Node) -> None:
    names = [f"user{number}{letter}" for number in range(40) for letter in "abc"]
    first = [rounds(node, name) for name in names]
    assert first == [rounds(node, name) for name in names]
    assert set(first) == {5, ROUNDS, 20}  # alice comes after the last one, and has ROUNDS
    assert first.count(5) > first.count(20)


def test_where_accounts_have_no_pin_the_settings_say_how_many(node: Node) -> None:
    add(node, "zacharias", text=None)
    assert rounds(node, "zach") == ROUNDS


def test_no_pin_is_that_of_a_decoy(node: Node) -> None:
    pin_hash = node.service.admission.prepare(request("nobody")).pin_hash
    assert pin_hash is not None
    for text in (PIN, "", "0", "nobody"):
        assert not pap(pin_hash, text)
