"""The promises of a store to several threads and several processes at once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import IO, TYPE_CHECKING

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.model.records import Lockout
from radius_smsotp.store import open_store
from tests.store.samples import ALICE, NOW, SECOND, add, challenge, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.store import Store

RACES = 50
KILLS = 2
STARTS = 2

BEGIN = """
import sys
from dataclasses import replace
from datetime import UTC, datetime
from radius_smsotp.store import open_store
from tests.store.samples import NOW, SECOND, add, challenge, event
store = open_store(sys.argv[1], patience=20)
def say(text):
    print(text, flush=True)
def heard():
    return sys.stdin.readline().strip()
"""

SPEND = """
say("ready")
while transaction_id := heard():
    with store.write(durable=True) as tx:
        found = tx.challenge(transaction_id)
        won = found.state == "open"
        if won:
            tx.save_answer(replace(found, state="spent"))
    say("won" if won else "lost")
"""

HOLD = """
with store.write() as tx:
    tx.add_event(event("held"))
    tx.lockout("alice")
    say("held")
    heard()
say("done")
"""

WRITE = """
# Each transaction adds a challenge and an event: whoever reads finds as many of both.
start = int(sys.argv[2])
for number in range(start, start + 1_000_000):
    with store.write(durable=number % 2 == 0) as tx:
        add(tx, challenge(number))
        tx.add_event(event("opened", transaction_id=f"{number:032x}"))
    if number == start + 20:
        say("writing")
"""

ADD = """
with store.write() as tx:
    tx.add_event(event(sys.argv[2]))
store.close()
"""

MIGRATE = """
say("ready")
while url := heard():
    new = open_store(url, patience=20)
    new.migrate()
    new.close()
    say("done")
"""


class Child:
    """Another process on the same store, which says a line when it has come so far."""

    def __init__(self, program: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hears(self, line: str) -> None:
        """Tell it to go on."""
        pipe = self._pipe(self.process.stdin)
        pipe.write(f"{line}\n")
        pipe.flush()

    def says(self) -> str:
        """Wait for its next line."""
        return self._pipe(self.process.stdout).readline().strip()

    def kill(self) -> None:
        """End it as kill -9 and a power cut do, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                self._pipe(pipe).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def is_whole(store: Store) -> bool:
    """Whether there are as many challenges as events, as `WRITE` leaves it at any moment."""
    with store.read() as tx:
        opened = tx.events("alice", 1_000_000)
        return len(tx.open_challenges(NOW)) == sum(one.kind == "opened" for one in opened)


