"""
The promises of `radius_smsotp.store.Store` and of its transactions, run against every back end.

A store's test module subclasses `StoreContract` (and `CrowdContract`, for several processes
at once) and gives the fixture `url`, which names a store of its own for each test.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radius_smsotp.core.model import Account, Challenge, Delivery, Event, Lockout, Tally
from radius_smsotp.errors import StoreError
from radius_smsotp.store import open_store
from radius_smsotp.store.transaction import PRUNE_SLICE, SLOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from radius_smsotp.store import Store

NOW = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ALICE = Account("alice", "+491701234567", "$PBKDF2$HMACSHA2+512:1:c2FsdA==$aGFzaA==", "backup")


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


def event(kind: str = "pin-wrong", **fields: Any) -> Event:
    """A line of alice's audit trail."""
    usual: dict[str, Any] = {"time": NOW, "account": "alice"}
    return Event(kind, **(usual | fields))


class StoreContract:
    """The suite for one process."""

    @pytest.fixture
    def url(self) -> str:
        """A store that is not there yet."""
        raise NotImplementedError

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
        with pytest.raises(KeyError), store.write(durable=durable) as tx:
            tx.put_account(ALICE, NOW)
            tx.add_challenge(challenge())
            raise KeyError
        with store.write(durable=durable) as tx:
            assert tx.account("alice") is None
            assert tx.challenge(challenge().transaction_id) is None

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
        with pytest.raises(StoreError) as caught, store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.add_challenge(challenge())
            tx.add_challenge(challenge())
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

    def test_a_backup_holds_everything(self, store: Store, tmp_path: Path) -> None:
        """It is a store itself; what comes later is not in it, and no file is overwritten."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
        path = tmp_path / "copy"
        store.backup(path)
        with store.write() as tx:
            tx.delete_account("alice")
        copy = open_store(f"sqlite://{path}")
        with copy.read() as tx:
            assert tx.account("alice") == ALICE
        copy.close()
        with pytest.raises(FileExistsError):
            store.backup(path)

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
            found = [(account.name, lockout.failures) for account, lockout in tx.accounts()]
        assert found == [("alice", 0), ("bob", 10), ("carol", 0)]

    def test_deleting_an_account_ends_all_that_it_could_do(self, store: Store) -> None:
        """Its lock-out and devices go, its open challenges are cancelled; others' stay."""
        with store.write() as tx:
            for number, name in ((1, "alice"), (2, "bob")):
                tx.put_account(Account(name, None), NOW)
                tx.put_lockout(name, Lockout(1, NOW))
                tx.remember_device(name, "vpn", "02", NOW + HOUR)
                tx.add_challenge(challenge(number, account=name))
            assert tx.delete_account("alice") is True
            assert tx.delete_account("alice") is False
            assert tx.lockout("alice") == Lockout()
            assert not tx.is_remembered("alice", "vpn", "02", NOW)
            assert [one.account for one in tx.open_challenges(NOW)] == ["bob"]
            assert tx.lockout("bob") == Lockout(1, NOW)
            assert tx.is_remembered("bob", "vpn", "02", NOW)

    # Lock-outs

    @pytest.mark.parametrize("lockout", [Lockout(), Lockout(3, NOW), Lockout(10, NOW, NOW + HOUR)])
    def test_a_lockout_comes_back_as_it_was(self, store: Store, lockout: Lockout) -> None:
        """For accounts from elsewhere too, which are not in the table of accounts."""
        with store.write() as tx:
            tx.put_lockout("elsewhere", Lockout(1, NOW - HOUR))
            tx.put_lockout("elsewhere", lockout)
            assert tx.lockout("elsewhere") == lockout
            assert tx.lockout("else") == Lockout()

    def test_a_lockout_can_be_forgotten(self, store: Store) -> None:
        """It says whether there was one."""
        with store.write() as tx:
            tx.put_lockout("alice", Lockout(3, NOW))
            assert tx.clear_lockout("alice") is True
            assert tx.clear_lockout("alice") is False
            assert tx.lockout("alice") == Lockout()

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

    def test_an_answer_changes_state_and_guesses_and_nothing_else(self, store: Store) -> None:
        """A courier may have changed the delivery meanwhile."""
        with store.write() as tx:
            tx.add_challenge(challenge())
            sent = delivery(state="accepted", provider="first")
            tx.save_delivery(challenge(delivery=sent))
            tx.save_answer(challenge(state="exhausted", guesses_left=0))
            expected = challenge(state="exhausted", guesses_left=0, delivery=sent)
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

    # Tallies

    def test_messages_are_counted_for_account_number_client_and_all(self, store: Store) -> None:
        """Each apart from the others, whatever they are called."""
        with store.write() as tx:
            tx.count_message("alice", "tag", "vpn", NOW)
            tx.count_message("alice", "other", "wifi", NOW)
            tx.count_message("bob", "tag", "vpn", NOW)
            tx.count_message("tag", "alice", "all", NOW)
            assert tx.tally("alice", "tag", "vpn", NOW) == Tally(2, 2, 2, 4)
            assert tx.tally("all", "all", "all", NOW) == Tally(0, 0, 1, 4)
            assert tx.tally("", "", "", NOW) == Tally(0, 0, 0, 4)

    @pytest.mark.parametrize("offset", [0.0, 0.001, SLOT / 2, SLOT - 0.001])
    def test_an_hour_is_an_hour_wherever_it_begins(self, store: Store, offset: float) -> None:
        """A message counts for at least an hour and a day, and for a slot more at most."""
        start = datetime.fromtimestamp(SLOT * 5_000_000 + offset, UTC)
        with store.write() as tx:
            tx.count_message("alice", "tag", "vpn", start)

            def tally(**after: float) -> Tally:
                return tx.tally("alice", "tag", "vpn", start + timedelta(**after))

            assert tally() == tally(minutes=60) == Tally(1, 1, 1, 1)
            assert tally(minutes=65) == tally(hours=24) == Tally(0, 0, 0, 1)
            assert tally(hours=24, minutes=5) == Tally()

    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        gaps=st.lists(
            st.floats(0, 1500) | st.sampled_from([0.0, 299.9, 300.0, 600.0]), max_size=60
        ),
        limit=st.integers(1, 6),
    )
    def test_no_hour_holds_more_messages_than_the_limit(
        self, store: Store, gaps: list[float], limit: int
    ) -> None:
        """However they come: in no 60 minutes more than the limit leave."""
        sent: list[datetime] = []
        now = NOW
        with pytest.raises(_Undo), store.write() as tx:
            for gap in gaps:
                now += timedelta(seconds=gap)
                if tx.tally("alice", "tag", "vpn", now).account_hour < limit:
                    tx.count_message("alice", "tag", "vpn", now)
                    sent.append(now)
            raise _Undo
        for first in sent:
            assert sum(first <= one < first + HOUR for one in sent) <= limit

    # Remembered devices

    def test_a_device_is_remembered_for_its_account_client_and_time(self, store: Store) -> None:
        """And for no other; remembering it again sets the time anew."""
        with store.write() as tx:
            tx.remember_device("alice", "vpn", "02", NOW + SECOND)
            assert tx.is_remembered("alice", "vpn", "02", NOW)
            assert not tx.is_remembered("alice", "vpn", "02", NOW + SECOND)
            for other in (("bob", "vpn", "02"), ("alice", "wifi", "02"), ("alice", "vpn", "03")):
                assert not tx.is_remembered(*other, NOW)
            tx.remember_device("alice", "vpn", "02", NOW + HOUR)
            tx.remember_device("alice", "vpn", "01", NOW + HOUR)
            tx.remember_device("alice", "vpn", "00", NOW)
            shown = [("vpn", "01", NOW + HOUR), ("vpn", "02", NOW + HOUR)]
            assert tx.devices("alice", NOW) == shown
            assert tx.forget_devices("alice") == 3
            assert tx.devices("alice", NOW) == []

    # Audit trail

    def test_events_come_back_as_they_were_in_order(self, store: Store) -> None:
        """By account or by challenge, oldest first, the last ones if there are too many."""
        full = event(
            "sms-accepted",
            time=NOW + SECOND,
            transaction_id="f" * 32,
            client="vpn",
            station="02",
            detail={"provider": "first", "seconds": 0.25, "parts": 2, "text": "größer\u2028"},
        )
        with store.write() as tx:
            several = [event(time=NOW), full, event("code-wrong", time=NOW + 2 * SECOND)]
            for one in (*several, event(account="bob")):
                tx.add_event(one)
            assert tx.events("alice", 100) == several
            assert tx.events("alice", 2) == several[1:]
            assert tx.events("f" * 32, 100) == [full]
            assert tx.events("", 100) == []

    # Providers

    def test_a_breaker_comes_back_as_it_was_last(self, store: Store) -> None:
        """State, since when, and why."""
        with store.write() as tx:
            tx.put_breaker("first", "open", NOW, "no credit")
            tx.put_breaker("second", "open", NOW, "busy")
            tx.put_breaker("second", "closed", NOW + SECOND, "")
            assert tx.breakers() == {
                "first": ("open", NOW, "no credit"),
                "second": ("closed", NOW + SECOND, ""),
            }

    # Clean-up

    def test_pruning_removes_what_is_past_its_use_and_nothing_else(self, store: Store) -> None:
        """Old challenges, old events, devices and tallies that have run out."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("alice", Lockout(1, NOW))
            tx.add_challenge(challenge(1, expires_at=NOW - 2 * SECOND))
            tx.add_challenge(challenge(2, expires_at=NOW))
            tx.add_event(event(time=NOW - 2 * SECOND))
            tx.add_event(event(time=NOW))
            tx.remember_device("alice", "vpn", "old", NOW - SECOND)
            tx.remember_device("alice", "vpn", "new", NOW + SECOND)
            tx.count_message("alice", "tag", "vpn", NOW - 25 * HOUR)
            tx.count_message("alice", "tag", "vpn", NOW - 23 * HOUR)
            before = tx.tally("alice", "tag", "vpn", NOW)
            assert tx.prune(NOW - SECOND, NOW - SECOND, NOW) == 3 + 4  # 4 scopes of a tally
            assert tx.prune(NOW - SECOND, NOW - SECOND, NOW) == 0
            assert tx.challenge(challenge(1).transaction_id) is None
            assert tx.challenge(challenge(2).transaction_id) is not None
            assert len(tx.events("alice", 10)) == 1
            assert tx.devices("alice", NOW) == [("vpn", "new", NOW + SECOND)]
            assert tx.tally("alice", "tag", "vpn", NOW) == before
            assert (tx.account("alice"), tx.lockout("alice")) == (ALICE, Lockout(1, NOW))

    def test_pruning_goes_in_slices(self, store: Store) -> None:
        """A login never waits for a big clean-up."""
        most = 2 * PRUNE_SLICE + 1
        with store.write() as tx:
            for _ in range(most):
                tx.add_event(event(time=NOW - HOUR))
        removed = []
        while not removed or removed[-1]:
            with store.write() as tx:
                removed.append(tx.prune(NOW, NOW, NOW))
        assert removed == [PRUNE_SLICE, PRUNE_SLICE, 1, 0]


class _Undo(Exception):  # noqa: N818  # no error: it rolls back what an example wrote
    """Leaves a transaction without a trace."""
