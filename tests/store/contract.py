"""
The promises of `radius_smsotp.store.Store` and of its transactions, run against every back end.

A store's test module subclasses `contract_whole.WholeContract`, of which this is the first part,
and gives the fixture `make_url`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.model.receipts import Receipt, Sent
from radius_smsotp.model.records import (
    Account,
    Asker,
    Attempt,
    Lockout,
)
from radius_smsotp.store import open_store
from tests.store.samples import (
    ALICE,
    HERE,
    HOUR,
    NOW,
    SECOND,
    add,
    challenge,
    device,
    message,
    station,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.store import Store


class StoreContract:
    """Transactions, the steps of a login, accounts, challenges and their messages."""

    @pytest.fixture
    def make_url(self) -> Callable[[], str]:
        """What names a store that is not there yet, another one each time."""
        raise NotImplementedError

    @pytest.fixture
    def new_url(self, make_url: Callable[[], str]) -> Callable[[], str]:
        """The same for a store that may be there already, as `migrate` makes it."""
        return make_url

    @pytest.fixture
    def url(
        self,
        request: pytest.FixtureRequest,
        make_url: Callable[[], str],
        new_url: Callable[[], str],
    ) -> str:
        """That of `store`, or one that is not there yet."""
        return new_url() if "store" in request.fixturenames else make_url()

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
            found = [(account.name, lockout.failures) for account, lockout in tx.accounts()]
        assert found == [("alice", 0), ("bob", 10), ("carol", 0)]

    def test_deleting_an_account_ends_all_that_it_could_do(self, store: Store) -> None:
        """Its lock-out and devices go, its open challenges are cancelled; others' stay."""
        with store.write() as tx:
            for number, name in ((1, "alice"), (2, "bob")):
                tx.put_account(Account(name, None), NOW)
                tx.put_lockout(name, Lockout(1, NOW))
                tx.remember_device(device(account=name))
                tx.put_station(station(account=name))
                add(tx, challenge(number, account=name))
            assert tx.delete_account("alice") is True
            assert tx.delete_account("alice") is False
            assert tx.lockout("alice") == Lockout()
            assert [one.account for one, _ in tx.open_challenges(NOW)] == ["bob"]
            gone, there = (tx.known(Asker(name, HERE), NOW) for name in ("alice", "bob"))
            assert (gone.device, gone.station) == (None, None)
            assert (there.device, there.station) == (device(account="bob"), station(account="bob"))
            assert there.lockout == Lockout(1, NOW)

    # Challenges

    def test_a_challenge_comes_back_as_it_was(self, store: Store) -> None:
        """To the microsecond."""
        several = [
            challenge(1),
            challenge(2, answered="tag", language=""),
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
            add(tx, *several)
            tx.add_message(message(3, number=2, state="failed"))
            found = tx.open_challenges(NOW, "alice")
            mine = [int(one.transaction_id, 16) for one, _ in found]
            everyone = [int(one.transaction_id, 16) for one, _ in tx.open_challenges(NOW)]
        assert found[1] == (several[2], message(3, number=2, state="failed"))
        assert mine == [2, 3, 1]
        assert everyone == [6, 2, 3, 1]

    def test_an_answer_changes_what_it_touches_and_nothing_else(self, store: Store) -> None:
        """Not even what else the caller believes of it."""
        with store.write() as tx:
            tx.add_challenge(challenge())
            answer = {"state": "exhausted", "guesses_left": 0, "answered": "tag"}
            tx.save_answer(challenge(**answer, digits=8, account="bob"))
            assert tx.challenge(challenge().transaction_id) == challenge(**answer)

    def test_cancelling_ends_the_open_challenges_of_one_account(self, store: Store) -> None:
        """Those of others, and those that have ended, stay as they are."""
        with store.write() as tx:
            for one in (challenge(1), challenge(2), challenge(3, state="spent")):
                tx.add_challenge(one)
            tx.add_challenge(challenge(4, account="bob"))
            tx.cancel_challenges("alice")
            states = [tx.challenge(f"{n:032x}").state for n in (1, 2, 3, 4)]  # type: ignore[union-attr]
        assert states == ["cancelled", "cancelled", "spent", "open"]

    # Messages

    def test_a_message_comes_back_as_it_was(self, store: Store) -> None:
        """Whether it has a lease and a provider or not; the newest of a challenge."""
        several = [
            message(1),
            message(2, route=(), lease_until=None, provider="b", state="unknown"),
            message(3, lease_owner="host:1:ab", lease_until=NOW, not_before=NOW + SECOND),
        ]
        with store.write() as tx:
            tx.add_message(message(3))
            for one in (*several[:2], replace(several[2], number=2)):
                tx.add_message(one)
            found = [tx.message(one.transaction_id) for one in several]
            assert found == [*several[:2], replace(several[2], number=2)]
            assert tx.message("f" * 32) is None

    def test_saving_a_message_changes_nothing_but_its_delivery(self, store: Store) -> None:
        """Number and text stay, and so does the message after it."""
        sent = message(state="accepted", route=("second",), provider="first", lease_until=None)
        with store.write() as tx:
            tx.add_message(message())
            tx.save_message(replace(sent, template="other", sealed_phone="aa"))
            assert tx.message(sent.transaction_id) == sent
            tx.add_message(message(number=2))
            tx.save_message(replace(sent, state="failed"))
            assert tx.message(sent.transaction_id) == message(number=2)

    def test_what_has_replaced_a_message_stays(self, store: Store) -> None:
        """What the first one came to is too late then."""
        with store.write() as tx:
            tx.add_message(message())
            tx.save_message(message(state="replaced"))
            tx.save_message(message(state="failed"))
            assert tx.message(message().transaction_id) == message(state="replaced")

    def test_unsent_are_open_messages_that_are_due_and_that_nobody_holds(
        self, store: Store
    ) -> None:
        """Those whose lease has run out, longest first; as many as asked for."""
        several = {
            challenge(1): message(1, lease_until=NOW),
            challenge(2): message(2, lease_until=NOW - SECOND, lease_owner="dead"),
            challenge(3): message(3, lease_until=NOW + SECOND, lease_owner="at work"),
            challenge(4): message(4, lease_until=None),
            challenge(5): message(5, state="accepted"),
            challenge(6, state="cancelled"): message(6),
            challenge(7, expires_at=NOW): message(7),
            challenge(8, account="bob"): message(8, lease_until=NOW - 2 * SECOND, not_before=NOW),
            challenge(9): message(9, not_before=NOW + SECOND),
            challenge(10): message(10, state="replaced"),
        }
        with store.write() as tx:
            for one, its in several.items():
                tx.add_challenge(one)
                tx.add_message(its)
            found = tx.unsent(NOW, 100)
            assert [int(its.transaction_id, 16) for _, its in found] == [8, 2, 1]
            assert all(several[one] == its for one, its in found)
            assert tx.unsent(NOW, 2) == found[:2]

    def test_who_was_asked_once_more_goes_first(self, store: Store) -> None:
        """They have waited twice."""
        with store.write() as tx:
            add(tx, challenge(1), challenge(2))
            tx.save_message(message(2, state="replaced"))
            tx.add_message(message(2, number=2, lease_until=NOW))
            assert [one.transaction_id[-1] for _, one in tx.unsent(NOW, 100)] == ["2", "1"]

    def test_what_waits_for_its_time_is_counted(self, store: Store) -> None:
        """And nothing else."""
        with store.write() as tx:
            add(tx, challenge(1), challenge(2), challenge(3))
            tx.save_message(message(2, not_before=NOW + SECOND))
            tx.save_message(message(3, not_before=NOW + SECOND, state="accepted"))
            assert (tx.postponed(NOW), tx.postponed(NOW + SECOND)) == (1, 0)

    def test_what_is_too_late_is_found(self, store: Store) -> None:
        """Nobody is to send it any more, and nobody is at it."""
        ended = (challenge(1, state="spent"), challenge(2, expires_at=NOW), challenge(3))
        with store.write() as tx:
            add(tx, *ended, challenge(4, state="spent"), challenge(5, state="spent"))
            tx.save_message(message(4, lease_until=NOW + SECOND))
            tx.save_message(message(5, state="accepted"))
            found = tx.too_late(NOW, 100)
            assert sorted(one.transaction_id[-1] for _, one in found) == ["1", "2"]
            assert len(tx.too_late(NOW, 1)) == 1

    def test_only_who_holds_a_message_changes_it(self, store: Store) -> None:
        """If it says who it is: its lease may have been taken over meanwhile."""
        mine = message(lease_owner="me")
        with store.write() as tx:
            add(tx, challenge())
            tx.save_message(mine)
            tx.save_message(replace(mine, state="failed", lease_owner=None), "somebody")
            assert tx.message(mine.transaction_id) == mine
            done = replace(mine, state="failed", lease_owner=None)
            tx.save_message(done, "me")
            assert tx.message(mine.transaction_id) == done

    def test_attempts_come_in_their_order(self, store: Store) -> None:
        """Those at every message of a challenge, and none of another's, nor of what is gone."""
        busy = Attempt("first", "unavailable", "busy", None, 0.25)
        taken = Attempt("second", "accepted", "", "4711", 1.5)
        with store.write() as tx:
            add(tx, challenge(1), challenge(2))
            tx.add_message(message(number=2))
            for one in (busy, taken):
                tx.add_attempt(message(), one, NOW)
            tx.add_attempt(message(number=2), busy, NOW)
            tx.add_attempt(message(2), taken, NOW)
            tx.add_attempt(message(3), taken, NOW)
            assert tx.attempts(message().transaction_id) == [(1, busy), (1, taken), (2, busy)]

    def test_an_attempt_is_found_by_the_id_that_its_provider_gave_it(self, store: Store) -> None:
        """In whatever writing, by any process; the newest first, if the provider gave it twice."""
        with store.write() as tx:
            for number in (1, 2, 3):
                add(tx, challenge(number))
            tx.add_attempt(message(1), Attempt("a", "accepted", message_id="00AB1"), NOW)
            tx.add_attempt(message(2), Attempt("a", "accepted", message_id="ab1"), NOW + SECOND)
            tx.add_attempt(message(3), Attempt("b", "accepted", message_id="ab1"), NOW)
            tx.add_attempt(message(3), Attempt("a", "refused"), NOW)
        with store.read() as tx:
            newer, older = tx.sent("a", ["1", "ab1"], NOW)
            assert newer == Sent(challenge(2), message(2), "ab1", NOW + SECOND, None)
            assert older == Sent(challenge(1), message(1), "ab1", NOW, None)
            assert tx.sent("a", ["ab1"], NOW + SECOND) == [newer]
            assert [one.message for one in tx.sent("b", ["ab1"], NOW)] == [message(3)]
            assert tx.sent("a", [""], NOW) == tx.sent("c", ["ab1"], NOW) == []

    def test_a_receipt_is_noted_once(self, store: Store) -> None:
        """A network repeats itself."""
        with store.write() as tx:
            add(tx, challenge())
            tx.add_attempt(message(), Attempt("a", "accepted", message_id="1a"), NOW)
            [sent] = tx.sent("a", ["1a"], NOW)
            assert tx.told_ids("a", 10) == []
            assert tx.note_receipt(replace(sent, provider_id="2"), "a", "sms-lost") is False
            assert tx.note_receipt(sent, "a", "sms-delivered", "26") is True
            assert tx.note_receipt(sent, "a", "sms-lost", "1a") is False
            assert tx.sent("a", ["1a"], NOW) == [replace(sent, receipt="sms-delivered")]
            assert tx.told_ids("a", 10) == [False]
            assert tx.told_ids("b", 10) == []

    def test_a_receipt_is_of_one_message(self, store: Store) -> None:
        """A modem gives each id again after 256 messages; the older one keeps what it has."""
        with store.write() as tx:
            for number in (1, 2):
                add(tx, challenge(number))
                attempt = Attempt("a", "accepted", message_id="7")
                tx.add_attempt(message(number), attempt, NOW + number * SECOND)
            newer, older = tx.sent("a", ["7"], NOW)
            assert tx.note_receipt(newer, "a", "sms-delivered") is True
            assert tx.sent("a", ["7"], NOW)[1] == older
            assert tx.note_receipt(older, "a", "sms-lost") is True

    def test_a_receipt_is_kept_until_its_message_is_known(self, store: Store) -> None:
        """Of two of the same message the later one counts."""
        lost, delivered = Receipt(delivered=False, words="EXPIRED"), Receipt(True, "DELIVRD")
        with store.write() as tx:
            tx.keep_early("a", "1", lost, NOW)
            tx.keep_early("a", "1", delivered, NOW + SECOND)
            tx.keep_early("a", "2", lost, NOW)
            tx.keep_early("b", "1", lost, NOW + 2 * SECOND)
        with store.write() as tx:
            assert tx.early("a", ["1", "3"]) == {"1": delivered}
            assert [(one, its) for one, its, *_ in tx.all_early(NOW + HOUR, 2)] == [
                ("a", "2"),
                ("a", "1"),
            ]
            tx.drop_early("a", "1")
            tx.forget_early(NOW + SECOND)
            assert tx.all_early(NOW, 10) == []
            assert tx.all_early(NOW + HOUR, 10) == [("b", "1", lost, NOW + 2 * SECOND)]
