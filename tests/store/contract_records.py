"""The promises of a store to what is counted, remembered and recorded."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radius_smsotp.model.lockout import STATION_KNOWN
from radius_smsotp.model.records import Account, Asker, Attempt, Counter, Lockout, Tally
from radius_smsotp.store import tallies
from radius_smsotp.store.tallies import HOUR_SLOTS, SLOT
from radius_smsotp.store.transaction import LATE, PRUNE_SLICE
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


COUNTER = Counter("alice", "vpn")


class RecordsContract:
    """The suite; `url` and `store` come from `StoreContract`."""

    # Accounts

    def test_keys_are_known_until_they_are_forgotten(self, store: Store) -> None:
        """In the order in which they came; a second time changes nothing."""
        with store.write() as tx:
            for number, (name, key_id) in enumerate([("ff", "k1"), ("aa", "k2"), ("ff", "k1")]):
                tx.add_key(name, key_id, NOW + number * HOUR)
        with store.read() as tx:
            assert list(tx.known_keys().items()) == [("ff", "k1"), ("aa", "k2")]
        with store.write() as tx:
            assert tx.forget_key("k1")
            assert not tx.forget_key("k1")
            assert tx.known_keys() == {"aa": "k2"}

    def test_a_pin_hash_is_exchanged_only_if_it_is_still_there(self, store: Store) -> None:
        """The rest of the account stays, and nobody else's hash changes."""
        before, after = ALICE.pin_hash or "", f"p1{ALICE.pin_hash}"
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_account(replace(ALICE, name="bob"), NOW)
            tx.exchange_pin_hash("alice", before, after)
            tx.exchange_pin_hash("alice", before, "another")
        with store.read() as tx:
            assert tx.account("alice") == replace(ALICE, pin_hash=after)
            assert tx.account("bob") == replace(ALICE, name="bob")

    def test_what_a_server_shows_is_known_until_it_shows_something_else(self, store: Store) -> None:
        """Or until nobody has looked for so long that events of then are gone too."""
        with store.write() as tx:
            tx.put_authority("b:/raddb", "ff", "radius.example.org", NOW - HOUR)
            tx.put_authority("a:/raddb", "aa", "", NOW)
            tx.put_authority("b:/raddb", "aa", "radius2.example.org", NOW)
            tx.put_authority("c:/raddb", "aa", "", NOW - HOUR)
        with store.read() as tx:
            assert tx.authorities() == {
                "a:/raddb": ("aa", "", NOW),
                "b:/raddb": ("aa", "radius2.example.org", NOW),
                "c:/raddb": ("aa", "", NOW - HOUR),
            }
        with store.write() as tx:
            assert tx.prune(NOW, NOW, NOW) == 1
            assert list(tx.authorities()) == ["a:/raddb", "b:/raddb"]

    def test_all_open_challenges_can_be_ended(self, store: Store) -> None:
        """Those that have ended stay as they are."""
        with store.write() as tx:
            add(tx, challenge(1), challenge(2, state="spent"), challenge(3, account="bob"))
        with store.write() as tx:
            assert tx.end_challenges() == 2
            assert tx.open_challenges(NOW) == []
            spent = tx.challenge(challenge(2).transaction_id)
            assert spent is not None
            assert spent.state == "spent"

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

    def test_several_accounts_are_found_by_name(self, store: Store) -> None:
        """Those that are there."""
        bob = replace(ALICE, name="bob")
        with store.write() as tx:
            for one in (ALICE, bob, replace(ALICE, name="carol")):
                tx.put_account(one, NOW)
            assert tx.accounts_named(["bob", "alice", "nobody"]) == {"alice": ALICE, "bob": bob}

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

    # Stations

    def test_stations_that_are_locked_are_found(self, store: Store) -> None:
        """The longest first, of one account or of all; and unlocked, without being forgotten."""
        one = station(lockout=Lockout(10, NOW, NOW + HOUR))
        later = station(station="03", lockout=Lockout(10, NOW, NOW + 2 * HOUR))
        bobs = replace(one, account="bob")
        with store.write() as tx:
            for each in (one, later, bobs, station(station="04", lockout=Lockout(1, NOW))):
                tx.put_station(each)
            assert tx.locked_stations(NOW, "alice") == [later, one]
            assert {each.account for each in tx.locked_stations(NOW)} == {"alice", "bob"}
            assert tx.locked_stations(NOW + HOUR) == [later]
            assert tx.unlock_stations("alice") is True
            assert tx.unlock_stations("alice") is False
            assert tx.locked_stations(NOW) == [bobs]
            found = tx.known(Asker("alice", HERE), NOW).station
            assert found is not None
            assert (found.seen_at, found.lockout.failures) == (NOW, 0)

    # Tallies

    def test_messages_are_counted_for_account_number_client_and_all(self, store: Store) -> None:
        """Each apart from the others, whatever they are called."""
        with store.write() as tx:
            tx.count_message(COUNTER, "tag", NOW)
            tx.count_message(Counter("alice", "wifi"), "other", NOW)
            tx.count_message(Counter("bob", "vpn"), "tag", NOW)
            tx.count_message(Counter("tag", "all"), "alice", NOW)
            assert tx.tally(COUNTER, "tag", NOW) == Tally(2, 2, 2, 4)
            assert tx.tally(Counter("all", "all"), "all", NOW) == Tally(0, 0, 1, 4)
            assert tx.tally(Counter("", ""), "", NOW) == Tally(0, 0, 0, 4)

    def test_messages_to_a_station_are_counted_on_their_own(self, store: Store) -> None:
        """For account and number; for the client and in all they are as all others."""
        known = Counter("alice", "vpn", "192.0.2.7")
        with store.write() as tx:
            tx.count_message(COUNTER, "tag", NOW)
            assert tx.tally(known, "tag", NOW) == Tally(0, 0, 1, 1)
            tx.count_message(known, "tag", NOW)
            assert tx.tally(known, "tag", NOW) == Tally(1, 1, 2, 2)
            assert tx.tally(COUNTER, "tag", NOW) == Tally(1, 1, 2, 2)
            other = Counter("alice", "vpn", "192.0.2.8")
            assert tx.tally(other, "tag", NOW) == Tally(0, 0, 2, 2)

    @pytest.mark.parametrize("offset", [0.0, 0.001, SLOT / 2, SLOT - 0.001])
    def test_an_hour_is_an_hour_wherever_it_begins(self, store: Store, offset: float) -> None:
        """A message counts for an hour and a slot more at most; for a day and an hour more."""
        start = datetime.fromtimestamp(HOUR_SLOTS * SLOT * 500_000 + offset, UTC)
        with store.write() as tx:
            tx.count_message(COUNTER, "tag", start)

            def tally(**after: float) -> Tally:
                return tx.tally(COUNTER, "tag", start + timedelta(**after))

            assert tally() == tally(minutes=60) == Tally(1, 1, 1, 1)
            assert tally(minutes=65) == tally(hours=24) == Tally(0, 0, 0, 1)
            assert tally(hours=24, minutes=55 if offset else 59) == Tally(0, 0, 0, 1)
            assert tally(hours=25) == Tally()
            # The clock was set back meanwhile: no message is told from one that was just sent.
            assert tally(minutes=-60) == Tally(1, 1, 1, 1)
            assert tally(minutes=-65) == tally(hours=-24) == Tally(0, 0, 0, 1)
            assert tally(hours=-25) == Tally()

    @settings(
        max_examples=40,
        deadline=None,
        # The store outlives an example, which tidies up; and each kind of store runs this.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
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
        with contextlib.suppress(_Undo), store.write() as tx:
            for gap in gaps:
                now += timedelta(seconds=gap)
                if tx.tally(COUNTER, "tag", now).account_hour < limit:
                    tx.count_message(COUNTER, "tag", now)
                    sent.append(now)
            raise _Undo
        for first in sent:
            assert sum(first <= one < first + HOUR for one in sent) <= limit

    def test_what_never_left_is_counted_no_more(self, store: Store) -> None:
        """Once, whoever says so, and where it was counted, whatever the time is now."""
        with store.write() as tx:
            add(tx, challenge(1), challenge(2))
            for of in (1, 2):
                counted = tx.count_message(COUNTER, "tag", NOW)
                tx.save_message(message(of, counted=counted))
            assert tx.tally(COUNTER, "tag", NOW) == Tally(2, 2, 2, 2)
            for _ in range(2):
                tx.give_back(message(1, counted=counted))
            assert tx.tally(COUNTER, "tag", NOW + HOUR) == Tally(1, 1, 1, 1)
            tx.give_back(message(2))  # nobody knows under what it was counted
            assert tx.tally(COUNTER, "tag", NOW) == Tally(1, 1, 1, 1)
            tx.withdraw(message(2).transaction_id)
            newest = tx.message(message(2).transaction_id)
            assert newest is not None
            assert (newest.state, newest.counted) == ("replaced", ())
            tx.count_message(Counter("alice", "wifi"), "tag", NOW, [counted])
            assert tx.tally(COUNTER, "tag", NOW) == Tally(1, 1, 0, 1)

    def test_what_is_counted_changes_in_one_order(self) -> None:
        """What many count under comes last, and what stays as it is does not come at all."""
        old = tallies.counted(Counter("zoe", "vpn"), "a", NOW)
        new = tallies.counted(Counter("alice", "wifi"), "b", NOW)
        found = [(scope, number) for scope, _, number in tallies.changes([new], [old])]
        assert found == [
            *[("account alice", 1), ("account zoe", -1), ("number a", -1), ("number b", 1)],
            *[("client vpn", -1), ("client wifi", 1)],
        ]
        assert tallies.changes([new], [new]) == []

    def test_a_tally_without_some_of_its_messages(self) -> None:
        """Each counts where it has a name in common, and nothing is ever less than nothing."""
        own = tallies.counted(COUNTER, "tag", NOW)
        other = tallies.counted(Counter("alice", "wifi"), "tag", NOW)
        assert tallies.without(Tally(3, 3, 3, 3), COUNTER, "tag", [own, other]) == Tally(1, 1, 2, 1)
        assert tallies.without(Tally(), COUNTER, "tag", [own]) == Tally()

    # Remembered devices

    def test_the_accounts_that_have_devices_are_found(self, store: Store) -> None:
        """Of several names, each once."""
        with store.write() as tx:
            for one in (device(), device(station="03"), device(account="bob")):
                tx.remember_device(one)
            assert tx.remembered(["alice", "carol"]) == {"alice"}

    def test_remembering_it_again_sets_time_and_number_anew(self, store: Store) -> None:
        """There is one row of it."""
        later = device(number_tag="new", expires_at=NOW + 2 * HOUR)
        with store.write() as tx:
            tx.remember_device(device())
            tx.remember_device(later)
            assert tx.devices("alice", NOW) == [later]

    def test_devices_are_listed_and_forgotten_one_by_one_or_all(self, store: Store) -> None:
        """Those whose time is over are not listed."""
        several = [
            device(client="vpn", ssid="", station="192.0.2.7"),
            device(),
            device(station="02-00-00-00-00-02"),
            device(ssid="Staff"),
        ]
        over = device(station="old", expires_at=NOW)
        with store.write() as tx:
            for one in (*reversed(several), over, device(account="bob")):
                tx.remember_device(one)
            assert tx.devices("alice", NOW) == several
            assert tx.forget_devices("alice", "02-00-00-00-00-99") == 0
            # Wherever it was.
            assert tx.forget_devices("alice", HERE.station) == 2
            assert tx.devices("alice", NOW) == [several[0], several[2]]
            assert tx.forget_devices("alice") == 3
            assert tx.devices("alice", NOW) == []
            assert tx.devices("bob", NOW) == [device(account="bob")]

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

    def test_events_stay_in_order_when_the_clock_goes_back(self, store: Store) -> None:
        """What has happened last comes last, whatever the time was."""
        several = [event(time=NOW), event("code-wrong", time=NOW - 30 * HOUR)]
        with store.write() as tx:
            for one in several:
                tx.add_event(one)
            assert tx.events("alice", 100) == several
            assert tx.events("alice", 1) == several[1:]

    def test_events_of_a_challenge_are_found_wherever_they_are(self, store: Store) -> None:
        """Its account's at any time, others' around its life; all of them once it is gone."""
        one = challenge(1)
        code = one.transaction_id
        of_its_account = event(time=one.expires_at + 30 * HOUR, transaction_id=code)
        of_another = event(account="bob", time=one.expires_at + SECOND, transaction_id=code)
        later = event(account="bob", time=one.expires_at + 30 * HOUR, transaction_id=code)
        with store.write() as tx:
            tx.add_challenge(one)
            for found in (of_another, of_its_account, later, event(time=one.created_at)):
                tx.add_event(found)
            assert tx.events(code, 100) == [of_another, of_its_account]
            tx.prune(one.expires_at + HOUR, NOW - HOUR, NOW)
            assert tx.challenge(code) is None
            assert tx.events(code, 100) == [of_another, of_its_account, later]

    def test_what_came_since_is_found_alone(self, store: Store) -> None:
        """By number; the few before it too, which another transaction may have written late."""
        with store.write() as tx:
            assert tx.history.newest() == 0
            tx.add_event(event(time=NOW))
            [(first, _)] = tx.numbered_events("alice", 10)
            assert tx.history.newest() == first
            assert [number for number, _ in tx.numbered_events("alice", 10, first)] == [first]
            assert tx.numbered_events("alice", 10, first + LATE) == []

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
        """Old challenges, events and failures, devices and tallies that have run out."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("alice", Lockout(1, NOW - STATION_KNOWN))
            tx.put_lockout("elsewhere", Lockout(1, NOW - STATION_KNOWN - SECOND))
            add(tx, challenge(1, expires_at=NOW - 2 * SECOND), challenge(2, expires_at=NOW))
            for number in (1, 2):
                tx.add_attempt(message(number), Attempt("a", "accepted", message_id="1"), NOW)
            tx.put_station(station(seen_at=NOW - STATION_KNOWN - SECOND))
            tx.put_station(station(station="03", seen_at=NOW - STATION_KNOWN))
            tx.note_refusal("nobody", NOW - STATION_KNOWN - SECOND)
            tx.add_event(event(time=NOW - 2 * SECOND))
            tx.add_event(event(time=NOW))
            tx.remember_device(device(station="old", expires_at=NOW - SECOND))
            tx.remember_device(device())
            tx.count_message(COUNTER, "tag", NOW - 25 * HOUR)
            tx.count_message(COUNTER, "tag", NOW - 23 * HOUR)
            before = tx.tally(COUNTER, "tag", NOW)
            assert tx.prune(NOW - SECOND, NOW - SECOND, NOW) == 6 + 4  # 4 scopes of a tally
            assert tx.prune(NOW - SECOND, NOW - SECOND, NOW) == 0
            assert tx.challenge(challenge(1).transaction_id) is None
            assert tx.challenge(challenge(2).transaction_id) is not None
            for number, there in ((1, 0), (2, 1)):
                assert len(tx.attempts(f"{number:032x}")) == there
                assert (tx.message(f"{number:032x}") is not None) == bool(there)
            assert tx.known(Asker("alice", HERE), NOW).station is None
            assert tx.known(Asker("alice", replace(HERE, station="03")), NOW).station is not None
            assert len(tx.events("alice", 10)) == 1
            assert tx.devices("alice", NOW) == [device()]
            assert tx.tally(COUNTER, "tag", NOW) == before
            assert (tx.account("alice"), tx.lockout("alice")) == (
                ALICE,
                Lockout(1, NOW - STATION_KNOWN),
            )
            assert tx.lockout("elsewhere") == Lockout()

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
