"""What has reached the disk before FreeRADIUS answers: what a power cut may not undo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.core import code
from tests.store.races import Server, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
