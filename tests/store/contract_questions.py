"""What a store promises of questions that a transaction is told beforehand (`store.questions`)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from radius_smsotp.model.records import Lockout
from radius_smsotp.store import questions
from tests.store.contract import ALICE, NOW, challenge

if TYPE_CHECKING:
    from radius_smsotp.store import Store


class QuestionsContract:
    """For every back end, which gives the fixture `store`."""

    def test_what_was_foreseen_is_answered_as_if_it_were_asked_then(self, store: Store) -> None:
        """Told beforehand or not, asked once, twice or never: the answers are the same."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
            tx.put_lockout("alice", Lockout(2, NOW))
            tx.add_challenge(challenge())
        foreseen = [
            questions.account("alice"),
            questions.account("nobody"),
            questions.lockout("alice"),
            questions.challenge(challenge().transaction_id),
            questions.open_of("alice", NOW),
        ]
        for told in (foreseen, []):
            with store.read(foreseen=told) as tx:
                for _ in range(2):
                    assert tx.account("alice") == ALICE
                    assert tx.account("nobody") is None
                    assert tx.lockout("alice") == Lockout(2, NOW)
                    assert tx.open_challenges(NOW, "alice") == [challenge()]

    def test_what_was_foreseen_does_not_outlast_a_change(self, store: Store) -> None:
        """A transaction sees what it has changed itself."""
        foreseen = [questions.account("alice"), questions.lockout("alice")]
        with store.write("alice", foreseen=foreseen) as tx:
            tx.put_account(ALICE, NOW)
            assert tx.account("alice") == ALICE
            assert tx.lockout("alice") == Lockout()

    def test_what_was_foreseen_is_seen_behind_the_lock(self, store: Store) -> None:
        """What another transaction about the same account has changed is there already."""
        with ThreadPoolExecutor(1) as pool:
            with store.write("alice") as tx:
                waiting = pool.submit(self._count_up, store)
                time.sleep(0.2)  # it waits behind this one, if anything does
                tx.put_lockout("alice", Lockout(1, NOW))
            waiting.result(20)
        with store.read() as tx:
            assert tx.lockout("alice").failures == 2

    @staticmethod
    def _count_up(store: Store) -> None:
        with store.write("alice", foreseen=[questions.lockout("alice")]) as tx:
            tx.put_lockout("alice", Lockout(tx.lockout("alice").failures + 1, NOW))
