"""The promises of figures, for every store: see `contract`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.statistics import figures
from radius_smsotp.model.records import Event
from radius_smsotp.store import statistics
from tests.store.samples import NOW

if TYPE_CHECKING:
    from radius_smsotp.store import Store

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
        reasons = {reason: number for (_, reason), number in before.refusals.items() if reason}
        assert reasons == {"locked": 4, "disabled": 4}
        assert before.providers["gw"].taking.seconds == pytest.approx(1.2)
        assert before.providers["gw"].taking.buckets[2] == 4
        for _ in range(2):
            figures.bring_forward(store, NOW)
            assert whole(store) == before
        with store.read() as tx:
            assert tx.figures.counted_until() == statistics.slot(NOW - figures.SETTLED)

    def test_the_events_of_a_kind_since_a_moment(self, store: Store) -> None:
        """As they were written."""
        happen(store, NOW - timedelta(hours=2))
        happen(store, NOW)
        with store.read() as tx:
            found = tx.figures.recent("login-refused", NOW)
            assert [one.detail for one in found] == list(DETAILS)
            assert {(one.kind, one.time, one.account) for one in found} == {
                ("login-refused", NOW, "alice")
            }
            assert len(tx.figures.recent("login-refused", NOW - timedelta(hours=2))) == 6
            assert tx.figures.recent("pin-wrong", NOW - timedelta(hours=9)) == []

    def test_what_happens_after_a_clock_was_ahead_is_counted(self, store: Store) -> None:
        """Slots that were taken for over, and were not, are counted once more; each event once."""
        happen(store, NOW)
        happen(store, NOW + timedelta(hours=30))
        figures.bring_forward(store, NOW + timedelta(days=2))
        figures.bring_forward(store, NOW + timedelta(minutes=30))
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

    def test_servers_whose_clocks_differ_count_each_event_once(self, store: Store) -> None:
        """One is an hour ahead of who counts, another one some minutes behind."""
        ahead, behind = NOW + timedelta(hours=1), NOW - timedelta(minutes=10)
        happen(store, ahead)
        figures.bring_forward(store, NOW)
        happen(store, behind)
        assert whole(store).kinds["sms-accepted"] == 2
        figures.bring_forward(store, ahead + timedelta(hours=1))
        assert whole(store).kinds["sms-accepted"] == 2
