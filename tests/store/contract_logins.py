"""What a store promises of the steps of a login: one question brings all that its rules need."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.login import stations
from radius_smsotp.model.lockout import STATION_KNOWN
from radius_smsotp.model.records import Asker, Counter, Known, Lockout, Spent, Tally
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
from tests.support.site import request

if TYPE_CHECKING:
    from radius_smsotp.store import Store

ASKER = Asker("alice", HERE)
NOTHING = Known(None, None, Lockout(), None, None, ())


class LoginsContract:
    """For every back end, which gives the fixture `store`."""

    def test_nothing_is_known_of_nobody(self, store: Store) -> None:
        """No account, no failure, no station, no device, no challenge."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            add(tx, challenge())
        for asker in (Asker("bob", HERE), Asker("bob", replace(HERE, station=""))):
            known = store.look(asker, NOW)
            assert known == NOTHING
            with store.login(asker, NOW) as (_, known):
                assert known == NOTHING

    def test_all_that_is_known_comes_at_once(self, store: Store) -> None:
        """Of this account at this station, and the challenges of the account that matter."""
        codes = (Spent("0" * 31 + "5", "k:1", 6), Spent("f" * 32, "k2", 8))
        seen = station(lockout=Lockout(1, NOW), spent=codes)
        several = [
            challenge(1, created_at=NOW - 2 * SECOND),
            challenge(2, client="other"),
            challenge(3, created_at=NOW - SECOND),
            challenge(4, client="wifi", created_at=NOW - HOUR, expires_at=NOW - HOUR + SECOND),
            challenge(5, state="spent"),
            challenge(6, account="bob"),
            challenge(7, client="wifi", expires_at=NOW - HOUR),
            challenge(8, client="wifi", expires_at=NOW, station="03"),
            challenge(9, expires_at=NOW),
            challenge(10, state="exhausted"),
        ]
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("alice", Lockout(2, NOW))
            tx.put_station(seen)
            tx.put_station(station(station="03"))
            tx.put_station(station(client="", station="", spent=codes[1:]))
            tx.remember_device(device())
            tx.remember_device(device(ssid="Guests"))
            add(tx, *several)
            tx.save_message(replace(message(3), lease_owner="somebody"))
            tx.save_message(replace(message(4), counted=(("all", 7), ("account alice", 8))))
        expected = Known(
            waiting={
                challenge(1).transaction_id: (),
                challenge(2).transaction_id: (),
                challenge(4).transaction_id: (("all", 7), ("account alice", 8)),
            },
            account=ALICE,
            neighbour=ALICE.pin_hash,
            lockout=Lockout(2, NOW),
            station=seen,
            device=device(),
            challenges=(several[1], several[2], several[0], several[3]),
            kept=codes[1:],
        )
        known = store.look(ASKER, NOW)
        assert known == expected
        with store.login(ASKER, NOW) as (tx, known):
            assert known == tx.known(ASKER, NOW) == expected

    def test_a_neighbour_is_the_account_itself_or_the_next_one(self, store: Store) -> None:
        """Asked along for every name alike: who has none must not take longer."""
        with store.write() as tx:
            for name, pin_hash in (("b", "hash b"), ("d", None), ("f", "hash f")):
                tx.put_account(replace(ALICE, name=name, pin_hash=pin_hash), NOW)
        found = {}
        for name in "abcdefg":
            known = store.look(Asker(name, HERE), NOW)
            found[name] = known.neighbour
        of_b, of_f = dict.fromkeys("ab", "hash b"), dict.fromkeys("ef", "hash f")
        assert found == of_b | of_f | dict.fromkeys("cdg")

    @pytest.mark.parametrize("place", [{"name": "vpn"}, {"ssid": "Guests"}, {"station": "03"}])
    def test_a_station_and_a_device_are_those_of_the_place(
        self, store: Store, place: dict[str, str]
    ) -> None:
        """Another client, wireless network or station is not known; of networks a station is."""
        with store.write() as tx:
            tx.put_station(station())
            tx.remember_device(device())
        known = store.look(Asker("alice", replace(HERE, **place)), NOW)
        assert known.device is None
        assert known.station == (station() if "ssid" in place else None)
        known = store.look(Asker("alice", replace(HERE, address="192.0.2.9")), NOW)
        assert (known.station, known.device) == (station(), device())

    def test_an_answer_finds_its_challenge_in_whatever_state(self, store: Store) -> None:
        """Whoever it belongs to, and those beside it that are open."""
        several = [challenge(1), challenge(2, state="spent"), challenge(3, account="bob")]
        beside = challenge(4, expires_at=NOW + 2 * HOUR)
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            add(tx, *several, beside)
        for one in several:
            asker = replace(ASKER, transaction_id=one.transaction_id)
            with store.login(asker, NOW + HOUR) as (_, known):
                assert set(known.challenges) == {one, beside}
                assert known.account == ALICE
        for unknown in ("f" * 32, ""):
            asker = replace(ASKER, transaction_id=unknown)
            with store.login(asker, NOW + HOUR) as (_, known):
                assert known.challenges == (beside,)
        with store.login(replace(asker, account="carol"), NOW) as (_, known):
            assert known.challenges == ()

    @pytest.mark.parametrize("durable", [False, True])
    def test_a_step_is_a_transaction(self, store: Store, durable: bool) -> None:
        """It sees what it has changed itself; one that fails changes nothing."""
        with store.login(ASKER, NOW, durable=durable) as (tx, known):
            assert known.account is None
            tx.put_account(ALICE, NOW)
            assert tx.known(ASKER, NOW).account == ALICE

        def fail() -> None:
            with store.login(ASKER, NOW, durable=durable) as (tx, _):
                tx.put_lockout("alice", Lockout(1, NOW))
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        known = store.look(ASKER, NOW)
        assert (known.account, known.lockout) == (ALICE, Lockout())

    def test_what_a_look_fails_with_is_a_store_error(self, store: Store) -> None:
        """And the next one works."""
        for before, after in (("lockout", "gone"), ("gone", "lockout")):
            with store.write() as tx:
                tx._db.execute(f"ALTER TABLE {before} RENAME TO {after}")
            if after == "gone":
                with pytest.raises(StoreError):
                    store.look(ASKER, NOW)
        assert store.look(ASKER, NOW) == NOTHING

    def test_messages_are_counted_along(self, store: Store) -> None:
        """Of the account or its station, its number as far as that was noted, its client, all."""
        alone, own = Counter("alice", HERE.name), Counter("alice", HERE.name, HERE.station)
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_number_tag("alice", "tag")
            for counter, tag in (
                (alone, "tag"),
                (alone, "other"),
                (own, "tag"),
                (Counter("bob", "vpn"), "tag"),
                (Counter("bob", HERE.name), "other"),
            ):
                tx.count_message(counter, tag, NOW)
            tx.count_message(alone, "tag", NOW - HOUR * 23)
            assert tx.tally(alone, "tag", NOW) == Tally(2, 2, 4, 6)
        strange = replace(ASKER, client=replace(HERE, station="03"))
        elsewhere = replace(strange, number_tag="other")
        for asker, now, seen_at, tag, counter in (
            (strange, NOW, NOW, "tag", alone),
            (elsewhere, NOW, NOW, "other", alone),
            (replace(strange, number_tag=""), NOW, NOW, "", alone),
            (ASKER, NOW, NOW, "tag", own),
            (ASKER, NOW, NOW - STATION_KNOWN, "tag", alone),
            (ASKER, NOW, NOW - STATION_KNOWN + timedelta(microseconds=1), "tag", own),
            (replace(ASKER, account="bob"), NOW, NOW, "", Counter("bob", HERE.name)),
            (ASKER, NOW + HOUR * 2, NOW, "tag", own),
        ):
            with store.write() as tx:
                tx.put_station(replace(station(), seen_at=seen_at))
                expected = tx.tally(counter, tag, now)
            known = store.look(asker, now)
            assert (known.number_tag, known.tally) == (tag, expected)
            assert (
                stations.counter_of(known, request(asker.account, client=asker.client), now).station
                == counter.station
            )
            with store.login(asker, now) as (_, known):
                assert (known.number_tag, known.tally) == (tag, expected)

    def test_the_tag_of_a_number_goes_with_the_number(self, store: Store) -> None:
        """Until the next message it is not known; what else changes does not matter."""
        with store.write() as tx:
            tx.put_number_tag("alice", "tag")  # nobody of that name is made
            tx.put_account(ALICE, NOW)
        assert store.look(ASKER, NOW).number_tag == ""
        for changed, expected in (
            ({"enabled": False}, "tag"),
            ({"phone": "+491701234568"}, ""),
            ({"phone": None}, ""),
        ):
            with store.write() as tx:
                tx.put_number_tag("alice", "tag")
                tx.put_account(replace(ALICE, **changed), NOW)
            assert store.look(ASKER, NOW).number_tag == expected

    def test_what_is_known_is_seen_behind_the_lock(self, store: Store) -> None:
        """What another transaction about the same account has changed is there already."""
        with ThreadPoolExecutor(1) as pool:
            with store.write("alice") as tx:
                assert tx.lockout("alice") == Lockout()
                waiting = pool.submit(self._count_up, store)
                time.sleep(0.2)  # it waits behind this one, if anything does
                tx.put_lockout("alice", Lockout(1, NOW))
            waiting.result(20)
        with store.read() as tx:
            assert tx.lockout("alice").failures == 2

    @staticmethod
    def _count_up(store: Store) -> None:
        with store.login(ASKER, NOW) as (tx, known):
            tx.put_lockout("alice", Lockout(known.lockout.failures + 1, NOW))
