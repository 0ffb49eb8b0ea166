"""Gateways that have no room for a while: everybody gets their SMS, and nobody else waits."""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.freeradius.held_gateway import code_of, http
from tests.providers.gateway import Gateway, answers
from tests.providers.smpp.smsc import Smsc
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Site

TOGETHER = [f"user{number}" for number in range(12)]


def test_at_an_smsc_that_throttles_all_get_theirs(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    """Each one SMS, once the SMSC has room; who goes another way logs in meanwhile."""
    with Smsc(tmp_path) as smsc:
        smsc.behave(per_second=2)
        smpp = {
            "type": "smpp",
            "smsc_host": "127.0.0.1",
            "smsc_port": smsc.port,
            "system_id": "radius",
            "password": smsc.secrets[0],
        }
        providers = {"smsc": smpp, "other": {"type": "folder", "path": "outbox"}}
        ways = {"order": ["smsc"], "prefixes": {"+43": ["other"]}}
        site = make_site(providers=providers, delivery=ways)
        radiusd = site.start()
        for number, name in enumerate(TOGETHER):
            site.add(name, f"+4917012345{number:02}")
        site.add("austrian", "+436641234567")
        with ThreadPoolExecutor(len(TOGETHER)) as pool:
            replies = list(pool.map(radiusd.ask, TOGETHER))
        assert {reply.kind for reply in replies} == {"Access-Challenge"}
        elsewhere = radiusd.challenge("austrian")
        code = site.code(elsewhere.state)
        assert radiusd.ask("austrian", code, elsewhere.state).kind == "Access-Accept"
        assert len(smsc.received()) < len(TOGETHER)
        eventually(lambda: len(smsc.received()) >= len(TOGETHER))
        for name in TOGETHER:
            eventually(lambda name=name: "sms-accepted" in site.kinds(name))
        numbers = Counter(number for number, _ in smsc.received())
        assert sorted(numbers) == [f"4917012345{number:02}" for number in range(12)]
        assert set(numbers.values()) == {1}
        first = replies[0]
        code = code_of(site, first.state)
        assert radiusd.ask(TOGETHER[0], code, first.state).kind == "Access-Accept"
        told = Counter(kind for name in TOGETHER for kind in site.kinds(name))
        assert told["sms-postponed"] >= 8
        assert told["sms-busy"] >= 8
        assert "is skipped" not in radiusd.log()
        assert radiusd.stop() == 0


def test_a_message_that_was_turned_away_outlives_radiusd(make_site: Callable[..., Site]) -> None:
    """Killed with it: it comes again from the one after, and not before it was asked to."""
    with Gateway(answers(429, "too many", Retry_After="2")) as gateway:
        site = make_site(providers={"one": http(gateway)})
        radiusd = site.start()
        challenge = radiusd.challenge()
        eventually(lambda: "sms-postponed" in site.kinds("alice"))
        assert radiusd.stop(signal.SIGKILL) != 0
        gateway.behave = answers(200, "ID: 4711")
        radiusd.start()
        radiusd.ask("nobody", PIN)  # the first request starts the courier
        eventually(lambda: "sms-accepted" in site.kinds("alice"))
        assert len(gateway.requests) == 2
        by_kind = {event.kind: event.time for event in site.events("alice")}
        waited = (by_kind["sms-accepted"] - by_kind["sms-busy"]).total_seconds()
        assert waited >= 1.9
        code = code_of(site, challenge.state)
        assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"
