"""Whatever octets come, everything that reads them says so, and nothing lets anybody in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.measure.fuzz.__main__ import TARGETS, load, plainly

CASES = 150
"""The long form, ``sh tests/fuzz.sh``, has 150,000 of each."""


PURE = sorted(set(TARGETS) - {"hook"})


def test_a_few_calls_of_the_hooks() -> None:
    """In a process of its own: they change much of the one they are loaded into."""
    program = [sys.executable, "-m", "tests.measure.fuzz", "--plain", "--cases", str(CASES), "hook"]
    top = Path(__file__).resolve().parents[3]
    done = subprocess.run(program, cwd=top, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{CASES} cases, no finding" in done.stdout


@pytest.mark.parametrize("target", PURE)
def test_a_few_cases(target: str) -> None:
    assert plainly(target, CASES) == CASES


@pytest.mark.parametrize("target", PURE)
def test_a_target_takes_any_octets(target: str) -> None:
    """None, and more than it needs."""
    for octets in (b"", bytes(1000), bytes(range(256)) * 4):
        load(target)(octets)
