"""The promises of imports and of figures, for every store: see `contract`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.statistics import figures
from radius_smsotp.errors import StoreError
from radius_smsotp.model.records import Account, Event, Lockout
from radius_smsotp.store import statistics
from tests.store.contract import ALICE, HERE, HOUR, NOW, SECOND, challenge, device

if TYPE_CHECKING:
    from radius_smsotp.store import Store

BOB = Account("bob", "+491709999999")
NEW = Account("alice", "+43123456", None, None, enabled=False)


def told(kind: str, name: str) -> Event:
    """An event of an import."""
    return Event(kind, NOW, name, detail={"by": "root"})


def lay_ready(store: Store, *accounts: Account, forget: bool = False) -> str:
    """An import of these accounts that is not valid yet."""
    with store.write("batch") as tx:
        there = {one.name for one, _ in tx.accounts()}
        tx.staging.begin("batch", tx.staging.newest_change(), NOW + SECOND)
        items = [
            (one, told(f"account-{'changed' if one.name in there else 'added'}", one.name), forget)
            for one in accounts
        ]
        tx.staging.add("batch", items, NOW + SECOND)
    return "batch"


def land_all(store: Store, batch: str) -> None:
    """Move all of it."""
    with store.write() as tx:
        names = tx.staging.next_names(batch, 1000)
        tx.staging.land(batch, names[0], names[-1])
        assert tx.staging.discard(batch, 10) == 0


class ImportsContract:
    def test_what_is_laid_ready_is_not_seen(self, store: Store) -> None:
        lay_ready(store, BOB)
        with store.read() as tx:
            assert tx.account("bob") is None
            assert list(tx.accounts()) == []
            assert tx.staging.valid_batches() == []
            assert tx.staging.unfinished() == [("batch", NOW + SECOND)]

    def test_what_is_valid_counts_wherever_it_is(self, store: Store) -> None:
        """Before it moves, while it does, and afterwards."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("bob", Lockout(3))
        batch = lay_ready(store, NEW, BOB)
        with store.write() as tx:
            assert tx.staging.make_valid(batch)
        seen = [(NEW, Lockout()), (BOB, Lockout(3))]
        with store.write() as tx:
            assert [tx.account("alice"), tx.account("bob")] == [NEW, BOB]
            assert list(tx.accounts()) == seen
            tx.staging.land(batch, "alice", "alice")
            assert tx.staging.next_names(batch, 5) == ["bob"]
            assert list(tx.accounts()) == seen
            tx.staging.land(batch, "bob", "bob")
            assert list(tx.accounts()) == seen
            assert tx.staging.discard(batch, 10) == 0
            assert tx.staging.valid_batches() == tx.staging.unfinished() == []

    def test_moving_has_the_effects_of_a_change(self, store: Store) -> None:
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.add_challenge(challenge())
            tx.add_challenge(challenge(2, account="carol"))
            tx.remember_device(device())
        batch = lay_ready(store, NEW, BOB, forget=True)
        with store.write() as tx:
            tx.staging.make_valid(batch)
        land_all(store, batch)
        with store.read() as tx:
            assert [one.account for one in tx.open_challenges(NOW)] == ["carol"]
            assert not tx.is_remembered("alice", HERE, "tag", NOW, HOUR)
            alice = [(one.kind, one.detail) for one in tx.events("alice", 9)]
            assert alice == [
                ("device-forgotten", {"devices": 1, "by": "root"}),
                ("account-changed", {"by": "root"}),
            ]
            assert [one.kind for one in tx.events("bob", 9)] == ["account-added"]

    def test_what_is_changed_or_deleted_moves_first(self, store: Store) -> None:
        batch = lay_ready(store, NEW, BOB)
        with store.write() as tx:
            tx.staging.make_valid(batch)
            tx.put_account(ALICE, NOW + 2 * SECOND)
            assert tx.delete_account("bob")
            assert not tx.delete_account("bob")
            assert [one for one, _ in tx.accounts()] == [ALICE]
            assert tx.staging.next_names(batch, 5) == []

    def test_what_somebody_else_changed_is_seen(self, store: Store) -> None:
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
        batch = lay_ready(store, NEW, BOB)
        with store.write() as tx:
            assert tx.staging.changed_meanwhile(batch) is None
            assert tx.staging.deleted_meanwhile(batch) is None
            tx.put_account(BOB, NOW + SECOND)
            assert tx.staging.changed_meanwhile(batch) == "bob"
            tx.delete_account("alice")
            assert tx.staging.deleted_meanwhile(batch) == "alice"

    def test_one_that_was_discarded_cannot_go_on(self, store: Store) -> None:
        batch = lay_ready(store, NEW, BOB)
        with store.write() as tx:
            assert tx.staging.discard(batch, 1) == 1
            assert tx.staging.discard(batch, 1) == 1
            assert tx.staging.discard(batch, 1) == 0
        with pytest.raises(StoreError, match="another import"), store.write() as tx:
            tx.staging.add(batch, [(BOB, told("account-added", "bob"), False)], NOW)
        with store.write() as tx:
            assert not tx.staging.make_valid(batch)

    def test_one_that_is_valid_cannot_be_discarded(self, store: Store) -> None:
        batch = lay_ready(store, BOB)
        with store.write() as tx:
            tx.staging.make_valid(batch)
            assert tx.staging.discard(batch, 10) == 0
            assert tx.account("bob") == BOB

    def test_accounts_are_counted_and_found_by_their_beginning(self, store: Store) -> None:
        with store.write() as tx:
            for name in ("ann", "anna", "zoë"):
                tx.put_account(Account(name, None, enabled=name != "ann"), NOW)
            tx.put_lockout("zoë", Lockout(9, NOW, NOW + SECOND))
        with store.read() as tx:
            assert tx.count_accounts(NOW) == {"enabled": 2, "disabled": 1, "locked": 1}
            assert tx.count_accounts(NOW + SECOND)["locked"] == 0
            assert tx.names_from("an", 5) == ["ann", "anna"]
            assert tx.names_from("", 2) == ["ann", "anna"]
            assert tx.names_from("zo", 5) == ["zoë"]


