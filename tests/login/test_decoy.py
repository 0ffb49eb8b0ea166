"""A login that cannot succeed takes as long as one that could."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.model import pin
from radius_smsotp.model.identity import SHARES, share
from radius_smsotp.model.records import Account, Lockout
from radius_smsotp.store.sqlite import SqliteStore
from tests.support.site import PHONE, PIN, ROUNDS, Node, add, kind, pap, request

if TYPE_CHECKING:
    from radius_smsotp.store.transaction import Transaction
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Site


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
    pin_hash = node.service.prepare(request(name)).pin_hash
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
    assert set(first) == {5, ROUNDS, 20}  # behind the last one stand the settings' ROUNDS
    assert first.count(5) > first.count(20)


def test_where_accounts_have_no_pin_the_settings_say_how_many(node: Node) -> None:
    add(node, "zacharias", text=None)
    assert rounds(node, "zach") == ROUNDS


def test_a_name_that_nobody_has_asks_the_store_no_more(node: Node) -> None:
    """On PostgreSQL each question is a way there and back, which shows outside."""
    asked: list[str] = []
    assert isinstance(node.store, SqliteStore)
    node.store._connection("reader").set_trace_callback(lambda _: asked.append(user))
    for user in ("alice", "nobody", "user0"):
        node.service.prepare(request(user))
    assert asked.count("alice") == asked.count("nobody") == asked.count("user0") > 0


def test_no_pin_is_that_of_a_decoy(node: Node) -> None:
    pin_hash = node.service.prepare(request("nobody")).pin_hash
    assert pin_hash is not None
    for text in (PIN, "", "0", "nobody"):
        assert not pap(pin_hash, text)


def lockouts(tx: Transaction) -> int:
    """How many rows there are of failures, whoever's, or nobody's."""
    tables = ("lockout", "station", "decoy")
    return sum(tx._db.execute(f"SELECT count(*) FROM {one}").fetchone()[0] for one in tables)


def test_who_is_refused_while_locked_is_not_locked_once_more(site: Site) -> None:
    """Nor shows up among the stations that are."""
    node = site.node()
    for _ in range(12):
        node.first(password="wrong")
    with node.store.read() as tx:
        assert tx.count_accounts(site.clock())["locked"] == 1
        assert tx.locked_stations(site.clock()) == []


def test_failures_of_nobody_take_little_room_for_a_time(site: Site) -> None:
    """However many names somebody tries, and until they have stopped for long enough."""
    node = site.node()
    for number in range(3 * SHARES):
        assert kind(node.first(f"nobody{number}")) == "rejected"
    site.clock.advance(91 * 86400)
    now = site.clock()
    with node.store.write() as tx:
        assert SHARES / 2 < lockouts(tx) <= SHARES
        while tx.prune(now, now - timedelta(days=365), now):
            pass
        assert lockouts(tx) == 0


def test_a_failure_of_nobody_is_written_like_one_of_an_account(site: Site) -> None:
    """One row, made or changed, as a wrong PIN does."""
    node = site.node()
    for name in ("alice", "nobody"):
        for rows in (1, 1):
            with node.store.write() as tx:
                before = tx._db.execute("SELECT total_changes()").fetchone()[0]
            node.first(name, "wrong")
            with node.store.write() as tx:
                after = tx._db.execute("SELECT total_changes()").fetchone()[0]
            assert after - before == rows + 1, name  # beside the event


class TestWaiting:
    """On a store where a row is held by whoever writes to it first."""

    def test_unknown_names_do_not_wait_for_one_another(
        self, site: Site, postgres_server: PostgresServer
    ) -> None:
        """But for the few that share a row."""
        site.node(store=postgres_server.make_url())
        node = Node(site, patience=1)
        one, other = "nobody", "nobody-else"
        assert share(one) != share(other)
        with node.store.write(one) as tx:
            tx.note_refusal(one, site.clock())
            assert tx.lockout(one) == Lockout()  # what was to be written is written
            assert kind(node.first(other)) == "rejected"
        assert node.kinds(other) == ["login-refused"]
        node.close()
