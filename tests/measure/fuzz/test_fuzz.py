"""Whatever octets come, everything that reads them says so, and nothing lets anybody in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.measure.fuzz.__main__ import TARGETS, load

CASES = 500
"""The long form, ``sh tests/fuzz.sh``, has 150,000 of each."""


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_cases(target: str) -> None:
    """In a process of its own: the hooks change much of the one they are loaded into."""
    program = [sys.executable, "-m", "tests.measure.fuzz", "--plain", "--cases", str(CASES), target]
    top = Path(__file__).resolve().parents[3]
    done = subprocess.run(program, cwd=top, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{CASES} cases, no finding" in done.stdout


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"hook"}))
def test_a_target_takes_any_octets(target: str) -> None:
    """None, and more than it needs."""
    for octets in (b"", bytes(1000), bytes(range(256)) * 4):
        load(target)(octets)
