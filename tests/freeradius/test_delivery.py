"""Nobody waits for the gateway of somebody else; a message that can be sent is sent."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.freeradius.held_gateway import code_of, http
from tests.providers.gateway import Call, Gateway, answers
from tests.support.freeradius import PATIENT, Radiusd, Site
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNDELIVERED = "The SMS with your code could not be sent. Please try again later."


class HeldGateway(Gateway):
    """Takes messages, and gives no answer before it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        super().__init__(self._hold)

    def stop(self) -> None:
        self.released.set()
        super().stop()

    def _hold(self, call: Call) -> None:
        self.released.wait()
        call.answer(200, "ID: 4711")


@pytest.fixture
def held() -> Iterator[HeldGateway]:
    with HeldGateway() as gateway:
        yield gateway


def add_users(site: Site, count: int, name: str = "user") -> list[str]:
    """Add accounts with a number each."""
    names = [f"{name}{number}" for number in range(count)]
    for number, one in enumerate(names):
        site.add(one, phone=f"+4917010000{number:02}")
    return names


def all_at_once(radiusd: Radiusd, names: list[str]) -> list[Any]:
    """The first steps of all, together."""
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(radiusd.ask, names))


@pytest.mark.once
def test_twelve_who_start_together_are_challenged_before_a_slow_gateway_answers_one(
    make_site: Callable[..., Site], held: HeldGateway
) -> None:
    site = make_site(providers={"slow": http(held, timeout=60)})
    radiusd = site.start()
    names = add_users(site, 12)
    replies = all_at_once(radiusd, names)
    assert {reply.kind for reply in replies} == {"Access-Challenge"}
    assert not held.released.is_set()
    eventually(lambda: len(held.requests) >= 12)
    held.released.set()
    for name in names:
        eventually(lambda name=name: "sms-accepted" in site.kinds(name))
    assert len(held.requests) == 12


def test_second_steps_get_through_while_forty_wait_for_a_gateway_that_hangs(
    make_site: Callable[..., Site], held: HeldGateway
) -> None:
    site = make_site(providers={"hanging": http(held, timeout=60)}, limits={"per_day": 0})
    radiusd = site.start()
    started = add_users(site, 6, "early")
    states = [reply.state for reply in all_at_once(radiusd, started)]
    waiting = add_users(site, 40, "late")
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(all_at_once, radiusd, waiting)
        for name, state in zip(started, states, strict=True):
            assert radiusd.ask(name, code_of(site, state), state).kind == "Access-Accept"
        assert {reply.kind for reply in later.result(30)} == {"Access-Challenge"}
    assert not held.released.is_set()


@pytest.mark.once
def test_when_every_provider_refuses_the_first_step_is_rejected_and_nothing_stays_open(
    make_site: Callable[..., Site],
) -> None:
    with Gateway(answers(400, "no")) as one, Gateway(answers(403, "never")) as two:
        site = make_site(providers={"one": http(one), "two": http(two)}, delivery=PATIENT)
        radiusd = site.start()
        reply = radiusd.ask("alice", PIN)
    assert (reply.kind, reply.message, reply.state) == ("Access-Reject", UNDELIVERED, None)
    assert "pin-wrong" not in site.kinds("alice")
    [opened] = {event.transaction_id for event in site.events("alice") if event.transaction_id}
    with site.store.read() as tx:
        challenge = tx.challenge(opened)
    assert challenge
    assert challenge.state == "undelivered"
    late = radiusd.ask("alice", code_of(site, opened.encode()), opened.encode())
    assert (late.kind, late.message) == ("Access-Reject", UNDELIVERED)


@pytest.mark.once
def test_a_message_refused_after_the_challenge_is_told_at_the_second_step(
    make_site: Callable[..., Site],
) -> None:
    with Gateway(answers(400, "no")) as gateway:
        site = make_site(providers={"one": http(gateway)}, delivery={"wait": 0})
        radiusd = site.start()
        challenge = radiusd.challenge()
        eventually(lambda: "sms-undelivered" in site.kinds("alice"))
        reply = radiusd.ask("alice", code_of(site, challenge.state), challenge.state)
    assert (reply.kind, reply.message) == ("Access-Reject", UNDELIVERED)


