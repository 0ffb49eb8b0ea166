"""
The promises of `radius_smsotp.store.Store` and of its transactions, run against every back end.

A store's test module subclasses `contract_whole.WholeContract`, of which this is the first part,
and gives the fixture `make_url`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.model.records import Account, Challenge, Client, Delivery, Device, Event, Lockout
from radius_smsotp.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.store import Store

NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ALICE = Account(
    "alice", "+491701234567", "$PBKDF2$HMACSHA2+512:1:c2FsdA==$aGFzaA==", "backup", language="de"
)
HERE = Client("wifi", "192.0.2.1", "02-00-00-00-00-01", "Office Wi-Fi")


def challenge(number: int = 1, **fields: Any) -> Challenge:
    """A challenge of alice, made now, its message waiting."""
    usual: dict[str, Any] = {
        "transaction_id": f"{number:032x}",
        "account": "alice",
        "client": "vpn",
        "station": "02-00-00-00-00-01",
        "key_id": "k1",
        "digits": 6,
        "phone_hint": "***67",
        "created_at": NOW,
        "expires_at": NOW + 300 * SECOND,
        "guesses_left": 3,
        "state": "open",
        "delivery": delivery(),
        "language": "de",
    }
    return Challenge(**(usual | fields))


def delivery(**fields: Any) -> Delivery:
    """A message that waits for a courier."""
    usual: dict[str, Any] = {
        "state": "queued",
        "route": ("first", "second"),
        "sealed_phone": "00ff",
        "template": "{code} für Sie",
        "lease_owner": None,
        "lease_until": NOW,
    }
    return Delivery(**(usual | fields))


def device(**fields: Any) -> Device:
    """A device of alice, remembered for an hour."""
    usual: dict[str, Any] = {
        "account": "alice",
        "client": HERE.name,
        "ssid": HERE.ssid,
        "station": HERE.station,
        "number_tag": "tag",
        "expires_at": NOW + HOUR,
    }
    return Device(**(usual | fields))


def event(kind: str = "pin-wrong", **fields: Any) -> Event:
    """A line of alice's audit trail."""
    usual: dict[str, Any] = {"time": NOW, "account": "alice"}
    return Event(kind, **(usual | fields))


