"""Everything in a store goes into another one, whole or not at all."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.model.receipts import Receipt
from radius_smsotp.model.records import (
    Account,
    Asker,
    Attempt,
    Counter,
    Device,
    EmergencyCodes,
    Lockout,
)
from radius_smsotp.store import open_store, transfer
from radius_smsotp.store.schema import TABLES
from radius_smsotp.store.statistics import Cell, Count
from tests.store.contract_crowd import BEGIN, WRITE
from tests.store.samples import ALICE, HERE, HOUR, NOW, add, challenge, event, message, station
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from radius_smsotp.store import Store
    from tests.store.postgres_server import PostgresServer

SLICE = 50
MANY = SLICE + 7
WAYS = [
    ("sqlite", "postgresql"),
    ("postgresql", "sqlite"),
    ("sqlite", "sqlite"),
    ("postgresql", "postgresql"),
]


def ignore(done: int, whole: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def make(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Store]]:
    """Make an empty store of a kind.  Slices are small, so that there are several of few rows."""
    monkeypatch.setattr(transfer, "SLICE", SLICE)
    made: list[Store] = []

    def one(kind: str) -> Store:
        new = f"sqlite:///{tmp_path}/{len(made)}.db"
        store = open_store(new if kind == "sqlite" else postgres_server.make_url(store=True), 10)
        store.migrate()
        made.append(store)
        return store

    yield one
    for store in made:
        store.close()


LOCKED = station(station="192.0.2.7", lockout=Lockout(10, NOW, NOW + HOUR))


def fill(store: Store) -> None:
    """Something in every table, and more than a slice in some."""
    with store.write() as tx:
        for number in range(MANY):
            tx.put_account(Account(f"user{number}", None), NOW)
            tx.add_event(
                event("opened", account=f"user{number}", detail={"text": "für Sie", "n": 1.5})
            )
        tx.put_account(ALICE, NOW)
        tx.put_lockout("alice", Lockout(3, NOW, NOW + HOUR))
        tx.put_station(LOCKED)
        tx.put_station(station(station="192.0.2.8"))
        tx.note_refusal("nobody", NOW)
        add(tx, challenge(1), challenge(2, state="spent"))
        tx.add_attempt(message(2), Attempt("a", "accepted", message_id="1"), NOW)
        tx.keep_early("a", "2", Receipt(delivered=False, words="UNDELIV"), NOW)
        tx.count_message(Counter("alice", "vpn"), "tag", NOW)
        tx.remember_device(Device("alice", "vpn", "", "02", "tag", NOW + HOUR))
        tx.put_emergency(EmergencyCodes("alice", "ab" * 16, "k1", NOW, NOW + HOUR, (1, 0)))
        tx.put_breaker("first", "open", NOW, "no route")
        tx.add_key("0123456789abcdef", "k1", NOW)
        tx.put_server("radius1", NOW)
        tx.put_authority("radius1:/etc/freeradius/3.0", "ff", "radius.example.org", NOW)
        tx.figures.add({Cell(1, "opened"): Count(3)}, None, 2)


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, but for the numbers of the events."""
    with store.snapshot() as here:
        return {
            table: [
                tuple(value for name, value in zip(columns, row, strict=True) if name != "id")
                for columns, rows in here.slices(table)
                for row in rows
            ]
            for table in TABLES
        }


@pytest.mark.parametrize(("source", "target"), WAYS)
def test_a_copy_holds_the_same(make: Callable[[str], Store], source: str, target: str) -> None:
    """Every row of every table, in the same order; and it can be used."""
    one, other = make(source), make(target)
    fill(one)
    seen: list[tuple[int, int]] = []
    counts = transfer.copy(one, other, lambda done, whole: seen.append((done, whole)))
    rows = everything(one)
    assert counts == {table: len(found) for table, found in rows.items()}
    assert min(counts.values()) > 0
    copied = everything(other)
    # Open challenges and emergency codes end: what is spent in one store would count in the other.
    rows["emergency"] = []
    rows["challenge"] = [
        tuple("cancelled" if value == "open" else value for value in row)
        for row in rows["challenge"]
    ]
    assert {"cancelled", "spent"} <= {value for row in rows["challenge"] for value in row}
    for table, found in rows.items():
        assert sorted(copied[table], key=repr) == sorted(found, key=repr), table
    assert copied["event"] == rows["event"]
    assert seen[-1] == (sum(counts.values()),) * 2
    with other.write("alice", durable=True) as tx:
        # A known station stays known, and what is locked stays locked.
        asker = Asker("alice", replace(HERE, station="192.0.2.8"))
        assert tx.known(asker, NOW).station == station(station="192.0.2.8")
        assert tx.locked_stations(NOW) == [LOCKED]
        assert tx.lockout("alice") == Lockout(3, NOW, NOW + HOUR)
        tx.add_event(event("later"))
        assert [one.kind for one in tx.events("alice", 10)] == ["later"]


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_store_that_holds_something_is_left_alone(
    make: Callable[[str], Store], target: str
) -> None:
    """Unless it is said that it may go."""
    one, other = make("sqlite"), make(target)
    fill(one)
    with other.write() as tx:
        tx.put_account(Account("bob", None), NOW)
    with pytest.raises(transfer.NotEmptyError, match="is not empty"):
        transfer.copy(one, other, ignore)
    with other.read() as tx:
        assert [account.name for account, _ in tx.accounts()] == ["bob"]
    transfer.copy(one, other, ignore, overwrite=True)
    assert len(everything(other)["account"]) == MANY + 1
    with other.read() as tx:
        assert tx.account("bob") is None


