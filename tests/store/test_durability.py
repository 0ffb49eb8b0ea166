"""What has reached the disk before FreeRADIUS answers: what a power cut may not undo."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.model import code
from radius_smsotp.store.durability import Durability
from tests.measure.races import Server, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.server
"""strace."""


class Traced:
    """A server under strace, and what it synced in the course of each request."""

    def __init__(self, folder: Path) -> None:
        settings, self.keys = prepare(folder, f"sqlite:///{folder}/smsotp.db")
        self._trace = folder / "trace"
        strace = ["strace", "-f", "-o", str(self._trace), "-e", "trace=fsync,fdatasync,write"]
        self.server = Server(settings, *strace)

    def ask(self, step: str, password: str, state: str = "-") -> tuple[str, str, int]:
        """A request.  Returns the code of the hook, the State, and how often a file was synced."""
        before = self._synced()
        self.server.tell(step, 0.0, password, state)
        kind, given, *_ = self.server.hears()
        return kind, given, self._synced() - before

    def _synced(self) -> int:
        # What it had done before its last word: that has been heard, so it is in the trace.
        return len(re.findall(r"f(?:data)?sync\(", self._trace.read_text()))


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    """A server whose first request is behind it."""
    one = Traced(tmp_path)
    one.ask("authorize", "1234")
    one.ask("pin", "1234")
    one.ask("code", "000000", "0" * 32)
    yield one
    one.server.end()


def test_a_spent_code_and_a_counted_guess_are_on_the_disk(traced: Traced) -> None:
    """Before the answer leaves: one that is lost would let somebody in, or guess once more."""
    _, state, _ = traced.ask("pin", "1234")
    right = code.derive(traced.keys.secret, state, 6)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    assert traced.ask("code", wrong, state)[2] >= 1
    kind, _, synced = traced.ask("code", right, state)
    assert (kind, synced >= 1) == ("OK", True)
    assert traced.ask("wrong-pin", "4321")[2] >= 1


def test_a_challenge_is_not(traced: Traced) -> None:
    """One that is lost costs one more SMS; finding out how to check a PIN writes nothing."""
    assert traced.ask("authorize", "1234")[2] == 0
    kind, state, synced = traced.ask("pin", "1234")
    assert (kind, synced) == ("HANDLED", 0)
    assert re.fullmatch("[0-9a-f]{32}", state)


class TestDurability:
    """Who waits for the disk waits with all the others."""

    def test_a_sync_is_for_all_that_was_committed_before_it(self) -> None:
        syncs: list[int] = []
        durability = Durability(lambda: syncs.append(durability.position))
        for _ in range(3):
            durability.committed()
        durability.sync(3)
        durability.sync(1)
        durability.sync(3)
        assert syncs == [3]
        durability.committed()
        durability.sync(4)
        assert syncs == [3, 4]

    def test_who_comes_while_the_disk_is_busy_shares_the_next_sync(self) -> None:
        """Nine answers, two syncs: what was committed during a sync is not covered by it."""
        began, free = threading.Event(), threading.Event()
        syncs: list[int] = []

        def sync() -> None:
            syncs.append(durability.position)
            began.set()
            assert free.wait(20)

        durability = Durability(sync)
        durability.committed()
        with ThreadPoolExecutor(9) as pool:
            waiting = [pool.submit(durability.sync, 1)]
            assert began.wait(20)
            for position in range(2, 10):
                durability.committed()
                waiting.append(pool.submit(durability.sync, position))
            assert not any(one.done() for one in waiting)
            free.set()
            for one in waiting:
                one.result(20)
        assert syncs == [1, 9]

    def test_a_sync_that_fails_makes_nothing_durable(self) -> None:
        """Each of those who wait hears of it."""
        failing = [True, True, False]

        def sync() -> None:
            if failing.pop(0):
                raise StoreError("the disk under the store fails")

        durability = Durability(sync)
        durability.committed()
        for _ in range(2):
            with pytest.raises(StoreError):
                durability.sync(1)
        durability.sync(1)
        assert failing == []

    def test_no_commit_is_lost_in_the_count(self) -> None:
        """One that was would be taken for durable before it is."""
        durability = Durability(lambda: None)

        def commit() -> None:
            for _ in range(2000):
                durability.committed()

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(commit) for _ in range(8)]:
                done.result()
        assert durability.position == 16000