class CrowdContract:
    """The suite; `url` and `store` come from `StoreContract`."""

    HASTE = 0.05
    """A patience, in seconds, that is soon at its end, but enough for a connection."""

    @pytest.fixture
    def children(self) -> Iterator[list[Child]]:
        """Processes that end with the test, however that ends."""
        several: list[Child] = []
        yield several
        for child in several:
            child.kill()

    def test_threads_write_one_after_the_other(self, store: Store) -> None:
        """Eight threads add 25 each to one number: nothing is lost."""

        def count(_: int) -> None:
            for _ in range(25):
                with store.write() as tx:
                    tx.put_lockout("alice", Lockout(tx.lockout("alice").failures + 1, NOW))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(count, range(8)))
        with store.read() as tx:
            assert tx.lockout("alice").failures == 200

    def test_a_thread_reads_while_another_writes(self, store: Store) -> None:
        """Neither waits for the other."""
        writing, read = threading.Event(), threading.Event()

        def write() -> None:
            with store.write() as tx:
                tx.put_account(ALICE, NOW)
                writing.set()
                assert read.wait(20)

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(write)
            assert writing.wait(20)
            with store.read() as tx:
                assert tx.account("alice") is None
            read.set()
            future.result(20)

    def test_a_challenge_is_spent_once(self, store: Store, url: str, children: list[Child]) -> None:
        """Two processes with the right code at the same moment: one of them gets in."""
        children += [Child(SPEND, url), Child(SPEND, url)]
        with store.write() as tx:
            for number in range(RACES):
                add(tx, challenge(number))
        assert [child.says() for child in children] == ["ready", "ready"]
        outcomes = []
        for number in range(RACES):
            for child in children:
                child.hears(f"{number:032x}")
            outcomes.append(sorted(child.says() for child in children))
        assert outcomes == [["lost", "won"]] * RACES

    def test_a_busy_store_is_an_error_within_patience(
        self, store: Store, url: str, children: list[Child]
    ) -> None:
        """A process that keeps the lock stops nobody for good, and no reader at all."""
        children.append(Child(HOLD, url))
        assert children[0].says() == "held"
        hasty = open_store(url, patience=self.HASTE)
        with pytest.raises(StoreError, match="another process is writing"), hasty.write() as tx:
            tx.lockout("alice")
        with hasty.read() as tx:
            assert tx.events("alice", 1) == []
        children[0].hears("go on")
        assert children[0].says() == "done"
        with hasty.write() as tx:
            assert [one.kind for one in tx.events("alice", 1)] == ["held"]
        hasty.close()

    def test_a_busy_thread_is_an_error_within_patience(self, url: str, store: Store) -> None:
        """The same within one process."""
        hasty = open_store(url, patience=self.HASTE)

        def write() -> None:
            with hasty.write() as tx:
                tx.lockout("alice")

        with hasty.write() as tx, ThreadPoolExecutor(1) as pool:
            tx.lockout("alice")
            error = pool.submit(write).exception(20)
        assert isinstance(error, StoreError)
        hasty.close()

    def test_a_killed_writer_leaves_the_store_whole(
        self, store: Store, url: str, children: list[Child]
    ) -> None:
        """What it had begun is not there, what it had finished is, and others go on."""
        for number in range(KILLS):
            children.append(Child(WRITE, url, number * 1_000_000))
            assert children[-1].says() == "writing"
            children[-1].kill()
            with store.write(durable=True) as tx:
                for done in range(20):
                    assert tx.challenge(f"{number * 1_000_000 + done:032x}") is not None
            assert is_whole(store)

    def test_a_second_store_in_one_process_does_not_loosen_the_first(
        self, store: Store, url: str, children: list[Child]
    ) -> None:
        """Settings are read again, a new store is opened, and both write beside a command."""
        with store.write() as tx:
            tx.add_event(event("first"))
        again = open_store(url)
        again.migrate()
        again.close()
        for name in ("second", "third"):
            children.append(Child(ADD, url, name))
            assert children[-1].process.wait(20) == 0
            with store.write() as tx:
                tx.add_event(event(f"after-{name}"))
        expected = ["first", "second", "after-second", "third", "after-third"]
        for one in (store, again):
            with one.read() as tx:
                assert [found.kind for found in tx.events("alice", 10)] == expected
        again.close()

    def test_several_processes_may_make_the_store_at_once(
        self, make_url: Callable[[], str], children: list[Child]
    ) -> None:
        """radiusd, the courier and a command start together after an installation."""
        new = [Child(MIGRATE, make_url()) for _ in range(4)]
        children += new
        assert [child.says() for child in new] == ["ready"] * 4
        for _ in range(STARTS):
            url = make_url()
            for child in new:
                child.hears(url)
            assert [child.says() for child in new] == ["done"] * 4

    def test_a_sweep_takes_a_message_once(self, store: Store) -> None:
        """Two couriers that look at once: whoever is first takes the lease."""
        with store.write() as tx:
            add(tx, challenge())

        def take(_: int) -> int:
            with store.write() as tx:
                found = tx.unsent(NOW, 10)
                for _, one in found:
                    held = replace(one, lease_owner="me", lease_until=NOW + SECOND)
                    tx.save_message(held)
                return len(found)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(take, range(4))) == 1
