"""The promises of sums of the audit trail, for every store: see `contract`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.statistics import figures
from radius_smsotp.errors import StoreError
from radius_smsotp.model.records import Event, Lockout
from radius_smsotp.store import open_store, settle
from radius_smsotp.store.trail import LINES
from tests.store.samples import ALICE, NOW

if TYPE_CHECKING:
    from radius_smsotp.store import Store

MINUTE = timedelta(minutes=1)
OF_CLIENT, OF_NAME = LINES[1:]
UNKNOWN = {"reason": "unknown-challenge"}


def note(store: Store, number: int, account: str = "", time: datetime = NOW) -> None:
    """Answers with made-up States, each in a transaction; of made-up names, or of one."""
    for one in range(number):
        name = account or f"name{one}"
        with store.write(name) as tx:
            tx.note(Event("code-rejected", time, name, f"{one:032x}", "vpn", "s1", dict(UNKNOWN)))


def sums(store: Store, account: str = "") -> list[int]:
    """The numbers on the lines of sums about an account, or about nobody."""
    with store.read() as tx:
        found = tx.events(account, 10_000)
    return [int(one.detail["more"]) for one in found if "more" in one.detail]


def rejections(store: Store) -> int:
    """How many there were, as the figures say."""
    return figures.summarise(figures.ever(store)).refusals["second", "unknown-challenge"]


class TrailContract:
    def test_what_nobody_did_is_summed_up(self, store: Store) -> None:
        """Some lines, and one with the number of the rest; the figures have all of them."""
        note(store, 300)
        assert settle(store, NOW) == 0
        assert settle(store, NOW + MINUTE) == 1
        assert sums(store) == [300 - OF_CLIENT]
        with store.read() as tx:
            assert tx.figures.kept()[0] == OF_CLIENT + 1
        assert rejections(store) == 300
        figures.bring_forward(store, NOW + timedelta(hours=1))
        assert rejections(store) == 300

    def test_an_account_has_a_line_of_its_own(self, store: Store) -> None:
        """Ours, and one from elsewhere that has failed before."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("elsewhere", Lockout(1, NOW))
        for name in ("alice", "elsewhere", "nobody"):
            note(store, 50, name)
        settle(store, None)
        assert sums(store, "alice") == sums(store, "elsewhere") == [50 - OF_NAME]
        assert sums(store) == [50 - OF_NAME]
        with store.read() as tx:
            assert len(tx.events("nobody", 100)) == OF_NAME

    def test_what_was_rolled_back_is_not_counted(self, store: Store) -> None:
        """It has not happened, or is tried again."""

        def fail() -> None:
            with store.write("alice") as tx:
                tx.note(Event("code-rejected", NOW, "alice", client="vpn"))
                raise ZeroDivisionError

        note(store, OF_NAME, "alice")
        with pytest.raises(ZeroDivisionError):
            fail()
        assert settle(store, None) == 0

    def test_each_process_sums_up_its_own(self, store: Store, url: str) -> None:
        """Several servers, or workers: none is lost, each writes a line."""
        other = open_store(url, patience=5)
        for one in (store, other):
            note(one, 100)
            settle(one, None)
        other.close()
        assert sums(store) == [100 - OF_CLIENT] * 2
        assert rejections(store) == 200

    def test_what_cannot_be_written_is_kept(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Until it can be."""

        def fail(*_: str) -> None:
            raise StoreError("the disk is full")

        note(store, 100)
        with monkeypatch.context() as patch:
            patch.setattr(store, "write", fail)
            with pytest.raises(StoreError):
                settle(store, None)
        note(store, 10, "name0")
        settle(store, None)
        assert sorted(sums(store)) == [100 - OF_CLIENT + 10]

    def test_a_line_of_a_sum_is_none_of_those_that_are_counted(self, store: Store) -> None:
        """It stays in the figures what it is, when it is removed."""
        note(store, 300, time=NOW - timedelta(days=5))
        settle(store, None)
        figures.bring_forward(store, NOW)
        with store.write() as tx:
            while tx.prune(NOW, NOW - timedelta(days=1), NOW):
                pass
            assert tx.figures.kept() == (0, None)
        assert rejections(store) == 300


class CeilingContract:
    """What a clean-up promises beside `prune`."""

    def test_the_oldest_go_where_there_are_too_many(self, store: Store) -> None:
        """By number, not by time; what was not counted yet stays."""
        with store.write() as tx:
            for number in range(100):
                tx.add_event(Event("pin-wrong", NOW + number * MINUTE, "alice"))
            assert tx.figures.kept() == (100, NOW)
            last = tx.figures.event_beyond(30, NOW + timedelta(days=1))
            assert tx.prune(NOW, NOW, NOW, events_to=last) == 70
            assert [one.time for one in tx.events("alice", 100)] == [
                NOW + number * MINUTE for number in range(70, 100)
            ]
            assert tx.figures.event_beyond(30, NOW + timedelta(days=1)) == 0
            last = tx.figures.event_beyond(0, NOW + 80 * MINUTE)
            assert tx.prune(NOW, NOW, NOW, events_to=last, most=4) == 4
            assert tx.prune(NOW, NOW, NOW, events_to=last) == 6

    def test_a_clean_up_gives_back_what_it_can(self, store: Store) -> None:
        """And comes to an end; the store is as good as before."""
        with store.room():
            with store.write() as tx:
                for _ in range(200):
                    tx.add_event(Event("pin-wrong", NOW, "alice"))
                while tx.prune(NOW, NOW + MINUTE, NOW):
                    pass
            while store.give_back():
                pass
            assert store.idle() == 0
        with store.write() as tx:
            tx.add_event(Event("pin-wrong", NOW, "alice"))
            assert len(tx.events("alice", 10)) == 1
