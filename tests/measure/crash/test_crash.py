"""Nothing that was acknowledged is undone by kill -9; long form: tests/crash.sh."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.measure.crash import rounds, stores
from tests.measure.crash.rounds import Crashes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", stores.KINDS)
def test_a_crash_undoes_nothing_that_was_acknowledged(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of radiusd, of the courier, of a command, of the database: one of each, and radiusd again."""
    monkeypatch.setattr(rounds, "IMPORTED", 150)
    monkeypatch.setattr(rounds, "USERS", 2)
    with contextlib.closing(stores.KINDS[kind]()) as store:
        crashes = Crashes(tmp_path, store, seed=3)
        try:
            for victim in (*store.kinds, "radiusd"):
                crashes.run(victim)
            crashes.finish()
        finally:
            crashes.close()
    assert crashes.counts["kills of radiusd"] == 2
    assert crashes.counts["logins"] > 0
    assert crashes.counts["codes tried again"] > 0