DETAILS = ({}, {"reason": "locked"}, {"reason": "disabled"})


def happen(store: Store, at: datetime, number: int = 1) -> None:
    """Some events at that time."""
    with store.write() as tx:
        for _ in range(number):
            for detail in DETAILS:
                tx.add_event(Event("login-refused", at, "alice", detail=dict(detail)))
            sent = {"provider": "gw", "seconds": 0.3}
            tx.add_event(Event("sms-accepted", at, "alice", detail=sent))


def whole(store: Store) -> figures.Summary:
    """All that ever happened."""
    return figures.summarise(figures.ever(store))


class FiguresContract:
    def test_figures_are_the_same_before_and_after_counting(self, store: Store) -> None:
        for hours in (0, 1, 30, 100):
            happen(store, NOW - timedelta(hours=hours))
        before = whole(store)
        assert before.kinds == {"login-refused": 12, "sms-accepted": 4}
        assert before.reasons == {
            ("login-refused", "locked"): 4,
            ("login-refused", "disabled"): 4,
        }
        assert before.providers["gw"].seconds == pytest.approx(1.2)
        assert before.providers["gw"].buckets[2] == 4
        for _ in range(2):
            figures.bring_forward(store, NOW)
            assert whole(store) == before
        with store.read() as tx:
            assert tx.figures.counted_until() == statistics.slot(NOW - figures.SETTLED)

    def test_what_happens_after_a_clock_was_ahead_is_counted(self, store: Store) -> None:
        """Slots that were taken for over, and were not, are counted once more; each event once."""
        happen(store, NOW)
        happen(store, NOW + timedelta(hours=30))
        figures.bring_forward(store, NOW + timedelta(days=2))
        happen(store, NOW + timedelta(hours=1))
        figures.bring_forward(store, NOW + timedelta(hours=6))
        assert whole(store).kinds == {"login-refused": 9, "sms-accepted": 3}
        for hours in (7, 30, 50):
            figures.bring_forward(store, NOW + timedelta(hours=hours))
            assert whole(store).kinds == {"login-refused": 9, "sms-accepted": 3}

    def test_a_clock_that_was_behind_loses_no_figures(self, store: Store) -> None:
        """Those whose events are gone stay as they are."""
        happen(store, NOW - timedelta(days=100), 3)
        happen(store, NOW)
        figures.bring_forward(store, NOW + timedelta(days=1))
        before = whole(store)
        with store.write() as tx:
            while tx.prune(NOW, NOW - timedelta(days=90), NOW):
                pass
        for days in (20_514, 120, 1):
            figures.bring_forward(store, NOW - timedelta(days=days))
            assert whole(store) == before

    def test_an_empty_store_can_be_counted(self, store: Store) -> None:
        figures.bring_forward(store, NOW)
        assert whole(store).kinds == {}

    def test_what_is_removed_stays_in_the_figures(self, store: Store) -> None:
        happen(store, NOW - timedelta(days=100), 3)
        happen(store, NOW)
        figures.bring_forward(store, NOW)
        before = whole(store)
        with store.write() as tx:
            while tx.prune(NOW, NOW - timedelta(days=90), NOW):
                pass
        assert whole(store) == before
        with store.write() as tx:
            slot = statistics.slot(NOW - timedelta(days=50))
            assert tx.figures.fold(slot, 2) == 2
            assert tx.figures.fold(slot, 500) == 2
            assert tx.figures.fold(slot, 500) == 0
        assert whole(store) == before

    def test_a_stretch_of_time_has_its_events_only(self, store: Store) -> None:
        for days in (0, 1, 2, 3):
            happen(store, NOW - timedelta(days=days))
        for _ in range(2):
            found = figures.between(store, NOW - timedelta(days=2), NOW - timedelta(days=1))
            assert figures.summarise(found).kinds["sms-accepted"] == 2
            figures.bring_forward(store, NOW)

    def test_two_who_count_at_once_count_once(self, store: Store) -> None:
        happen(store, NOW - timedelta(hours=5))
        with store.read() as tx:
            since, until = tx.figures.counted_until(), statistics.slot(NOW)
            counts = tx.figures.count_events(0, until)
        with store.write() as tx:
            assert tx.figures.add(counts, since, until)
        with store.write() as tx:
            assert not tx.figures.add(counts, since, until)
        assert whole(store).kinds["sms-accepted"] == 1

    def test_a_time_in_the_future_is_left_for_later(self, store: Store) -> None:
        """The clock of one server may be ahead of that of who counts."""
        ahead = NOW + timedelta(hours=1)
        happen(store, ahead)
        figures.bring_forward(store, NOW)
        assert whole(store).kinds["sms-accepted"] == 1
        figures.bring_forward(store, ahead + timedelta(hours=1))
        assert whole(store).kinds["sms-accepted"] == 1