def test_what_is_noted_of_its_server_makes_no_store_anybody_s(make: Callable[[str], Store]) -> None:
    """``smsotp init`` and ``smsotp raddb install`` come before what is copied into it."""
    one, other = make("sqlite"), make("sqlite")
    with other.write() as tx:
        tx.add_key("00", "k0", NOW)
        tx.put_authority("radius2:/etc/freeradius/3.0", "00", "radius.example.org", NOW)
    transfer.copy(one, other, ignore)
    assert everything(other)["authority"] == []


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_copy_that_fails_leaves_nothing(make: Callable[[str], Store], target: str) -> None:
    """Half a copy would look like one."""
    one, other = make("sqlite"), make(target)
    fill(one)

    def fail(done: int, whole: int) -> None:
        if done > MANY:
            raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="full"):
        transfer.copy(one, other, fail)
    assert not any(everything(other).values())


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_no_login_waits_for_a_copy(make: Callable[[str], Store], source: str) -> None:
    """Whatever it has just read: it goes on when others have written, and sees nothing of it."""
    one, other = make(source), make("postgresql")
    fill(one)
    hasty = open_store(one.name, 2)
    written: list[int] = []

    def write(done: int, _: int) -> None:
        with hasty.write("alice", durable=True) as tx:
            tx.add_event(event("meanwhile"))
        written.append(done)

    transfer.copy(one, other, write)
    hasty.close()
    assert len(written) > len(TABLES)
    kinds = {row[1] for row in everything(other)["event"]}
    assert "meanwhile" not in kinds


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
def test_a_copy_of_a_store_in_use_is_of_one_moment(
    make: Callable[[str], Store], source: str
) -> None:
    """Another process writes all the while, a challenge and an event at a time, and goes on."""
    one, other = make(source), make("sqlite")
    fill(one)
    url = one.name
    beside = open_store(url, 10)

    def challenges() -> int:
        with beside.snapshot() as here:
            return sum(len(rows) for _, rows in here.slices("challenge"))

    writer = subprocess.Popen(
        [sys.executable, "-c", BEGIN + WRITE, url, "1000"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        with one.write(durable=True) as tx:
            tx.cancel_challenges("bob")
        before = challenges()
        seen: list[int] = []

        def go_on(done: int, whole: int) -> None:
            if not seen:
                seen.append(challenges())
                eventually(lambda: challenges() > seen[0])

        transfer.copy(one, other, go_on)
        after = challenges()
    finally:
        writer.kill()
        writer.wait(20)
        beside.close()
    copied = everything(other)
    opened = [row for row in copied["event"] if row[1] == "opened" and row[2] == "alice"]
    # Two challenges were there before, one of them open, and no event for them.
    assert len(copied["challenge"]) - 2 == len(opened)
    assert before <= len(copied["challenge"]) < after
    writer.stdout.close()


def test_every_table_is_copied_and_has_this_key(tmp_path: Path) -> None:
    """None is forgotten when one comes in addition."""
    store = open_store(f"sqlite:///{tmp_path}/db")
    store.migrate()
    store.close()
    db = sqlite3.connect(tmp_path / "db")
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    keys = {
        table: tuple(
            row[1]
            for row in sorted(db.execute(f"PRAGMA table_info({table})"), key=lambda row: row[5])
            if row[5]
        )
        for table in names
    }
    db.close()
    assert keys == TABLES
