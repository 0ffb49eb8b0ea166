"""A short soak: everything at once, and nothing grows that should not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.measure.soak import gauge
from tests.measure.soak.gauge import Reading
from tests.measure.soak.life import Life

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 10.0
"""The long form, ``sh tests/soak.sh``, takes half an hour."""

MAY_GROW = replace(gauge.MAY_GROW, memory=6.0)
"""All is new yet: caches fill, and settings are read for the first time."""


def test_a_short_soak(tmp_path: Path) -> None:
    said: list[str] = []
    with Life(tmp_path) as life:
        life.pass_time(SECONDS, said.append)
        faults, summary = life.faults(MAY_GROW), life.summary()
    assert not faults, "\n".join([*faults, *said, *summary])
    assert life.restarts == 2
    assert life.pruned > 100
    assert life.people.acts["… accepted"] > 10
    assert len(life.readings) == 12


def test_what_grows_is_seen() -> None:
    steady = [Reading(100 + number % 3, 12, 20 + number % 2, 3.0) for number in range(40)]
    assert gauge.grown(steady) == []
    leaking = [Reading(100 + number / 8, 12, 20, 3.0 + number / 4) for number in range(40)]
    assert gauge.grown(leaking) == [
        "memory grew from 101.8 to 104.3",
        "store grew from 6.6 to 11.6",
    ]