@pytest.mark.once
def test_the_next_provider_sends_the_same_code_when_one_refuses_or_is_away(
    make_site: Callable[..., Site],
) -> None:
    with Gateway(answers(500, "broken")) as broken, Gateway(answers(402, "no credit")) as poor:
        broken_url = http(broken)
        away = {**http(poor), "url": "http://127.0.0.1:9/"}
        chain = {"a": broken_url, "b": away, "c": http(poor)}
        chain["d"] = {"type": "folder", "path": "outbox"}
        site = make_site(providers=chain, delivery=PATIENT)
        radiusd = site.start()
        challenge = radiusd.challenge()
        reply = radiusd.ask("alice", site.code(challenge.state), challenge.state)
    assert reply.kind == "Access-Accept"
    verdicts = [
        (event.kind, event.detail["provider"])
        for event in site.events("alice")
        if event.kind.startswith("sms-")
    ]
    assert verdicts == [
        ("sms-unavailable", "a"),
        ("sms-unavailable", "b"),
        ("sms-refused", "c"),
        ("sms-accepted", "d"),
    ]


@pytest.mark.once
def test_r_goes_through_the_next_provider(make_site: Callable[..., Site]) -> None:
    with Gateway() as gateway:
        chain = {"first": http(gateway), "second": {"type": "folder", "path": "outbox"}}
        site = make_site(providers=chain)
        radiusd = site.start()
        challenge = radiusd.challenge()
        eventually(lambda: "sms-accepted" in site.kinds("alice"))
        radiusd.ask("alice", "r", challenge.state)
        assert site.code(challenge.state) == code_of(site, challenge.state)
        assert len(gateway.requests) == 1


@pytest.mark.once
def test_a_message_of_a_server_that_was_killed_is_sent_after_its_restart(
    make_site: Callable[..., Site], held: HeldGateway
) -> None:
    site = make_site(providers={"slow": http(held, timeout=1)}, delivery={"wait": 0})
    site.add("bob")
    radiusd = site.start()
    challenge = radiusd.challenge()
    eventually(lambda: len(held.requests) == 1)
    radiusd.stop(signal.SIGKILL)
    held.released.set()
    radiusd.start()
    # The threads start with the first request, whosever it is.
    radiusd.challenge("bob")
    eventually(lambda: "sms-accepted" in site.kinds("alice"), seconds=30)
    assert challenge.state is not None
    bodies = [request.target for request in held.requests]
    assert sum(code_of(site, challenge.state) in body for body in bodies) == 2


def test_a_second_instance_lets_everybody_wait_for_their_own_verdict(
    make_site: Callable[..., Site],
) -> None:
    together, all_there = threading.Barrier(10), threading.Event()

    def answer_all_at_once(call: Call) -> None:
        together.wait(15)
        all_there.set()
        call.answer(200, "ID: 4711")

    with Gateway(answer_all_at_once) as gateway:
        wait = {"wait": 10, "wait_share": 0.25}
        site = make_site(providers={"slow": http(gateway)}, delivery=wait)
        radiusd = site.start()
        names = add_users(site, 10)
        assert site.server is not None
        enabled = (radiusd.folder / "mods-enabled" / "python3_smsotp_delivery").exists()
        assert enabled == site.server.runs_several_instances
        if not enabled:
            # FreeRADIUS before 3.2.7: the ration ends the waiting, the messages leave anyway.
            assert {one.kind for one in all_at_once(radiusd, names)} == {"Access-Challenge"}
            for name in names:
                eventually(lambda name=name: "sms-accepted" in site.kinds(name))
            return

        def ask(name: str) -> bool:
            assert radiusd.ask(name, PIN).kind == "Access-Challenge"
            return all_there.is_set()

        with ThreadPoolExecutor(10) as pool:
            assert all(pool.map(ask, names))
        # It is recorded beside the answer.
        for name in names:
            eventually(lambda name=name: site.kinds(name) == ["challenge-opened", "sms-accepted"])


@pytest.mark.once
def test_style_reject_waits_for_the_verdict_too(make_site: Callable[..., Site]) -> None:
    with Gateway(answers(400, "no")) as gateway:
        chain = {"one": http(gateway)}
        site = make_site(providers=chain, challenge={"style": "reject"}, delivery=PATIENT)
        reply = site.start().ask("alice", PIN)
    assert (reply.kind, reply.message) == ("Access-Reject", UNDELIVERED)
    assert "pin-wrong" not in site.kinds("alice")
