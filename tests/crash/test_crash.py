"""Nothing that was acknowledged is undone by kill -9; long form: tests/crash.sh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.crash.rounds import KINDS, Crashes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_crash_undoes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Of radiusd, of the courier, of a command: one of each, and radiusd once more."""
    crashes = Crashes(tmp_path, seed=3)
    try:
        for kind in (*KINDS, "radiusd"):
            crashes.run(kind)
        crashes.finish()
    finally:
        crashes.close()
    assert crashes.counts["kills of radiusd"] == 2
    assert crashes.counts["logins"] > 0
    assert crashes.counts["codes tried again"] > 0