class StoreContract:
    """Transactions, accounts, challenges and their delivery."""

    @pytest.fixture
    def make_url(self) -> Callable[[], str]:
        """What names a store that is not there yet, another one each time."""
        raise NotImplementedError

    @pytest.fixture
    def url(self, make_url: Callable[[], str]) -> str:
        """A store that is not there yet."""
        return make_url()

    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        """That store, ready."""
        one = open_store(url, patience=5)
        one.migrate()
        yield one
        one.close()

    # Transactions

    def test_what_one_wrote_another_reads(self, store: Store, url: str) -> None:
        """The store is shared by every server and the command line."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
        other = open_store(url)
        with other.read() as tx:
            assert tx.account("alice") == ALICE
        other.close()

    @pytest.mark.parametrize("durable", [False, True])
    def test_a_block_that_raises_changes_nothing(self, store: Store, durable: bool) -> None:
        """And its exception comes out as it is; the next transaction works."""

        def fail() -> None:
            with store.write(durable=durable) as tx:
                tx.put_account(ALICE, NOW)
                tx.add_challenge(challenge())
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        with store.write(durable=durable) as tx:
            assert tx.account("alice") is None
            assert tx.challenge(challenge().transaction_id) is None

    def test_what_was_committed_can_be_made_durable_afterwards(self, store: Store) -> None:
        """The position tells what there is to wait for; it never goes back."""
        before = store.position
        with store.write("alice") as tx:
            tx.add_challenge(challenge(state="spent"))
        assert store.position > before
        store.sync(store.position)
        store.sync(before)
        with store.read() as tx:
            found = tx.challenge(challenge().transaction_id)
        assert found is not None
        assert found.state == "spent"

    def test_a_transaction_sees_what_it_wrote(self, store: Store) -> None:
        """Before anybody else does."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            assert tx.account("alice") == ALICE
            with store.read() as beside:
                assert beside.account("alice") is None

    def test_a_reader_sees_one_state(self, store: Store) -> None:
        """What is written meanwhile shows in the next transaction."""
        with store.read() as tx:
            assert tx.account("alice") is None
            with store.write() as writer:
                writer.put_account(ALICE, NOW)
            assert tx.account("alice") is None
        with store.read() as tx:
            assert tx.account("alice") == ALICE

    def test_a_reader_changes_nothing(self, store: Store) -> None:
        """Writing where only reading was asked for is an error of the store, not a secret."""
        with pytest.raises(StoreError), store.read() as tx:
            tx.put_account(ALICE, NOW)
        with store.read() as tx:
            assert tx.account("alice") is None

    def test_what_the_store_refuses_is_a_store_error(self, store: Store) -> None:
        """Two challenges of one transaction_id: rolled back, and said without its values."""

        def add_twice() -> None:
            with store.write() as tx:
                tx.put_account(ALICE, NOW)
                tx.add_challenge(challenge())
                tx.add_challenge(challenge())

        with pytest.raises(StoreError) as caught:
            add_twice()
        assert challenge().transaction_id not in str(caught.value)
        with store.write() as tx:
            assert tx.account("alice") is None

    def test_after_close_it_opens_again(self, store: Store) -> None:
        """`close` lets go of connections, not of the store; twice is no error."""
        store.close()
        store.close()
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
        store.close()
        with store.read() as tx:
            assert tx.account("alice") == ALICE

    def test_migrating_again_changes_nothing(self, store: Store) -> None:
        """Every start does it."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
        store.migrate()
        with store.read() as tx:
            assert tx.account("alice") == ALICE

    def test_it_knows_whether_it_exists(self, url: str) -> None:
        """Before it is made, and afterwards."""
        one = open_store(url)
        assert not one.exists()
        one.migrate()
        assert one.exists()
        one.close()

    # Accounts

    def test_an_account_comes_back_as_it_was(self, store: Store) -> None:
        """With all fields, with none, with characters of any script."""
        several = [
            ALICE,
            Account("bob", None),
            Account("жюли@例え.jp", "+33612345678", None, None, False),
        ]
        with store.write() as tx:
            for one in several:
                tx.put_account(one, NOW)
            assert [tx.account(one.name) for one in several] == several
            assert tx.account("carol") is None
            assert tx.account("ALICE") is None  # names are folded before

    def test_putting_an_account_again_replaces_it(self, store: Store) -> None:
        """And its lock-out stays."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("alice", Lockout(2, NOW))
            changed = replace(ALICE, phone=None, enabled=False)
            tx.put_account(changed, NOW + SECOND)
            assert tx.account("alice") == changed
            assert tx.lockout("alice") == Lockout(2, NOW)

    def test_all_accounts_come_by_name_with_their_lockouts(self, store: Store) -> None:
        """Those that never failed have an empty one."""
        with store.write() as tx:
            for name in ("carol", "alice", "bob"):
                tx.put_account(Account(name, None), NOW)
            tx.put_lockout("bob", Lockout(10, NOW, NOW + HOUR))
            tx.put_lockout("bob\nvpn\n192.0.2.7", Lockout(10, NOW, NOW + HOUR))
            tx.put_lockout("bob\nvpn\n192.0.2.8", Lockout(0, NOW))
            assert tx.locked_stations(NOW) == {"bob": [("vpn", "192.0.2.7", NOW + HOUR)]}
            assert tx.locked_stations(NOW + HOUR) == {}
            found = [(account.name, lockout.failures) for account, lockout in tx.accounts()]
        assert found == [("alice", 0), ("bob", 10), ("carol", 0)]

    def test_deleting_an_account_ends_all_that_it_could_do(self, store: Store) -> None:
        """Its lock-out and devices go, its open challenges are cancelled; others' stay."""
        with store.write() as tx:
            for number, name in ((1, "alice"), (2, "bob")):
                tx.put_account(Account(name, None), NOW)
                tx.put_lockout(name, Lockout(1, NOW))
                tx.remember_device(device(account=name))
                tx.add_challenge(challenge(number, account=name))
            assert tx.delete_account("alice") is True
            assert tx.delete_account("alice") is False
            assert tx.lockout("alice") == Lockout()
            assert not tx.is_remembered("alice", HERE, "tag", NOW, HOUR)
            assert [one.account for one in tx.open_challenges(NOW)] == ["bob"]
            assert tx.lockout("bob") == Lockout(1, NOW)
            assert tx.is_remembered("bob", HERE, "tag", NOW, HOUR)

    # Challenges

    def test_a_challenge_comes_back_as_it_was(self, store: Store) -> None:
        """To the microsecond, whether its delivery has a lease and a provider or not."""
        several = [
            challenge(1),
            challenge(2, delivery=delivery(route=(), lease_until=None, sends=3, provider="b")),
            challenge(3, delivery=delivery(lease_owner="host:1:ab", lease_until=NOW + SECOND)),
            challenge(4, state="spent", guesses_left=0, account="жюли", station=""),
        ]
        with store.write() as tx:
            for one in several:
                tx.add_challenge(one)
            assert [tx.challenge(one.transaction_id) for one in several] == several
            assert tx.challenge("f" * 32) is None

    def test_open_challenges_are_those_that_may_be_answered(self, store: Store) -> None:
        """Newest first; not the expired, not the closed, not those of others."""
        several = [
            challenge(1, created_at=NOW - 2 * SECOND),
            challenge(2, created_at=NOW),
            challenge(3, created_at=NOW - SECOND),
            challenge(4, expires_at=NOW),
            challenge(5, state="spent"),
            challenge(6, account="bob", created_at=NOW + SECOND),
        ]
        with store.write() as tx:
            for one in several:
                tx.add_challenge(one)
            mine = [int(one.transaction_id, 16) for one in tx.open_challenges(NOW, "alice")]
            everyone = [int(one.transaction_id, 16) for one in tx.open_challenges(NOW)]
        assert mine == [2, 3, 1]
        assert everyone == [6, 2, 3, 1]

    def test_an_answer_changes_what_it_touches_and_nothing_else(self, store: Store) -> None:
        """A courier may have changed the delivery meanwhile."""
        with store.write() as tx:
            tx.add_challenge(challenge())
            sent = delivery(state="accepted", provider="first")
            tx.save_delivery(challenge(delivery=sent))
            answer = {"state": "exhausted", "guesses_left": 0, "answered": "tag"}
            tx.save_answer(challenge(**answer))
            expected = challenge(**answer, delivery=sent)
            assert tx.challenge(challenge().transaction_id) == expected

    def test_cancelling_ends_the_open_challenges_of_one_account(self, store: Store) -> None:
        """It says how many there were."""
        with store.write() as tx:
            for one in (challenge(1), challenge(2), challenge(3, state="spent")):
                tx.add_challenge(one)
            tx.add_challenge(challenge(4, account="bob"))
            assert tx.cancel_challenges("alice") == 2
            assert tx.cancel_challenges("alice") == 0
            states = [tx.challenge(f"{n:032x}").state for n in (1, 2, 3, 4)]  # type: ignore[union-attr]
        assert states == ["cancelled", "cancelled", "spent", "open"]

    # Delivery

    def test_a_delivery_changes_nothing_but_itself(self, store: Store) -> None:
        """An answer may have come meanwhile; number and text stay."""
        with store.write() as tx:
            tx.add_challenge(challenge())
            tx.save_answer(challenge(state="spent", guesses_left=2))
            sent = delivery(state="accepted", route=("second",), provider="first", lease_until=None)
            assert tx.save_delivery(challenge(delivery=sent)) is True
            expected = challenge(state="spent", guesses_left=2, delivery=sent)
            assert tx.challenge(challenge().transaction_id) == expected

    def test_a_verdict_on_a_message_does_not_touch_the_one_after_it(self, store: Store) -> None:
        """Who asked for one more SMS counts `sends` up; what the first came to is too late then."""
        again = challenge(delivery=delivery(sends=2, route=("second", "first")))
        late = challenge(delivery=delivery(sends=1, state="failed"))
        with store.write() as tx:
            tx.add_challenge(challenge())
            assert tx.save_delivery(again, sends_before=1) is True
            assert tx.save_delivery(again, sends_before=1) is False
            assert tx.save_delivery(late) is False
            assert tx.challenge(challenge().transaction_id) == again

    def test_unsent_are_open_messages_that_nobody_holds(self, store: Store) -> None:
        """Those whose lease has run out, longest first; as many as asked for."""
        several = [
            challenge(1, delivery=delivery(lease_until=NOW)),
            challenge(2, delivery=delivery(lease_until=NOW - SECOND, lease_owner="dead")),
            challenge(3, delivery=delivery(lease_until=NOW + SECOND, lease_owner="at work")),
            challenge(4, delivery=delivery(lease_until=None)),
            challenge(5, delivery=delivery(state="accepted")),
            challenge(6, state="cancelled"),
            challenge(7, expires_at=NOW),
            challenge(8, account="bob", delivery=delivery(lease_until=NOW - 2 * SECOND)),
        ]
        with store.write() as tx:
            for one in several:
                tx.add_challenge(one)
            found = [int(one.transaction_id, 16) for one in tx.unsent(NOW, 100)]
            assert found == [8, 2, 1]
            assert [int(one.transaction_id, 16) for one in tx.unsent(NOW, 2)] == [8, 2]
