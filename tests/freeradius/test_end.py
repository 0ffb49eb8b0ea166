"""FreeRADIUS ends well whatever its threads are at, and soon."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.freeradius.held_gateway import http
from tests.providers.gateway import Gateway
from tests.support.freeradius import Site
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.providers.gateway import Call

USERS = 40
PATIENCE = 15.0
"""Seconds; it takes a fraction of one where nothing else runs."""


CALLS = count()


def one_after_the_other(call: Call) -> None:
    """A gateway whose answers come every few milliseconds: some thread always wakes up."""
    call.gateway.over.wait(0.3 + next(CALLS) % USERS / 50)
    call.answer(200, "ID: 4711")


@pytest.mark.parametrize(
    "turn", [0, *(pytest.param(turn, marks=pytest.mark.once) for turn in (1, 2)), 3]
)
def test_messages_are_under_way_when_it_ends(make_site: Callable[..., Site], turn: int) -> None:
    """Their gateway answers while the interpreter goes; several turns, as it is a race."""
    with Gateway(one_after_the_other) as gateway:
        site = make_site(providers={"slow": http(gateway)}, delivery={"wait": 0})
        for number in range(USERS):
            site.add(f"user{number}", f"+49170{number:07}", rounds=1)
        radiusd = site.start()
        for number in range(USERS):
            radiusd.challenge(f"user{number}", PIN)
        time.sleep(turn / 20)
        began = time.monotonic()
        assert radiusd.stop() == 0, radiusd.log()[-2000:]
        assert time.monotonic() - began < PATIENCE
        # What was not sent is left to the next start.
        with site.store.read() as tx:
            states = {message.state for _, message in tx.open_challenges(datetime.now(UTC))}
        assert states <= {"queued", "accepted"}


def test_it_ends_when_nothing_is_under_way(site: Site) -> None:
    radiusd = site.start()
    radiusd.challenge()
    site.code(radiusd.challenge().state)
    assert radiusd.stop() == 0
