"""A short soak: everything at once, and nothing grows that should not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.soak import gauge
from tests.soak.gauge import Reading
from tests.soak.life import Life

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 25.0
"""The long form, ``sh tests/soak.sh``, takes half an hour."""


def test_a_short_soak(tmp_path: Path) -> None:
    said: list[str] = []
    with Life(tmp_path) as life:
        life.pass_time(SECONDS, said.append)
        faults, summary = life.faults(), life.summary()
    assert not faults, "\n".join([*faults, *said, *summary])
    assert life.restarts == 2
    assert life.pruned > 100
    assert life.people.acts["… accepted"] > 50
    assert len(life.readings) == 12


def test_what_grows_is_seen() -> None:
    steady = [Reading(100 + number % 3, 90, 12, 20 + number % 2, 3.0) for number in range(40)]
    assert gauge.grown(steady) == []
    leaking = [
        Reading(100 + number, 90 + number / 12, 12, 20, 3.0 + number / 4) for number in range(40)
    ]
    assert gauge.grown(leaking) == [
        "memory grew from 114.5 to 134.5",
        "one_arena grew from 91.2 to 92.9",
        "store grew from 6.6 to 11.6",
    ]
