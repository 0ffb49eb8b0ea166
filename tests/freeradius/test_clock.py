"""A FreeRADIUS whose wall clock jumps, and two whose clocks differ."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.delivery.breaker import FAILURES_TO_OPEN, FIRST_PAUSE
from tests.freeradius.held_gateway import LEFT, code_of, hold_alices, http, leave_behind, to
from tests.freeradius.test_elsewhere import command
from tests.freeradius.wall_clock import DAY, HOUR, MINUTE, WallClock
from tests.providers.gateway import Gateway, answers
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import RadiusClient
from tests.support.site import PHONE, PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.radius import Reply

JUMPS = (HOUR, -HOUR, DAY, -DAY)
"""Each from where the one before has led."""

START_AGAIN = "This code is not valid any more. Please log in again from the start."
STATION = "02-00-00-00-00-01"
UNLIMITED = {"cooldown": 0, "per_account_hour": 0, "per_number_hour": 0, "per_day": 0}


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    """A clock that is right, until a test sets it."""
    return WallClock(tmp_path / "clock")


@pytest.fixture
def start(make_site: Callable[..., Site], clock: WallClock) -> Callable[..., Radiusd]:
    """Start a FreeRADIUS by that clock, on a site with these settings."""

    def begin(**settings: Any) -> Radiusd:
        return make_site(**settings).start(prefix=clock.prefix())

    return begin


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as one:
        yield one


def people(site: Site, count: int = len(JUMPS)) -> list[str]:
    """Accounts that nothing was counted for yet, with a number each."""
    names = [f"user{number}" for number in range(count)]
    for number, name in enumerate(names):
        site.add(name, phone=f"+4917010000{number:02}")
    return names


def log_in(radiusd: Radiusd, name: str = "alice", station: str = "") -> Reply:
    """A whole login, which has to work at once; returns its challenge."""
    first = radiusd.ask(name, PIN, station=station)
    assert first.kind == "Access-Challenge", (name, first, radiusd.site.events(name))
    sent = radiusd.site.code(first.state)
    assert radiusd.ask(name, sent, first.state, station).kind == "Access-Accept"
    return first


def refused(radiusd: Radiusd, name: str, challenge: Reply) -> None:
    """The code of a challenge is not accepted, and the user is told to begin again."""
    reply = radiusd.ask(name, code_of(radiusd.site, challenge.state), challenge.state)
    assert (reply.kind, reply.message) == ("Access-Reject", START_AGAIN)


def trace(site: Site, name: str) -> list[str]:
    """What ``smsotp trace`` tells, without the times."""
    told = command(site, "trace", name).splitlines()
    return [re.sub(r"^[-0-9]{10} [:0-9]{8} [A-Z]+  ", "", line) for line in told]


def test_between_the_steps_of_a_login(start: Callable[..., Radiusd], clock: WallClock) -> None:
    """The code is worth nothing then, and is told so; a new login works.  No code counts twice."""
    radiusd = start(limits={"cooldown": 60})
    site = radiusd.site
    made: list[tuple[str, Reply]] = []
    for name, jump in zip(people(site), JUMPS, strict=True):
        before = radiusd.challenge(name)
        site.code(before.state)
        clock.jump(jump)
        refused(radiusd, name, before)
        after = log_in(radiusd, name)
        assert after.state != before.state
        made.append((name, after))
        for spent in made:
            refused(radiusd, *spent)
        told = trace(site, name)
        assert told[0].startswith("the PIN or password was right, a code was made")
        reason = "the code came too late" if jump > 0 else "the clock has gone back"
        assert any(line.startswith(f"the code was not accepted: {reason}") for line in told)
        right = r"the code was right: logged in \(\d+ s after the PIN\)"
        assert any(re.fullmatch(right, line) for line in told)
        assert told[-2].startswith("the code was not accepted: the code was used before")
    for name, jump in zip(("alice", "alice"), (MINUTE, -MINUTE), strict=True):
        challenge = radiusd.challenge(name)
        clock.jump(jump)
        reply = radiusd.ask(name, site.code(challenge.state), challenge.state)
        assert reply.kind == "Access-Accept"
        refused(radiusd, name, challenge)


def test_within_the_cooldown(start: Callable[..., Radiusd], clock: WallClock) -> None:
    """No first step waits longer for its SMS than the clocks of servers may differ."""
    radiusd = start()
    for name, jump in zip(people(radiusd.site), JUMPS, strict=True):
        before = radiusd.challenge(name)
        clock.jump(jump)
        assert log_in(radiusd, name).state != before.state
    before = radiusd.challenge()
    clock.jump(-MINUTE)
    assert radiusd.challenge().state == before.state


def test_while_the_account_is_locked(start: Callable[..., Radiusd], clock: WallClock) -> None:
    """After a jump back the lock-out is over, but the next failure brings it back."""
    radiusd = start(lockout={"failures": 3, "minutes": 15})
    for name, jump in zip(people(radiusd.site), JUMPS, strict=True):
        for _ in range(3):
            assert radiusd.ask(name, "wrong").kind == "Access-Reject"
        clock.jump(-MINUTE)
        assert radiusd.ask(name, PIN).kind == "Access-Reject"
        clock.jump(MINUTE + jump)
        if jump < 0:
            radiusd.ask(name, "wrong")
            assert radiusd.ask(name, PIN).kind == "Access-Reject"
            clock.jump(jump)
        log_in(radiusd, name)
        if jump < 0:
            clock.jump(-jump)


def test_within_the_hour_of_a_limit(start: Callable[..., Radiusd], clock: WallClock) -> None:
    """It is not lifted by a jump that may have been within the hour, and does not last a day."""
    radiusd = start(limits={"cooldown": 0, "per_account_hour": 1})
    log_in(radiusd)
    clock.jump(-HOUR)
    assert radiusd.ask("alice", PIN).kind == "Access-Reject"
    clock.jump(-DAY)
    log_in(radiusd)


def test_with_a_remembered_device(start: Callable[..., Radiusd], clock: WallClock) -> None:
    """It is remembered for as long as the settings say, and not for the jump beyond it."""
    radiusd = start(remember={"hours": 8}, limits=UNLIMITED)
    log_in(radiusd, station=STATION)
    for jump in (MINUTE, HOUR, -HOUR, -MINUTE):
        clock.jump(jump)
        assert radiusd.ask("alice", PIN, station=STATION).kind == "Access-Accept"
    for jump in (-DAY, 2 * DAY):
        clock.jump(jump)
        assert radiusd.ask("alice", PIN, station=STATION).kind == "Access-Challenge"
    log_in(radiusd, station=STATION)
    assert radiusd.ask("alice", PIN, station=STATION).kind == "Access-Accept"


def test_while_a_provider_is_skipped(
    start: Callable[..., Radiusd], clock: WallClock, gateway: Gateway
) -> None:
    """For its pause, whatever the clock says meanwhile, and not for longer."""
    demo = {"type": "folder", "path": "outbox"}
    providers = {"web": http(gateway, timeout=30), "demo": demo}
    radiusd = start(providers=providers, limits=UNLIMITED, delivery={"wait": 0})
    gateway.behave = answers(500)
    for _ in range(FAILURES_TO_OPEN):
        log_in(radiusd)
    began = time.monotonic()
    for jump in JUMPS:
        clock.jump(jump)
        log_in(radiusd)
    pauses = (time.monotonic() - began) // FIRST_PAUSE.total_seconds()
    assert FAILURES_TO_OPEN <= len(gateway.requests) <= FAILURES_TO_OPEN + pauses
    gateway.behave = answers(200, "ID: 4711")
    clock.jump(-DAY)
    eventually(lambda: radiusd.challenge() and "provider web works again" in radiusd.log())


def test_while_a_message_is_under_way(
    start: Callable[..., Radiusd], clock: WallClock, gateway: Gateway
) -> None:
    """It is sent once, though its gateway answers only after the jumps; so are those after it."""
    held = hold_alices(gateway)
    radiusd = start(providers={"web": http(gateway, timeout=30)}, delivery={"wait": 0})
    site = radiusd.site
    challenge = radiusd.challenge()
    eventually(lambda: held)
    # Beyond the lease, within the life of the code: it looks as if nobody had it in hand.
    clock.jump(MINUTE)
    leave_behind(site, challenge, f"{socket.gethostname()}:0:dead")
    clock.jump(-MINUTE)
    for name, jump in zip(people(site), JUMPS, strict=True):
        clock.jump(jump)
        reply = radiusd.challenge(name)
        eventually(lambda: "sms-accepted" in site.kinds(name))  # noqa: B023
        assert radiusd.ask(name, code_of(site, reply.state), reply.state).kind == "Access-Accept"
    held[0].answer(200, "ID: 4711")
    eventually(lambda: "sms-accepted" in site.kinds("alice"))
    answer = radiusd.ask("alice", code_of(site, challenge.state), challenge.state)
    assert answer.kind == "Access-Accept"
    numbers = [to(request) for request in gateway.requests]
    assert len(numbers) == len(set(numbers)) == 2 + len(JUMPS)


def test_while_a_first_step_waits_for_its_gateway(
    start: Callable[..., Radiusd], clock: WallClock, gateway: Gateway
) -> None:
    """It is answered, if only when it comes again: FreeRADIUS drops what seems to be a day old."""
    settings = {"wait": 5, "wait_share": 1}
    radiusd = start(providers={"web": http(gateway, timeout=30)}, delivery=settings)
    client = RadiusClient(radiusd.port, patience=2, attempts=5)
    for jump in (DAY, -DAY):
        held = hold_alices(gateway)
        with ThreadPoolExecutor(1) as pool:
            reply = pool.submit(client.ask, "alice", PIN)
            eventually(lambda: held)  # noqa: B023
            gateway.behave = answers(200, "ID: 4711")
            clock.jump(jump)
            held[0].answer(200, "ID: 4711")
            assert reply.result().kind == "Access-Challenge"
        after = radiusd.challenge()
        answer = code_of(radiusd.site, after.state)
        assert radiusd.ask("alice", answer, after.state).kind == "Access-Accept"


class TestTwoServersWhoseClocksDiffer:
    """On hosts of their own, with one store; each test has accounts of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("two")

    @pytest.fixture(scope="class")
    @classmethod
    def clock(cls, folder: Path) -> WallClock:
        """Of the one whose clock is right."""
        return WallClock(folder / "clock")

    @pytest.fixture(scope="class")
    @classmethod
    def gateway(cls) -> Iterator[Gateway]:
        with Gateway() as one:
            yield one

    @pytest.fixture(scope="class")
    @classmethod
    def pair(cls, folder: Path, clock: WallClock, gateway: Gateway) -> Iterator[list[Radiusd]]:
        """One whose clock is right, and one whose clock is three minutes ahead."""
        settings = {"delivery": {"wait": 0}, "lockout": {"failures": 3}}
        (folder / "site").mkdir()
        site = Site(folder / "site", providers={"web": http(gateway, timeout=30)}, **settings)
        ahead = WallClock(folder / "ahead", 3 * MINUTE)
        try:
            site.add("alice")
            yield [
                site.start("right", prefix=clock.prefix("right")),
                site.start("ahead", prefix=ahead.prefix("ahead")),
            ]
        finally:
            site.close()

    @pytest.fixture
    def right(self, pair: list[Radiusd], sites: list[Site]) -> Radiusd:
        sites.append(pair[0].site)
        return pair[0]

    @pytest.fixture
    def ahead(self, pair: list[Radiusd]) -> Radiusd:
        return pair[1]

    def test_a_login_may_go_on_at_the_other(self, right: Radiusd, ahead: Radiusd) -> None:
        """Its code counts once at both, and a lock-out holds at both."""
        site = right.site
        pairs = ((right, ahead), (ahead, right))
        for name, (first, second) in zip(people(site), pairs, strict=False):
            challenge = first.challenge(name)
            if first is ahead:
                assert second.challenge(name).state == challenge.state
            eventually(lambda: "sms-accepted" in site.kinds(name))  # noqa: B023
            answer = code_of(site, challenge.state)
            assert second.ask(name, answer, challenge.state).kind == "Access-Accept"
            refused(first, name, challenge)
            refused(second, name, challenge)
            for _ in range(3):
                first.ask(name, "wrong")
            for one in (first, second):
                assert one.ask(name, PIN).kind == "Access-Reject"
                assert site.events(name)[-1].detail == {"reason": "locked"}

    def test_no_message_is_sent_by_both(
        self, right: Radiusd, ahead: Radiusd, gateway: Gateway
    ) -> None:
        """Though its lease has run out by the clock that is ahead."""
        gateway.requests.clear()
        held = hold_alices(gateway)
        challenge = right.challenge()
        eventually(lambda: held)
        # What others have left behind is looked for from the first request on.
        ahead.ask("nobody", PIN)
        leave_behind(right.site, challenge, "ahead:0:dead")
        held[0].answer(200, "ID: 4711")
        eventually(lambda: "sms-accepted" in right.site.kinds("alice"))
        assert sorted(map(to, gateway.requests)) == [PHONE, LEFT]

    def test_clocks_that_differ_by_more_are_named_in_the_audit_trail(
        self, right: Radiusd, ahead: Radiusd, clock: WallClock
    ) -> None:
        """A login goes on only where it has begun."""
        name = "carol"
        right.site.add(name, phone="+491701111111")
        clock.jump(-3 * MINUTE)
        challenge = ahead.challenge(name)
        eventually(lambda: "sms-accepted" in right.site.kinds(name))
        refused(right, name, challenge)
        told = trace(right.site, name)
        assert told[-2].startswith("the code was not accepted: the clock has gone back since")
        assert "NTP" in told[-1]
        answer = code_of(right.site, challenge.state)
        assert ahead.ask(name, answer, challenge.state).kind == "Access-Accept"
        after = right.challenge(name)
        answer = code_of(right.site, after.state)
        assert right.ask(name, answer, after.state).kind == "Access-Accept"
        clock.jump(3 * MINUTE)
