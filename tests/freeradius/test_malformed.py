"""Thousands of packets that no client would send: no accept, no exception, no end, no growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.freeradius import malformed
from tests.support.radius import ACCEPT, CHALLENGE, REJECT
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.freeradius import Site

PACKETS = 5000
"""The long form, ``sh tests/fuzz.sh``, sends 100,000."""


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[Site]:
    """A site that never locks out."""
    one = malformed.site(tmp_path)
    yield one
    one.close()


def test_malformed_packets(lenient: Site) -> None:
    radiusd = lenient.start()
    outcome = malformed.throw(radiusd, PACKETS)
    assert outcome.sent == PACKETS
    # They get past FreeRADIUS: those that are right in form were answered.
    assert outcome.replies[REJECT] > PACKETS / 5
    assert outcome.replies[CHALLENGE] > 20
    assert ACCEPT not in outcome.replies
    assert malformed.complaints(radiusd) == []
    # In the second half: on a busy machine requests pile up at first, and threads come for them.
    assert outcome.memory[-1] - outcome.memory[len(outcome.memory) // 2] <= malformed.MOST_GROWTH
    assert radiusd.ask("bob", PIN).kind == "Access-Challenge"
