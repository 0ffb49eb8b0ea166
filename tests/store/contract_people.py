"""The promises of a store about one person: emergency codes, and all that is kept of somebody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from radius_smsotp.model import code
from radius_smsotp.model.lockout import STATION_KNOWN
from radius_smsotp.model.records import Asker, Attempt, Counter, EmergencyCodes, Lockout
from tests.store.samples import (
    ALICE,
    HERE,
    HOUR,
    NOW,
    SECOND,
    add,
    challenge,
    device,
    event,
    message,
    station,
)

if TYPE_CHECKING:
    from radius_smsotp.store import Store
    from radius_smsotp.store.transaction import Transaction

CODES = EmergencyCodes("alice", "ab" * 16, "k1", NOW, NOW + HOUR, (2, 0, 1))
TAG, OTHER = "0123456789abcdef", "fedcba9876543210"


def live(tx: Transaction, name: str, number: int) -> None:
    """Something of this person everywhere."""
    tx.put_account(replace(ALICE, name=name), NOW)
    tx.put_lockout(name, Lockout(3, NOW, NOW + HOUR))
    tx.put_station(station(account=name))
    tx.remember_device(device(account=name))
    tx.put_emergency(replace(CODES, account=name))
    add(tx, challenge(number, account=name), challenge(number + 1, account=name, state="spent"))
    tx.add_attempt(message(number), Attempt("a", "accepted", message_id="1"), NOW)
    for tag in (TAG, OTHER):
        tx.count_message(Counter(name, "vpn"), tag, NOW)
        tx.count_message(Counter(name, "vpn", "02-00"), tag, NOW)
    known = {"transaction_id": f"{number:032x}", "station": "02-00", "client": "vpn"}
    tx.add_event(event("code-accepted", account=name, time=NOW - HOUR, **known))
    detail: dict[str, str | int | float] = {"provider": "a", "seconds": 1.5, "message_id": "7"}
    tx.add_event(event("sms-accepted", account=name, detail=detail, **known))


class PeopleContract:
    """The suite; `url` and `store` come from `StoreContract`."""

    def test_emergency_codes_are_known_to_the_first_question(self, store: Store) -> None:
        """Of who asks, whether that is an account of ours or not; new ones replace those before."""
        used = CODES.less(1).less(3, None)
        assert used.uses == (1, 0, 0)
        assert (CODES.left(NOW), used.left(NOW), CODES.left(NOW + HOUR)) == ((1, 3), (1,), ())
        with store.write("alice") as tx:
            assert tx.emergency("alice") is None
            assert tx.known(Asker("alice", HERE), NOW).emergency is None
            tx.put_emergency(CODES)
            tx.put_emergency(used)
            tx.put_emergency(replace(CODES, account="bob", expires_at=NOW))
        with store.read() as tx:
            assert tx.emergency("alice") == used
            assert tx.known(Asker("alice", HERE), NOW).emergency == used
            add_id = Asker("alice", HERE, "0" * 32)
            assert tx.known(add_id, NOW).emergency == used
            assert tx.known(Asker("carol", HERE), NOW).emergency is None
            assert tx.emergencies(NOW) == [used]

    def test_open_challenges_ask_for_an_emergency_code_from_then_on(self, store: Store) -> None:
        """What waits is not sent; what has ended, and others' challenges, stay."""
        bob = challenge(3, account="bob")
        with store.write() as tx:
            add(tx, challenge(1), challenge(2, state="spent"), bob)
            tx.ask_emergency("alice")
        with store.read() as tx:
            digits = code.EMERGENCY_DIGITS
            asking = replace(challenge(1), emergency=True, digits=digits)
            assert tx.challenge(asking.transaction_id) == asking
            assert tx.challenge(f"{2:032x}") == challenge(2, state="spent")
            assert [one for one, _ in tx.unsent(NOW, 9)] == [bob]
            assert tx.message(asking.transaction_id) == message(1, state="replaced")

    def test_a_challenge_without_message_is_open_too(self, store: Store) -> None:
        """Nothing is sent for an emergency code."""
        asking = challenge(1, emergency=True, digits=10, phone_hint="")
        with store.write() as tx:
            tx.add_challenge(asking)
        with store.read() as tx:
            assert tx.open_challenges(NOW) == [(asking, None)]

    def test_they_end_with_their_account_their_time_and_their_store(self, store: Store) -> None:
        """A store that was put back holds some that were used since."""
        with store.write() as tx:
            for name in ("alice", "bob", "carol"):
                tx.put_emergency(replace(CODES, account=name))
            # A device that keeps one is known by it for as long as its station is.
            over = NOW - STATION_KNOWN
            tx.put_emergency(replace(CODES, account="bob", expires_at=over))
            tx.delete_account("alice")
            tx.prune(NOW - HOUR, NOW - HOUR, NOW + SECOND)
            assert [tx.emergency(one) is None for one in ("alice", "bob", "carol")] == [1, 1, 0]
            assert tx.end_challenges() == 0
            assert tx.emergency("carol") is None

    def test_names_of_a_directory_are_those_of_which_something_lasts(self, store: Store) -> None:
        """What was refused as made up is none of them."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("alice", Lockout(1, NOW))
            tx.put_lockout("bob", Lockout(1, NOW))
            tx.put_station(station(account="bob"))
            tx.put_emergency(replace(CODES, account="carol"))
            add(tx, challenge(1, account="dave"))
            tx.add_event(event("code-accepted", account="erin"))
            made_up = {"reason": "unknown-account"}
            tx.add_event(event("login-refused", account="nobody", detail=made_up))
        with store.read() as tx:
            assert tx.elsewhere() == [("bob", Lockout(1, NOW)), ("carol", Lockout())]
            assert tx.names_from("", 9) == ["alice", "bob", "carol"]
            assert tx.names_from("b", 9) == ["bob"]
            names = ("alice", "bob", "carol", "dave", "erin", "nobody", "frank")
            assert [tx.is_known(one) for one in names] == [True] * 5 + [False] * 2

    def test_all_of_one_person_is_told_and_goes(self, store: Store) -> None:
        """And nothing of anybody else; what was not counted yet stays to be, without the name."""
        with store.write() as tx:
            live(tx, "alice", 1)
            live(tx, "alice2", 3)
        with store.read() as tx:
            before = list(tx.kept("alice", [TAG]))
            other = list(tx.kept("alice2", []))
            figures = tx.figures.count_events(0)
        found = {table: [row for where, row in before if where == table] for table, _ in before}
        numbers = {table: len(rows) for table, rows in found.items()}
        of_name = dict.fromkeys(("account", "lockout", "station", "device", "emergency"), 1)
        some = {"challenge": 2, "event": 2, "message": 2, "attempt": 1, "tally": 5}
        assert numbers == of_name | some
        assert {row["scope"].split()[0] for row in found["tally"]} == {"account", "number"}
        with store.write("alice") as tx:
            assert tx.erase("alice", [TAG], NOW) == numbers
        with store.read() as tx:
            assert list(tx.kept("alice", [TAG])) == []
            assert list(tx.kept("alice2", [])) == other
            counted = {cell: count for cell, count in figures.items() if cell.slot}
            left = tx.figures.count_events(0)
            late = tx.events("", 9)
        assert [(one.kind, one.detail) for one in late] == [
            ("sms-accepted", {"provider": "a", "seconds": 1.5})
        ]
        assert (late[0].transaction_id, late[0].station, late[0].client) == ("", "", "vpn")
        gone = {cell for cell, count in counted.items() if left.get(cell) != count}
        assert {cell.kind for cell in gone} == {"code-accepted"}
