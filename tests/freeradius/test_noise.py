"""Who floods the server with made-up names takes nothing from those who log in."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.noise import CLIENT, LEAST, MOST, of_name
from tests.freeradius import recipe
from tests.measure.noise import LIMITS, live
from tests.support.radius import USER_NAME
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site
    from tests.support.radius import Reply

ROOM = MOST // LEAST
HOME = "192.0.2.7"

GATE = """#!/bin/sh
case $1 in alice|bob) exit 0 ;; esac
echo >>"{waiting}"
while [ -e "{closed}" ]; do sleep 0.05; done
exit 1
"""
MODULE = """exec gate {{
	wait = yes
	program = "/bin/sh {script} %{{User-Name}}"
	shell_escape = yes
	timeout = 30
}}
"""


class Slow:
    """A first factor that knows alice and bob, and refuses all others once it is let to."""

    def __init__(self, folder: Path) -> None:
        self._closed, self._waiting = folder / "closed", folder / "waiting"
        self._script = folder / "gate.sh"
        self._script.write_text(GATE.format(closed=self._closed, waiting=self._waiting))

    def install(self, raddb: Path) -> None:
        """Put it in the place of pap."""
        (raddb / "mods-enabled" / "gate").write_text(MODULE.format(script=self._script))
        path = raddb / "policy.d" / "smsotp_first_factor"
        recipe.replace_policies(path, "smsotp_first_factor {\n\tgate\n}\n")

    def close(self) -> None:
        """From now on it does not answer."""
        self._closed.touch()
        self._waiting.write_text("")

    def open(self) -> None:
        """It refuses all who wait."""
        self._closed.unlink(missing_ok=True)

    def waiting(self) -> int:
        """How many have waited since it does not answer."""
        return len(self._waiting.read_text().splitlines())


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    one = Slow(tmp_path)
    yield one
    one.open()


def test_there_are_threads_left_for_all_but_noise(
    make_site: Callable[..., Site], slow: Slow
) -> None:
    """
    However slow the first factor is: of 60 made-up names that come at once, only so many get to it.
    The others are refused at once, and so is nobody who answers a challenge, nor who asks from a
    station where somebody has logged in before.
    """
    site = make_site(limits=LIMITS)
    site.add("bob")
    radiusd = site.start(edit=slow.install)
    log_in(site, radiusd, "bob", HOME)
    challenge = radiusd.challenge("alice")
    early = itertools.count()
    while "noise of client local" not in radiusd.log():
        assert radiusd.ask(f"early{next(early)}", "4321").message == "Login failed."
    slow.close()
    refused: list[Reply] = []

    def make_noise(number: int) -> None:
        refused.append(radiusd.ask(f"user{number}", "4321"))

    with ThreadPoolExecutor(60) as pool:
        pool.map(make_noise, range(60))
        try:
            eventually(lambda: (len(refused), slow.waiting()) == (60 - ROOM, ROOM), 20)
            # Answers, and stations that are no part of it.
            code = site.code(challenge.state)
            assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"
            log_in(site, radiusd, "alice", HOME)
            # Without one it cannot be told apart from noise; it is the second time.
            assert radiusd.ask("alice").message == "Login failed."
            log_in(site, radiusd, "alice")
        finally:
            slow.open()
    assert {(one.kind, one.message, *(n for n, _ in one.pairs)) for one in refused} == {
        ("Access-Reject", "Login failed.", 80, 18)
    }
    assert len(refused) == 60
    # Those that were refused at once leave no row each, but for their number.
    with site.store.read() as tx:
        told = sum(bool(tx.events(f"user{number}", 10)) for number in range(60))
    assert told <= ROOM
    assert radiusd.stop() == 0
    summed = [one for one in site.events("") if one.detail.get("reason") == "noise"]
    assert sum(int(one.detail["more"]) for one in summed) == 60 - ROOM
    assert [one.detail for one in site.events("alice") if one.kind == "login-refused"] == [
        {"reason": "noise", "more": 1}
    ]


def test_what_costs_nothing_uses_up_nothing(radiusd: Radiusd) -> None:
    """A request without a password is refused before any hash, and locks nobody out either."""
    for _ in range(int(of_name(10).burst) + 1):
        assert radiusd.client.send([(USER_NAME, b"alice")]).kind == "Access-Reject"
    radiusd.challenge("alice")
    assert "noise of client" not in radiusd.log()


def log_in(site: Site, radiusd: Radiusd, name: str, station: str = "") -> None:
    """A whole login."""
    asked = radiusd.ask(name, PIN, station=station)
    assert asked.kind == "Access-Challenge", asked
    reply = radiusd.ask(name, site.code(asked.state), asked.state, station)
    assert reply.kind == "Access-Accept", reply


def test_a_user_logs_in_through_noise_of_the_same_client(
    make_site: Callable[..., Site],
) -> None:
    """
    With PINs of the usual number of rounds, and no station to tell them apart by.  A machine that
    has less time than the noise asks for may refuse a first step; the second one is let in.
    """
    site = make_site(pin={"iterations": 10_000}, limits=LIMITS)
    site.add("alice", rounds=10_000)
    radiusd = site.start()
    result = live(site, radiusd, 100, 6)
    assert [one.fault for one in result.logins] == [""] * len(result.logins)
    assert result.after.fault == ""
    assert result.logins
    event = next(one for one in site.events("") if one.kind == "noise")
    assert (event.kind, event.client, event.station) == ("noise", "local", "")
    assert int(event.detail["failures"]) >= CLIENT.burst
    line = f"noise of client local: {event.detail['failures']} wrong PINs or unknown names"
    assert line in radiusd.log()
    assert radiusd.log().count("noise of client") == 1
